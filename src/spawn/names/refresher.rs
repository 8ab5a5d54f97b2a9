//! Names that move: resolved again and again while a sandbox runs, if its policy asks for that.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::IpAddr;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, select, tick};

use crate::error::Result;
use crate::spawn::thread::start_thread;

use super::lookups::{Deadline, Means, Stop};
use super::{PATIENCE, resolve_by};

/// Shortest time between two lookups of a name.
const SHORTEST: Duration = Duration::from_secs(1);

/// The addresses of names.
type Addresses = BTreeMap<String, Vec<IpAddr>>;

/// Who is told of new addresses, of all names each time. Not to wait for anything: who drops the refresher waits for it.
pub(crate) type Tell = Box<dyn Fn(Addresses) + Send>;

/// A thread that resolves names at intervals. Dropped, it ends at once, and nobody is told any more; lookups that hang are left alone.
///
/// A name that cannot be resolved keeps the addresses that it had.
pub(crate) struct Refresher {
    /// Nothing is ever sent: dropping it is the message.
    stop: Option<Sender<Infallible>>,
    thread: Option<JoinHandle<()>>,
}

impl Refresher {
    /// Resolves `names`, which have had the addresses `known`, every `interval`, but not more often than once a second. `tell` is
    /// called when addresses have changed, on a thread that is confined as the calling one is.
    pub(crate) fn start(names: Vec<String>, known: Addresses, interval: Duration, tell: Tell) -> Result<Self> {
        let due = tick(interval.max(SHORTEST));
        Self::start_by(Means::of_system(), due, names, known, tell)
    }

    pub(super) fn start_by(
        means: Means,
        due: Receiver<Instant>,
        names: Vec<String>,
        known: Addresses,
        tell: Tell,
    ) -> Result<Self> {
        let (stop, stopped) = bounded(0);
        let thread = start_thread("sandlock-names".to_owned(), move || {
            refresh(&means, &due, &stopped, &names, known, &tell);
        })?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Refresher {
    fn drop(&mut self) {
        drop(self.stop.take());
        // It may be `tell` that has dropped it.
        let thread = self.thread.take();
        let other = thread.filter(|thread| thread.thread().id() != std::thread::current().id());
        // An error would be its panic.
        let _ = other.map(JoinHandle::join);
    }
}

fn refresh(means: &Means, due: &Receiver<Instant>, stop: &Stop, names: &[String], mut known: Addresses, tell: &Tell) {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    loop {
        select! {
            recv(stop) -> _ => return,
            recv(due) -> due => if due.is_err() { return },
        }
        let resolved = match resolve_by(&names, means, &Deadline::new(PATIENCE), stop) {
            Ok(Some(resolved)) => resolved,
            Ok(None) => return,
            // There are too many threads already. Another time.
            Err(_) => continue,
        };
        let mut now = known.clone();
        now.extend(resolved.addresses);
        if now != known {
            known.clone_from(&now);
            tell(now);
        }
    }
}
