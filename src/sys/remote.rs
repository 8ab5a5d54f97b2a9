//! Memory of other processes.

use super::raw::syscall;
use super::{Errno, Result};

/// Reads from `address` of the process that `thread` belongs to. Less than asked for if what follows cannot be read.
/// EFAULT: nothing can. EPERM: the kernel forbids it.
pub fn read(thread: i32, address: u64, buffer: &mut [u8]) -> Result<usize> {
    let local = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    let remote = range(address, buffer.len())?;
    // SAFETY: `local` describes a live, writable buffer; both structures outlive the call.
    unsafe {
        syscall!(
            libc::SYS_process_vm_readv,
            thread,
            &raw const local,
            1_usize,
            &raw const remote,
            1_usize,
            0_usize,
        )
    }
}

/// Writes to `address` of the process that `thread` belongs to. Less than asked for if what follows cannot be written.
pub fn write(thread: i32, address: u64, bytes: &[u8]) -> Result<usize> {
    let local = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    let remote = range(address, bytes.len())?;
    // SAFETY: `local` describes a live buffer that is only read; both structures outlive the call.
    unsafe {
        syscall!(
            libc::SYS_process_vm_writev,
            thread,
            &raw const local,
            1_usize,
            &raw const remote,
            1_usize,
            0_usize,
        )
    }
}

fn range(address: u64, length: usize) -> Result<libc::iovec> {
    let start = usize::try_from(address).map_err(|_| Errno(libc::EFAULT))?;
    start.checked_add(length).ok_or(Errno(libc::EFAULT))?;
    Ok(libc::iovec {
        iov_base: core::ptr::without_provenance_mut(start),
        iov_len: length,
    })
}

/// Reads at `offset` of an open file: /proc/PID/mem, whose offsets are addresses. 0 at an address that is not mapped.
pub fn read_at(fd: i32, offset: u64, buffer: &mut [u8]) -> Result<usize> {
    let offset = libc::off64_t::try_from(offset).map_err(|_| Errno(libc::EFAULT))?;
    // SAFETY: the pointer and length describe a live, writable buffer.
    let count = unsafe { libc::pread64(fd, buffer.as_mut_ptr().cast(), buffer.len(), offset) };
    usize::try_from(count).map_err(|_| Errno::last())
}

/// Writes at `offset` of an open file.
pub fn write_at(fd: i32, offset: u64, bytes: &[u8]) -> Result<usize> {
    let offset = libc::off64_t::try_from(offset).map_err(|_| Errno(libc::EFAULT))?;
    // SAFETY: the pointer and length describe a live buffer that is only read.
    let count = unsafe { libc::pwrite64(fd, bytes.as_ptr().cast(), bytes.len(), offset) };
    usize::try_from(count).map_err(|_| Errno::last())
}
