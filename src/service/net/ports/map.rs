//! What the ports of a sandbox stand for.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::policy::net::Protocol;

/// Most sockets of a sandbox that are bound at a time.
pub(super) const MOST: usize = 4096;

/// The addresses that a socket is bound to, at its port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scope {
    /// Unspecified: any.
    v4: Option<Ipv4Addr>,
    v6: Option<Ipv6Addr>,
}

/// Whether a socket takes what is sent to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taking {
    No,
    /// If the host has that address.
    IfLocal,
    Yes,
}

impl Scope {
    /// That of a socket that is bound to `host`. `only`: it takes nothing by IPv4 if that is any address of IPv6.
    pub(super) fn new(host: IpAddr, only: bool) -> Self {
        match host {
            IpAddr::V4(host) => Self {
                v4: Some(host),
                v6: None,
            },
            IpAddr::V6(host) => Self {
                v4: (host.is_unspecified() && !only).then_some(Ipv4Addr::UNSPECIFIED),
                v6: Some(host),
            },
        }
    }

    /// True if some address is in both.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        let v4 = self.v4.zip(other.v4);
        let v6 = self.v6.zip(other.v6);
        v4.is_some_and(|(one, other)| one == other || one.is_unspecified() || other.is_unspecified())
            || v6.is_some_and(|(one, other)| one == other || one.is_unspecified() || other.is_unspecified())
    }

    /// True if it is one address only, which a socket with that is preferred for.
    fn is_single(&self) -> bool {
        !self.v4.is_some_and(|host| host.is_unspecified()) && !self.v6.is_some_and(|host| host.is_unspecified())
    }

    pub(super) fn takes(&self, host: IpAddr) -> Taking {
        let (any, same) = match host {
            IpAddr::V4(host) => (self.v4.is_some_and(|v4| v4.is_unspecified()), self.v4 == Some(host)),
            IpAddr::V6(host) => (self.v6.is_some_and(|v6| v6.is_unspecified()), self.v6 == Some(host)),
        };
        match (any, same) {
            (_, true) => Taking::Yes,
            (true, _) if host.is_loopback() => Taking::Yes,
            (true, _) => Taking::IfLocal,
            (false, false) => Taking::No,
        }
    }
}

/// A socket and its port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Binding {
    /// What the kernel calls the socket.
    pub(super) cookie: u64,
    pub(super) protocol: Protocol,
    /// The number that the program knows.
    pub(super) inside: u16,
    /// The number that everybody else knows.
    pub(super) outside: u16,
    pub(super) scope: Scope,
}

/// The ports of one sandbox.
#[derive(Default)]
pub(super) struct Map {
    /// Sockets that were bound. Some may have been closed since.
    bindings: Vec<Binding>,
    /// What ports of the host were last given for, also those of sockets that are closed: connections that they took live on.
    shown: BTreeMap<(Protocol, u16), u16>,
    /// What ports of the sandbox stood for last, so that they do again after a restart.
    last: BTreeMap<(Protocol, u16), u16>,
}

impl Map {
    /// True if nothing was ever bound.
    pub(super) fn is_empty(&self) -> bool {
        self.shown.is_empty()
    }

    pub(super) fn add(&mut self, binding: Binding) {
        self.bindings.push(binding);
        self.shown.insert((binding.protocol, binding.outside), binding.inside);
        self.last.insert((binding.protocol, binding.inside), binding.outside);
        if self.shown.len() > 2 * MOST || self.last.len() > 2 * MOST {
            let numbers = |number: fn(&Binding) -> u16| {
                let keys = self.bindings.iter().map(|binding| (binding.protocol, number(binding)));
                keys.collect::<BTreeSet<_>>()
            };
            let (outside, inside) = (numbers(|binding| binding.outside), numbers(|binding| binding.inside));
            self.shown.retain(|key, _| outside.contains(key));
            self.last.retain(|key, _| inside.contains(key));
        }
    }

    /// Forgets sockets that are not `living`.
    pub(super) fn retain(&mut self, living: &HashSet<u64>) {
        self.bindings.retain(|binding| living.contains(&binding.cookie));
    }

    pub(super) fn bindings(&self) -> &[Binding] {
        &self.bindings
    }

    /// What is bound to this socket.
    pub(super) fn of_socket(&self, cookie: u64) -> Option<&Binding> {
        self.bindings.iter().find(|binding| binding.cookie == cookie)
    }

    /// The number that the program knows a port of the host by, if it has another.
    pub(super) fn shown(&self, protocol: Protocol, outside: u16) -> Option<u16> {
        self.shown.get(&(protocol, outside)).copied()
    }

    /// What a port stood for last.
    pub(super) fn last(&self, protocol: Protocol, inside: u16) -> Option<u16> {
        self.last.get(&(protocol, inside)).copied()
    }

    /// Sockets with that port, inside or outside. Those that take one address only come first, as in the kernel.
    pub(super) fn about(&self, protocol: Protocol, port: u16) -> Vec<Binding> {
        let is_it =
            |binding: &&Binding| binding.protocol == protocol && (binding.inside == port || binding.outside == port);
        let mut found: Vec<_> = self.bindings.iter().filter(is_it).copied().collect();
        found.sort_by_key(|binding| !binding.scope.is_single());
        found
    }

    /// Sockets of a protocol.
    pub(super) fn of_protocol(&self, protocol: Protocol) -> Vec<Binding> {
        let is_it = |binding: &&Binding| binding.protocol == protocol;
        self.bindings.iter().filter(is_it).copied().collect()
    }
}

#[cfg(test)]
#[path = "map_tests.rs"]
mod tests;
