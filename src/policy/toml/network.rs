//! Network rules as text: the table `network`.

use ::toml::de::DeTable;

use crate::error::Result;

use super::super::net::Protocol;
use super::super::{BindRule, NetRule, NetRules, Policy};
use super::values::{Entry, Reader, entries};
use super::write;

/// Keys of rules, each an array, in the order in which they are written.
const ALLOW: &str = "allow";
const DENY: &str = "deny";
const ALLOW_BIND: &str = "allow-bind";
const DENY_BIND: &str = "deny-bind";

/// Seconds.
const REFRESH: &str = "refresh";

/// The key of texts from before there were rules. It can say that there are none, for TCP.
const TCP: &str = "tcp";

impl Reader<'_> {
    pub(super) fn network(&mut self, table: &DeTable<'_>) {
        let mut rules = NetRules::default();
        let mut without_tcp = None;
        for entry in entries("network", table) {
            match entry.key {
                ALLOW => rules.allow = self.rules(&entry, NetRule::allow),
                DENY => rules.deny = self.rules(&entry, NetRule::deny),
                ALLOW_BIND => rules.allow_bind = self.rules(&entry, BindRule::parse),
                DENY_BIND => rules.deny_bind = self.rules(&entry, BindRule::parse),
                REFRESH => {
                    let expected = "seconds: an integer from 1";
                    rules.refresh = self.integer(&entry.path, entry.value, expected);
                    if rules.refresh == Some(0) {
                        self.wrong_type(&entry.path, entry.value, expected);
                    }
                }
                TCP => {
                    let said = self.choice(&entry.path, entry.value, &["deny"], |value| value);
                    without_tcp = said.map(|_| entry.value.span().start);
                }
                _ => {
                    let known = [ALLOW, DENY, ALLOW_BIND, DENY_BIND, REFRESH, TCP];
                    self.unknown_key(&entry, &known.map(str::to_owned));
                }
            }
        }
        let tcp = rules.allows(Protocol::Tcp) || rules.bound_ports(Protocol::Tcp).is_some();
        if let (Some(at), true) = (without_tcp, tcp) {
            self.problem(at, "network.tcp is \"deny\", but rules allow some of it");
        }
        self.policy.network = rules;
    }

    fn rules<T>(&mut self, entry: &Entry<'_, '_>, parse: fn(&str) -> Result<T>) -> Vec<T> {
        let expected = "an array of rules: strings";
        let mut rules = Vec::new();
        for item in self.array(&entry.path, entry.value, expected) {
            match self.string(&entry.path, item, expected).map(parse) {
                Some(Ok(rule)) => rules.push(rule),
                Some(Err(error)) => self.accept(&entry.path, item, Err(error)),
                None => {}
            }
        }
        rules
    }
}

/// What a policy says of the network, as lines of a table.
pub(super) fn lines(policy: &Policy) -> Vec<(String, String)> {
    let rules = &policy.network;
    let peers = |rules: &[NetRule]| rules.iter().map(|rule| write::string(rule.text())).collect();
    let ports = |rules: &[BindRule]| rules.iter().map(|rule| write::string(rule.text())).collect();
    let lists: [(&str, Vec<String>); 4] = [
        (ALLOW, peers(&rules.allow)),
        (DENY, peers(&rules.deny)),
        (ALLOW_BIND, ports(&rules.allow_bind)),
        (DENY_BIND, ports(&rules.deny_bind)),
    ];
    let said = lists.into_iter().filter(|(_, rules)| !rules.is_empty());
    let refresh = rules.refresh.map(|seconds| (REFRESH.to_owned(), seconds.to_string()));
    said.map(|(key, rules)| (key.to_owned(), write::list(key, &rules)))
        .chain(refresh)
        .collect()
}

#[cfg(test)]
#[path = "network_tests.rs"]
pub(super) mod tests;
