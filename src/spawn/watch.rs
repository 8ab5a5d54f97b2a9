//! The watch over a running sandbox, to its end: what the warden does with its time.

use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind, Result, Stage};
use crate::members::{self, Reach};
use crate::policy::{Grace, Limit};
use crate::process::{Command, LAST_OUTPUT, LimitHit, Member, Outcome, Reason, Shared, Traffic, Usage, timeout_until};
use crate::sys;
use crate::sys::event::{Wait, poll};
use crate::sys::init::Report;
use crate::sys::process::{Ending, Resources};

use super::attendance::{Attendance, LAST_BREATH};
use super::domain::Domain;
use super::gauge::{Consequence, Gauge};
use super::group::Group;
use super::job::Pipe;
use super::launch::Launched;
use super::namespaces::Remains;
use super::prepare::Prepared;
use super::survey::Survey;
use super::throttle::Throttle;
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

/// True if no file can become larger than all may be by the limit of disk, rather than by a stricter one of the policy.
pub(super) fn limits_files_by_disk(prepared: &Prepared) -> bool {
    let limits = &prepared.compiled.limits;
    limits
        .iter()
        .any(|limit| limit.resource == libc::RLIMIT_FSIZE && limit.name == Limit::Disk.name())
}

/// True if the program has ended, reaped by somebody else or not at all.
fn has_ended(launched: &Launched<'_>) -> bool {
    !matches!(sys::process::has_ended(launched.child()), Ok(false))
}

/// A running program under the warden's eyes.
pub(super) struct Watch<'a> {
    pub(super) launched: &'a Launched<'a>,
    pub(super) domain: Domain,
    pub(super) reach: Reach,
    /// Where the init of its PID namespace says how the program ended. The init's end is open here too, until the init has its own.
    pub(super) report: Option<Pipe>,
    /// The sandbox ends with its last process, not with the program.
    pub(super) waits_for_descendants: bool,
    /// The init of its PID namespace waits for them instead.
    pub(super) init_waits: bool,
    /// What the init had said of the program before the sandbox was killed.
    pub(super) said: Option<Report>,
    pub(super) start: Instant,
    /// When the time of the run is up; after a warning, when the sandbox is killed.
    pub(super) deadline: Option<Instant>,
    /// It is that of the start alone.
    pub(super) of_start: bool,
    /// The warning before that, until it is given.
    pub(super) grace: Option<Grace>,
    pub(super) warned: bool,
    pub(super) gauge: Gauge<'a>,
    /// What looks at the trees that the sandbox writes to.
    pub(super) survey: Option<Survey>,
    /// The limit of disk is the limit of each file, too.
    pub(super) file_limit_is_disks: bool,
    pub(super) throttle: Throttle,
    pub(super) group: Option<Arc<Group>>,
    /// How often that had somebody killed for want of memory, as far as was noticed.
    pub(super) kills: u64,
    /// The limit of the sandbox as a whole that was exceeded last.
    pub(super) limit: Option<LimitHit>,
    /// The program was killed for the memory it held, and nobody else. If others may finish, the sandbox may yet end for another reason.
    pub(super) killed_program: bool,
    pub(super) attendance: Attendance<'a>,
    /// What it reads and writes.
    pub(super) traffic: Traffic,
    /// More output than is kept ends the sandbox.
    pub(super) output_kills: bool,
    pub(super) host_peak_rss: u64,
    /// What is left when everybody has ended; CLONE_NEW*; kept already.
    pub(super) remains: &'a mut Remains,
    pub(super) namespaces: i32,
    pub(super) kept: bool,
    /// What the program had used when it was killed with its PID namespace.
    pub(super) used: Option<Resources>,
}

/// How long somebody of the host who reaps the program may take from taking it to releasing it, before its status counts as lost.
const RELEASE_MS: i32 = 1000;

/// How often the warden looks for descendants that it waits for, if nobody tells it that they have ended.
const LOOK_FOR_DESCENDANTS: Duration = Duration::from_millis(20);

impl Watch<'_> {
    /// Sees the sandbox to its end.
    pub(super) fn run(mut self, shared: &Shared) -> Outcome {
        let mut ended_for = None;
        let mut soon = None;
        let mut end = None;
        let mut cut_short = false;
        let mut killed = false;
        loop {
            self.attendance.look();
            if !self.kept && self.has_begun() {
                self.kept = true;
                self.remains.keep(self.launched.pid, self.namespaces);
            }
            let program = if end.is_none() { self.launched.child().pidfd } else { -1 };
            let [input, output, error] = self.traffic.waits();
            let mut waits = [
                Wait::readable(program),
                Wait::readable(shared.wake_fd()),
                output,
                error,
                Wait::readable(self.attendance.waits_on()),
                Wait::hang_up(if end.is_some() { self.attendance.listener() } else { -1 }),
                input,
                Group::wait(self.group.as_ref()),
            ];
            let agenda = &mut self.attendance.agenda;
            let until = [self.deadline, soon, self.gauge.due(), self.throttle.due(), agenda.due()];
            let until = until.into_iter().flatten().min();
            let blind = agenda.wait(&mut waits, |waits| wait_for_any(waits, until).is_err());
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
                self.kill_all();
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
                self.attendance.agenda.proceed(blind);
                let again = session.serve_inbox().map(|patience| Instant::now() + patience);
                soon = [soon, again].into_iter().flatten().min();
            }
            if self.of_start && self.has_begun() {
                self.of_start = false;
                self.deadline = None;
            }
            let overdue = self.deadline.is_some_and(|deadline| Instant::now() >= deadline);
            if overdue && self.of_start {
                shared.set_overslept();
            }
            let mut time_is_up = overdue.then_some(ended_for.unwrap_or(Reason::Timeout));
            let flooded = self.output_kills && !killed && self.traffic.has_overflowed();
            let mut over = wanted.or(flooded.then_some(Reason::Limit));
            if let Some(hit) = self.survey.as_ref().and_then(Survey::look) {
                self.tell_limit(hit, Consequence::KillAll);
                over = over.or(Some(Reason::Limit));
            }
            let begun = self.has_begun();
            let killed_by_group = if waits[7].ready() || blind {
                self.look_at_kills()
            } else {
                None
            };
            let found = killed_by_group.or_else(|| self.throttle.look(begun));
            if let Some((hit, consequence)) = found.or_else(|| self.gauge.look(begun)) {
                self.tell_limit(hit, consequence);
                match consequence {
                    // One warning, and one time after it, for all limits of time.
                    Consequence::TimeIsUp if self.warned => {}
                    Consequence::TimeIsUp => time_is_up = time_is_up.or(Some(Reason::Limit)),
                    Consequence::KillAll => over = over.or(Some(Reason::Limit)),
                    Consequence::Kill(pid) => {
                        self.killed_program |= pid == self.launched.pid;
                        self.reach.signal_one(pid, libc::SIGKILL);
                    }
                    Consequence::Killed => {}
                }
            }
            if let Some(reason) = time_is_up {
                // What has not begun yet has nobody who could be warned.
                if end.is_none() && !self.of_start && self.warn() {
                    ended_for.get_or_insert(reason);
                    // Whatever the program makes of it, it ends for this.
                    cut_short = true;
                } else {
                    over = over.or(Some(reason));
                }
            }
            if let Some(reason) = over {
                self.attendance.settle_listener();
                ended_for.get_or_insert(reason);
                killed = true;
                self.deadline = None;
                self.gauge.put_away();
                self.throttle.put_away();
                if self.report.is_some() {
                    // Nobody will have waited for it, unless it has ended, and others should have finished.
                    self.used = members::resources(self.launched.pid);
                    if self.init_waits && self.said.is_none() {
                        self.said = self.report();
                        cut_short |= self.said.is_some();
                    }
                }
                self.kill_all();
                if end.is_some() {
                    cut_short = true;
                    break;
                }
            }
        }
        if let Some((hit, consequence)) = self.look_at_kills() {
            self.tell_limit(hit, consequence);
        }
        if self.kills > 0 {
            // Nobody says whom the kernel has killed: if the program was, it is taken to be the one, though another process of the
            // sandbox may have killed it since.
            ended_for.get_or_insert(Reason::Limit);
            let waits = self.waits_for_descendants || self.init_waits;
            cut_short |= waits && self.group.as_ref().is_some_and(|group| !group.kills_one());
        }
        let (reaped, wall) = end.unwrap_or((None, self.start.elapsed()));
        if self.end_survey(reaped.map(|(ending, _)| ending)) && ended_for.is_none_or(|reason| reason == Reason::Limit) {
            ended_for = Some(Reason::Limit);
            cut_short = true;
        }
        self.attendance.agenda.end();
        if let Some(session) = self.attendance.session.clone() {
            // After reaping: older kernels count a zombie. Without a domain a daemon may live on, and is not waited for.
            session.end(if self.domain.is_whole() {
                LAST_BREATH
            } else {
                Duration::ZERO
            });
            if session.is_empty() {
                self.attendance.dismiss();
                self.attendance.agenda.dismiss_asides();
            }
        }
        self.traffic.take_on(shared.wishes());
        self.traffic.drain(Instant::now() + LAST_OUTPUT);
        self.outcome(ended_for, cut_short, reaped, wall)
    }

    /// True if the program runs, and the child is out of the host's memory.
    fn has_begun(&self) -> bool {
        self.launched.has_left()
    }

    /// Time is up: gives the program its warning, if it is to have one and has not had it. Then the deadline is the kill's.
    fn warn(&mut self) -> bool {
        let Some(grace) = self.grace.take() else { return false };
        let Some(deadline) = Instant::now().checked_add(Duration::from_millis(grace.milliseconds)) else {
            return false;
        };
        self.deadline = Some(deadline);
        self.warned = true;
        // An error means that it has just ended, which the next turn notices.
        let _ = sys::signal::send_to(self.launched.program(), grace.signal);
        true
    }

    /// Notes that a limit was exceeded, and tells observers.
    fn tell_limit(&mut self, hit: LimitHit, consequence: Consequence) {
        let (pid, what) = match consequence {
            Consequence::TimeIsUp => (self.launched.pid, "the sandbox's time is up"),
            Consequence::KillAll => (self.launched.pid, "the sandbox is killed"),
            Consequence::Kill(pid) => (pid, "the largest process is killed"),
            Consequence::Killed => (self.launched.pid, "the kernel has killed the largest process"),
        };
        self.note_limit(hit, pid, what);
    }

    fn note_limit(&mut self, hit: LimitHit, pid: i32, what: &str) {
        self.limit = Some(hit);
        let name = Limit::from_number(hit.limit).map_or("?", Limit::name);
        if let Some(session) = &self.attendance.session {
            session.tell_limit(pid, format!("{name}={} exceeded: {}; {what}", hit.value, hit.reading));
        }
    }

    /// Everything has ended, the program by `ending`: has a last look at what was written. True if the limit of disk ended it, by its
    /// total or for one file, or if it was exceeded all the same.
    fn end_survey(&mut self, ending: Option<Ending>) -> bool {
        let Some(survey) = self.survey.take() else { return false };
        let (hit, exceeded) = survey.end();
        let by_file = self.file_limit_is_disks && ending == Some(Ending::Signaled(libc::SIGXFSZ));
        if self.limit.is_none() && (exceeded || by_file) {
            self.note_limit(hit, self.launched.pid, "the program has ended");
        }
        exceeded || by_file
    }

    /// The program has ended: takes what it leaves, and unless its descendants may finish kills them.
    fn reap_program(&mut self) -> (Option<(Ending, Option<Resources>)>, Duration) {
        let wall = self.start.elapsed();
        // A program that ended at once may not have been noticed to have begun.
        self.attendance.look();
        if !self.waits_for_descendants && !self.attendance.knows_empty() {
            // Before reaping: until then the program's pid, and so its process group, cannot be anyone else's.
            self.kill_all();
        }
        let reaped = match sys::process::reap(self.launched.child()) {
            Ok(_) | Err(_) if self.report.is_some() => Some(self.reported()),
            Ok(Some((ending, resources))) => Some((ending, Some(resources))),
            // Reaped by the host's waitpid(-1) or its ignored SIGCHLD; Linux 6.15 remembers the status.
            _ => {
                let pidfd = self.launched.child().pidfd;
                let _ = sys::process::await_release(pidfd, RELEASE_MS);
                sys::process::ending_after_reap(pidfd).ok().map(|ending| (ending, None))
            }
        };
        (reaped, wall)
    }

    /// What the init says of the program, if the program has ended before it.
    fn report(&self) -> Option<Report> {
        let mut bytes = [0; Report::SIZE];
        let pipe = self.report.as_ref()?;
        let length = sys::fd::read(pipe.reader.as_raw_fd(), &mut bytes).ok()?;
        Report::read(&bytes[..length])
    }

    /// How the program ended, with its PID namespace or before.
    fn reported(&self) -> (Ending, Option<Resources>) {
        match self.said.or_else(|| self.report()) {
            Some(report) => {
                let (ending, resources) = report.outcome();
                (ending, Some(resources))
            }
            None => (Ending::Signaled(libc::SIGKILL), self.used),
        }
    }

    /// Sends SIGKILL to everything in the sandbox.
    fn kill_all(&self) {
        self.domain.kill_all(self.launched.child());
        if let Some(group) = &self.group {
            group.kill();
        }
    }

    /// What has come of the limit that the control group holds, since the last look.
    fn look_at_kills(&mut self) -> Option<(LimitHit, Consequence)> {
        let group = self.group.as_ref()?;
        let kills = group.kills();
        let more = kills > self.kills;
        self.kills = kills;
        more.then(|| {
            let consequence = if group.kills_one() {
                Consequence::Killed
            } else {
                Consequence::KillAll
            };
            (group.hit(), consequence)
        })
    }

    /// True if nobody is left in the sandbox. `listener`: what poll(2) says of it.
    fn is_empty(&self, listener: Wait) -> bool {
        if self.attendance.session.is_some() {
            listener.hung_up()
        } else {
            // Without /proc there is no telling, and nobody is waited for.
            !self.reach.is_whole() || self.reach.found().is_ok_and(|found| found.is_empty())
        }
    }

    /// Does what the owner has ordered.
    fn obey(&self, command: Command) -> Result<Vec<Member>> {
        let program = self.launched.child();
        let signal = match command {
            Command::List => return Ok(self.reach.running()),
            Command::Pause => libc::SIGSTOP,
            Command::Resume => libc::SIGCONT,
        };
        if !self.reach.is_whole() && sys::process::has_ended(program).is_err() {
            return Err(Error::new(ErrorKind::State, Stage::Wait, "the program has ended"));
        }
        // The program has not been reaped, so without a domain its number and its group's are its own.
        self.reach
            .signal(signal, program.pid)
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
            (Some(Ending::Signaled(libc::SIGKILL)), None) if self.killed_program => Reason::Limit,
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
