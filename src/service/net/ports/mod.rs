//! Ports that are numbers of the sandbox's own, so that several sandboxes can all have the same.
//!
//! A program that binds to port 8080 gets some free port of the host's, and is shown 8080: by getsockname(2), and wherever such a port is a
//! peer's, of this sandbox. Its rules speak of its own numbers; what it connects or sends to one that a socket of the sandbox has, at an
//! address of that socket's, goes to the port that this stands for. All other destinations are what they always are.
//!
//! A socket keeps the port that it was given for as long as it is open: it is bound to that expressly, and the kernel lets go of such a
//! port with the socket only. So to know which sockets are open (`living.rs`) is to know what ports stand for. A socket that is
//! closed between that look and a connection may be followed, at that port, by somebody else of the host in that moment; the
//! program has no part in who.
//!
//! What is passed on here (names of sockets that have none of these ports, connections of those) is for the kernel to answer, and
//! nothing depends on which socket it is that the descriptor leads to then.

mod accept;
mod living;
mod map;
mod names;

use std::collections::HashSet;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd};

use crate::error::{Error, ErrorKind, Result, Stage};
use crate::lock::Mutex;
use crate::policy::net::Protocol;
use crate::sys::socket::{self, Kind, Sharing};
use crate::sys::{self, Errno, netlink};

use super::address::{Address, Meaning};
use super::rules::Rules;
use accept::Entrance;
use living::Living;
use map::{Binding, MOST, Map, Scope, Taking};

pub(super) use accept::serve as accept;

/// Which port a socket asks for, of the program's own numbers.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wanted<'a> {
    This(u16),
    /// A free one.
    Any,
    /// A free one of these.
    OneOf(&'a [u16]),
}

/// How often a port that was free a moment ago is asked for.
const TRIES: usize = 16;

/// Numbers that are given to who asks for any.
const FREE: std::ops::RangeInclusive<u16> = 32768..=u16::MAX;

/// The ports of one sandbox.
#[derive(Default)]
pub(super) struct Ports {
    map: Mutex<Map>,
    living: Living,
    /// Held while a socket is bound. That can take as long as the program likes, so only who binds has it.
    binding: Mutex<()>,
    entrance: Entrance,
}

impl Ports {
    /// bind(2): to a port that stands for the wanted one.
    pub(super) fn bind(
        &self,
        rules: &Rules,
        (socket, kind, protocol): (&OwnedFd, Kind, Protocol),
        address: &Address,
        wanted: Wanted<'_>,
    ) -> sys::Result<()> {
        let number = socket.as_raw_fd();
        let cookie = netlink::cookie(number)?;
        let Meaning::Internet(host, _) = address.meaning(kind)? else {
            return Err(Errno(libc::EAFNOSUPPORT));
        };
        let scope = Scope::new(host, kind.domain == libc::AF_INET6 && socket::is_ipv6_only(number)?);
        let _turn = self.binding.lock();
        // If nobody can tell, none is taken to be closed.
        if let Ok(living) = self.living.now() {
            self.map.lock().retain(&living);
        }
        if self.map.lock().of_socket(cookie).is_some() {
            return Err(Errno(libc::EINVAL));
        }
        let known = self.known(protocol, wanted);
        if known.full {
            return Err(Errno(libc::EADDRINUSE));
        }
        self.living.watch(number, cookie)?;
        let candidate = Candidate {
            number,
            kind,
            protocol,
            address,
            scope,
        };
        let bound = rules.on_behalf(|| candidate.bind(&known, wanted));
        match bound {
            Ok((inside, outside)) => {
                self.map.lock().add(Binding {
                    cookie,
                    protocol,
                    inside,
                    outside,
                    scope,
                });
                Ok(())
            }
            Err(errno) => {
                self.living.forget(number);
                Err(errno)
            }
        }
    }

    /// What is known of ports when a socket is to be bound.
    fn known(&self, protocol: Protocol, wanted: Wanted<'_>) -> Known {
        let map = self.map.lock();
        let taken = map.of_protocol(protocol);
        let inside: HashSet<u16> = taken.iter().map(|binding| binding.inside).collect();
        let is_free = |port: &u16| !inside.contains(port);
        Known {
            full: map.bindings().len() >= MOST,
            last: match wanted {
                Wanted::This(inside) => map.last(protocol, inside),
                _ => None,
            },
            free: match wanted {
                Wanted::This(_) => None,
                Wanted::Any => FREE.clone().find(is_free),
                Wanted::OneOf(ports) => ports.iter().copied().find(is_free),
            },
            taken,
        }
    }

    /// Where a call goes that is about `port` of `host`: by which number rules decide about it, and which port it is.
    pub(super) fn way(&self, protocol: Protocol, host: IpAddr, port: u16) -> (u16, u16) {
        let about = self.map.lock().about(protocol, port);
        if about.is_empty() {
            return (port, port);
        }
        // If nobody can tell, none is open.
        let living = self.living.now().unwrap_or_default();
        let takes = |binding: &&Binding| {
            living.contains(&binding.cookie)
                && match binding.scope.takes(host) {
                    Taking::Yes => true,
                    Taking::No => false,
                    Taking::IfLocal => is_local(host),
                }
        };
        let mut inside = about.iter().filter(|binding| binding.inside == port);
        if let Some(binding) = inside.find(takes) {
            return (port, binding.outside);
        }
        // Who answers a datagram of another socket of the sandbox knows that by the host's number.
        let mut outside = about.iter().filter(|binding| binding.outside == port);
        outside
            .find(takes)
            .map_or((port, port), |binding| (binding.inside, port))
    }

    /// The program's own number for the port that a socket is bound to, if it was bound here.
    pub(super) fn own_number(&self, socket: &OwnedFd) -> Option<u16> {
        let cookie = netlink::cookie(socket.as_raw_fd()).ok()?;
        Some(self.map.lock().of_socket(cookie)?.inside)
    }

    /// What ports stand for that sockets have now.
    pub(super) fn list(&self) -> Result<Vec<(Protocol, u16, u16)>> {
        let living = self.living.now().map_err(|errno| {
            let what = "cannot read which sockets are open";
            Error::system(ErrorKind::System, Stage::Network, what, errno.0)
        })?;
        let map = self.map.lock();
        let open = map.bindings().iter().filter(|binding| living.contains(&binding.cookie));
        let mut ports: Vec<_> = open
            .map(|binding| (binding.protocol, binding.inside, binding.outside))
            .collect();
        ports.sort_unstable();
        ports.dedup();
        Ok(ports)
    }
}

/// True if the host has that address itself.
fn is_local(host: IpAddr) -> bool {
    // Any port: nothing is sent.
    const DISCARD: u16 = 9;
    let domain = if host.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    let kind = Kind {
        domain,
        type_: libc::SOCK_DGRAM,
        protocol: libc::IPPROTO_UDP,
    };
    let source = socket::source_towards(domain, Address::internet(host, DISCARD).bytes()).ok();
    let source = source.and_then(|(bytes, length)| Address::of(bytes.get(..length)?)?.meaning(kind).ok());
    matches!(source, Some(Meaning::Internet(source, _)) if source == host)
}

/// What is known of ports when a socket is to be bound.
struct Known {
    /// No more sockets can be.
    full: bool,
    /// Those that are, of its protocol.
    taken: Vec<Binding>,
    /// What the wanted port stood for last.
    last: Option<u16>,
    /// A number that can be given to who asks for any.
    free: Option<u16>,
}

/// A socket that is to be bound.
struct Candidate<'a> {
    number: i32,
    kind: Kind,
    protocol: Protocol,
    address: &'a Address,
    scope: Scope,
}

impl Candidate<'_> {
    /// Binds it. The program's number, and the host's.
    fn bind(&self, known: &Known, wanted: Wanted<'_>) -> sys::Result<(u16, u16)> {
        let inside = match wanted {
            Wanted::This(inside) => {
                let outside = self.bind_with_others(known, inside)?;
                return match outside {
                    Some(outside) => Ok((inside, outside)),
                    None => Ok((inside, self.bind_anew(known.last)?)),
                };
            }
            Wanted::Any | Wanted::OneOf(_) => known.free.ok_or(Errno(libc::EADDRINUSE))?,
        };
        let outside = self.bind_anew(None)?;
        // The same number is best: it means the same to everybody.
        let suits = match wanted {
            Wanted::OneOf(ports) => ports.contains(&outside),
            _ => true,
        };
        let taken = known.taken.iter().any(|binding| binding.inside == outside);
        Ok((if suits && !taken { outside } else { inside }, outside))
    }

    /// Binds it to the port that sockets of the sandbox have for that number, if there are any. The kernel knows whether they share it.
    fn bind_with_others(&self, known: &Known, inside: u16) -> sys::Result<Option<u16>> {
        let others: Vec<_> = known.taken.iter().filter(|binding| binding.inside == inside).collect();
        let mut tried = Vec::new();
        for &Binding { outside, .. } in others.iter().copied() {
            if tried.contains(&outside) {
                continue;
            }
            tried.push(outside);
            match self.bind_to(outside) {
                Ok(()) => return Ok(Some(outside)),
                // Unless it is somebody outside, at another address.
                Err(Errno(libc::EADDRINUSE)) => {
                    let mut there = others.iter().filter(|other| other.outside == outside);
                    if there.any(|other| other.scope.overlaps(&self.scope)) {
                        return Err(Errno(libc::EADDRINUSE));
                    }
                }
                Err(errno) => return Err(errno),
            }
        }
        Ok(None)
    }

    /// Binds it to a port that no other socket has, if it can be to this one.
    fn bind_anew(&self, last: Option<u16>) -> sys::Result<u16> {
        if let Some(outside) = last {
            match self.bind_alone(outside) {
                Err(Errno(libc::EADDRINUSE)) => {}
                bound => return bound.map(|()| outside),
            }
        }
        for _ in 0..TRIES {
            let outside = socket::free_port(self.kind.type_)?;
            match self.bind_alone(outside) {
                Err(Errno(libc::EADDRINUSE)) => {}
                bound => return bound.map(|()| outside),
            }
        }
        Err(Errno(libc::EADDRINUSE))
    }

    /// Binds it to a port unless another socket has that, even if both would share it: whose that is is not known. Connections that are
    /// over do not matter to who says so.
    fn bind_alone(&self, outside: u16) -> sys::Result<()> {
        let sharing = Sharing::of(self.number)?;
        let alone = Sharing {
            address: sharing.address && self.protocol == Protocol::Tcp,
            ..Sharing::NONE
        };
        if sharing == alone {
            return self.bind_to(outside);
        }
        alone.set(self.number)?;
        let bound = self.bind_to(outside);
        sharing.set(self.number)?;
        bound
    }

    fn bind_to(&self, outside: u16) -> sys::Result<()> {
        socket::bind(self.number, self.address.with_port(outside).bytes())
    }
}

#[cfg(test)]
#[path = "ports_tests.rs"]
mod tests;
