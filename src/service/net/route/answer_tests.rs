#![allow(clippy::unwrap_used)]

use proptest::collection::vec;
use proptest::prelude::*;

use super::answer::{answer, refuse};
use super::message::{Request, attributes, u16_at, u32_at};

const PORT: u32 = 4711;
const SEQUENCE: u32 = 0x6b09_eb15;

const ERROR: u16 = 2;
const DONE: u16 = 3;

/// Bytes as they are written in tables: hexadecimal digits, and spaces where they please. `N*` before a byte repeats it.
fn bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in text.split_ascii_whitespace() {
        if let Some((count, byte)) = word.split_once('*') {
            let byte = u8::from_str_radix(byte, 16).unwrap();
            bytes.extend(std::iter::repeat_n(byte, count.parse().unwrap()));
        } else {
            for at in (0..word.len()).step_by(2) {
                bytes.push(u8::from_str_radix(&word[at..at + 2], 16).unwrap());
            }
        }
    }
    bytes
}

/// A message with this body.
pub(super) fn request(kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    message.extend(u32::try_from(16 + body.len()).unwrap().to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    message.extend(SEQUENCE.to_ne_bytes());
    message.extend([0; 4]);
    message.extend(body);
    message
}

/// All that answers the messages of a datagram.
pub(super) fn answers(mut datagram: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    while let Some((request, taken)) = Request::first(datagram) {
        all.extend(answer(&request, PORT));
        datagram = &datagram[taken..];
    }
    all
}

/// The messages of a datagram, which has nothing else.
fn messages(mut datagram: &[u8]) -> Vec<Request<'_>> {
    let mut all = Vec::new();
    while let Some((message, taken)) = Request::first(datagram) {
        assert_eq!(u32_at(message.whole, 12), Some(PORT));
        all.push(message);
        datagram = &datagram[taken..];
    }
    assert!(datagram.is_empty(), "{datagram:?} is left");
    all
}

/// What a message is, in a word or two.
fn gist(message: &Request<'_>) -> String {
    let body = message.body();
    let multi = if message.header.flags & 2 != 0 { "" } else { " alone" };
    match message.header.kind {
        ERROR => format!("error {}", -u32_at(body, 0).unwrap().cast_signed()),
        DONE => "done".to_owned(),
        libc::RTM_NEWLINK => format!("link {}{multi}", u32_at(body, 4).unwrap()),
        libc::RTM_NEWADDR => format!("address of {}{multi}", body[0]),
        libc::RTM_NEWROUTE => format!("route of {} in {}{multi}", body[0], body[4]),
        libc::RTM_NEWRULE => format!("rule of {} for {}{multi}", body[0], body[4]),
        other => format!("{other}"),
    }
}

fn gists(datagram: &[u8]) -> Vec<String> {
    let all: Vec<_> = answers(datagram).iter().map(|answer| gists_of(answer)).collect();
    all
}

fn gists_of(answer: &[u8]) -> String {
    let gists: Vec<_> = messages(answer).iter().map(gist).collect();
    gists.join(", ")
}

/// What programs send, as recorded, and what they get for it, datagram by datagram.
const RECORDED: &[(&str, &str, &[&str])] = &[
    (
        "Go, net.Interfaces",
        "11000000 1200 0103 01000000 00000000 00",
        &["link 1, done"],
    ),
    (
        "Go, net.InterfaceAddrs",
        "11000000 1600 0103 01000000 00000000 00",
        &["address of 2, address of 10, done"],
    ),
    (
        "glibc, getifaddrs: links",
        "14000000 1200 0103 15eb096b 00000000 00000000",
        &["link 1, done"],
    ),
    (
        "glibc, getifaddrs: addresses; getaddrinfo",
        "14000000 1600 0103 16eb096b 00000000 00000000",
        &["address of 2, address of 10, done"],
    ),
    (
        "musl, getifaddrs for one family",
        "14000000 1600 0103 02000000 00000000 02000000",
        &["address of 2, done"],
    ),
    (
        "ip link, ip addr",
        "28000000 1200 0103 15eb096b 00000000 16*00 0800 1d00 01000000",
        &["link 1, done"],
    ),
    (
        "ip addr: room for a filter follows",
        "18000000 1600 0103 16eb096b 00000000 8*00 128*00",
        &["address of 2, address of 10, done"],
    ),
    (
        "ip link show dev lo: is there RTM_NEWLINK?",
        "20000000 1000 0500 00000000 00000000 16*00",
        &["error 1"],
    ),
    (
        "ip link show dev lo: its number",
        "30000000 1200 0100 15eb096b 00000000 16*00 0800 1d00 09000000 0700 0300 6c6f0000",
        &["link 1 alone"],
    ),
    (
        "ip link show dev lo",
        "30000000 1200 0100 15eb096b 00000000 11000000 12*00 0700 0300 6c6f0000 0800 1d00 01000000",
        &["link 1 alone"],
    ),
    (
        "ip route",
        "24000000 1a00 0103 15eb096b 00000000 02000000 00000000 00000000 0800 0f00 fe000000 120*00",
        &["route of 2 in 255, done"],
    ),
    (
        "ip -6 route",
        "24000000 1a00 0103 15eb096b 00000000 0a000000 00000000 00000000 0800 0f00 fe000000 120*00",
        &["route of 10 in 255, done"],
    ),
    (
        "ip route show table all",
        "1c000000 1a00 0103 15eb096b 00000000 12*00 128*00",
        &["route of 2 in 255, route of 10 in 255, done"],
    ),
    (
        "ip route get 127.0.0.1",
        "24000000 1a00 0100 15eb096b 00000000 02200000 00000000 00100000 0800 0100 7f000001",
        &["route of 2 in 254 alone"],
    ),
    (
        "ip route get 8.8.8.8",
        "24000000 1a00 0100 15eb096b 00000000 02200000 00000000 00100000 0800 0100 08080808",
        &["error 101"],
    ),
    (
        "ip rule",
        "1c000000 2200 0103 15eb096b 00000000 02000000 8*00",
        &["rule of 2 for 255, rule of 2 for 254, rule of 2 for 253, done"],
    ),
    (
        "ip neigh",
        "1c000000 1e00 0103 15eb096b 00000000 12*00 256*00",
        &["done"],
    ),
    (
        "ip link, its name by its number",
        "28000000 1200 0100 15eb096b 00000000 00000000 01000000 8*00 0800 1d00 09000000",
        &["link 1 alone"],
    ),
    (
        "ip link show type veth",
        "30000000 1200 0103 15eb096b 00000000 16*00 1000 1280 0900 0100 76657468 00000000",
        &["done"],
    ),
    (
        "bridge link",
        "20000000 1200 0103 15eb096b 00000000 07 15*00",
        &["done"],
    ),
];

#[test]
fn recorded_requests_are_answered() {
    // They were recorded on a machine that has the low byte first.
    if cfg!(target_endian = "big") {
        return;
    }
    for (what, recorded, expected) in RECORDED {
        assert_eq!(gists(&bytes(recorded)), *expected, "{what}");
    }
}

const REQUEST: u16 = 1;
const ACK: u16 = 4;
const DUMP: u16 = 0x300;

/// A structure of `length` bytes that begins with `start`, and attributes.
fn body(length: usize, start: &[u8], attributes: &[(u16, &[u8])]) -> Vec<u8> {
    let mut body = start.to_vec();
    body.resize(length, 0);
    for (kind, value) in attributes {
        body.extend(u16::try_from(value.len() + 4).unwrap().to_ne_bytes());
        body.extend(kind.to_ne_bytes());
        body.extend(*value);
        body.resize(body.len().next_multiple_of(4), 0);
    }
    body
}

fn route(family: u8, attributes: &[(u16, &[u8])]) -> Vec<u8> {
    body(12, &[family], attributes)
}

#[test]
fn what_cannot_be_had_is_refused_with_an_errno() {
    let index = |number: i32| number.to_ne_bytes();
    let link = |number: i32, attributes: &[(u16, &[u8])]| {
        let [a, b, c, d] = index(number);
        body(16, &[0, 0, 0, 0, a, b, c, d], attributes)
    };
    let get = REQUEST;
    let of_v6 = |octets: &[u8]| body(8, &[10, 128], &[(libc::IFA_ADDRESS, octets)]);
    let abroad = [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let cases: &[(u16, u16, Vec<u8>, i32)] = &[
        // Changes, whatever they are about.
        (libc::RTM_NEWLINK, get, link(1, &[]), libc::EPERM),
        (libc::RTM_DELLINK, get, link(1, &[]), libc::EPERM),
        (libc::RTM_SETLINK, get, link(1, &[]), libc::EPERM),
        (libc::RTM_NEWADDR, get | ACK, body(8, &[2, 24], &[]), libc::EPERM),
        (libc::RTM_DELADDR, get, body(8, &[], &[]), libc::EPERM),
        (libc::RTM_NEWROUTE, get | DUMP, route(2, &[]), libc::EPERM),
        (libc::RTM_NEWNSID, get, route(0, &[]), libc::EPERM),
        // What is not known.
        (libc::RTM_GETQDISC, get | DUMP, body(20, &[], &[]), libc::EOPNOTSUPP),
        (libc::RTM_GETNSID, get, body(4, &[], &[]), libc::EOPNOTSUPP),
        (libc::RTM_GETRULE, get, route(2, &[]), libc::EOPNOTSUPP),
        (libc::RTM_GETADDR, get, body(8, &[2], &[]), libc::EOPNOTSUPP),
        (libc::RTM_GETROUTE, get, route(0, &[]), libc::EOPNOTSUPP),
        (124, get, body(16, &[], &[]), libc::EOPNOTSUPP),
        (u16::MAX, get, body(16, &[], &[]), libc::EOPNOTSUPP),
        // Links that are not there.
        (libc::RTM_GETLINK, get, link(2, &[]), libc::ENODEV),
        (libc::RTM_GETLINK, get, link(2, &[(3, b"lo\0")]), libc::ENODEV),
        (libc::RTM_GETLINK, get, link(0, &[(3, b"eth0\0")]), libc::ENODEV),
        (libc::RTM_GETLINK, get, link(0, &[(3, b"l")]), libc::ENODEV),
        (libc::RTM_GETLINK, get, link(0, &[(3, b"")]), libc::ENODEV),
        (libc::RTM_GETLINK, get, link(0, &[(53, b"eth0\0")]), libc::ENODEV),
        // What is malformed.
        (libc::RTM_GETLINK, get, link(0, &[(3, &[b'a'; 16])]), libc::ERANGE),
        (libc::RTM_GETLINK, get, link(0, &[]), libc::EINVAL),
        (libc::RTM_GETLINK, get, link(-1, &[]), libc::EINVAL),
        (libc::RTM_GETLINK, get, body(15, &[], &[]), libc::EINVAL),
        (libc::RTM_GETLINK, get, vec![0], libc::EINVAL),
        (libc::RTM_GETROUTE, get, vec![2], libc::EINVAL),
        (libc::RTM_GETROUTE, get, route(2, &[(1, &[127, 0, 0])]), libc::ERANGE),
        (
            libc::RTM_GETROUTE,
            get,
            route(10, &[(1, &[127, 0, 0, 1])]),
            libc::ERANGE,
        ),
        (libc::RTM_GETROUTE, get, route(2, &[(4, &[1])]), libc::ERANGE),
        (libc::RTM_GETADDR, get, of_v6(&[0; 15]), libc::ERANGE),
        (libc::RTM_GETADDR, get, body(8, &[10], &[]), libc::EINVAL),
        // Where nothing leads.
        (libc::RTM_GETADDR, get, of_v6(&abroad), libc::EADDRNOTAVAIL),
        (
            libc::RTM_GETROUTE,
            get,
            route(2, &[(1, &[10, 0, 0, 1])]),
            libc::ENETUNREACH,
        ),
        (
            libc::RTM_GETROUTE,
            get,
            route(2, &[(1, &[128, 0, 0, 1])]),
            libc::ENETUNREACH,
        ),
        (libc::RTM_GETROUTE, get, route(10, &[(1, &abroad)]), libc::ENETUNREACH),
        (libc::RTM_GETROUTE, get, route(10, &[(1, &[0; 16])]), libc::ENETUNREACH),
        (libc::RTM_GETROUTE, get, route(10, &[]), libc::ENETUNREACH),
        (
            libc::RTM_GETROUTE,
            get,
            route(2, &[(1, &[127, 0, 0, 1]), (4, &index(2))]),
            libc::ENODEV,
        ),
        (
            libc::RTM_GETROUTE,
            get,
            route(2, &[(1, &[8, 8, 8, 8]), (4, &index(1))]),
            libc::ENETUNREACH,
        ),
        (libc::RTM_GETNEIGH, get, route(2, &[(1, &[127, 0, 0, 1])]), libc::ENOENT),
    ];
    for (kind, flags, body, errno) in cases {
        let request = request(*kind, *flags, body);
        let all = answers(&request);
        assert_eq!(all.len(), 1, "{request:?}");
        assert_eq!(gists_of(&all[0]), format!("error {errno}"), "{request:?}");
        // It says whose error it is, and repeats the request.
        let error = messages(&all[0])[0];
        assert_eq!((error.header.flags, error.header.sequence), (0, SEQUENCE));
        assert_eq!(error.body()[4..][..request.len()], request);
    }
}

#[test]
fn acknowledgements_come_after_what_was_asked_for_and_not_after_dumps() {
    let lo = body(16, &[0, 0, 0, 0], &[(3, b"lo\0")]);
    let cases: &[(u16, u16, &[u8], &[&str])] = &[
        (libc::RTM_GETLINK, REQUEST | ACK, &lo, &["link 1 alone", "error 0"]),
        (libc::RTM_GETLINK, REQUEST | ACK | DUMP, &lo, &["link 1, done"]),
        // Either bit of NLM_F_DUMP.
        (libc::RTM_GETLINK, REQUEST | 0x100, &lo, &["link 1, done"]),
        (libc::RTM_GETLINK, REQUEST | 0x200, &lo, &["link 1, done"]),
        // What is no request, or not for rtnetlink, or has no family.
        (libc::RTM_GETLINK, 0, &lo, &[]),
        (libc::RTM_GETLINK, ACK, &lo, &["error 0"]),
        (libc::RTM_NEWLINK, ACK, &lo, &["error 0"]),
        (1, REQUEST, &lo, &[]),
        (15, REQUEST | ACK, &lo, &["error 0"]),
        (libc::RTM_GETLINK, REQUEST, &[], &[]),
        (libc::RTM_NEWLINK, REQUEST | ACK, &[], &["error 0"]),
    ];
    for (kind, flags, body, expected) in cases {
        let request = request(*kind, *flags, body);
        assert_eq!(gists(&request), *expected, "{request:?}");
        if let Some(last) = answers(&request)
            .last()
            .filter(|_| flags & ACK != 0 && flags & DUMP == 0)
        {
            // Of what has succeeded only the header comes back, and it says so.
            let message = messages(last)[0];
            assert_eq!(message.header.flags, 0x100);
            assert_eq!(message.body()[4..], request[..16]);
        }
    }
}

#[test]
fn all_of_loopback_is_reached() {
    let v4: &[[u8; 4]] = &[[127, 0, 0, 1], [127, 5, 6, 7], [127, 255, 255, 255], [0; 4]];
    for octets in v4 {
        let asked = request(libc::RTM_GETROUTE, REQUEST, &route(2, &[(libc::RTA_DST, octets)]));
        let all = answers(&asked);
        let message = messages(&all[0])[0];
        let found: Vec<_> = attributes(&message.body()[12..]).collect();
        assert!(found.contains(&(libc::RTA_DST, octets)), "{octets:?}");
        assert!(found.contains(&(libc::RTA_OIF, &1_u32.to_ne_bytes())), "{octets:?}");
        assert!(found.contains(&(libc::RTA_PREFSRC, &[127, 0, 0, 1])), "{octets:?}");
    }
    let mut v6 = [0; 16];
    v6[15] = 1;
    let address = request(libc::RTM_GETADDR, REQUEST, &body(8, &[10], &[(libc::IFA_ADDRESS, &v6)]));
    assert_eq!(gists(&address), ["address of 10 alone"]);
    let way = request(libc::RTM_GETROUTE, REQUEST, &route(10, &[(libc::RTA_DST, &v6)]));
    assert_eq!(gists(&way), ["route of 10 in 255 alone"]);
}

#[test]
fn several_messages_of_a_datagram_are_answered_in_turn_until_one_is_malformed() {
    let link = request(libc::RTM_GETLINK, REQUEST | DUMP, &[0]);
    let address = request(libc::RTM_GETADDR, REQUEST | DUMP, &[0, 0, 0, 0]);
    let mut datagram = link;
    datagram.resize(20, 0xff); // padding
    datagram.extend(&address);
    let complete = datagram.len();
    for (rest, name) in [
        (&[15, 0, 0, 0][..], "shorter than a header"),
        (&[0; 64], "no length"),
        (&[3, 0, 0], "not even a length"),
        (
            &[17, 0, 0, 0, 18, 0, 1, 3, 0, 0, 0, 0, 0, 0, 0, 0],
            "longer than the datagram",
        ),
        (&[255; 16], "longer than anything"),
    ] {
        datagram.truncate(complete);
        datagram.extend(rest);
        let expected = ["link 1, done", "address of 2, address of 10, done"];
        assert_eq!(gists(&datagram), expected, "{name}");
    }
}

#[test]
fn what_is_too_long_is_refused_by_its_header() {
    let long = request(libc::RTM_GETLINK, REQUEST, &[0; 64]);
    let refused = refuse(&long, PORT).unwrap();
    assert_eq!(gists_of(&refused), format!("error {}", libc::EMSGSIZE));
    assert_eq!(refuse(&long[..15], PORT), None);
}

/// Requests that are nearly right.
fn plausible() -> impl Strategy<Value = Vec<u8>> {
    let kind = prop_oneof![16_u16..40, any::<u16>()];
    let flags = prop_oneof![Just(REQUEST), Just(REQUEST | DUMP), Just(REQUEST | ACK), any::<u16>()];
    let family = prop_oneof![Just(0_u8), Just(2), Just(10), any::<u8>()];
    let attribute = (0_u16..60, vec(any::<u8>(), 0..24));
    let fixed = (family, vec(any::<u8>(), 0..20));
    (kind, flags, fixed, vec(attribute, 0..6)).prop_map(|(kind, flags, (family, rest), attributes)| {
        let mut start = vec![family];
        start.extend(rest);
        let attributes: Vec<_> = attributes.iter().map(|(kind, value)| (*kind, &value[..])).collect();
        request(kind, flags, &body(start.len(), &start, &attributes))
    })
}

proptest! {
    #[test]
    fn whatever_is_sent_answers_are_bounded_and_well_formed(
        datagram in prop_oneof![
            vec(any::<u8>(), 0..200),
            plausible(),
            vec(plausible(), 0..8).prop_map(|all| all.concat()),
            (plausible(), vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)).prop_map(|(mut bytes, changes)| {
                for (index, byte) in changes {
                    let at = index.index(bytes.len());
                    bytes[at] = byte;
                }
                bytes
            }),
        ],
    ) {
        let mut rest = &datagram[..];
        while let Some((request, taken)) = Request::first(rest) {
            prop_assert!(taken >= 16 && taken <= rest.len());
            let all = answer(&request, PORT);
            prop_assert!(all.len() <= 2);
            for answer in &all {
                // Into the page that glibc has for it, unless it repeats a request.
                prop_assert!(answer.len() <= 4096.max(request.whole.len() + 20));
                for message in messages(answer) {
                    prop_assert_eq!(message.header.sequence, request.header.sequence);
                    let fixed = match message.header.kind {
                        ERROR => continue,
                        DONE => 4,
                        libc::RTM_NEWLINK => 16,
                        libc::RTM_NEWADDR => 8,
                        libc::RTM_NEWROUTE | libc::RTM_NEWRULE => 12,
                        other => return Err(TestCaseError::fail(format!("unknown type {other}"))),
                    };
                    // Attributes fill what is left.
                    let attributes_of = &message.body()[fixed..];
                    let length: usize = attributes(attributes_of).map(|(_, value)| (value.len() + 4).next_multiple_of(4)).sum();
                    prop_assert_eq!(length, attributes_of.len());
                }
            }
            rest = &rest[taken..];
        }
        prop_assert_eq!(refuse(&datagram, PORT).is_some(), datagram.len() >= 16);
        prop_assert_eq!(u16_at(&datagram, 0).is_some(), datagram.len() >= 2);
    }
}
