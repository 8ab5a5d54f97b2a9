//! The library's end of a socket that stands in for one of NETLINK_ROUTE: takes requests from it and sends answers.

use std::collections::VecDeque;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Instant;

use crate::lock::{Mutex, MutexGuard};
use crate::supervisor::{Call, Errand};
use crate::sys::{self, Errno, netlink};

use super::answer::{answer, refuse};
use super::message::Request;
use super::register::{Place, Register};

/// Most bytes of a datagram of requests. Programs send some hundred.
const LONGEST: usize = 8 << 10;
/// Most bytes of a request that is answered [at once](Endpoint::answer_at_once).
const SHORT: usize = 64;
/// How many datagrams are taken, and messages answered, between two looks at everything else that the warden has to see to.
const MOST_AT_ONCE: usize = 16;

/// How things stand with a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Everything is answered: the program is to ask something.
    Idle,
    /// The program is to receive something: what is in hand has no room.
    Full,
    /// There is nobody to talk to any more, or nobody who talks sense.
    Over,
}

/// What is in hand: at most one datagram, and the answers to one message of it.
#[derive(Debug, Default)]
struct Work {
    requests: Vec<u8>,
    /// How much of them is answered.
    done: usize,
    answers: VecDeque<Vec<u8>>,
}

impl Work {
    fn in_hand(&self) -> bool {
        self.done < self.requests.len() || !self.answers.is_empty()
    }
}

/// One socket.
pub(super) struct Endpoint {
    /// Taken out only when this ends.
    socket: Option<OwnedFd>,
    /// The kernel lets nobody send descriptors to it.
    refuses_descriptors: bool,
    /// What the kernel calls the program's end.
    cookie: u64,
    /// The process that has asked for the socket, as it numbers itself.
    process: u32,
    /// The program's address, nl_pid, as far as it has one. Changed by the register only.
    pub(super) port: AtomicU32,
    register: Arc<Register>,
    place: Mutex<Option<Place>>,
    work: Mutex<Work>,
}

impl Endpoint {
    /// A socket, and the end of it that the program gets, which is not to wait if it is `nonblocking`. `refuse`: nobody is to send
    /// descriptors to it, where the kernel can see to that.
    pub(super) fn new(
        register: &Arc<Register>,
        place: Place,
        (nonblocking, refuse): (bool, bool),
        process: u32,
    ) -> Result<(Self, OwnedFd), Errno> {
        let (ours, theirs) = super::pair(nonblocking)?;
        netlink::name_like_kernel(ours.as_raw_fd())?;
        netlink::tell_senders(ours.as_raw_fd())?;
        let endpoint = Self {
            refuses_descriptors: refuse && netlink::refuse_descriptors(ours.as_raw_fd()),
            cookie: netlink::cookie(theirs.as_raw_fd())?,
            socket: Some(ours),
            process,
            port: AtomicU32::new(0),
            register: Arc::clone(register),
            place: Mutex::new(Some(place)),
            work: Mutex::default(),
        };
        Ok((endpoint, theirs))
    }

    pub(super) fn cookie(&self) -> u64 {
        self.cookie
    }

    pub(super) fn process(&self) -> u32 {
        self.process
    }

    fn fd(&self) -> RawFd {
        self.socket.as_ref().map_or(-1, AsRawFd::as_raw_fd)
    }

    /// Answers what the program has asked, as far as there is room, and for a bounded time.
    fn go_on(&self) -> Standing {
        self.advance(&mut self.work.lock(), MOST_AT_ONCE)
    }

    /// Answers the one short request that the program has just sent, if it has, for a program that will not wait for the answer. Leaves
    /// nothing in hand: whoever attends to the socket must not come to wait for something else.
    pub(super) fn answer_at_once(&self) {
        let mut work = self.work.lock();
        // In hand: there is something to be received, so much that there was no room for more.
        if work.in_hand() || !netlink::has_room(self.fd()) {
            return;
        }
        let mut request = [0; SHORT];
        let Ok(Some(seen)) = netlink::peek(self.fd(), &mut request) else {
            return;
        };
        let is_one = request
            .get(..seen.length)
            .and_then(Request::first)
            .is_some_and(|(_, taken)| taken == seen.length);
        if is_one && !seen.descriptors {
            // One to take it, one to answer it.
            self.advance(&mut work, 2);
            // Whose answer finds no room after all has lost it, as it loses those of the kernel's then.
            *work = Work::default();
        }
    }

    /// Takes datagrams in hand and answers messages, at most so many in all.
    fn advance(&self, work: &mut Work, most: usize) -> Standing {
        for _ in 0..most {
            match self.send(work) {
                Standing::Idle => {}
                standing => return standing,
            }
            match Request::first(work.requests.get(work.done..).unwrap_or_default()) {
                Some((request, taken)) => {
                    work.answers = answer(&request, self.register.port(self)).into();
                    work.done += taken;
                }
                None => match self.receive(work) {
                    Ok(()) => {}
                    Err(standing) => return standing,
                },
            }
        }
        match self.send(work) {
            Standing::Idle if work.in_hand() => Standing::Full,
            standing => standing,
        }
    }

    /// Sends the answers in hand.
    fn send(&self, work: &mut Work) -> Standing {
        while let Some(answer) = work.answers.front() {
            match netlink::send(self.fd(), answer) {
                Ok(()) => {}
                Err(Errno(libc::EAGAIN)) => return Standing::Full,
                // The kernel's own are lost for want of memory too.
                Err(Errno(libc::ENOBUFS | libc::ENOMEM)) => {}
                Err(_) => return Standing::Over,
            }
            work.answers.pop_front();
        }
        Standing::Idle
    }

    /// Takes the next datagram in hand. Err: there is none.
    fn receive(&self, work: &mut Work) -> Result<(), Standing> {
        let standing = |errno| match errno {
            Errno(libc::EAGAIN) => Standing::Idle,
            _ => Standing::Over,
        };
        *work = Work::default();
        // Looked at before it is taken: descriptors that come with it would be closed here.
        if !self.refuses_descriptors {
            let seen = netlink::peek(self.fd(), &mut []).map_err(standing)?;
            if seen.is_none_or(|message| message.descriptors) {
                return Err(Standing::Over);
            }
        }
        let mut room = [0; LONGEST];
        let received = netlink::receive(self.fd(), &mut room).map_err(standing)?;
        match room.get(..received.ok_or(Standing::Over)?.length) {
            Some(requests) => work.requests.extend(requests),
            None => work.answers.extend(refuse(&room, self.register.port(self))),
        }
        Ok(())
    }

    /// Gives the place to somebody else if the program has closed the socket, and that is to be noticed only in a moment.
    pub(super) fn give_place_if_over(&self) {
        let work = self.work.lock();
        if netlink::has_ended(self.fd()) && self.is_empty(&work) {
            self.place.lock().take();
        }
    }

    /// Drops what waits to be received, and says whether there is nothing left that would have to be closed.
    fn is_empty(&self, _: &MutexGuard<'_, Work>) -> bool {
        // Some times as many as have room in a socket, as systems are.
        const MOST: usize = 4096;
        if self.refuses_descriptors {
            return true;
        }
        for _ in 0..MOST {
            match netlink::peek(self.fd(), &mut []) {
                Err(_) | Ok(None) => return true,
                Ok(Some(message)) if message.descriptors => return false,
                Ok(Some(_)) => drop(netlink::receive(self.fd(), &mut [])),
            }
        }
        false
    }
}

impl Drop for Endpoint {
    /// Closes the socket, but not what a program may have sent with messages that were not received. That can take as long as the
    /// program likes (SO_LINGER), or a file system, so a thread of its own sees to it. Linux 6.16 lets nobody send such.
    fn drop(&mut self) {
        let is_empty = {
            let work = self.work.lock();
            netlink::shut_down(self.fd());
            self.is_empty(&work)
        };
        let Some(socket) = self.socket.take().filter(|_| !is_empty) else {
            return;
        };
        let place = self.place.get_mut().take();
        // Not the thread's own until it runs: if there can be none, a descriptor is lost rather than this thread.
        let number = socket.into_raw_fd();
        let _ = std::thread::Builder::new()
            .name("sandlock-aside".to_owned())
            .stack_size(64 << 10)
            .spawn(move || {
                sys::fd::close(number);
                drop(place);
            });
    }
}

/// The warden's attention to a socket.
pub(super) struct Attention {
    endpoint: Arc<Endpoint>,
    standing: Standing,
}

impl Attention {
    pub(super) fn new(endpoint: Arc<Endpoint>) -> Self {
        Self {
            endpoint,
            standing: Standing::Idle,
        }
    }
}

impl Errand for Attention {
    fn wait(&self) -> Option<(RawFd, i16)> {
        let events = match self.standing {
            Standing::Full => libc::POLLOUT,
            Standing::Idle | Standing::Over => libc::POLLIN,
        };
        Some((self.endpoint.fd(), events))
    }

    fn due(&self) -> Option<Instant> {
        None
    }

    fn call(&self) -> Option<&Call> {
        None
    }

    fn proceed(mut self: Box<Self>, _ready: bool) -> Option<Box<dyn Errand>> {
        self.standing = self.endpoint.go_on();
        if self.standing == Standing::Over {
            None
        } else {
            Some(self)
        }
    }
}
