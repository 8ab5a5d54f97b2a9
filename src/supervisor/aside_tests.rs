#![allow(clippy::unwrap_used)]

use std::sync::mpsc::channel;

use super::*;

const LONG: Duration = Duration::from_secs(20);

/// Work that lasts until somebody drops what is returned with it.
fn stuck() -> (Work, std::sync::mpsc::Sender<()>) {
    let (release, released) = channel();
    let work = move || {
        // An error is the sender's end.
        let _ = released.recv();
    };
    (Box::new(work), release)
}

fn start(asides: &Asides, work: Work) -> Result<(), Work> {
    asides.start(work, |work| work())
}

#[test]
fn no_more_threads_than_the_bound_and_room_again_when_they_end() {
    let asides = Asides::default();
    let mut releases = Vec::new();
    for _ in 0..MOST {
        let (work, release) = stuck();
        releases.push(release);
        assert!(start(&asides, work).is_ok());
    }
    let (tell, told) = channel();
    let refused = start(&asides, Box::new(move || tell.send(7).unwrap()));
    // It comes back as it was.
    refused.err().unwrap()();
    assert_eq!(told.recv(), Ok(7));
    drop(releases);
    asides.dismiss(LONG);
    assert!(asides.0.lock().threads.is_empty());
    let (work, _release) = stuck();
    assert!(start(&asides, work).is_ok());
}

#[test]
fn thread_blocks_signals_and_has_its_name() {
    let asides = Asides::default();
    let (tell, told) = channel();
    let look = move || tell.send(std::fs::read_to_string("/proc/thread-self/status").unwrap());
    assert!(start(&asides, Box::new(move || look().unwrap())).is_ok());
    let status = told.recv_timeout(LONG).unwrap();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().trim().to_owned()
    };
    assert_eq!(field("Name:"), "sandlock-aside");
    let blocked = u64::from_str_radix(&field("SigBlk:"), 16).unwrap();
    // But for those of libc, and the two that nobody can block.
    let unblocked = (0b111 << 31) | (1 << (libc::SIGKILL - 1)) | (1 << (libc::SIGSTOP - 1));
    assert_eq!(!blocked, unblocked);
    asides.dismiss(LONG);
}

#[test]
fn who_waits_for_the_threads_does_not_wait_for_one_that_is_stuck() {
    let asides = Asides::default();
    let (work, release) = stuck();
    assert!(start(&asides, work).is_ok());
    let began = Instant::now();
    asides.dismiss(Duration::from_millis(5));
    assert!((Duration::from_millis(5)..LONG).contains(&began.elapsed()));
    drop(release);
}

#[test]
fn none_is_started_after_the_end() {
    let asides = Asides::default();
    asides.close();
    assert!(start(&asides, Box::new(|| ())).is_err());
}
