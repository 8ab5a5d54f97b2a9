//! What the manager sees of a worker that runs a handler, and who may answer meanwhile: the handler, or the manager when the
//! deadline has passed.
//!
//! Every call of a handler is a turn, and the turn's state is one atomic number that whoever answers must change first. So
//! nothing is locked, counted or allocated for a call that is answered in time.

use std::sync::Arc;
#[cfg(not(loom))]
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering, fence};

#[cfg(loom)]
use loom::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering, fence};

use crate::lock::Mutex;

use super::session::Session;

/// How far the turn of a handler is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It is over.
    Over,
    /// The handler runs, and nobody has answered.
    Open,
    /// The handler runs, and the call was answered or put off.
    Answered,
    /// The handler runs, and the manager has denied the call.
    Overdue,
}

impl Phase {
    const fn bits(self) -> u64 {
        match self {
            Self::Over => 0,
            Self::Open => 1,
            Self::Answered => 2,
            Self::Overdue => 3,
        }
    }

    const fn of(turn: u64) -> Self {
        match turn & 3 {
            0 => Self::Over,
            1 => Self::Open,
            2 => Self::Answered,
            _ => Self::Overdue,
        }
    }
}

/// A turn, whatever its phase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Turn(u64);

/// A call, in short.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct About {
    pub(super) id: u64,
    pub(super) number: i32,
    pub(super) thread: i32,
}

/// What a worker is at.
pub(super) struct Post {
    pub(super) session: Arc<Session>,
    /// The token of the waiting for calls, if that is the worker's.
    pub(super) token: Option<u64>,
}

/// A worker as the manager sees it.
#[derive(Default)]
pub(super) struct Slot {
    /// Number of the turn and its phase.
    turn: AtomicU64,
    /// The call of the turn: its name in the kernel, its number and who makes it.
    id: AtomicU64,
    number: AtomicI32,
    thread: AtomicI32,
    /// Changes between turns only.
    post: Mutex<Option<Post>>,
    /// The worker waits for a call in the kernel.
    blocked: AtomicBool,
}

impl Slot {
    /// Sets what the worker is at.
    pub(super) fn set_post(&self, post: Option<Post>) {
        *self.post.lock() = post;
    }

    /// Waits in the kernel.
    pub(super) fn block<T>(&self, wait: impl FnOnce() -> T) -> T {
        self.blocked.store(true, Ordering::SeqCst);
        let awaited = wait();
        self.blocked.store(false, Ordering::SeqCst);
        awaited
    }

    /// True if the worker is neither inside a handler nor waits for calls of a sandbox that still is there.
    pub(super) fn will_return(&self) -> bool {
        let post = self.post.lock();
        let waits = post.as_ref().is_some_and(|post| !post.session.is_empty());
        self.now().1 == Phase::Over && !(waits && self.blocked.load(Ordering::SeqCst))
    }

    /// Begins a turn for a call. For the worker alone.
    pub(super) fn begin(&self, about: About) -> Turn {
        let number = (self.turn.load(Ordering::Relaxed) >> 2).wrapping_add(1);
        // Whoever sees the new call sees that the former turn has ended, and can claim it no more.
        fence(Ordering::Release);
        self.id.store(about.id, Ordering::Relaxed);
        self.number.store(about.number, Ordering::Relaxed);
        self.thread.store(about.thread, Ordering::Relaxed);
        self.turn.store(number << 2 | Phase::Open.bits(), Ordering::Release);
        // With another between the manager's note that it sleeps and its last look: either it sees this, or the worker sees that.
        fence(Ordering::SeqCst);
        Turn(number)
    }

    /// Ends the turn. For the worker alone.
    pub(super) fn end(&self) {
        let number = self.turn.load(Ordering::Relaxed) >> 2;
        self.turn.store(number << 2 | Phase::Over.bits(), Ordering::Release);
    }

    /// The turn and its phase.
    pub(super) fn now(&self) -> (Turn, Phase) {
        let turn = self.turn.load(Ordering::SeqCst);
        (Turn(turn >> 2), Phase::of(turn))
    }

    /// Makes an open turn one of `phase`; the phase that it has if it is not open.
    pub(super) fn claim(&self, turn: Turn, phase: Phase) -> Result<(), Phase> {
        let open = turn.0 << 2 | Phase::Open.bits();
        self.turn
            .compare_exchange(open, turn.0 << 2 | phase.bits(), Ordering::AcqRel, Ordering::Acquire)
            .map(drop)
            .map_err(Phase::of)
    }

    /// What the worker was at, and the call that it had, during `turn`; None if that is over.
    pub(super) fn look(&self, turn: Turn) -> Option<(Post, About)> {
        let about = Some(self.about());
        let post = self.post.lock().as_ref().map(|post| Post {
            session: Arc::clone(&post.session),
            token: post.token,
        });
        post.zip(about).filter(|_| self.lasts(turn))
    }

    /// The call of the latest turn. What is read belongs together if the turn [lasts](Slot::lasts) after that.
    fn about(&self) -> About {
        About {
            id: self.id.load(Ordering::Acquire),
            number: self.number.load(Ordering::Acquire),
            thread: self.thread.load(Ordering::Acquire),
        }
    }

    /// True if `turn` is not over.
    fn lasts(&self, turn: Turn) -> bool {
        let (now, phase) = self.now();
        now == turn && phase != Phase::Over
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn about(id: u64) -> About {
        About { id, ..About::default() }
    }

    #[test]
    fn turn_is_claimed_once_and_only_while_it_lasts() {
        let slot = Slot::default();
        let first = slot.begin(about(7));
        assert_eq!(slot.now(), (first, Phase::Open));
        assert_eq!(slot.claim(first, Phase::Answered), Ok(()));
        assert_eq!(slot.claim(first, Phase::Overdue), Err(Phase::Answered));
        slot.end();
        let second = slot.begin(about(8));
        assert_ne!(first, second);
        assert!(slot.claim(first, Phase::Overdue).is_err());
        assert_eq!(slot.claim(second, Phase::Overdue), Ok(()));
        assert_eq!(slot.claim(second, Phase::Answered), Err(Phase::Overdue));
        slot.end();
        assert_eq!(slot.claim(second, Phase::Answered), Err(Phase::Over));
    }

    #[test]
    fn of_two_that_answer_at_once_one_succeeds() {
        let slot = Slot::default();
        let mut won = 0;
        for _ in 0..2000 {
            let turn = slot.begin(about(1));
            let (one, other) = std::thread::scope(|scope| {
                let other = scope.spawn(|| slot.claim(turn, Phase::Overdue).is_ok());
                (slot.claim(turn, Phase::Answered).is_ok(), other.join().unwrap())
            });
            assert!(one != other);
            won += u32::from(one);
            slot.end();
        }
        assert!(won <= 2000);
    }
}

/// Worker and manager in every order of their steps that the memory model permits.
#[cfg(all(test, loom))]
mod models {
    use loom::thread;

    use super::*;

    fn about(id: u64) -> About {
        About {
            id,
            number: i32::try_from(id).unwrap(),
            thread: i32::try_from(id).unwrap(),
        }
    }

    #[test]
    fn of_worker_and_manager_one_answers_each_call() {
        loom::model(|| {
            let slot = loom::sync::Arc::new(Slot::default());
            let manager = thread::spawn({
                let slot = loom::sync::Arc::clone(&slot);
                move || {
                    let (turn, phase) = slot.now();
                    let denied = phase == Phase::Open && slot.claim(turn, Phase::Overdue).is_ok();
                    denied.then_some(turn)
                }
            });
            let mut answered = Vec::new();
            for id in [7, 8] {
                let turn = slot.begin(about(id));
                if slot.claim(turn, Phase::Answered).is_ok() {
                    answered.push(turn);
                }
                slot.end();
            }
            match manager.join().unwrap() {
                Some(turn) => assert!(answered.len() == 1 && !answered.contains(&turn)),
                None => assert_eq!(answered.len(), 2),
            }
        });
    }

    #[test]
    fn what_the_manager_reads_of_a_turn_that_lasts_is_of_that_turn() {
        loom::model(|| {
            let slot = loom::sync::Arc::new(Slot::default());
            let worker = thread::spawn({
                let slot = loom::sync::Arc::clone(&slot);
                move || {
                    for id in [1, 2] {
                        slot.begin(about(id));
                        slot.end();
                    }
                }
            });
            let (turn, phase) = slot.now();
            if phase != Phase::Over {
                let read = slot.about();
                if slot.lasts(turn) {
                    // Turns are numbered like the calls here.
                    assert_eq!(read, about(turn.0));
                }
            }
            worker.join().unwrap();
        });
    }

    /// A worker says that its turn has begun before it looks whether the manager sleeps, and the manager says that it sleeps before
    /// it looks for turns: one of them sees the other.
    #[test]
    fn manager_does_not_sleep_through_a_turn() {
        loom::model(|| {
            let slot = loom::sync::Arc::new(Slot::default());
            let asleep = loom::sync::Arc::new(AtomicBool::new(false));
            let worker = thread::spawn({
                let (slot, asleep) = (loom::sync::Arc::clone(&slot), loom::sync::Arc::clone(&asleep));
                move || {
                    slot.begin(about(1));
                    asleep.load(Ordering::Relaxed)
                }
            });
            asleep.store(true, Ordering::Relaxed);
            fence(Ordering::SeqCst);
            let seen = slot.now().0 != Turn::default();
            let woken = worker.join().unwrap();
            assert!(seen || woken);
        });
    }
}
