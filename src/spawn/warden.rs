//! The warden: the thread that owns a sandbox.
//!
//! It lives exactly as long as the sandbox. It enters a Landlock domain with signal scoping and clones the program from
//! there, which gives three things: the parent-death signal hangs on this thread and not on whichever thread of the
//! host asked for the run; the program is born into a domain of its own; and kill(-1) from here reaches all of that
//! domain, daemons included, and nothing else. It reaps the program, reads captured output, keeps the deadline, and answers
//! system calls as far as a confined thread can.

#![allow(unsafe_code)] // one block: taking over the listener that the child has made

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind, Result, Stage, describe_errno};
use crate::feature::{Feature, Strictness};
use crate::plan::{ChildPlan, Listener};
use crate::process::{Command, Member, Outcome, Reason, Shared, Usage, timeout_until};
use crate::supervisor::{Session, Supervision};
use crate::sys;
use crate::sys::event::{Wait, poll, wait_for_change};
use crate::sys::limits::CpuSet;
use crate::sys::process::{Child, Ending, Resources};

use super::SpawnOptions;
use super::buffers::Launch;
use super::capture::Capture;
use super::launch::{self, Arena, Launched, Memory};
use super::members;
use super::prepare::Prepared;
use super::steps::{RunSteps, Steps};
use super::streams::Streams;
use super::terminal::Terminal;
use super::thread::{Cloned, Mailbox};

/// Everything a warden needs, handed to its thread.
pub(super) struct Job {
    shared: Arc<Shared>,
    /// What looks at the program's calls, if anything does.
    supervision: Option<Supervision>,
    launch: Launch,
    streams: Streams,
    cpus: Option<CpuSet>,
    capture_limit: usize,
    deadline: Option<Duration>,
    host: i32,
    /// Shared with who waits for the child to execute its program.
    pub(super) arena: Arc<Arena>,
    memory: Memory,
}

impl Job {
    /// Puts a job together.
    pub(super) fn new(
        prepared: &Prepared,
        shared: &Arc<Shared>,
        supervision: Option<Supervision>,
        launch: Launch,
        streams: Streams,
        options: &SpawnOptions,
        deadline: Option<Duration>,
    ) -> Result<Self> {
        let memory = child_memory(prepared);
        if supervision.is_some() && memory != Memory::Shared {
            return Err(Error::new(
                ErrorKind::Unsupported,
                Stage::Supervisor,
                "a child that starts in memory of its own (NO_HUGE_PAGES, SANDLOCK_SPAWN=fork) cannot be supervised",
            ));
        }
        let arena = Arena::new(memory != Memory::Shared).map_err(|errno| {
            Error::system(
                ErrorKind::System,
                Stage::Spawn,
                "cannot map a stack for the child",
                errno.0,
            )
        })?;
        Ok(Self {
            shared: Arc::clone(shared),
            supervision,
            cpus: cpu_set(prepared),
            capture_limit: usize::try_from(options.capture_limit).unwrap_or(usize::MAX),
            host: sys::process::id(),
            launch,
            streams,
            deadline,
            arena: Arc::new(arena),
            memory,
        })
    }
}

/// The child usually shares the host's memory. The huge page setting belongs to the address space, so it takes another one;
/// and tools like valgrind, which cannot follow a child that shares memory, are told by an environment variable.
fn child_memory(prepared: &Prepared) -> Memory {
    if std::env::var_os("SANDLOCK_SPAWN").is_some_and(|mode| mode == "fork") {
        Memory::PlainFork
    } else if prepared.compiled.decisions.uses(Feature::NoHugePages) {
        Memory::Copied
    } else {
        Memory::Shared
    }
}

fn cpu_set(prepared: &Prepared) -> Option<CpuSet> {
    let mut set = CpuSet::default();
    for &cpu in &prepared.settings.cpus {
        let word = usize::try_from(cpu / 64).ok()?;
        *set.get_mut(word)? |= 1 << (cpu % 64);
    }
    (!prepared.settings.cpus.is_empty()).then_some(set)
}

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
    let outcome = domain.and_then(|domain| look_after(prepared, domain, &mut job, mailbox));
    // Release what the sandbox held before anyone learns that it ended.
    drop(job);
    match outcome {
        Ok(outcome) => shared.set_ended(outcome),
        Err(error) => mailbox.answer(Err(error)),
    }
}

/// Starts the program and sees it to its end. An error: there is no child.
fn look_after(prepared: &Prepared, domain: Domain, job: &mut Job, mailbox: &Mailbox) -> Result<Outcome> {
    let mut terminal = job.streams.terminal.take();
    if let Some(terminal) = &mut terminal {
        // From here on it is taken back whenever it is dropped.
        terminal.hand_over(domain == Domain::Scoped);
    }
    let guard = terminal.as_ref().map(Terminal::guard).transpose()?;
    // Selectors may name nothing that this architecture has.
    let listen = job.supervision.is_some() && prepared.compiled.listening.is_some();
    let Steps { planned, purposes, .. } = Steps::for_child(
        prepared,
        &RunSteps {
            host: job.host,
            terminal: terminal.as_ref(),
            guard: guard.as_deref(),
            moves: &job.streams.moves,
            listen,
            cpus: job.cpus.as_ref(),
        },
    );
    let mut arrays = job.launch.arrays();
    let plan = ChildPlan {
        steps: &planned,
        exec: arrays.exec(),
        record: job.arena.record(),
    };
    let start = Instant::now();
    let launched = launch::launch(&plan, &job.arena, job.memory, listen)
        .map_err(|errno| Error::system(ErrorKind::System, Stage::Spawn, "cannot create a process", errno.0))?;
    let last_resort = LastResort(domain, launched.child());
    mailbox.answer(Ok(Cloned {
        pid: launched.pid,
        pidfd: Arc::clone(&launched.pidfd),
        purposes,
        no_domain: domain.lack(),
    }));
    let session = job
        .supervision
        .take()
        .filter(|_| listen)
        .and_then(|supervision| take_over(prepared, supervision, &job.arena, &job.shared));
    let captures = std::mem::take(&mut job.streams.captures);
    let outcome = Watch {
        launched: &launched,
        domain,
        start,
        deadline: job.deadline.and_then(|deadline| start.checked_add(deadline)),
        session,
        captures: captures.map(|fd| Capture::new(fd, job.capture_limit)),
        host_peak_rss: if job.memory == Memory::Shared {
            sys::process::own_peak_rss()
        } else {
            0
        },
    }
    .run(&job.shared);
    std::mem::forget(last_resort);
    // The terminal is taken back here, before anyone learns that the sandbox ended.
    Ok(outcome)
}

/// Takes over the listener as soon as the child has made it, in the table that both use. None: the child has failed before.
///
/// A child that is killed inside seccomp(2) by somebody outside leaves a listener that nobody knows the number of; the library
/// itself does not kill before this returns.
fn take_over(
    prepared: &Prepared,
    supervision: Supervision,
    arena: &Arc<Arena>,
    shared: &Arc<Shared>,
) -> Option<Arc<Session>> {
    /// The kernel takes a few times this long to make the filter.
    const NAP: Duration = Duration::from_micros(20);
    const LOOK_AGAIN: Duration = Duration::from_millis(1);
    let record = arena.record();
    let number = loop {
        let left = record.has_left();
        match record.listener() {
            Listener::At(number) => break number,
            _ if left => return None,
            Listener::NotYet => wait_for_change(record.listener_word(), 0, Some(LOOK_AGAIN)),
            Listener::BeingMade => wait_for_change(record.listener_word(), 1, Some(NAP)),
        }
    };
    // A failure is a full table in a host that has closed its standard streams; then the number stays.
    let number = sys::fd::above_stdio(number).unwrap_or(number);
    // SAFETY: the child made it for its parent, and in this table nobody else has it.
    let listener = unsafe { OwnedFd::from_raw_fd(number) };
    let arena = Arc::clone(arena);
    let numbers = &prepared.compiled.traps.numbers;
    Some(supervision.start(listener, numbers, Arc::clone(shared), move || {
        !arena.record().has_left()
    }))
}

/// Waits until something is ready or the deadline passes. An error, after a hundredth of a second: poll(2) refuses, because
/// the host has lowered its limit of open descriptors below the number of those waited for. Then the caller looks for itself.
fn wait_for_any(waits: &mut [Wait], deadline: Option<Instant>) -> sys::Result<()> {
    match poll(waits, timeout_until(deadline)) {
        // Cannot happen with all signals blocked, and only means another turn.
        Err(sys::Errno(libc::EINTR)) => Ok(()),
        Err(errno) => {
            let _ = poll(&mut [], 10);
            Err(errno)
        }
        Ok(()) => Ok(()),
    }
}

/// True if the program has ended, reaped by somebody else or not at all.
fn has_ended(launched: &Launched<'_>) -> bool {
    !matches!(sys::process::has_ended(launched.child()), Ok(false))
}

/// How far the warden's kill reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Domain {
    /// A Landlock domain that scopes signals.
    Scoped,
    /// None: the program's process group is the best that can be had. With the errno if one was asked for.
    Open(i32),
}

/// Enters the warden's own domain.
fn enter_domain(prepared: &Prepared) -> Result<Domain> {
    let Some(ruleset) = &prepared.domain else {
        return Ok(Domain::Open(0));
    };
    let entered = no_new_privs(prepared)
        .and_then(|()| sys::landlock::restrict_self(ruleset.as_raw_fd(), 0))
        .map_err(|errno| {
            let what = match errno.0 {
                libc::E2BIG => "enter the warden's domain (16 nested domains are the most)",
                _ => "enter the warden's domain",
            };
            Error::system(ErrorKind::System, Stage::Landlock, what, errno.0)
        });
    match entered.and_then(|()| check_scope()) {
        Ok(()) => Ok(Domain::Scoped),
        Err(error) if prepared.policy.strictness(Feature::KillAll) == Strictness::Require => Err(error),
        Err(error) => Ok(Domain::Open(error.errno())),
    }
}

fn no_new_privs(prepared: &Prepared) -> sys::Result<()> {
    // A privileged host may have waived it; then Landlock takes CAP_SYS_ADMIN instead.
    if prepared.compiled.decisions.uses(Feature::NoNewPrivs) {
        sys::credentials::set_no_new_privs()
    } else {
        Ok(())
    }
}

/// Makes sure, before anything is ever killed from here, that processes of the host are out of reach.
fn check_scope() -> Result<()> {
    let outsider = match sys::process::parent_id() {
        // The host is the first process of its PID namespace; nothing outside it can be named from here.
        0 => return Ok(()),
        parent => parent,
    };
    match sys::signal::kill(outsider, 0) {
        Err(sys::Errno(libc::EPERM)) => Ok(()),
        // The host's parent ended meanwhile; it has another now.
        Err(sys::Errno(libc::ESRCH)) if sys::process::parent_id() != outsider => check_scope(),
        reached => Err(Error::new(
            ErrorKind::Internal,
            Stage::Landlock,
            format_args!(
                "the warden's domain does not scope signals: kill({outsider}, 0) gives {}",
                reached.map_or_else(|errno| describe_errno(errno.0), |()| "success".to_owned())
            ),
        )),
    }
}

impl Domain {
    /// Why it is not scoped although it was to be: an errno, or 0.
    fn lack(self) -> i32 {
        match self {
            Self::Scoped => 0,
            Self::Open(errno) => errno,
        }
    }

    /// Sends SIGKILL to everything in the sandbox. In a scoped domain that is one atomic step: a process that is
    /// forking at the time is reached with its child or not at all able to finish the fork.
    fn kill_all(self, program: Child) {
        // Errors mean that there is nobody left to kill.
        match self {
            Self::Scoped => {
                let _ = sys::signal::kill(-1, libc::SIGKILL);
            }
            Self::Open(_) => {
                let _ = sys::signal::send_to(program, libc::SIGKILL);
                // Unless the host has reaped the program: then its group's number may be another's.
                if sys::process::has_ended(program).is_ok() {
                    let _ = sys::signal::kill(-program.pid, libc::SIGKILL);
                }
            }
        }
    }
}

/// A running program under the warden's eyes.
struct Watch<'a> {
    launched: &'a Launched<'a>,
    domain: Domain,
    start: Instant,
    deadline: Option<Instant>,
    /// The supervision of its calls.
    session: Option<Arc<Session>>,
    captures: [Capture; 2],
    host_peak_rss: u64,
}

/// How long captured output is waited for once the program has ended and its descendants are killed. Only a descriptor
/// that somebody outside the sandbox holds can keep a stream open that long.
const LAST_OUTPUT: Duration = Duration::from_secs(1);

/// How long the end of killed processes is waited for, where the kernel tells. Only one that hangs in the kernel takes longer.
const LAST_BREATH: Duration = Duration::from_secs(1);

impl Watch<'_> {
    /// Sees the sandbox to its end.
    fn run(mut self, shared: &Shared) -> Outcome {
        let mut ended_for = None;
        loop {
            let mut waits = [
                Wait::readable(self.launched.pidfd.as_raw_fd()),
                Wait::readable(shared.wake_fd()),
                self.captures[0].wait(),
                self.captures[1].wait(),
                Wait::readable(
                    self.session
                        .as_ref()
                        .and_then(|session| session.warden_waits_on())
                        .unwrap_or(-1),
                ),
            ];
            let blind = wait_for_any(&mut waits, self.deadline).is_err();
            self.captures.iter_mut().for_each(Capture::read);
            if waits[0].ready() || (blind && has_ended(self.launched)) {
                break;
            }
            let wanted = if waits[1].ready() || blind {
                shared.kill_requested()
            } else {
                None
            };
            if waits[1].ready() || blind {
                shared.carry_out(|command| self.obey(command));
            }
            if let Some(session) = &self.session {
                if waits[4].ready() {
                    session.serve_as_warden(waits[4]);
                } else if blind {
                    session.serve_blindly();
                }
            }
            let overdue = self.deadline.is_some_and(|deadline| Instant::now() >= deadline);
            if let Some(reason) = wanted.or(overdue.then_some(Reason::Timeout)) {
                ended_for.get_or_insert(reason);
                self.deadline = None;
                self.domain.kill_all(self.launched.child());
            }
        }
        let wall = self.start.elapsed();
        // Before reaping: until then the program's pid, and so its process group, cannot be anyone else's.
        self.domain.kill_all(self.launched.child());
        let pidfd = self.launched.pidfd.as_raw_fd();
        let reaped = match sys::process::reap(self.launched.child()) {
            Ok(Some((ending, resources))) => Some((ending, Some(resources))),
            // Reaped by the host's waitpid(-1) or its ignored SIGCHLD; Linux 6.15 remembers the status.
            _ => sys::process::ending_after_reap(pidfd).ok().map(|ending| (ending, None)),
        };
        if let Some(session) = &self.session {
            // After reaping: older kernels count a zombie. Without a domain a daemon may live on, and is not waited for.
            session.end(if self.domain == Domain::Scoped {
                LAST_BREATH
            } else {
                Duration::ZERO
            });
        }
        self.read_last_output();
        self.outcome(ended_for, reaped, wall)
    }

    /// Does what the owner has ordered.
    fn obey(&self, command: Command) -> Result<Vec<Member>> {
        let program = self.launched.child();
        let scoped = self.domain == Domain::Scoped;
        let signal = match command {
            Command::List => return Ok(members::list(program.pid, scoped)),
            Command::Pause => libc::SIGSTOP,
            Command::Resume => libc::SIGCONT,
        };
        // The program has not been reaped, so without a domain its number and its group's are its own.
        let target = if scoped { -1 } else { -program.pid };
        sys::signal::kill(target, signal)
            .map_err(|errno| Error::system(ErrorKind::System, Stage::Wait, "cannot signal the sandbox", errno.0))?;
        Ok(Vec::new())
    }

    fn read_last_output(&mut self) {
        let until = Instant::now() + LAST_OUTPUT;
        while self.captures.iter().any(Capture::is_open) && Instant::now() < until {
            let mut waits = [self.captures[0].wait(), self.captures[1].wait()];
            let _ = wait_for_any(&mut waits, Some(until));
            self.captures.iter_mut().for_each(Capture::read);
        }
    }

    fn outcome(
        self,
        ended_for: Option<Reason>,
        reaped: Option<(Ending, Option<Resources>)>,
        wall: Duration,
    ) -> Outcome {
        let [stdout, stderr] = self.captures.map(Capture::into_captured);
        let ending = reaped.map(|(ending, _)| ending);
        let exit_code = match ending {
            Some(Ending::Exited(code)) => Some(code),
            _ => None,
        };
        let signal = match ending {
            Some(Ending::Signaled(signal)) => Some(signal),
            _ => None,
        };
        let overflowed = stdout.truncated > 0 || stderr.truncated > 0;
        let reason = match (ending, ended_for) {
            // A program that exited by itself just before the kill reached it has exited.
            (Some(Ending::Signaled(libc::SIGKILL)) | None, Some(reason)) => reason,
            (None, None) => Reason::Lost,
            _ if overflowed => Reason::Limit,
            (Some(Ending::Exited(_)), _) => Reason::Exited,
            (Some(Ending::Signaled(_)), _) => Reason::Signaled,
        };
        let resources = reaped.and_then(|(_, resources)| resources).unwrap_or_default();
        let usage = Usage {
            wall_us: u64::try_from(wall.as_micros()).unwrap_or(u64::MAX),
            user_us: resources.user_us,
            system_us: resources.system_us,
            peak_rss: resources.peak_rss,
            peak_rss_is_bound: resources.peak_rss <= self.host_peak_rss,
        };
        Outcome {
            reason,
            exit_code,
            signal,
            stdout,
            stderr,
            usage,
        }
    }
}
