//! Sockets, by descriptor: what they are, and what is done with them on behalf of who has them too. Addresses are as the kernel takes
//! them, bytes of a `struct sockaddr`.

use core::mem::size_of;
use core::time::Duration;

use super::{Errno, Result, check, check_long};

/// What kind of socket it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// AF_*.
    pub domain: i32,
    /// SOCK_*.
    pub type_: i32,
    /// IPPROTO_*.
    pub protocol: i32,
}

/// The bytes of a `struct sockaddr_storage`: no address is longer.
pub const LONGEST_ADDRESS: usize = size_of::<libc::sockaddr_storage>();

/// What kind of socket `fd` is. ENOTSOCK: none.
pub fn kind(fd: i32) -> Result<Kind> {
    Ok(Kind {
        domain: option(fd, libc::SOL_SOCKET, libc::SO_DOMAIN)?,
        type_: option(fd, libc::SOL_SOCKET, libc::SO_TYPE)?,
        protocol: option(fd, libc::SOL_SOCKET, libc::SO_PROTOCOL)?,
    })
}

/// An option that is an `int`.
fn option(fd: i32, level: i32, name: i32) -> Result<i32> {
    let mut value: i32 = 0;
    get(fd, level, name, &mut value)?;
    Ok(value)
}

fn get<T>(fd: i32, level: i32, name: i32, value: &mut T) -> Result<()> {
    let mut length = libc::socklen_t::try_from(size_of::<T>()).map_err(|_| Errno(libc::EINVAL))?;
    // SAFETY: pointer and length describe `value`, which any bytes are good for: the callers' are plain numbers.
    check(unsafe { libc::getsockopt(fd, level, name, (&raw mut *value).cast(), &raw mut length) }).map(drop)
}

/// After how long a call that sends, or connects, gives up; None: never.
pub fn send_timeout(fd: i32) -> Result<Option<Duration>> {
    let mut value = libc::timeval { tv_sec: 0, tv_usec: 0 };
    get(fd, libc::SOL_SOCKET, libc::SO_SNDTIMEO, &mut value)?;
    let seconds = u64::try_from(value.tv_sec).unwrap_or(0);
    let micros = u32::try_from(value.tv_usec).unwrap_or(0);
    let timeout = Duration::from_secs(seconds).saturating_add(Duration::from_micros(micros.into()));
    Ok((!timeout.is_zero()).then_some(timeout))
}

/// Has the last close of it wait for what was sent to arrive, for at most this long (SO_LINGER); None: not.
pub fn set_linger(fd: i32, seconds: Option<i32>) -> Result<()> {
    let value = libc::linger {
        l_onoff: i32::from(seconds.is_some()),
        l_linger: seconds.unwrap_or(0),
    };
    let length = libc::socklen_t::try_from(size_of::<libc::linger>()).map_err(|_| Errno(libc::EINVAL))?;
    // SAFETY: pointer and length describe `value`.
    check(unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_LINGER, (&raw const value).cast(), length) })
        .map(drop)
}

/// Its status flags (O_*): a property of the open socket, whoever has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags(i32);

impl Flags {
    /// As they are now.
    pub fn of(fd: i32) -> Result<Self> {
        // SAFETY: takes no pointers.
        check(unsafe { libc::fcntl(fd, libc::F_GETFL) }).map(Self)
    }

    /// True if calls do not wait.
    pub fn are_nonblocking(self) -> bool {
        self.0 & libc::O_NONBLOCK != 0
    }

    /// The same, but calls do not wait.
    #[must_use]
    pub fn nonblocking(self) -> Self {
        Self(self.0 | libc::O_NONBLOCK)
    }

    /// Sets them.
    pub fn set(self, fd: i32) -> Result<()> {
        // SAFETY: takes no pointers.
        check(unsafe { libc::fcntl(fd, libc::F_SETFL, self.0) }).map(drop)
    }
}

/// Makes a socket, close-on-exec and numbered 3 or above. `type_` may have SOCK_NONBLOCK in it.
pub fn create(domain: i32, type_: i32, protocol: i32) -> Result<i32> {
    // SAFETY: takes no pointers.
    let made = check(unsafe { libc::socket(domain, type_ | libc::SOCK_CLOEXEC, protocol) })?;
    super::fd::above_stdio(made)
}

/// True if it is connected to somebody.
pub fn is_connected(fd: i32) -> bool {
    let mut address = [0_u8; LONGEST_ADDRESS];
    let Ok(mut length) = length_of(&address) else {
        return false;
    };
    // SAFETY: pointer and length describe `address`.
    check(unsafe { libc::getpeername(fd, address.as_mut_ptr().cast(), &raw mut length) }).is_ok()
}

fn length_of(address: &[u8]) -> Result<libc::socklen_t> {
    libc::socklen_t::try_from(address.len()).map_err(|_| Errno(libc::EINVAL))
}

/// connect(2).
pub fn connect(fd: i32, address: &[u8]) -> Result<()> {
    let length = length_of(address)?;
    // SAFETY: pointer and length describe `address`.
    check(unsafe { libc::connect(fd, address.as_ptr().cast(), length) }).map(drop)
}

/// bind(2).
pub fn bind(fd: i32, address: &[u8]) -> Result<()> {
    let length = length_of(address)?;
    // SAFETY: pointer and length describe `address`.
    check(unsafe { libc::bind(fd, address.as_ptr().cast(), length) }).map(drop)
}

/// listen(2).
pub fn listen(fd: i32, backlog: i32) -> Result<()> {
    // SAFETY: takes no pointers.
    check(unsafe { libc::listen(fd, backlog) }).map(drop)
}

/// Ends all that is received, sent and begun.
pub fn shut_down(fd: i32) -> Result<()> {
    // SAFETY: takes no pointers.
    check(unsafe { libc::shutdown(fd, libc::SHUT_RDWR) }).map(drop)
}

/// Ends what is received, and listening.
pub fn shut_down_reading(fd: i32) -> Result<()> {
    // SAFETY: takes no pointers.
    check(unsafe { libc::shutdown(fd, libc::SHUT_RD) }).map(drop)
}

/// The address that it is bound to, and its length.
pub fn local_address(fd: i32) -> Result<([u8; LONGEST_ADDRESS], usize)> {
    let mut address = [0; LONGEST_ADDRESS];
    let mut length = length_of(&address)?;
    // SAFETY: pointer and length describe `address`.
    check(unsafe { libc::getsockname(fd, address.as_mut_ptr().cast(), &raw mut length) })?;
    Ok((address, usize::try_from(length).unwrap_or(0).min(LONGEST_ADDRESS)))
}

/// Sends `data`, with ancillary data that is laid out as for sendmsg(2) if it is not empty, to `name` unless that is empty.
pub fn send(fd: i32, data: &[u8], name: &[u8], control: &[u8], flags: i32) -> Result<usize> {
    let mut vector = libc::iovec {
        iov_base: data.as_ptr().cast_mut().cast(),
        iov_len: data.len(),
    };
    // SAFETY: all zeros is an empty message; the structure has padding on some systems, so it cannot be written out.
    let mut message: libc::msghdr = unsafe { core::mem::zeroed() };
    message.msg_iov = &raw mut vector;
    message.msg_iovlen = 1;
    if !name.is_empty() {
        message.msg_name = name.as_ptr().cast_mut().cast();
        message.msg_namelen = length_of(name)?;
    }
    if !control.is_empty() {
        message.msg_control = control.as_ptr().cast_mut().cast();
        message.msg_controllen = control.len() as _;
    }
    // SAFETY: every pointer and length in the message describes a live slice, which sending only reads.
    let sent = check_long(unsafe { libc::sendmsg(fd, &raw const message, flags) } as libc::c_long)?;
    usize::try_from(sent).map_err(|_| Errno(libc::EIO))
}
