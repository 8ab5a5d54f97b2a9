//! What requests are answered with: as the kernel would in a network namespace that has nothing but a loopback interface, of a caller
//! that may change nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::facts::{self, INDEX, INET, INET6};
use super::message::{Addressee, Datagram, HEADER, Header, MULTI, Request, attributes, u32_at};

/// Flags of requests.
const IS_REQUEST: u16 = 1; // NLM_F_REQUEST
const ACKNOWLEDGE: u16 = 4; // NLM_F_ACK
const DUMP: u16 = 0x300; // NLM_F_DUMP: the kernel takes either of its bits for it

/// Types below it are for netlink's own use, and answered like nothing.
const FIRST_TYPE: u16 = 16; // NLMSG_MIN_TYPE, RTM_BASE
/// The last type of request that Linux 6.18 knows, rounded up to the four that a kind of object has.
const LAST_TYPE: u16 = 123;
/// Of each four types the third asks, and the others change something.
const ASKS: u16 = 2;

/// The bridges' requests have a family of their own.
const BRIDGE: u8 = 7;
const _: () = assert!(BRIDGE as i32 == libc::AF_BRIDGE);

/// How the kernel begins what it says of a request.
enum Said {
    /// What there is to say, and that is all.
    All(Datagram),
    /// One object; whoever asks for an acknowledgement gets that too.
    One(Datagram),
    /// Nothing.
    Nothing,
}

/// The datagrams that answer `request`, of the program whose address is `port`: at most two.
pub(super) fn answer(request: &Request<'_>, port: u32) -> Vec<Vec<u8>> {
    let header = request.header;
    let outcome = match header {
        _ if header.flags & IS_REQUEST == 0 || header.kind < FIRST_TYPE => Ok(Said::Nothing),
        _ => say(request, port),
    };
    let (said, errno) = match outcome {
        Ok(Said::All(datagram)) => return vec![datagram.into_bytes()],
        Ok(Said::One(datagram)) => (Some(datagram), 0),
        Ok(Said::Nothing) => (None, 0),
        Err(errno) => (None, errno),
    };
    let mut datagrams: Vec<_> = said.into_iter().map(Datagram::into_bytes).collect();
    if errno != 0 || header.flags & ACKNOWLEDGE != 0 {
        let mut acknowledgement = Datagram::default();
        acknowledgement.acknowledge(request, port, errno);
        datagrams.push(acknowledgement.into_bytes());
    }
    datagrams
}

/// The datagram that refuses requests that are too long to be looked at; `start` is where they begin.
pub(super) fn refuse(start: &[u8], port: u32) -> Option<Vec<u8>> {
    let header = Header::of(start)?;
    let mut out = Datagram::default();
    out.acknowledge(
        &Request {
            header,
            whole: start.get(..HEADER)?,
        },
        port,
        libc::EMSGSIZE,
    );
    Some(out.into_bytes())
}

/// Err: an errno.
fn say(request: &Request<'_>, port: u32) -> Result<Said, i32> {
    let header = request.header;
    let to = Addressee {
        sequence: header.sequence,
        port,
    };
    if header.kind > LAST_TYPE {
        return Err(libc::EOPNOTSUPP);
    }
    // All have a family. What has none is let be.
    let Some(&family) = request.body().first() else {
        return Ok(Said::Nothing);
    };
    if header.kind % 4 != ASKS {
        return Err(libc::EPERM);
    }
    if header.flags & DUMP != 0 {
        return dump(request, family, to).map(Said::All);
    }
    let mut out = Datagram::default();
    match header.kind {
        libc::RTM_GETLINK => {
            find_link(request)?;
            facts::link(&mut out, 0, to);
        }
        libc::RTM_GETADDR if family == INET6 => {
            find_address(request)?;
            facts::address(&mut out, family, 0, to);
        }
        libc::RTM_GETROUTE if family == INET || family == INET6 => {
            facts::route_to(&mut out, find_route(request, family)?, to);
        }
        libc::RTM_GETNEIGH if family == INET || family == INET6 => return Err(libc::ENOENT),
        _ => return Err(libc::EOPNOTSUPP),
    }
    Ok(Said::One(out))
}

/// All there is of a kind, in one datagram: it is little, and there is one.
fn dump(request: &Request<'_>, family: u8, to: Addressee) -> Result<Datagram, i32> {
    let mut out = Datagram::default();
    // Families that know nothing of their own are answered for all.
    let wanted = match family {
        INET => &[INET][..],
        INET6 => &[INET6],
        _ => &[INET, INET6],
    };
    match request.header.kind {
        libc::RTM_GETLINK => {
            if family != BRIDGE && !is_about_others(request) {
                facts::link(&mut out, MULTI, to);
            }
        }
        libc::RTM_GETADDR => wanted
            .iter()
            .for_each(|&family| facts::address(&mut out, family, MULTI, to)),
        libc::RTM_GETROUTE => wanted
            .iter()
            .for_each(|&family| facts::route(&mut out, family, MULTI, to)),
        libc::RTM_GETRULE => wanted
            .iter()
            .for_each(|&family| facts::rules(&mut out, family, MULTI, to)),
        libc::RTM_GETNEIGH => {}
        _ => return Err(libc::EOPNOTSUPP),
    }
    out.done(to);
    Ok(out)
}

/// The attributes after a structure of `fixed` bytes. EINVAL: not even that is there.
fn after<'a>(request: &Request<'a>, fixed: usize) -> Result<impl Iterator<Item = (u16, &'a [u8])> + use<'a>, i32> {
    request.body().get(fixed..).map(attributes).ok_or(libc::EINVAL)
}

/// The value of the last attribute of type `kind` of a request whose structure takes `fixed` bytes.
fn attribute<'a>(request: &Request<'a>, fixed: usize, kind: u16) -> Result<Option<&'a [u8]>, i32> {
    let of_kind = after(request, fixed)?.filter(|&(found, _)| found == kind);
    Ok(of_kind.last().map(|(_, value)| value))
}

/// Bytes of the structures that requests begin with.
const LINK: usize = 16; // struct ifinfomsg
const ADDRESS: usize = 8; // struct ifaddrmsg
const ROUTE: usize = 12; // struct rtmsg

/// True if links of a certain kind are wanted, or those beneath another: the loopback interface is neither.
fn is_about_others(request: &Request<'_>) -> bool {
    let names = |kind| matches!(attribute(request, LINK, kind), Ok(Some(value)) if value.iter().any(|&byte| byte != 0));
    names(libc::IFLA_LINKINFO) || names(libc::IFLA_MASTER)
}

/// Finds the link by its number, or else by its name.
fn find_link(request: &Request<'_>) -> Result<(), i32> {
    const ALTERNATIVE_NAME: u16 = 53; // IFLA_ALT_IFNAME
    const MOST: usize = 15; // bytes of a name
    let name = match attribute(request, LINK, libc::IFLA_IFNAME)? {
        Some(name) => Some(name),
        None => attribute(request, LINK, ALTERNATIVE_NAME)?,
    };
    // With its NUL or without.
    let name = name.map(|name| name.split(|&byte| byte == 0).next().unwrap_or_default());
    if name.is_some_and(|name| name.len() > MOST) {
        return Err(libc::ERANGE);
    }
    let found = match u32_at(request.body(), 4) {
        Some(index) if index.cast_signed() > 0 => index == INDEX,
        _ => name.ok_or(libc::EINVAL)? == facts::NAME.as_bytes(),
    };
    if found { Ok(()) } else { Err(libc::ENODEV) }
}

/// Finds an address of IPv6. The kernel does not look others up.
fn find_address(request: &Request<'_>) -> Result<(), i32> {
    let local = attribute(request, ADDRESS, libc::IFA_LOCAL)?;
    let address = attribute(request, ADDRESS, libc::IFA_ADDRESS)?;
    let address = parse(address.or(local).ok_or(libc::EINVAL)?, INET6)?;
    let index = u32_at(request.body(), 4).unwrap_or_default();
    if facts::is_reached(address) && (index == 0 || index == INDEX) {
        return Ok(());
    }
    Err(libc::EADDRNOTAVAIL)
}

/// The destination that is asked for, if it can be reached.
fn find_route(request: &Request<'_>, family: u8) -> Result<IpAddr, i32> {
    let destination = attribute(request, ROUTE, libc::RTA_DST)?;
    let destination = destination.map(|value| parse(value, family)).transpose()?;
    if let Some(interface) = attribute(request, ROUTE, libc::RTA_OIF)? {
        match u32_at(interface, 0).ok_or(libc::ERANGE)? {
            0 | INDEX => {}
            _ => return Err(libc::ENODEV),
        }
    }
    match (destination, family) {
        // Nowhere is here.
        (None | Some(IpAddr::V4(Ipv4Addr::UNSPECIFIED)), INET) => Ok(Ipv4Addr::UNSPECIFIED.into()),
        (Some(destination), _) if facts::is_reached(destination) => Ok(destination),
        _ => Err(libc::ENETUNREACH),
    }
}

/// An address of `family`, INET or INET6. The kernel looks only at whether there is enough of it.
fn parse(value: &[u8], family: u8) -> Result<IpAddr, i32> {
    let address = match family {
        INET => value
            .first_chunk()
            .map(|octets: &[u8; 4]| Ipv4Addr::from(*octets).into()),
        _ => value
            .first_chunk()
            .map(|octets: &[u8; 16]| Ipv6Addr::from(*octets).into()),
    };
    address.ok_or(libc::ERANGE)
}
