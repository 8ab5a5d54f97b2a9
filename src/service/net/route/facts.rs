//! What a sandbox is shown of the network: a loopback interface, its two addresses, and how they are reached. All of it is written
//! down here, and nothing is looked up, so nothing of the host's network can come to light.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::message::{Addressee, Attributes, Datagram};

/// The interface's name, and number.
pub(super) const NAME: &str = "lo";
pub(super) const INDEX: u32 = 1;

const NAME_WITH_NUL: &[u8] = b"lo\0";
const _: () = assert!(NAME.len() + 1 == NAME_WITH_NUL.len());

/// AF_INET and AF_INET6 as bytes in messages have them.
pub(super) const INET: u8 = 2;
pub(super) const INET6: u8 = 10;
const _: () = assert!(INET as i32 == libc::AF_INET && INET6 as i32 == libc::AF_INET6);

const ADDRESS: Ipv4Addr = Ipv4Addr::LOCALHOST;
const ADDRESS6: Ipv6Addr = Ipv6Addr::LOCALHOST;
const PREFIX: u8 = 8;
const PREFIX6: u8 = 128;

/// True if the sandbox's routes lead there.
pub(super) fn is_reached(destination: IpAddr) -> bool {
    match destination {
        IpAddr::V4(destination) => destination.octets()[0] == ADDRESS.octets()[0],
        IpAddr::V6(destination) => destination == ADDRESS6,
    }
}

/// RTM_NEWLINK, with `flags` in its header.
pub(super) fn link(out: &mut Datagram, flags: u16, to: Addressee) {
    const LOWER_UP: u32 = 1 << 16;
    const UP_AND_RUNNING: u32 = 1 | 1 << 6; // IFF_UP, IFF_RUNNING
    const LOOPBACK: u32 = 1 << 3;
    const MTU: u32 = 65536;
    const QUEUE_LENGTH: u32 = 1000;
    // Not in libc.
    const MIN_MTU: u16 = 50;
    const MAX_MTU: u16 = 51;
    const CARRIER_CHANGES: u16 = 35;
    const PROTO_DOWN: u16 = 39;

    let mut fixed = [0; 16]; // struct ifinfomsg
    fixed[2..4].copy_from_slice(&libc::ARPHRD_LOOPBACK.to_ne_bytes());
    fixed[4..8].copy_from_slice(&INDEX.to_ne_bytes());
    fixed[8..12].copy_from_slice(&(UP_AND_RUNNING | LOOPBACK | LOWER_UP).to_ne_bytes());
    out.message((libc::RTM_NEWLINK, flags), to, &fixed, |attributes| {
        attributes.add(libc::IFLA_IFNAME, NAME_WITH_NUL);
        attributes.add_u32(libc::IFLA_TXQLEN, QUEUE_LENGTH);
        attributes.add(libc::IFLA_OPERSTATE, &[0]); // unknown, as it is for this kind of interface
        attributes.add(libc::IFLA_LINKMODE, &[0]);
        attributes.add_u32(libc::IFLA_MTU, MTU);
        attributes.add_u32(MIN_MTU, 0);
        attributes.add_u32(MAX_MTU, 0);
        attributes.add_u32(libc::IFLA_GROUP, 0);
        attributes.add_u32(libc::IFLA_PROMISCUITY, 0);
        attributes.add_u32(libc::IFLA_NUM_TX_QUEUES, 1);
        attributes.add_u32(libc::IFLA_NUM_RX_QUEUES, 1);
        attributes.add(libc::IFLA_CARRIER, &[1]);
        attributes.add_u32(CARRIER_CHANGES, 0);
        attributes.add(PROTO_DOWN, &[0]);
        attributes.add(libc::IFLA_ADDRESS, &[0; 6]);
        attributes.add(libc::IFLA_BROADCAST, &[0; 6]);
        // Nothing is counted: 24 numbers of 64 bits, and of 32.
        attributes.add(libc::IFLA_STATS64, &[0; 24 * 8]);
        attributes.add(libc::IFLA_STATS, &[0; 24 * 4]);
        attributes.add(libc::IFLA_QDISC, b"noqueue\0");
    });
}

/// RTM_NEWADDR for the address of `family`, INET or INET6.
pub(super) fn address(out: &mut Datagram, family: u8, flags: u16, to: Addressee) {
    const PERMANENT: u8 = 1 << 7; // IFA_F_PERMANENT
    let prefix = if family == INET { PREFIX } else { PREFIX6 };
    let mut fixed = [family, prefix, PERMANENT, libc::RT_SCOPE_HOST, 0, 0, 0, 0]; // struct ifaddrmsg
    fixed[4..8].copy_from_slice(&INDEX.to_ne_bytes());
    let mut for_ever = [0; 16]; // struct ifa_cacheinfo
    for_ever[..8].fill(0xff);
    out.message((libc::RTM_NEWADDR, flags), to, &fixed, |attributes| {
        if family == INET {
            attributes.add(libc::IFA_ADDRESS, &ADDRESS.octets());
            attributes.add(libc::IFA_LOCAL, &ADDRESS.octets());
            attributes.add(libc::IFA_LABEL, NAME_WITH_NUL);
        } else {
            attributes.add(libc::IFA_ADDRESS, &ADDRESS6.octets());
        }
        attributes.add_u32(libc::IFA_FLAGS, PERMANENT.into());
        attributes.add(libc::IFA_CACHEINFO, &for_ever);
    });
}

/// RTM_NEWROUTE for what is reached in `family`, INET or INET6.
pub(super) fn route(out: &mut Datagram, family: u8, flags: u16, to: Addressee) {
    let local = libc::RT_TABLE_LOCAL;
    let (length, scope) = match family {
        INET => (PREFIX, libc::RT_SCOPE_HOST),
        _ => (PREFIX6, libc::RT_SCOPE_UNIVERSE),
    };
    // struct rtmsg
    let fixed = [
        family,
        length,
        0,
        0,
        local,
        libc::RTPROT_KERNEL,
        scope,
        libc::RTN_LOCAL,
        0,
        0,
        0,
        0,
    ];
    out.message((libc::RTM_NEWROUTE, flags), to, &fixed, |attributes| {
        attributes.add_u32(libc::RTA_TABLE, local.into());
        if family == INET {
            attributes.add(libc::RTA_DST, &Ipv4Addr::new(ADDRESS.octets()[0], 0, 0, 0).octets());
            attributes.add(libc::RTA_PREFSRC, &ADDRESS.octets());
        } else {
            attributes.add(libc::RTA_DST, &ADDRESS6.octets());
            attributes.add_u32(libc::RTA_PRIORITY, 0);
        }
        attributes.add_u32(libc::RTA_OIF, INDEX);
        if family == INET6 {
            unremarkable(attributes);
        }
    });
}

/// RTM_NEWROUTE that says how `destination` is reached. The kernel names different tables for the two families.
pub(super) fn route_to(out: &mut Datagram, destination: IpAddr, to: Addressee) {
    const CLONED_AND_LOCAL: u32 = 0x200 | 1 << 31; // RTM_F_CLONED, RTCF_LOCAL
    let (family, length, table, protocol, flags) = match destination {
        IpAddr::V4(_) => (INET, 32, libc::RT_TABLE_MAIN, libc::RTPROT_UNSPEC, CLONED_AND_LOCAL),
        IpAddr::V6(_) => (INET6, 128, libc::RT_TABLE_LOCAL, libc::RTPROT_KERNEL, 0),
    };
    let scope = libc::RT_SCOPE_UNIVERSE;
    // struct rtmsg
    let mut fixed = [
        family,
        length,
        0,
        0,
        table,
        protocol,
        scope,
        libc::RTN_LOCAL,
        0,
        0,
        0,
        0,
    ];
    fixed[8..].copy_from_slice(&flags.to_ne_bytes());
    out.message((libc::RTM_NEWROUTE, 0), to, &fixed, |attributes| {
        attributes.add_u32(libc::RTA_TABLE, table.into());
        match destination {
            IpAddr::V4(destination) => {
                attributes.add(libc::RTA_DST, &destination.octets());
                attributes.add_u32(libc::RTA_OIF, INDEX);
                attributes.add(libc::RTA_PREFSRC, &ADDRESS.octets());
                attributes.add(libc::RTA_CACHEINFO, &[0; 32]);
            }
            IpAddr::V6(destination) => {
                attributes.add(libc::RTA_DST, &destination.octets());
                attributes.add(libc::RTA_PREFSRC, &ADDRESS6.octets());
                attributes.add_u32(libc::RTA_PRIORITY, 0);
                attributes.add_u32(libc::RTA_OIF, INDEX);
                unremarkable(attributes);
            }
        }
    });
}

/// What the kernel says of all routes of IPv6.
fn unremarkable(attributes: &mut Attributes<'_>) {
    attributes.add(libc::RTA_CACHEINFO, &[0; 32]);
    attributes.add(libc::RTA_PREF, &[0]); // medium
}

/// RTM_NEWRULE for the rules that the kernel starts with in `family`, INET or INET6: routes are looked up in the table of local ones,
/// then in the main one.
pub(super) fn rules(out: &mut Datagram, family: u8, flags: u16, to: Addressee) {
    const PRIORITY: u16 = 6; // FRA_PRIORITY, and so on
    const SUPPRESS_PREFIXLEN: u16 = 14;
    const TABLE: u16 = 15;
    const PROTOCOL: u16 = 21;
    const LOOK_UP: u8 = 1; // FR_ACT_TO_TBL
    const DEFAULT: u8 = 253;
    let all = [
        (0, libc::RT_TABLE_LOCAL),
        (32766, libc::RT_TABLE_MAIN),
        (32767, DEFAULT),
    ];
    // IPv6 has no default table.
    let present = if family == INET { &all[..] } else { &all[..2] };
    for &(priority, table) in present {
        let fixed = [family, 0, 0, 0, table, 0, 0, LOOK_UP, 0, 0, 0, 0]; // struct fib_rule_hdr
        out.message((libc::RTM_NEWRULE, flags), to, &fixed, |attributes| {
            attributes.add_u32(TABLE, table.into());
            attributes.add_u32(SUPPRESS_PREFIXLEN, u32::MAX);
            attributes.add(PROTOCOL, &[libc::RTPROT_KERNEL]);
            if priority != 0 {
                attributes.add_u32(PRIORITY, priority);
            }
        });
    }
}
