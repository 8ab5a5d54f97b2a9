//! getsockname(2) and getpeername(2): with the program's own numbers where the kernel would tell the host's.

use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd};

use crate::policy::net::Protocol;
use crate::supervisor::{Call, Ground, Reply, Served};
use crate::sys::socket::{self, Kind, LONGEST_ADDRESS};
use crate::sys::{self, Errno};

use super::super::address::{Address, Meaning};
use super::super::rules::protocol;
use super::super::socket::duplicate;
use super::Ports;
use super::map::Taking;

/// A socket whose address is asked for.
type Asked<'a> = (&'a OwnedFd, Kind, Protocol);

impl Ports {
    /// Serves calls that tell addresses, as far as they would tell another port. Accepting a connection is to be gone on with.
    pub(in super::super) fn serve(&self, name: &str, call: &Call, ground: Ground) -> Served {
        let [number, address, length, ..] = call.received().arguments;
        let asks = match name {
            "getsockname" | "getpeername" => true,
            "accept" | "accept4" => address != 0,
            _ => false,
        };
        if !asks || self.map.lock().is_empty() {
            return Served::Pass;
        }
        match ground {
            Ground::Apart | Ground::UnscopedApart => {}
            Ground::Free | Ground::Warden | Ground::Unscoped => return Served::Apart,
        }
        let Ok((socket, kind)) = duplicate(call, number) else {
            return Served::Pass;
        };
        let Some(protocol) = protocol(kind).filter(|&protocol| protocol != Protocol::Icmp) else {
            return Served::Pass;
        };
        let asked = (&socket, kind, protocol);
        let shown = match name {
            "getsockname" => self.local_name(asked),
            "getpeername" => self.peer_name(asked),
            _ if self.own_number(&socket).is_some() => return Served::Taken,
            _ => None,
        };
        let Some(shown) = shown else { return Served::Pass };
        Served::Answer(match write(call, (address, length), shown.bytes()) {
            Ok(()) => Reply::Value(0),
            Err(Errno(errno)) => Reply::Errno(u16::try_from(errno).unwrap_or(1)),
        })
    }

    /// What a socket is bound to, if that was bound to here.
    fn local_name(&self, (socket, kind, protocol): Asked<'_>) -> Option<Address> {
        let (address, _, port) = address(socket::local_address(socket.as_raw_fd()), kind)?;
        Some(address.with_port(self.map.lock().shown(protocol, port)?))
    }

    /// What it is connected to, if that is of the sandbox.
    fn peer_name(&self, asked: Asked<'_>) -> Option<Address> {
        let (address, host, port) = address(socket::peer_address(asked.0.as_raw_fd()), asked.1)?;
        Some(address.with_port(self.peer_port(asked, host, port)?))
    }

    /// The program's own number for the port of a peer, if that is of the sandbox.
    pub(super) fn peer_port(&self, (socket, kind, protocol): Asked<'_>, host: IpAddr, port: u16) -> Option<u16> {
        let shown = self.map.lock().shown(protocol, port)?;
        let here = || {
            let local = address(socket::local_address(socket.as_raw_fd()), kind);
            local.is_some_and(|(_, local, _)| local == host)
        };
        let bound_to = || {
            let map = self.map.lock();
            let mut bindings = map.bindings().iter();
            bindings.any(|binding| binding.outside == port && binding.scope.takes(host) == Taking::Yes)
        };
        (host.is_loopback() || here() || bound_to()).then_some(shown)
    }
}

/// An address that the kernel tells, and what it means.
fn address(told: sys::Result<([u8; LONGEST_ADDRESS], usize)>, kind: Kind) -> Option<(Address, IpAddr, u16)> {
    let (bytes, length) = told.ok()?;
    let address = Address::of(bytes.get(..length)?)?;
    match address.meaning(kind).ok()? {
        Meaning::Internet(host, port) => Some((address, host, port)),
        _ => None,
    }
}

/// Writes an address where the caller has room for it, as much as there is, and says how long it is.
pub(super) fn write(call: &Call, (place, length): (u64, u64), address: &[u8]) -> sys::Result<()> {
    let mut room = [0; 4];
    match call.read(length, &mut room) {
        Ok(count) if count == room.len() => {}
        _ => return Err(Errno(libc::EFAULT)),
    }
    let room = usize::try_from(i32::from_ne_bytes(room)).map_err(|_| Errno(libc::EINVAL))?;
    let whole = u32::try_from(address.len()).map_err(|_| Errno(libc::EINVAL))?;
    for (place, bytes) in [
        (place, address.get(..room).unwrap_or(address)),
        (length, &whole.to_ne_bytes()),
    ] {
        match call.write(place, bytes) {
            Ok(count) if count == bytes.len() => {}
            _ => return Err(Errno(libc::EFAULT)),
        }
    }
    Ok(())
}
