//! The warden's part in errands: what it waits for on their account, and going on with them when it comes.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::sys::event::{Wait, poll};

use super::{Errand, Errands};

/// How often the warden looks whether callers still wait. Nobody tells it when one is killed.
const CALLERS: Duration = Duration::from_millis(100);
/// How long threads aside are waited for in the end: what they do can be held up for long.
const FAREWELL: Duration = Duration::from_millis(200);
/// How many errands go on between two looks at everything else that the warden has to see to.
const MOST_AT_ONCE: usize = 64;

/// An errand that the warden has.
struct Item {
    errand: Box<dyn Errand>,
    /// Which of the warden's own waits is for it.
    wait: Option<usize>,
}

impl Item {
    /// What the last poll(2) has found; `blind`: it could not, and this one is asked for alone.
    fn is_ready(&self, waits: &[Wait], blind: bool) -> bool {
        if blind {
            let Some((fd, events)) = self.errand.wait() else {
                return false;
            };
            let mut alone = [Wait::events(fd, events)];
            return poll(&mut alone, 0).is_ok() && alone[0].ready();
        }
        let wait = self.wait.and_then(|index| waits.get(index));
        wait.is_some_and(Wait::ready)
    }

    fn is_due(&self, now: Instant) -> bool {
        self.errand.due().is_some_and(|due| due <= now)
    }

    fn has_lost_caller(&self) -> bool {
        self.errand.call().is_some_and(|call| !call.is_waiting())
    }
}

/// The errands of a sandbox, as its warden keeps them. They end with this.
#[derive(Default)]
pub(crate) struct Agenda {
    /// None: there is no supervision yet, and nobody who could have left one.
    errands: Option<Errands>,
    /// Whose turn was longest ago comes first.
    list: VecDeque<Item>,
    /// Those that have had their turn; empty between turns.
    again: Vec<Item>,
    /// The last look at callers, while there are any.
    looked: Option<Instant>,
    /// The warden's other waits, then those of errands; empty without errands.
    waits: Vec<Wait>,
}

impl Agenda {
    /// The agenda of who has made `errands`.
    pub(crate) fn new(errands: Errands) -> Self {
        Self {
            errands: Some(errands),
            list: VecDeque::new(),
            again: Vec::new(),
            looked: None,
            waits: Vec::new(),
        }
    }

    /// Takes on what was left meanwhile, and says when to go on with something at the latest.
    pub(crate) fn due(&mut self) -> Option<Instant> {
        let arrived = self.errands.as_ref().map(Errands::collect).unwrap_or_default();
        self.list
            .extend(arrived.into_iter().map(|errand| Item { errand, wait: None }));
        if self.list.is_empty() {
            return None;
        }
        if !self.list.iter().any(|item| item.errand.call().is_some()) {
            self.looked = None;
        } else if self.looked.is_none() {
            self.looked = Some(Instant::now());
        }
        let look = self.looked.map(|looked| looked + CALLERS);
        self.list.iter().filter_map(|item| item.errand.due()).chain(look).min()
    }

    /// Has `poll` wait for `waits`, and for what errands wait for.
    pub(crate) fn wait<T>(&mut self, waits: &mut [Wait], poll: impl FnOnce(&mut [Wait]) -> T) -> T {
        self.waits.clear();
        if self.list.is_empty() {
            return poll(waits);
        }
        self.waits.extend_from_slice(waits);
        for item in &mut self.list {
            item.wait = item.errand.wait().map(|(fd, events)| {
                self.waits.push(Wait::events(fd, events));
                self.waits.len() - 1
            });
        }
        let polled = poll(&mut self.waits);
        waits.copy_from_slice(&self.waits[..waits.len()]);
        polled
    }

    /// Goes on with what is ready or due, and drops errands whose callers are gone. `blind`: poll(2) has refused.
    pub(crate) fn proceed(&mut self, blind: bool) {
        let Some(errands) = &self.errands else { return };
        if self.list.is_empty() {
            return;
        }
        let now = Instant::now();
        let look = self.looked.is_some_and(|looked| now >= looked + CALLERS);
        if look {
            self.looked = Some(now);
        }
        let mut left = MOST_AT_ONCE;
        for _ in 0..self.list.len() {
            let Some(item) = self.list.pop_front() else { break };
            let ready = left > 0 && item.is_ready(&self.waits, blind);
            let turn = ready || (left > 0 && item.is_due(now));
            if (turn || look) && item.has_lost_caller() {
                continue;
            }
            if !turn {
                self.list.push_back(item);
                continue;
            }
            left -= 1;
            let next = errands.contain(|| item.errand.proceed(ready)).flatten();
            self.again.extend(next.map(|errand| Item { errand, wait: None }));
        }
        self.list.extend(self.again.drain(..));
        errands.note_held(self.list.len());
    }

    /// The sandbox has ended: no errand goes on.
    pub(crate) fn end(&mut self) {
        let arrived = self.errands.as_ref().map(Errands::close).unwrap_or_default();
        drop(arrived);
        self.list.clear();
    }

    /// Waits for threads that errands have left aside, for a moment: not for those that are stuck.
    pub(crate) fn dismiss_asides(&self) {
        if let Some(errands) = &self.errands {
            errands.dismiss_asides(FAREWELL);
        }
    }
}

impl Drop for Agenda {
    /// Also if the warden unwinds: errands own calls, which keep alive what keeps them.
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
#[path = "agenda_tests.rs"]
mod tests;
