//! What each step of a child is for: what to say when one fails, and what of it goes into the report.

use std::sync::Arc;

use crate::error::{Error, ErrorKind, Stage};
use crate::feature::{Feature, State};
use crate::plan::Record;
use crate::policy::Limit;
use crate::policy::process::ProcessSettings;
use crate::probe::namespace_hint;
use crate::report::{Report, Row};
use crate::sys::namespace::Refusal;

use super::prepare::Prepared;
use super::steps;

/// What a step is for.
pub(super) struct Purpose {
    pub(super) feature: Option<Feature>,
    pub(super) stage: Stage,
    pub(super) what: &'static str,
}

/// What each step is for.
#[derive(Default)]
pub(super) struct Purposes(Vec<Purpose>);

/// What a run does without, though the policy could be prepared with it.
pub(super) struct Shortfalls<'a> {
    /// The errno that kept the warden from a domain of its own, or 0.
    pub(super) no_domain: i32,
    /// The errno that kept the sandbox from a control group, or 0.
    pub(super) no_group: i32,
    /// Hosts that network rules name and that nobody knows.
    pub(super) unresolved: &'a [String],
}

impl Purposes {
    pub(super) fn push(&mut self, purpose: Purpose) {
        self.0.push(purpose);
    }

    /// Describes the failure of step `index`; of a step of the policy's view, in that `part`.
    pub(super) fn error(&self, index: usize, errno: i32, prepared: &Prepared, part: usize) -> Error {
        match self.0.get(index) {
            Some(purpose) => {
                let about = match (&prepared.view, purpose.feature, purpose.stage) {
                    (Some(view), Some(Feature::NsMount), _) => Some(view.name_of_mount(part)),
                    (Some(view), _, Stage::Landlock) => view.name_of_rule(part),
                    _ => value_of(purpose, &prepared.policy.process),
                };
                let what = about.map_or_else(
                    || format!("{}{}", purpose.what, hint(purpose, errno)),
                    |about| format!("{}: {about}", purpose.what),
                );
                Error::system(ErrorKind::ChildSetup, purpose.stage, what, errno)
            }
            None => Error::system(ErrorKind::Internal, Stage::Spawn, "an unknown step", errno),
        }
    }

    /// The report: what was decided, corrected by what the steps in `record` came to, and by what else this run did without.
    pub(super) fn report(
        &self,
        prepared: &Prepared,
        record: &Record,
        terminal: bool,
        shortfalls: &Shortfalls<'_>,
    ) -> Arc<Report> {
        let &Shortfalls {
            no_domain,
            no_group,
            unresolved,
        } = shortfalls;
        let all_well = (0..self.0.len()).all(|index| record.outcome(index) == 0);
        if all_well && !terminal && no_domain == 0 && no_group == 0 && unresolved.is_empty() {
            return Arc::clone(&prepared.report);
        }
        let mut rows = prepared.compiled.decisions.rows().to_vec();
        for row in &mut rows {
            if row.feature == Feature::KillAll && no_domain != 0 {
                row.state = State::Degraded;
                "process group, walk of descendants".clone_into(&mut row.mechanism);
                "the warden's domain: failed at start".clone_into(&mut row.detail);
                row.errno = no_domain;
            }
            if row.feature == Feature::Network && !unresolved.is_empty() {
                row.state = State::Degraded;
                row.detail = format!("unreachable, for they could not be resolved: {}", unresolved.join("; "));
            }
            if row.feature == Feature::Processes && no_domain != 0 {
                set_failed(row, "the warden's domain", no_domain);
            }
            let group = prepared.compiled.group;
            let lost = no_group != 0
                && match row.feature {
                    Feature::Memory => group.hold(Limit::Memory),
                    Feature::Limits => group.hold(Limit::CpuShare),
                    _ => false,
                };
            if lost {
                row.state = State::Degraded;
                row.errno = no_group;
                row.mechanism = row.mechanism.replace("cgroup v2: cpu.max", "the library's own clock");
                if row.feature == Feature::Memory {
                    "readings of /proc".clone_into(&mut row.mechanism);
                }
                row.detail.push_str("; the control group: failed at start");
            }
            let seen = |limit: Limit| prepared.policy.limit(limit).is_some() && (lost || !group.hold(limit));
            let watched = match row.feature {
                Feature::Disk => true,
                Feature::Memory => seen(Limit::Memory),
                Feature::Limits => [Limit::CpuTotal, Limit::CpuShare].into_iter().any(seen),
                _ => false,
            };
            if watched && no_domain != 0 && row.state == State::Enforced {
                row.state = State::Degraded;
                row.errno = no_domain;
                row.detail.push_str(
                    "; the warden's domain failed at start: daemons are not seen, no share of processor time",
                );
            }
            if row.feature == Feature::FilesMetadata && no_domain != 0 && row.state == State::Enforced {
                "refused altogether: the warden's domain failed at start".clone_into(&mut row.detail);
            }
            if row.feature == Feature::Session && terminal && row.state == State::Enforced {
                "process group".clone_into(&mut row.mechanism);
                "in the session of the inherited terminal".clone_into(&mut row.detail);
            }
        }
        for (index, purpose) in self.0.iter().enumerate() {
            let errno = record.outcome(index);
            let Some(feature) = purpose.feature.filter(|_| errno != 0) else {
                continue;
            };
            let concerned: &[Feature] = match feature {
                Feature::Files => RULESET_FEATURES,
                Feature::Syscalls => &[Feature::Syscalls, Feature::FilesMetadata],
                _ => &[feature],
            };
            for row in rows.iter_mut().filter(|row| concerned.contains(&row.feature)) {
                set_failed(row, purpose.what, errno);
            }
        }
        Arc::new(Report::new(rows))
    }
}

/// What the child's Landlock ruleset is for.
pub(super) const RULESET_FEATURES: &[Feature] = &[
    Feature::Files,
    Feature::FilesRefer,
    Feature::FilesTruncate,
    Feature::FilesIoctlDev,
    Feature::Network,
    Feature::SignalScope,
    Feature::AbstractUnixScope,
];

fn set_failed(row: &mut Row, what: &str, errno: i32) {
    if matches!(row.state, State::Enforced | State::Degraded) {
        // One limit of several: the others hold.
        row.state = if matches!(row.feature, Feature::Limits | Feature::Memory | Feature::Disk) {
            State::Degraded
        } else {
            State::Unavailable
        };
        row.detail = format!("{what}: failed at start");
        row.errno = errno;
    }
}

/// What the policy has for a step that takes a value.
fn value_of(purpose: &Purpose, settings: &ProcessSettings) -> Option<String> {
    match (purpose.stage, purpose.what) {
        (Stage::WorkingDirectory, _) => Some(settings.cwd.as_ref()?.to_bytes().escape_ascii().to_string()),
        (_, steps::NICE) => Some(settings.nice?.to_string()),
        (_, steps::AFFINITY) => {
            let numbers: Vec<_> = settings.cpus.iter().map(u32::to_string).collect();
            Some(numbers.join(", "))
        }
        _ => None,
    }
}

fn hint(purpose: &Purpose, errno: i32) -> &'static str {
    match (purpose.stage, errno) {
        (Stage::Namespaces, errno) if purpose.feature == Some(Feature::NsUser) => namespace_hint(Refusal::Map(errno)),
        (Stage::Landlock, libc::E2BIG) => " (16 nested domains are the most)",
        (Stage::Seccomp, libc::E2BIG) => " (32768 instructions in all filters are the most)",
        (Stage::Seccomp, libc::EBUSY) => " (the host itself is supervised, and a process can have one listener only)",
        (Stage::Process, libc::ESRCH) if purpose.feature == Some(Feature::ParentDeath) => " (the host has died)",
        _ => "",
    }
}
