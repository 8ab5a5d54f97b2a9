//! Pairs of sockets that stand in for netlink(7): one end looks like a socket of a program's to the kernel's own.
//!
//! They are unix(7) sockets that keep the bounds of messages (SOCK_SEQPACKET). On such a one, once connected, the kernel sends to the
//! other end whatever address is given.

use core::mem::MaybeUninit;

use super::fd::{above_stdio, close};
use super::{Errno, Result, check};

/// Length of a `sockaddr_nl`: its family, two bytes to pad it, nl_pid, nl_groups.
pub const ADDRESS_LENGTH: usize = 12;

/// The sizes of what is handed to the kernel here, as it counts them.
#[allow(clippy::cast_possible_truncation)]
const fn size<T>() -> libc::socklen_t {
    size_of::<T>() as libc::socklen_t
}

/// Makes a connected pair, close-on-exec and numbered 3 or above; with `nonblocking`, calls on them return EAGAIN rather than wait.
pub fn pair(nonblocking: bool) -> Result<(i32, i32)> {
    let flags = if nonblocking { libc::SOCK_NONBLOCK } else { 0 };
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC | flags;
    let mut ends = [-1; 2];
    // SAFETY: `ends` has room for the two descriptors.
    check(unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, ends.as_mut_ptr()) })?;
    let [one, other] = ends;
    let one = above_stdio(one).inspect_err(|_| close(other))?;
    let other = above_stdio(other).inspect_err(|_| close(one))?;
    Ok((one, other))
}

/// Gives `fd` an address that those who receive from it can take for the kernel's `sockaddr_nl`, whose nl_pid is 0: an abstract one
/// of just that length. What makes it different from others lies where netlink has padding and groups. The family is AF_UNIX still.
pub fn name_like_kernel(fd: i32) -> Result<()> {
    const FAMILY: u16 = 1;
    const { assert!(FAMILY as i32 == libc::AF_UNIX) };
    // Others may have taken one of a million million; several in a row are no chance.
    const TRIES: usize = 8;
    let mut failed = Errno(libc::EADDRINUSE);
    for _ in 0..TRIES {
        let [padding, a, b, c, d] = random()?;
        let [low, high] = FAMILY.to_ne_bytes();
        let address: [u8; ADDRESS_LENGTH] = [low, high, 0, padding, 0, 0, 0, 0, a, b, c, d];
        // SAFETY: the pointer and length describe `address`, which begins with a family.
        let bound = check(unsafe { libc::bind(fd, address.as_ptr().cast(), size::<[u8; ADDRESS_LENGTH]>()) });
        match bound {
            Ok(_) => return Ok(()),
            Err(errno) => failed = errno,
        }
        if failed.0 != libc::EADDRINUSE {
            break;
        }
    }
    Err(failed)
}

fn random() -> Result<[u8; 5]> {
    let mut bytes = [0; 5];
    // SAFETY: the pointer and length describe `bytes`.
    let count = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), libc::GRND_NONBLOCK) };
    match usize::try_from(count) {
        Ok(count) if count == bytes.len() => Ok(bytes),
        Ok(_) => Err(Errno(libc::EIO)),
        Err(_) => Err(Errno::last()),
    }
}

/// Has the kernel refuse whoever sends descriptors to `fd`. Linux 6.16; false: it cannot.
pub fn refuse_descriptors(fd: i32) -> bool {
    const SO_PASSRIGHTS: i32 = 83;
    set(fd, SO_PASSRIGHTS, 0).is_ok()
}

fn set(fd: i32, option: i32, value: i32) -> Result<()> {
    // SAFETY: the pointer and length describe `value`.
    check(unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, option, (&raw const value).cast(), size::<i32>()) }).map(drop)
}

/// What no other socket is ever called (SO_COOKIE, Linux 4.12). ENOTSOCK: `fd` is none.
pub fn cookie(fd: i32) -> Result<u64> {
    let mut cookie = 0_u64;
    let mut length = size::<u64>();
    // SAFETY: there is room for as much as `length` says.
    check(unsafe {
        libc::getsockopt(
            fd,
            libc::SOL_SOCKET,
            libc::SO_COOKIE,
            (&raw mut cookie).cast(),
            &raw mut length,
        )
    })?;
    Ok(cookie)
}

/// Has the kernel say who sends to `fd`, so that an empty message is not taken for the end.
pub fn tell_senders(fd: i32) -> Result<()> {
    set(fd, libc::SO_PASSCRED, 1)
}

/// A message that was received, or looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// How long it is, even if not all of it had room.
    pub length: usize,
    /// Descriptors came with it. There was no room for them, and they were closed, unless it was only looked at.
    pub descriptors: bool,
}

/// Takes the next message into `buffer`, from an `fd` whose [senders are told](tell_senders). None: nobody sends any more. EAGAIN: there
/// is none yet.
pub fn receive(fd: i32, buffer: &mut [u8]) -> Result<Option<Message>> {
    message(fd, buffer, 0)
}

/// Looks at the next message and leaves it where it is.
pub fn peek(fd: i32, buffer: &mut [u8]) -> Result<Option<Message>> {
    message(fd, buffer, libc::MSG_PEEK)
}

/// Room for who has sent a message, and for nothing else. The kernel puts that first.
#[repr(C)]
struct Sender {
    header: libc::cmsghdr,
    credentials: libc::ucred,
}

fn message(fd: i32, buffer: &mut [u8], flags: i32) -> Result<Option<Message>> {
    let mut part = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    let mut sender = MaybeUninit::<Sender>::zeroed();
    // SAFETY: all-zero is valid: no room for an address.
    let mut header = unsafe { MaybeUninit::<libc::msghdr>::zeroed().assume_init() };
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    header.msg_control = sender.as_mut_ptr().cast();
    header.msg_controllen = size_of::<Sender>() as _;
    // SAFETY: the one part describes a live, writable buffer, and there is as much room for control messages as the header says.
    let count = unsafe { libc::recvmsg(fd, &raw mut header, flags | libc::MSG_DONTWAIT | libc::MSG_TRUNC) };
    let length = usize::try_from(count).map_err(|_| Errno::last())?;
    let is_message = header.msg_controllen > 0;
    Ok(is_message.then_some(Message {
        length,
        descriptors: header.msg_flags & libc::MSG_CTRUNC != 0,
    }))
}

/// Sends a message. EAGAIN: there is no room for it now. EPIPE: nobody can receive it any more.
pub fn send(fd: i32, message: &[u8]) -> Result<()> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: the pointer and length describe a live buffer.
    let count = unsafe { libc::send(fd, message.as_ptr().cast(), message.len(), flags) };
    // A message goes whole or not at all.
    usize::try_from(count).map(drop).map_err(|_| Errno::last())
}

/// Has nobody send to `fd` any more, nor receive from it.
pub fn shut_down(fd: i32) {
    // An error means that it is no connected socket.
    // SAFETY: takes no pointers.
    let _ = unsafe { libc::shutdown(fd, libc::SHUT_RDWR) };
}

/// True if whoever has the other end has closed it, or will send no more.
pub fn has_ended(fd: i32) -> bool {
    poll(fd, libc::POLLRDHUP) & (libc::POLLRDHUP | libc::POLLHUP) != 0
}

/// True if there is plenty of room for messages to be sent.
pub fn has_room(fd: i32) -> bool {
    poll(fd, libc::POLLOUT) & libc::POLLOUT != 0
}

/// What there is now of `events`.
fn poll(fd: i32, events: libc::c_short) -> libc::c_short {
    let mut wait = libc::pollfd { fd, events, revents: 0 };
    // SAFETY: the entry is live and writable, and there is one of it.
    let _ = unsafe { libc::poll(&raw mut wait, 1, 0) };
    wait.revents
}
