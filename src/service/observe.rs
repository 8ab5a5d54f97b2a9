//! Tells observers of programs that are executed, of processes that are started and of their ends. It lets every call pass.
//!
//! What it says of an exec was read from the caller's memory, which other threads of the caller can change before the kernel reads it:
//! it is what a program has said, not a fact to decide by.

use std::ffi::CString;

use crate::members;
use crate::supervisor::{Call, Event, Ground, Known, Served, Service, kind};

/// Most arguments of a program that are told, and most bytes of all of them.
const MOST_ARGUMENTS: usize = 256;
const MOST_BYTES: usize = 32 << 10;
const PATH_MAX: usize = 4096;

/// The calls to be looked at for events of the kinds in `mask`.
pub(crate) fn calls(mask: u64) -> &'static [&'static str] {
    match (
        mask & (kind::EXEC | kind::EXIT) != 0,
        mask & (kind::FORK | kind::EXIT) != 0,
        mask & kind::EXIT != 0,
    ) {
        (_, _, true) => &["execve", "execveat", "fork", "vfork", "clone", "exit_group"],
        (true, true, _) => &["execve", "execveat", "fork", "vfork", "clone"],
        (true, false, _) => &["execve", "execveat"],
        (false, true, _) => &["fork", "vfork", "clone"],
        (false, false, _) => &[],
    }
}

/// The observation of one sandbox.
pub(crate) struct Observation {
    mask: u64,
    known: Known,
}

impl Observation {
    pub(crate) fn new(mask: u64) -> Self {
        Self {
            mask,
            known: Known::default(),
        }
    }
}

impl Service for Observation {
    fn serve(&self, call: &Call, ground: Ground) -> Served {
        let received = call.received();
        let arguments = received.arguments;
        let number = libc::c_long::from(received.number);
        let mut announced = None;
        let executes = [libc::SYS_execve, libc::SYS_execveat].contains(&number);
        if executes && ground.is_wardens() {
            return Served::Apart;
        }
        if number == libc::SYS_execve {
            call.emit(exec(call, arguments[0], arguments[1]));
        } else if number == libc::SYS_execveat {
            call.emit(exec(call, arguments[1], arguments[2]));
        } else if number == libc::SYS_exit_group {
            // The kernel takes the low eight bits.
            announced = i32::try_from(arguments[0] & 0xff).ok();
        } else if number == libc::SYS_clone && arguments[0] & u64::from(libc::CLONE_THREAD.cast_unsigned()) != 0 {
            return Served::Pass;
        } else {
            call.emit(call.event(kind::FORK));
        }
        if self.mask & kind::EXIT != 0
            && let Some(process) = members::process_of(call.thread())
        {
            call.watch_process(process, &self.known, announced);
        }
        Served::Pass
    }
}

fn exec(call: &Call, path: u64, arguments: u64) -> Event {
    let mut event = call.event(kind::EXEC);
    event.path = string(call, path, PATH_MAX);
    event.advisory = true;
    let mut room = MOST_BYTES;
    let mut pointer = [0; 8];
    for index in 0..MOST_ARGUMENTS as u64 {
        let from = arguments.wrapping_add(index * 8);
        if arguments == 0 || !call.read(from, &mut pointer).is_ok_and(|count| count == pointer.len()) {
            break;
        }
        let address = u64::from_ne_bytes(pointer);
        let Some(argument) = (address != 0).then(|| string(call, address, room)).flatten() else {
            break;
        };
        room -= argument.as_bytes_with_nul().len();
        event.arguments.push(argument);
    }
    event
}

/// A string of at most `most` bytes with its NUL; None if it is longer or cannot be read.
pub(super) fn string(call: &Call, address: u64, most: usize) -> Option<CString> {
    let mut buffer = vec![0; most];
    let length = call.read_string(address, &mut buffer).ok()?;
    buffer.truncate(length);
    CString::new(buffer).ok()
}
