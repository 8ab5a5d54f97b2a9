//! Readings that the program can hold up: for what a process shares with others the kernel walks through its page tables, under a lock that
//! other threads of the program can keep for as long as they like. So the warden has a thread do that, and waits for so long and no longer.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// A thread that reads, as long as it does.
pub(super) struct Reading<T> {
    answer: Receiver<T>,
    thread: JoinHandle<()>,
}

impl<T: Send + 'static> Reading<T> {
    /// Has `read` done. None: there is no thread to be had.
    pub(super) fn start(read: impl FnOnce() -> T + Send + 'static) -> Option<Self> {
        let (sender, answer) = sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("sandlock-reading".to_owned())
            .stack_size(256 << 10)
            // Nobody may want the answer any more.
            .spawn(move || drop(sender.send(read())))
            .ok()?;
        Some(Self { answer, thread })
    }

    /// The answer, if it comes in time. Otherwise what goes on may come to its end later.
    pub(super) fn wait(self, time: Duration) -> Result<T, Self> {
        match self.answer.recv_timeout(time) {
            Ok(answer) => {
                // An error would be a panic, after it has answered.
                let _ = self.thread.join();
                Ok(answer)
            }
            Err(_) => Err(self),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn answer_that_takes_too_long_is_not_waited_for() {
        let (go_on, held) = sync_channel::<()>(0);
        let reading = Reading::start(move || held.recv().is_ok()).unwrap();
        let begun = Instant::now();
        let late = reading.wait(Duration::from_millis(20)).unwrap_err();
        assert!(begun.elapsed() < Duration::from_secs(5));
        go_on.send(()).unwrap();
        assert!(late.wait(Duration::from_secs(60)).is_ok_and(|answer| answer));
    }
}
