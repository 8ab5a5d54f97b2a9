//! Captured output on its way to a listener of the host, while the program runs.
//!
//! The warden reads the output, but it is confined, and must not wait for anybody: the listener has a thread of its own, which the
//! host's thread made that asked for it. If it is slow, a megabyte waits for it, then the warden leaves the pipe alone, and in the end
//! the program waits. It is killed all the same when it is to be.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::lock::{Condvar, Mutex};

use super::{Outcome, Shared};

/// Where captured output goes besides memory: called with the stream, 1 or 2, and what it has given; nothing when it has ended.
pub(super) type Listener = Box<dyn FnMut(u32, &[u8]) + Send>;

/// Most bytes that wait for the listener before the program has to.
const MOST_WAITING: usize = 1 << 20;
/// Most bytes that the listener is told of at once: many small writes come together, a long past in pieces.
const CHUNK: usize = 64 << 10;

#[derive(Default)]
struct Queue {
    /// Stream and bytes, in the order in which they were read; no bytes: its end.
    waiting: VecDeque<(u32, Vec<u8>)>,
    bytes: usize,
    /// Streams that have ended.
    ended: [bool; 2],
    /// Nothing more will come.
    closed: bool,
}

/// The way from the warden to the listener's thread.
pub(crate) struct Relay {
    /// Which streams are captured.
    captured: [bool; 2],
    queue: Mutex<Queue>,
    changed: Condvar,
}

impl Relay {
    pub(super) fn new(captured: [bool; 2]) -> Arc<Self> {
        Arc::new(Self {
            captured,
            queue: Mutex::new(Queue::default()),
            changed: Condvar::new(),
        })
    }

    /// True if no more should be read now. Whoever makes room wakes the warden.
    pub(super) fn is_full(&self) -> bool {
        self.queue.lock().bytes >= MOST_WAITING
    }

    /// Passes on what the stream `which` has given.
    pub(super) fn push(&self, which: u32, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let mut queue = self.queue.lock();
        queue.bytes += bytes.len();
        match queue.waiting.back_mut() {
            Some((last, chunk)) if *last == which && chunk.len() + bytes.len() <= CHUNK => {
                chunk.extend_from_slice(bytes)
            }
            _ => queue
                .waiting
                .extend(bytes.chunks(CHUNK).map(|chunk| (which, chunk.to_vec()))),
        }
        drop(queue);
        self.changed.notify_all();
    }

    /// The stream `which` has ended.
    pub(super) fn end(&self, which: u32) {
        let mut queue = self.queue.lock();
        let index = usize::from(which == 2);
        if self.captured[index] && !queue.ended[index] {
            queue.ended[index] = true;
            queue.waiting.push_back((which, Vec::new()));
        }
        drop(queue);
        self.changed.notify_all();
    }

    /// Nothing more will come.
    pub(super) fn close(&self) {
        self.end(1);
        self.end(2);
        self.queue.lock().closed = true;
        self.changed.notify_all();
    }

    /// Passes on all that a run has given, which is over.
    pub(super) fn tell(&self, outcome: &Outcome) {
        self.push(1, &outcome.stdout.bytes);
        self.push(2, &outcome.stderr.bytes);
        self.close();
    }

    /// The life of the listener's thread. A listener that waits for its sandbox would wait for itself: `shared` tells.
    pub(super) fn deliver(&self, shared: &Shared, mut listener: Listener) {
        loop {
            let (batch, was_full) = {
                let mut queue = self.queue.lock();
                while queue.waiting.is_empty() && !queue.closed {
                    self.changed.wait(&mut queue);
                }
                let was_full = queue.bytes >= MOST_WAITING;
                queue.bytes = 0;
                (std::mem::take(&mut queue.waiting), was_full)
            };
            if was_full {
                shared.wake();
            }
            if batch.is_empty() {
                return;
            }
            for (which, bytes) in batch {
                // The next bytes are told all the same.
                let _ = catch_unwind(AssertUnwindSafe(|| shared.serving(|| listener(which, &bytes))));
            }
        }
    }
}

/// The warden's end of a relay: closes it, however the warden goes.
pub(super) struct Source(pub(super) Arc<Relay>);

impl Drop for Source {
    fn drop(&mut self) {
        self.0.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivered(relay: &Relay) -> Vec<(u32, Vec<u8>)> {
        let (sender, receiver) = std::sync::mpsc::channel();
        let shared = Shared::new().unwrap();
        relay.deliver(
            &shared,
            Box::new(move |which, bytes| sender.send((which, bytes.to_vec())).unwrap()),
        );
        receiver.iter().collect()
    }

    #[test]
    fn output_arrives_in_order_and_each_stream_ends_once() {
        let relay = Relay::new([true, true]);
        relay.push(1, b"a");
        relay.push(1, b"b");
        relay.push(2, b"c");
        relay.end(2);
        relay.end(2);
        relay.push(1, b"d");
        relay.close();
        let said = delivered(&relay);
        let expected: [(u32, &[u8]); 5] = [(1, b"ab"), (2, b"c"), (2, b""), (1, b"d"), (1, b"")];
        assert_eq!(said, expected.map(|(which, bytes)| (which, bytes.to_vec())));
    }

    #[test]
    fn relay_is_full_until_its_listener_takes_something() {
        let relay = Relay::new([true, false]);
        relay.push(1, &vec![0; MOST_WAITING]);
        assert!(relay.is_full());
        relay.close();
        assert_eq!(delivered(&relay).len(), MOST_WAITING / CHUNK + 1);
        assert!(!relay.is_full());
    }

    #[test]
    fn listener_that_panics_is_told_the_rest() {
        let relay = Relay::new([true, false]);
        relay.push(1, b"a");
        relay.close();
        let shared = Shared::new().unwrap();
        let calls = Arc::new(Mutex::new(0));
        let counted = Arc::clone(&calls);
        relay.deliver(
            &shared,
            Box::new(move |_, _| {
                *counted.lock() += 1;
                panic!("a listener's mistake");
            }),
        );
        assert_eq!(*calls.lock(), 2);
    }
}
