//! What is kept, and for how long, of sockets that this process itself stands for a sandbox with.

use std::collections::BTreeSet;
use std::net::{TcpListener, TcpStream, UdpSocket};

use super::*;

/// This process, as the only one of a sandbox.
fn own() -> Reach {
    Reach::Family(sys::process::id())
}

/// The library's descriptor of a socket.
fn kept(made: &Made, socket: impl Into<OwnedFd>, stream: bool) -> (Arc<OwnedFd>, Id) {
    let socket = Arc::new(socket.into());
    let id = made.keep(&socket, stream).unwrap();
    (socket, id)
}

fn later() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

#[test]
fn no_more_is_kept_than_a_host_can_spare() {
    let made = Made::default();
    let socket = || UdpSocket::bind("127.0.0.1:0").unwrap();
    let all: Vec<_> = (0..MOST).map(|_| kept(&made, socket(), false)).collect();
    let beyond = Arc::new(OwnedFd::from(socket()));
    assert_eq!(made.keep(&beyond, false), Err(Errno(libc::ENFILE)));
    made.forget(all[0].1);
    assert!(made.keep(&beyond, false).is_ok());
}

/// Nobody is in the sandbox.
fn nobody() -> Reach {
    Reach::Family(i32::MAX)
}

#[test]
fn what_nobody_has_is_closed_once_the_program_was_given_it() {
    let made = Made::default();
    let (socket, id) = kept(&made, UdpSocket::bind("127.0.0.1:0").unwrap(), false);
    // On its way to the program.
    assert_eq!(made.collect(nobody()), 0);
    made.note_given(id);
    // Somebody has it: this process.
    assert_eq!(made.collect(own()), 0);
    assert_eq!(made.collect(nobody()), 1);
    assert_eq!(Arc::strong_count(&socket), 1);
    assert_eq!(made.collect(nobody()), 0);
}

#[test]
fn in_passing_only_what_nobody_has_twice_is_closed() {
    let made = Made::default();
    let (_socket, id) = kept(&made, UdpSocket::bind("127.0.0.1:0").unwrap(), false);
    made.note_given(id);
    let look = |reach| made.collect_until(reach, false, later());
    assert_eq!(look(nobody()), 0);
    assert_eq!(look(own()), 0);
    assert_eq!(look(nobody()), 0);
    assert_eq!(look(nobody()), 1);
    // Nobody can tell.
    let (_socket, id) = kept(&made, UdpSocket::bind("127.0.0.1:0").unwrap(), false);
    made.note_given(id);
    let unknown = Reach::Namespace { inode: 0, init: 1 };
    assert_eq!((made.collect(unknown), made.collect(unknown)), (0, 0));
}

#[test]
fn what_is_connected_is_let_go_of_and_remembered() {
    let made = Made::default();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let (connected, id) = kept(&made, TcpStream::connect(server.local_addr().unwrap()).unwrap(), true);
    let (_waiting, other) = kept(&made, server, true);
    let datagrams = UdpSocket::bind("127.0.0.1:0").unwrap();
    datagrams.connect("127.0.0.1:9").unwrap();
    let (_datagrams, third) = kept(&made, datagrams, false);
    made.let_go_of_connected();
    let table = made.table.lock();
    assert_eq!(
        table.held.keys().copied().collect::<BTreeSet<Id>>(),
        BTreeSet::from([other, third])
    );
    assert_eq!(table.past.get(&id), Some(&Past::Arrived));
    assert_eq!(Arc::strong_count(&connected), 1);
}

#[test]
fn what_is_remembered_is_bounded_and_forgotten_with_its_number() {
    let made = Made::default();
    let (socket, id) = kept(&made, UdpSocket::bind("127.0.0.1:0").unwrap(), false);
    made.let_go(&socket, Past::Listening);
    // Another has the number.
    made.keep(&socket, false).unwrap();
    let mut table = made.table.lock();
    assert_eq!(table.past.get(&id), None);
    for inode in 0..2 * MOST_PAST as u64 {
        table.remember(inode, Past::Connected);
    }
    assert_eq!(table.past.len(), MOST_PAST);
}
