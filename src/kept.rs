//! Descriptors that are kept from one start to the next.
//!
//! A host may have closed them meanwhile, as a daemon closes whatever it does not know, and the numbers may be others' by then: files of
//! the host's, which are not to be closed a second time, or what was made for another policy, which must not stand in for this one's.

use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::sys::fd::{self, FileId};

/// By number, half a megabyte of which only what is used is ever in memory: who has taken it last, of those here. Rulesets all look the same, so that only this tells them apart. Neither lock nor
/// allocation: a fork of the host may come at any time.
static OWNERS: [AtomicU64; NUMBERS] = [const { AtomicU64::new(0) }; NUMBERS];
/// Hosts with more descriptors than that are told apart by the files alone.
const NUMBERS: usize = 1 << 16;

/// One of them.
#[derive(Debug)]
pub struct KeptFd {
    fd: Option<OwnedFd>,
    number: RawFd,
    owner: u64,
    id: Option<FileId>,
}

impl KeptFd {
    /// To be kept.
    pub fn new(fd: OwnedFd) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let owner = NEXT.fetch_add(1, Ordering::Relaxed);
        let number = fd.as_raw_fd();
        if let Some(last) = place(number) {
            last.store(owner, Ordering::Relaxed);
        }
        Self {
            id: fd::identify(number).ok(),
            fd: Some(fd),
            number,
            owner,
        }
    }

    /// True unless somebody has closed it.
    pub fn is_intact(&self) -> bool {
        place(self.number).is_none_or(|last| last.load(Ordering::Relaxed) == self.owner)
            && self.id.is_some()
            && fd::identify(self.number).ok() == self.id
    }
}

impl AsRawFd for KeptFd {
    fn as_raw_fd(&self) -> RawFd {
        self.number
    }
}

impl Drop for KeptFd {
    fn drop(&mut self) {
        let intact = self.is_intact();
        let Some(fd) = self.fd.take() else { return };
        if intact {
            if let Some(last) = place(self.number) {
                last.store(0, Ordering::Relaxed);
            }
        } else {
            // Whose it is now, nobody knows.
            let _ = fd.into_raw_fd();
        }
    }
}

fn place(number: RawFd) -> Option<&'static AtomicU64> {
    OWNERS.get(usize::try_from(number).ok()?)
}

#[cfg(test)]
mod tests {
    #![allow(unsafe_code)] // descriptors at numbers of the test's choice

    use std::fs::File;
    use std::os::fd::FromRawFd;

    use super::*;

    /// A number that no other test gets: they run at the same time.
    fn at(number: RawFd, path: &str) -> OwnedFd {
        let file = File::open(path).unwrap();
        // SAFETY: nothing else in the tests is at such numbers.
        let made = unsafe { libc::dup3(file.as_raw_fd(), number, libc::O_CLOEXEC) };
        assert_eq!(made, number);
        // SAFETY: it was just made.
        unsafe { OwnedFd::from_raw_fd(made) }
    }

    fn is_open(number: RawFd) -> bool {
        fd::identify(number).is_ok()
    }

    #[test]
    fn what_nobody_has_closed_is_intact_and_closed_in_the_end() {
        let kept = KeptFd::new(at(700, "/dev/null"));
        assert!(kept.is_intact());
        drop(kept);
        assert!(!is_open(700));
    }

    #[test]
    fn number_of_another_file_is_left_to_it() {
        let kept = KeptFd::new(at(701, "/dev/null"));
        let other = at(701, "/dev/zero");
        assert!(!kept.is_intact());
        drop(kept);
        assert!(is_open(701));
        drop(other);
    }

    #[test]
    fn number_of_another_that_looks_the_same_is_left_to_that() {
        let first = KeptFd::new(at(702, "/dev/null"));
        let second = KeptFd::new(at(702, "/dev/null"));
        assert!(!first.is_intact() && second.is_intact());
        drop(first);
        assert!(second.is_intact());
        drop(second);
        assert!(!is_open(702));
    }

    #[test]
    fn what_was_closed_is_not_closed_again() {
        let kept = KeptFd::new(at(703, "/dev/null"));
        drop(at(703, "/dev/null"));
        assert!(!kept.is_intact());
        drop(kept);
    }
}
