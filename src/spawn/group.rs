//! The control group of one sandbox: made before its first process, removed after its last.
//!
//! The first process starts in it, or enters it before anything else, so that nothing that the program does is outside. Until it has
//! executed the program it uses the host's memory, though, so memory must not run out in the group before (`compile/group.rs`); and where
//! a group above it has a limit that the host is not under, the child starts from a copy.

#![allow(unsafe_code)] // one block: taking over descriptors that sys just opened

use std::ffi::{CStr, CString};
use std::fmt::Write;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::compile::group::GroupLimits;
use crate::error::{Error, ErrorKind, Stage};
use crate::kept::KeptFd;
use crate::policy::Limit;
use crate::probe::{Place, groups};
use crate::process::{LimitHit, timeout_until};
use crate::sys;
use crate::sys::event::{Wait, poll};

/// The period over which a share of processor time is kept, microseconds.
const PERIOD: u64 = 100_000;
/// More than any machine has, per cent.
const MOST_SHARE: u64 = 1_000_000;
/// How long the end of what is in a group is waited for. Only who hangs in the kernel takes longer.
const LAST_BREATH: Duration = Duration::from_secs(1);

/// Some group could not be removed: the next one made looks for what was left.
static LEFT_BEHIND: AtomicBool = AtomicBool::new(false);

/// A group that exists.
pub(super) struct Group {
    parent: Arc<KeptFd>,
    name: CString,
    directory: OwnedFd,
    limits: GroupLimits,
    /// `cgroup.procs`, for a child that must enter.
    members: Option<OwnedFd>,
    /// `memory.events`, whose changes are waited for.
    events: Option<OwnedFd>,
    removed: AtomicBool,
}

/// Why there is no group: what failed, and the errno.
pub(super) struct Failure {
    what: &'static str,
    pub(super) errno: i32,
}

impl Failure {
    /// As an error of a start.
    pub(super) fn error(&self, place: &Place) -> Error {
        let what = format!(
            "cannot make a control group in {:?}: {}",
            place.path().display().to_string(),
            self.what
        );
        Error::system(ErrorKind::System, Stage::Limits, what, self.errno)
    }
}

impl Group {
    /// Makes one that holds `limits`. `enter`: its first process cannot start in it.
    pub(super) fn make(place: &Place, limits: GroupLimits, enter: bool) -> Result<Self, Failure> {
        let failed = |what: &'static str| move |errno: sys::Errno| Failure { what, errno: errno.0 };
        if LEFT_BEHIND.swap(false, Ordering::Relaxed) {
            place.sweep();
        }
        let (name, directory) = groups::make(&**place.directory()).map_err(failed("make a directory"))?;
        let mut group = Self {
            parent: Arc::clone(place.directory()),
            name,
            directory,
            limits,
            members: None,
            events: None,
            removed: AtomicBool::new(false),
        };
        if let Some(bytes) = limits.memory {
            group.put(c"memory.max", bytes).map_err(failed("memory.max"))?;
            // A kernel without swap has no such file.
            match group.put(c"memory.swap.max", 0) {
                Ok(()) | Err(sys::Errno(libc::ENOENT)) => {}
                Err(errno) => return Err(failed("memory.swap.max")(errno)),
            }
            if !limits.kills_one {
                // Linux 4.19. Without it the warden kills the rest.
                match group.put(c"memory.oom.group", 1) {
                    Ok(()) | Err(sys::Errno(libc::ENOENT)) => {}
                    Err(errno) => return Err(failed("memory.oom.group")(errno)),
                }
            }
            let events = group.open(c"memory.events", libc::O_RDONLY);
            group.events = Some(events.map_err(failed("memory.events"))?);
        }
        if let Some(share) = limits.cpu_share {
            // The kernel refuses what it cannot count, as it would never be reached.
            let quota = share.min(MOST_SHARE) * (PERIOD / 100);
            let text = format!("{quota} {PERIOD}");
            group.write(c"cpu.max", &text).map_err(failed("cpu.max"))?;
        }
        if enter {
            let members = group.open(c"cgroup.procs", libc::O_WRONLY);
            group.members = Some(members.map_err(failed("cgroup.procs"))?);
        }
        Ok(group)
    }

    /// The directory, for a process to start in.
    pub(super) fn directory(&self) -> RawFd {
        self.directory.as_raw_fd()
    }

    /// Where a process enters that could not start in it.
    pub(super) fn members(&self) -> Option<RawFd> {
        self.members.as_ref().map(OwnedFd::as_raw_fd)
    }

    /// True if it holds `limit`.
    pub(super) fn holds(&self, limit: Limit) -> bool {
        self.limits.hold(limit)
    }

    /// Waits for a process to be killed for want of memory.
    pub(super) fn wait(group: Option<&Arc<Self>>) -> Wait {
        let events = group.and_then(|group| group.events.as_ref());
        Wait::changed(events.map_or(-1, OwnedFd::as_raw_fd))
    }

    /// How often this limit was reached and somebody had to be killed: not so if it was one of a group above. Where one is killed
    /// after another, how many were. Otherwise the kernel kills all, but whom the host has made exempt (oom_score_adj), so that the
    /// warden has to.
    pub(super) fn kills(&self) -> u64 {
        if self.events.is_none() {
            return 0;
        }
        let text = self.read(c"memory.events").unwrap_or_default();
        let count = |key: &str| -> u64 {
            let mut lines = text.lines().filter_map(|line| line.split_once(' '));
            lines
                .find(|(name, _)| *name == key)
                .and_then(|(_, count)| count.trim().parse().ok())
                .unwrap_or(0)
        };
        match count("oom") {
            0 => 0,
            reached if !self.limits.kills_one => reached,
            _ => count("oom_kill"),
        }
    }

    /// The limit that was hit then. The kernel gives no more than it, so the reading is the most that was held.
    pub(super) fn hit(&self) -> LimitHit {
        let value = self.limits.memory.unwrap_or_default();
        // Linux 5.19.
        let peak = self.read(c"memory.peak").ok().and_then(|text| text.trim().parse().ok());
        LimitHit {
            limit: Limit::Memory.number(),
            value,
            reading: peak.unwrap_or(value),
        }
    }

    /// True if the kernel kills one process after another.
    pub(super) fn kills_one(&self) -> bool {
        self.limits.kills_one
    }

    /// Kills everything in it, daemons too.
    pub(super) fn kill(&self) {
        // Linux 5.14; before, the warden's kill must do.
        let _ = self.put(c"cgroup.kill", 1);
        if self.limits.cpu_share.is_some() {
            // Who has used up its share would be kept waiting for its end too, and with it whoever waits for that.
            let _ = self.write(c"cpu.max", "max");
        }
    }

    /// Removes it, as soon as everything in it has ended. What does not end in time stays, for the next one made to remove.
    pub(super) fn remove(&self) {
        if self.removed.swap(true, Ordering::AcqRel) {
            return;
        }
        let until = Instant::now() + LAST_BREATH;
        // The kernel tells of changes since the last reading only.
        let events = self.open(c"cgroup.events", libc::O_RDONLY).ok();
        loop {
            if let Some(events) = &events {
                let _ = read_all(events);
            }
            match sys::cgroup::remove(self.parent.as_raw_fd(), &self.name) {
                Err(sys::Errno(libc::EBUSY)) => {}
                Err(sys::Errno(libc::EINTR)) => continue,
                _ => return,
            }
            if Instant::now() >= until || events.is_none() {
                LEFT_BEHIND.store(true, Ordering::Relaxed);
                return;
            }
            let mut waits = [Wait::changed(events.as_ref().map_or(-1, OwnedFd::as_raw_fd))];
            // An error is a signal, and means another turn.
            let _ = poll(&mut waits, timeout_until(Some(until)));
        }
    }

    fn open(&self, file: &CStr, flags: i32) -> sys::Result<OwnedFd> {
        let fd = sys::cgroup::open_at(self.directory.as_raw_fd(), file, flags)?;
        // SAFETY: the descriptor was just opened and nobody else has it.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    }

    fn put(&self, file: &CStr, value: u64) -> sys::Result<()> {
        self.write(file, &value.to_string())
    }

    fn write(&self, file: &CStr, text: &str) -> sys::Result<()> {
        let fd = self.open(file, libc::O_WRONLY)?;
        // The kernel takes all of it or nothing.
        sys::fd::write(fd.as_raw_fd(), text.as_bytes()).map(drop)
    }

    fn read(&self, file: &CStr) -> sys::Result<String> {
        // What is waited for counts from its own last reading.
        match (&self.events, file == c"memory.events") {
            (Some(events), true) => read_all(events),
            _ => read_all(&self.open(file, libc::O_RDONLY)?),
        }
    }
}

/// What a small file says, from its beginning.
fn read_all(file: &OwnedFd) -> sys::Result<String> {
    let mut buffer = [0; 512];
    let count = sys::fd::read_at(file.as_raw_fd(), &mut buffer, 0)?;
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write!(text, "{}", String::from_utf8_lossy(&buffer[..count]));
    Ok(text)
}

impl Drop for Group {
    fn drop(&mut self) {
        if !*self.removed.get_mut() {
            self.kill();
            self.remove();
        }
    }
}
