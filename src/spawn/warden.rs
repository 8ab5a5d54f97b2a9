//! The warden: the thread that owns a sandbox.
//!
//! It lives exactly as long as the sandbox. It enters a Landlock domain with signal scoping and clones the program from
//! there, which gives three things: the parent-death signal hangs on this thread and not on whichever thread of the
//! host asked for the run; the program is born into a domain of its own; and kill(-1) from here reaches all of that
//! domain, daemons included, and nothing else. It reaps the program, reads captured output, keeps the deadline, and answers
//! system calls as far as a confined thread can.

#![allow(unsafe_code)] // one block: taking over the listener that the child has made

use std::collections::BTreeMap;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind, Result, Stage, describe_errno};
use crate::feature::{Feature, Strictness};
use crate::members;
use crate::plan::{ChildPlan, Listener};
use crate::policy::{Flag, Grace, Limit, Policy};
use crate::process::{Command, LAST_OUTPUT, LimitHit, Member, Outcome, Reason, Shared, Traffic, Usage, timeout_until};
use crate::supervisor::{Services, Session, Supervision};
use crate::sys;
use crate::sys::event::{Wait, poll, wait_for_change};
use crate::sys::limits::CpuSet;
use crate::sys::process::{Apart, Child, Ending, Resources};

use super::SpawnOptions;
use super::buffers::Launch;
use super::gauge::{Consequence, Gauge};
use super::launch::{self, Arena, Launched, Memory};
use super::namespaces::Namespaces;
use super::prepare::Prepared;
use super::steps::{RunSteps, Steps};
use super::streams::Streams;
use super::terminal::Terminal;
use super::thread::{Cloned, Mailbox, start_thread};
use super::throttle::Throttle;

/// Everything a warden needs, handed to its thread.
pub(super) struct Job {
    shared: Arc<Shared>,
    /// What looks at the program's calls, if anything does.
    supervision: Option<(Supervision, Services)>,
    /// Calls of the child's set-up may be trapped too.
    serves_set_up: bool,
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
        supervision: Option<(Supervision, Services)>,
        launch: Launch,
        streams: Streams,
        options: &SpawnOptions,
        deadline: Option<Duration>,
    ) -> Result<Self> {
        let memory = child_memory(prepared);
        let serves_set_up = prepared.compiled.traps.reach_set_up();
        let listens = prepared.compiled.listening.is_some();
        if listens && (memory == Memory::PlainFork || (serves_set_up && memory != Memory::Shared)) {
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
            serves_set_up,
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

    /// What to wake when the program was executed.
    pub(super) fn to_be_told(&self) -> Option<Arc<Shared>> {
        let waits = self.supervision.is_some() && !self.serves_set_up;
        waits.then(|| Arc::clone(&self.shared))
    }
}

/// The child usually shares the host's memory. The huge page setting belongs to the address space, so it takes another one;
/// and tools like valgrind, which cannot follow a child that shares memory, are told by an environment variable.
fn child_memory(prepared: &Prepared) -> Memory {
    if is_plain_fork() {
        Memory::PlainFork
    } else if prepared.compiled.decisions.uses(Feature::NoHugePages) {
        Memory::Copied
    } else {
        Memory::Shared
    }
}

/// True if the environment asks for the plainest way to start a child.
pub(super) fn is_plain_fork() -> bool {
    std::env::var_os("SANDLOCK_SPAWN").is_some_and(|mode| mode == "fork")
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
    let namespaces = Namespaces::of(prepared);
    let Steps { planned, purposes, .. } = Steps::for_child(
        prepared,
        &RunSteps {
            host: job.host,
            terminal: terminal.as_ref(),
            guard: guard.as_deref(),
            own_terminal: job.streams.pty.as_ref().map(|pty| pty.terminal),
            moves: &job.streams.moves,
            listen,
            namespaces: &namespaces,
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
    let apart = Apart {
        share_descriptors: listen,
        namespaces: namespaces.clone_flags(),
    };
    let launched =
        launch::launch(&plan, &job.arena, job.memory, apart).map_err(|errno| namespaces.cannot_start(errno.0))?;
    let last_resort = LastResort(domain, launched.child());
    mailbox.answer(Ok(Cloned {
        pid: launched.pid,
        pidfd: Arc::clone(&launched.pidfd),
        purposes,
        no_domain: domain.lack(),
    }));
    let supervision = job.supervision.take().filter(|_| listen);
    let mut attendance = Attendance::new(prepared, supervision, &job.arena, &job.shared, domain == Domain::Scoped);
    if job.serves_set_up {
        attendance.await_listener();
    }
    let captures = std::mem::take(&mut job.streams.captures);
    let outcome = Watch {
        launched: &launched,
        domain,
        // Without a domain they could not be told from others, nor ended.
        waits_for_descendants: prepared.settings.has(Flag::WaitForDescendants) && domain == Domain::Scoped,
        start,
        deadline: job.deadline.and_then(|deadline| start.checked_add(deadline)),
        grace: prepared.policy.grace,
        gauge: Gauge::new(prepared, launched.pid, domain == Domain::Scoped, start),
        throttle: Throttle::new(prepared, domain == Domain::Scoped, start),
        limit: None,
        attendance,
        traffic: Traffic::new(captures, job.capture_limit),
        output_kills: prepared.settings.has(Flag::OutputKills),
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

/// Who attends to the program's calls: nobody, or a session once the child has made its listener.
struct Attendance<'a> {
    numbers: &'a [Vec<u32>],
    /// Until there is a session.
    supervision: Option<(Supervision, Services)>,
    session: Option<Arc<Session>>,
    arena: Arc<Arena>,
    shared: Arc<Shared>,
    /// A thread that serves calls in the warden's place.
    attendant: Option<JoinHandle<()>>,
    scoped: bool,
    /// How many calls the warden has served since then.
    recent: (Instant, u32),
}

impl<'a> Attendance<'a> {
    fn new(
        prepared: &'a Prepared,
        supervision: Option<(Supervision, Services)>,
        arena: &Arc<Arena>,
        shared: &Arc<Shared>,
        scoped: bool,
    ) -> Self {
        Self {
            numbers: &prepared.compiled.traps.selected,
            supervision,
            session: None,
            arena: Arc::clone(arena),
            shared: Arc::clone(shared),
            attendant: None,
            scoped,
            recent: (Instant::now(), 0),
        }
    }

    /// Starts a thread that is confined like this one, if there are calls that must not hold up the warden, or many: `served` says that
    /// it has just served one.
    fn see_to_attendant(&mut self, session: &Arc<Session>, served: bool) {
        const MANY: u32 = 32;
        const SHORT: Duration = Duration::from_millis(100);
        if served {
            if self.recent.0.elapsed() > SHORT {
                self.recent = (Instant::now(), 0);
            }
            self.recent.1 += 1;
        }
        if !session.wants_attendant(self.recent.1 >= MANY) {
            return;
        }
        self.recent = (Instant::now(), 0);
        // A former one has said that it ends.
        self.dismiss();
        let attended = Arc::clone(session);
        match start_thread("sandlock-serve".to_owned(), move || attended.attend()) {
            Ok(thread) => self.attendant = Some(thread),
            Err(_) => session.miss_attendant(),
        }
    }

    /// Everything in the sandbox is gone: the attendant ends, unless it is stuck in a file system that does not answer. Then nobody waits.
    fn dismiss(&mut self) {
        let Some(attendant) = self.attendant.take() else { return };
        let until = Instant::now() + LAST_BREATH;
        while !attendant.is_finished() {
            if Instant::now() >= until {
                return;
            }
            std::thread::yield_now();
        }
        // An error would be its panic.
        let _ = attendant.join();
    }

    /// Takes over the listener as soon as the child has made it, since its next call may be trapped.
    ///
    /// A child that is killed inside seccomp(2) by somebody outside leaves a listener that nobody knows the number of; the library
    /// itself does not kill before this returns.
    fn await_listener(&mut self) {
        /// The kernel takes a few times this long to make the filter.
        const NAP: Duration = Duration::from_micros(20);
        const LOOK_AGAIN: Duration = Duration::from_millis(1);
        let arena = Arc::clone(&self.arena);
        let record = arena.record();
        loop {
            let left = record.has_left();
            match record.listener() {
                Listener::At(number) => return self.take_over(number),
                Listener::Taken => return,
                _ if left => return,
                Listener::NotYet => wait_for_change(record.listener_word(), 0, Some(LOOK_AGAIN)),
                Listener::BeingMade => wait_for_change(record.listener_word(), 1, Some(NAP)),
            }
        }
    }

    /// Takes it over if the child is through with its set-up, and nothing of that was trapped.
    fn look(&mut self) {
        if self.supervision.is_some() && self.arena.record().has_left() {
            match self.arena.record().listener() {
                Listener::At(number) => self.take_over(number),
                // The child has failed before.
                Listener::NotYet | Listener::BeingMade | Listener::Taken => self.supervision = None,
            }
        }
    }

    /// The child has made it in the table that both use.
    fn take_over(&mut self, number: i32) {
        let Some((supervision, services)) = self.supervision.take() else {
            return;
        };
        // A failure is a full table in a host that has closed its standard streams; then the number stays.
        let number = sys::fd::raise(number).unwrap_or(number);
        self.arena.record().note_takeover();
        // SAFETY: the child made it for its parent, and in this table nobody else has it.
        let listener = unsafe { OwnedFd::from_raw_fd(number) };
        let arena = Arc::clone(&self.arena);
        let session = supervision.start(
            listener,
            services,
            self.numbers,
            (Arc::clone(&self.shared), self.scoped),
            move || !arena.record().has_left(),
        );
        self.session = Some(session);
    }

    /// The listener, whoever waits for calls, or -1.
    fn listener(&self) -> i32 {
        self.session.as_ref().map_or(-1, |session| session.listener())
    }

    /// The descriptor to wait on for calls, or -1.
    fn waits_on(&self) -> i32 {
        let session = self.session.as_ref();
        session.and_then(|session| session.warden_waits_on()).unwrap_or(-1)
    }

    /// True if everything in the sandbox is known to be gone.
    fn knows_empty(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.is_empty())
    }
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
        Err(error) if needs_domain(&prepared.policy) => Err(error),
        Err(error) => Ok(Domain::Open(error.errno())),
    }
}

/// True if something that the policy requires cannot do without the warden's domain.
fn needs_domain(policy: &Policy) -> bool {
    let requires = |feature| policy.strictness(feature) == Strictness::Require;
    requires(Feature::KillAll) || (policy.limits_processes_expressly() && requires(Feature::Processes))
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
            // Once the program was reaped its number, and its group's, may be another's.
            Self::Open(_) if sys::process::has_ended(program).is_ok() => {
                kill_family(program);
                let _ = sys::signal::send_to(program, libc::SIGKILL);
                let _ = sys::signal::kill(-program.pid, libc::SIGKILL);
            }
            Self::Open(_) => {
                let _ = sys::signal::send_to(program, libc::SIGKILL);
            }
        }
    }
}

/// Kills the descendants of `program`, as far as their parents live: those whose parents have ended cannot be told from others.
/// They are stopped first, so that none starts another unseen, and looked for again until there are no more.
fn kill_family(program: Child) {
    const ROUNDS: usize = 100;
    let _ = sys::signal::send_to(program, libc::SIGSTOP);
    let mut stopped: BTreeMap<i32, OwnedFd> = BTreeMap::new();
    for _ in 0..ROUNDS {
        let family = members::family(program.pid).unwrap_or_default();
        let before = stopped.len();
        for found in family {
            let pid = found.member.pid;
            if pid == program.pid || stopped.contains_key(&pid) {
                continue;
            }
            let Ok(pidfd) = sys::process::open_pidfd(pid) else {
                continue;
            };
            // SAFETY: the descriptor was just made and nobody else has it.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            // Its number may have become another's before the descriptor was made, but never after that.
            if matches!(members::look(pid), Ok(Some(again)) if again.parent == found.parent) {
                let descendant = Child {
                    pid,
                    pidfd: pidfd.as_raw_fd(),
                };
                // An error means that it has just ended.
                let _ = sys::signal::send_to(descendant, libc::SIGSTOP);
                stopped.insert(pid, pidfd);
            }
        }
        if stopped.len() == before {
            break;
        }
    }
    for (pid, pidfd) in &stopped {
        let descendant = Child {
            pid: *pid,
            pidfd: pidfd.as_raw_fd(),
        };
        let _ = sys::signal::send_to(descendant, libc::SIGKILL);
    }
}

/// A running program under the warden's eyes.
struct Watch<'a> {
    launched: &'a Launched<'a>,
    domain: Domain,
    /// The sandbox ends with its last process, not with the program.
    waits_for_descendants: bool,
    start: Instant,
    /// When the time of the run is up; after a warning, when the sandbox is killed.
    deadline: Option<Instant>,
    /// The warning before that, until it is given.
    grace: Option<Grace>,
    gauge: Gauge<'a>,
    throttle: Throttle,
    /// The limit of the sandbox as a whole that was exceeded last.
    limit: Option<LimitHit>,
    attendance: Attendance<'a>,
    /// What it reads and writes.
    traffic: Traffic,
    /// More output than is kept ends the sandbox.
    output_kills: bool,
    host_peak_rss: u64,
}

/// How often the warden looks for descendants that it waits for, if nobody tells it that they have ended.
const LOOK_FOR_DESCENDANTS: Duration = Duration::from_millis(20);

/// How long the end of killed processes is waited for, where the kernel tells. Only one that hangs in the kernel takes longer.
const LAST_BREATH: Duration = Duration::from_secs(1);

impl Watch<'_> {
    /// Sees the sandbox to its end.
    fn run(mut self, shared: &Shared) -> Outcome {
        let mut ended_for = None;
        let mut soon = None;
        let mut end = None;
        let mut cut_short = false;
        let mut killed = false;
        loop {
            self.attendance.look();
            let program = if end.is_none() {
                self.launched.pidfd.as_raw_fd()
            } else {
                -1
            };
            let [input, output, error] = self.traffic.waits();
            let mut waits = [
                Wait::readable(program),
                Wait::readable(shared.wake_fd()),
                output,
                error,
                Wait::readable(self.attendance.waits_on()),
                Wait::hang_up(if end.is_some() { self.attendance.listener() } else { -1 }),
                input,
            ];
            let until = [self.deadline, soon, self.gauge.due(), self.throttle.due()]
                .into_iter()
                .flatten()
                .min();
            let blind = wait_for_any(&mut waits, until).is_err();
            self.traffic.exchange();
            if end.is_none() && (waits[0].ready() || (blind && has_ended(self.launched))) {
                let found = self.reap_program();
                end = Some(found);
                if !self.waits_for_descendants || killed {
                    break;
                }
            }
            if end.is_some() && self.is_empty(waits[5]) {
                // A look at /proc may miss who comes while it is made.
                self.domain.kill_all(self.launched.child());
                break;
            }
            let wanted = if waits[1].ready() || blind {
                shared.kill_requested()
            } else {
                None
            };
            if waits[1].ready() || blind {
                shared.carry_out(|command| self.obey(command));
                self.traffic.take_on(shared.wishes());
            }
            soon = end.is_some().then(|| Instant::now() + LOOK_FOR_DESCENDANTS);
            if let Some(session) = self.attendance.session.clone() {
                if waits[4].ready() {
                    session.serve_as_warden(waits[4]);
                } else if blind {
                    session.serve_blindly();
                }
                self.attendance.see_to_attendant(&session, waits[4].ready());
                let again = session.serve_inbox().map(|patience| Instant::now() + patience);
                soon = [soon, again].into_iter().flatten().min();
            }
            let overdue = self.deadline.is_some_and(|deadline| Instant::now() >= deadline);
            let mut time_is_up = overdue.then_some(ended_for.unwrap_or(Reason::Timeout));
            let flooded = self.output_kills && ended_for.is_none() && self.traffic.has_overflowed();
            let mut over = wanted.or(flooded.then_some(Reason::Limit));
            self.throttle.look(self.has_begun());
            if let Some((hit, consequence)) = self.gauge.look(self.has_begun()) {
                self.tell_limit(hit, consequence);
                match consequence {
                    Consequence::TimeIsUp => time_is_up = time_is_up.or(Some(Reason::Limit)),
                    Consequence::KillAll => over = over.or(Some(Reason::Limit)),
                    Consequence::Kill(pid) => {
                        // The program's end is the limit's doing then, and the sandbox's.
                        if pid == self.launched.pid {
                            ended_for.get_or_insert(Reason::Limit);
                        }
                        let _ = sys::signal::kill(pid, libc::SIGKILL);
                    }
                }
            }
            if let Some(reason) = time_is_up {
                if end.is_none() && self.warn() {
                    ended_for.get_or_insert(reason);
                    // Whatever the program makes of it, it ends for this.
                    cut_short = true;
                } else {
                    over = over.or(Some(reason));
                }
            }
            if let Some(reason) = over {
                ended_for.get_or_insert(reason);
                killed = true;
                self.deadline = None;
                self.gauge.put_away();
                self.throttle.put_away();
                self.domain.kill_all(self.launched.child());
                if end.is_some() {
                    cut_short = true;
                    break;
                }
            }
        }
        let (reaped, wall) = end.unwrap_or((None, self.start.elapsed()));
        if let Some(session) = self.attendance.session.clone() {
            // After reaping: older kernels count a zombie. Without a domain a daemon may live on, and is not waited for.
            session.end(if self.domain == Domain::Scoped {
                LAST_BREATH
            } else {
                Duration::ZERO
            });
            if session.is_empty() {
                self.attendance.dismiss();
            }
        }
        self.traffic.take_on(shared.wishes());
        self.traffic.drain(Instant::now() + LAST_OUTPUT);
        self.outcome(ended_for, cut_short, reaped, wall)
    }

    /// True if the program runs, and the child is out of the host's memory.
    fn has_begun(&self) -> bool {
        self.attendance.arena.record().has_left()
    }

    /// Time is up: gives the program its warning, if it is to have one and has not had it. Then the deadline is the kill's.
    fn warn(&mut self) -> bool {
        let Some(grace) = self.grace.take() else { return false };
        let Some(deadline) = Instant::now().checked_add(Duration::from_millis(grace.milliseconds)) else {
            return false;
        };
        self.deadline = Some(deadline);
        // An error means that it has just ended, which the next turn notices.
        let _ = sys::signal::send_to(self.launched.child(), grace.signal);
        true
    }

    /// Notes that a limit was exceeded, and tells observers.
    fn tell_limit(&mut self, hit: LimitHit, consequence: Consequence) {
        self.limit = Some(hit);
        let name = Limit::from_number(hit.limit).map_or("?", Limit::name);
        let (pid, what) = match consequence {
            Consequence::TimeIsUp => (self.launched.pid, "the sandbox's time is up"),
            Consequence::KillAll => (self.launched.pid, "the sandbox is killed"),
            Consequence::Kill(pid) => (pid, "the largest process is killed"),
        };
        if let Some(session) = &self.attendance.session {
            session.tell_limit(pid, format!("{name}={} exceeded: {}; {what}", hit.value, hit.reading));
        }
    }

    /// The program has ended: takes what it leaves, and unless its descendants may finish kills them.
    fn reap_program(&mut self) -> (Option<(Ending, Option<Resources>)>, Duration) {
        let wall = self.start.elapsed();
        // A program that ended at once may not have been noticed to have begun.
        self.attendance.look();
        if !self.waits_for_descendants && !self.attendance.knows_empty() {
            // Before reaping: until then the program's pid, and so its process group, cannot be anyone else's.
            self.domain.kill_all(self.launched.child());
        }
        let reaped = match sys::process::reap(self.launched.child()) {
            Ok(Some((ending, resources))) => Some((ending, Some(resources))),
            // Reaped by the host's waitpid(-1) or its ignored SIGCHLD; Linux 6.15 remembers the status.
            _ => sys::process::ending_after_reap(self.launched.pidfd.as_raw_fd())
                .ok()
                .map(|ending| (ending, None)),
        };
        (reaped, wall)
    }

    /// True if nobody is left in the sandbox. `listener`: what poll(2) says of it.
    fn is_empty(&self, listener: Wait) -> bool {
        if self.attendance.session.is_some() {
            listener.hung_up()
        } else {
            // Without /proc there is no telling, and nobody is waited for.
            self.domain != Domain::Scoped || members::in_scope().is_ok_and(|found| found.is_empty())
        }
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
        if !scoped && sys::process::has_ended(program).is_err() {
            return Err(Error::new(ErrorKind::State, Stage::Wait, "the program has ended"));
        }
        // The program has not been reaped, so without a domain its number and its group's are its own.
        let target = if scoped { -1 } else { -program.pid };
        sys::signal::kill(target, signal)
            .map_err(|errno| Error::system(ErrorKind::System, Stage::Wait, "cannot signal the sandbox", errno.0))?;
        self.throttle.set_paused(command == Command::Pause);
        Ok(Vec::new())
    }

    fn outcome(
        self,
        ended_for: Option<Reason>,
        cut_short: bool,
        reaped: Option<(Ending, Option<Resources>)>,
        wall: Duration,
    ) -> Outcome {
        let [stdout, stderr] = self.traffic.into_captured();
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
            // It had ended before, but not what it has started.
            (_, Some(reason)) if cut_short => reason,
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
            limit: self.limit,
            exit_code,
            signal,
            stdout,
            stderr,
            usage,
        }
    }
}
