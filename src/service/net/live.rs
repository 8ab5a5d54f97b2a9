//! What a program may reach now: the rules that its sandbox was started with, and beneath that ceiling those that it has been given
//! since. Names of hosts may come to mean other addresses meanwhile.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use crate::lock::{Mutex, RwLock};
use crate::policy::net::{Decision, NetRule, NetRules, Protocol, Table};

type Addresses = BTreeMap<String, Vec<IpAddr>>;

/// Decisions, as of now.
#[derive(Clone)]
pub(super) struct Now {
    ceiling: Arc<Table>,
    /// None: all that the ceiling allows.
    beneath: Option<Arc<Table>>,
}

impl Now {
    fn decide(&self, by: impl Fn(&Table) -> Decision) -> Decision {
        match (by(&self.ceiling), &self.beneath) {
            (Decision::Allowed, Some(beneath)) => by(beneath),
            (decision, _) => decision,
        }
    }

    pub(super) fn destination(&self, protocol: Protocol, host: IpAddr, port: u16) -> Decision {
        self.decide(|table| table.decide(protocol, host, port))
    }

    pub(super) fn path(&self, path: &[u8]) -> Decision {
        self.decide(|table| table.decide_path(path))
    }

    pub(super) fn name(&self, name: &[u8]) -> Decision {
        self.decide(|table| table.decide_name(name))
    }

    /// Ports are those that the sandbox was started with.
    pub(super) fn ports(&self) -> &Table {
        &self.ceiling
    }
}

/// What decisions are made of.
struct Sources {
    at_start: NetRules,
    since: Option<NetRules>,
    /// Where the hosts are that either names.
    addresses: Addresses,
}

/// Decisions, and what changes them. Each is made by the rules of one moment.
pub(super) struct Live {
    now: RwLock<Now>,
    sources: Mutex<Sources>,
}

impl Live {
    pub(super) fn new(rules: &NetRules, addresses: &Addresses) -> Self {
        let sources = Sources {
            at_start: rules.clone(),
            since: None,
            addresses: addresses.clone(),
        };
        Self {
            now: RwLock::new(sources.decisions()),
            sources: Mutex::new(sources),
        }
    }

    pub(super) fn now(&self) -> Now {
        self.now.read().clone()
    }

    /// What is allowed at most.
    pub(super) fn allowed_at_start(&self) -> Vec<NetRule> {
        self.sources.lock().at_start.allow.clone()
    }

    /// Hosts in `rules` of which it is not known where they are.
    pub(super) fn unknown_names(&self, rules: &NetRules) -> Vec<String> {
        let sources = self.sources.lock();
        let names = rules.names().into_iter();
        names
            .filter(|name| !sources.addresses.contains_key(*name))
            .map(str::to_owned)
            .collect()
    }

    /// From now on these rules count, as far as the first ones allow it. `found`: where hosts are that they name. What is returned are
    /// the names, of hosts, that can still be reached.
    pub(super) fn update(&self, rules: NetRules, found: &Addresses) -> Addresses {
        let mut sources = self.sources.lock();
        for (name, addresses) in found {
            sources
                .addresses
                .entry(name.clone())
                .or_insert_with(|| addresses.clone());
        }
        sources.since = Some(rules);
        *self.now.write() = sources.decisions();
        sources.known_names()
    }

    /// Hosts have moved. What is returned is as for [`Live::update`].
    pub(super) fn renew(&self, addresses: Addresses) -> Addresses {
        let mut sources = self.sources.lock();
        sources.addresses.extend(addresses);
        *self.now.write() = sources.decisions();
        sources.known_names()
    }
}

impl Sources {
    fn decisions(&self) -> Now {
        let table = |rules: &NetRules| Arc::new(Table::new(rules, &self.addresses));
        Now {
            ceiling: table(&self.at_start),
            beneath: self.since.as_ref().map(table),
        }
    }

    /// The names that the program is to know: of those that it was started with the ones that the rules still name.
    fn known_names(&self) -> Addresses {
        let since = self.since.as_ref().map(NetRules::names);
        let kept = |name: &&str| since.as_ref().is_none_or(|since| since.contains(name));
        let names = self.at_start.names().into_iter().filter(kept);
        names
            .filter_map(|name| Some((name.to_owned(), self.addresses.get(name)?.clone())))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(allow: &[&str], deny: &[&str]) -> NetRules {
        NetRules {
            allow: allow.iter().map(|text| NetRule::allow(text).unwrap()).collect(),
            deny: deny.iter().map(|text| NetRule::deny(text).unwrap()).collect(),
            ..NetRules::default()
        }
    }

    fn reaches(live: &Live, host: &str) -> bool {
        live.now().destination(Protocol::Tcp, host.parse().unwrap(), 80) == Decision::Allowed
    }

    fn addresses(list: &[(&str, &str)]) -> Addresses {
        list.iter()
            .map(|(name, address)| ((*name).to_owned(), vec![address.parse().unwrap()]))
            .collect()
    }

    #[test]
    fn rules_are_tightened_and_loosened_up_to_those_of_the_start() {
        let live = Live::new(&rules(&["10.0.0.0/8"], &["10.9.0.0/16"]), &Addresses::new());
        assert!(reaches(&live, "10.0.0.1") && reaches(&live, "10.1.0.1"));
        live.update(rules(&["10.1.0.0/16", "192.0.2.1"], &[]), &Addresses::new());
        assert!(reaches(&live, "10.1.0.1") && !reaches(&live, "10.0.0.1"));
        live.update(rules(&["*"], &["10.1.0.0/16"]), &Addresses::new());
        assert!(reaches(&live, "10.0.0.1") && !reaches(&live, "10.1.0.1"));
        for beyond in ["192.0.2.1", "10.9.0.1"] {
            assert!(!reaches(&live, beyond), "{beyond}");
        }
        live.update(rules(&[], &[]), &Addresses::new());
        assert!(!reaches(&live, "10.0.0.1"));
    }

    #[test]
    fn names_are_known_while_both_sets_of_rules_have_them() {
        let live = Live::new(
            &rules(&["one", "two"], &[]),
            &addresses(&[("one", "10.0.0.1"), ("two", "10.0.0.2")]),
        );
        let known = live.update(
            rules(&["two", "three"], &[]),
            &addresses(&[("two", "10.0.0.9"), ("three", "10.0.0.3")]),
        );
        assert_eq!(known, addresses(&[("two", "10.0.0.2")]));
        assert!(reaches(&live, "10.0.0.2") && !reaches(&live, "10.0.0.1") && !reaches(&live, "10.0.0.3"));
        let moved = addresses(&[("one", "10.0.1.1"), ("two", "10.0.1.2")]);
        assert_eq!(live.renew(moved), addresses(&[("two", "10.0.1.2")]));
        assert!(reaches(&live, "10.0.1.2") && !reaches(&live, "10.0.0.2") && !reaches(&live, "10.0.1.1"));
    }
}
