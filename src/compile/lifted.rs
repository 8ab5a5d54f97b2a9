//! What a policy takes back itself: calls that it allows by name and that a feature has refused, or tested, to be whole.

use std::collections::BTreeMap;

use crate::feature::Feature;
use crate::policy::syscalls::SyscallRules;

use super::defaults::{self, Gaps, Metadata};
use super::filter::Rule;
use super::{sockets, syscalls};

/// Memory that belongs to nobody who could be asked.
const UNSEEN_MEMORY: &[&str] = &["memfd_secret", "shmget", "msgget"];
/// It does on behalf of a program what calls do, past the filter.
const IO_URING: &str = "io_uring_setup";

/// The calls that `rules` allow, of those without which `feature` is not whole.
pub(super) fn lifted(feature: Feature, rules: &SyscallRules, gaps: Gaps) -> Vec<String> {
    let mut guards: Vec<&str> = match feature {
        Feature::FilesMetadata => guards(gaps, |gaps| gaps.metadata = Metadata::Open),
        // Where the feature is not asked for, sockets of other protocols are refused all the same.
        Feature::Network if gaps.network.is_some() => {
            sockets::rules(gaps.network).iter().map(|(name, _)| *name).collect()
        }
        Feature::Disk => guards(gaps, |gaps| gaps.reservations = false),
        Feature::Memory => UNSEEN_MEMORY.to_vec(),
        _ => Vec::new(),
    };
    if guards.is_empty() {
        return Vec::new();
    }
    if feature != Feature::Memory {
        guards.push(IO_URING);
    }
    let mut lifted = syscalls::lifted(rules, gaps);
    lifted.retain(|name| guards.contains(&name.as_str()));
    lifted
}

/// The calls that the defaults treat otherwise for what `open` opens.
fn guards(gaps: Gaps, open: impl FnOnce(&mut Gaps)) -> Vec<&'static str> {
    let mut without = gaps;
    open(&mut without);
    let rules = |gaps| -> BTreeMap<&'static str, Rule> { defaults::rules(gaps).into_iter().collect() };
    let others = rules(without);
    let differ = rules(gaps)
        .into_iter()
        .filter(|(name, rule)| others.get(name) != Some(rule));
    differ.map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::net::reach::Network;
    use crate::policy::syscalls::{SyscallRule, Verdict};

    const GAPS: Gaps = Gaps {
        metadata: Metadata::Guarded,
        network: Some(Network::CLOSED),
        network_rules: false,
        reservations: true,
    };

    fn of(feature: Feature, gaps: Gaps, names: &[&str]) -> String {
        let rules = SyscallRules {
            rules: names
                .iter()
                .map(|&name| SyscallRule {
                    name: name.to_owned(),
                    verdict: Verdict::Allow,
                })
                .collect(),
            ..SyscallRules::default()
        };
        lifted(feature, &rules, gaps).join(" ")
    }

    #[test]
    fn what_is_allowed_by_name_is_lifted_from_the_features_that_rest_on_it() {
        let names = ["fchmodat", "socket", "fallocate", "memfd_secret", "ptrace", "read"];
        assert_eq!(of(Feature::FilesMetadata, GAPS, &names), "fchmodat");
        assert_eq!(of(Feature::Network, GAPS, &names), "socket");
        assert_eq!(of(Feature::Disk, GAPS, &names), "fallocate");
        assert_eq!(of(Feature::Memory, GAPS, &names), "memfd_secret");
        assert_eq!(of(Feature::Files, GAPS, &names), "");
    }

    #[test]
    fn io_uring_goes_past_every_filter() {
        for feature in [Feature::FilesMetadata, Feature::Network, Feature::Disk] {
            assert_eq!(of(feature, GAPS, &["io_uring_setup"]), "io_uring_setup");
        }
    }

    #[test]
    fn what_nobody_keeps_is_not_lifted() {
        let open = Gaps {
            metadata: Metadata::Open,
            network: None,
            reservations: false,
            ..GAPS
        };
        for feature in [Feature::FilesMetadata, Feature::Network, Feature::Disk] {
            assert_eq!(
                of(feature, open, &["fchmodat", "socket", "fallocate", "io_uring_setup"]),
                ""
            );
        }
    }

    #[test]
    fn calls_of_network_rules_are_theirs() {
        let ruled = Gaps {
            network_rules: true,
            ..GAPS
        };
        assert_eq!(of(Feature::Network, ruled, &["socket", "io_uring_setup"]), "");
    }

    #[test]
    fn a_group_lifts_what_it_lifts_in_the_filter() {
        assert_eq!(of(Feature::Memory, GAPS, &["@sysv-ipc"]), "msgget shmget");
        assert_eq!(of(Feature::Network, GAPS, &["@network-io"]), "");
    }
}
