//! The list of what a child does, in order, with what to say when a step fails.
//!
//! The order is a security decision:
//!
//! 1. Signals first: until dispositions are reset, a signal would run a handler of the host.
//! 2. Then what it is to be in its namespaces, which takes the privileges that it has there. With a PID namespace that is for its
//!    init to do, which then starts the program; the steps after that are the program's.
//! 3. Then everything that needs privileges or files (session, priority, working directory).
//! 4. Capabilities go before no_new_privs and Landlock, and Landlock before the descriptors are rearranged, which may
//!    overwrite the ruleset's number.
//! 5. Limits come last of what could break the set-up, and are followed only by calls that need no resources.
//! 6. The filter is installed immediately before exec, so that it need not allow what the set-up does. A filter with a
//!    listener comes before the descriptors instead, while the child shares the table that the listener must appear in.

use std::os::fd::{AsRawFd, RawFd};

use crate::error::Stage;
use crate::feature::{Feature, Strictness};
use crate::plan::{FdMove, MountPlan, PlannedStep, RulesetPlan, Step};
use crate::policy::Limit;
use crate::sys;
use crate::sys::limits::CpuSet;
use crate::sys::seccomp::Instruction;

use super::namespaces::Namespaces;
use super::prepare::Prepared;
use super::purposes::{Purpose, Purposes, RULESET_FEATURES};
use super::terminal::Terminal;

/// Steps whose failure is told with the value that the policy has for them.
pub(super) const NICE: &str = "nice value";
/// Likewise.
pub(super) const AFFINITY: &str = "processor affinity";

/// Steps and their purposes, index by index.
pub(super) struct Steps<'a> {
    pub(super) planned: Vec<PlannedStep<'a>>,
    pub(super) purposes: Purposes,
    /// The first step of the program; those before are its init's.
    pub(super) first: usize,
    prepared: &'a Prepared,
}

/// What a run adds to the policy.
pub(super) struct RunSteps<'a> {
    /// Process id of the host.
    pub(super) host: i32,
    /// The controlling terminal if the program inherits it; None: a session of its own.
    pub(super) terminal: Option<&'a Terminal>,
    /// A filter that keeps it out of the host's process group, if it stays in the host's session.
    pub(super) guard: Option<&'a [Instruction]>,
    /// A terminal that was made for the program.
    pub(super) own_terminal: Option<RawFd>,
    /// Descriptors.
    pub(super) moves: &'a [FdMove],
    /// Calls are trapped: the child shares the host's descriptor table until its listener is there.
    pub(super) listen: bool,
    /// The namespaces that it starts in.
    pub(super) namespaces: &'a Namespaces,
    /// What is mounted, for a program with a view of its own.
    pub(super) mounts: Option<MountPlan<'a>>,
    /// Entering the directory that it starts in then.
    pub(super) directory: Option<Step<'a>>,
    /// The ruleset that it makes itself then.
    pub(super) ruleset: Option<RulesetPlan<'a>>,
    /// `cgroup.procs` of a control group that it did not start in.
    pub(super) group: Option<RawFd>,
    /// Processors, if the policy names any.
    pub(super) cpus: Option<&'a CpuSet>,
}

impl<'a> Steps<'a> {
    /// The steps of a new process.
    pub(super) fn for_child(prepared: &'a Prepared, run: &RunSteps<'a>) -> Self {
        let mut steps = Self {
            planned: Vec::new(),
            purposes: Purposes::default(),
            first: 0,
            prepared,
        };
        let settings = &prepared.settings;
        steps.add(Step::DefaultSignals, Stage::Process, "reset signals");
        steps.add_for(
            Feature::ParentDeath,
            Step::DieWithParent { parent: run.host },
            Stage::Process,
            "die with the host",
        );
        if let Some(members) = run.group {
            // Required, whatever is said of the limits: nobody else keeps them.
            steps.add(Step::EnterGroup(members), Stage::Limits, "enter the control group");
        }
        // Before anything that looks at who the program is, and before its privileges there go.
        if prepared.init.is_some() {
            steps.add_init(run);
        } else {
            steps.add_namespaces(run.namespaces);
            steps.add_network(run.namespaces);
        }
        let (session, what) = match run.terminal.map(Terminal::to_hand_over) {
            Some(Some(terminal)) => (Step::Foreground { terminal }, "take the terminal"),
            Some(None) => (Step::NewGroup, "new process group"),
            None => (Step::NewSession, "new session"),
        };
        match run.own_terminal {
            // Whatever the policy says of sessions: it takes one.
            Some(terminal) => steps.add(
                Step::SessionOnTerminal { terminal },
                Stage::Process,
                "new session on a terminal of its own",
            ),
            None => steps.add_for(Feature::Session, session, Stage::Process, what),
        }
        if let Some(mask) = settings.umask {
            steps.add(Step::Umask(mask), Stage::Process, "umask");
        }
        if let Some(value) = settings.nice {
            steps.add(Step::Nice(value), Stage::Process, NICE);
        }
        if let Some(set) = run.cpus {
            steps.add(Step::Affinity(set), Stage::Process, AFFINITY);
        }
        let no_randomize = libc::ADDR_NO_RANDOMIZE.cast_unsigned();
        steps.add_for(
            Feature::NoAslr,
            Step::Personality(no_randomize),
            Stage::Process,
            "personality",
        );
        steps.add_for(Feature::NoHugePages, Step::NoHugePages, Stage::Process, "huge pages");
        if let Some(cwd) = &prepared.cwd {
            steps.add(
                Step::ChangeDirectory(cwd.as_raw_fd()),
                Stage::WorkingDirectory,
                "enter the directory",
            );
        }
        if let Some(directory) = run.directory {
            steps.add(directory, Stage::WorkingDirectory, "enter the directory");
        }
        steps.add_privileges();
        steps.add_domain(
            run.ruleset
                .map_or_else(|| ready_ruleset(prepared, 0), |plan| Some(Step::Restrict(plan))),
        );
        if prepared.init.is_some() {
            // Before calls are trapped or refused.
            steps.add(Step::AwaitInit, Stage::Namespaces, "wait for the init");
        }
        if run.listen {
            steps.add_guard(run.guard);
            steps.add_listener();
            // Whatever the policy says of descriptors: what comes next would change the host's.
            steps.add(Step::OwnDescriptors, Stage::Descriptors, "own descriptor table");
        }
        steps.add_for(
            Feature::Descriptors,
            Step::CloseInherited,
            Stage::Descriptors,
            "close inherited",
        );
        steps.add(Step::Descriptors(run.moves), Stage::Descriptors, "pass descriptors");
        steps.add_limits();
        steps.add(Step::UnblockSignals, Stage::Process, "unblock signals");
        if !run.listen {
            steps.add_guard(run.guard);
        }
        steps.add_filter(0);
        steps
    }

    /// The steps that confine the calling thread, or with `all_threads` its process.
    pub(super) fn for_own_process(prepared: &'a Prepared, all_threads: bool) -> Self {
        let mut steps = Self {
            planned: Vec::new(),
            purposes: Purposes::default(),
            first: 0,
            prepared,
        };
        steps.add_for(Feature::NoHugePages, Step::NoHugePages, Stage::Process, "huge pages");
        steps.add_limits();
        steps.add_privileges();
        let flags = if all_threads {
            sys::landlock::RESTRICT_ALL_THREADS
        } else {
            0
        };
        steps.add_domain(ready_ruleset(prepared, flags));
        steps.add_filter(if all_threads { sys::seccomp::FLAG_ALL_THREADS } else { 0 });
        steps
    }

    fn add(&mut self, step: Step<'a>, stage: Stage, what: &'static str) {
        self.planned.push(PlannedStep { step, required: true });
        self.purposes.push(Purpose {
            feature: None,
            stage,
            what,
        });
    }

    /// Adds a step for a feature, if that is used at all.
    fn add_for(&mut self, feature: Feature, step: Step<'a>, stage: Stage, what: &'static str) {
        if self.prepared.compiled.decisions.uses(feature) {
            let required = self.prepared.policy.strictness(feature) == Strictness::Require;
            self.planned.push(PlannedStep { step, required });
            self.purposes.push(Purpose {
                feature: Some(feature),
                stage,
                what,
            });
        }
    }

    fn add_namespaces(&mut self, namespaces: &'a Namespaces) {
        for (feature, step, what) in namespaces.steps() {
            self.add_for(feature, step, Stage::Namespaces, what);
            // Whoever goes by no id at all can do nothing that makes sense, however it is asked for.
            if feature == Feature::NsUser && self.prepared.compiled.decisions.uses(feature) {
                self.planned
                    .iter_mut()
                    .last()
                    .into_iter()
                    .for_each(|last| last.required = true);
            }
        }
    }

    fn add_network(&mut self, namespaces: &'a Namespaces) {
        for (feature, step, what) in namespaces.steps_for_network() {
            self.add_for(feature, step, Stage::Namespaces, what);
            // As where it starts in one: what was found possible is not done without.
            if matches!(step, Step::OwnNamespaces(_)) {
                self.planned
                    .iter_mut()
                    .last()
                    .into_iter()
                    .for_each(|last| last.required = true);
            }
        }
    }

    /// Starts the program, whose steps come after those of the init, and takes them meanwhile.
    fn add_init(&mut self, run: &RunSteps<'a>) {
        self.add(Step::StartProgram, Stage::Namespaces, "start the program from its init");
        self.add_namespaces(run.namespaces);
        if let Some(mounts) = run.mounts {
            self.add_mounts(mounts);
        }
        self.add(Step::Ready, Stage::Namespaces, "let the program go on");
        // Whatever the policy says of the program's.
        self.add(
            Step::DropCapabilities,
            Stage::Namespaces,
            "give up the init's capabilities",
        );
        self.add(Step::NoNewPrivs, Stage::Namespaces, "no_new_privs for the init");
        // A domain of the program's keeps it from changing its init, whatever its privileges. A filter is dearer.
        let confined = run.ruleset.is_some() || (self.prepared.ruleset.is_some() && self.requires_domain());
        if let Some(program) = self.prepared.init_filter.as_ref().filter(|_| !confined) {
            self.add(
                Step::Filter { program, flags: 0 },
                Stage::Namespaces,
                "install the init's filter",
            );
        }
        self.add(
            Step::BecomeInit,
            Stage::Namespaces,
            "execute the init of the PID namespace",
        );
        self.first = self.planned.len();
        self.add_network(run.namespaces);
        self.add(Step::AwaitReady, Stage::Namespaces, "wait for the init's work");
        if let Some(flags) = run.namespaces.to_join() {
            self.add(Step::JoinInit(flags), Stage::Namespaces, "enter the init's namespaces");
        }
    }

    /// Whoever is in a view that is half made can do nothing that makes sense, however it is asked for.
    fn add_mounts(&mut self, mounts: MountPlan<'a>) {
        self.planned.push(PlannedStep {
            step: Step::Mounts(mounts),
            required: true,
        });
        self.purposes.push(Purpose {
            feature: Some(Feature::NsMount),
            stage: Stage::Namespaces,
            what: "mount",
        });
    }

    fn add_privileges(&mut self) {
        // Whoever is started in a user namespace has all of them there.
        if sys::credentials::has_capabilities() || self.prepared.compiled.decisions.uses(Feature::NsUser) {
            self.add_for(
                Feature::Capabilities,
                Step::DropCapabilities,
                Stage::Privileges,
                "give up capabilities",
            );
        }
        self.add_for(Feature::NoNewPrivs, Step::NoNewPrivs, Stage::Privileges, "no_new_privs");
    }

    /// True if a feature that the ruleset serves is required.
    fn requires_domain(&self) -> bool {
        RULESET_FEATURES.iter().any(|&feature| {
            self.prepared.compiled.decisions.uses(feature)
                && self.prepared.policy.strictness(feature) == Strictness::Require
        })
    }

    fn add_domain(&mut self, step: Option<Step<'a>>) {
        if let Some(step) = step {
            // The ruleset serves several features: required if any of them is. What is wrong with the paths of one that is made for the
            // program alone is no lack of the kernel's, and whoever has changed them must not be able to do away with it.
            let required = matches!(step, Step::Restrict(_)) || self.requires_domain();
            self.planned.push(PlannedStep { step, required });
            self.purposes.push(Purpose {
                feature: Some(Feature::Files),
                stage: Stage::Landlock,
                what: "enter the domain",
            });
        }
    }

    fn add_limits(&mut self) {
        for limit in &self.prepared.compiled.limits {
            let feature =
                if limit.resource == libc::RLIMIT_CORE && self.prepared.compiled.decisions.uses(Feature::NoCoredump) {
                    Feature::NoCoredump
                } else if limit.name == Limit::Memory.name() {
                    Feature::Memory
                } else if limit.name == Limit::Disk.name() {
                    Feature::Disk
                } else {
                    Feature::Limits
                };
            let step = Step::Limit {
                resource: limit.resource,
                soft: limit.soft,
                hard: limit.hard,
            };
            self.add_for(feature, step, Stage::Limits, limit.name);
        }
    }

    /// The filter that keeps the program in its process group.
    fn add_guard(&mut self, guard: Option<&'a [Instruction]>) {
        if let Some(program) = guard {
            self.add_for(
                Feature::Syscalls,
                Step::Filter { program, flags: 0 },
                Stage::Seccomp,
                "keep out of the host's process group",
            );
        }
    }

    fn add_listener(&mut self) {
        if let Some(program) = &self.prepared.compiled.listening {
            let flags = self.prepared.compiled.listener_flags;
            // Required: without it, handlers that the caller relies on would not be asked.
            self.planned.push(PlannedStep {
                step: Step::Listen {
                    program,
                    flags,
                    above_stdio: !self.prepared.compiled.traps.reach_set_up(),
                },
                required: true,
            });
            self.purposes.push(Purpose {
                feature: Some(Feature::Supervisor),
                stage: Stage::Seccomp,
                what: "install the filter with a listener",
            });
        }
    }

    fn add_filter(&mut self, flags: libc::c_ulong) {
        if let Some(program) = &self.prepared.compiled.filter {
            self.add_for(
                Feature::Syscalls,
                Step::Filter { program, flags },
                Stage::Seccomp,
                "install the filter",
            );
        }
    }
}

/// Entering the domain of the ruleset that was made beforehand.
fn ready_ruleset(prepared: &Prepared, flags: u32) -> Option<Step<'_>> {
    let ruleset = prepared.ruleset.as_ref()?.as_raw_fd();
    Some(Step::Landlock { ruleset, flags })
}
