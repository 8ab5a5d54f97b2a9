//! The processes of a sandbox.

use std::ffi::{CString, c_char};

use crate::error::{Error, ErrorKind, Stage};
use crate::process::Member;

use super::boundary::{c_string, free, required, status, value};
use super::constants::sandlock_status;
use super::error::sandlock_error;
use super::structs::{Extensible, init, write};

/// The processes of a sandbox at some moment. Made by sandlock_process_list(); never changes. Any thread.
pub struct sandlock_members {
    members: Vec<(Member, CString)>,
}

impl sandlock_members {
    pub(super) fn new(members: Vec<Member>) -> Self {
        let named = |member: Member| {
            let name = c_string(&member.name);
            (member, name)
        };
        Self {
            members: members.into_iter().map(named).collect(),
        }
    }
}

/// A process of a sandbox. Start from SANDLOCK_MEMBER_INIT or sandlock_member_init().
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sandlock_member {
    /// sizeof(sandlock_member), set by the caller.
    pub size: usize,
    /// Its process id, as the host sees it.
    pub pid: i32,
    /// Its resident set, bytes.
    pub rss_bytes: u64,
    /// Processor time that it has used, in user mode and in the kernel, microseconds; as finely as proc(5) counts, a hundredth of
    /// a second mostly.
    pub cpu_us: u64,
    /// Its name, 15 bytes at most, which it can set itself. Belongs to the list.
    pub name: *const c_char,
}

// SAFETY: plain data that starts with its size.
unsafe impl Extensible for sandlock_member {
    const NAME: &'static str = "sandlock_member";
    const FIRST_SIZE: usize = 40;
}

const NOBODY: sandlock_member = sandlock_member {
    size: size_of::<sandlock_member>(),
    pid: 0,
    rss_bytes: 0,
    cpu_us: 0,
    name: std::ptr::null(),
};

/// Sets `member` to SANDLOCK_MEMBER_INIT, for languages without macros. NULL does nothing. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_member_init(member: *mut sandlock_member) {
    value((), || init(member, NOBODY));
}

/// How many processes the list has; 0 if `members` is NULL. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_members_count(members: *const sandlock_members) -> usize {
    value(0, || required(members, "members").map_or(0, |list| list.members.len()))
}

/// Stores process `index`, counted from 0, in `*out`.
///
/// INVALID_ARGUMENT: NULL, a wrong size. NOT_FOUND: the list has fewer. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_members_get(
    members: *const sandlock_members,
    index: usize,
    out: *mut sandlock_member,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    status(error, || {
        let list = required(members, "members")?;
        let (member, name) = list.members.get(index).ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                Stage::Arguments,
                format_args!("there is no process {index}, the list has {}", list.members.len()),
            )
        })?;
        write(
            out,
            &sandlock_member {
                size: size_of::<sandlock_member>(),
                pid: member.pid,
                rss_bytes: member.resident,
                cpu_us: member.cpu_us,
                name: name.as_ptr(),
            },
        )
    })
}

/// Frees a list, and the names in it. NULL is allowed. Any thread, when no other uses it any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sandlock_members_free(members: *mut sandlock_members) {
    // SAFETY: NULL or a list that this library made and nobody freed.
    unsafe { free(members) }
}
