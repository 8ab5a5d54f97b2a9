//! What is in the file, and what can be done to it.
#![allow(clippy::unwrap_used)]

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt};

use super::*;

type Addresses = BTreeMap<String, Vec<IpAddr>>;

pub(super) fn map(known: &[(&str, &[&str])]) -> Addresses {
    let known = known.iter();
    let addresses = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
    known
        .map(|(name, texts)| ((*name).to_owned(), addresses(texts)))
        .collect()
}

pub(super) fn hosts() -> Hosts {
    Hosts::new(&map(&[("host.test", &["192.0.2.1"])])).unwrap()
}

pub(super) const TEXT: &str = "192.0.2.1 host.test\n";

pub(super) fn text_of(file: impl Into<File>) -> String {
    let mut text = String::new();
    file.into().read_to_string(&mut text).unwrap();
    text
}

#[test]
fn file_says_the_names_of_rules_and_no_others() {
    for (known, expected) in [
        (map(&[]), ""),
        (map(&[("nothing.test", &[])]), ""),
        (
            map(&[
                ("two.test", &["2001:db8::1", "192.0.2.2"]),
                ("one.test", &["192.0.2.1"]),
                ("nothing.test", &[]),
            ]),
            "192.0.2.1 one.test\n2001:db8::1 two.test\n192.0.2.2 two.test\n",
        ),
        (
            map(&[("localhost", &["127.0.0.1", "::1"])]),
            "127.0.0.1 localhost\n::1 localhost\n",
        ),
    ] {
        assert_eq!(content(&known), expected);
        assert_eq!(text_of(Hosts::new(&known).unwrap().reopen().unwrap()), expected);
    }
}

fn through_proc(file: &impl AsRawFd) -> String {
    format!("/proc/thread-self/fd/{}", file.as_raw_fd())
}

pub(super) fn status(file: &impl AsRawFd) -> i32 {
    // SAFETY: takes no pointers.
    unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETFL) }
}

#[test]
fn file_can_be_read_and_by_no_means_changed() {
    let hosts = hosts();
    let file = File::from(hosts.reopen().unwrap());
    assert_eq!(status(&file) & libc::O_ACCMODE, libc::O_RDONLY);
    assert_eq!(file.metadata().unwrap().mode() & 0o7777, 0o444);
    let refused = |result: io::Result<()>| result.unwrap_err().raw_os_error().unwrap();
    assert_eq!(refused((&file).write_all(b"x")), libc::EBADF);
    // As its owner could: make it writable, and open it again.
    sys::fd::set_mode(file.as_raw_fd(), 0o666).unwrap();
    let writable = File::options()
        .read(true)
        .write(true)
        .open(through_proc(&file))
        .unwrap();
    assert_eq!(refused(writable.write_at(b"x", 0).map(drop)), libc::EPERM);
    assert_eq!(
        refused(writable.write_at(b"x", TEXT.len() as u64).map(drop)),
        libc::EPERM
    );
    assert_eq!(refused(writable.set_len(0)), libc::EPERM);
    assert_eq!(refused(writable.set_len(1 << 20)), libc::EPERM);
    let truncating = File::options().write(true).truncate(true).open(through_proc(&file));
    assert_eq!(refused(truncating.map(drop)), libc::EPERM);
    // SAFETY: takes no pointers.
    let sealed = unsafe { libc::fcntl(writable.as_raw_fd(), libc::F_ADD_SEALS, libc::F_SEAL_WRITE) };
    assert_eq!(sealed, -1);
    // SAFETY: a new mapping, which nobody uses.
    let mapped = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            1,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED,
            writable.as_raw_fd(),
            0,
        )
    };
    assert_eq!(mapped, libc::MAP_FAILED);
    assert_eq!(text_of(hosts.reopen().unwrap()), TEXT);
}

#[test]
fn readers_have_positions_of_their_own_and_keep_what_they_opened() {
    let hosts = hosts();
    let mut first = File::from(hosts.reopen().unwrap());
    first.seek(SeekFrom::End(0)).unwrap();
    let second = hosts.reopen().unwrap();
    hosts.replace(&map(&[("host.test", &["192.0.2.77"])])).unwrap();
    assert_eq!(text_of(second), TEXT);
    assert_eq!(text_of(hosts.reopen().unwrap()), "192.0.2.77 host.test\n");
    first.seek(SeekFrom::Start(0)).unwrap();
    assert_eq!(text_of(first), TEXT);
}

/// Else the warden would wait until the kernel breaks the lease, for 45 seconds.
#[test]
fn nobody_waits_for_a_program_that_has_a_lease_on_it() {
    const F_SETSIG: libc::c_int = 10;
    let hosts = hosts();
    let leased = hosts.reopen().unwrap();
    // The signal that the lease is asked for is one that nobody minds.
    // SAFETY: takes no pointers.
    let set = unsafe { libc::fcntl(leased.as_raw_fd(), F_SETSIG, libc::SIGURG) };
    assert_eq!(set, 0);
    // SAFETY: as above.
    let taken = unsafe { libc::fcntl(leased.as_raw_fd(), libc::F_SETLEASE, libc::F_WRLCK) };
    let again = hosts.reopen();
    if taken == 0 {
        assert_eq!(again.unwrap_err(), Errno(libc::EWOULDBLOCK));
        drop(leased);
    } else {
        // A kernel that gives no leases on files in memory.
        assert_eq!(text_of(again.unwrap()), TEXT);
    }
    assert_eq!(text_of(hosts.reopen().unwrap()), TEXT);
}

/// As a warden is in whose domain nothing is granted.
#[test]
fn thread_in_a_landlock_domain_can_give_it() {
    use landlock::{ABI, Access, AccessFs, Ruleset, RulesetAttr, RulesetStatus};
    let hosts = hosts();
    std::thread::scope(|scope| {
        let confined = || {
            let ruleset = Ruleset::default().handle_access(AccessFs::from_all(ABI::V5)).unwrap();
            let enforced = ruleset.create().unwrap().restrict_self().unwrap();
            assert_ne!(enforced.ruleset, RulesetStatus::NotEnforced);
            assert!(File::open("/proc/thread-self/status").is_err());
            assert_eq!(text_of(hosts.reopen().unwrap()), TEXT);
        };
        let thread = std::thread::Builder::new().spawn_scoped(scope, confined).unwrap();
        thread.join().unwrap();
    });
}
