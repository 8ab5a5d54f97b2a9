//! Addresses as a program gives them to the kernel: read once, looked at, and passed on as they were read.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::supervisor::Call;
use crate::sys::Errno;
use crate::sys::socket::{Kind, LONGEST_ADDRESS};

/// Bytes of a `struct sockaddr`, perhaps none.
#[derive(Clone, Copy)]
pub(super) struct Address {
    bytes: [u8; LONGEST_ADDRESS],
    length: usize,
}

/// What an address means to a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Nobody: connect(2) ends an association by it.
    Nobody,
    /// A host and a port there.
    Internet(IpAddr, u16),
    /// A socket by its name in the file system.
    Path(Vec<u8>),
    /// A socket by a name of its own.
    Abstract(Vec<u8>),
}

/// `struct sockaddr_in`, and the least that the kernel takes for `struct sockaddr_in6`: without the scope.
const IPV4_LENGTH: usize = 16;
const IPV6_LENGTH: usize = 24;

impl Address {
    /// No address.
    pub(super) const NONE: Self = Self {
        bytes: [0; LONGEST_ADDRESS],
        length: 0,
    };

    /// The address at `pointer`, of which the kernel would read `length` bytes: it takes that for an int.
    pub(super) fn read(call: &Call, pointer: u64, length: u64) -> Result<Self, Errno> {
        let mut address = Self::NONE;
        #[allow(clippy::cast_possible_truncation)] // as the kernel does
        let length = usize::try_from(length as u32).map_err(|_| Errno(libc::EINVAL))?;
        // What would be negative is longer, too.
        let bytes = address.bytes.get_mut(..length).ok_or(Errno(libc::EINVAL))?;
        if length > 0 && call.read(pointer, bytes).map_err(|error| Errno(error.errno()))? < length {
            return Err(Errno(libc::EFAULT));
        }
        address.length = length;
        Ok(address)
    }

    /// The address of these bytes, which are not too many.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        let mut address = Self::NONE;
        address.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        address.length = bytes.len();
        Some(address)
    }

    /// The address of a port of a host.
    pub(super) fn internet(host: IpAddr, port: u16) -> Self {
        let (family, length) = match host {
            IpAddr::V4(_) => (libc::AF_INET, IPV4_LENGTH),
            IpAddr::V6(_) => (libc::AF_INET6, size_of::<libc::sockaddr_in6>()),
        };
        let mut address = Self { length, ..Self::NONE };
        address.set_family(family);
        match host {
            IpAddr::V4(host) => address.bytes[4..8].copy_from_slice(&host.octets()),
            IpAddr::V6(host) => address.bytes[8..24].copy_from_slice(&host.octets()),
        }
        address.with_port(port)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    pub(super) fn is_none(&self) -> bool {
        self.length == 0
    }

    fn family(&self) -> Option<i32> {
        let family = self.bytes().first_chunk()?;
        Some(u16::from_ne_bytes(*family).into())
    }

    /// What it means to a socket of this kind. An error is the kernel's own; what would not be understood the same way is one, too.
    pub(super) fn meaning(&self, kind: Kind) -> Result<Meaning, Errno> {
        let family = self.family().ok_or(Errno(libc::EINVAL))?;
        match (kind.domain, family) {
            (libc::AF_INET | libc::AF_INET6, libc::AF_UNSPEC) => Ok(Meaning::Nobody),
            (libc::AF_INET, libc::AF_INET) => self.ipv4(),
            // A datagram socket for IPv6 takes both, and the others refuse it themselves.
            (libc::AF_INET6, libc::AF_INET) => self.ipv4(),
            (libc::AF_INET6, libc::AF_INET6) => self.ipv6(),
            (libc::AF_UNIX, libc::AF_UNIX) => self.unix(),
            (libc::AF_UNIX, libc::AF_UNSPEC) if kind.type_ == libc::SOCK_DGRAM => Ok(Meaning::Nobody),
            (libc::AF_UNIX, _) => Err(Errno(libc::EINVAL)),
            _ => Err(Errno(libc::EAFNOSUPPORT)),
        }
    }

    /// Likewise for binding a Unix socket, where no name at all means any.
    pub(super) fn meaning_to_bind(&self, kind: Kind) -> Result<Meaning, Errno> {
        match self.bytes() {
            [_, _] if self.family() == Some(libc::AF_UNIX) => Ok(Meaning::Nobody),
            _ => self.meaning(kind),
        }
    }

    /// For sending and binding, where AF_UNSPEC stands for IPv4.
    pub(super) fn with_family(mut self, kind: Kind) -> Self {
        if kind.domain == libc::AF_INET && self.family() == Some(libc::AF_UNSPEC) {
            self.set_family(libc::AF_INET);
        }
        self
    }

    fn set_family(&mut self, family: i32) {
        if let (Ok(family), Some(place)) = (u16::try_from(family), self.bytes.first_chunk_mut()) {
            *place = family.to_ne_bytes();
        }
    }

    fn port(&self) -> Result<u16, Errno> {
        let port = self.bytes().get(2..).and_then(|rest| rest.first_chunk());
        port.map(|port| u16::from_be_bytes(*port)).ok_or(Errno(libc::EINVAL))
    }

    fn ipv4(&self) -> Result<Meaning, Errno> {
        let bytes = self.bytes().get(..IPV4_LENGTH).ok_or(Errno(libc::EINVAL))?;
        let host: &[u8; 4] = bytes[4..].first_chunk().ok_or(Errno(libc::EINVAL))?;
        Ok(Meaning::Internet(Ipv4Addr::from(*host).into(), self.port()?))
    }

    fn ipv6(&self) -> Result<Meaning, Errno> {
        let bytes = self.bytes().get(..IPV6_LENGTH).ok_or(Errno(libc::EINVAL))?;
        let host: &[u8; 16] = bytes[8..].first_chunk().ok_or(Errno(libc::EINVAL))?;
        let host = Ipv6Addr::from(*host);
        // What is sent there goes over IPv4.
        let host = host.to_ipv4_mapped().map_or(IpAddr::V6(host), IpAddr::V4);
        Ok(Meaning::Internet(host, self.port()?))
    }

    fn unix(&self) -> Result<Meaning, Errno> {
        let name = self.bytes().get(2..).unwrap_or_default();
        match name {
            [] => Err(Errno(libc::EINVAL)),
            _ if self.length > size_of::<libc::sockaddr_un>() => Err(Errno(libc::EINVAL)),
            [0, name @ ..] => Ok(Meaning::Abstract(name.to_vec())),
            path => {
                let end = path.iter().position(|&byte| byte == 0).unwrap_or(path.len());
                Ok(Meaning::Path(path[..end].to_vec()))
            }
        }
    }

    /// For "any address", which the kernel takes for the host itself, and for the address that the socket is bound to if it is: the
    /// loopback address, so that it is what was decided about.
    pub(super) fn without_any(mut self) -> Self {
        let (ipv4, ipv6) = (Ipv4Addr::LOCALHOST.octets(), Ipv6Addr::LOCALHOST.octets());
        match self.family() {
            Some(libc::AF_INET) if self.length >= IPV4_LENGTH && self.bytes[4..8] == [0; 4] => {
                self.bytes[4..8].copy_from_slice(&ipv4);
            }
            Some(libc::AF_INET6) if self.length >= IPV6_LENGTH => {
                let host = &mut self.bytes[8..24];
                if *host == [0; 16] {
                    host.copy_from_slice(&ipv6);
                } else if *host == Ipv4Addr::UNSPECIFIED.to_ipv6_mapped().octets() {
                    host.copy_from_slice(&Ipv4Addr::LOCALHOST.to_ipv6_mapped().octets());
                }
            }
            _ => {}
        }
        self
    }

    /// With another port. For internet addresses.
    pub(super) fn with_port(mut self, port: u16) -> Self {
        self.bytes[2..4].copy_from_slice(&port.to_be_bytes());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TCP: Kind = Kind {
        domain: libc::AF_INET,
        type_: libc::SOCK_STREAM,
        protocol: libc::IPPROTO_TCP,
    };
    const TCP6: Kind = Kind {
        domain: libc::AF_INET6,
        ..TCP
    };
    const UNIX: Kind = Kind {
        domain: libc::AF_UNIX,
        type_: libc::SOCK_STREAM,
        protocol: 0,
    };

    fn address(family: i32, rest: &[u8]) -> Address {
        let family = u16::try_from(family).unwrap().to_ne_bytes();
        Address::of(&[&family, rest].concat()).unwrap()
    }

    fn ipv4(host: [u8; 4], port: u16) -> Address {
        address(libc::AF_INET, &[&port.to_be_bytes()[..], &host, &[0; 8]].concat())
    }

    fn ipv6(host: &str, port: u16) -> Address {
        let host: Ipv6Addr = host.parse().unwrap();
        address(
            libc::AF_INET6,
            &[&port.to_be_bytes()[..], &[0; 4], &host.octets(), &[0; 4]].concat(),
        )
    }

    #[test]
    fn internet_addresses_mean_where_packets_go() {
        let means = |address: Address, kind| address.meaning(kind);
        let internet = |host: &str, port| Ok(Meaning::Internet(host.parse().unwrap(), port));
        assert_eq!(means(ipv4([10, 0, 0, 1], 443), TCP), internet("10.0.0.1", 443));
        assert_eq!(means(ipv6("fd00::1", 80), TCP6), internet("fd00::1", 80));
        assert_eq!(means(ipv6("::ffff:10.0.0.1", 80), TCP6), internet("10.0.0.1", 80));
        assert_eq!(means(ipv4([10, 0, 0, 1], 53), TCP6), internet("10.0.0.1", 53));
        assert_eq!(means(ipv6("fd00::1", 80), TCP), Err(Errno(libc::EAFNOSUPPORT)));
        assert_eq!(means(address(libc::AF_UNSPEC, &[]), TCP), Ok(Meaning::Nobody));
        let unspecified = address(libc::AF_UNSPEC, &[0, 53, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(means(unspecified.with_family(TCP), TCP), internet("10.0.0.1", 53));
    }

    #[test]
    fn short_addresses_are_refused_as_by_the_kernel() {
        let cut = |address: Address, length| Address::of(&address.bytes()[..length]).unwrap();
        for length in 0..16 {
            assert_eq!(
                cut(ipv4([127, 0, 0, 1], 1), length).meaning(TCP),
                Err(Errno(libc::EINVAL))
            );
        }
        for length in 0..24 {
            assert_eq!(cut(ipv6("::1", 1), length).meaning(TCP6), Err(Errno(libc::EINVAL)));
        }
        assert!(cut(ipv6("::1", 1), 24).meaning(TCP6).is_ok());
        assert!(Address::of(&[0; LONGEST_ADDRESS + 1]).is_none());
    }

    #[test]
    fn any_address_becomes_loopback() {
        let becomes = |address: Address, kind, host: &str| {
            assert_eq!(
                address.without_any().meaning(kind),
                Ok(Meaning::Internet(host.parse().unwrap(), 80))
            );
        };
        becomes(ipv4([0; 4], 80), TCP, "127.0.0.1");
        becomes(ipv4([1, 0, 0, 0], 80), TCP, "1.0.0.0");
        becomes(ipv6("::", 80), TCP6, "::1");
        becomes(ipv6("::ffff:0.0.0.0", 80), TCP6, "127.0.0.1");
        becomes(ipv6("::2", 80), TCP6, "::2");
        assert_eq!(ipv4([1; 4], 80).with_port(81).port(), Ok(81));
        for (made, expected) in [
            (Address::internet([10, 0, 0, 1].into(), 443), ipv4([10, 0, 0, 1], 443)),
            (Address::internet("fd00::1".parse().unwrap(), 443), ipv6("fd00::1", 443)),
        ] {
            assert_eq!(made.bytes(), expected.bytes());
        }
    }

    #[test]
    fn unix_names_end_at_the_first_zero_unless_they_begin_with_one() {
        let means = |name: &[u8]| address(libc::AF_UNIX, name).meaning(UNIX);
        assert_eq!(means(b"/run/x\0y"), Ok(Meaning::Path(b"/run/x".to_vec())));
        assert_eq!(means(b"/run/x"), Ok(Meaning::Path(b"/run/x".to_vec())));
        assert_eq!(means(b"\0name\0"), Ok(Meaning::Abstract(b"name\0".to_vec())));
        assert_eq!(means(b""), Err(Errno(libc::EINVAL)));
        assert_eq!(means(&[b'x'; 109]), Err(Errno(libc::EINVAL)));
        assert_eq!(ipv4([1; 4], 1).meaning(UNIX), Err(Errno(libc::EINVAL)));
    }
}
