//! From text to rule. What is wrong is told with its column, which counts characters from 1.
//!
//! ```text
//! net    = [ "tcp://" | "udp://" | "icmp://" ] target [ ":" ports ]  |  "unix:" ( "/" path | "@" name ) [ "/*" ]
//! target = "*" | name | IPv4 [ "/" prefix ] | IPv6 [ "/" prefix ] | "[" IPv6 [ "/" prefix ] "]"
//! ports  = "*" | port [ "-" port ] { "," port [ "-" port ] }
//! bind   = [ "tcp://" | "udp://" ] ports
//! ```
//!
//! IPv6 without brackets takes no ports, for nothing would tell them from the address. What looks like an address and is none never
//! becomes a name: resolvers read 127.1 and 0x7f000001 as addresses.

use std::ffi::CString;
use std::net::IpAddr;

use crate::error::Error;

use super::{Destination, Network, Peer, Ports, Protocol, Protocols, Target, UnixTarget};

/// What becomes of a peer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Allow,
    Deny,
}

/// What is wrong, and at which byte.
#[derive(Debug)]
pub(super) struct Fault {
    at: usize,
    what: String,
}

type Parsed<T> = Result<T, Fault>;

/// So many characters of a rule are quoted; names of hosts are shorter.
const MOST_QUOTED: usize = 280;

/// Longest name of a host, and longest part of one.
const NAME_LENGTH: usize = 253;
const LABEL_LENGTH: usize = 63;

/// What a socket's address holds of a path, or of an abstract name, beside a NUL; and longest path of a directory.
const SUN_LENGTH: usize = 107;
const PATH_LENGTH: usize = 4095;

impl Fault {
    /// The error, for who wrote `rule`.
    pub(super) fn of(self, rule: &str) -> Error {
        let before = rule.as_bytes().get(..self.at).unwrap_or(rule.as_bytes());
        // Characters, not bytes: those of a character but the first are 0b10xxxxxx.
        let column = before.iter().filter(|&&byte| byte & 0xc0 != 0x80).count() + 1;
        let quoted = quoted(rule, MOST_QUOTED);
        Error::argument(format_args!("rule \"{quoted}\", column {column}: {}", self.what))
    }
}

/// Text of a rule in a message: one line, not long.
fn quoted(text: &str, most: usize) -> String {
    let mut quoted: String = text.chars().take(most).flat_map(char::escape_debug).collect();
    if text.chars().nth(most).is_some() {
        quoted.push('…');
    }
    quoted
}

/// A stretch of a rule.
#[derive(Clone, Copy)]
struct Part<'r> {
    text: &'r str,
    /// At which byte of the rule it begins.
    at: usize,
}

impl<'r> Part<'r> {
    /// Something is wrong with it, `beyond` bytes from where it begins.
    fn fault<T>(self, beyond: usize, what: impl Into<String>) -> Parsed<T> {
        Err(Fault {
            at: self.at + beyond,
            what: what.into(),
        })
    }

    /// What is before and after `separator`, where it comes first.
    fn split(self, separator: &str) -> Option<(Self, Self)> {
        let (before, after) = self.text.split_once(separator)?;
        let at = self.at + before.len() + separator.len();
        let before = Part { text: before, ..self };
        Some((before, Part { text: after, at }))
    }

    /// What follows `prefix`.
    fn after(self, prefix: &str) -> Option<Self> {
        let text = self.text.strip_prefix(prefix)?;
        let at = self.at + prefix.len();
        Some(Part { text, at })
    }

    /// What is between separators.
    fn pieces(self, separator: char) -> impl Iterator<Item = Part<'r>> {
        let mut next = self.at;
        self.text.split(separator).map(move |text| {
            let at = next;
            next += text.len() + separator.len_utf8();
            Part { text, at }
        })
    }

    fn short(self) -> String {
        quoted(self.text, 40)
    }
}

/// The whole rule, which is one line.
fn whole(rule: &str) -> Parsed<Part<'_>> {
    let part = Part { text: rule, at: 0 };
    if let Some((at, control)) = rule.char_indices().find(|(_, character)| character.is_control()) {
        return part.fault(at, format!("a control character, {control:?}"));
    }
    if rule.is_empty() {
        return part.fault(0, "the rule is empty");
    }
    Ok(part)
}

/// Whom a rule of this kind is about.
pub(super) fn peer(rule: &str, verdict: Verdict) -> Parsed<Peer> {
    let rule = whole(rule)?;
    if let Some(rest) = rule.after("unix:") {
        return Ok(Peer::Unix(unix(rest)?));
    }
    let (scheme, rest) = scheme(rule, "tcp, udp, icmp and unix:")?;
    let (target, ports) = target_and_ports(rest)?;
    let protocols = scheme.map_or(Protocols::WITH_PORTS, Protocols::only);
    if let (Some(Protocol::Icmp), Some(ports)) = (scheme, ports) {
        return ports.fault(0, "ICMP has no ports");
    }
    let (place, found) = (target.part, target_of(target)?);
    let ports = match ports {
        Some(said) => port_set(said, "there is no port 0 to connect to")?,
        None => Ports::all(),
    };
    if verdict == Verdict::Deny {
        if let Target::Name(_) = found {
            return place.fault(
                0,
                "what is denied is an address, a network or *, for a name may stand for others later",
            );
        }
        if found == Target::Any && scheme.is_none() && ports.is_all() {
            return place.fault(0, "this would deny everything, as a policy does that allows nothing");
        }
    }
    Ok(Peer::Internet(Destination {
        protocols,
        target: found,
        ports,
    }))
}

/// The ports that a rule for binding is about.
pub(super) fn bound(rule: &str) -> Parsed<(Protocol, Ports)> {
    let rule = whole(rule)?;
    let (scheme, rest) = scheme(rule, "tcp and udp")?;
    let protocol = scheme.unwrap_or(Protocol::Tcp);
    if protocol == Protocol::Icmp {
        return rule.fault(0, "ICMP has no ports");
    }
    let zero = "to bind to port 0 is to be given a free one of those that are allowed: write * or a range of them";
    Ok((protocol, port_set(rest, zero)?))
}

/// The protocol that is said, if any, and what follows.
fn scheme<'r>(rule: Part<'r>, known: &str) -> Parsed<(Option<Protocol>, Part<'r>)> {
    let Some((name, rest)) = rule.split("://") else {
        return Ok((None, rule));
    };
    let protocol = match name.text {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        "icmp" => Protocol::Icmp,
        _ => return name.fault(0, format!("unknown scheme \"{}\"; known are {known}", name.short())),
    };
    Ok((Some(protocol), rest))
}

/// Where a target is said.
#[derive(Clone, Copy)]
struct Place<'r> {
    part: Part<'r>,
    bracketed: bool,
}

/// The target without its brackets, and what is said of ports.
fn target_and_ports(rest: Part<'_>) -> Parsed<(Place<'_>, Option<Part<'_>>)> {
    let plain = |part| Place { part, bracketed: false };
    if let Some(inside) = rest.after("[") {
        let Some((part, after)) = inside.split("]") else {
            return rest.fault(0, "this bracket is not closed");
        };
        let ports = match (after.text, after.after(":")) {
            ("", _) => None,
            (_, Some(ports)) => Some(ports),
            (other, None) if other.starts_with('/') => {
                return after.fault(0, "the prefix belongs inside the brackets: [fd00::/8]");
            }
            _ => return after.fault(0, "only \":\" and ports can follow the brackets"),
        };
        return Ok((Place { part, bracketed: true }, ports));
    }
    let Some((target, ports)) = rest.split(":") else {
        return Ok((plain(rest), None));
    };
    if !ports.text.contains(':') {
        return Ok((plain(target), Some(ports)));
    }
    // IPv6, if anything.
    let group = target.text.bytes().all(|digit| digit.is_ascii_hexdigit()) && target.text.len() <= 4;
    match ports.text.find(':') {
        Some(second) if !group => ports.fault(second, "a second \":\" in something that is no IPv6 address"),
        _ => Ok((plain(rest), None)),
    }
}

fn target_of(place: Place<'_>) -> Parsed<Target> {
    let part = place.part;
    let long = part.text.contains(':');
    if place.bracketed && !long {
        return part.fault(0, "brackets are for IPv6 addresses");
    }
    if part.text.is_empty() {
        return part.fault(0, "the target is missing; * is any");
    }
    if part.text == "*" {
        return Ok(Target::Any);
    }
    let (address, prefix) = match part.split("/") {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (part, None),
    };
    if let (true, Some(scope)) = (long, address.text.find('%')) {
        return address.fault(
            scope,
            "scope ids are not known here: an address is meant on every interface",
        );
    }
    let Ok(found) = address.text.parse::<IpAddr>() else {
        return match prefix {
            _ if long => address.fault(0, format!("\"{}\" is no IPv6 address", address.short())),
            None => Ok(Target::Name(name(address)?)),
            Some(_) => address.fault(
                0,
                format!("\"{}\" is no address, which a prefix takes", address.short()),
            ),
        };
    };
    let network = match prefix {
        Some(prefix) => network(address, found, prefix, long && !place.bracketed)?,
        None => Network::host(found),
    };
    if network == Network::host(network.address()) && network.address().is_unspecified() {
        let own = if network.address().is_ipv4() {
            "127.0.0.1"
        } else {
            "::1"
        };
        return address.fault(
            0,
            format!("the unspecified address is no destination; this host is {own}"),
        );
    }
    Ok(Target::Network(network))
}

fn network(address: Part<'_>, found: IpAddr, prefix: Part<'_>, bare: bool) -> Parsed<Network> {
    if bare && prefix.text.contains(':') {
        return prefix.fault(0, "an IPv6 network with ports stands in brackets: [fd00::/8]:443");
    }
    let most = super::width(found);
    let number = decimal(prefix.text).and_then(|number| u8::try_from(number).ok());
    let network = number.and_then(|number| Some((number, Network::around(found, number)?)));
    let Some((number, network)) = network else {
        return prefix.fault(
            0,
            format!("the prefix \"{}\" is not within 0 to {most}", prefix.short()),
        );
    };
    // IPv4-mapped ones have become IPv4.
    let first = match (found, network.address()) {
        (IpAddr::V6(_), IpAddr::V4(short)) => IpAddr::V6(short.to_ipv6_mapped()),
        (_, first) => first,
    };
    if first != found {
        return address.fault(
            0,
            format!("this address has bits beyond the prefix; the network is {first}/{number}"),
        );
    }
    Ok(network)
}

/// The name of a host, in lower case and without a dot in the end.
fn name(part: Part<'_>) -> Parsed<String> {
    let text = part.text.strip_suffix('.').unwrap_or(part.text);
    let part = Part { text, ..part };
    let fits = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.');
    if let Some((at, other)) = text.char_indices().find(|(_, character)| !fits(*character)) {
        let what = match other {
            '*' => "there are no wildcards in names; * alone is any".to_owned(),
            _ if !other.is_ascii() => "names are ASCII; write what is not as \"xn--\" and so on".to_owned(),
            _ => format!("{other:?} in the name of a host"),
        };
        return part.fault(at, what);
    }
    if text.len() > NAME_LENGTH {
        return part.fault(
            0,
            format!("a name of {} characters, of {NAME_LENGTH} at most", text.len()),
        );
    }
    for label in part.pieces('.') {
        let length = label.text.len();
        if length == 0 {
            return label.fault(0, "a part of the name is empty");
        }
        if length > LABEL_LENGTH {
            return label.fault(0, format!("a part of {length} characters, of {LABEL_LENGTH} at most"));
        }
        if label.text.starts_with('-') {
            return label.fault(0, "a part of the name begins with \"-\"");
        }
        if label.text.ends_with('-') {
            return label.fault(length - 1, "a part of the name ends with \"-\"");
        }
    }
    let name = text.to_ascii_lowercase();
    let last = name.rsplit('.').next().unwrap_or_default();
    let hexadecimal = last
        .strip_prefix("0x")
        .is_some_and(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
    if hexadecimal || last.bytes().all(|digit| digit.is_ascii_digit()) {
        return part.fault(0, format!("\"{}\" looks like an address and is none", part.short()));
    }
    Ok(name)
}

/// A set of ports; `zero` says what is wrong with port 0.
fn port_set(part: Part<'_>, zero: &str) -> Parsed<Ports> {
    if part.text == "*" {
        return Ok(Ports::all());
    }
    let mut ranges = Vec::new();
    for item in part.pieces(',') {
        let (first, last) = match item.split("-") {
            Some((first, last)) => (port(first, zero)?, port(last, zero)?),
            None => {
                let port = port(item, zero)?;
                (port, port)
            }
        };
        if first > last {
            return item.fault(0, format!("the range is reversed; write {last}-{first}"));
        }
        ranges.push(first..=last);
    }
    match Ports::from_ranges(ranges) {
        Some(ports) => Ok(ports),
        None => part.fault(0, "a port is missing"),
    }
}

fn port(part: Part<'_>, zero: &str) -> Parsed<u16> {
    let number = decimal(part.text).and_then(|number| u16::try_from(number).ok());
    match number {
        Some(0) => part.fault(0, zero),
        Some(port) => Ok(port),
        None if part.text.is_empty() => part.fault(0, "a port is missing; * is all"),
        None if part.text == "*" => part.fault(0, "* stands for all ports, and alone"),
        None => part.fault(0, format!("\"{}\" is no port: they are 1 to 65535", part.short())),
    }
}

/// A number in decimal digits, without any before it that say nothing.
fn decimal(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.len() <= 5 && text.bytes().all(|digit| digit.is_ascii_digit());
    let plain = digits && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain)
}

/// Unix sockets, after "unix:".
fn unix(part: Part<'_>) -> Parsed<UnixTarget> {
    let (body, beneath) = match part.text.strip_suffix("/*") {
        Some(text) => (Part { text, ..part }, true),
        None => (part, false),
    };
    if let Some(at) = body.text.find('*') {
        return body.fault(at, "* stands in the end only, after \"/\"");
    }
    if let Some(name) = body.after("@") {
        if name.text.is_empty() {
            return name.fault(0, "the name is missing");
        }
        let most = SUN_LENGTH - usize::from(beneath);
        if name.text.len() > most {
            return name.fault(0, format!("a name of {} bytes, of {most} at most", name.text.len()));
        }
        return Ok(UnixTarget::Abstract {
            name: name.text.into(),
            beneath,
        });
    }
    let path = match (body.after("/"), body.text.is_empty() && beneath) {
        (Some(names), _) => {
            for name in names.pieces('/') {
                match name.text {
                    "" => return name.fault(0, "a name in the path is empty"),
                    "." | ".." => return name.fault(0, format!("\"{}\" in the path", name.text)),
                    _ => {}
                }
            }
            body.text
        }
        (None, true) => "/",
        (None, false) => return part.fault(0, "neither \"/\" and a path nor \"@\" and a name"),
    };
    let most = if beneath { PATH_LENGTH } else { SUN_LENGTH };
    if path.len() > most {
        return body.fault(0, format!("a path of {} bytes, of {most} at most", path.len()));
    }
    match CString::new(path) {
        Ok(path) => Ok(UnixTarget::Path { path, beneath }),
        Err(_) => body.fault(0, "a NUL in the path"),
    }
}
