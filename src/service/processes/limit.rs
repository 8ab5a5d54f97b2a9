//! The limit of processes and threads: calls that start one are refused with EAGAIN, as fork(2) itself does at a limit, while there
//! are as many as the policy allows.
//!
//! What counts is who is in the sandbox, as its warden's signals find them. Neither daemons nor unusual ways to wait evade
//! or wear out such a count, but it takes a look at every process of the host. So it is made only when the last count and all
//! starts since could add up to the limit.
//!
//! A start that was let through has not happened yet, and nobody says when it has. It counts as one more until there is evidence that it
//! is over: its thread has called again, waits for something, has computed for a while, or is gone. And there are no more such starts
//! than were let through, less the processes that have appeared. If only they fill the limit, the next one waits for a moment.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::lock::Mutex;
use crate::members;
use crate::policy::Policy;
use crate::supervisor::{Call, Ground, Reply, Served, kind};

/// For how long a start waits for others to be over. Longer than it takes many threads on few processors to show that they compute.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many of a kind there are, or may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Count {
    processes: u64,
    threads: u64,
}

/// A start that was let through.
#[derive(Clone, Copy, Debug)]
struct Start {
    /// The call.
    id: u64,
    /// Of a thread, not of a process.
    thread: bool,
    /// What its thread had computed when it was first looked at.
    computed: Option<u64>,
}

struct State {
    /// There are no more than these.
    most: Count,
    /// Those let through that may not be over, by calling thread, which can be in one call only.
    starts: BTreeMap<i32, Start>,
    /// Starts of processes that were let through and may not have come to one among `known`, at most.
    open: u64,
    /// Processes at the last count.
    known: BTreeSet<i32>,
    /// Some process may have been started that has the memory of its parent.
    shares_memory: bool,
}

/// The limit of one sandbox.
pub(super) struct StartLimit {
    limit: Count,
    state: Mutex<State>,
}

impl StartLimit {
    pub(super) fn new(policy: &Policy) -> Self {
        Self {
            limit: Count {
                processes: policy.process_limit().unwrap_or(u64::MAX),
                threads: policy.thread_limit().unwrap_or(u64::MAX),
            },
            state: Mutex::new(State {
                // The program.
                most: Count {
                    processes: 1,
                    threads: 1,
                },
                starts: BTreeMap::new(),
                // The program, which the first count finds.
                open: 1,
                known: BTreeSet::new(),
                shares_memory: false,
            }),
        }
    }

    /// True if there is room beside `count`.
    fn admits(&self, count: Count, thread: bool) -> bool {
        count.threads < self.limit.threads && (thread || count.processes < self.limit.processes)
    }
}

impl State {
    fn let_through(&mut self, caller: i32, start: Start) {
        self.most.threads += 1;
        if !start.thread {
            self.most.processes += 1;
            self.open += 1;
        }
        self.starts.insert(caller, start);
    }

    /// Counts anew, and says how many there are without the starts that may not be over. None: nobody can tell.
    fn count(&mut self, call: &Call) -> Option<Count> {
        // Before the look at who there is: that misses what appears meanwhile, which must not have been taken for over then.
        self.starts
            .retain(|&caller, start| caller != call.thread() && !is_over(caller, start, call));
        let members = call.reach().found().ok()?;
        let new = members.iter().filter(|found| !self.known.contains(&found.member.pid));
        let left = self.starts.values().filter(|start| !start.thread).count() as u64;
        // Each new process was one of them.
        self.open = self.open.saturating_sub(new.count() as u64).min(left);
        self.known = members.iter().map(|found| found.member.pid).collect();
        let sure = Count {
            processes: members.len() as u64,
            threads: members.iter().map(|found| found.threads).sum(),
        };
        let threads = self.starts.len() as u64 - left;
        self.most = Count {
            processes: sure.processes + self.open,
            threads: sure.threads + self.open + threads,
        };
        Some(sure)
    }
}

/// True if the start is over that `caller` was let through with.
fn is_over(caller: i32, start: &mut Start, call: &Call) -> bool {
    /// Inside the kernel a thread computes nothing. But the kernel tells user from system time by samples, and may be off by some.
    const SURE: u64 = 5;
    if call.other_waits(start.id) {
        // A handler that comes later in the chain has not let it run yet.
        return false;
    }
    match members::look(caller) {
        Ok(None) => return true,
        // Starting something, a thread is on the processor, or waits in a way that nothing interrupts.
        Ok(Some(found)) if !matches!(found.state, 'R' | 'D') => return true,
        Ok(Some(_)) => {}
        // It is not known to be.
        Err(_) => return false,
    }
    let Some(computed) = members::user_ticks(caller) else {
        return false;
    };
    let first = *start.computed.get_or_insert(computed);
    computed >= first + SURE
}

/// True for a call that starts a thread of the caller's process.
fn starts_thread(call: &Call) -> bool {
    let received = call.received();
    let flags = received.arguments[0];
    libc::c_long::from(received.number) == libc::SYS_clone && flags & u64::from(libc::CLONE_THREAD.cast_unsigned()) != 0
}

/// True for a call that starts a process with the memory of the caller's.
fn starts_sharing(call: &Call) -> bool {
    let received = call.received();
    let number = libc::c_long::from(received.number);
    let vm = u64::from(libc::CLONE_VM.cast_unsigned());
    let shares = number == libc::SYS_clone && received.arguments[0] & vm != 0 && !starts_thread(call);
    #[cfg(target_arch = "x86_64")]
    let shares = shares || number == libc::SYS_vfork;
    shares
}

impl StartLimit {
    /// Refuses a call as fork(2) does at a limit, and has that told.
    fn refuse(&self, call: &Call) -> Served {
        let mut event = call.event(kind::LIMIT);
        event.errno = libc::EAGAIN;
        let limits = [("PROCESSES", self.limit.processes), ("THREADS", self.limit.threads)];
        let said = limits
            .iter()
            .filter(|(_, limit)| *limit != u64::MAX)
            .map(|(name, limit)| format!("{name}={limit}"));
        event.text = format!("limit {}", said.collect::<Vec<_>>().join(" "));
        call.emit(event);
        const { assert!(libc::EAGAIN == 11) };
        Served::Answer(Reply::Errno(11))
    }

    /// True if nobody else in the sandbox has the memory of the caller.
    pub(super) fn is_alone(&self, call: &Call) -> bool {
        let shared = self.state.lock().shares_memory;
        !shared && members::look(call.thread()).is_ok_and(|found| found.is_some_and(|found| found.threads == 1))
    }

    /// Sees to a call that starts a process or thread.
    pub(super) fn serve(&self, call: &Call, ground: Ground) -> Served {
        let thread = starts_thread(call);
        if thread && self.limit.threads == u64::MAX {
            // Trapped for a handler's sake.
            return Served::Pass;
        }
        let start = Start {
            id: call.received().id,
            thread,
            computed: None,
        };
        let mut state = self.state.lock();
        if !self.admits(state.most, thread) {
            match ground {
                Ground::Free => return Served::Confined,
                // Nobody can tell who is in the sandbox, and the report says so.
                Ground::Unscoped | Ground::UnscopedApart => return Served::Pass,
                Ground::Warden | Ground::Apart => {}
            }
            // Without a count there is no telling.
            let Some(sure) = state.count(call) else {
                return self.refuse(call);
            };
            if !self.admits(state.most, thread) {
                let may_be_room = self.admits(sure, thread) && call.age() < PATIENCE;
                return if may_be_room { Served::Later } else { self.refuse(call) };
            }
        }
        state.shares_memory |= starts_sharing(call);
        state.let_through(call.thread(), start);
        Served::Pass
    }
}
