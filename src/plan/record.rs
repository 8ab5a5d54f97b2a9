//! What a child tells of itself, in memory that its parent reads.

use core::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use core::time::Duration;

use crate::sys::event;

use super::MAX_STEPS;

/// What the child has done so far, in memory that the parent reads.
///
/// Relaxed ordering is enough for what is read after the child has left: [`Record::has_left`] synchronises.
#[derive(Debug)]
pub struct Record {
    /// 1 while a child uses this memory. The kernel clears it (CLONE_CHILD_CLEARTID) when the child executes or ends.
    present: AtomicU32,
    /// Likewise for the init of a PID namespace; 0 without one.
    init_present: AtomicU32,
    /// The program that the init has started: [`NOT_YET`], [`NONE_COMES`], its pidfd's number plus [`STARTED`],
    /// or [`RELEASED`].
    program: AtomicU32,
    /// 1 when the init has made everything ready.
    ready: AtomicU32,
    /// How far the listener is: [`NOT_YET`], [`BEING_MADE`], [`CALLED_OFF`], [`TAKEN`], or [`LISTENING`] plus its number.
    listener: AtomicU32,
    phase: AtomicU32,
    failed: AtomicU32,
    errno: AtomicI32,
    /// Which part of a step with several it was about when it failed.
    part: AtomicU32,
    outcomes: [AtomicI32; MAX_STEPS],
}

/// How far a child came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It ended, without a word, before it reached exec.
    Setup,
    /// It called exec. Unless it ended there, its program runs.
    Executing,
    /// A required step failed: index and errno.
    StepFailed(usize, i32),
    /// No candidate could be executed: the errno that says most.
    ExecFailed(i32),
}

const NOT_YET: u32 = 0;
const NONE_COMES: u32 = 1;
const STARTED: u32 = 2;
const RELEASED: u32 = u32::MAX;
const BEING_MADE: u32 = 1;
const LISTENING: u32 = 2;
const CALLED_OFF: u32 = u32::MAX - 1;
const TAKEN: u32 = u32::MAX;

/// How far the listener is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// The child has not come so far.
    NotYet,
    /// It will have been made in a moment, or not.
    BeingMade,
    /// There will be none: the child is about to be killed.
    CalledOff,
    /// Its parent has taken it over.
    Taken,
    /// It has this number, in the table that child and parent share.
    At(i32),
}

const SETUP: u32 = 0;
const EXECUTING: u32 = 1;
const STEP_FAILED: u32 = 2;
const EXEC_FAILED: u32 = 3;

impl Record {
    /// An empty record.
    pub const fn new() -> Self {
        Self {
            present: AtomicU32::new(1),
            init_present: AtomicU32::new(0),
            program: AtomicU32::new(NOT_YET),
            ready: AtomicU32::new(0),
            listener: AtomicU32::new(NOT_YET),
            phase: AtomicU32::new(SETUP),
            failed: AtomicU32::new(0),
            errno: AtomicI32::new(0),
            part: AtomicU32::new(0),
            outcomes: [const { AtomicI32::new(0) }; MAX_STEPS],
        }
    }

    /// The word that the kernel clears, and wakes, when the child executes or ends.
    pub fn present(&self) -> &AtomicU32 {
        &self.present
    }

    /// The same for the init, which is about to be started.
    pub fn expect_init(&self) -> &AtomicU32 {
        self.init_present.store(1, Ordering::Relaxed);
        &self.init_present
    }

    /// True once no child uses this memory any more.
    pub fn has_left(&self) -> bool {
        self.present.load(Ordering::Acquire) == 0 && self.init_present.load(Ordering::Acquire) == 0
    }

    /// Waits until [`Record::has_left`]. For the program first, which itself waits for its init.
    pub fn wait_until_left(&self) {
        for word in [&self.present, &self.init_present] {
            wait_until_clear(word);
        }
    }

    /// Waits until the warden lets the program go on. If that never comes, it has ended, or the init has, and whoever waits with it.
    pub fn wait_until_released(&self) {
        loop {
            match self.program.load(Ordering::Acquire) {
                RELEASED => return,
                word => event::wait_for_change(&self.program, word, None),
            }
        }
    }

    /// Lets the program go on: the warden knows it, and its init has nothing of the host any more.
    pub fn release_program(&self) {
        self.program.store(RELEASED, Ordering::Release);
        event::wake_all(&self.program);
    }

    /// Waits until the init leaves this memory, as the kernel says, which is a moment before it has.
    pub fn wait_until_init_leaves(&self) {
        wait_until_clear(&self.init_present);
    }

    /// Notes that everything is ready for the program, and tells it.
    pub fn note_ready(&self) {
        self.ready.store(1, Ordering::Release);
        event::wake_all(&self.ready);
    }

    /// Waits until [`Record::note_ready`]. If that never comes, the init ends, and whoever waits with it.
    pub fn wait_until_ready(&self) {
        while self.ready.load(Ordering::Acquire) == 0 {
            event::wait_for_change(&self.ready, 0, None);
        }
    }

    /// Notes that there is no child, or that it has left, where the kernel does not.
    pub fn leave(&self) {
        for word in [&self.init_present, &self.present] {
            if word.swap(0, Ordering::Release) != 0 {
                event::wake_all(word);
            }
        }
    }

    /// Notes that the init has started the program, and tells who waits for it.
    pub fn set_program(&self, pidfd: i32) {
        let started = pidfd.cast_unsigned().saturating_add(STARTED);
        self.program.store(started, Ordering::Release);
        event::wake_all(&self.program);
    }

    /// Notes that it will not start one, unless it has.
    pub fn miss_program(&self) {
        let (order, failed) = (Ordering::Release, Ordering::Relaxed);
        if self
            .program
            .compare_exchange(NOT_YET, NONE_COMES, order, failed)
            .is_ok()
        {
            event::wake_all(&self.program);
        }
    }

    /// Waits until the init has started the program, and returns its pidfd, in the table that is shared with the host. None: it
    /// has not, as `is_over`, asked now and then, may know sooner.
    pub fn await_program(&self, is_over: impl Fn() -> bool) -> Option<i32> {
        const LOOK_AGAIN: Duration = Duration::from_millis(10);
        loop {
            // Before the look at the word: what is over sets it no more.
            let over = is_over();
            match self.program.load(Ordering::Acquire) {
                NOT_YET if over => return None,
                NOT_YET => event::wait_for_change(&self.program, NOT_YET, Some(LOOK_AGAIN)),
                NONE_COMES | RELEASED => return None,
                started => return Some(started.saturating_sub(STARTED).cast_signed()),
            }
        }
    }

    /// Notes that the listener comes next, and tells who waits for it. False if it was called off.
    pub fn begin_listening(&self) -> bool {
        let begun = self.leave_not_yet(BEING_MADE);
        event::wake_all(&self.listener);
        begun
    }

    /// Has the child make no listener, for who is killed in the midst of that leaves one whose number nobody knows. False if it has
    /// begun to.
    pub fn call_off_listening(&self) -> bool {
        self.leave_not_yet(CALLED_OFF)
    }

    fn leave_not_yet(&self, next: u32) -> bool {
        self.listener
            .compare_exchange(NOT_YET, next, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// Notes the listener's number. Whatever the child calls from now on may be trapped, so nobody is told.
    pub fn set_listener(&self, number: i32) {
        self.listener
            .store(number.cast_unsigned().saturating_add(LISTENING), Ordering::Release);
    }

    /// Notes that the listener has been taken over, and tells who waits for it.
    pub fn note_takeover(&self) {
        self.listener.store(TAKEN, Ordering::Release);
        event::wake_all(&self.listener);
    }

    /// Waits until a listener that has the number of a standard stream has been taken over, and so put elsewhere.
    pub fn wait_until_stdio_is_free(&self) {
        while matches!(self.listener(), Listener::At(0..=2)) {
            let word = self.listener.load(Ordering::Acquire);
            event::wait_for_change(&self.listener, word, Some(Duration::from_millis(1)));
        }
    }

    /// How far the listener is.
    pub fn listener(&self) -> Listener {
        match self.listener.load(Ordering::Acquire) {
            NOT_YET => Listener::NotYet,
            BEING_MADE => Listener::BeingMade,
            CALLED_OFF => Listener::CalledOff,
            TAKEN => Listener::Taken,
            at => Listener::At(at.saturating_sub(LISTENING).cast_signed()),
        }
    }

    /// The word that changes as the listener comes about.
    pub fn listener_word(&self) -> &AtomicU32 {
        &self.listener
    }

    /// Notes how step `index` went: `errno` 0 is success.
    pub fn set_outcome(&self, index: usize, errno: i32) {
        if let Some(outcome) = self.outcomes.get(index) {
            outcome.store(errno, Ordering::Relaxed);
        }
    }

    /// Errno of step `index`, 0 for success.
    pub fn outcome(&self, index: usize) -> i32 {
        self.outcomes
            .get(index)
            .map_or(0, |outcome| outcome.load(Ordering::Relaxed))
    }

    /// Notes that a required step failed.
    pub fn fail_step(&self, index: usize, errno: i32) {
        self.errno.store(errno, Ordering::Relaxed);
        self.failed
            .store(u32::try_from(index).unwrap_or(u32::MAX), Ordering::Relaxed);
        self.phase.store(STEP_FAILED, Ordering::Relaxed);
    }

    /// Notes which part of its step comes next, of a step that has several.
    pub fn begin_part(&self, part: usize) {
        self.part
            .store(u32::try_from(part).unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    /// The part that was begun last.
    pub fn part(&self) -> usize {
        usize::try_from(self.part.load(Ordering::Relaxed)).unwrap_or(usize::MAX)
    }

    /// Notes that exec comes next.
    pub fn begin_exec(&self) {
        self.phase.store(EXECUTING, Ordering::Relaxed);
    }

    /// Notes that nothing could be executed.
    pub fn fail_exec(&self, errno: i32) {
        self.errno.store(errno, Ordering::Relaxed);
        self.phase.store(EXEC_FAILED, Ordering::Relaxed);
    }

    /// How far the child came.
    pub fn progress(&self) -> Progress {
        let errno = self.errno.load(Ordering::Relaxed);
        match self.phase.load(Ordering::Relaxed) {
            SETUP => Progress::Setup,
            EXECUTING => Progress::Executing,
            STEP_FAILED => {
                let index = self.failed.load(Ordering::Relaxed);
                Progress::StepFailed(usize::try_from(index).unwrap_or(usize::MAX), errno)
            }
            _ => Progress::ExecFailed(errno),
        }
    }
}

fn wait_until_clear(word: &AtomicU32) {
    let mut waited = false;
    while word.load(Ordering::Acquire) != 0 {
        event::wait_for_change(word, 1, None);
        waited = true;
    }
    if waited {
        // The kernel has woken one of those who wait for this.
        event::wake_all(word);
    }
}

impl Default for Record {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::{Listener, Record};

    #[test]
    fn listener_that_was_called_off_is_not_begun() {
        let record = Record::new();
        assert!(record.call_off_listening());
        assert!(!record.begin_listening());
        assert_eq!(record.listener(), Listener::CalledOff);
    }

    #[test]
    fn listener_that_was_begun_is_not_called_off() {
        let record = Record::new();
        assert!(record.begin_listening());
        assert!(!record.call_off_listening());
        assert_eq!(record.listener(), Listener::BeingMade);
        record.set_listener(3);
        assert!(!record.call_off_listening());
        assert_eq!(record.listener(), Listener::At(3));
        record.note_takeover();
        assert_eq!(record.listener(), Listener::Taken);
    }
}
