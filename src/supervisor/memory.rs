//! The memory of a caller, and files made of memory.
//!
//! A thread id names the caller only while its call waits: so that is checked after every read, before what was read is
//! believed, and before every write.

#![allow(unsafe_code)] // one block: taking over a descriptor that sys just made

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use crate::error::{Error, ErrorKind, Result, Stage};
use crate::sys::{self, notify, remote};

use super::answer::{GONE, stale};
use super::call::Call;

/// Most bytes that one system call moves, and a page at least.
const CHUNK: usize = 1 << 20;
const PAGE: usize = 4096;

fn failed(what: &str, errno: i32) -> Error {
    let kind = match errno {
        libc::EPERM | libc::EACCES => ErrorKind::Permission,
        libc::ESRCH | libc::ENOENT => ErrorKind::Stale,
        libc::EFAULT | libc::EIO => ErrorKind::InvalidArgument,
        _ => ErrorKind::System,
    };
    Error::system(kind, Stage::Supervisor, what, errno)
}

/// An error unless the caller still waits.
pub(super) fn check_waiting(call: &Call) -> Result<()> {
    if notify::is_waiting(call.session().listener(), call.ticket().id()) {
        return Ok(());
    }
    Err(stale(GONE))
}

fn thread(call: &Call) -> Result<i32> {
    match i32::try_from(call.received().thread) {
        Ok(thread @ 1..) => Ok(thread),
        _ => Err(failed("the caller is outside the host's PID namespace", libc::EPERM)),
    }
}

/// /proc/PID/mem, for where process_vm_readv(2) is forbidden.
fn open_memory(thread: i32, flags: i32) -> sys::Result<OwnedFd> {
    let path = std::ffi::CString::new(format!("/proc/{thread}/mem")).map_err(|_| sys::Errno(libc::EINVAL))?;
    let fd = sys::fd::open(&path, flags)?;
    // SAFETY: the descriptor was just opened and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Bytes from `address` to the end of its page.
fn rest_of_page(address: u64) -> usize {
    PAGE - usize::try_from(address % PAGE as u64).unwrap_or(0)
}

/// Moves up to `length` bytes with `step(address, done, at most)`, until one fails. An error if the first does.
fn piecewise(
    address: u64,
    length: usize,
    first: usize,
    mut step: impl FnMut(u64, usize, usize) -> sys::Result<usize>,
) -> sys::Result<usize> {
    let mut done = 0;
    let mut most = first;
    while done < length {
        let from = address.checked_add(done as u64).ok_or(sys::Errno(libc::EFAULT))?;
        match step(from, done, most.min(length - done)) {
            Ok(0) => break,
            Ok(count) => done += count,
            // Perhaps only a later page of the piece.
            Err(sys::Errno(libc::EFAULT)) if most.min(length - done) > rest_of_page(from) => {
                most = rest_of_page(from);
                continue;
            }
            Err(_) if done > 0 => break,
            Err(errno) => return Err(errno),
        }
        most = most.max(PAGE);
    }
    if done == 0 && length > 0 {
        return Err(sys::Errno(libc::EFAULT));
    }
    Ok(done)
}

pub(super) fn read(call: &Call, address: u64, buffer: &mut [u8]) -> Result<usize> {
    let thread = thread(call)?;
    let length = buffer.len();
    let mut plainly = |from, done: usize, most| remote::read(thread, from, &mut buffer[done..done + most]);
    let count = match piecewise(address, length, CHUNK, &mut plainly) {
        Err(sys::Errno(libc::EPERM | libc::ENOSYS)) => open_memory(thread, libc::O_RDONLY).and_then(|memory| {
            piecewise(address, length, CHUNK, |from, done, most| {
                remote::read_at(memory.as_raw_fd(), from, &mut buffer[done..done + most])
            })
        }),
        read => read,
    };
    let count = count.map_err(|errno| failed("cannot read the caller's memory", errno.0));
    // Also on failure: the memory may have been another process's.
    check_waiting(call)?;
    count
}

pub(super) fn read_string(call: &Call, address: u64, buffer: &mut [u8]) -> Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        let from = address
            .checked_add(done as u64)
            .ok_or_else(|| failed("cannot read the caller's memory", libc::EFAULT))?;
        // Never past the page that is known to be needed: the string may end right before one that cannot be read.
        let most = rest_of_page(from).min(buffer.len() - done);
        let count = read(call, from, &mut buffer[done..done + most])?;
        if let Some(end) = buffer[done..done + count].iter().position(|&byte| byte == 0) {
            return Ok(done + end);
        }
        done += count;
    }
    Err(Error::new(
        ErrorKind::BufferTooSmall,
        Stage::Supervisor,
        format_args!("the string has more than {} bytes", buffer.len()),
    ))
}

pub(super) fn write(call: &Call, address: u64, bytes: &[u8]) -> Result<usize> {
    let thread = thread(call)?;
    check_waiting(call)?;
    let plainly = |from, done: usize, most| remote::write(thread, from, &bytes[done..done + most]);
    let count = match piecewise(address, bytes.len(), CHUNK, plainly) {
        // Opened and checked again before it is written to: the thread's number may have become another's.
        Err(sys::Errno(libc::EPERM | libc::ENOSYS)) => {
            let memory = open_memory(thread, libc::O_RDWR)
                .map_err(|errno| failed("cannot open the caller's memory", errno.0))?;
            check_waiting(call)?;
            piecewise(address, bytes.len(), CHUNK, |from, done, most| {
                remote::write_at(memory.as_raw_fd(), from, &bytes[done..done + most])
            })
        }
        written => written,
    };
    count.map_err(|errno| failed("cannot write the caller's memory", errno.0))
}

/// A file that contains `bytes`, at its start, and that nobody can change.
pub(crate) fn sealed_file(bytes: &[u8]) -> sys::Result<OwnedFd> {
    let fd = sys::fd::memory_file()?;
    // SAFETY: the descriptor was just made and nobody else has it.
    let file = unsafe { OwnedFd::from_raw_fd(fd) };
    let mut done = 0;
    while done < bytes.len() {
        done += remote::write_at(file.as_raw_fd(), done as u64, &bytes[done..])?;
    }
    sys::fd::seal(file.as_raw_fd())?;
    Ok(file)
}
