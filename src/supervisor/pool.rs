//! Threads that run handlers: one pool for the whole process, and a manager that watches it.
//!
//! A worker that receives calls for handlers also answers them. The manager looks at the workers a few thousand times a second
//! while handlers run, and sleeps otherwise: it gives the waiting of a worker that is stuck in a handler back to the sandbox's
//! warden, denies calls whose handlers have had their time, and starts workers when they are wanted. Wardens cannot do that:
//! the threads they start are confined.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use parking_lot::{Condvar, Mutex};

use crate::error::{Error, ErrorKind, Result, Stage};
use crate::sys;

use super::answer::Ticket;
use super::call::{Call, Elsewhere};
use super::session::{Awaited, Session};
use super::{Handler, Level, Place};

/// Most workers.
const MOST_WORKERS: usize = 64;
/// How long a worker waits for calls of one sandbox before the warden does.
const LINGER_MS: i32 = 20;
/// How long a worker without work stays.
const IDLE: Duration = Duration::from_secs(2);
/// How often the manager looks while handlers run. A worker is stuck that is seen twice in the same handler.
const TICK: Duration = Duration::from_micros(250);
/// How many looks without a running handler until the manager sleeps.
const QUIET_TICKS: u32 = 8;
const STACK: usize = 1 << 20;

/// Something for a worker.
enum Work {
    /// A call, and the token of the waiting for the next one if that comes with it.
    Call(Call, Option<u64>),
    /// End.
    Stop,
}

/// What the manager sees of a worker.
#[derive(Default)]
struct Slot {
    /// Odd while a handler runs.
    turns: AtomicU64,
    running: Mutex<Option<Running>>,
}

struct Running {
    session: Arc<Session>,
    ticket: Arc<Ticket>,
    token: Option<u64>,
}

struct Worker {
    slot: Arc<Slot>,
    handle: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    /// Sandboxes that may need a worker.
    members: usize,
    workers: Vec<Worker>,
    /// Workers that wait for work.
    idle: usize,
    /// Workers that are about to be started.
    starting: usize,
    /// Work that no worker has taken yet.
    waiting: usize,
    manager: Option<JoinHandle<()>>,
    /// Counts how often the pool was shut down: threads of former times end.
    era: u64,
}

struct Pool {
    /// The process whose threads these are: a fork of the host has none of them.
    owner: i32,
    state: Mutex<State>,
    /// Tells the manager that something is to be done.
    changed: Condvar,
    /// The manager looks only when told.
    asleep: AtomicBool,
    work: Sender<Work>,
    queue: Receiver<Work>,
    tokens: AtomicU64,
}

/// Made on first use, and again in a fork of the host; never freed, since threads may look at it at any time.
static POOL: AtomicPtr<Pool> = AtomicPtr::new(std::ptr::null_mut());

#[allow(unsafe_code)]
fn pool() -> &'static Pool {
    loop {
        let current = POOL.load(Ordering::Acquire);
        // SAFETY: null or a pool, which is never freed.
        if let Some(pool) = unsafe { current.as_ref() }.filter(|pool| pool.owner == sys::process::id()) {
            return pool;
        }
        let (work, queue) = crossbeam_channel::unbounded();
        let new = Box::into_raw(Box::new(Pool {
            owner: sys::process::id(),
            state: Mutex::new(State::default()),
            changed: Condvar::new(),
            asleep: AtomicBool::new(false),
            work,
            queue,
            tokens: AtomicU64::new(1),
        }));
        if POOL
            .compare_exchange(current, new, Ordering::AcqRel, Ordering::Acquire)
            .is_err()
        {
            // SAFETY: it was just made and nobody has seen it.
            drop(unsafe { Box::from_raw(new) });
        }
    }
}

/// Keeps the pool's threads: for a sandbox with handlers. The last one to go ends them.
pub(crate) struct Membership(());

impl Membership {
    /// Makes sure that there is a manager, and a worker before the first call comes. Called by a thread that is not confined.
    pub(crate) fn join() -> Result<Self> {
        let pool = pool();
        let mut state = pool.state.lock();
        if state.manager.is_none() {
            let era = state.era;
            let manager = start_thread("sandlock-manager", move || manage(pool, era))?;
            state.manager = Some(manager);
        }
        state.members += 1;
        if state.workers.len() + state.starting == 0 {
            state.starting = 1;
            pool.wake_manager();
        }
        Ok(Self(()))
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let pool = pool();
        let mut state = pool.state.lock();
        // In a fork of the host the members were another process's.
        state.members = state.members.saturating_sub(1);
        if state.members > 0 {
            return;
        }
        state.era += 1;
        state.idle = 0;
        state.starting = 0;
        let manager = state.manager.take();
        let workers = std::mem::take(&mut state.workers);
        let own = std::thread::current().id();
        // Threads inside a handler of a sandbox that is gone end when it returns; nobody waits for that.
        let (leaving, stuck): (Vec<_>, Vec<_>) = workers
            .into_iter()
            .partition(|worker| worker.slot.turns.load(Ordering::SeqCst).is_multiple_of(2));
        for _ in &leaving {
            // Cannot fail: the pool holds a receiver.
            let _ = pool.work.send(Work::Stop);
        }
        drop(state);
        pool.wake_manager();
        drop(stuck);
        for handle in manager
            .into_iter()
            .chain(leaving.into_iter().map(|worker| worker.handle))
        {
            if handle.thread().id() != own {
                // An error would be a panic, which has ended the thread as well.
                let _ = handle.join();
            }
        }
    }
}

impl Pool {
    fn wake_manager(&self) {
        self.asleep.store(false, Ordering::SeqCst);
        self.changed.notify_all();
    }

    /// Gives `call` to a worker, with the waiting for the next one if there is a worker to be had.
    fn submit(&self, call: Call) {
        let mut state = self.state.lock();
        let free = state.idle + state.starting;
        let mut start = false;
        if state.waiting >= free && state.workers.len() + state.starting < MOST_WORKERS && state.manager.is_some() {
            state.starting += 1;
            start = true;
        }
        let token = (start || state.waiting < free).then(|| self.tokens.fetch_add(1, Ordering::Relaxed));
        state.waiting += 1;
        drop(state);
        if start {
            self.wake_manager();
        }
        if let Some(token) = token {
            call.session().give_post(token);
        }
        // Cannot fail: the pool holds a receiver.
        let _ = self.work.send(Work::Call(call, token));
    }
}

/// Leaves a call to a worker.
pub(super) fn hand_over(call: Call) {
    pool().submit(call);
}

/// A worker's life.
fn work(pool: &'static Pool, slot: &Slot, era: u64) {
    loop {
        {
            let mut state = pool.state.lock();
            if state.era != era {
                return;
            }
            state.idle += 1;
        }
        let work = pool.queue.recv_timeout(IDLE);
        let mut state = pool.state.lock();
        if state.era != era {
            // A call is not for this one.
            if let Ok(Work::Call(call, token)) = work {
                drop(state);
                let _ = pool.work.send(Work::Call(call, token));
            }
            return;
        }
        state.idle -= 1;
        match work {
            Ok(Work::Call(call, token)) => {
                state.waiting = state.waiting.saturating_sub(1);
                drop(state);
                serve(pool, slot, call, token);
            }
            Ok(Work::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {
                // One stays for the next call.
                if state.workers.len() > 1 && state.waiting == 0 {
                    state
                        .workers
                        .retain(|worker| !std::ptr::eq(&raw const *worker.slot, slot));
                    return;
                }
            }
        }
    }
}

/// Deals with a call, and with those that come after it if the waiting for them came with it.
fn serve(pool: &'static Pool, slot: &Slot, call: Call, token: Option<u64>) {
    let session = Arc::clone(call.session());
    proceed(pool, slot, call, token);
    let Some(token) = token else { return };
    loop {
        match session.await_call(token, LINGER_MS) {
            Awaited::Call(call) => proceed(pool, slot, call, Some(token)),
            Awaited::Nothing => return session.return_post(token),
            Awaited::Over => return,
        }
    }
}

fn proceed(pool: &'static Pool, slot: &Slot, call: Call, token: Option<u64>) {
    let elsewhere = call.proceed(Place::Anywhere, |handler, call| run(pool, slot, handler, call, token));
    if let Some(Elsewhere::Confined(call)) = elsewhere {
        let session = Arc::clone(call.session());
        session.leave_to_warden(call);
    }
}

/// Runs a handler under the manager's eyes.
fn run(pool: &'static Pool, slot: &Slot, handler: &dyn Handler, call: Call, token: Option<u64>) -> Option<Call> {
    *slot.running.lock() = Some(Running {
        session: Arc::clone(call.session()),
        ticket: Arc::clone(call.ticket()),
        token,
    });
    slot.turns.fetch_add(1, Ordering::SeqCst);
    if pool.asleep.load(Ordering::SeqCst) {
        // Under the lock: the manager may be between saying that it sleeps and sleeping.
        let state = pool.state.lock();
        pool.wake_manager();
        drop(state);
    }
    // What a panic leaves is a call without an answer, which is denied when it is dropped.
    let passed_on = catch_unwind(AssertUnwindSafe(|| call.run_handler(handler))).unwrap_or(None);
    slot.turns.fetch_add(1, Ordering::SeqCst);
    *slot.running.lock() = None;
    passed_on
}

/// What the manager remembers of a worker.
struct Watched {
    slot: Arc<Slot>,
    turn: u64,
    since: Instant,
    /// Nothing is left to be done about the handler that runs.
    settled: bool,
    relieved: bool,
}

/// The manager's life.
fn manage(pool: &'static Pool, era: u64) {
    let mut watched: Vec<Watched> = Vec::new();
    let mut quiet = 0;
    let mut state = pool.state.lock();
    while state.era == era {
        while state.starting > 0 {
            state.starting -= 1;
            start_worker(pool, &mut state, era);
        }
        let slots: Vec<_> = state.workers.iter().map(|worker| Arc::clone(&worker.slot)).collect();
        drop(state);
        watched.retain(|known| slots.iter().any(|slot| Arc::ptr_eq(slot, &known.slot)));
        for slot in slots {
            if !watched.iter().any(|known| Arc::ptr_eq(&slot, &known.slot)) {
                watched.push(Watched {
                    slot,
                    turn: 0,
                    since: Instant::now(),
                    settled: true,
                    relieved: true,
                });
            }
        }
        let now = Instant::now();
        let next = watched.iter_mut().filter_map(|worker| look(worker, now)).min();
        quiet = if next.is_some_and(|next| next <= now + TICK) {
            0
        } else {
            quiet + 1
        };
        state = pool.state.lock();
        if state.era != era || state.starting > 0 {
            continue;
        }
        if quiet < QUIET_TICKS {
            pool.changed.wait_for(&mut state, TICK);
            continue;
        }
        pool.asleep.store(true, Ordering::SeqCst);
        // A handler that began before it could see that the manager sleeps.
        let unseen = watched
            .iter()
            .any(|worker| worker.slot.turns.load(Ordering::SeqCst) != worker.turn);
        if unseen {
            pool.asleep.store(false, Ordering::SeqCst);
            quiet = 0;
            continue;
        }
        match next {
            Some(next) => {
                pool.changed.wait_until(&mut state, next);
            }
            None => pool.changed.wait(&mut state),
        }
        pool.asleep.store(false, Ordering::SeqCst);
        quiet = 0;
    }
}

/// Looks at a worker, and says when to look again if a handler runs.
fn look(worker: &mut Watched, now: Instant) -> Option<Instant> {
    let turn = worker.slot.turns.load(Ordering::SeqCst);
    if turn != worker.turn {
        worker.turn = turn;
        worker.since = now;
        worker.relieved = false;
        worker.settled = turn.is_multiple_of(2);
    }
    if worker.settled {
        return None;
    }
    let (session, ticket, token) = {
        let running = worker.slot.running.lock();
        let Some(running) = running.as_ref() else {
            return Some(now + TICK);
        };
        (Arc::clone(&running.session), Arc::clone(&running.ticket), running.token)
    };
    if worker.slot.turns.load(Ordering::SeqCst) != turn {
        // What was read may belong to another handler.
        return Some(now + TICK);
    }
    if now.duration_since(worker.since) < TICK {
        return Some(now + TICK);
    }
    if !worker.relieved {
        worker.relieved = true;
        if let Some(token) = token {
            session.return_post(token);
        }
    }
    let deadline = worker.since.checked_add(session.core().deadline());
    if deadline.is_some_and(|deadline| deadline <= now) {
        worker.settled = true;
        if ticket.deny_overdue(&session) {
            let number = session.core();
            number.log(Level::Warning, "a handler's deadline has passed; its call is denied");
        }
        return None;
    }
    deadline
}

fn start_worker(pool: &'static Pool, state: &mut State, era: u64) {
    let slot = Arc::new(Slot::default());
    let started = start_thread("sandlock-worker", {
        let slot = Arc::clone(&slot);
        move || work(pool, &slot, era)
    });
    match started {
        Ok(handle) => state.workers.push(Worker { slot, handle }),
        // Other workers will come to the work in time. If there are none, nobody will: it is denied.
        Err(error) => {
            while state.workers.is_empty() {
                let Ok(Work::Call(call, token)) = pool.queue.try_recv() else {
                    break;
                };
                state.waiting = state.waiting.saturating_sub(1);
                if let Some(token) = token {
                    call.session().return_post(token);
                }
                call.session().core().log(Level::Error, &error.to_string());
                drop(call);
            }
        }
    }
}

/// Starts a thread that takes no signals, from its first instruction on.
fn start_thread(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    let failed = |errno| {
        Error::system(
            ErrorKind::System,
            Stage::Supervisor,
            format_args!("cannot start the thread {name:?}"),
            errno,
        )
    };
    let former = sys::signal::set_mask(sys::signal::Mask::ALL_BUT_LIBC).map_err(|errno| failed(errno.0))?;
    let thread = std::thread::Builder::new()
        .name(name.to_owned())
        .stack_size(STACK)
        .spawn(body);
    let restored = sys::signal::set_mask(former);
    debug_assert!(restored.is_ok(), "restoring a signal mask cannot fail");
    thread.map_err(|error| failed(error.raw_os_error().unwrap_or(libc::EAGAIN)))
}
