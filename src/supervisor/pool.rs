//! Threads that run handlers: one pool for the whole process, and a manager that watches it.
//!
//! A worker that receives calls for handlers also answers them. The manager looks at the workers a few thousand times a second
//! while handlers run, and sleeps otherwise: it gives the waiting of a worker that is stuck in a handler back to the sandbox's
//! warden, denies calls whose handlers have had their time, and starts workers when they are wanted. Wardens cannot do that:
//! the threads they start are confined.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering, fence};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use crate::error::{Error, ErrorKind, Result, Stage};
use crate::lock::{Condvar, Mutex};
use crate::sys;
use crate::sys::event::poll;

use super::answer::{Reply, deny_overdue};
use super::call::{Call, Place};
use super::session::{Awaited, Session};
use super::watch::{Phase, Post, Slot, Turn};
use super::{Handler, Level};

/// Most workers.
const MOST_WORKERS: usize = 64;
/// Most workers that wait in the kernel, where nothing but a call or the end of the sandbox reaches them. The others poll.
const MOST_SEATS: usize = 32;
/// How long a worker that polls waits for calls of one sandbox before the warden does.
const LINGER_MS: i32 = 20;
/// How long a worker without work stays.
const IDLE: Duration = Duration::from_secs(2);
/// How often the manager looks while handlers run. A worker is stuck that is seen twice in the same handler.
const TICK: Duration = Duration::from_micros(250);
/// How often it looks at calls that wait for a worker.
const WAITING_TICK: Duration = Duration::from_millis(20);
/// How many looks without a running handler until the manager sleeps.
const QUIET_TICKS: u32 = 8;
/// How long the last sandbox to go waits for handlers of others to return. They can be held up by the host for ever.
const FAREWELL: Duration = Duration::from_millis(200);
const STACK: usize = 1 << 20;

/// A call for a worker, with the token of the waiting for the next one if that comes with it.
struct Work {
    call: Call,
    token: Option<u64>,
}

struct Worker {
    slot: Arc<Slot>,
    handle: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    workers: Vec<Worker>,
    /// Workers that wait for work.
    idle: usize,
    /// Workers that are about to be started.
    starting: usize,
    /// Work that no worker has taken yet.
    waiting: usize,
    /// Where work is put; None when there will be no more.
    work: Option<Sender<Work>>,
}

/// The threads of the pool, from the first sandbox that needs them to the last.
pub(crate) struct Crew {
    state: Mutex<State>,
    /// Tells the manager that something is to be done.
    changed: Condvar,
    /// The manager looks only when told.
    asleep: AtomicBool,
    queue: Receiver<Work>,
    tokens: AtomicU64,
    /// How many more workers may wait in the kernel.
    seats: AtomicUsize,
}

/// The crew that there is, if there is one.
struct Pool {
    /// The process whose threads these are: a fork of the host has none of them.
    owner: i32,
    present: Mutex<Option<Present>>,
}

struct Present {
    crew: Arc<Crew>,
    manager: JoinHandle<()>,
    members: usize,
}

/// Made on first use, and again in a fork of the host; never freed, since any thread may look at it at any time.
static POOL: AtomicPtr<Pool> = AtomicPtr::new(std::ptr::null_mut());

#[allow(unsafe_code)]
fn pool() -> &'static Pool {
    loop {
        let current = POOL.load(Ordering::Acquire);
        // SAFETY: null or a pool, which is never freed.
        if let Some(pool) = unsafe { current.as_ref() }.filter(|pool| pool.owner == sys::process::id()) {
            return pool;
        }
        let new = Box::into_raw(Box::new(Pool {
            owner: sys::process::id(),
            present: Mutex::new(None),
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
pub(crate) struct Membership {
    crew: Arc<Crew>,
}

impl Membership {
    /// Makes sure that there is a manager, and a worker before the first call comes. Called by a thread that is not confined.
    pub(crate) fn join() -> Result<Self> {
        let mut present = pool().present.lock();
        if let Some(present) = &mut *present {
            present.members += 1;
            return Ok(Self {
                crew: Arc::clone(&present.crew),
            });
        }
        let (work, queue) = crossbeam_channel::unbounded();
        let crew = Arc::new(Crew {
            state: Mutex::new(State {
                starting: 1,
                work: Some(work),
                ..State::default()
            }),
            changed: Condvar::new(),
            asleep: AtomicBool::new(false),
            queue,
            tokens: AtomicU64::new(1),
            seats: AtomicUsize::new(if sys::notify::receive_ends() { MOST_SEATS } else { 0 }),
        });
        let manager = start_thread("sandlock-manager", {
            let crew = Arc::clone(&crew);
            move || manage(&crew)
        })?;
        *present = Some(Present {
            crew: Arc::clone(&crew),
            manager,
            members: 1,
        });
        Ok(Self { crew })
    }

    pub(super) fn crew(&self) -> Arc<Crew> {
        Arc::clone(&self.crew)
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let leaving = {
            let mut present = pool().present.lock();
            let Some(crew) = &mut *present else { return };
            if !Arc::ptr_eq(&crew.crew, &self.crew) {
                // From before a fork.
                return;
            }
            crew.members -= 1;
            if crew.members > 0 {
                return;
            }
            present.take()
        };
        if let Some(leaving) = leaving {
            leaving.dismiss();
        }
    }
}

impl Present {
    /// Ends the threads. Those inside a handler of a sandbox that is gone end when it returns, and those that wait for
    /// a sandbox which the kernel cannot end when it does; nobody waits for that.
    fn dismiss(self) {
        let mut state = self.crew.state.lock();
        state.work = None;
        state.starting = 0;
        let workers = std::mem::take(&mut state.workers);
        drop(state);
        self.crew.wake_manager();
        let own = std::thread::current().id();
        let until = Instant::now() + FAREWELL;
        let free = workers
            .into_iter()
            .filter(|worker| worker.handle.thread().id() == own || worker.returns_before(until))
            .map(|worker| worker.handle);
        for handle in free.chain([self.manager]) {
            if handle.thread().id() != own {
                // An error would be a panic, which has ended the thread as well.
                let _ = handle.join();
            }
        }
        // Calls of sandboxes that are gone: they hold their sessions, which hold the crew.
        self.crew.queue.try_iter().for_each(drop);
    }
}

impl Worker {
    /// Waits until the worker is in no handler.
    fn returns_before(&self, until: Instant) -> bool {
        while !self.slot.will_return() {
            if Instant::now() >= until {
                return false;
            }
            let _ = poll(&mut [], 1);
        }
        true
    }
}

impl Crew {
    fn wake_manager(&self) {
        // Under the lock: the manager may be between saying that it sleeps and sleeping.
        let state = self.state.lock();
        self.asleep.store(false, Ordering::SeqCst);
        // And without it: whoever is woken takes it first, and would have to sleep again.
        drop(state);
        self.changed.notify_all();
    }

    /// Denies calls that have waited for a worker for as long as a handler may look at one.
    fn expire_waiting(&self) {
        let mut late = Vec::new();
        {
            let mut state = self.state.lock();
            if state.waiting == 0 {
                return;
            }
            let Some(work) = state.work.clone() else { return };
            for waiting in self.queue.try_iter().collect::<Vec<_>>() {
                if waiting.call.age() < waiting.call.session().core().deadline() {
                    // Cannot fail: this holds a receiver.
                    let _ = work.send(waiting);
                } else {
                    state.waiting -= 1;
                    late.push(waiting);
                }
            }
        }
        for Work { call, token } in late {
            if let Some(token) = token {
                call.session().return_post(token);
            }
            call.ticket().expire(call.session());
            let message = "no worker was free before a handler's deadline; its call is denied";
            call.session().core().log(Level::Warning, message);
        }
    }

    /// Gives `call` to a worker, with the waiting for the next one if there is a worker to be had.
    pub(super) fn hand_over(&self, call: Call) {
        let mut state = self.state.lock();
        let Some(work) = state.work.clone() else { return };
        let mut start = false;
        if state.waiting >= state.idle + state.starting && state.workers.len() + state.starting < MOST_WORKERS {
            state.starting += 1;
            start = true;
        }
        let token = (state.waiting < state.idle + state.starting).then(|| self.tokens.fetch_add(1, Ordering::Relaxed));
        state.waiting += 1;
        // Before the lock is released: a manager that cannot start a worker looks for what was meant for it.
        if let Some(token) = token {
            call.session().give_post(token);
        }
        // Cannot fail: the crew holds a receiver.
        let _ = work.send(Work { call, token });
        drop(state);
        // Without a token there is no worker for it: the manager sees that it does not wait for ever.
        if start || token.is_none() {
            self.wake_manager();
        }
    }
}

/// A worker's life.
fn work(crew: &Crew, slot: &Arc<Slot>) {
    loop {
        crew.state.lock().idle += 1;
        let work = crew.queue.recv_timeout(IDLE);
        let mut state = crew.state.lock();
        state.idle -= 1;
        match work {
            Ok(Work { call, token }) => {
                state.waiting -= 1;
                drop(state);
                serve(crew, slot, call, token);
            }
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {
                // One stays for the next call.
                if state.workers.len() > 1 && state.waiting == 0 {
                    state.workers.retain(|worker| !Arc::ptr_eq(&worker.slot, slot));
                    return;
                }
            }
        }
    }
}

/// Deals with a call, and with those that come after it if the waiting for them came with it.
fn serve(crew: &Crew, slot: &Arc<Slot>, call: Call, token: Option<u64>) {
    let session = Arc::clone(call.session());
    slot.set_post(Some(Post {
        session: Arc::clone(&session),
        token,
    }));
    if call.is_waiting() && !session.has_ended() {
        proceed(crew, slot, call);
    }
    if let Some(token) = token {
        serve_on(crew, slot, &session, token);
    }
    slot.set_post(None);
}

/// Deals with calls of `session` for as long as the waiting for them is this worker's and there are any.
fn serve_on(crew: &Crew, slot: &Arc<Slot>, session: &Arc<Session>, token: u64) {
    let less = |seats: usize| seats.checked_sub(1);
    let seated = crew
        .seats
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
        .is_ok();
    loop {
        let awaited = if seated {
            slot.block(|| session.block_for_call(token))
        } else {
            session.await_call(token, LINGER_MS)
        };
        match awaited {
            Awaited::Call(call) => proceed(crew, slot, call),
            Awaited::Nothing if seated => {}
            Awaited::Nothing | Awaited::Over => break session.return_post(token),
        }
    }
    if seated {
        crew.seats.fetch_add(1, Ordering::Relaxed);
    }
}

fn proceed(crew: &Crew, slot: &Arc<Slot>, call: Call) {
    if call.session().has_ended() {
        // Denied: its handlers may be gone.
        return drop(call);
    }
    if call.session().is_own(call.received()) {
        // The set-up's own. An error means that the child has died.
        let _ = call.answer(Reply::Continue);
        return;
    }
    call.proceed(Place::Worker, |handler, call| run(crew, slot, &*handler, call));
}

/// Runs a handler under the manager's eyes.
fn run(crew: &Crew, slot: &Arc<Slot>, handler: &dyn Handler, call: Call) -> Option<Call> {
    /// Also if the handler unwinds.
    struct End<'a>(&'a Slot);
    impl Drop for End<'_> {
        fn drop(&mut self) {
            self.0.end();
        }
    }
    let _end = End(slot);
    let serving = Arc::clone(call.session());
    // Handlers' panics do not come here. What another leaves is a call without an answer, which is denied when it is dropped.
    catch_unwind(AssertUnwindSafe(|| {
        serving.serving(|| {
            call.run_handler(handler, slot, || {
                if crew.asleep.load(Ordering::SeqCst) {
                    crew.wake_manager();
                }
            })
        })
    }))
    .unwrap_or(None)
}

/// What the manager remembers of a worker.
struct Watched {
    slot: Arc<Slot>,
    turn: Turn,
    since: Instant,
    /// Somebody else waits for calls in its place.
    relieved: bool,
    /// Nothing is left to be done about this turn.
    settled: bool,
}

/// The manager's life.
fn manage(crew: &Arc<Crew>) {
    let mut watched: Vec<Watched> = Vec::new();
    let mut quiet = 0;
    let mut state = crew.state.lock();
    while state.work.is_some() {
        let mut failures = Vec::new();
        while state.starting > 0 {
            state.starting -= 1;
            failures.extend(start_worker(crew, &mut state));
        }
        let slots: Vec<_> = state.workers.iter().map(|worker| Arc::clone(&worker.slot)).collect();
        drop(state);
        // Without the lock: it is the host's code that is told.
        for (left, error) in failures {
            for Work { call, .. } in left {
                call.session().core().log(Level::Error, error.message());
                // Denied.
                drop(call);
            }
        }
        watched.retain(|known| slots.iter().any(|slot| Arc::ptr_eq(slot, &known.slot)));
        for slot in slots {
            if !watched.iter().any(|known| Arc::ptr_eq(&slot, &known.slot)) {
                watched.push(Watched {
                    slot,
                    turn: Turn::default(),
                    since: Instant::now(),
                    relieved: true,
                    settled: true,
                });
            }
        }
        crew.expire_waiting();
        let now = Instant::now();
        let next = watched.iter_mut().filter_map(|worker| look(worker, now)).min();
        if next.is_some_and(|next| next <= now + TICK) {
            quiet = 0;
        } else {
            quiet += 1;
        }
        state = crew.state.lock();
        if state.work.is_none() || state.starting > 0 {
            continue;
        }
        let next = if state.waiting > 0 {
            Some(next.unwrap_or(now + WAITING_TICK).min(now + WAITING_TICK))
        } else {
            next
        };
        if quiet < QUIET_TICKS {
            crew.changed.wait_for(&mut state, TICK);
            continue;
        }
        crew.asleep.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        // A handler that began before it could see that the manager sleeps.
        let unseen = watched.iter().any(|worker| worker.slot.now().0 != worker.turn);
        if !unseen {
            match next {
                Some(next) => {
                    crew.changed.wait_until(&mut state, next);
                }
                None => crew.changed.wait(&mut state),
            }
        }
        crew.asleep.store(false, Ordering::SeqCst);
        quiet = 0;
    }
}

/// Looks at a worker, and says when to look again if a handler runs.
fn look(worker: &mut Watched, now: Instant) -> Option<Instant> {
    let (turn, phase) = worker.slot.now();
    if turn != worker.turn {
        worker.turn = turn;
        worker.since = now;
        worker.relieved = false;
        worker.settled = false;
    }
    if phase == Phase::Over || worker.settled {
        return None;
    }
    if now.duration_since(worker.since) < TICK {
        return Some(now + TICK);
    }
    // None: the turn has just ended.
    let (post, about) = worker.slot.look(turn)?;
    if !worker.relieved {
        worker.relieved = true;
        if let Some(token) = post.token {
            post.session.return_post(token);
        }
    }
    let deadline = worker.since.checked_add(post.session.core().deadline());
    if deadline.is_none_or(|deadline| deadline > now) {
        return deadline;
    }
    worker.settled = true;
    if worker.slot.claim(turn, Phase::Overdue).is_ok() {
        deny_overdue(&post.session, about);
        let number = about.number;
        let message = format!("the deadline of a handler of system call {number} has passed; the call is denied");
        post.session.core().log(Level::Warning, &message);
    }
    None
}

/// Starts a worker. If that fails, the work that nobody will do comes back, with the reason; work that others will come to stays.
fn start_worker(crew: &Arc<Crew>, state: &mut State) -> Option<(Vec<Work>, Error)> {
    let slot = Arc::new(Slot::default());
    let started = start_thread("sandlock-worker", {
        let (crew, slot) = (Arc::clone(crew), Arc::clone(&slot));
        move || work(&crew, &slot)
    });
    let error = match started {
        Ok(handle) => {
            state.workers.push(Worker { slot, handle });
            return None;
        }
        Err(error) => error,
    };
    let mut left: Vec<Work> = crew.queue.try_iter().collect();
    for Work { call, token } in &mut left {
        // The wardens wait for calls meanwhile.
        if let Some(token) = token.take() {
            call.session().return_post(token);
        }
    }
    match &state.work {
        Some(work) if !state.workers.is_empty() => {
            for again in left.drain(..) {
                let _ = work.send(again);
            }
        }
        // There are no workers, and perhaps never will be.
        _ => state.waiting -= left.len(),
    }
    Some((left, error))
}

/// Starts a thread that takes no signals, from its first instruction on.
pub(super) fn start_thread(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
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
