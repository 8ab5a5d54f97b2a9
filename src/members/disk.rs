//! How much a sandbox has written to the trees that it may write to.
//!
//! What counts is what a file occupies beyond what it did before: all of it for a file that is new, nothing for one that is as it was. Files
//! that have lost their names count while somebody has them open or mapped. Each file counts once, by whatever names it goes.
//!
//! What files occupied before is learned by walking through the trees, which must not hold up the start: only the first few hundred are
//! looked at before it. Of the others, those that have not changed since are remembered when they are first seen; one that has changed
//! by then counts whole, since nobody knows better.

#![allow(unsafe_code)] // three blocks: taking over descriptors that sys just opened

use std::collections::{BTreeSet, HashMap};
use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

use crate::sys;
use crate::sys::directory::{self, Moment, Occupant};

use super::Found;
use super::open::{program, visit_nameless_mapped, visit_open};

type Device = (u32, u32);
type FileKey = (Device, u64);

/// Looked at before the start, at most: files, and time.
const FIRST_FILES: usize = 512;
const FIRST_TIME: Duration = Duration::from_millis(2);
/// Files whose former size is remembered, at most, 40 bytes each. Of the others, those that change count whole.
const MOST_REMEMBERED: usize = 1 << 20;
/// What a new file counts for at least, empty or not: its inode and its name take room too.
const LEAST: u64 = 1024;
/// File systems beneath the trees whose room is watched, at most: each takes a descriptor.
const MOST_SYSTEMS: usize = 32;

/// What was found in the trees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    /// Bytes that were added.
    pub(crate) bytes: u64,
    /// Nothing that counts was out of sight. Otherwise `bytes` is what the file systems as a whole have risen by, if that is more.
    pub(crate) whole: bool,
    /// What files may have come to occupy that nobody can ask: so much of what the file systems have risen by is theirs, at most.
    unasked: u64,
}

/// The trees that a sandbox may write to.
#[derive(Debug)]
pub(crate) struct Trees {
    roots: Vec<OwnedFd>,
    systems: Vec<System>,
    /// What files occupied before the sandbox began.
    before: HashMap<FileKey, Former>,
    began: Moment,
    /// All that was there when it began is remembered.
    all_known: bool,
    /// What the last look counted.
    counted: HashMap<FileKey, u64>,
}

/// A file as it was before.
#[derive(Clone, Copy, Debug)]
struct Former {
    bytes: u64,
    /// Tells it from another that is given its inode number later.
    born: Option<i64>,
}

/// A file system that the trees reach into.
#[derive(Debug)]
struct System {
    device: Device,
    fd: OwnedFd,
    /// Bytes, when it was last asked.
    taken: u64,
    /// What it has risen by each time it was asked. So what somebody frees does not hide what is written later.
    risen: u64,
    risen_before_look: u64,
}

/// A directory that waits to be read.
struct Waiting {
    /// From the root.
    path: CString,
    /// Where its parent lies.
    device: Option<Device>,
    changed: Moment,
}

/// A walk through the trees.
struct Walk<'a> {
    trees: &'a mut Trees,
    counted: HashMap<FileKey, u64>,
    bytes: u64,
    whole: bool,
    unasked: u64,
    /// More than this ends the walk: it need not be known how much more.
    most: u64,
    /// Says whether to go on, after each file.
    goes_on: &'a mut dyn FnMut() -> bool,
    /// Nothing runs yet: what is there was there before.
    before_start: bool,
}

impl Trees {
    /// Opens the files and directories `paths`, and remembers what is there as far as that takes next to no time. A path that is missing
    /// stands for nothing.
    pub(crate) fn open<'a>(paths: impl Iterator<Item = &'a CStr>) -> sys::Result<Self> {
        let mut roots = Vec::new();
        for path in paths {
            match directory::open_root(path) {
                // SAFETY: the descriptor was just opened and nobody else has it.
                Ok(fd) => roots.push(unsafe { OwnedFd::from_raw_fd(fd) }),
                Err(sys::Errno(libc::ENOENT | libc::ENOTDIR)) => {}
                Err(errno) => return Err(errno),
            }
        }
        let mut trees = Self {
            roots,
            systems: Vec::new(),
            before: HashMap::new(),
            began: (i64::MIN, 0),
            all_known: false,
            counted: HashMap::new(),
        };
        let until = Instant::now() + FIRST_TIME;
        let mut left = FIRST_FILES;
        let mut goes_on = || {
            left = left.saturating_sub(1);
            left > 0 && Instant::now() < until
        };
        let walked = trees.walk(&[], u64::MAX, &mut goes_on, true);
        trees.all_known = walked.is_some_and(|walked| walked.whole);
        trees.began = directory::now();
        Ok(trees)
    }

    /// True if there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.roots.is_empty()
    }

    /// True if next to no time was enough to look at all of them.
    pub(crate) fn are_small(&self) -> bool {
        self.all_known
    }

    /// How much fuller the file systems have become since the last look, whoever filled them. To be asked often.
    pub(crate) fn growth(&mut self) -> u64 {
        self.systems.iter_mut().for_each(System::ask);
        let risen = |system: &System| system.risen.saturating_sub(system.risen_before_look);
        self.systems.iter().map(risen).sum()
    }

    /// How much fuller they have become since the sandbox began.
    pub(crate) fn growth_in_all(&mut self) -> u64 {
        self.systems.iter_mut().for_each(System::ask);
        self.systems.iter().map(|system| system.risen).sum()
    }

    /// Looks at everything, but stops once `most` is exceeded. None if `goes_on` said that it should not.
    pub(crate) fn look(
        &mut self,
        processes: &[Found],
        most: u64,
        goes_on: &mut dyn FnMut() -> bool,
    ) -> Option<Reading> {
        self.systems.iter_mut().for_each(System::ask);
        let risen: Vec<u64> = self.systems.iter().map(|system| system.risen).collect();
        let mut reading = self.walk(processes, most, goes_on, false)?;
        for (system, risen) in self.systems.iter_mut().zip(risen) {
            system.risen_before_look = risen;
        }
        if !reading.whole {
            reading.bytes = reading.bytes.max(self.growth_in_all());
        } else if reading.unasked > 0 {
            let most = reading.bytes.saturating_add(reading.unasked);
            reading.bytes = reading.bytes.max(self.growth_in_all().min(most));
        }
        Some(reading)
    }

    fn walk(
        &mut self,
        processes: &[Found],
        most: u64,
        goes_on: &mut dyn FnMut() -> bool,
        before_start: bool,
    ) -> Option<Reading> {
        let mut walk = Walk {
            trees: self,
            counted: HashMap::new(),
            bytes: 0,
            whole: true,
            unasked: 0,
            most,
            goes_on,
            before_start,
        };
        // First: a file that loses its name meanwhile must not count twice.
        for process in processes {
            walk.add_nameless(process)?;
        }
        let roots: Vec<i32> = walk.trees.roots.iter().map(AsRawFd::as_raw_fd).collect();
        for root in roots {
            walk.add_tree(root)?;
        }
        let Walk {
            counted,
            bytes,
            whole,
            unasked,
            ..
        } = walk;
        self.counted = counted;
        Some(Reading { bytes, whole, unasked })
    }
}

impl System {
    fn ask(&mut self) {
        if let Ok(Some(taken)) = directory::taken(self.fd.as_raw_fd()) {
            self.risen += taken.saturating_sub(self.taken);
            self.taken = taken;
        }
    }
}

impl Walk<'_> {
    fn is_over(&self) -> bool {
        self.bytes > self.most
    }

    /// Adds the files of `process` that have no name, in the file systems that the trees reach into.
    fn add_nameless(&mut self, process: &Found) -> Option<()> {
        let devices: BTreeSet<Device> = self.trees.systems.iter().map(|system| system.device).collect();
        let mut goes_on = true;
        let mut found = Vec::new();
        let mut visit = |path: &CStr| {
            let nameless = directory::occupant_at(path).ok();
            found.extend(nameless.filter(|file| file.links == 0 && devices.contains(&file.device)));
        };
        if let Some(path) = program(process) {
            visit(&path);
        }
        let sure = visit_open(
            process,
            || {
                goes_on = goes_on && (self.goes_on)();
                goes_on
            },
            visit,
        );
        self.whole &= sure;
        for file in found {
            // It may be the host's, and have been there before.
            self.add(&file, self.trees.began);
        }
        visit_nameless_mapped(process, |device, inode, reach| {
            let key = (device, inode);
            if !devices.contains(&device) || self.counted.contains_key(&key) {
                return;
            }
            // Nobody tells what it occupies: what it did when it was last seen, or as much as the mapping can hold. Written to through that
            // it may have come to be more, as far as the mapping reaches; how much the file system as a whole has risen decides then.
            let before = self.trees.before.get(&key).map(|former| former.bytes);
            let seen = self.trees.counted.get(&key).copied();
            if before.is_some() || seen.is_some() {
                let known = before.unwrap_or(0).saturating_add(seen.unwrap_or(0));
                self.unasked = self.unasked.saturating_add(reach.saturating_sub(known));
            }
            match seen {
                Some(seen) => self.count(key, seen),
                None if before.is_none() => self.count(key, reach),
                None => {}
            }
        });
        goes_on.then_some(())
    }

    fn add_tree(&mut self, root: i32) -> Option<()> {
        let Ok(top) = directory::occupant(root, c"") else {
            self.whole = false;
            return Some(());
        };
        self.meet_system(root, top.device);
        self.add(&top, self.since());
        let mut waiting = vec![Waiting {
            path: c".".to_owned(),
            device: None,
            changed: top.changed,
        }];
        waiting.retain(|_| top.directory);
        let mut buffer = vec![0; 32 << 10];
        while let Some(next) = waiting.pop() {
            if self.is_over() {
                break;
            }
            self.add_directory(root, &next, &mut buffer, &mut waiting)?;
        }
        Some(())
    }

    /// Adds what lies in a directory; those in it will wait.
    fn add_directory(
        &mut self,
        root: i32,
        next: &Waiting,
        buffer: &mut [u8],
        waiting: &mut Vec<Waiting>,
    ) -> Option<()> {
        let fd = match directory::open_beneath(root, &next.path) {
            // SAFETY: the descriptor was just opened and nobody else has it.
            Ok(fd) => unsafe { OwnedFd::from_raw_fd(fd) },
            // It is gone, or another file by now, which a later look will see.
            Err(sys::Errno(libc::ENOENT | libc::ENOTDIR | libc::ELOOP | libc::EXDEV)) => return Some(()),
            Err(errno) => {
                // Whoever may neither list nor search it cannot have written there, unless that was changed in the meantime.
                let out_of_reach = errno == sys::Errno(libc::EACCES)
                    && next.changed < self.trees.began
                    && !directory::is_searchable(root, &next.path);
                self.whole &= out_of_reach;
                return Some(());
            }
        };
        let Ok(own) = directory::occupant(fd.as_raw_fd(), c"") else {
            self.whole = false;
            return Some(());
        };
        if next.device.is_some_and(|device| device != own.device) && !self.meet_system(fd.as_raw_fd(), own.device) {
            return Some(());
        }
        let since = self.since();
        loop {
            let mut goes_on = true;
            let read = directory::read_entries(fd.as_raw_fd(), buffer, |name| {
                goes_on = goes_on && (self.goes_on)();
                // It may be gone.
                let Some(file) = directory::occupant(fd.as_raw_fd(), name).ok().filter(|_| goes_on) else {
                    return;
                };
                self.add(&file, since);
                if file.directory {
                    waiting.push(Waiting {
                        path: beneath(&next.path, name),
                        device: Some(own.device),
                        changed: file.changed,
                    });
                }
            });
            if !goes_on {
                return None;
            }
            match read {
                Ok(true) if !self.is_over() => {}
                Ok(_) => return Some(()),
                Err(errno) => {
                    // ENOENT: it was removed.
                    self.whole &= errno == sys::Errno(libc::ENOENT);
                    return Some(());
                }
            }
        }
    }

    /// From when on a file that is not known counts as changed.
    fn since(&self) -> Moment {
        if self.trees.all_known {
            (i64::MIN, 0)
        } else {
            self.trees.began
        }
    }

    /// Adds a file that counts whole if it is not known and has changed since.
    fn add(&mut self, file: &Occupant, since: Moment) {
        let key = (file.device, file.inode);
        let born = file
            .born
            .map(|(seconds, nanoseconds)| seconds.wrapping_mul(1_000_000_000).wrapping_add(i64::from(nanoseconds)));
        let former = self.trees.before.get(&key).filter(|former| former.born == born);
        match former {
            Some(former) => {
                let grown = file.bytes.saturating_sub(former.bytes);
                if grown > 0 {
                    self.count(key, grown);
                }
            }
            None if self.before_start || file.changed < since => {
                if self.trees.before.len() < MOST_REMEMBERED {
                    let former = Former {
                        bytes: file.bytes,
                        born,
                    };
                    self.trees.before.insert(key, former);
                } else {
                    self.whole &= !self.before_start;
                }
            }
            None => self.count(key, file.bytes.max(LEAST)),
        }
    }

    fn count(&mut self, key: FileKey, bytes: u64) {
        if self.counted.insert(key, bytes).is_none() {
            self.bytes = self.bytes.saturating_add(bytes);
        }
    }

    /// Notes the file system of `fd`. False if it keeps no files.
    fn meet_system(&mut self, fd: i32, device: Device) -> bool {
        if self.trees.systems.iter().any(|system| system.device == device) {
            return true;
        }
        let Ok(Some(taken)) = directory::taken(fd) else {
            return false;
        };
        if self.trees.systems.len() < MOST_SYSTEMS
            && let Ok(copy) = sys::fd::duplicate_above(fd, 3)
        {
            // SAFETY: the descriptor was just made and nobody else has it.
            let copy = unsafe { OwnedFd::from_raw_fd(copy) };
            self.trees.systems.push(System {
                device,
                fd: copy,
                taken,
                risen: 0,
                risen_before_look: 0,
            });
        }
        true
    }
}

fn beneath(directory: &CStr, name: &CStr) -> CString {
    let mut path = Vec::with_capacity(directory.count_bytes() + name.count_bytes() + 2);
    if directory != c"." {
        path.extend_from_slice(directory.to_bytes());
        path.push(b'/');
    }
    path.extend_from_slice(name.to_bytes());
    // Neither part has a zero in it.
    CString::new(path).unwrap_or_default()
}

#[cfg(test)]
#[path = "disk_tests.rs"]
mod tests;
