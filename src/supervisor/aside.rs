//! Threads of a sandbox that do one thing each which may take long, apart from the warden and from the attendant.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::lock::Mutex;
use crate::sys::event::poll;

use super::pool::start_thread;

/// Most such threads of a sandbox.
pub(super) const MOST: usize = 64;

/// What such a thread does.
pub(crate) type Work = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct State {
    threads: Vec<JoinHandle<()>>,
    closed: bool,
}

impl State {
    /// Forgets those that have ended.
    fn reap(&mut self) {
        for thread in self.threads.extract_if(.., |thread| thread.is_finished()) {
            // An error would be its panic.
            let _ = thread.join();
        }
    }
}

/// The threads of one sandbox.
#[derive(Default)]
pub(super) struct Asides(Mutex<State>);

impl Asides {
    /// Starts a thread that has `run` do `work`. The work comes back if there are too many, or none is to be had.
    pub(super) fn start(&self, work: Work, run: impl FnOnce(Work) + Send + 'static) -> Result<(), Work> {
        let mut state = self.0.lock();
        state.reap();
        if state.closed || state.threads.len() >= MOST {
            return Err(work);
        }
        // Not the thread's own until it runs: what cannot be started is lost with what it was to do.
        let work = Arc::new(Mutex::new(Some(work)));
        let started = start_thread("sandlock-aside", {
            let work = Arc::clone(&work);
            move || {
                let work = work.lock().take();
                if let Some(work) = work {
                    run(work);
                }
            }
        });
        match started {
            Ok(thread) => state.threads.push(thread),
            Err(_) => return work.lock().take().map_or(Ok(()), Err),
        }
        Ok(())
    }

    /// No more are started.
    pub(super) fn close(&self) {
        self.0.lock().closed = true;
    }

    /// Waits for those that are there to end, for at most `patience`. What is stuck in its work ends when that does.
    pub(super) fn dismiss(&self, patience: Duration) {
        let until = Instant::now() + patience;
        loop {
            {
                let mut state = self.0.lock();
                state.reap();
                if state.threads.is_empty() {
                    return;
                }
                if Instant::now() >= until {
                    // Nobody waits for them any more.
                    state.threads.clear();
                    return;
                }
            }
            let _ = poll(&mut [], 1);
        }
    }
}

#[cfg(test)]
#[path = "aside_tests.rs"]
mod tests;
