//! Which of the sockets that were bound are still open, somewhere in the sandbox.
//!
//! Nobody tells of a close, and a socket can be in any process of the sandbox, or on its way between two. The kernel keeps a list that
//! says it: an open file is on an epoll(7) instance from when it is put there until the last descriptor of it is closed, wherever that is, and
//! none of them needs to be ours. Nobody ever waits for what is on it; the list is read from proc(5).

use std::collections::HashSet;
use std::os::fd::{AsRawFd, OwnedFd};

use crate::lock::Mutex;
use crate::sys::{Errno, event};

use super::super::socket::own;

/// Open sockets, by their cookies.
#[derive(Default)]
pub(super) struct Living {
    /// None: none was ever put there.
    list: Mutex<Option<OwnedFd>>,
}

impl Living {
    /// Keeps an eye on a socket.
    pub(super) fn watch(&self, socket: i32, cookie: u64) -> Result<(), Errno> {
        let mut list = self.list.lock();
        let list = match &mut *list {
            Some(list) => list,
            none => none.insert(own(event::list_of_files())?),
        };
        event::put_on_list(list.as_raw_fd(), socket, cookie)
    }

    /// No longer. For who has put it there by the same descriptor.
    pub(super) fn forget(&self, socket: i32) {
        if let Some(list) = &*self.list.lock() {
            // An error means that it is not there.
            let _ = event::take_off_list(list.as_raw_fd(), socket);
        }
    }

    /// Those that are open now.
    pub(super) fn now(&self) -> Result<HashSet<u64>, Errno> {
        let list = self.list.lock();
        let Some(list) = &*list else {
            return Ok(HashSet::new());
        };
        let path = format!("/proc/thread-self/fdinfo/{}", list.as_raw_fd());
        let text = std::fs::read_to_string(path).map_err(|error| Errno(error.raw_os_error().unwrap_or(libc::EIO)))?;
        Ok(tags(&text))
    }
}

/// The tags in what proc(5) says of a list: lines of "tfd: 5 events: 18 data: 2a pos:0 ino:7 sdev:8".
fn tags(text: &str) -> HashSet<u64> {
    let tag = |line: &str| {
        let (_, rest) = line.strip_prefix("tfd:")?.split_once("data:")?;
        u64::from_str_radix(rest.split_ascii_whitespace().next()?, 16).ok()
    };
    text.lines().filter_map(tag).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    #[test]
    fn a_socket_lives_until_its_last_descriptor_is_closed() {
        let living = Living::default();
        assert_eq!(living.now(), Ok(HashSet::new()));
        let (first, second) = (
            UdpSocket::bind("127.0.0.1:0").unwrap(),
            UdpSocket::bind("127.0.0.1:0").unwrap(),
        );
        let duplicate = first.try_clone().unwrap();
        living.watch(first.as_raw_fd(), 0xfedc_ba98_7654_3210).unwrap();
        living.watch(second.as_raw_fd(), 7).unwrap();
        drop(first);
        assert_eq!(living.now(), Ok(HashSet::from([0xfedc_ba98_7654_3210, 7])));
        drop(duplicate);
        assert_eq!(living.now(), Ok(HashSet::from([7])));
        living.forget(second.as_raw_fd());
        assert_eq!(living.now(), Ok(HashSet::new()));
    }

    #[test]
    fn tags_are_found_in_what_the_kernel_says() {
        let text = "pos:\t0\nflags:\t02000002\nmnt_id:\t16\nino:\t1062\n\
                    tfd:        5 events:       18 data:               2a  pos:0 ino:7 sdev:8\n\
                    tfd:       17 events:       18 data: fedcba9876543210  pos:0 ino:f sdev:8\n";
        assert_eq!(tags(text), HashSet::from([0x2a, 0xfedc_ba98_7654_3210]));
        for nothing in ["", "tfd:", "tfd: 5 events: 18", "tfd: 5 data: x", "data: 5"] {
            assert_eq!(tags(nothing), HashSet::new(), "{nothing}");
        }
    }
}
