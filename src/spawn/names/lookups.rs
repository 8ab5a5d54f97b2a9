//! Several lookups at once, on threads that nobody has to wait for.
//!
//! A lookup cannot be interrupted, and one that waits for a server that does not answer may go on for a minute. Its thread owns all
//! that it uses and is not joined: when the time is up it is left alone, and ends whenever the resolver returns. So that a resolver
//! that never does cannot fill the host with threads, a process has a number of slots for them. Who finds none waits for one.

#![allow(unsafe_code)] // slots that are never freed

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, after, bounded, select, unbounded};

use crate::error::{Error, ErrorKind, Result, Stage};
use crate::spawn::thread::start_with_stack;
use crate::sys;

use super::{Failure, system};

/// Most threads for the names of one policy.
pub(super) const MOST_AT_ONCE: usize = 8;

/// Most threads in the process, those included that hang.
pub(super) const MOST_IN_PROCESS: usize = 64;

/// Stack of a lookup. Its modules are others' code (nsswitch.conf(5)); what they do not touch takes no memory.
const STACK: usize = 1 << 20;

/// What a name has come to.
pub(super) type Answer = std::result::Result<Vec<IpAddr>, Failure>;

/// Looks up a name, however long that takes.
pub(super) type Lookup = Arc<dyn Fn(&str) -> Answer + Send + Sync>;

/// Disconnected when nobody wants to know any more.
pub(super) type Stop = Receiver<Infallible>;

/// When time is up.
pub(super) struct Deadline {
    /// Something comes here then.
    pub(super) over: Receiver<Instant>,
    /// How long it was until then.
    pub(super) after: Duration,
}

impl Deadline {
    pub(super) fn new(timeout: Duration) -> Self {
        Self {
            over: after(timeout),
            after: timeout,
        }
    }
}

/// Who looks names up, and how much at once.
#[derive(Clone)]
pub(super) struct Means {
    pub(super) lookup: Lookup,
    pub(super) slots: Slots,
}

impl Means {
    pub(super) fn of_system() -> Self {
        Self {
            lookup: Arc::new(system::look_up),
            slots: Slots::of_process(),
        }
    }
}

/// The right to run so many lookups.
#[derive(Clone)]
pub(super) struct Slots {
    free: Receiver<()>,
    give_back: Sender<()>,
}

/// The right to run one. Given back when it is dropped.
struct Slot(Sender<()>);

impl Drop for Slot {
    fn drop(&mut self) {
        // There is room for as many as there are.
        let _ = self.0.try_send(());
    }
}

/// The slots of a process.
struct Owned {
    /// A fork of the host has none of the threads that have taken some.
    owner: i32,
    slots: Slots,
}

/// Made on first use, and again in a fork of the host; never freed, since any thread may look at them at any time.
static OWNED: AtomicPtr<Owned> = AtomicPtr::new(std::ptr::null_mut());

impl Slots {
    pub(super) fn new(count: usize) -> Self {
        let (give_back, free) = bounded(count);
        for _ in 0..count {
            // There is room for as many.
            let _ = give_back.try_send(());
        }
        Self { free, give_back }
    }

    fn of_process() -> Self {
        let owner = sys::process::id();
        loop {
            let current = OWNED.load(Ordering::Acquire);
            // SAFETY: null or what was made below, which is never freed.
            if let Some(owned) = unsafe { current.as_ref() }.filter(|owned| owned.owner == owner) {
                return owned.slots.clone();
            }
            let new = Box::into_raw(Box::new(Owned {
                owner,
                slots: Self::new(MOST_IN_PROCESS),
            }));
            let placed = OWNED.compare_exchange(current, new, Ordering::AcqRel, Ordering::Acquire);
            if placed.is_err() {
                // SAFETY: it was just made and nobody has seen it.
                drop(unsafe { Box::from_raw(new) });
            }
        }
    }

    fn slot(&self) -> Slot {
        Slot(self.give_back.clone())
    }

    fn try_take(&self) -> Option<Slot> {
        self.free.try_recv().ok().map(|()| self.slot())
    }

    fn exhausted(&self) -> Error {
        let count = self.free.capacity().unwrap_or(MOST_IN_PROCESS);
        Error::new(
            ErrorKind::Limit,
            Stage::Network,
            format_args!("cannot resolve names: {count} lookups hang already, and there may be no more"),
        )
    }

    #[cfg(test)]
    pub(super) fn free(&self) -> &Receiver<()> {
        &self.free
    }
}

/// Names, and who looks them up.
struct Task {
    names: Vec<String>,
    /// Index of the first that nobody has begun with.
    next: AtomicUsize,
    lookup: Lookup,
}

impl Task {
    /// Looks up what others leave, until there is nothing left or nobody wants to know.
    fn run(&self, tell: &Sender<(usize, Answer)>) {
        loop {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(name) = self.names.get(index) else { return };
            if tell.send((index, (self.lookup)(name))).is_err() {
                return;
            }
        }
    }
}

/// Looks up `names` and says in their order what they have come to when all are known or the time is up. None: stopped before.
pub(super) fn look_up(names: &[&str], means: &Means, time: &Deadline, stop: &Stop) -> Result<Option<Vec<Answer>>> {
    let first = select! {
        recv(means.slots.free) -> _ => means.slots.slot(),
        recv(stop) -> _ => return Ok(None),
        recv(time.over) -> _ => return Err(means.slots.exhausted()),
    };
    let answers = start(names, means, first)?;
    let mut known: Vec<Option<Answer>> = names.iter().map(|_| None).collect();
    let mut missing = names.len();
    let mut lost = false;
    while missing > 0 && !lost {
        select! {
            recv(answers) -> answer => match answer {
                Ok((index, answer)) => {
                    known[index] = Some(answer);
                    missing -= 1;
                }
                Err(_) => lost = true,
            },
            recv(stop) -> _ => return Ok(None),
            recv(time.over) -> _ => break,
        }
    }
    // Those that came at the last moment.
    for (index, answer) in answers.try_iter() {
        known[index] = Some(answer);
    }
    let unanswered = |name: &str| Failure {
        name: name.to_owned(),
        reason: match lost {
            true => "its lookup has ended without an answer".to_owned(),
            false => format!("timed out after {}", in_words(time.after)),
        },
        kind: ErrorKind::System,
    };
    let said = names.iter().zip(known);
    Ok(Some(
        said.map(|(name, answer)| answer.unwrap_or_else(|| Err(unanswered(name))))
            .collect(),
    ))
}

/// Starts as many threads as are needed and may be, and says where their answers come. An error if there is none at all.
fn start(names: &[&str], means: &Means, first: Slot) -> Result<Receiver<(usize, Answer)>> {
    let task = Arc::new(Task {
        names: names.iter().map(|&name| name.to_owned()).collect(),
        next: AtomicUsize::new(0),
        lookup: Arc::clone(&means.lookup),
    });
    let (tell, answers) = unbounded();
    let mut slot = Some(first);
    for started in 0..names.len().min(MOST_AT_ONCE) {
        let Some(slot) = slot.take().or_else(|| means.slots.try_take()) else {
            break;
        };
        let (task, tell) = (Arc::clone(&task), tell.clone());
        let thread = start_with_stack("sandlock-lookup".to_owned(), STACK, move || {
            let _slot = slot;
            task.run(&tell);
        });
        match thread {
            // Detached.
            Ok(handle) => drop(handle),
            Err(errno) if started == 0 => {
                return Err(Error::system(
                    ErrorKind::System,
                    Stage::Network,
                    "cannot start a thread that resolves names",
                    errno.0,
                ));
            }
            // The others do its part.
            Err(_) => break,
        }
    }
    Ok(answers)
}

fn in_words(time: Duration) -> String {
    match time.subsec_nanos() {
        0 => format!("{} s", time.as_secs()),
        _ => format!("{} ms", time.as_millis()),
    }
}
