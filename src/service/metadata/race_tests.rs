//! Callers that change what their arguments point to, and what their paths lead to, while the call is looked at.
#![allow(unsafe_code, clippy::unwrap_used, clippy::cast_sign_loss)]

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::{Duration, Instant};

use super::carry_out;
use super::fixture_tests::{TestCaller, Tree};
use crate::sys::Errno;

/// Calls for a second while another thread calls `disturb` all the time; longer if one outcome was not seen yet.
fn race(tree: &Tree, path: u64, disturb: impl Fn(usize) + Sync) {
    let over = AtomicBool::new(false);
    let grants = tree.grants(&["granted"]);
    let until = Instant::now() + Duration::from_secs(1);
    let (mut changed, mut refused) = (0_u32, 0_u32);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0.. {
                if over.load(Ordering::Relaxed) {
                    break;
                }
                disturb(round);
            }
        });
        for round in 0_u32.. {
            let mode = if round % 2 == 0 { 0o777 } else { 0o707 };
            let arguments = [libc::AT_FDCWD as u64, path, mode, 0, 0, 0];
            match carry_out("fchmodat", arguments, &TestCaller::this(), &grants) {
                Ok(_) => changed += 1,
                Err(Errno(libc::EACCES)) => refused += 1,
                Err(_) => {} // a mixture of two paths, or a link that is gone just now
            }
            let late = Instant::now().saturating_duration_since(until);
            if late > Duration::from_secs(20) || (late > Duration::ZERO && changed > 0 && refused > 0) {
                break;
            }
        }
        over.store(true, Ordering::Relaxed);
    });
    assert!(
        changed > 0 && refused > 0,
        "{changed} changed, {refused} refused: no race"
    );
    for name in ["other", "other/file", "other/dir", "other/dir/inner"] {
        assert!(!matches!(tree.mode(name), 0o777 | 0o707), "{name}");
    }
}

#[test]
fn path_that_changes_all_the_time_reaches_nothing_else() {
    let tree = Tree::new();
    // Of the same length, so that a mixture is a path as well.
    let paths = ["granted/./file", "granted/../other/file"].map(|name| tree.text(name).into_bytes_with_nul());
    let length = paths[1].len();
    let memory: Vec<AtomicU8> = (0..length).map(|_| AtomicU8::new(0)).collect();
    let write = |round: usize| {
        for (byte, cell) in paths[round % 2].iter().zip(&memory) {
            cell.store(*byte, Ordering::Relaxed);
        }
    };
    write(0);
    race(&tree, memory.as_ptr().addr() as u64, write);
}

#[test]
fn link_that_changes_all_the_time_reaches_nothing_else() {
    let tree = Tree::new();
    let path = tree.text("granted/flip");
    symlink("file", tree.path("granted/flip")).unwrap();
    race(&tree, path.as_ptr().addr() as u64, |round| {
        let target = ["file", "../other/file"][round % 2];
        symlink(target, tree.path("granted/new")).unwrap();
        fs::rename(tree.path("granted/new"), tree.path("granted/flip")).unwrap();
    });
}

#[test]
fn directory_that_changes_places_with_a_link_reaches_nothing_else() {
    let tree = Tree::new();
    let path = tree.text("granted/dir/inner");
    symlink("../other/dir", tree.path("granted/swap")).unwrap();
    let (one, two) = (tree.text("granted/dir"), tree.text("granted/swap"));
    race(&tree, path.as_ptr().addr() as u64, |_| {
        // SAFETY: strings that end with NUL.
        let swapped = unsafe {
            libc::renameat2(
                libc::AT_FDCWD,
                one.as_ptr(),
                libc::AT_FDCWD,
                two.as_ptr(),
                libc::RENAME_EXCHANGE,
            )
        };
        assert_eq!(swapped, 0);
    });
}
