//! The warden: the thread that owns a sandbox.
//!
//! It lives exactly as long as the sandbox. It enters a Landlock domain with signal scoping and clones the program from
//! there, which gives three things: the parent-death signal hangs on this thread and not on whichever thread of the
//! host asked for the run; the program is born into a domain of its own; and kill(-1) from here reaches all of that
//! domain, daemons included, and nothing else. It reaps the program, reads captured output, keeps the deadline, and answers
//! system calls as far as a confined thread can.

use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Instant;

use crate::error::Result;
use crate::plan::ChildPlan;
use crate::policy::{Flag, Limit};
use crate::process::{Outcome, Shared, Traffic};
use crate::sys;
use crate::sys::process::{Apart, Child};

use super::attendance::Attendance;
use super::domain::{Domain, enter_domain};
use super::gauge::Gauge;
use super::job::Job;
use super::launch::{self, Arena, Memory};
use super::namespaces::{Namespaces, Remains};
use super::prepare::Prepared;
use super::steps::{RunSteps, Steps};
use super::survey::Survey;
use super::terminal::Terminal;
use super::thread::{Cloned, Mailbox};
use super::throttle::Throttle;
use super::view::RunView;
use super::watch::{Watch, limits_files_by_disk};

/// Tells those who wait that the warden is gone, however it goes.
struct Farewell<'a> {
    mailbox: &'a Mailbox,
    job: Option<(Arc<Arena>, Arc<Shared>)>,
}

impl Drop for Farewell<'_> {
    fn drop(&mut self) {
        self.mailbox.close();
        if let Some((arena, shared)) = &self.job {
            // There is no child any more, and perhaps there never was one.
            arena.record().leave();
            shared.abandon();
        }
    }
}

/// Kills the sandbox if the warden itself fails: a program must not run without one.
struct LastResort(Domain, Child);

impl Drop for LastResort {
    fn drop(&mut self) {
        self.0.kill_all(self.1);
    }
}

/// The thread's body.
pub(super) fn run(prepared: &Prepared, mailbox: &Mailbox) {
    let mut farewell = Farewell { mailbox, job: None };
    // Without a job yet: it comes while this thread starts.
    let domain = enter_domain(prepared);
    let Some(mut job) = mailbox.take() else { return };
    let shared = Arc::clone(&job.shared);
    farewell.job = Some((Arc::clone(&job.arena), Arc::clone(&shared)));
    let mut remains = Remains::default();
    let outcome = domain.and_then(|domain| look_after(prepared, domain, &mut job, mailbox, &mut remains));
    if let Some(group) = &job.group {
        // Before, everything in it was killed.
        group.remove();
    }
    // Release what the sandbox held before anyone learns that it ended.
    drop(job);
    match outcome {
        Ok(outcome) => shared.set_ended(outcome),
        Err(error) => mailbox.answer(Err(error)),
    }
}

/// Starts the program and sees it to its end. An error: there is no child. What `remains` of the sandbox holds nobody up.
fn look_after(
    prepared: &Prepared,
    domain: Domain,
    job: &mut Job,
    mailbox: &Mailbox,
    remains: &mut Remains,
) -> Result<Outcome> {
    let mut terminal = job.streams.terminal.take();
    if let Some(terminal) = &mut terminal {
        // From here on it is taken back whenever it is dropped.
        terminal.hand_over(domain == Domain::Scoped);
    }
    let guard = terminal.as_ref().map(Terminal::guard).transpose()?;
    // Selectors may name nothing that this architecture has.
    let listen = job.supervision.is_some() && prepared.compiled.listening.is_some();
    let namespaces = Namespaces::of(prepared);
    let view = RunView::of(prepared);
    let files_of_rules = job.files_of_rules.as_deref().unwrap_or_default();
    let (mounts, rules) = (view.mounts(), view.rules(files_of_rules));
    let Steps {
        planned,
        purposes,
        first,
        ..
    } = Steps::for_child(
        prepared,
        &RunSteps {
            host: job.host,
            terminal: terminal.as_ref(),
            guard: guard.as_deref(),
            own_terminal: job.streams.pty.as_ref().map(|pty| pty.terminal),
            moves: &job.streams.moves,
            listen,
            namespaces: &namespaces,
            mounts: view.plan(&mounts),
            directory: view.directory(),
            ruleset: view.ruleset(&rules),
            group: job.group.as_ref().and_then(|group| group.members()),
            cpus: job.cpus.as_ref(),
        },
    );
    let own = prepared.init.as_ref().and_then(|_| launch::open_own_thread());
    let init = job.init_of(prepared, listen, own.as_ref().map(AsRawFd::as_raw_fd));
    let survey = Survey::start(prepared, &job.shared)?;
    let mut arrays = job.launch.arrays();
    let plan = ChildPlan {
        steps: &planned,
        first,
        init,
        exec: arrays.exec(),
        record: job.arena.record(),
    };
    let start = Instant::now();
    let apart = Apart {
        share_descriptors: listen,
        namespaces: namespaces.clone_flags(),
        group: job
            .group
            .as_ref()
            .filter(|group| group.members().is_none())
            .map(|group| group.directory()),
    };
    let launched =
        launch::launch(&plan, &job.arena, job.memory, apart).map_err(|errno| namespaces.cannot_start(errno.0))?;
    let last_resort = LastResort(domain, launched.child());
    let reach = domain.reach(&launched);
    if let Some(survey) = &survey {
        survey.begin(reach);
    }
    mailbox.answer(Ok(Cloned {
        pid: launched.pid,
        pidfd: Arc::clone(&launched.pidfd),
        purposes,
        no_domain: domain.lack(),
    }));
    let supervision = job.supervision.take().filter(|_| listen);
    let mut attendance = Attendance::new(prepared, supervision, &job.arena, &job.shared, reach);
    if job.serves_set_up {
        attendance.await_listener(None);
    }
    let captures = std::mem::take(&mut job.streams.captures);
    let holds = |limit| job.group.as_ref().is_some_and(|group| group.holds(limit));
    let outcome = Watch {
        launched: &launched,
        domain,
        reach,
        report: job.report.take(),
        // Without a domain they could not be told from others, nor ended. An init waits for them itself.
        init_waits: prepared.settings.has(Flag::WaitForDescendants) && domain == Domain::Namespace,
        said: None,
        waits_for_descendants: prepared.settings.has(Flag::WaitForDescendants) && domain == Domain::Scoped,
        start,
        deadline: job.deadline.and_then(|deadline| start.checked_add(deadline)),
        of_start: job.of_start,
        grace: prepared.policy.grace,
        warned: false,
        survey,
        file_limit_is_disks: limits_files_by_disk(prepared),
        gauge: Gauge::new(prepared, launched.pid, reach, start, holds),
        throttle: Throttle::new(prepared, reach, start, holds(Limit::CpuShare)),
        group: job.group.clone(),
        kills: 0,
        limit: None,
        killed_program: false,
        attendance,
        traffic: Traffic::new(captures, job.capture_limit),
        output_kills: prepared.settings.has(Flag::OutputKills),
        host_peak_rss: if job.memory == Memory::Shared {
            sys::process::own_peak_rss()
        } else {
            0
        },
        remains,
        namespaces: namespaces.all(),
        kept: false,
        used: None,
    }
    .run(&job.shared);
    std::mem::forget(last_resort);
    // The terminal is taken back here, before anyone learns that the sandbox ended.
    Ok(outcome)
}
