//! How much memory the processes of a sandbox hold, as /proc tells.
//!
//! What counts is what is used and nobody else has: anonymous memory, shared memory, files in memory (memfd, tmpfs), swapped out or
//! not. Memory that is reserved counts for nothing, nor do pages of files on disks, which the kernel takes back when it needs them.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CStr, CString, OsStr};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::sys;
use crate::sys::fd::Extent;

use super::open::{c_path, program, visit_open};
use super::{Found, read};

/// What a process holds by its mappings, bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    /// Its own memory.
    pub(crate) anonymous: u64,
    /// Shared memory, and files in memory.
    pub(crate) shared: u64,
}

/// A file in memory: device numbers and inode number.
type FileKey = ((u32, u32), u64);

/// At most what `process` holds: memory that it shares with others counts as its own.
pub(crate) fn bound(process: &Found) -> sys::Result<Held> {
    let Some(status) = with_memory(process, "status")? else {
        return Ok(Held::default());
    };
    Ok(Held {
        anonymous: kilobytes(&status, "RssAnon:") + kilobytes(&status, "VmSwap:"),
        shared: kilobytes(&status, "RssShmem:"),
    })
}

/// The share that `process` has of what it holds: memory that several processes hold is divided between them. Takes the kernel a
/// walk through its page tables.
pub(crate) fn share(process: &Found) -> sys::Result<Held> {
    match with_memory(process, "smaps_rollup") {
        Ok(Some(rollup)) => Ok(Held {
            anonymous: kilobytes(&rollup, "Pss_Anon:") + kilobytes(&rollup, "SwapPss:"),
            shared: kilobytes(&rollup, "Pss_Shmem:"),
        }),
        Ok(None) => Ok(Held::default()),
        // A program whose file its user may not read is not shown to anybody.
        Err(_) => bound(process),
    }
}

/// Those of `processes` whose memory is another one's than that of those before them. Between vfork(2) and exec, a process has the
/// memory of its parent, which the kernel counts as the whole share of each.
pub(crate) fn with_memory_of_their_own<'a>(processes: &[&'a Found]) -> Vec<&'a Found> {
    let mut distinct: Vec<&Found> = Vec::new();
    let mut unknown = Vec::new();
    'next: for process in processes {
        let (mut low, mut high) = (0, distinct.len());
        while low < high {
            let middle = usize::midpoint(low, high);
            match sys::process::compare_memory(distinct[middle].member.pid, process.member.pid) {
                Ok(Ordering::Equal) => continue 'next,
                Ok(Ordering::Less) => low = middle + 1,
                Ok(Ordering::Greater) => high = middle,
                // One of them has ended, or nobody may ask: then it counts.
                Err(_) => {
                    unknown.push(*process);
                    continue 'next;
                }
            }
        }
        distinct.insert(low, process);
    }
    distinct.append(&mut unknown);
    distinct
}

/// A file of /proc that tells of the memory of `process`, from a thread that still has it: the main thread may have ended.
pub(super) fn with_memory(process: &Found, file: &str) -> sys::Result<Option<String>> {
    if !matches!(process.state, 'Z' | 'X') {
        return read(process.member.pid, file);
    }
    for thread in threads(process) {
        if let Some(text) = read(thread, file)?.filter(|text| !text.is_empty() && !text.contains("\tZ (zombie)")) {
            return Ok(Some(text));
        }
    }
    Ok(None)
}

pub(super) fn threads(process: &Found) -> Vec<i32> {
    let pid = process.member.pid;
    if process.threads <= 1 {
        return vec![pid];
    }
    let entries = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten();
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect()
}

/// The sum of the values of `key`, which are in kilobytes.
fn kilobytes(text: &str, key: &str) -> u64 {
    let of_line = |line: &str| {
        line.strip_prefix(key)?
            .split_ascii_whitespace()
            .next()?
            .parse::<u64>()
            .ok()
    };
    text.lines().filter_map(of_line).sum::<u64>() * 1024
}

/// How long a look may take: so much processor time, and, where others keep the processors busy, five times as long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    until: Instant,
    processor: Duration,
}

impl Patience {
    /// For the calling thread, from now on.
    pub(crate) fn new(time: Duration) -> Self {
        Self {
            until: Instant::now() + time * 5,
            processor: sys::clock::thread_time() + time,
        }
    }

    /// True if there is time left.
    pub(crate) fn lasts(&self) -> bool {
        sys::clock::thread_time() < self.processor && Instant::now() < self.until
    }
}

/// Files in memory that a sandbox has to answer for, each once, with the bytes it occupies.
#[derive(Debug)]
pub(crate) struct Files {
    found: BTreeMap<FileKey, u64>,
    patience: Patience,
    /// There was more to look at than there was time.
    cut_short: bool,
    /// The host had no descriptor left to look with.
    unsure: bool,
}

impl Files {
    /// None yet, and time to look for them.
    pub(crate) fn new(patience: Patience) -> Self {
        Self {
            found: BTreeMap::new(),
            patience,
            cut_short: false,
            unsure: false,
        }
    }

    /// With as much time to look on.
    pub(crate) fn with(self, patience: Patience) -> Self {
        Self { patience, ..self }
    }

    /// What they occupy.
    pub(crate) fn bytes(&self) -> u64 {
        self.found.values().sum()
    }

    /// True if there was more than could be looked at: then nobody knows what there is.
    pub(crate) fn is_cut_short(&self) -> bool {
        self.cut_short
    }

    /// True if something could not be looked at this time.
    pub(crate) fn is_unsure(&self) -> bool {
        self.unsure
    }

    /// Adds what `process` has open; says how much that adds.
    pub(crate) fn add_open(&mut self, process: &Found, places: &Places) -> u64 {
        let mut added = 0;
        let mut cut_short = self.cut_short;
        let patience = self.patience;
        let has_time = || {
            cut_short |= !patience.lasts();
            !cut_short
        };
        let sure = visit_open(process, has_time, |path| {
            let found = sys::fd::extent(path, true).ok();
            added += found.map_or(0, |extent| self.add(&extent, places));
        });
        self.cut_short = cut_short;
        self.unsure |= !sure;
        let program = program(process).and_then(|path| sys::fd::extent(&path, true).ok());
        // One that has a name was there before, or is seen where that is.
        let program = program.filter(|extent| extent.links == 0);
        added + program.map_or(0, |extent| self.add(&extent, places))
    }

    fn add(&mut self, extent: &Extent, places: &Places) -> u64 {
        let key = (extent.device, extent.inode);
        if !extent.regular || !places.devices.contains(&extent.device) || self.found.contains_key(&key) {
            return 0;
        }
        self.found.insert(key, extent.bytes);
        extent.bytes
    }

    /// How much of them `processes` have mapped, which their shares contain as well.
    pub(crate) fn mapped<'a>(&self, processes: impl Iterator<Item = &'a Found>) -> u64 {
        let mut mapped: BTreeMap<FileKey, u64> = BTreeMap::new();
        for process in processes {
            if !self.patience.lasts() {
                break;
            }
            let Ok(Some(maps)) = with_memory(process, "smaps") else {
                continue;
            };
            let mut current = None;
            for line in maps.lines() {
                if let Some(share) = line.strip_prefix("Pss:") {
                    let share = share
                        .split_ascii_whitespace()
                        .next()
                        .and_then(|text| text.parse::<u64>().ok());
                    if let Some(total) = current.and_then(|key| mapped.get_mut(&key)) {
                        *total += share.unwrap_or(0) * 1024;
                    }
                } else if let Some(key) = mapping_file(line) {
                    current = self.found.contains_key(&key).then_some(key);
                    if let Some(key) = current {
                        mapped.entry(key).or_default();
                    }
                }
            }
        }
        // Rounding must not make it more than there is.
        mapped.iter().map(|(key, &share)| share.min(self.found[key])).sum()
    }
}

/// The file of a mapping, from the line of smaps that begins it: "start-end rights offset major:minor inode path".
pub(super) fn mapping_file(line: &str) -> Option<FileKey> {
    let mut fields = line.split_ascii_whitespace();
    let range = fields.next()?;
    if range.ends_with(':') || !range.contains('-') {
        return None;
    }
    let (major, minor) = fields.nth(2)?.split_once(':')?;
    let device = (
        u32::from_str_radix(major, 16).ok()?,
        u32::from_str_radix(minor, 16).ok()?,
    );
    Some((device, fields.next()?.parse().ok()?))
}

/// Where files in memory lie.
#[derive(Debug, Default)]
pub(crate) struct Places {
    devices: BTreeSet<(u32, u32)>,
    trees: Vec<Tree>,
}

/// A directory that the sandbox may write to.
#[derive(Debug)]
pub(crate) struct Tree {
    path: CString,
    /// What its whole file system held when the sandbox began.
    used_before: u64,
}

impl Tree {
    /// The directory `path`, before the sandbox has begun. Costs next to nothing, unlike to find out which lie in memory.
    pub(crate) fn new(path: &CStr) -> Self {
        Self {
            path: path.to_owned(),
            used_before: sys::fd::used_bytes(path).unwrap_or(0),
        }
    }
}

/// Most entries of a tree that are looked at.
const MOST_ENTRIES: usize = 20_000;

impl Places {
    /// Looks for them: where a memfd lies, what is mounted for `pid`, and which of the directories `writable` lie there.
    pub(crate) fn find(pid: i32, mut writable: Vec<Tree>) -> Self {
        static ANONYMOUS: OnceLock<Option<(u32, u32)>> = OnceLock::new();
        let mounts = read(pid, "mountinfo").ok().flatten().unwrap_or_default();
        let mut devices: BTreeSet<_> = mounts.lines().filter_map(mounted_in_memory).collect();
        devices.extend(*ANONYMOUS.get_or_init(device_of_memory_files));
        writable.retain(|tree| sys::fd::extent(&tree.path, true).is_ok_and(|found| devices.contains(&found.device)));
        Self {
            devices,
            trees: writable,
        }
    }

    /// True if there are directories that the sandbox may write to.
    pub(crate) fn has_trees(&self) -> bool {
        !self.trees.is_empty()
    }

    /// Adds the files beneath writable directories that have changed since `since`, in seconds from 1970. Of a tree with too many
    /// entries the growth of its whole file system counts instead, and is returned.
    pub(crate) fn add_changed(&self, since: i64, files: &mut Files) -> u64 {
        let mut growth = 0;
        for tree in &self.trees {
            let mut left = MOST_ENTRIES;
            self.add_beneath(
                Path::new(OsStr::from_bytes(tree.path.to_bytes())),
                since,
                files,
                &mut left,
            );
            if left == 0 {
                let used = sys::fd::used_bytes(&tree.path).unwrap_or(0);
                growth += used.saturating_sub(tree.used_before);
            }
        }
        growth
    }

    fn add_beneath(&self, path: &Path, since: i64, files: &mut Files, left: &mut usize) {
        let mut waiting = vec![path.to_owned()];
        while let Some(path) = waiting.pop() {
            let Some(extent) = c_path(&path).and_then(|path| sys::fd::extent(&path, false).ok()) else {
                continue;
            };
            if !self.devices.contains(&extent.device) {
                continue;
            }
            if extent.regular {
                if extent.changed >= since {
                    files.add(&extent, self);
                }
                continue;
            }
            for entry in fs::read_dir(&path).into_iter().flatten().flatten() {
                *left = left.saturating_sub(1);
                if *left == 0 {
                    return;
                }
                let kind = entry.file_type();
                if kind.is_ok_and(|kind| kind.is_dir() || kind.is_file()) {
                    waiting.push(entry.path());
                }
            }
        }
    }
}

/// The device of a mount in memory, from a line of mountinfo.
fn mounted_in_memory(line: &str) -> Option<(u32, u32)> {
    let (before, after) = line.split_once(" - ")?;
    let kind = after.split(' ').next()?;
    if !matches!(kind, "tmpfs" | "ramfs" | "hugetlbfs" | "devtmpfs") {
        return None;
    }
    let (major, minor) = before.split(' ').nth(2)?.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// Where memfd and anonymous shared memory lie: a file system that is mounted nowhere.
fn device_of_memory_files() -> Option<(u32, u32)> {
    let fd = sys::fd::memory_file().ok()?;
    let path = CString::new(format!("/proc/self/fd/{fd}")).ok();
    let device = path
        .and_then(|path| sys::fd::extent(&path, true).ok())
        .map(|found| found.device);
    sys::fd::close(fd);
    device
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smaps_lines_that_begin_a_mapping_name_its_file() {
        let line = "7f0000000000-7f0000001000 rw-s 00000000 00:1a 4711                       /dev/shm/a b (deleted)";
        assert_eq!(mapping_file(line), Some(((0, 0x1a), 4711)));
        assert_eq!(mapping_file("Pss:                   4 kB"), None);
        assert_eq!(mapping_file("VmFlags: rd wr mr mw me"), None);
        assert_eq!(mapping_file(""), None);
    }

    #[test]
    fn mounts_in_memory_are_known_by_their_kind() {
        let line = "29 23 0:25 / /dev/shm rw,nosuid shared:4 - tmpfs tmpfs rw,size=1k";
        assert_eq!(mounted_in_memory(line), Some((0, 25)));
        assert_eq!(mounted_in_memory("23 1 8:1 / / rw - ext4 /dev/vda rw"), None);
    }

    #[test]
    fn kilobytes_of_a_key_are_added_up() {
        let text = "Rss:   100 kB\nPss_Anon:   4 kB\nPss_Anon:  8 kB\nPss:  50 kB\n";
        assert_eq!(kilobytes(text, "Pss_Anon:"), 12 * 1024);
        assert_eq!(kilobytes(text, "Nothing:"), 0);
    }

    #[test]
    fn memory_files_of_this_process_are_found_once_each() {
        let own = super::super::look(sys::process::id()).unwrap().unwrap();
        let places = Places::find(own.member.pid, Vec::new());
        let mut files = Files::new(Patience::new(Duration::from_secs(1)));
        files.add_open(&own, &places);
        let before = files.bytes();
        let fd = sys::fd::memory_file().unwrap();
        fs::write(format!("/proc/self/fd/{fd}"), vec![1; 1 << 20]).unwrap();
        let mut files = Files::new(Patience::new(Duration::from_secs(1)));
        files.add_open(&own, &places);
        assert_eq!(files.bytes() - before, 1 << 20);
        assert_eq!(files.add_open(&own, &places), 0);
        sys::fd::close(fd);
        assert!(share(&own).unwrap().anonymous > 0);
        assert!(bound(&own).unwrap().anonymous > 0);
    }
}
