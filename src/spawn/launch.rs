//! Cloning, and learning how far the child came.

#![allow(unsafe_code)]

use std::ffi::{CString, c_void};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;
use std::sync::Arc;

use crate::child;
use crate::lock::Mutex;
use crate::plan::{ChildPlan, Record};
use crate::sys;
use crate::sys::memory::Mapping;
use crate::sys::process::{Apart, Child};
use crate::sys::signal::{Mask, set_mask};

use super::streams;

/// Memory for children: a stack for the program of an init, one for the child that the warden makes, and above them the record.
pub(super) struct Arena {
    mapping: Option<Mapping>,
    shared: bool,
}

/// The child's code needs a few hundred bytes; system calls run on the kernel's own stack.
const STACK: usize = 32 << 10;
/// Room for the record, page-aligned on every architecture.
const RECORD: usize = 64 << 10;

/// Private mappings of former children, for the next ones: to map and unmap memory interrupts every processor that the host
/// runs on. Only a few, and never waited for.
static SPARE: Mutex<Vec<Mapping>> = Mutex::new(Vec::new());
const MOST_SPARE: usize = 4;

impl Arena {
    /// Maps it, or takes a spare one. `shared`: for a child with a copy of the host's memory.
    pub(super) fn new(shared: bool) -> sys::Result<Self> {
        const { assert!(size_of::<Record>() <= RECORD) };
        let spare = if shared {
            None
        } else {
            SPARE.try_lock().and_then(|mut spare| spare.pop())
        };
        let mapping = match spare {
            Some(mapping) => mapping,
            None => Mapping::new(2 * STACK + RECORD, shared)?,
        };
        let arena = Self {
            mapping: Some(mapping),
            shared,
        };
        // SAFETY: the record's place is inside the mapping, aligned, and used by nobody: its last user is gone.
        unsafe { arena.record_place().write(Record::new()) };
        Ok(arena)
    }

    fn record_place(&self) -> *mut Record {
        let end = self.mapping.as_ref().map_or(ptr::null_mut(), Mapping::end);
        // Inside the mapping: RECORD is less than its length.
        end.wrapping_sub(RECORD).cast()
    }

    /// What the child has written.
    pub(super) fn record(&self) -> &Record {
        // SAFETY: initialised in new(), and only changed through its atomics.
        unsafe { &*self.record_place() }
    }

    /// Where the stack, which grows down, begins.
    fn stack_top(&self) -> *mut c_void {
        self.record_place().cast()
    }

    /// Where the one for the program of an init begins.
    pub(super) fn second_stack_top(&self) -> *mut c_void {
        // Inside the mapping, which has room for two.
        self.stack_top().wrapping_byte_sub(STACK)
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        let Some(mapping) = self.mapping.take().filter(|_| !self.shared) else {
            return;
        };
        if let Some(mut spare) = SPARE.try_lock().filter(|spare| spare.len() < MOST_SPARE) {
            spare.push(mapping);
        }
    }
}

/// A started child. Until it has left the memory that it was given, which may be the host's, that must not be freed: a value
/// that is dropped before kills the child and waits.
pub(super) struct Launched<'a> {
    /// The program's.
    pub(super) pid: i32,
    pub(super) pidfd: Arc<OwnedFd>,
    /// The child that the warden has made, if that is not the program but the init of its PID namespace.
    init: Option<(i32, Arc<OwnedFd>)>,
    record: &'a Record,
}

impl<'a> Launched<'a> {
    fn new(pid: i32, pidfd: OwnedFd, record: &'a Record) -> Self {
        Self {
            pid,
            pidfd: Arc::new(pidfd),
            init: None,
            record,
        }
    }

    /// The program, as system calls take it.
    pub(super) fn program(&self) -> Child {
        Child {
            pid: self.pid,
            pidfd: self.pidfd.as_raw_fd(),
        }
    }

    /// The child that the warden has made, with which the sandbox ends. The program, unless that has an init.
    pub(super) fn child(&self) -> Child {
        match &self.init {
            Some((pid, pidfd)) => Child {
                pid: *pid,
                pidfd: pidfd.as_raw_fd(),
            },
            None => self.program(),
        }
    }

    /// True once it has executed its program or ended.
    pub(super) fn has_left(&self) -> bool {
        self.record.has_left()
    }
}

impl Drop for Launched<'_> {
    fn drop(&mut self) {
        if !self.has_left() {
            // An error means that it has just ended.
            let _ = sys::signal::send_to(self.child(), libc::SIGKILL);
            self.record.wait_until_left();
        }
    }
}

/// What memory a child starts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Memory {
    /// The host's.
    Shared,
    /// A copy: for what belongs to the address space.
    Copied,
    /// A copy, by the plainest means: for tools that rewrite system calls, like valgrind.
    PlainFork,
}

/// Clones a child that takes `steps` and executes the program. The calling thread keeps its signal mask.
pub(super) fn launch<'a>(
    plan: &'a ChildPlan<'a>,
    arena: &'a Arena,
    memory: Memory,
    apart: Apart,
) -> sys::Result<Launched<'a>> {
    let argument = ptr::from_ref(plan).cast::<c_void>().cast_mut();
    let former = set_mask(Mask::ALL)?;
    let launched = match memory {
        Memory::Shared => match plan.init {
            Some(init) => start_init(argument, init.image, arena, apart),
            None => start_sharing(argument, arena, apart),
        },
        Memory::Copied => start_copy(argument, arena.record(), apart),
        Memory::PlainFork => start_plain_fork(argument, arena.record()),
    };
    let restored = set_mask(former);
    debug_assert!(restored.is_ok(), "restoring a signal mask cannot fail");
    launched
}

fn start_sharing(argument: *mut c_void, arena: &Arena, apart: Apart) -> sys::Result<Launched<'_>> {
    let record = arena.record();
    // SAFETY: child::entry neither returns nor unwinds, and keeps to what a shared address space allows. The plan and all it
    // points to are borrowed by the value returned, which does not go before the child has left this memory. The stack is the
    // arena's, used by nobody else, and page-aligned. All signals are blocked.
    let child = unsafe {
        sys::process::start_sharing_memory(child::entry, arena.stack_top(), argument, record.present(), apart)
    }?;
    // SAFETY: the descriptor was just made and nobody else has it.
    let pidfd = unsafe { OwnedFd::from_raw_fd(child.pidfd) };
    Ok(Launched::new(child.pid, pidfd, record))
}

/// Starts the init of a PID namespace, and waits until that has started the program. If it fails to, it has ended, and stands in for it.
fn start_init(argument: *mut c_void, image: i32, arena: &Arena, apart: Apart) -> sys::Result<Launched<'_>> {
    let record = arena.record();
    let apart = Apart {
        // The program's descriptor is to appear in this table.
        share_descriptors: true,
        ..apart
    };
    // SAFETY: as in start_sharing. The program, which the init starts, is waited for as well.
    let started = unsafe {
        sys::process::start_sharing_memory(child::entry, arena.stack_top(), argument, record.expect_init(), apart)
    };
    let init = started.inspect_err(|_| record.leave())?;
    // SAFETY: the descriptor was just made and nobody else has it.
    let init_fd = Arc::new(unsafe { OwnedFd::from_raw_fd(init.pidfd) });
    let has_ended = || !matches!(sys::process::has_ended(init), Ok(false));
    let (pid, pidfd) = match record.await_program(has_ended) {
        Some(number) => {
            // SAFETY: the init had it made in the table that it shares with this process, and nobody else has it.
            let pidfd = unsafe { OwnedFd::from_raw_fd(number) };
            let pid = process_behind(&pidfd);
            record.wait_until_init_leaves();
            await_execution(init, image);
            record.release_program();
            // Killed by somebody outside, since until now it has waited: there is no such process any more.
            (pid.unwrap_or(init.pid), Arc::new(pidfd))
        }
        None => {
            while sys::process::await_end(init.pid) == Err(sys::Errno(libc::EINTR)) {}
            record.leave();
            (init.pid, Arc::clone(&init_fd))
        }
    };
    Ok(Launched {
        pid,
        pidfd,
        init: Some((init.pid, init_fd)),
        record,
    })
}

/// Waits until `init` executes `image`, or has ended. The kernel says that it leaves the memory that it shares a moment before it does.
fn await_execution(init: Child, image: i32) {
    let path = CString::new(format!("/proc/{}/exe", init.pid)).unwrap_or_default();
    let executes = || sys::fd::identify(image).is_ok_and(|image| sys::fd::identify_path(&path) == Ok(image));
    while !executes() && matches!(sys::process::has_ended(init), Ok(false)) {
        std::thread::yield_now();
    }
}

/// The process id behind a pidfd; None: it has ended, or the kernel does not say.
fn process_behind(pidfd: &OwnedFd) -> Option<i32> {
    let number = pidfd.as_raw_fd();
    sys::process::id_of(number).ok().or_else(|| {
        let text = std::fs::read_to_string(format!("/proc/thread-self/fdinfo/{number}")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("Pid:"))?;
        line.trim().parse().ok().filter(|&pid| pid > 0)
    })
}

fn start_copy(argument: *mut c_void, record: &Record, apart: Apart) -> sys::Result<Launched<'_>> {
    // SAFETY: child::entry neither returns nor unwinds and makes system calls only. The plan is valid in the copy, and its
    // record lies in a shared mapping.
    let child = unsafe { sys::process::start_copying_memory(child::entry, argument, apart) }?;
    record.leave();
    // SAFETY: the descriptor was just made and nobody else has it.
    let pidfd = unsafe { OwnedFd::from_raw_fd(child.pidfd) };
    Ok(Launched::new(child.pid, pidfd, record))
}

/// Starts a child by fork, and waits for exec or its end by a pipe that either closes. Another thread of the host that forks
/// meanwhile holds the pipe open until its child executes or ends.
fn start_plain_fork(argument: *mut c_void, record: &Record) -> sys::Result<Launched<'_>> {
    let (reader, writer) = streams::pipe()?;
    // SAFETY: as in start_copy.
    let pid = unsafe { sys::process::start_plain_fork(child::entry, argument) }?;
    drop(writer);
    let mut nothing = [0; 1];
    while sys::fd::read(reader.as_raw_fd(), &mut nothing) == Err(sys::Errno(libc::EINTR)) {}
    record.leave();
    let pidfd = match sys::process::open_pidfd(pid) {
        Ok(pidfd) => pidfd,
        Err(errno) => return stand_in_for_pidfd(pid, record).ok_or(errno),
    };
    // SAFETY: the descriptor was just made and nobody else has it.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok(Launched::new(pid, pidfd, record))
}

/// A pipe that closes when the child ends, in place of a pidfd, which tools like valgrind 3.19 do not know.
fn stand_in_for_pidfd(pid: i32, record: &Record) -> Option<Launched<'_>> {
    let pipe = streams::pipe().ok();
    let watching = pipe.and_then(|(reader, writer)| {
        let watch = move || {
            // An error means that there is no such child any more, which is what was waited for.
            while sys::process::await_end(pid) == Err(sys::Errno(libc::EINTR)) {}
            drop(writer);
        };
        std::thread::Builder::new()
            .name("sandlock-watch".to_owned())
            .spawn(watch)
            .ok()?;
        Some(Launched::new(pid, reader, record))
    });
    if watching.is_none() {
        // Nobody could wait for it.
        let _ = sys::signal::kill(pid, libc::SIGKILL);
        let _ = sys::process::await_end(pid);
        let _ = sys::process::reap(Child { pid, pidfd: -1 });
    }
    watching
}

/// A pidfd of this thread, for an init to see whether it has outlived it. None: it does without that.
pub(super) fn open_own_thread() -> Option<OwnedFd> {
    let pidfd = sys::process::open_pidfd_of_thread().ok()?;
    // SAFETY: just made, and nobody else has it.
    Some(unsafe { OwnedFd::from_raw_fd(pidfd) })
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn thread_that_made_an_init_is_seen_to_be_gone() {
        let (tell, told) = mpsc::channel();
        let (leave, may_leave) = mpsc::channel::<()>();
        let maker = std::thread::Builder::new()
            .spawn(move || {
                tell.send(open_own_thread().expect("pidfd")).expect("send");
                let _ = may_leave.recv();
            })
            .expect("thread");
        let pidfd = told.recv().expect("pidfd of the thread");
        assert!(!sys::process::is_over(pidfd.as_raw_fd()));
        drop(leave);
        maker.join().expect("thread");
        // The kernel lets go of a thread a moment after whoever joins it knows.
        sys::process::await_release(pidfd.as_raw_fd(), 10_000).expect("poll");
        assert!(sys::process::is_over(pidfd.as_raw_fd()));
        assert!(!sys::process::is_over(-1));
    }
}
