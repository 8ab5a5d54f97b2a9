//! Deciding about destinations, and telling of those that are refused.

use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use crate::lock::Mutex;
use crate::policy::net::reach::{Network, Reach};
use crate::policy::net::{Decision, Protocol};
use crate::supervisor::{Call, Suggestion, kind};
use crate::sys::Errno;
use crate::sys::socket::Kind;

use super::super::metadata::{self, Grants, Located};
use super::connect::Out;
use super::live::Live;
use super::made::{Made, Past};
use super::ports::Ports;
use super::socket::Trust;
use super::waiting::Places;

/// What the calls of a sandbox may reach, for all who carry them out.
pub(super) struct Rules {
    pub(super) live: Live,
    reach: Network,
    /// The program has what privileges the host has.
    privileged: bool,
    /// What ports that it has for its own stand for; None: they are the host's.
    pub(super) ports: Option<Ports>,
    /// Files that path rules let the program write, with what is beneath them; None: path rules decide nothing.
    writable: Option<Grants>,
    /// Calls that wait.
    pub(super) places: Places,
    trust: Trust,
    /// Sockets that are being connected, or asked for connections.
    pub(super) out: Out,
    /// Who has it may connect a Unix socket that would wait.
    pub(super) unix_turn: Mutex<()>,
    /// The program's sockets, where they are made for it. Otherwise duplicates are taken of them.
    pub(super) made: Option<Arc<Made>>,
}

/// What is done with a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Connect,
    Send,
}

const REFUSED: Errno = Errno(libc::EACCES);

/// The protocol that rules know a socket by; None: no rule speaks of such sockets.
pub(super) fn protocol(kind: Kind) -> Option<Protocol> {
    match (kind.domain, kind.type_, kind.protocol) {
        (libc::AF_INET | libc::AF_INET6, libc::SOCK_STREAM, libc::IPPROTO_TCP) => Some(Protocol::Tcp),
        (libc::AF_INET | libc::AF_INET6, libc::SOCK_DGRAM, libc::IPPROTO_UDP) => Some(Protocol::Udp),
        (libc::AF_INET, libc::SOCK_DGRAM, libc::IPPROTO_ICMP)
        | (libc::AF_INET6, libc::SOCK_DGRAM, libc::IPPROTO_ICMPV6) => Some(Protocol::Icmp),
        _ => None,
    }
}

const fn scheme(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Icmp => "icmp",
    }
}

/// A destination as a rule names it.
fn rule_for(protocol: Protocol, host: IpAddr, port: u16) -> String {
    let scheme = scheme(protocol);
    match (protocol, host) {
        (Protocol::Icmp, _) => format!("{scheme}://{host}"),
        (_, IpAddr::V4(_)) => format!("{scheme}://{host}:{port}"),
        (_, IpAddr::V6(_)) => format!("{scheme}://[{host}]:{port}"),
    }
}

impl Rules {
    pub(super) fn new(live: Live, reach: Network, privileged: bool, writable: Option<Grants>) -> Self {
        Self {
            live,
            ports: reach.remaps.then(Ports::default),
            reach,
            privileged,
            writable,
            places: Places::default(),
            trust: Trust::default(),
            out: Out::default(),
            unix_turn: Mutex::new(()),
            made: reach.makes_sockets.then(Arc::default),
        }
    }

    /// A duplicate of the caller's socket, and what it is: see [`socket::duplicate`] and [`Made::duplicate`].
    pub(super) fn duplicate(&self, call: &Call, number: u64) -> Result<(OwnedFd, Kind), Errno> {
        match &self.made {
            None => self.trust.duplicate(call, number),
            Some(made) => made.duplicate(call, number),
        }
    }

    /// Nothing more is decided about `socket`, a duplicate of a stream of the program's. What was made for the program is let go of.
    pub(super) fn let_go(&self, socket: &OwnedFd, past: Past) {
        if let Some(made) = &self.made {
            made.let_go(socket, past);
        }
    }

    /// Closes sockets that the program has closed and that were made for it, and says whether there were any.
    pub(super) fn collect(&self, call: &Call) -> bool {
        self.made.as_ref().is_some_and(|made| made.collect(call.reach()) > 0)
    }

    /// True if threads that serve have no more privileges than the program.
    pub(super) fn is_like_the_program(&self) -> bool {
        self.privileged
    }

    /// Does for the program what it may do, with no more privileges than it has.
    pub(super) fn on_behalf<T>(&self, work: impl FnOnce() -> Result<T, Errno>) -> Result<T, Errno> {
        if self.privileged {
            work()
        } else {
            metadata::without_privileges(work)?
        }
    }

    /// True if it can have sockets whose ports Landlock does not govern.
    pub(super) fn has_datagrams(&self) -> bool {
        let Network {
            udp, icmp, bind_udp, ..
        } = self.reach;
        [udp, icmp, bind_udp].into_iter().any(|reach| reach != Reach::Closed)
    }

    /// True if files may be made where `place` is.
    pub(super) fn may_write(&self, place: &Located) -> Result<bool, Errno> {
        self.writable
            .as_ref()
            .map_or(Ok(true), |grants| place.is_granted(grants))
    }

    /// The port of `host` that it reaches by such a socket, if it may reach `port`: another if that stands for it. Observers are told if it
    /// may not.
    pub(super) fn decide(
        &self,
        call: &Call,
        kind: Kind,
        (host, port): (IpAddr, u16),
        action: Action,
    ) -> Result<u16, Errno> {
        let Some(protocol) = protocol(kind) else {
            return Err(REFUSED);
        };
        let ports = self.ports.as_ref();
        let (port, reached) = ports.map_or((port, port), |ports| ports.way(protocol, host, port));
        let by = match self.live.now().destination(protocol, host, port) {
            Decision::Allowed => return Ok(reached),
            Decision::Missing => None,
            Decision::Denied(rule) => Some(rule),
        };
        let what = match action {
            Action::Connect => "connect to",
            Action::Send => "send to",
        };
        tell(call, what, "allow_net", rule_for(protocol, host, port), by);
        Err(REFUSED)
    }

    /// An error if such a socket must not be bound to `port`; 0: to any.
    pub(super) fn decide_bind(&self, call: &Call, kind: Kind, port: u16) -> Result<(), Errno> {
        let Some(protocol) = protocol(kind) else {
            return Err(REFUSED);
        };
        if self.live.now().ports().may_bind(protocol, port) {
            return Ok(());
        }
        // Any port is given where a range is allowed.
        let ports = if port == 0 {
            "1024-65535".to_owned()
        } else {
            port.to_string()
        };
        let rule = format!("{}://{ports}", scheme(protocol));
        tell(call, "bind to", "allow_bind", rule, None);
        Err(REFUSED)
    }

    /// An error if the program must not reach the socket at `path`, which is where it was found.
    pub(super) fn decide_path(&self, call: &Call, path: &[u8]) -> Result<(), Errno> {
        let shown = path.escape_ascii().to_string();
        self.settle_unix(call, self.live.now().path(path), &format!("unix:{shown}"))
    }

    /// Likewise one with a name of its own.
    pub(super) fn decide_abstract(&self, call: &Call, name: &[u8]) -> Result<(), Errno> {
        let shown = name.escape_ascii().to_string();
        self.settle_unix(call, self.live.now().name(name), &format!("unix:@{shown}"))
    }

    fn settle_unix(&self, call: &Call, decision: Decision, rule: &str) -> Result<(), Errno> {
        let by = match decision {
            Decision::Allowed => return Ok(()),
            Decision::Missing => None,
            Decision::Denied(rule) => Some(rule),
        };
        tell(call, "reach", "allow_net", rule.to_owned(), by);
        Err(REFUSED)
    }
}

/// Tells observers that the call was refused: by a rule, or for want of `rule`, which `permit` would add.
fn tell(call: &Call, what: &str, permit: &'static str, rule: String, by: Option<String>) {
    let mut event = call.event(kind::DENIED);
    event.errno = REFUSED.0;
    event.text = match &by {
        Some(by) => format!("network: {what} {rule}: denied by the rule \"{by}\""),
        None => format!("network: {what} {rule}: no rule; {permit}(\"{rule}\") would permit it"),
    };
    call.emit(event.clone());
    // What a rule denies no other can permit.
    if by.is_none() {
        event.kind = kind::MISSING;
        event.suggestion = Some(Suggestion::Net { permit, rule });
        call.emit(event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_sockets_have_a_protocol() {
        let of = |domain, type_, number| {
            protocol(Kind {
                domain,
                type_,
                protocol: number,
            })
        };
        use libc::{AF_INET, AF_INET6, SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET, SOCK_STREAM};
        assert_eq!(of(AF_INET, SOCK_STREAM, libc::IPPROTO_TCP), Some(Protocol::Tcp));
        assert_eq!(of(AF_INET6, SOCK_DGRAM, libc::IPPROTO_UDP), Some(Protocol::Udp));
        assert_eq!(of(AF_INET6, SOCK_DGRAM, libc::IPPROTO_ICMPV6), Some(Protocol::Icmp));
        for (domain, type_, number) in [
            (AF_INET, SOCK_STREAM, 262), // MPTCP
            (AF_INET, SOCK_STREAM, libc::IPPROTO_SCTP),
            (AF_INET, SOCK_SEQPACKET, libc::IPPROTO_SCTP),
            (AF_INET, SOCK_DGRAM, libc::IPPROTO_UDPLITE),
            (AF_INET, SOCK_RAW, libc::IPPROTO_TCP),
            (AF_INET6, SOCK_DGRAM, libc::IPPROTO_ICMP),
            (libc::AF_PACKET, SOCK_DGRAM, libc::IPPROTO_UDP),
            (libc::AF_UNIX, SOCK_STREAM, 0),
        ] {
            assert_eq!(of(domain, type_, number), None, "{domain} {type_} {number}");
        }
    }

    #[test]
    fn destinations_are_told_as_rules_name_them() {
        let rule = |protocol, host: &str| rule_for(protocol, host.parse().unwrap(), 53);
        assert_eq!(rule(Protocol::Udp, "10.0.0.1"), "udp://10.0.0.1:53");
        assert_eq!(rule(Protocol::Tcp, "fd00::1"), "tcp://[fd00::1]:53");
        assert_eq!(rule(Protocol::Icmp, "10.0.0.1"), "icmp://10.0.0.1");
    }
}
