//! What the processes of a sandbox have open or mapped, as /proc tells.

use std::cmp::Ordering;
use std::ffi::{CStr, CString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::sys;

use super::Found;
use super::memory::{mapping_file, threads, with_memory};

/// Shows what `process` has open, by paths that lead there. `has_time` is asked now and then; if not, the rest is left. False if the host
/// had no descriptor left to look with.
pub(super) fn visit_open(process: &Found, mut has_time: impl FnMut() -> bool, mut visit: impl FnMut(&CStr)) -> bool {
    const TURN: usize = 64;
    let mut sure = true;
    let mut last = None;
    // A thread may have a table of its own; nearly all share one.
    for thread in threads(process) {
        let shares = last.is_some_and(|last| sys::process::compare_tables(last, thread) == Ok(Ordering::Equal));
        if shares {
            continue;
        }
        let entries = match fs::read_dir(format!("/proc/{thread}/fd")) {
            Ok(entries) => entries,
            Err(error) => {
                // Otherwise a process that hides (see `memory::share`) or has ended.
                sure &= !matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE));
                continue;
            }
        };
        last = Some(thread);
        for (index, entry) in entries.flatten().enumerate() {
            if index % TURN == 0 && !has_time() {
                return sure;
            }
            if let Some(path) = c_path(&entry.path()) {
                visit(&path);
            }
        }
    }
    sure
}

/// The path that leads to the program that `process` executes, whose file it keeps also if nothing of it is mapped any more.
pub(super) fn program(process: &Found) -> Option<CString> {
    c_path(Path::new(&format!("/proc/{}/exe", process.member.pid)))
}

/// Shows files that `process` has mapped and that have no name any more: device, inode number, and how far its mapping reaches into them.
pub(super) fn visit_nameless_mapped(process: &Found, mut visit: impl FnMut((u32, u32), u64, u64)) {
    let Ok(Some(maps)) = with_memory(process, "maps") else {
        return;
    };
    for line in maps.lines().filter(|line| line.ends_with(" (deleted)")) {
        if let (Some((device, inode)), Some(reach)) = (mapping_file(line), reach(line)) {
            visit(device, inode, reach);
        }
    }
}

/// Where a mapping ends in its file, from its line in maps: "start-end rights offset ...", all hexadecimal.
fn reach(line: &str) -> Option<u64> {
    let mut fields = line.split_ascii_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let offset = u64::from_str_radix(fields.nth(1)?, 16).ok()?;
    let length = u64::from_str_radix(end, 16)
        .ok()?
        .checked_sub(u64::from_str_radix(start, 16).ok()?)?;
    offset.checked_add(length)
}

pub(super) fn c_path(path: &Path) -> Option<CString> {
    CString::new(path.as_os_str().as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapping_reaches_as_far_as_offset_and_length_say() {
        let line = "7f0000001000-7f0000003000 rw-s 00010000 08:01 4711                       /work/a b (deleted)";
        assert_eq!(reach(line), Some(0x12000));
        assert_eq!(reach("3000-1000 rw-s 0 08:01 1 /a (deleted)"), None);
        assert_eq!(reach(""), None);
    }
}
