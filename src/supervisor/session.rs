//! The supervision of one sandbox: its listener, what is done with each call, and who waits for the next one.

use std::collections::VecDeque;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::lock::{Condvar, Mutex};
use crate::members::Reach;
use crate::process::{Reason, Shared, timeout_until};
use crate::sys;
use crate::sys::event::{Wait, poll};
use crate::sys::notify::{self, Received};

use super::answer::{Counters, add};
use super::call::{Call, Place};
use super::events::{Event, kind};
use super::pool::Crew;
use super::{Core, Errands, Handler, Service};

/// Something that looks at a call.
#[derive(Clone)]
pub(crate) enum Link {
    /// The library's.
    Service(Arc<dyn Service>),
    /// The host's.
    Handler(Arc<dyn Handler>),
    /// The queue of `Supervisor::next`.
    Queue,
}

/// What looks at each call, in order, by call number.
#[derive(Default)]
pub(crate) struct Chains(Vec<Vec<Link>>);

impl Chains {
    /// Adds `link` for the call `number`.
    pub(crate) fn add(&mut self, number: u32, link: Link) {
        let index = number as usize;
        if self.0.len() <= index {
            self.0.resize_with(index + 1, Vec::new);
        }
        self.0[index].push(link);
    }

    fn of(&self, number: i32) -> &[Link] {
        usize::try_from(number)
            .ok()
            .and_then(|number| self.0.get(number))
            .map_or(&[], Vec::as_slice)
    }
}

/// Who waits for calls. One thread at a time: the kernel would wake them all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holder {
    /// The warden, as long as there is little to do.
    Warden,
    /// The worker with this token: as long as calls come for it.
    Worker(u64),
    /// That worker, and it is inside the kernel: nobody can take the waiting from it.
    Blocked(u64),
}

/// How long an attendant without work stays.
const IDLE: Duration = Duration::from_secs(2);
/// How long it waits for a call at a time, where the kernel might not let it go in the end.
const LINGER_MS: i32 = 100;

/// Calls for an attendant.
#[derive(Default)]
struct Apart {
    calls: VecDeque<Call>,
    /// How many there are, or are about to be started.
    attendants: usize,
    /// How many of them wait for calls themselves, or are about to: then nothing but a call gets them to look here.
    at_post: usize,
}

impl Apart {
    /// True if somebody goes on with what is left here.
    fn is_attended(&self) -> bool {
        self.attendants > self.at_post
    }
}

/// The tokens of attendants, apart from those of workers.
const FIRST_ATTENDANT: u64 = 1 << 63;

/// When a service looks again at a call that it could not decide about.
const SOON: Duration = Duration::from_millis(1);

/// What became of waiting for a call.
pub(super) enum Awaited {
    /// There is one.
    Call(Call),
    /// Not in time.
    Nothing,
    /// Somebody else waits now, or there will be none any more.
    Over,
}

/// The supervision of one sandbox.
pub(crate) struct Session {
    listener: OwnedFd,
    chains: Chains,
    core: Arc<Core>,
    shared: Arc<Shared>,
    /// Who runs handlers, if there are any.
    crew: Option<Arc<Crew>>,
    holder: Mutex<Holder>,
    counters: Arc<Counters>,
    /// Who is in the sandbox, for the warden and threads that it starts.
    reach: Reach,
    /// Calls that a thread apart from the warden goes on with, and whether there is one.
    apart: Mutex<Apart>,
    apart_changed: Condvar,
    /// How often such a thread has taken the waiting.
    attendants: AtomicU64,
    /// Calls that only the warden can go on with.
    inbox: Mutex<VecDeque<Call>>,
    /// True while the child still runs the library's own code.
    in_bootstrap: Box<dyn Fn() -> bool + Send + Sync>,
    /// What services have left with the warden, to go on with later.
    errands: Errands,
    bootstrapped: AtomicBool,
    ended: AtomicBool,
}

impl Session {
    /// Takes over `listener`, on the warden. `in_bootstrap` says whether the program has not been executed yet.
    pub(crate) fn new(
        listener: OwnedFd,
        chains: Chains,
        core: Arc<Core>,
        crew: Option<Arc<Crew>>,
        (shared, reach): (Arc<Shared>, Reach),
        in_bootstrap: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Arc<Self> {
        // Without it, before Linux 6.6, answers only take longer.
        let _ = notify::wake_in_turn(listener.as_raw_fd());
        let counters = Arc::new(Counters::default());
        core.tally().add(Arc::clone(&counters));
        shared.set_stats({
            let counters = Arc::clone(&counters);
            move || counters.read()
        });
        Arc::new(Self {
            listener,
            chains,
            errands: Errands::new(&core, &shared),
            core,
            crew,
            shared,
            holder: Mutex::new(Holder::Warden),
            counters,
            reach,
            apart: Mutex::default(),
            apart_changed: Condvar::new(),
            attendants: AtomicU64::new(0),
            inbox: Mutex::new(VecDeque::new()),
            in_bootstrap: Box::new(in_bootstrap),
            bootstrapped: AtomicBool::new(false),
            ended: AtomicBool::new(false),
        })
    }

    pub(crate) fn listener(&self) -> RawFd {
        self.listener.as_raw_fd()
    }

    /// The errno of a call that is denied because nobody answered it.
    pub(super) fn denial(&self) -> u16 {
        const EPERM: u16 = 1;
        const { assert!(EPERM as i32 == libc::EPERM) };
        EPERM
    }

    pub(super) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    pub(crate) fn errands(&self) -> &Errands {
        &self.errands
    }

    pub(super) fn links(&self, received: &Received) -> &[Link] {
        self.chains.of(received.number)
    }

    pub(super) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Runs a handler of a call.
    pub(super) fn serving<T>(&self, body: impl FnOnce() -> T) -> T {
        self.shared.serving(body)
    }

    /// Tells observers that a limit was exceeded; `pid`: by or at the cost of whom.
    pub(crate) fn tell_limit(&self, pid: i32, text: String) {
        let mut event = Event::new(kind::LIMIT, pid);
        event.text = text;
        self.core.emit(event);
    }

    /// Ends the sandbox.
    pub(super) fn kill(&self) {
        self.shared.request_end(Reason::Killed);
    }

    /// The descriptor that the warden waits on, if the waiting is its.
    pub(crate) fn warden_waits_on(&self) -> Option<RawFd> {
        let held = *self.holder.lock() == Holder::Warden && !self.has_ended();
        held.then(|| self.listener())
    }

    /// Receives the next call and does what the warden can do about it. For the warden, when its descriptor is ready.
    pub(crate) fn serve_as_warden(self: &Arc<Self>, announced: Wait) {
        if let Awaited::Call(call) = self.take_call(Holder::Warden, announced) {
            call.proceed_confined(Place::Warden);
        }
    }

    /// Who is in the sandbox, for the warden and threads that it starts.
    pub(super) fn reach(&self) -> Reach {
        self.reach
    }

    /// Leaves a call to a confined thread apart from the warden.
    pub(super) fn leave_apart(&self, call: Call) {
        // Without the lock: a call that is dropped is answered.
        let refused = {
            let mut apart = self.apart.lock();
            if self.has_ended() {
                Some(call)
            } else {
                apart.calls.push_back(call);
                if apart.is_attended() {
                    // Whoever is woken takes the lock first.
                    drop(apart);
                    self.apart_changed.notify_one();
                } else {
                    // Only the warden can start one that is confined.
                    self.shared.wake();
                }
                None
            }
        };
        drop(refused);
    }

    /// True if the warden is to start a thread that [attends](Session::attend): because calls are left to one, or because there are
    /// `many` calls. It is taken to have been started.
    pub(crate) fn wants_attendant(&self, many: bool) -> bool {
        let mut apart = self.apart.lock();
        let left = !apart.calls.is_empty() && !apart.is_attended();
        let wanted = !self.has_ended() && (left || many && apart.attendants == 0);
        apart.attendants += usize::from(wanted);
        wanted
    }

    /// There is no attendant after all. What was left to it is denied.
    pub(crate) fn miss_attendant(&self) {
        let calls = {
            let mut apart = self.apart.lock();
            apart.attendants -= 1;
            std::mem::take(&mut apart.calls)
        };
        self.core.log(
            super::Level::Error,
            "cannot start a thread for the sandbox's calls: they are denied",
        );
        drop(calls);
    }

    /// The life of an attendant, a thread that the warden has started and that is confined like it. It goes on with calls that are left to
    /// it. Otherwise it waits for calls itself, if the warden does: inside the kernel, where that costs half of what it costs the
    /// warden, which has other things to wait for. It ends with the sandbox, or when it has had nothing to do for a while.
    pub(crate) fn attend(self: &Arc<Self>) {
        while let Some(call) = self.next_apart() {
            match call {
                Some(call) => call.proceed_confined(Place::Attendant),
                None => {
                    self.attend_at_post();
                    self.apart.lock().at_post -= 1;
                }
            }
        }
    }

    /// A call that was left to the attendant; Some(None) if it is to wait for calls itself; None if it is to end.
    fn next_apart(&self) -> Option<Option<Call>> {
        let mut apart = self.apart.lock();
        loop {
            if let Some(call) = apart.calls.pop_front() {
                return Some(Some(call));
            }
            if self.has_ended() {
                break;
            }
            if *self.holder.lock() == Holder::Warden {
                // What the warden leaves from now on is for another: it may have taken a call before this one is at its post.
                apart.at_post += 1;
                return Some(None);
            }
            if self.apart_changed.wait_for(&mut apart, IDLE).timed_out() && apart.calls.is_empty() {
                break;
            }
        }
        apart.attendants -= 1;
        None
    }

    /// Waits for calls in the warden's place, and does what a confined thread can about them, until the waiting goes to somebody else.
    fn attend_at_post(self: &Arc<Self>) {
        let token = FIRST_ATTENDANT | self.attendants.fetch_add(1, Ordering::Relaxed);
        {
            let mut holder = self.holder.lock();
            if *holder != Holder::Warden || self.has_ended() {
                return;
            }
            *holder = Holder::Worker(token);
        }
        let blocks = notify::receive_ends();
        loop {
            let awaited = if blocks {
                self.block_for_call(token)
            } else {
                self.await_call(token, LINGER_MS)
            };
            match awaited {
                Awaited::Call(call) => call.proceed_confined(Place::Attendant),
                Awaited::Nothing if self.apart.lock().calls.is_empty() => {}
                Awaited::Nothing | Awaited::Over => break self.return_post(token),
            }
        }
    }

    /// Leaves a call to the warden, to go on with it when its turn comes. `soon`: the warden itself does, and need not be woken.
    pub(super) fn leave_to_warden(&self, call: Call, soon: bool) {
        // Without the lock: a call that is dropped is answered.
        let refused = {
            let mut inbox = self.inbox.lock();
            if self.has_ended() {
                Some(call)
            } else {
                inbox.push_back(call);
                None
            }
        };
        if refused.is_none() && !soon {
            self.shared.wake();
        }
        drop(refused);
    }

    /// Goes on with the calls that were left to the warden, and says when to look again if some must wait.
    pub(crate) fn serve_inbox(&self) -> Option<Duration> {
        let calls = std::mem::take(&mut *self.inbox.lock());
        for call in calls {
            if call.is_waiting() {
                call.proceed_confined(Place::Warden);
            }
        }
        (!self.inbox.lock().is_empty()).then_some(SOON)
    }

    /// Likewise when poll(2) cannot tell: asks for the one descriptor alone.
    pub(crate) fn serve_blindly(self: &Arc<Self>) {
        let mut waits = [Wait::readable(self.listener())];
        if self.warden_waits_on().is_some() && poll(&mut waits, 0).is_ok() && waits[0].ready() {
            self.serve_as_warden(waits[0]);
        }
    }

    /// Everything in the sandbox was killed. Waits until nobody is left, for at most `patience`.
    pub(crate) fn end(&self, patience: Duration) {
        self.ended.store(true, Ordering::SeqCst);
        let left = std::mem::take(&mut *self.inbox.lock());
        drop(left);
        let left = std::mem::take(&mut self.apart.lock().calls);
        self.apart_changed.notify_all();
        drop(left);
        let until = Instant::now() + patience;
        let mut waits = [Wait::readable(self.listener())];
        while !waits[0].hung_up() && Instant::now() < until {
            let left = timeout_until(Some(until));
            // A call of somebody who is dying makes it readable for a moment.
            if poll(&mut waits, left).is_err() || !waits[0].hung_up() {
                let _ = poll(&mut [], 1);
            }
        }
    }

    /// Leaves a call to a worker. Without any it is denied.
    pub(super) fn hand_over(&self, call: Call) {
        if let Some(crew) = &self.crew {
            crew.hand_over(call);
        }
    }

    /// Gives the waiting to the worker with `token`.
    pub(super) fn give_post(&self, token: u64) {
        *self.holder.lock() = Holder::Worker(token);
    }

    /// Gives the waiting back to the warden, if the worker with `token` still has it.
    pub(super) fn return_post(&self, token: u64) {
        let mut holder = self.holder.lock();
        if *holder == Holder::Worker(token) {
            *holder = Holder::Warden;
            drop(holder);
            self.shared.wake();
        }
    }

    /// Waits for a call as the worker with `token`.
    pub(super) fn await_call(self: &Arc<Self>, token: u64, timeout_ms: i32) -> Awaited {
        let mut waits = [Wait::readable(self.listener())];
        match poll(&mut waits, timeout_ms) {
            Ok(()) if waits[0].ready() => self.take_call(Holder::Worker(token), waits[0]),
            Ok(()) | Err(sys::Errno(libc::EINTR)) => Awaited::Nothing,
            Err(_) => Awaited::Over,
        }
    }

    /// Waits for a call as the worker with `token`, in the kernel, until there is one or never will be: only where that returns
    /// when the sandbox ends. A poll(2) before would cost a quarter of a call.
    pub(super) fn block_for_call(self: &Arc<Self>, token: u64) -> Awaited {
        {
            let mut holder = self.holder.lock();
            if *holder != Holder::Worker(token) || self.has_ended() {
                return Awaited::Over;
            }
            *holder = Holder::Blocked(token);
        }
        let received = notify::receive(self.listener());
        *self.holder.lock() = Holder::Worker(token);
        match received {
            Ok(received) => self.received(received),
            Err(_) => {
                let mut waits = [Wait::readable(self.listener())];
                match poll(&mut waits, 0) {
                    // A caller has died, or was interrupted.
                    Ok(()) if !waits[0].hung_up() => Awaited::Nothing,
                    Err(sys::Errno(libc::EINTR)) => Awaited::Nothing,
                    _ => Awaited::Over,
                }
            }
        }
    }

    /// True once the warden has ended the sandbox: nothing is answered any more.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// True if everything in the sandbox is known to be gone.
    pub(crate) fn is_empty(&self) -> bool {
        let mut waits = [Wait::readable(self.listener())];
        poll(&mut waits, 0).is_ok() && waits[0].hung_up()
    }

    fn received(self: &Arc<Self>, received: Received) -> Awaited {
        add(&self.counters.received);
        Awaited::Call(Call::new(Arc::clone(self), received))
    }

    /// Receives a call that poll(2) has announced to `who`: the kernel does not block then, for only who holds the waiting takes
    /// calls, and nobody but `who` could have been made to hold it since.
    fn take_call(self: &Arc<Self>, who: Holder, announced: Wait) -> Awaited {
        let holder = self.holder.lock();
        if *holder != who || self.has_ended() {
            return Awaited::Over;
        }
        if !announced.readable_now() {
            if announced.hung_up() {
                // All who could call have died.
                self.ended.store(true, Ordering::SeqCst);
                return Awaited::Over;
            }
            // The kernel was interrupted when it looked.
            return Awaited::Nothing;
        }
        let received = notify::receive(self.listener());
        drop(holder);
        match received {
            Ok(received) => self.received(received),
            // The caller died, or was interrupted, between poll and here.
            Err(sys::Errno(libc::ENOENT | libc::EINTR)) => Awaited::Nothing,
            Err(errno) => {
                self.core.log(
                    super::Level::Error,
                    &format!("cannot receive a call: errno {}", errno.0),
                );
                Awaited::Nothing
            }
        }
    }

    /// True for a call of the library's own code in the child, before exec. The exec itself is the program's.
    pub(super) fn is_own(&self, received: &Received) -> bool {
        if self.bootstrapped.load(Ordering::Relaxed) {
            return false;
        }
        let number = libc::c_long::from(received.number);
        let executes = number == libc::SYS_execve || number == libc::SYS_execveat;
        // The exec is the program's. But who starts it waits for it, and could not serve a queue meanwhile.
        if executes && !matches!(self.links(received), [Link::Queue, ..]) {
            return false;
        }
        let own = (self.in_bootstrap)();
        if !own {
            self.bootstrapped.store(true, Ordering::Relaxed);
        }
        own
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.core.tally().remove(&self.counters);
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
