//! What a program may connect and send to, and the ports it may bind to. A rule is a line of text:
//!
//! ```text
//! tcp://example.com:443               a host by name, and a port
//! example.com                         TCP and UDP, every port; ICMP is allowed by its scheme only
//! udp://192.0.2.53:53                 an address
//! tcp://10.0.0.0/8:80,8000-8999       a network; ports are a list of ports and ranges, or *, which is all
//! 2001:db8::1                         IPv6: without brackets it takes no ports,
//! tcp://[2001:db8::1]:443             and with them the prefix of a network belongs inside
//! [fd00::/8]:53
//! icmp://192.0.2.1                    echo requests; ICMP takes no ports
//! tcp://*:443                         anywhere
//! *                                   all of TCP and UDP
//! unix:/run/postgresql/.s.PGSQL.5432  the socket at a path,
//! unix:/run/user/1000/*               those beneath a directory, at any depth,
//! unix:@/tmp/.X11-unix/X0             that with an abstract name,
//! unix:@com.example/*                 those whose abstract names begin with this and "/"
//! ```
//!
//! Rules of ports to bind to are `[tcp://|udp://]ports`; without a scheme it is TCP.
//!
//! Without rules there is no network. What no rule allows is refused with EACCES, what one denies as well, whatever others allow; loopback
//! is a destination like any other. Names of hosts are looked up by the host when a sandbox starts, and the program finds exactly
//! these in its /etc/hosts; they are looked up again if [`NetRules::refresh`] says so.
//!
//! Rules of TCP by port alone are Landlock's (ABI 4, Linux 6.7). For all others the library carries out connect(2), sendto(2), sendmsg(2)
//! and bind(2) for the program, with the address that it has looked at (Linux 5.6): not to be had with
//! [`Flag::NoSupervisor`](super::Flag::NoSupervisor), nor in [`Sandbox::confine_self`](crate::sandbox::Sandbox::confine_self). The
//! header of the C library has the details, at `sandlock_policy_allow_net()`.
//!
//! ```
//! use std::net::TcpListener;
//!
//! use sandlock::{Access, Policy, Sandbox};
//!
//! let (open, shut) = (TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?);
//! let port = |listener: &TcpListener| listener.local_addr().map(|address| address.port());
//!
//! let mut policy = Policy::new();
//! policy.allow_path("/usr", Access::READ_EXECUTE)?.clear_env();
//! policy.allow_net(&format!("tcp://127.0.0.1:{}", port(&open)?))?;
//! let sandbox = Sandbox::new(policy);
//!
//! let connect = |port: u16| sandbox.run(None, ["bash", "-c", &format!("exec 3<>/dev/tcp/127.0.0.1/{port}")], None);
//! assert_eq!(connect(port(&open)?)?.exit_code, Some(0));
//! let refused = connect(port(&shut)?)?;
//! assert_eq!(refused.exit_code, Some(1));
//! assert!(refused.stderr.bytes.ends_with(b"Permission denied\n"), "{refused:?}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod parse;
mod part;
mod ports;
// How far rules reach, and deciding by them, are the library's business. Public for the fuzz targets, which decide once more.
#[doc(hidden)]
pub mod reach;
mod table;

use std::collections::BTreeSet;
use std::ffi::{CStr, CString};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::error::Result;

pub use ports::Ports;
#[doc(hidden)]
pub use table::{Decision, Table};

/// What is spoken with a destination.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// Streams.
    Tcp,
    /// Datagrams.
    Udp,
    /// Echo requests, as ping sockets send them.
    Icmp,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Tcp, Self::Udp, Self::Icmp];

    /// As people write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::Icmp => "ICMP",
        }
    }
}

/// Some protocols; a rule has one at least.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protocols {
    /// TCP is one of them.
    pub tcp: bool,
    /// UDP is.
    pub udp: bool,
    /// ICMP is.
    pub icmp: bool,
}

impl Protocols {
    /// What a rule without a scheme is about: those that have ports.
    pub const WITH_PORTS: Self = Self {
        tcp: true,
        udp: true,
        icmp: false,
    };

    /// This one alone.
    pub fn only(protocol: Protocol) -> Self {
        Self {
            tcp: protocol == Protocol::Tcp,
            udp: protocol == Protocol::Udp,
            icmp: protocol == Protocol::Icmp,
        }
    }

    /// True if `protocol` is one of them.
    pub fn has(self, protocol: Protocol) -> bool {
        match protocol {
            Protocol::Tcp => self.tcp,
            Protocol::Udp => self.udp,
            Protocol::Icmp => self.icmp,
        }
    }
}

/// The addresses that begin with the same bits: an address, and how many bits of it; those that follow are 0. IPv4 addresses that are
/// written as IPv6 are IPv4 here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network(IpAddr, u8);

impl Network {
    /// The network of this address alone.
    pub fn host(address: IpAddr) -> Self {
        let address = address.to_canonical();
        Self(address, width(address))
    }

    /// The network in which `address` lies that has `prefix` bits in common; None if an address has fewer. IPv4-mapped networks of
    /// more than IPv4 stay what they are, though no address of the kind lies in them.
    pub fn around(address: IpAddr, prefix: u8) -> Option<Self> {
        match address {
            IpAddr::V4(short) => {
                let beyond = 32_u8.checked_sub(prefix)?;
                let mask = u32::MAX.checked_shl(u32::from(beyond)).unwrap_or(0);
                Some(Self(Ipv4Addr::from_bits(short.to_bits() & mask).into(), prefix))
            }
            IpAddr::V6(long) => {
                let beyond = 128_u8.checked_sub(prefix)?;
                let mask = u128::MAX.checked_shl(u32::from(beyond)).unwrap_or(0);
                let first = IpAddr::from(Ipv6Addr::from_bits(long.to_bits() & mask));
                match (first.to_canonical(), prefix.checked_sub(96)) {
                    (short @ IpAddr::V4(_), Some(prefix)) => Some(Self(short, prefix)),
                    _ => Some(Self(first, prefix)),
                }
            }
        }
    }

    /// The first address in it.
    pub fn address(&self) -> IpAddr {
        self.0
    }

    /// How many bits its addresses have in common.
    pub fn prefix(&self) -> u8 {
        self.1
    }

    /// True if `address` lies in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.0.is_ipv4()
            && Self::around(address, self.1).is_some_and(|network| network.0 == self.0)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.0, self.1)
    }
}

/// Bits of an address.
fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// Where a program gets that names `address`: an IPv4 address that is written as IPv6 is IPv4, and the unspecified address means the
/// host itself. Who connects for a program must name what this says: the kernel takes the unspecified address for the one that the socket
/// is bound to, which no rule has allowed.
#[doc(hidden)]
pub fn reached_by(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        address => address,
    }
}

/// Where something is.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Anywhere.
    Any,
    /// At these addresses.
    Network(Network),
    /// At the addresses of this host, which are looked up when a sandbox starts; lower case, without a dot in the end.
    Name(String),
}

/// What an internet rule is about.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// Spoken how.
    pub protocols: Protocols,
    /// Where.
    pub target: Target,
    /// At which ports; all for ICMP, which has none.
    pub ports: Ports,
}

/// Unix sockets.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnixTarget {
    /// The socket at an absolute path without ".", ".." and empty names, or if `beneath`, those in that directory at any depth.
    Path {
        /// The path.
        path: CString,
        /// What lies beneath it, and not it.
        beneath: bool,
    },
    /// The socket with this abstract name, or if `beneath`, those whose names go on with "/".
    Abstract {
        /// The name without the NUL before it. Not empty.
        name: Vec<u8>,
        /// Names that begin with it and "/", and not it.
        beneath: bool,
    },
}

impl UnixTarget {
    /// True if it is about the socket at `path`: absolute, without ".", ".." and empty names, symbolic links followed.
    pub fn has_path(&self, path: &[u8]) -> bool {
        match self {
            Self::Path { path: root, beneath } => is_or_lies_in(path, root.to_bytes(), *beneath),
            Self::Abstract { .. } => false,
        }
    }

    /// True if it is about the socket with this abstract name.
    pub fn has_name(&self, found: &[u8]) -> bool {
        match self {
            Self::Path { .. } => false,
            Self::Abstract { name, beneath } => is_or_lies_in(found, name, *beneath),
        }
    }
}

fn is_or_lies_in(found: &[u8], root: &[u8], beneath: bool) -> bool {
    if !beneath {
        return found == root;
    }
    let rest = if root == b"/" {
        Some(found)
    } else {
        found.strip_prefix(root)
    };
    rest.and_then(|rest| rest.strip_prefix(b"/"))
        .is_some_and(|rest| !rest.is_empty())
}

/// Whom a rule is about.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Somebody on the internet, or on this host by way of it.
    Internet(Destination),
    /// Somebody on this host.
    Unix(UnixTarget),
}

/// A rule that allows or denies to connect and send to somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetRule {
    text: String,
    /// Whom.
    pub peer: Peer,
}

impl NetRule {
    /// The rule that `text` describes, to allow something.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](crate::error::ErrorKind::InvalidArgument): a rule that is malformed. The message quotes it and has the column.
    ///
    /// ```
    /// use sandlock::policy::NetRule;
    ///
    /// assert_eq!(NetRule::allow("tcp://example.com:443")?.text(), "tcp://example.com:443");
    /// let error = NetRule::allow("tcp://10.1.2.3/8").unwrap_err();
    /// assert!(error.message().contains("column 7") && error.message().ends_with("the network is 10.0.0.0/8"), "{error}");
    /// # Ok::<(), sandlock::Error>(())
    /// ```
    pub fn allow(text: &str) -> Result<Self> {
        Self::parse(text, parse::Verdict::Allow)
    }

    /// The rule that `text` describes, to deny something.
    ///
    /// # Errors
    ///
    /// As [`NetRule::allow`]; also for the name of a host, and for `*` alone.
    pub fn deny(text: &str) -> Result<Self> {
        Self::parse(text, parse::Verdict::Deny)
    }

    fn parse(text: &str, verdict: parse::Verdict) -> Result<Self> {
        let peer = parse::peer(text, verdict).map_err(|fault| fault.of(text))?;
        Ok(Self {
            text: text.to_owned(),
            peer,
        })
    }

    /// As it was written. One line.
    pub fn text(&self) -> &str {
        &self.text
    }

    fn destination(&self) -> Option<&Destination> {
        match &self.peer {
            Peer::Internet(destination) => Some(destination),
            Peer::Unix(_) => None,
        }
    }
}

/// A rule that allows or denies to bind to ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindRule {
    text: String,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// Which.
    pub ports: Ports,
}

impl BindRule {
    /// The rule that `text` describes.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](crate::error::ErrorKind::InvalidArgument): a rule that is malformed. The message quotes it and has the column.
    pub fn parse(text: &str) -> Result<Self> {
        let (protocol, ports) = parse::bound(text).map_err(|fault| fault.of(text))?;
        Ok(Self {
            text: text.to_owned(),
            protocol,
            ports,
        })
    }

    /// As it was written. One line.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// Everything that a policy says of the network. What no rule allows is denied, and so is what a rule denies, whatever others allow.
#[non_exhaustive]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetRules {
    /// What may be connected and sent to.
    pub allow: Vec<NetRule>,
    /// What may not be.
    pub deny: Vec<NetRule>,
    /// Ports that may be bound to.
    pub allow_bind: Vec<BindRule>,
    /// Ports that may not be.
    pub deny_bind: Vec<BindRule>,
    /// After how many seconds the names of hosts are looked up again, while a sandbox runs; None: never. Not 0.
    pub refresh: Option<u32>,
}

impl NetRules {
    /// True if nothing is said.
    pub fn is_empty(&self) -> bool {
        self.allow.is_empty() && self.deny.is_empty() && self.allow_bind.is_empty() && self.deny_bind.is_empty()
    }

    /// Names of hosts that are allowed, each once, sorted.
    pub fn names(&self) -> Vec<&str> {
        let targets = self.allow.iter().filter_map(|rule| Some(&rule.destination()?.target));
        let names: BTreeSet<&str> = targets
            .filter_map(|target| match target {
                Target::Name(name) => Some(name.as_str()),
                Target::Any | Target::Network(_) => None,
            })
            .collect();
        names.into_iter().collect()
    }

    /// Ports that may be bound to: those that are allowed but for those that are denied. None: no port.
    pub fn bound_ports(&self, protocol: Protocol) -> Option<Ports> {
        let said = |rules: &[BindRule]| {
            let rules = rules.iter().filter(|rule| rule.protocol == protocol);
            Ports::from_ranges(rules.flat_map(|rule| rule.ports.ranges().iter().cloned()))
        };
        let allowed = said(&self.allow_bind)?;
        match said(&self.deny_bind) {
            Some(denied) => allowed.minus(&denied),
            None => Some(allowed),
        }
    }

    /// True if a rule allows something of `protocol` to be connected or sent to.
    pub fn allows(&self, protocol: Protocol) -> bool {
        let mut destinations = self.allow.iter().filter_map(NetRule::destination);
        destinations.any(|destination| destination.protocols.has(protocol))
    }

    /// True if a rule allows Unix sockets.
    pub fn has_unix(&self) -> bool {
        self.allow.iter().any(|rule| matches!(rule.peer, Peer::Unix(_)))
    }

    /// The paths in which Unix sockets may be reached, or which are sockets themselves if not `beneath`. None: paths alone do not say it.
    pub fn unix_paths(&self) -> Option<Vec<(&CStr, bool)>> {
        let unix = |rule: &NetRule| matches!(rule.peer, Peer::Unix(_));
        if self.deny.iter().any(unix) {
            return None;
        }
        let allowed = self.allow.iter().filter_map(|rule| match &rule.peer {
            Peer::Internet(_) => None,
            Peer::Unix(target) => Some(target),
        });
        allowed
            .map(|target| match target {
                UnixTarget::Path { path, beneath } => Some((path.as_c_str(), *beneath)),
                UnixTarget::Abstract { .. } => None,
            })
            .collect()
    }
}

#[cfg(test)]
#[path = "net_tests.rs"]
mod tests;
