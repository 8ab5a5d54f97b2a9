//! Sockets, by descriptor: what they are, and what is done with them on behalf of who has them too. Addresses are as the kernel takes
//! them, bytes of a `struct sockaddr`.

use core::mem::size_of;
use core::time::Duration;

use super::fd::{above_stdio, close};
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
    timeout(fd, libc::SO_SNDTIMEO)
}

/// After how long a call that receives, or accepts, gives up; None: never.
pub fn receive_timeout(fd: i32) -> Result<Option<Duration>> {
    timeout(fd, libc::SO_RCVTIMEO)
}

fn timeout(fd: i32, option: i32) -> Result<Option<Duration>> {
    let mut value = libc::timeval { tv_sec: 0, tv_usec: 0 };
    get(fd, libc::SOL_SOCKET, option, &mut value)?;
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
    set(fd, libc::SOL_SOCKET, libc::SO_LINGER, &value)
}

fn set<T>(fd: i32, level: i32, name: i32, value: &T) -> Result<()> {
    let length = libc::socklen_t::try_from(size_of::<T>()).map_err(|_| Errno(libc::EINVAL))?;
    // SAFETY: pointer and length describe `value`, which has no padding: the callers' are plain numbers.
    check(unsafe { libc::setsockopt(fd, level, name, (&raw const *value).cast(), length) }).map(drop)
}

/// With whom a socket shares its port (SO_REUSEADDR, SO_REUSEPORT).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sharing {
    /// With those that do, too; TCP only as long as none of them listens, and with connections that are over.
    pub address: bool,
    /// With those of the same user that do, too.
    pub port: bool,
}

impl Sharing {
    /// With nobody.
    pub const NONE: Self = Self {
        address: false,
        port: false,
    };

    /// With whom `fd` does.
    pub fn of(fd: i32) -> Result<Self> {
        Ok(Self {
            address: option(fd, libc::SOL_SOCKET, libc::SO_REUSEADDR)? != 0,
            port: option(fd, libc::SOL_SOCKET, libc::SO_REUSEPORT)? != 0,
        })
    }

    /// Has `fd` share its port so.
    pub fn set(self, fd: i32) -> Result<()> {
        set(fd, libc::SOL_SOCKET, libc::SO_REUSEADDR, &i32::from(self.address))?;
        set(fd, libc::SOL_SOCKET, libc::SO_REUSEPORT, &i32::from(self.port))
    }
}

/// True if a socket for IPv6 takes nothing that comes by IPv4.
pub fn is_ipv6_only(fd: i32) -> Result<bool> {
    Ok(option(fd, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY)? != 0)
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

/// The address that it is connected to, and its length.
pub fn peer_address(fd: i32) -> Result<([u8; LONGEST_ADDRESS], usize)> {
    let mut address = [0; LONGEST_ADDRESS];
    let mut length = length_of(&address)?;
    // SAFETY: pointer and length describe `address`.
    check(unsafe { libc::getpeername(fd, address.as_mut_ptr().cast(), &raw mut length) })?;
    Ok((address, usize::try_from(length).unwrap_or(0).min(LONGEST_ADDRESS)))
}

/// accept4(2): a connection, close-on-exec, numbered 3 or above, with the address that it comes from and its length. Calls on it do not
/// wait if `nonblocking`.
pub fn accept(fd: i32, nonblocking: bool) -> Result<(i32, [u8; LONGEST_ADDRESS], usize)> {
    let mut address = [0; LONGEST_ADDRESS];
    let mut length = length_of(&address)?;
    let flags = libc::SOCK_CLOEXEC | if nonblocking { libc::SOCK_NONBLOCK } else { 0 };
    // SAFETY: pointer and length describe `address`.
    let accepted = check(unsafe { libc::accept4(fd, address.as_mut_ptr().cast(), &raw mut length, flags) })?;
    let accepted = above_stdio(accepted)?;
    Ok((
        accepted,
        address,
        usize::try_from(length).unwrap_or(0).min(LONGEST_ADDRESS),
    ))
}

/// Makes a socket of this kind, close-on-exec, numbered 3 or above.
fn open(domain: i32, type_: i32) -> Result<i32> {
    // SAFETY: takes no pointers.
    above_stdio(check(unsafe { libc::socket(domain, type_ | libc::SOCK_CLOEXEC, 0) })?)
}

/// A port that no socket of this type has now, over IPv6 or IPv4.
pub fn free_port(type_: i32) -> Result<u16> {
    let both = || {
        let fd = open(libc::AF_INET6, type_)?;
        let found = set(fd, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, &0_i32).and_then(|()| chosen_port(fd));
        close(fd);
        found
    };
    both().or_else(|_| {
        let fd = open(libc::AF_INET, type_)?;
        let found = chosen_port(fd);
        close(fd);
        found
    })
}

/// Binds `fd` to any address, and a port that the kernel chooses. An address for IPv6 of nothing but zeros is as good for IPv4.
fn chosen_port(fd: i32) -> Result<u16> {
    let mut any = [0; size_of::<libc::sockaddr_in6>()];
    let family = libc::sa_family_t::try_from(kind(fd)?.domain).map_err(|_| Errno(libc::EINVAL))?;
    *any.first_chunk_mut().ok_or(Errno(libc::EINVAL))? = family.to_ne_bytes();
    bind(fd, &any)?;
    let (address, _) = local_address(fd)?;
    let [_, _, high, low, ..] = address;
    Ok(u16::from_be_bytes([high, low]))
}

/// The address that a datagram to `address` would come from, and its length. Nothing is sent.
pub fn source_towards(domain: i32, address: &[u8]) -> Result<([u8; LONGEST_ADDRESS], usize)> {
    let fd = open(domain, libc::SOCK_DGRAM)?;
    let found = connect(fd, address).and_then(|()| local_address(fd));
    close(fd);
    found
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
