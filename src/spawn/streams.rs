//! Standard streams and passed descriptors.

#![allow(unsafe_code)] // two blocks: taking over the ends of a pipe that sys just made

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::AtomicI32;

use crate::error::{Error, ErrorKind, Result, Stage};
use crate::plan::FdMove;
use crate::sys;

use super::prepare::open_null;
use super::pty::Pty;
use super::terminal::Terminal;
use super::{SpawnOptions, Stdio};

const NAMES: [&str; 3] = ["stdin", "stdout", "stderr"];

/// Both sides of every stream.
pub(super) struct Streams {
    /// For the child: where each of its descriptors comes from.
    pub(super) moves: Vec<FdMove>,
    /// Descriptors behind `moves` that were made for the child: to be closed once it runs.
    pub(super) child_ends: Vec<OwnedFd>,
    /// The host's ends of pipes.
    pub(super) host_ends: [Option<OwnedFd>; 3],
    /// Read ends of captured streams: output and error.
    pub(super) captures: [Option<OwnedFd>; 2],
    /// The controlling terminal, if the program inherits it.
    pub(super) terminal: Option<Terminal>,
    /// The terminal that was made for it.
    pub(super) pty: Option<Pty>,
}

impl Streams {
    /// Checks the options and makes the pipes.
    pub(super) fn new(options: &SpawnOptions) -> Result<Self> {
        let inherited_open = [0, 1, 2].map(sys::fd::is_open);
        let mut streams = Self {
            moves: Vec::new(),
            child_ends: Vec::new(),
            host_ends: [const { None }; 3],
            captures: [const { None }; 2],
            terminal: None,
            pty: None,
        };
        for (index, &stdio) in options.stdio.iter().enumerate() {
            streams.add(index, stdio, inherited_open[index])?;
        }
        for passed in &options.passed {
            if passed.target < 3 {
                return Err(Error::argument(format_args!(
                    "descriptor {} cannot be passed as {}: below 3 are the standard streams",
                    passed.source, passed.target
                )));
            }
            if streams.moves.iter().any(|known| known.target == passed.target) {
                return Err(Error::argument(format_args!(
                    "two descriptors are passed as {}",
                    passed.target
                )));
            }
            check_open(passed.source, "a passed descriptor")?;
            streams.send_hosts(passed.source, passed.target);
        }
        if let Some(pty) = &streams.pty {
            pty.set_size(options.terminal_size)?;
            if streams.terminal.is_some() {
                // Job control holds within a session: from its own the program could read what is typed for the host.
                return Err(Error::argument(
                    "a program with a terminal of its own cannot have the host's terminal as another descriptor",
                ));
            }
        }
        Ok(streams)
    }

    fn add(&mut self, index: usize, stdio: Stdio, open: bool) -> Result<()> {
        let target = [0, 1, 2][index];
        match stdio {
            Stdio::Inherit if open => {
                self.send_hosts(target, target);
            }
            Stdio::Inherit | Stdio::Null => {
                let null = open_null().map_err(|errno| failed("cannot open \"/dev/null\"", errno))?;
                self.give(null, target);
            }
            Stdio::Fd(fd) => {
                check_open(fd, NAMES[index])?;
                self.send_hosts(fd, target);
            }
            Stdio::Pty => {
                let terminal = match &self.pty {
                    Some(pty) => pty.terminal,
                    None => {
                        let (pty, terminal) = Pty::new()?;
                        let number = pty.terminal;
                        self.pty = Some(pty);
                        self.child_ends.push(terminal);
                        number
                    }
                };
                self.send(terminal, target);
            }
            Stdio::Capture if index == 0 => return Err(Error::argument("stdin cannot be captured")),
            Stdio::Pipe | Stdio::Capture => {
                let what = format!("cannot make a pipe for {}", NAMES[index]);
                let (reader, writer) = pipe().map_err(|errno| failed(&what, errno))?;
                let (child_end, host_end) = if index == 0 { (reader, writer) } else { (writer, reader) };
                self.give(child_end, target);
                if stdio == Stdio::Capture {
                    sys::fd::set_nonblocking(host_end.as_raw_fd()).map_err(|errno| failed(&what, errno))?;
                    self.captures[index - 1] = Some(host_end);
                } else {
                    self.host_ends[index] = Some(host_end);
                }
            }
        }
        Ok(())
    }

    fn give(&mut self, fd: OwnedFd, target: RawFd) {
        self.send(fd.as_raw_fd(), target);
        self.child_ends.push(fd);
    }

    /// Gives the child a descriptor of the host's, which may be its terminal.
    fn send_hosts(&mut self, source: RawFd, target: RawFd) {
        self.send(source, target);
        if self.terminal.is_none() {
            self.terminal = Terminal::inherited(source);
        }
    }

    fn send(&mut self, source: RawFd, target: RawFd) {
        self.moves.push(FdMove {
            source,
            target,
            parked: AtomicI32::new(-1),
        });
    }
}

fn failed(what: &str, errno: sys::Errno) -> Error {
    Error::system(ErrorKind::System, Stage::Descriptors, what, errno.0)
}

fn check_open(fd: RawFd, what: &str) -> Result<()> {
    if sys::fd::is_open(fd) {
        return Ok(());
    }
    Err(Error::system(
        ErrorKind::InvalidArgument,
        Stage::Arguments,
        format_args!("{what}: descriptor {fd}"),
        libc::EBADF,
    ))
}

/// A pipe: (read end, write end).
pub(super) fn pipe() -> sys::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = sys::fd::pipe()?;
    // SAFETY: the descriptor was just made and nobody else has it.
    let reader = unsafe { OwnedFd::from_raw_fd(reader) };
    // SAFETY: as above.
    let writer = unsafe { OwnedFd::from_raw_fd(writer) };
    Ok((reader, writer))
}
