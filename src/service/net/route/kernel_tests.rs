//! What is said of the loopback interface, beside what the kernel says of its own.
#![allow(unsafe_code, clippy::unwrap_used)]

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use super::answer_tests::{answers, request};
use super::message::{Request, attributes, u32_at};

const REQUEST: u16 = 1;
const DUMP: u16 = 0x300;

/// The messages of a datagram, as their type and what follows their header.
fn messages(mut datagram: &[u8]) -> Vec<(u16, Vec<u8>)> {
    let mut all = Vec::new();
    while let Some((message, taken)) = Request::first(datagram) {
        all.push((message.header.kind, message.body().to_vec()));
        datagram = &datagram[taken..];
    }
    all
}

/// What the kernel answers, up to the end of a dump.
fn kernel(request: &[u8]) -> Vec<(u16, Vec<u8>)> {
    // SAFETY: takes no pointers.
    let fd = unsafe {
        libc::socket(
            libc::AF_NETLINK,
            libc::SOCK_RAW | libc::SOCK_CLOEXEC,
            libc::NETLINK_ROUTE,
        )
    };
    assert!(fd >= 0);
    // SAFETY: just made, and nobody else has it.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: the pointer and length describe a live buffer.
    let sent = unsafe { libc::send(socket.as_raw_fd(), request.as_ptr().cast(), request.len(), 0) };
    assert_eq!(usize::try_from(sent), Ok(request.len()));
    let mut all = Vec::new();
    loop {
        let mut room = vec![0_u8; 1 << 16];
        // SAFETY: the pointer and length describe a live, writable buffer.
        let count = unsafe { libc::recv(socket.as_raw_fd(), room.as_mut_ptr().cast(), room.len(), 0) };
        all.extend(messages(&room[..usize::try_from(count).unwrap()]));
        // NLMSG_ERROR, NLMSG_DONE
        if request[6..8] == REQUEST.to_ne_bytes() || matches!(all.last(), Some((2 | 3, _))) {
            return all;
        }
    }
}

fn emulated(request: &[u8]) -> Vec<(u16, Vec<u8>)> {
    answers(request).iter().flat_map(|answer| messages(answer)).collect()
}

/// Bytes of the structure before attributes.
fn fixed(kind: u16) -> usize {
    match kind {
        libc::RTM_NEWLINK => 16,
        libc::RTM_NEWADDR => 8,
        _ => 12,
    }
}

fn attribute(message: &(u16, Vec<u8>), kind: u16) -> Option<Vec<u8>> {
    let found = attributes(&message.1[fixed(message.0)..]).find(|(found, _)| *found == kind);
    found.map(|(_, value)| value.to_vec())
}

/// What tells two objects of a type apart: family, and interface, address, destination and interface, or table and priority.
fn key(message: &(u16, Vec<u8>)) -> Vec<Option<Vec<u8>>> {
    let (kind, body) = message;
    let of = |kind| attribute(message, kind);
    let number = || Some(body[4..8].to_vec());
    let mut key = match *kind {
        libc::RTM_NEWLINK => vec![number()],
        libc::RTM_NEWADDR => vec![number(), of(libc::IFA_ADDRESS)],
        libc::RTM_NEWROUTE => vec![Some(body[..4].to_vec()), of(libc::RTA_DST), of(libc::RTA_OIF)],
        _ => vec![number(), of(6)], // FRA_PRIORITY
    };
    key.push(Some(vec![body[0]]));
    key
}

/// Attributes whose values differ from machine to machine, or whose lengths grow with the kernel.
fn varies(kind: u16, attribute: u16) -> bool {
    const CARRIER_CHANGES: u16 = 35;
    match kind {
        libc::RTM_NEWLINK => matches!(
            attribute,
            libc::IFLA_STATS
                | libc::IFLA_STATS64
                | libc::IFLA_TXQLEN
                | libc::IFLA_MTU
                | libc::IFLA_QDISC
                | libc::IFLA_PROMISCUITY
                | libc::IFLA_CARRIER
                | CARRIER_CHANGES
        ),
        libc::RTM_NEWADDR => attribute == libc::IFA_CACHEINFO,
        libc::RTM_NEWROUTE => attribute == libc::RTA_CACHEINFO,
        _ => false,
    }
}

/// Compares one message; the kernel's may say more.
fn compare(ours: &(u16, Vec<u8>), theirs: &(u16, Vec<u8>)) {
    let length = fixed(ours.0);
    if ours.0 == libc::RTM_NEWLINK {
        // Flags that are set without anybody's doing.
        let flags = |message: &(u16, Vec<u8>)| u32_at(&message.1, 8).unwrap() & (1 << 3);
        assert_eq!(ours.1[..8], theirs.1[..8]);
        assert_eq!(flags(ours), flags(theirs));
    } else {
        assert_eq!(ours.1[..length], theirs.1[..length]);
    }
    for (kind, value) in attributes(&ours.1[length..]) {
        let other = attribute(theirs, kind);
        let Some(other) = other else {
            panic!("the kernel has no attribute {kind} in {ours:?}");
        };
        match kind {
            _ if !varies(ours.0, kind) => assert_eq!(value, other, "attribute {kind} of {ours:?}"),
            // Text.
            libc::IFLA_QDISC if ours.0 == libc::RTM_NEWLINK => {}
            _ => assert!(other.len() >= value.len(), "attribute {kind} of {ours:?}"),
        }
    }
}

#[test]
fn dumps_have_the_shape_of_the_kernels() {
    let mut compared = 0;
    for kind in [
        libc::RTM_GETLINK,
        libc::RTM_GETADDR,
        libc::RTM_GETROUTE,
        libc::RTM_GETRULE,
    ] {
        let request = request(kind, REQUEST | DUMP, &[0; 4]);
        let theirs = kernel(&request);
        let ours = emulated(&request);
        assert_eq!(ours.last(), theirs.last(), "the end of {kind}");
        for message in &ours[..ours.len() - 1] {
            let found = theirs
                .iter()
                .find(|other| other.0 == message.0 && key(other) == key(message));
            match found {
                Some(found) => {
                    compare(message, found);
                    compared += 1;
                }
                // The machine's interface may be down, or without IPv6.
                None => assert_ne!(kind, libc::RTM_GETLINK),
            }
        }
    }
    assert!(compared >= 1);
}

#[test]
fn single_objects_have_the_shape_of_the_kernels() {
    let link = {
        let mut body = vec![0; 16];
        body[4..8].copy_from_slice(&1_u32.to_ne_bytes());
        request(libc::RTM_GETLINK, REQUEST, &body)
    };
    compare(&emulated(&link)[0], &kernel(&link)[0]);
    let route = request(
        libc::RTM_GETROUTE,
        REQUEST,
        &[2, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 1, 0, 127, 0, 0, 1],
    );
    let theirs = &kernel(&route)[0];
    // Otherwise the interface is down.
    if theirs.0 == libc::RTM_NEWROUTE {
        compare(&emulated(&route)[0], theirs);
    }
}

/// Requests that fail whatever there is on the machine, and acknowledgements.
#[test]
fn refusals_are_the_kernels() {
    let mut name = vec![0; 16];
    name.extend([12, 0, 3, 0]);
    name.extend(b"nothing\0");
    let mut long = vec![0; 16];
    long.extend([24, 0, 3, 0]);
    long.extend([b'a'; 20]);
    let cases: &[(u16, u16, &[u8])] = &[
        (libc::RTM_GETLINK, REQUEST, &[0; 16]),
        (libc::RTM_GETLINK, REQUEST, &[0; 4]),
        (libc::RTM_GETLINK, REQUEST, &name),
        (libc::RTM_GETLINK, REQUEST, &long),
        (libc::RTM_GETADDR, REQUEST, &[2, 0, 0, 0, 1, 0, 0, 0]),
        (libc::RTM_GETADDR, REQUEST, &[10, 0, 0, 0, 1, 0, 0, 0]),
        (libc::RTM_GETROUTE, REQUEST, &[0; 12]),
        (libc::RTM_GETRULE, REQUEST, &[2; 12]),
        (libc::RTM_GETLINK, REQUEST | 4, &[]),
        (libc::RTM_GETLINK, 4, &[0; 16]),
        (3, 5, &[0; 16]),
        (200, REQUEST, &[0; 16]),
    ];
    for (kind, flags, body) in cases {
        let request = request(*kind, *flags, body);
        assert_eq!(emulated(&request), [kernel(&request)[0].clone()], "{request:?}");
    }
}
