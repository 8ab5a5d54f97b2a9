//! Both ends of emulated sockets: what programs find at theirs.
#![allow(unsafe_code, clippy::unwrap_used)]

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::answer_tests::request;
use super::endpoint::{Attention, Endpoint};
use super::message::{Request, u32_at};
use super::name;
use super::register::{MOST, Register};
use crate::supervisor::Errand;
use crate::sys::{Errno, netlink};

const REQUEST: u16 = 1;
const DUMP: u16 = 0x300;
const PROCESS: u32 = 77;

/// A socket, the program's end of it, and who attends to it.
struct Opened {
    endpoint: Arc<Endpoint>,
    /// Its calls are those that a program makes, whatever the socket's type.
    program: UnixDatagram,
    attention: Option<Box<dyn Errand>>,
}

impl Opened {
    /// `refuse`: descriptors, where the kernel can.
    fn new(register: &Arc<Register>, refuse: bool) -> Result<Self, Errno> {
        let (endpoint, theirs) = register.open((true, refuse), PROCESS)?;
        Ok(Self {
            attention: Some(Box::new(Attention::new(Arc::clone(&endpoint)))),
            endpoint,
            program: theirs.into(),
        })
    }

    /// What the warden does as long as the socket is ready. False: it is done with it.
    fn attend(&mut self) -> bool {
        while let Some(attention) = self.attention.take() {
            let (fd, events) = attention.wait().unwrap();
            if !is_ready(fd, events) {
                self.attention = Some(attention);
                break;
            }
            self.attention = attention.proceed(true);
        }
        self.attention.is_some()
    }

    /// The events that are waited for.
    fn awaited(&self) -> i16 {
        self.attention.as_ref().unwrap().wait().unwrap().1
    }

    /// The types of the messages in the next datagram.
    fn receive(&self) -> Option<Vec<u16>> {
        let mut room = [0; 1 << 14];
        let length = self.program.recv(&mut room).ok()?;
        let mut rest = &room[..length];
        let mut kinds = Vec::new();
        while let Some((message, taken)) = Request::first(rest) {
            kinds.push(message.header.kind);
            rest = &rest[taken..];
        }
        Some(kinds)
    }
}

fn is_ready(fd: RawFd, events: i16) -> bool {
    let mut wait = libc::pollfd { fd, events, revents: 0 };
    // SAFETY: the entry is live and writable, and there is one of it.
    unsafe { libc::poll(&raw mut wait, 1, 0) == 1 }
}

fn links() -> Vec<u8> {
    request(libc::RTM_GETLINK, REQUEST | DUMP, &[0; 4])
}

const LINKS: [u16; 2] = [libc::RTM_NEWLINK, 3];

#[test]
fn a_program_finds_what_netlink_has() {
    let mut opened = Opened::new(&Arc::default(), true).unwrap();
    let fd = opened.program.as_raw_fd();
    // To the kernel's address, as programs send.
    let kernel = name(0);
    let asked = links();
    // SAFETY: the pointers and lengths describe live buffers.
    let sent = unsafe {
        let length = libc::socklen_t::try_from(kernel.len()).unwrap();
        libc::sendto(
            fd,
            asked.as_ptr().cast(),
            asked.len(),
            0,
            kernel.as_ptr().cast(),
            length,
        )
    };
    assert_eq!(usize::try_from(sent), Ok(asked.len()));
    assert!(opened.attend());
    // The true length of what has no room, and the kernel's address.
    let mut from = [0xff_u8; 128];
    let mut receive = |room: &mut [u8], flags| {
        let mut length = 128;
        // SAFETY: the pointers and lengths describe live, writable buffers.
        let received = unsafe {
            libc::recvfrom(
                fd,
                room.as_mut_ptr().cast(),
                room.len(),
                flags,
                from.as_mut_ptr().cast(),
                &raw mut length,
            )
        };
        assert_eq!(length, 12);
        assert_eq!(from[4..8], [0; 4]);
        usize::try_from(received).unwrap()
    };
    let length = receive(&mut [], libc::MSG_PEEK | libc::MSG_TRUNC);
    let mut room = vec![0; 4096];
    assert_eq!(receive(&mut room, 0), length);
    let port = opened.endpoint.port.load(Ordering::Acquire);
    assert_eq!(u32_at(&room, 12), Some(port));
    assert_eq!(port, PROCESS);
}

#[test]
fn every_socket_has_an_address_of_its_own() {
    let register = Arc::default();
    let [one, two, three] = [(); 3].map(|()| Opened::new(&register, true).unwrap().endpoint);
    let bind = |endpoint: &Endpoint, port| register.bind(endpoint, port).map_err(|Errno(errno)| errno);
    assert_eq!(register.port(&one), PROCESS);
    assert_eq!(bind(&one, 0), Ok(()));
    assert_eq!(bind(&one, PROCESS), Ok(()));
    assert_eq!(bind(&one, PROCESS + 1), Err(libc::EINVAL));
    assert_eq!(bind(&two, PROCESS), Err(libc::EADDRINUSE));
    assert_eq!(bind(&two, 5), Ok(()));
    assert_eq!(register.port(&two), 5);
    // Such as no process has.
    assert!(register.port(&three).cast_signed() < -4095);
    // Addresses are free again with their sockets.
    drop(one);
    let four = Opened::new(&register, true).unwrap().endpoint;
    assert_eq!(register.port(&four), PROCESS);
    assert!(
        register
            .find(four.cookie())
            .is_some_and(|found| Arc::ptr_eq(&found, &four))
    );
    let stranger = UnixDatagram::unbound().unwrap();
    assert!(register.find(netlink::cookie(stranger.as_raw_fd()).unwrap()).is_none());
    drop((two, three, four));
    assert!(register.is_empty());
}

#[test]
fn who_does_not_receive_is_not_answered_any_further_and_loses_nothing() {
    let mut opened = Opened::new(&Arc::default(), true).unwrap();
    // The same request over and over, numbered, as many to a datagram as are looked at.
    let mut sent = 0_u32;
    let mut received = 0;
    let mut send_some = |program: &UnixDatagram| {
        let mut datagram = Vec::new();
        let mut next = sent;
        while datagram.len() + 20 <= 8 << 10 {
            let mut message = links();
            message[8..12].copy_from_slice(&next.to_ne_bytes());
            datagram.extend(message);
            next += 1;
        }
        let done = program.send(&datagram).is_ok();
        if done {
            sent = next;
        }
        (done, sent)
    };
    // Until there is no room for more requests either.
    loop {
        let (more, _) = send_some(&opened.program);
        assert!(opened.attend());
        if !more {
            break;
        }
    }
    assert_eq!(opened.awaited(), libc::POLLOUT);
    let (_, sent) = send_some(&opened.program);
    // Then all of it comes, in order.
    while received < sent {
        let mut room = [0; 4096];
        while let Ok(length) = opened.program.recv(&mut room) {
            assert_eq!(u32_at(&room[..length], 8), Some(received));
            received += 1;
        }
        assert!(opened.attend());
    }
    assert_eq!(opened.awaited(), libc::POLLIN);
    assert_eq!(opened.receive(), None);
}

#[test]
fn a_turn_is_bounded() {
    let opened = Opened::new(&Arc::default(), true).unwrap();
    let many = links().repeat(100);
    opened.program.send(&many).unwrap();
    let attention = opened.attention.unwrap().proceed(true).unwrap();
    assert_eq!(attention.wait().unwrap().1, libc::POLLOUT);
    let mut room = [0; 4096];
    let answered = std::iter::from_fn(|| opened.program.recv(&mut room).ok()).count();
    assert!((1..=16).contains(&answered), "{answered}");
}

#[test]
fn datagrams_of_any_length_are_taken() {
    let mut opened = Opened::new(&Arc::default(), true).unwrap();
    let mut fitting = request(libc::RTM_GETLINK, REQUEST, &[0; (8 << 10) - 16]);
    fitting[20..24].copy_from_slice(&1_u32.to_ne_bytes());
    let long = request(libc::RTM_GETLINK, REQUEST, &[0; 100_000]);
    let cases: &[(&[u8], &[&[u16]])] = &[
        (&[], &[]),
        (&[1], &[]),
        (&links()[..19], &[]),
        (&links(), &[&LINKS]),
        (&fitting, &[&[libc::RTM_NEWLINK]]),
        (&long, &[&[2]]),
        (&links(), &[&LINKS]),
    ];
    for (datagram, expected) in cases {
        opened.program.send(datagram).unwrap();
        assert!(opened.attend());
        let received: Vec<_> = std::iter::from_fn(|| opened.receive()).collect();
        assert_eq!(received, *expected, "{} bytes", datagram.len());
    }
}

#[test]
fn who_will_not_wait_has_the_answer_at_once() {
    let mut opened = Opened::new(&Arc::default(), true).unwrap();
    // Nothing was asked.
    opened.endpoint.answer_at_once();
    assert_eq!(opened.receive(), None);
    for _ in 0..3 {
        opened.program.send(&links()).unwrap();
        opened.endpoint.answer_at_once();
        assert_eq!(opened.receive().unwrap(), LINKS);
    }
    // What would leave something in hand is left to the warden, which waits for it already.
    for datagram in [links().repeat(2), request(libc::RTM_GETLINK, REQUEST | DUMP, &[0; 60])] {
        opened.program.send(&datagram).unwrap();
        opened.endpoint.answer_at_once();
        assert_eq!(opened.receive(), None);
        assert!(opened.attend());
        assert_eq!(opened.receive().unwrap(), LINKS);
        while opened.receive().is_some() {}
    }
    // So is what finds no room.
    let mut asked = 0;
    while netlink_has_room(&mut opened) {
        asked += 1;
    }
    opened.program.send(&links()).unwrap();
    opened.endpoint.answer_at_once();
    assert_eq!(std::iter::from_fn(|| opened.receive()).count(), asked);
    assert!(opened.attend());
    assert_eq!(opened.receive().unwrap(), LINKS);
}

/// Has another answer wait in the program's socket, if there is room.
fn netlink_has_room(opened: &mut Opened) -> bool {
    let fd = opened.attention.as_ref().unwrap().wait().unwrap().0;
    if !netlink::has_room(fd) {
        return false;
    }
    opened.program.send(&links()).unwrap();
    opened.attend()
}

#[test]
fn sockets_end_with_the_programs_end() {
    let register = Arc::default();
    for refuse in [true, false] {
        // Closed, with or without requests, and with answers that nobody has received.
        for before in [&[][..], &[links()], &[vec![], links()], &[links().repeat(400)]] {
            let Opened {
                program,
                attention,
                endpoint,
            } = Opened::new(&register, refuse).unwrap();
            drop(endpoint);
            for datagram in before {
                program.send(datagram).unwrap();
            }
            drop(program);
            let mut turns = 0;
            let mut next = attention;
            while let Some(attention) = next {
                let (fd, events) = attention.wait().unwrap();
                assert!(is_ready(fd, events));
                next = attention.proceed(true);
                turns += 1;
                assert!(turns < 10);
            }
            assert!(register.is_empty());
        }
        // What is shut down on either side is of no use either.
        for how in [std::net::Shutdown::Write, std::net::Shutdown::Both] {
            let mut opened = Opened::new(&register, refuse).unwrap();
            opened.program.shutdown(how).unwrap();
            assert!(!opened.attend());
        }
        let mut opened = Opened::new(&register, refuse).unwrap();
        opened.program.shutdown(std::net::Shutdown::Read).unwrap();
        opened.program.send(&links()).unwrap();
        assert!(!opened.attend());
    }
}

#[test]
fn a_sandbox_has_so_many_sockets_and_no_more() {
    let register = Arc::default();
    for refuse in [true, false] {
        let mut all: Vec<_> = (0..MOST).map(|_| Opened::new(&register, refuse).unwrap()).collect();
        assert_eq!(Opened::new(&register, refuse).err(), Some(Errno(libc::ENOBUFS)));
        // Some were closed, and the warden does not know yet.
        let (endpoint, attention) = {
            let closed = all.pop().unwrap();
            closed.program.send(&links()).unwrap();
            (closed.endpoint, closed.attention)
        };
        all.push(Opened::new(&register, refuse).unwrap());
        assert_eq!(Opened::new(&register, refuse).err(), Some(Errno(libc::ENOBUFS)));
        drop((endpoint, attention));
        assert_eq!(Opened::new(&register, refuse).err(), Some(Errno(libc::ENOBUFS)));
        all.pop();
        all.push(Opened::new(&register, refuse).unwrap());
    }
}

/// Sends a message with a descriptor.
fn send_with(program: &UnixDatagram, message: &[u8], descriptor: impl AsFd) -> std::io::Result<()> {
    #[repr(C, align(8))]
    struct Control {
        header: libc::cmsghdr,
        fd: i32,
    }
    let mut control = Control {
        // SAFETY: plain numbers.
        header: unsafe { std::mem::zeroed() },
        fd: descriptor.as_fd().as_raw_fd(),
    };
    control.header.cmsg_len = (size_of::<libc::cmsghdr>() + 4) as _;
    control.header.cmsg_level = libc::SOL_SOCKET;
    control.header.cmsg_type = libc::SCM_RIGHTS;
    let mut part = libc::iovec {
        iov_base: message.as_ptr().cast_mut().cast(),
        iov_len: message.len(),
    };
    // SAFETY: all-zero is valid.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    header.msg_control = (&raw mut control).cast();
    header.msg_controllen = size_of::<Control>() as _;
    // SAFETY: the header describes live buffers.
    let sent = unsafe { libc::sendmsg(program.as_raw_fd(), &raw const header, 0) };
    if sent < 0 {
        Err(std::io::Error::last_os_error())
    } else {
        Ok(())
    }
}

#[test]
fn descriptors_are_refused_where_the_kernel_can() {
    let mut opened = Opened::new(&Arc::default(), true).unwrap();
    let ours = opened.attention.as_ref().unwrap().wait().unwrap().0;
    let can = netlink::refuse_descriptors(ours);
    let sent = send_with(&opened.program, &links(), &opened.program);
    assert_eq!(sent.is_err(), can, "{sent:?}");
    assert_eq!(opened.attend(), can);
}

#[test]
fn descriptors_that_come_along_are_closed_by_another_thread() {
    let register = Arc::default();
    // With a request, an empty message, and behind others that the warden has not seen.
    for (before, message) in [(vec![], links()), (vec![], vec![]), (vec![links(); 20], links())] {
        for seen in [true, false] {
            let mut opened = Opened::new(&register, false).unwrap();
            for request in &before {
                opened.program.send(request).unwrap();
            }
            let (mut reader, writer) = std::io::pipe().unwrap();
            send_with(&opened.program, &message, &writer).unwrap();
            drop(writer);
            if seen {
                assert!(!opened.attend());
            }
            drop(opened);
            // The end of the pipe: nobody has the other end any more.
            assert_eq!(reader.read(&mut [0]).unwrap(), 0);
        }
    }
}

/// Closing this takes a minute, for as long as its peer does not receive.
fn lingering() -> (OwnedFd, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (peer, _) = listener.accept().unwrap();
    socket.set_nonblocking(true).unwrap();
    while std::io::Write::write(&mut &socket, &[0; 1 << 16]).is_ok() {}
    socket.set_nonblocking(false).unwrap();
    let linger = libc::linger {
        l_onoff: 1,
        l_linger: 60,
    };
    // SAFETY: the pointer and length describe `linger`.
    let set = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            (&raw const linger).cast(),
            libc::socklen_t::try_from(size_of_val(&linger)).unwrap(),
        )
    };
    assert_eq!(set, 0);
    // SAFETY: the number is that of an open descriptor, which is duplicated.
    let duplicate = unsafe { libc::fcntl(socket.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 3) };
    // SAFETY: just made.
    (unsafe { OwnedFd::from_raw_fd(duplicate) }, peer)
}

#[test]
fn nobody_waits_for_what_takes_its_time_to_be_closed() {
    let register = Arc::default();
    for seen in [true, false] {
        let mut opened = Opened::new(&register, false).unwrap();
        let (socket, peer) = lingering();
        send_with(&opened.program, &links(), &socket).unwrap();
        let begun = Instant::now();
        drop(socket);
        if seen {
            assert!(!opened.attend());
        }
        drop(opened);
        assert!(begun.elapsed() < Duration::from_secs(30));
        // It counts until it is closed; the peer's end lets it be.
        let rest: Vec<_> = (0..MOST - 1).map(|_| Opened::new(&register, false).unwrap()).collect();
        assert_eq!(Opened::new(&register, false).err(), Some(Errno(libc::ENOBUFS)));
        drop(rest);
        drop(peer);
        let place = || {
            (0..MOST)
                .map(|_| Opened::new(&register, false))
                .collect::<Result<Vec<_>, _>>()
        };
        while place().is_err() {
            std::thread::yield_now();
        }
    }
}
