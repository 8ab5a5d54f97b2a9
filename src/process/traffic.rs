//! The host's side of a program's standard streams, while somebody looks after them: input that is fed, output that is collected.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;

use crate::sys::event::{Wait, poll};

use super::capture::Capture;
use super::feed::Feed;
use super::relay::{Relay, Source};
use super::{Captured, Outcome, timeout_until};

/// Pipes that the owner gives away, to be fed and read. None of them blocks.
pub(super) struct Conversation {
    /// Standard input and what to write to it.
    pub(super) input: Option<(OwnedFd, Vec<u8>)>,
    /// Standard output and error.
    pub(super) outputs: [Option<OwnedFd>; 2],
}

/// What the owner wants done about the streams of a program that runs.
#[derive(Default)]
pub(crate) struct Wishes {
    /// To be taken over.
    pub(super) conversation: Option<Conversation>,
    /// To be told of captured output, from the start.
    pub(super) relay: Option<Arc<Relay>>,
}

impl Wishes {
    /// The warden has ended, with this outcome. Pipes are left to who asked for them to be read.
    pub(super) fn miss(&mut self, outcome: &Outcome) {
        if let Some(relay) = self.relay.take() {
            relay.tell(outcome);
        }
    }
}

/// The streams of a program.
pub(crate) struct Traffic {
    captures: [Capture; 2],
    /// Which of them were captured from the start: those that are relayed.
    relayed: [bool; 2],
    feed: Feed,
    source: Option<Source>,
    limit: usize,
}

impl Traffic {
    /// Keeps `limit` bytes of each of `captures`: standard output and error, none of which blocks.
    pub(crate) fn new(captures: [Option<OwnedFd>; 2], limit: usize) -> Self {
        let relayed = captures.each_ref().map(Option::is_some);
        let [output, error] = captures;
        Self {
            captures: [Capture::new(1, output, limit), Capture::new(2, error, limit)],
            relayed,
            feed: Feed::default(),
            source: None,
            limit,
        }
    }

    /// What is read of a conversation whose program has ended. There is nobody to feed.
    pub(super) fn of_ended(conversation: Conversation, limit: usize) -> Self {
        let mut traffic = Self::new(conversation.outputs, limit);
        traffic.relayed = [false; 2];
        traffic
    }

    /// Does what the owner wants from now on.
    pub(crate) fn take_on(&mut self, wishes: Wishes) {
        if let Some(conversation) = wishes.conversation {
            if let Some((fd, input)) = conversation.input {
                self.feed = Feed::new(fd, input);
            }
            let [output, error] = conversation.outputs;
            for (capture, which, fd) in [(0, 1, output), (1, 2, error)] {
                if fd.is_some() {
                    self.captures[capture] = Capture::new(which, fd, self.limit);
                }
            }
        }
        if let Some(relay) = wishes.relay {
            for (capture, _) in self.captures.iter().zip(self.relayed).filter(|(_, relayed)| *relayed) {
                capture.catch_up(&relay);
            }
            self.source = Some(Source(relay));
        }
    }

    /// What to wait for: input that is taken, output that comes. Not for output whose listener has enough.
    pub(crate) fn waits(&self) -> [Wait; 3] {
        let full = self.is_full();
        let output = |index: usize| {
            if full && self.relayed[index] {
                Wait::readable(-1)
            } else {
                self.captures[index].wait()
            }
        };
        [self.feed.wait(), output(0), output(1)]
    }

    /// Writes and reads what can be now. Only for a thread that blocks SIGPIPE.
    pub(crate) fn exchange(&mut self) {
        self.feed.write();
        let full = self.is_full();
        self.read(|relayed| !(full && relayed));
    }

    fn is_full(&self) -> bool {
        self.source.as_ref().is_some_and(|source| source.0.is_full())
    }

    fn read(&mut self, may: impl Fn(bool) -> bool) {
        let relay = self.source.as_ref().map(|source| &*source.0);
        for (capture, relayed) in self.captures.iter_mut().zip(self.relayed) {
            if may(relayed) {
                capture.read(relay.filter(|_| relayed));
            }
        }
    }

    /// True if some stream gave more than is kept.
    pub(crate) fn has_overflowed(&self) -> bool {
        self.captures.iter().any(Capture::has_overflowed)
    }

    /// True until every output has ended.
    pub(super) fn is_open(&self) -> bool {
        self.captures.iter().any(Capture::is_open)
    }

    /// Reads what an ended sandbox has left in its pipes, until `until` at the latest. That is little: no listener is waited for.
    pub(crate) fn drain(&mut self, until: Instant) {
        loop {
            self.read(|_| true);
            if !self.is_open() || Instant::now() >= until {
                return;
            }
            let mut waits = [self.captures[0].wait(), self.captures[1].wait()];
            if poll(&mut waits, timeout_until(Some(until))).is_err() {
                // A limit of open descriptors that was lowered: look again in a moment.
                let _ = poll(&mut [], 10);
            }
        }
    }

    /// Standard output and error.
    pub(crate) fn into_captured(self) -> [Captured; 2] {
        self.captures.map(Capture::into_captured)
    }
}
