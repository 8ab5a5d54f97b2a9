//! Where metadata may change: on the files of the policy's WRITE rules, and beneath its directories.
//!
//! One look suffices, although names can change at any time. Landlock lets the sandbox move or link a file into a directory only
//! if it may write where the file comes from, and take nothing away from where it may not write. So a file that is beneath a
//! granted directory at any moment of a call was put there by somebody who might have changed it as well; and neither a file
//! that is not, nor a directory above it, can be moved by the sandbox at all.

use std::ffi::{CString, OsStr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use crate::sys::fd::{self, FileCell, FileId};
use crate::sys::{Errno, metadata};

use super::path_to;
use super::process::{Process, own, parent_of};
use super::resolve::Found;

/// Directories from a file up to the root, at most. Programs can make any number; this is more than a path can name.
const DEPTH_MAX: u32 = 4096;

/// The files and directories of a policy's WRITE rules.
///
/// They are told by device and inode. Inodes are not used again as long as something holds the file, as the sandbox's Landlock
/// domain does with the files of its rules.
#[derive(Clone, Debug, Default)]
pub(crate) struct Grants {
    files: Vec<FileId>,
    /// Those that a child notes as it starts, and which of them count.
    noted: Option<(Arc<[FileCell]>, Vec<usize>)>,
}

impl Grants {
    pub(crate) fn new(files: Vec<FileId>) -> Self {
        Self { files, noted: None }
    }

    /// Those of `cells` with these numbers, as far as the child has noted any.
    pub(crate) fn noted(cells: Arc<[FileCell]>, numbers: Vec<usize>) -> Self {
        Self {
            files: Vec::new(),
            noted: Some((cells, numbers)),
        }
    }

    fn contains(&self, file: &FileId) -> bool {
        let is_noted = |(cells, numbers): &(Arc<[FileCell]>, Vec<usize>)| {
            let mut cells = numbers.iter().filter_map(|&number| cells.get(number)?.get());
            cells.any(|noted| noted == *file)
        };
        self.files.contains(file) || self.noted.as_ref().is_some_and(is_noted)
    }

    /// EACCES unless the metadata of `found` may change.
    pub(super) fn check(&self, process: &Process, found: &Found) -> Result<(), Errno> {
        let status = &found.status;
        // A device is the machine's: WRITE on /dev/null must not mean its mode, not even for a sandbox of its owner.
        let device = status.is(libc::S_IFCHR) || status.is(libc::S_IFBLK);
        if !device && self.cover(process, found)? {
            return Ok(());
        }
        Err(Errno(libc::EACCES))
    }

    /// True if a rule is for `found`, or for a directory above it.
    pub(super) fn cover(&self, process: &Process, found: &Found) -> Result<bool, Errno> {
        Ok(self.contains(&found.status.id) || self.is_in_granted_place(process, found)?)
    }

    fn is_in_granted_place(&self, process: &Process, found: &Found) -> Result<bool, Errno> {
        // It was opened by its name in there, a moment ago.
        if let Some(parent) = &found.parent {
            return self.is_beneath(parent.try_clone().map_err(errno_of)?);
        }
        if found.status.id.directory {
            match parent_of(found.file.as_fd()) {
                Ok(parent) => return self.is_beneath(parent),
                Err(Errno(libc::EACCES)) => {} // may not be searched, but its parent may
                Err(errno) => return Err(errno),
            }
        }
        if let Some(parent) = named_parent(process, found) {
            return self.is_beneath(parent);
        }
        // In no directory, so beneath no rule. A descriptor that can write to it is the right to do so all the same.
        let description = found.description.as_ref();
        Ok(found.status.unlinked
            && found.status.is(libc::S_IFREG)
            && description.is_some_and(|description| description.is_writable_and_same(found.file.as_fd())))
    }

    /// True if `directory`, or one above it, is granted.
    fn is_beneath(&self, mut directory: OwnedFd) -> Result<bool, Errno> {
        let mut id = fd::identify(directory.as_raw_fd())?;
        for _ in 0..DEPTH_MAX {
            if self.contains(&id) {
                return Ok(true);
            }
            directory = parent_of(directory.as_fd())?;
            let above = fd::identify(directory.as_raw_fd())?;
            // The root is its own parent.
            if above == id {
                return Ok(false);
            }
            id = above;
        }
        Ok(false)
    }
}

/// The directory that holds a file which was not found by its name: where the kernel says that it is, if it is there.
fn named_parent(process: &Process, found: &Found) -> Option<OwnedFd> {
    let mut text = vec![0; 4096];
    let link = path_to(found.file.as_fd()).ok()?;
    let length = metadata::read_link(libc::AT_FDCWD, &link, &mut text).ok()?;
    // "pipe:[1]" and "(unreachable)/a" name nothing; "/a (deleted)" will not be the same file.
    let path = Path::new(OsStr::from_bytes(text.get(..length)?));
    if length == text.len() || !path.is_absolute() {
        return None;
    }
    let name = CString::new(path.file_name()?.as_bytes()).ok()?;
    let directory = CString::new(path.parent()?.as_os_str().as_bytes()).ok()?;
    // As it is spelled: a link on the way was put there since, and leads elsewhere. From the caller's root: what is mounted for it alone
    // the kernel names to us as it would to it.
    let resolve = libc::RESOLVE_NO_SYMLINKS | libc::RESOLVE_NO_MAGICLINKS | libc::RESOLVE_IN_ROOT;
    let parent = metadata::look_at(process.root_fd().as_raw_fd(), &directory, libc::O_DIRECTORY, resolve);
    let parent = parent.and_then(own).ok()?;
    let there = metadata::status_at(parent.as_raw_fd(), &name).ok()?;
    (there.id == found.status.id).then_some(parent)
}

fn errno_of(error: std::io::Error) -> Errno {
    Errno(error.raw_os_error().unwrap_or(libc::EIO))
}
