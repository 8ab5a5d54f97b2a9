//! The limit of processes and threads: calls that start one are refused with EAGAIN, as fork(2) itself does at a limit, while there
//! are as many as the policy allows.
//!
//! What counts is who is in the sandbox, as its warden's signals find them. Neither daemons nor unusual ways to wait evade
//! or wear out such a count, but it takes a look at every process of the host. So it is made only when the last count and all
//! starts since could add up to the limit.
//!
//! A start that was let through has not happened yet, and nobody says when it has. Until there is evidence that it is over it counts
//! as one more: its thread has called again, waits for something else or is gone, or has as many new children as it has started. If
//! only such starts fill the limit, the next one waits for a moment.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use parking_lot::Mutex;

use crate::members::{self, Found};
use crate::policy::Policy;
use crate::supervisor::{Call, Reply, Served, kind};

/// For how long a start waits for others to be over. Only a thread that does nothing but compute gives no sign for that long.
const PATIENCE: Duration = Duration::from_secs(1);

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
    /// How many processes its thread has started since the last count, this one included.
    since: usize,
}

struct State {
    /// There are no more than these.
    most: Count,
    /// Those let through that may not be over, by calling thread, which can be in one call only.
    starts: BTreeMap<i32, Start>,
    /// Processes at the last count.
    known: BTreeSet<i32>,
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
                known: BTreeSet::new(),
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
        }
        let before = self.starts.get(&caller).map_or(0, |start| start.since);
        let since = before + usize::from(!start.thread);
        self.starts.insert(caller, Start { since, ..start });
    }

    /// Counts anew, and says how many there are without the starts that may not be over.
    fn count(&mut self, call: &Call) -> Option<Count> {
        // Before the look at who there is: that misses what appears meanwhile, which must not have been taken for over then.
        self.starts.retain(|&caller, start| {
            let over = caller == call.thread() || is_over(caller, *start, call, &self.known);
            // Of those before, the children are known from now on.
            start.since = 1;
            !over
        });
        let members = members::in_scope().ok()?;
        self.known = members.iter().map(|found| found.member.pid).collect();
        let sure = Count {
            processes: members.len() as u64,
            threads: members.iter().map(|found| found.threads).sum(),
        };
        self.most = Count {
            processes: sure.processes + self.starts.values().filter(|start| !start.thread).count() as u64,
            threads: sure.threads + self.starts.len() as u64,
        };
        Some(sure)
    }
}

/// True if the start is over that `caller` was let through with. `known`: processes at the last count.
fn is_over(caller: i32, start: Start, call: &Call, known: &BTreeSet<i32>) -> bool {
    if call.other_waits(start.id) {
        // A handler that comes later in the chain has not let it run yet.
        return false;
    }
    let Some(found) = members::look(caller) else {
        return true;
    };
    if !matches!(found.state, 'R' | 'D') {
        // Starting something, a thread is on the processor, or waits in a way that nothing interrupts.
        return true;
    }
    // A child that has ended and was waited for is missing here; then something else must show it.
    !start.thread && children(caller, found.threads).difference(known).count() >= start.since
}

/// The processes that the thread `parent` of a process with so many `threads` has started.
fn children(parent: i32, threads: u64) -> BTreeSet<i32> {
    members::children_of(parent).unwrap_or_else(|| {
        // The kernel does not tell by thread. By process it does, which is the same if there is one thread.
        let all = if threads == 1 { members::in_scope().ok() } else { None };
        let own = |found: &Found| found.parent == parent;
        all.unwrap_or_default()
            .iter()
            .filter(|found| own(found))
            .map(|found| found.member.pid)
            .collect()
    })
}

/// True for a call that starts a thread of the caller's process.
fn starts_thread(call: &Call) -> bool {
    let received = call.received();
    let flags = received.arguments[0];
    libc::c_long::from(received.number) == libc::SYS_clone && flags & u64::from(libc::CLONE_THREAD.cast_unsigned()) != 0
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

    /// Sees to a call that starts a process or thread.
    pub(super) fn serve(&self, call: &Call, confined: bool) -> Served {
        let thread = starts_thread(call);
        if thread && self.limit.threads == u64::MAX {
            // Trapped for a handler's sake.
            return Served::Pass;
        }
        let start = Start {
            id: call.received().id,
            thread,
            since: 0,
        };
        let mut state = self.state.lock();
        if !self.admits(state.most, thread) {
            if !confined {
                return Served::Confined;
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
        state.let_through(call.thread(), start);
        Served::Pass
    }
}
