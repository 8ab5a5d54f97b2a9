//! How the owner of a running sandbox deals with its standard streams: talks with it, listens to it, has its terminal.

use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::thread::JoinHandleExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind, Result, Stage};
use crate::lock::Mutex;
use crate::sys;

use super::relay::Relay;
use super::traffic::{Conversation, Traffic};
use super::{Outcome, Phase, Process, Reason, Shared};

/// The host's ends of the streams of a program.
#[derive(Default)]
pub(crate) struct HostEnds {
    /// Of pipes.
    pub(crate) pipes: [Option<OwnedFd>; 3],
    /// Of its terminal: for the caller, and to be kept.
    pub(crate) terminal: Option<(OwnedFd, OwnedFd)>,
    /// Whether standard output and error are captured.
    pub(crate) captured: [bool; 2],
    /// Most bytes kept of a stream.
    pub(crate) limit: usize,
}

/// The streams of a program, as its owner has them.
pub(super) struct Streams {
    pipes: Mutex<[Option<OwnedFd>; 3]>,
    /// For the caller to take.
    terminal: Mutex<Option<OwnedFd>>,
    /// To resize it by, whoever has taken the other.
    kept_terminal: Option<OwnedFd>,
    captured: [bool; 2],
    limit: usize,
    /// Input was given.
    has_spoken: AtomicBool,
    /// What is left to read of a program that had ended before anybody talked with it, and until when that is waited for.
    late: Mutex<Option<(Traffic, Instant)>>,
    listener: Mutex<Option<JoinHandle<()>>>,
}

/// How long the last output of an ended sandbox is waited for. Only somebody outside it can keep a pipe open that long.
pub(crate) const LAST_OUTPUT: Duration = Duration::from_secs(1);

impl Streams {
    pub(super) fn new(ends: HostEnds) -> Self {
        let (terminal, kept_terminal) = ends.terminal.unzip();
        Self {
            pipes: Mutex::new(ends.pipes),
            terminal: Mutex::new(terminal),
            kept_terminal,
            captured: ends.captured,
            limit: ends.limit,
            has_spoken: AtomicBool::new(false),
            late: Mutex::new(None),
            listener: Mutex::new(None),
        }
    }

    /// Waits until the listener was told everything, after the warden has ended. A listener that frees its own process does not wait.
    pub(super) fn join_listener(&mut self, join: impl FnOnce(JoinHandle<()>)) {
        let listener = self.listener.get_mut().take();
        // Not by std's thread ids: to have one, std keeps memory for each of the host's threads.
        if let Some(listener) = listener.filter(|thread| !sys::thread::is_current(thread.as_pthread_t())) {
            join(listener);
        }
    }

    /// The listener's thread, if there is one, is another process's.
    pub(super) fn forget_listener(&mut self) {
        std::mem::forget(self.listener.get_mut().take());
    }
}

impl Process {
    /// The host's end of a stream that is [`Stdio::Pipe`](crate::sandbox::Stdio::Pipe), 0, 1 or 2, the first time it is asked for: the
    /// caller owns it. It blocks, and is close-on-exec. What is not taken is closed with the process.
    ///
    /// ```
    /// use std::fs::File;
    /// use std::io::{Read, Write};
    ///
    /// use sandlock::{Access, Policy, Sandbox, SpawnOptions, Stdio};
    ///
    /// let mut policy = Policy::new();
    /// policy.allow_path("/usr", Access::READ_EXECUTE)?;
    /// let options = SpawnOptions::new().stdin(Stdio::Pipe).stdout(Stdio::Pipe);
    /// let cat = Sandbox::new(policy).spawn(None, ["cat"], options)?;
    ///
    /// File::from(cat.take_stdio(0).expect("a pipe")).write_all(b"hello")?; // and closed
    /// let mut said = String::new();
    /// File::from(cat.take_stdio(1).expect("a pipe")).read_to_string(&mut said)?;
    /// assert_eq!(said, "hello");
    /// assert!(cat.take_stdio(1).is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn take_stdio(&self, which: usize) -> Option<OwnedFd> {
        self.streams.pipes.lock().get_mut(which)?.take()
    }

    /// The host's end (the master) of the terminal that [`Stdio::Pty`](crate::sandbox::Stdio::Pty) gave the program, the first time it is
    /// asked for: the caller owns it. What is written to it is typed; a program that prints more than a few kilobytes waits for it to
    /// be read. When the sandbox has ended, read(2) gives what is left and then EIO. Do not pass on to a terminal of your own what a
    /// program prints that you do not trust.
    ///
    /// ```
    /// use std::fs::File;
    /// use std::io::Read;
    ///
    /// use sandlock::{Access, Policy, Sandbox, SpawnOptions, Stdio};
    ///
    /// let mut policy = Policy::new();
    /// policy.allow_path("/usr", Access::READ_EXECUTE)?;
    /// let mut options = SpawnOptions::new().stdin(Stdio::Pty).stdout(Stdio::Pty).stderr(Stdio::Pty);
    /// options.terminal_size = (30, 100);
    /// let process = Sandbox::new(policy).spawn(None, ["stty", "size"], options)?;
    ///
    /// let mut said = Vec::new();
    /// let end = File::from(process.take_terminal().expect("a terminal")).read_to_end(&mut said);
    /// assert_eq!(end.unwrap_err().raw_os_error(), Some(libc::EIO));
    /// assert_eq!(said, b"30 100\r\n"); // as a terminal prints it
    /// # Ok::<(), sandlock::Error>(())
    /// ```
    pub fn take_terminal(&self) -> Option<OwnedFd> {
        self.streams.terminal.lock().take()
    }

    /// Gives the program's terminal another size, and has its foreground process group told (SIGWINCH).
    ///
    /// # Errors
    ///
    /// [`State`](ErrorKind::State): the program has no terminal of its own or has ended; the handle is from before a fork.
    /// [`System`](ErrorKind::System): the kernel refuses.
    pub fn resize(&self, rows: u16, columns: u16) -> Result<()> {
        self.check_owner()?;
        let failed = |what: &str| Error::new(ErrorKind::State, Stage::Descriptors, what);
        let Some(terminal) = &self.streams.kept_terminal else {
            return Err(failed("the program has no terminal of its own"));
        };
        if self.shared.ended().is_some() {
            return Err(failed("the program has ended"));
        }
        sys::terminal::set_size(terminal.as_raw_fd(), rows, columns).map_err(|errno| {
            Error::system(
                ErrorKind::System,
                Stage::Descriptors,
                "cannot resize the terminal",
                errno.0,
            )
        })
    }

    /// Writes `input` to a piped standard input and closes it, collects piped output and error, and waits for the end; None if
    /// `timeout` passes first. Then all goes on, and another call, without input, waits for the same. It takes the pipes whose ends
    /// were not taken; the outcome has what they gave, up to the cap.
    ///
    /// The warden writes and reads, so that all streams go on at once. SIGPIPE is not raised: a program that does not read all its input is
    /// no error.
    ///
    /// # Errors
    ///
    /// [`State`](ErrorKind::State): there is input, but standard input is no pipe, its end was taken, or an earlier call gave input; the handle is
    /// from before a fork. [`WouldDeadlock`](ErrorKind::WouldDeadlock): called from a handler or listener that the sandbox waits for.
    pub fn communicate(&self, input: &[u8], timeout: Option<Duration>) -> Result<Option<Arc<Outcome>>> {
        self.check_may_wait()?;
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        self.converse(input)?;
        match self.wait_for_end(timeout)? {
            Some(outcome) => Ok(self.collect_what_was_left(outcome, deadline)),
            None => Ok(None),
        }
    }

    /// Gives the pipes that nobody has taken to the warden.
    fn converse(&self, input: &[u8]) -> Result<()> {
        let state = |what: &str| Error::new(ErrorKind::State, Stage::Descriptors, what);
        let mut pipes = self.streams.pipes.lock();
        if !input.is_empty() {
            if self.streams.has_spoken.load(Ordering::Relaxed) {
                return Err(state("the input was given by an earlier call, and is remembered"));
            }
            if pipes[0].is_none() {
                return Err(state("standard input is not a pipe, or its end was taken"));
            }
        }
        for pipe in pipes.iter().flatten() {
            sys::fd::set_nonblocking(pipe.as_raw_fd()).map_err(|errno| {
                Error::system(
                    ErrorKind::System,
                    Stage::Descriptors,
                    "cannot make a pipe non-blocking",
                    errno.0,
                )
            })?;
        }
        let [stdin, stdout, stderr] = std::mem::take(&mut *pipes);
        if stdin.is_none() && stdout.is_none() && stderr.is_none() {
            return Ok(());
        }
        self.streams.has_spoken.store(true, Ordering::Relaxed);
        let conversation = Conversation {
            input: stdin.map(|stdin| (stdin, input.to_vec())),
            outputs: [stdout, stderr],
        };
        self.shared.state.lock().wishes.conversation = Some(conversation);
        self.shared.wake();
        Ok(())
    }

    /// What a program that had ended before the warden could take its pipes has left in them. None: that is not all, and the
    /// deadline has passed.
    fn collect_what_was_left(&self, outcome: Arc<Outcome>, deadline: Option<Instant>) -> Option<Arc<Outcome>> {
        let mut late = self.streams.late.lock();
        let conversation = self.shared.state.lock().wishes.conversation.take();
        if let Some(conversation) = conversation {
            *late = Some((
                Traffic::of_ended(conversation, self.streams.limit),
                Instant::now() + LAST_OUTPUT,
            ));
        }
        let Some((mut traffic, last)) = late.take() else {
            // Another call may have added to it meanwhile.
            return Some(self.shared.ended().unwrap_or(outcome));
        };
        traffic.drain(deadline.map_or(last, |deadline| deadline.min(last)));
        if traffic.is_open() && Instant::now() < last {
            *late = Some((traffic, last));
            return None;
        }
        let mut complete = Outcome::clone(&*self.shared.ended().unwrap_or(outcome));
        if traffic.has_overflowed() && matches!(complete.reason, Reason::Exited | Reason::Signaled) {
            complete.reason = Reason::Limit;
        }
        let [stdout, stderr] = traffic.into_captured();
        // What was captured by the warden was no pipe of this conversation.
        for (collected, place) in [(stdout, &mut complete.stdout), (stderr, &mut complete.stderr)] {
            if !collected.bytes.is_empty() || collected.truncated > 0 {
                *place = collected;
            }
        }
        let complete = Arc::new(complete);
        self.shared.state.lock().phase = Phase::Ended(Arc::clone(&complete));
        Some(complete)
    }

    /// Has `listener` told of all captured output, from the start: the stream (1 or 2) and what it has given, nothing when it has
    /// ended. It is called by one thread of the library, one call at a time, which is not confined. The outcome has the output all the
    /// same. The program waits for the listener only if a megabyte is yet to be told; ending the sandbox never does. Dropping the
    /// process waits until everything was told.
    ///
    /// # Errors
    ///
    /// [`State`](ErrorKind::State): no stream is [`Stdio::Capture`](crate::sandbox::Stdio::Capture); somebody listens already; the handle is
    /// from before a fork. [`System`](ErrorKind::System): the host is out of threads.
    ///
    /// ```
    /// use std::sync::mpsc::channel;
    ///
    /// use sandlock::{Access, Policy, Sandbox, SpawnOptions, Stdio};
    ///
    /// let mut policy = Policy::new();
    /// policy.allow_path("/usr", Access::READ_EXECUTE)?;
    /// let options = SpawnOptions::new().stdout(Stdio::Capture);
    /// let process = Sandbox::new(policy).spawn(None, ["seq", "3"], options)?;
    ///
    /// let (sender, receiver) = channel();
    /// process.listen(move |_stream, bytes| sender.send(bytes.to_vec()).unwrap())?;
    /// // The listener goes when all was told, and its end of the channel with it.
    /// let said: Vec<u8> = receiver.into_iter().flatten().collect();
    /// assert_eq!(said, b"1\n2\n3\n");
    /// # Ok::<(), sandlock::Error>(())
    /// ```
    pub fn listen(&self, listener: impl FnMut(u32, &[u8]) + Send + 'static) -> Result<()> {
        self.check_owner()?;
        let state = |what: &str| Error::new(ErrorKind::State, Stage::Descriptors, what);
        if self.streams.captured == [false; 2] {
            return Err(state("no stream of the program is captured"));
        }
        let mut thread = self.streams.listener.lock();
        if thread.is_some() {
            return Err(state("somebody listens to the output already"));
        }
        let relay = Relay::new(self.streams.captured);
        *thread = Some(start_listener({
            let (relay, shared) = (Arc::clone(&relay), Arc::clone(&self.shared));
            move || relay.deliver(&shared, Box::new(listener))
        })?);
        let mut state = self.shared.state.lock();
        match &state.phase {
            Phase::Ended(outcome) => relay.tell(outcome),
            Phase::Running => state.wishes.relay = Some(relay),
        }
        drop(state);
        self.shared.wake();
        Ok(())
    }
}

impl Shared {
    /// What the owner wants done about the streams, since it was last asked.
    pub(crate) fn wishes(&self) -> super::traffic::Wishes {
        std::mem::take(&mut self.state.lock().wishes)
    }
}

/// Starts a thread that takes no signals, from its first instruction on. It runs the host's code, so it has a stack of the usual size.
fn start_listener(body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    let failed = |errno| {
        Error::system(
            ErrorKind::System,
            Stage::Spawn,
            "cannot start a thread that listens",
            errno,
        )
    };
    let former = sys::signal::set_mask(sys::signal::Mask::ALL_BUT_LIBC).map_err(|errno| failed(errno.0))?;
    let thread = std::thread::Builder::new()
        .name("sandlock-output".to_owned())
        .spawn(body);
    let restored = sys::signal::set_mask(former);
    debug_assert!(restored.is_ok(), "restoring a signal mask cannot fail");
    thread.map_err(|error| failed(error.raw_os_error().unwrap_or(libc::EAGAIN)))
}
