//! sendto(2), sendmsg(2) and sendmmsg(2), on behalf: with data and addresses that were read once.
//!
//! sendto is trapped with an address only. The others have theirs in memory, and a descriptor that another thread can put another socket
//! at: so none of them can be let through, whatever the socket is now. A message is tried without waiting, and if the caller would wait
//! the warden waits for the socket.

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use crate::lock::Mutex;
use crate::policy::net::Protocol;
use crate::supervisor::Call;
use crate::sys::event::{Wait, poll};
use crate::sys::socket::{Flags, Kind};
use crate::sys::{Errno, fd, signal, socket};

use super::address::{Address, Meaning};
use super::message::{ENTRY, ENTRY_LENGTH, Message, Table, Unread};
use super::rules::{Action, Rules, protocol};
use super::waiting::{For, Held, Patience, wait};
use super::{answer, unix};

/// How much of a stream's data is read at a time.
const CHUNK: usize = 256 << 10;
/// How much of it is sent before others have their turn.
const TURN: u64 = 1 << 20;
/// More than any datagram can hold, with what the kernel cuts into several. Those of Unix sockets are as long as a buffer lets them be.
const LONGEST_DATAGRAM: u64 = 1 << 20;
/// Most messages of one call. It says how many it has sent, so that the program sends the rest.
const MOST_MESSAGES: u64 = 64;

/// Flags that the kernel knows and that may be passed on. What is sent is copied, so a promise not to copy it (MSG_ZEROCOPY) is not kept.
const FLAGS: i32 = libc::MSG_OOB
    | libc::MSG_DONTROUTE
    | libc::MSG_EOR
    | libc::MSG_CONFIRM
    | libc::MSG_NOSIGNAL
    | libc::MSG_MORE
    | libc::MSG_DONTWAIT;
const MSG_ZEROCOPY: i32 = 0x400_0000;

/// Which call it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// sendto(2).
    To,
    /// sendmsg(2).
    Message,
    /// sendmmsg(2).
    Messages,
}

/// A message on its way.
struct Sending {
    message: Message,
    /// Of a socket in the file system, whose address names it by this descriptor.
    _file: Option<OwnedFd>,
    kind: Kind,
    flags: i32,
    blocking: bool,
    sent: u64,
}

impl Sending {
    /// What it waits for when the socket takes no more.
    fn waits_for(&self) -> For {
        if self.kind.domain == libc::AF_UNIX && self.kind.type_ == libc::SOCK_DGRAM {
            // Its own buffer has room; the receiver's has not, and nobody tells of that.
            For::Time
        } else {
            For::Writable
        }
    }
}

/// How far it has come.
enum Step {
    Done(Result<u64, Errno>),
    /// The socket takes no more now.
    Full,
    /// There is more, but others wait.
    Turn,
}

/// Serves one of them.
pub(super) fn serve(rules: &Arc<Rules>, call: Call, form: Form) {
    match begin(rules, &call, form, Table::Shared) {
        Ok(Begun::Sent(count)) => answer(&call, Ok(count)),
        Ok(Begun::Sending(socket, sending)) => {
            let held = Held {
                patience: Patience::new(libc::EAGAIN),
                socket,
                call,
            };
            go_on(rules, held, sending, form);
        }
        Err(Unread::Elsewhere) => serve_elsewhere(rules, call, form),
        Err(Unread::Failed(errno)) => answer(&call, Err(errno)),
    }
}

/// Serves it on a thread with a descriptor table of its own.
fn serve_elsewhere(rules: &Arc<Rules>, call: Call, form: Form) {
    let (errands, mut kept) = (call.errands(), call.descriptors());
    let parcel = Arc::new(Mutex::new(Some(call)));
    let (sent, rules) = (Arc::clone(&parcel), Arc::clone(rules));
    let work = Box::new(move || {
        let Some(call) = sent.lock().take() else { return };
        match fd::leave_table(&mut kept) {
            Ok(()) => serve_there(&rules, &call, form),
            Err(errno) => answer(&call, Err(errno)),
        }
    });
    if errands.aside(work).is_err()
        && let Some(call) = parcel.lock().take()
    {
        answer(&call, Err(Errno(libc::ENOBUFS)));
    }
}

/// There it waits itself: nobody else has its descriptors.
fn serve_there(rules: &Rules, call: &Call, form: Form) {
    let (socket, mut sending) = match begin(rules, call, form, Table::Own) {
        Ok(Begun::Sending(socket, sending)) => (socket, sending),
        Ok(Begun::Sent(count)) => return answer(call, Ok(count)),
        Err(Unread::Failed(errno)) => return answer(call, Err(errno)),
        Err(Unread::Elsewhere) => return,
    };
    let mut patience = Patience::new(libc::EAGAIN);
    loop {
        if let Step::Done(sent) = step(rules, call, &socket, &mut sending) {
            drop(socket);
            return finish(call, &sending, sent, form);
        }
        patience.begin(&socket);
        patience.note_done(sending.sent);
        let number = if sending.waits_for() == For::Time {
            -1
        } else {
            socket.as_raw_fd()
        };
        // An error is a signal, of which there are none, or want of memory, which passes.
        let _ = poll(&mut [Wait::writable(number)], patience.milliseconds());
        if !call.is_waiting() {
            return;
        }
        if let Some(reply) = patience.verdict(call) {
            // An error means that the caller is gone.
            let _ = call.answer(reply);
            return;
        }
    }
}

enum Begun {
    /// All there was to do.
    Sent(i64),
    Sending(OwnedFd, Box<Sending>),
}

#[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)] // flags are an int: its lower half
fn begin(rules: &Rules, call: &Call, form: Form, table: Table) -> Result<Begun, Unread> {
    let [number, pointer, second, third, name, name_length] = call.received().arguments;
    let (socket, kind) = rules.duplicate(call, number)?;
    let flags = match form {
        Form::To | Form::Messages => third,
        Form::Message => second,
    } as u32 as i32;
    if flags & MSG_ZEROCOPY != 0 {
        // As if there were no memory for it to be told by: programs then send without it.
        return Err(Errno(libc::ENOBUFS).into());
    }
    if flags & libc::MSG_FASTOPEN != 0 {
        return Err(Errno(libc::EPERM).into());
    }
    let message = match form {
        Form::To => {
            let name = Address::read(call, name, name_length)?;
            if name.is_none() && protocol(kind).is_some_and(|protocol| protocol != Protocol::Tcp) {
                // It is an address, though an empty one.
                return Err(Errno(libc::EINVAL).into());
            }
            Message::plain(name, pointer, second)
        }
        Form::Message => Message::read(rules, call, pointer, kind, table)?,
        Form::Messages => return several(rules, call, socket, (kind, flags), table),
    };
    let sending = prepare(rules, call, (&socket, kind), flags, message)?;
    Ok(Begun::Sending(socket, Box::new(sending)))
}

/// Decides about where a message goes, and puts an address there by which it goes nowhere else.
fn prepare(
    rules: &Rules,
    call: &Call,
    (socket, kind): (&OwnedFd, Kind),
    flags: i32,
    mut message: Message,
) -> Result<Sending, Errno> {
    let datagrams = kind.type_ == libc::SOCK_DGRAM;
    let (inet, unix) = (
        matches!(kind.domain, libc::AF_INET | libc::AF_INET6),
        kind.domain == libc::AF_UNIX,
    );
    let mut file = None;
    if inet && kind.type_ == libc::SOCK_STREAM {
        // A connection has its destination, and only fast open would look at another.
        message.name = Address::NONE;
    } else if unix && !datagrams {
        // Likewise; a stream refuses it.
    } else if !datagrams || !(inet || unix) {
        return Err(Errno(libc::EACCES));
    } else if !message.name.is_none() {
        let address = message.name.with_family(kind).without_any();
        message.name = address;
        match address.meaning(kind)? {
            Meaning::Nobody => return Err(Errno(libc::EINVAL)),
            Meaning::Internet(host, port) => {
                let port = rules.decide(call, kind, (host, port), Action::Send)?;
                message.name = address.with_port(port);
            }
            Meaning::Path(path) => {
                let (address, found) = unix::find(rules, call, &path)?;
                (message.name, file) = (address, Some(found));
            }
            Meaning::Abstract(name) => rules.decide_abstract(call, &name)?,
        }
    }
    if kind.type_ != libc::SOCK_STREAM && message.length() > LONGEST_DATAGRAM {
        return Err(Errno(libc::EMSGSIZE));
    }
    let blocking = flags & libc::MSG_DONTWAIT == 0 && !Flags::of(socket.as_raw_fd())?.are_nonblocking();
    Ok(Sending {
        message,
        _file: file,
        kind,
        flags,
        blocking,
        sent: 0,
    })
}

/// Sends what can be sent without waiting.
fn step(rules: &Rules, call: &Call, socket: &OwnedFd, sending: &mut Sending) -> Step {
    let length = sending.message.length();
    let streams = sending.kind.type_ == libc::SOCK_STREAM;
    let room = usize::try_from(length).unwrap_or(usize::MAX);
    let mut buffer = vec![0; if streams { room.min(CHUNK) } else { room }];
    let end_of_turn = sending.sent.saturating_add(TURN);
    loop {
        let read = match sending.message.data(call, sending.sent, &mut buffer) {
            // A datagram is sent whole or not at all.
            Ok(read) if !streams && (read as u64) < length => Err(Errno(libc::EFAULT)),
            Ok(0) if sending.sent < length => Err(Errno(libc::EFAULT)),
            read => read,
        };
        let control = if sending.sent == 0 {
            &sending.message.control[..]
        } else {
            &[]
        };
        let sent = read.and_then(|read| {
            let data = buffer.get(..read).unwrap_or_default();
            let flags = sending.flags & FLAGS | libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
            rules.on_behalf(|| socket::send(socket.as_raw_fd(), data, sending.message.name.bytes(), control, flags))
        });
        match sent {
            Ok(sent) if !streams => return Step::Done(Ok(sent as u64)),
            Ok(sent) => {
                sending.sent += sent as u64;
                if sending.sent >= length {
                    return Step::Done(Ok(sending.sent));
                }
                if sending.sent >= end_of_turn {
                    return Step::Turn;
                }
            }
            Err(Errno(libc::EAGAIN)) if sending.blocking => return Step::Full,
            Err(_) if sending.sent > 0 => return Step::Done(Ok(sending.sent)),
            Err(errno) => return Step::Done(Err(errno)),
        }
    }
}

fn go_on(rules: &Arc<Rules>, mut held: Held, mut sending: Box<Sending>, form: Form) {
    let stepped = step(rules, &held.call, &held.socket, &mut sending);
    let what = match stepped {
        Step::Full => sending.waits_for(),
        Step::Turn => For::Writable,
        Step::Done(sent) => return finish(&held.into_call(), &sending, sent, form),
    };
    // What was sent counts, whatever ends the wait.
    held.patience.note_done(sending.sent);
    let next = Arc::clone(rules);
    wait(rules, held, what, move |held| go_on(&next, held, sending, form));
}

/// Sends the caller SIGPIPE if the kernel would: before the call returns.
fn signal_end(call: &Call, sending: &Sending, errno: Errno) {
    let silent = sending.flags & libc::MSG_NOSIGNAL != 0 || sending.kind.type_ != libc::SOCK_STREAM;
    if errno == Errno(libc::EPIPE) && !silent && call.is_waiting() {
        // An error means that it has just been killed.
        let _ = signal::send_to_thread(call.thread(), libc::SIGPIPE);
    }
}

fn finish(call: &Call, sending: &Sending, sent: Result<u64, Errno>, form: Form) {
    if let Err(errno) = sent {
        signal_end(call, sending, errno);
    }
    let answered = match (form, sent) {
        (Form::Messages, Ok(length)) => note_length(call, 0, length).map(|()| 1),
        (_, sent) => sent.map(count),
    };
    answer(call, answered);
}

fn count(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// Writes how much was sent of the message with this index.
fn note_length(call: &Call, index: u64, length: u64) -> Result<(), Errno> {
    let place = call.received().arguments[1].wrapping_add(index * ENTRY + ENTRY_LENGTH);
    let length = u32::try_from(length).unwrap_or(u32::MAX).to_ne_bytes();
    match call.write(place, &length) {
        Ok(written) if written == length.len() => Ok(()),
        _ => Err(Errno(libc::EFAULT)),
    }
}

/// Sends several messages. Only for the first one it waits: a call that has sent some says so, and is done.
fn several(
    rules: &Rules,
    call: &Call,
    socket: OwnedFd,
    (kind, flags): (Kind, i32),
    table: Table,
) -> Result<Begun, Unread> {
    let [_, pointer, count, ..] = call.received().arguments;
    let most = (count & u64::from(u32::MAX)).min(MOST_MESSAGES);
    let mut bytes = 0;
    for index in 0..most {
        let mut sending = match Message::read(rules, call, pointer.wrapping_add(index * ENTRY), kind, table)
            .and_then(|message| Ok(prepare(rules, call, (&socket, kind), flags, message)?))
        {
            Ok(sending) => sending,
            Err(errno) if index == 0 => return Err(errno),
            Err(_) => return Ok(Begun::Sent(self::count(index))),
        };
        let sent = match step(rules, call, &socket, &mut sending) {
            Step::Full | Step::Turn if index == 0 => return Ok(Begun::Sending(socket, Box::new(sending))),
            Step::Full | Step::Turn if sending.sent > 0 => Ok(sending.sent),
            Step::Full | Step::Turn => Err(Errno(libc::EAGAIN)),
            Step::Done(Err(errno)) => {
                signal_end(call, &sending, errno);
                Err(errno)
            }
            Step::Done(sent) => sent,
        };
        match sent.and_then(|sent| note_length(call, index, sent).map(|()| sent)) {
            Ok(sent) => bytes += sent,
            Err(errno) if index == 0 => return Err(errno.into()),
            Err(_) => return Ok(Begun::Sent(self::count(index))),
        }
        if bytes >= TURN {
            return Ok(Begun::Sent(self::count(index + 1)));
        }
    }
    Ok(Begun::Sent(self::count(most)))
}
