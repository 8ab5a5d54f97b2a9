//! How far the rules let each kind of call reach, and who must look at it for that: the kernel, the library, or nobody.

use super::{Destination, NetRule, NetRules, Ports, Protocol, Target};

/// Who decides how far calls of one kind reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Nobody has to: they reach nothing.
    Closed,
    /// Landlock alone: by port, or by path where they go to Unix sockets.
    Landlock,
    /// The library, which carries the calls out.
    Served,
    /// Everything is allowed, nobody looks.
    Open,
}

/// What becomes of the calls of a program that deal with networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// TCP connections that it makes.
    pub tcp: Reach,
    /// Datagrams that it sends. Never by port: Landlock does not govern them.
    pub udp: Reach,
    /// Echo requests. Likewise.
    pub icmp: Reach,
    /// Unix sockets with a name that it connects or sends to.
    pub unix: Reach,
    /// TCP ports that it binds to, and listens at.
    pub bind_tcp: Reach,
    /// UDP ports that it binds to.
    pub bind_udp: Reach,
    /// Host names are in the rules: it is shown an /etc/hosts that has them.
    pub names: bool,
    /// It may ask for interfaces, addresses and routes, and is answered by the library.
    pub netlink: bool,
    /// Ports that it binds to are numbers of its own, which stand for others of the host.
    pub remaps: bool,
    /// Nobody can take duplicates of its sockets: the library makes those that it works with.
    pub makes_sockets: bool,
    /// The host may be supervised by somebody who carries out calls for it, past its own Landlock domains: what nothing is allowed of must
    /// not come before that one.
    pub overseen: bool,
}

/// Most ports that are left to Landlock, whose ruleset has a rule for each.
const MOST_PORTS: u32 = 1024;

impl Network {
    /// What no rules at all come to.
    pub const CLOSED: Self = Self {
        tcp: Reach::Closed,
        udp: Reach::Closed,
        icmp: Reach::Closed,
        unix: Reach::Closed,
        bind_tcp: Reach::Closed,
        bind_udp: Reach::Closed,
        names: false,
        netlink: false,
        remaps: false,
        makes_sockets: false,
        overseen: false,
    };

    /// What `rules` ask for, where everything can be had.
    pub fn new(rules: &NetRules) -> Self {
        let datagrams = |protocol| match Anywhere::of(rules, protocol) {
            Anywhere::Nothing => Reach::Closed,
            Anywhere::Ports(ports) if ports.is_all() => Reach::Open,
            Anywhere::Ports(_) | Anywhere::Depends => Reach::Served,
        };
        let mut network = Self {
            tcp: match Anywhere::of(rules, Protocol::Tcp) {
                Anywhere::Nothing => Reach::Closed,
                Anywhere::Ports(ports) => by_port(&ports),
                Anywhere::Depends => Reach::Served,
            },
            udp: datagrams(Protocol::Udp),
            icmp: datagrams(Protocol::Icmp),
            unix: if rules.has_unix() { Reach::Served } else { Reach::Closed },
            bind_tcp: match rules.bound_ports(Protocol::Tcp) {
                None => Reach::Closed,
                // To bind to port 0 is to get one of a range, which Landlock cannot say.
                Some(ports) if !ports.is_all() && has_range(&ports) => Reach::Served,
                Some(ports) => by_port(&ports),
            },
            bind_udp: match rules.bound_ports(Protocol::Udp) {
                None => Reach::Closed,
                Some(ports) if ports.is_all() => Reach::Open,
                Some(_) => Reach::Served,
            },
            names: !rules.names().is_empty(),
            netlink: false,
            remaps: false,
            makes_sockets: false,
            overseen: false,
        };
        if network.udp == Reach::Closed && network.bind_udp != Reach::Closed {
            // What can be bound can send, and somebody must say no to that.
            network.udp = Reach::Served;
        }
        let of_networks = [
            network.tcp,
            network.udp,
            network.icmp,
            network.bind_tcp,
            network.bind_udp,
        ];
        // Programs that use a network ask for interfaces.
        network.netlink = of_networks.iter().any(|&reach| reach != Reach::Closed);
        network
    }

    /// The same, where the library looks at everything that connects or sends: what is allowed may change.
    #[must_use]
    pub fn watched(self) -> Self {
        let watched = |reach| if reach == Reach::Closed { reach } else { Reach::Served };
        Self {
            tcp: watched(self.tcp),
            udp: watched(self.udp),
            icmp: watched(self.icmp),
            ..self
        }
    }

    /// The same, where ports that are bound to are numbers of the sandbox's own: who binds to one, or connects to it, is told another.
    #[must_use]
    pub fn remapped(self) -> Self {
        let remaps = [self.bind_tcp, self.bind_udp]
            .iter()
            .any(|&reach| reach != Reach::Closed);
        let served = |reach| {
            if remaps && reach != Reach::Closed {
                Reach::Served
            } else {
                reach
            }
        };
        Self {
            tcp: served(self.tcp),
            udp: served(self.udp),
            bind_tcp: served(self.bind_tcp),
            bind_udp: served(self.bind_udp),
            remaps,
            ..self
        }
    }

    /// True if a program can have UDP sockets.
    pub fn has_udp(self) -> bool {
        self.udp != Reach::Closed || self.bind_udp != Reach::Closed
    }

    /// True if the library carries out what goes to some network, and so tells addresses apart.
    pub fn serves_addresses(self) -> bool {
        [self.tcp, self.udp, self.icmp].contains(&Reach::Served)
    }

    /// True if the library looks where connections go.
    pub fn serves_connections(self) -> bool {
        self.serves_addresses() || self.unix == Reach::Served
    }

    /// True if it looks where datagrams go.
    pub fn serves_datagrams(self) -> bool {
        [self.udp, self.icmp, self.unix].contains(&Reach::Served)
    }

    /// True if it looks at what sockets are bound to. Where datagram sockets exist that may not be bound, or not to every port, no argument
    /// of the call tells them from others.
    pub fn serves_bindings(self) -> bool {
        let datagrams = self.has_udp() || self.icmp != Reach::Closed;
        [self.bind_tcp, self.bind_udp, self.unix].contains(&Reach::Served)
            || (datagrams && self.bind_udp != Reach::Open)
    }

    /// True if it looks at which sockets listen: to listen on a socket that is not bound is to bind it, unseen by Landlock.
    pub fn serves_listening(self) -> bool {
        matches!(self.bind_tcp, Reach::Landlock | Reach::Served) || self.unix == Reach::Served
    }

    /// True if the library works with duplicates of the program's sockets.
    pub fn takes_sockets(self) -> bool {
        self.serves_connections() || self.serves_bindings() || self.serves_listening()
    }

    /// True if socket(2) is put before the library, of the families that rules speak of.
    pub fn serves_making(self) -> bool {
        self.makes_sockets && self.takes_sockets()
    }

    /// True if the rules cannot be kept without the library.
    pub fn needs_service(self) -> bool {
        self.names || self.takes_sockets()
    }

    /// What remains where the library serves nothing: less, and never more. `unix_by_path`: Landlock can keep the rules about Unix sockets.
    #[must_use]
    pub fn without_service(self, unix_by_path: bool) -> Self {
        let closed = |reach| if reach == Reach::Served { Reach::Closed } else { reach };
        let bind_tcp = match self.bind_tcp {
            // Such a socket could not be listened at.
            Reach::Landlock | Reach::Served => Reach::Closed,
            reach => reach,
        };
        let mut left = Self {
            tcp: closed(self.tcp),
            udp: closed(self.udp),
            icmp: closed(self.icmp),
            unix: match self.unix {
                Reach::Served if unix_by_path => Reach::Landlock,
                reach => closed(reach),
            },
            bind_tcp,
            bind_udp: closed(self.bind_udp),
            names: false,
            netlink: false,
            remaps: false,
            makes_sockets: false,
            overseen: false,
        };
        // UDP sockets that may send anywhere and be bound to anything are nobody's business; all others are somebody's.
        if left.udp != left.bind_udp {
            (left.udp, left.bind_udp) = (Reach::Closed, Reach::Closed);
        }
        if left.bind_udp != Reach::Open {
            left.icmp = Reach::Closed;
        }
        left
    }

    /// The TCP ports that may be connected to, whatever the address, if Landlock decides by them.
    pub fn connected_ports(self, rules: &NetRules) -> Option<Ports> {
        match Anywhere::of(rules, Protocol::Tcp) {
            Anywhere::Ports(ports) if self.tcp == Reach::Landlock => Some(ports),
            _ => None,
        }
    }

    /// The TCP ports that may be bound to, if Landlock decides by them.
    pub fn bound_ports(self, rules: &NetRules) -> Option<Ports> {
        rules
            .bound_ports(Protocol::Tcp)
            .filter(|_| self.bind_tcp == Reach::Landlock)
    }
}

/// What the rules say of a protocol as far as they need not know an address.
enum Anywhere {
    /// It reaches nothing.
    Nothing,
    /// It reaches these ports, of everybody.
    Ports(Ports),
    /// The rules tell addresses apart.
    Depends,
}

impl Anywhere {
    fn of(rules: &NetRules, protocol: Protocol) -> Self {
        let (allowed, denied) = (about(&rules.allow, protocol), about(&rules.deny, protocol));
        if allowed.iter().chain(&denied).any(|to| to.target != Target::Any) {
            return if allowed.is_empty() {
                Self::Nothing
            } else {
                Self::Depends
            };
        }
        let ports = |all: &[&Destination]| Ports::from_ranges(all.iter().flat_map(|to| to.ports.ranges()).cloned());
        let left = match (ports(&allowed), ports(&denied)) {
            (Some(allowed), Some(denied)) => allowed.minus(&denied),
            (allowed, _) => allowed,
        };
        left.map_or(Self::Nothing, Self::Ports)
    }
}

/// What rules say of `protocol`.
fn about(rules: &[NetRule], protocol: Protocol) -> Vec<&Destination> {
    let all = rules.iter().filter_map(NetRule::destination);
    all.filter(|to| to.protocols.has(protocol)).collect()
}

/// Whether Landlock can say `ports`.
fn by_port(ports: &Ports) -> Reach {
    if ports.is_all() {
        Reach::Open
    } else if ports.len() <= MOST_PORTS {
        Reach::Landlock
    } else {
        Reach::Served
    }
}

fn has_range(ports: &Ports) -> bool {
    ports.ranges().iter().any(|range| range.start() != range.end())
}

#[cfg(test)]
#[path = "reach_tests.rs"]
pub(crate) mod tests;
