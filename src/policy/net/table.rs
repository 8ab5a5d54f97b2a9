//! Deciding by network rules, names of hosts looked up.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::ops::RangeInclusive;

use super::{Destination, NetRule, NetRules, Network, Ports, Protocol, Target, reached_by};

/// What becomes of a connection or a datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// A rule allows it, and none denies it.
    Allowed,
    /// No rule allows it.
    Missing,
    /// This rule denies it, whatever others allow. The first one that does, as it was written.
    Denied(String),
}

/// The rules of a sandbox. A decision takes a search for each length of prefix that occurs in the rules, and none of them all but to say
/// which one denies.
#[derive(Clone, Debug, Default)]
pub struct Table {
    allowed: BTreeMap<Protocol, Reach>,
    denied: BTreeMap<Protocol, Reach>,
    /// What is denied, by which rule, in the order of the policy.
    denials: Vec<(Destination, String)>,
    bound: BTreeMap<Protocol, Ports>,
}

impl Table {
    /// The table of `rules`, with the addresses of the hosts that they name. A name without addresses allows nothing, nor does the
    /// unspecified address as one, by which lists of hosts shut names out.
    pub fn new(rules: &NetRules, addresses: &BTreeMap<String, Vec<IpAddr>>) -> Self {
        let mut table = Self::default();
        for protocol in Protocol::ALL {
            let side = |rules: &[NetRule]| {
                let destinations = rules.iter().filter_map(NetRule::destination);
                Reach::of(destinations.filter(|found| found.protocols.has(protocol)), addresses)
            };
            table.allowed.insert(protocol, side(&rules.allow));
            table.denied.insert(protocol, side(&rules.deny));
            table
                .bound
                .extend(rules.bound_ports(protocol).map(|ports| (protocol, ports)));
        }
        let denial = |rule: &NetRule| Some((rule.destination()?.clone(), rule.text().to_owned()));
        table.denials = rules.deny.iter().filter_map(denial).collect();
        table
    }

    /// What becomes of `protocol` to this address and port; ICMP has none. The address is that which [`reached_by`] makes of it.
    pub fn decide(&self, protocol: Protocol, address: IpAddr, port: u16) -> Decision {
        let address = reached_by(address);
        let has = |side: &BTreeMap<Protocol, Reach>| {
            side.get(&protocol)
                .is_some_and(|reach| reach.has(protocol, address, port))
        };
        if has(&self.denied) {
            let denies = |destination: &Destination| {
                let there = match &destination.target {
                    Target::Any => true,
                    Target::Network(network) => network.contains(address),
                    Target::Name(_) => false,
                };
                there
                    && destination.protocols.has(protocol)
                    && (has_no_ports(protocol) || destination.ports.contains(port))
            };
            let denial = self.denials.iter().find(|(destination, _)| denies(destination));
            return Decision::Denied(denial.map(|(_, text)| text.clone()).unwrap_or_default());
        }
        if has(&self.allowed) {
            Decision::Allowed
        } else {
            Decision::Missing
        }
    }

    /// True if the program may bind to this port, which is not 0.
    pub fn may_bind(&self, protocol: Protocol, port: u16) -> bool {
        self.bound.get(&protocol).is_some_and(|ports| ports.contains(port))
    }
}

fn has_no_ports(protocol: Protocol) -> bool {
    protocol == Protocol::Icmp
}

/// Networks, and the ports there. IPv4 lies among IPv6 here as it does in IPv4-mapped addresses, beneath 96 bits, and is not part of the
/// networks above.
#[derive(Clone, Debug, Default)]
struct Reach {
    /// Lengths of prefixes that occur.
    depths: Vec<u8>,
    /// By length of prefix and first address.
    ports: BTreeMap<(u8, u128), Ports>,
}

/// Bits before an IPv4 address.
const MAPPED: u8 = 96;

impl Reach {
    fn of<'r>(destinations: impl Iterator<Item = &'r Destination>, addresses: &BTreeMap<String, Vec<IpAddr>>) -> Self {
        let mut ranges: BTreeMap<(u8, u128), Vec<RangeInclusive<u16>>> = BTreeMap::new();
        for destination in destinations {
            for place in places(&destination.target, addresses) {
                let ports = destination.ports.ranges().iter().cloned();
                ranges.entry(place).or_default().extend(ports);
            }
        }
        let depths: BTreeSet<u8> = ranges.keys().map(|(depth, _)| *depth).collect();
        let merged = ranges
            .into_iter()
            .filter_map(|(place, ranges)| Some((place, Ports::from_ranges(ranges)?)));
        Self {
            depths: depths.into_iter().collect(),
            ports: merged.collect(),
        }
    }

    fn has(&self, protocol: Protocol, address: IpAddr, port: u16) -> bool {
        let least = if address.is_ipv4() { MAPPED } else { 0 };
        let depths = self.depths.iter().filter(|&&depth| depth >= least);
        let mut ports = depths.filter_map(|&depth| self.ports.get(&(depth, first(bits(address), depth))));
        ports.any(|ports| has_no_ports(protocol) || ports.contains(port))
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(short) => short.to_ipv6_mapped().to_bits(),
        IpAddr::V6(long) => long.to_bits(),
    }
}

/// The first address that has `depth` bits in common with this one.
fn first(address: u128, depth: u8) -> u128 {
    let beyond = 128 - u32::from(depth.min(128));
    address & u128::MAX.checked_shl(beyond).unwrap_or(0)
}

/// Where a target lies.
fn places(target: &Target, addresses: &BTreeMap<String, Vec<IpAddr>>) -> Vec<(u8, u128)> {
    let place = |network: &Network| {
        let before = if network.address().is_ipv4() { MAPPED } else { 0 };
        (before.saturating_add(network.prefix()), bits(network.address()))
    };
    match target {
        Target::Any => {
            let all_of_ipv4 = std::net::Ipv4Addr::UNSPECIFIED.to_ipv6_mapped().to_bits();
            vec![(0, 0), (MAPPED, all_of_ipv4)]
        }
        Target::Network(network) => vec![place(network)],
        Target::Name(name) => {
            let found = addresses
                .get(name)
                .into_iter()
                .flatten()
                .map(|address| address.to_canonical());
            let hosts = found.filter(|address| !address.is_unspecified()).map(Network::host);
            hosts.map(|host| place(&host)).collect()
        }
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
