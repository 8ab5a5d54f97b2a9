//! From a path of the caller to an open file, as the kernel would go for the caller.
//!
//! It goes one name at a time, from descriptor to descriptor, and follows symbolic links itself. The kernel's own walk would
//! be ours and not the caller's: /proc/self would be us. It also checks at each step that the directory may be searched.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use crate::sys::metadata::{self, Status};
use crate::sys::{Errno, credentials, fd};

use super::open_at;
use super::process::{Description, Opened, Process, own};
use super::request::Target;

/// Symbolic links in a path, at most: MAXSYMLINKS.
const LINKS_MAX: u32 = 40;
/// Longest text of a link, with a NUL.
const TEXT_MAX: usize = 4096;
/// Inode of the uppermost directory of procfs.
const PROC_ROOT: u64 = 1;

/// A file, open with O_PATH.
pub(in crate::service) struct Found {
    pub(super) file: OwnedFd,
    pub(super) status: Status,
    /// The directory in which it was found by its name. None if it was found otherwise.
    pub(super) parent: Option<OwnedFd>,
    /// How the descriptor by which it was found was opened, if it was by one.
    pub(super) description: Option<Description>,
}

impl Found {
    fn new(file: OwnedFd) -> Result<Self, Errno> {
        let status = metadata::status(file.as_raw_fd())?;
        Ok(Self {
            file,
            status,
            parent: None,
            description: None,
        })
    }
}

impl TryFrom<Opened> for Found {
    type Error = Errno;

    fn try_from(opened: Opened) -> Result<Self, Errno> {
        Ok(Self {
            description: Some(opened.description),
            ..Self::new(opened.file)?
        })
    }
}

/// Goes to the file that the caller means.
pub(super) fn find(process: &Process, target: &Target) -> Result<Found, Errno> {
    match *target {
        Target::WorkingDirectory => Found::new(process.working_directory()?),
        Target::Descriptor { number, path_only } => {
            if path_only {
                process.descriptor(number)?.try_into()
            } else {
                process.usable_descriptor(number)?.try_into()
            }
        }
        Target::Path { from, ref path, follow } => {
            let start = match (path.first(), from) {
                (Some(b'/'), _) => process.root(),
                (_, libc::AT_FDCWD) => process.working_directory(),
                (_, number) => process.descriptor(number).map(|opened| opened.file),
            }?;
            let walk = Walk {
                process,
                here: Found::new(start)?,
                rest: path.clone(),
                follow,
                directory: false,
                links: 0,
            };
            walk.finish()
        }
    }
}

struct Walk<'a> {
    process: &'a Process,
    here: Found,
    /// What is left of the path, and of the links in it.
    rest: Vec<u8>,
    /// Follow a link in the end.
    follow: bool,
    /// The end must be a directory.
    directory: bool,
    links: u32,
}

impl Walk<'_> {
    fn finish(mut self) -> Result<Found, Errno> {
        while let Some((name, after)) = first_name(&self.rest) {
            let name = CString::new(name).map_err(|_| Errno(libc::EINVAL))?;
            let last = after.iter().all(|&byte| byte == b'/');
            let after = after.to_vec();
            if last && !after.is_empty() {
                self.follow = true;
                self.directory = true;
            }
            if name == c".." && self.process.is_root(self.here.file.as_fd(), self.here.status.id)? {
                self.rest = after;
                continue;
            }
            // Also `.` and `..`: the kernel checks that this is a directory that may be searched, and that the root is not left.
            let file = open_at(self.here.file.as_fd(), &name, libc::O_PATH | libc::O_NOFOLLOW)?;
            let next = Found::new(file)?;
            if next.status.is(libc::S_IFLNK) && (!last || self.follow) {
                self.follow_link(&name, &next, &after, last)?;
            } else {
                self.step(&name, next);
                self.rest = after;
            }
        }
        if self.directory && !self.here.status.id.directory {
            return Err(Errno(libc::ENOTDIR));
        }
        Ok(self.here)
    }

    fn step(&mut self, name: &CStr, next: Found) {
        let before = std::mem::replace(&mut self.here, next);
        // What is called `.` or `..` is not in the directory that it was found in.
        if name != c"." && name != c".." {
            self.here.parent = Some(before.file);
        }
    }

    fn follow_link(&mut self, name: &CStr, link: &Found, after: &[u8], last: bool) -> Result<(), Errno> {
        self.links += 1;
        if self.links > LINKS_MAX || metadata::forbids_links(link.file.as_raw_fd()) {
            return Err(Errno(libc::ELOOP));
        }
        if last {
            self.check_protected(&link.status)?;
        }
        let mut rest = if fd::is_on_proc(link.file.as_raw_fd()) {
            match self.follow_on_proc(name, link)? {
                Some(text) => text,
                None => {
                    self.rest = after.to_vec();
                    return Ok(());
                }
            }
        } else {
            text_of(link)?
        };
        match rest.first() {
            None => return Err(Errno(libc::ENOENT)),
            Some(b'/') => self.here = Found::new(self.process.root()?)?,
            Some(_) => {}
        }
        rest.extend_from_slice(after);
        self.rest = rest;
        Ok(())
    }

    /// Follows a link of procfs whose target no text names, such as /proc/PID/fd/N, or says what the text of another is.
    fn follow_on_proc(&mut self, name: &CStr, link: &Found) -> Result<Option<Vec<u8>>, Errno> {
        let here = self.here.file.as_fd();
        if self.here.status.id.inode == PROC_ROOT && (name == c"self" || name == c"thread-self") {
            return Ok(Some(
                self.process
                    .own_name(name == c"thread-self", self.here.status.id)?
                    .into_bytes(),
            ));
        }
        if !is_magic(here, name) {
            return text_of(link).map(Some);
        }
        if self.process.is_out_of_sight(here)? {
            return Err(Errno(libc::EACCES));
        }
        let file = open_at(here, name, libc::O_PATH)?;
        // In fd/, and in no other directory, it is a descriptor.
        let description = CString::new([b"../fdinfo/", name.to_bytes()].concat())
            .ok()
            .and_then(|path| Description::read(here, &path).ok());
        self.here = Found {
            description,
            ..Found::new(file)?
        };
        Ok(None)
    }

    /// Refuses to be led by a link that somebody else may have laid into a directory like /tmp, as the kernel does where
    /// fs.protected_symlinks is set, which is nearly everywhere.
    fn check_protected(&self, link: &Status) -> Result<(), Errno> {
        let directory = &self.here.status;
        let open_to_all = directory.mode & (libc::S_ISVTX | libc::S_IWOTH) == libc::S_ISVTX | libc::S_IWOTH;
        let trusted = [credentials::effective_user_id(), directory.owner];
        if open_to_all && !trusted.contains(&link.owner) {
            return Err(Errno(libc::EACCES));
        }
        Ok(())
    }
}

/// Splits the first name off a path: it, and what follows, slashes included. None if there is none left.
fn first_name(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let start = path.iter().position(|&byte| byte != b'/')?;
    let path = &path[start..];
    let end = path.iter().position(|&byte| byte == b'/').unwrap_or(path.len());
    Some(path.split_at(end))
}

fn text_of(link: &Found) -> Result<Vec<u8>, Errno> {
    let mut text = vec![0; TEXT_MAX];
    let length = metadata::read_link(link.file.as_raw_fd(), c"", &mut text)?;
    if length >= TEXT_MAX {
        return Err(Errno(libc::ENAMETOOLONG));
    }
    text.truncate(length);
    Ok(text)
}

/// True for a link that the kernel follows without a text. It says so itself: such links can be forbidden.
fn is_magic(directory: BorrowedFd<'_>, name: &CStr) -> bool {
    let opened = metadata::look_at(directory.as_raw_fd(), name, 0, libc::RESOLVE_NO_MAGICLINKS);
    opened.and_then(own).is_err_and(|errno| errno == Errno(libc::ELOOP))
}
