//! What a call asks for: its arguments, and copies of all that they point to.
//!
//! Everything is read exactly once, and nothing is decided by memory that the caller can still change. Errors come in the
//! order in which the kernel finds them.

use std::ffi::CString;

use crate::sys::Errno;

use super::Caller;

/// Longest path with its NUL: PATH_MAX.
const PATH_MAX: usize = 4096;
/// Longest name of an attribute with its NUL: XATTR_NAME_MAX and one.
const NAME_MAX: usize = 256;
/// Longest value of an attribute: XATTR_SIZE_MAX.
const VALUE_MAX: u64 = 65536;
/// `struct xattr_args` as Linux 6.13 has it, and what the kernel takes at most.
const ATTRIBUTE_ARGUMENTS: usize = 16;
const ATTRIBUTE_ARGUMENTS_MAX: u64 = 4096;

/// The file that is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// By path; a relative one starts at a directory's descriptor, or AT_FDCWD.
    Path {
        from: i32,
        path: Vec<u8>,
        /// A symbolic link in the end means the file that it leads to.
        follow: bool,
    },
    /// By a descriptor.
    Descriptor {
        number: i32,
        /// One opened with O_PATH will do.
        path_only: bool,
    },
    /// The working directory.
    WorkingDirectory,
}

/// The change.
#[derive(Clone)]
pub(super) enum Change {
    Mode(u32),
    Owner { user: u32, group: u32 },
    Times(Option<[libc::timespec; 2]>),
    SetAttribute { name: CString, value: Vec<u8>, flags: i32 },
    RemoveAttribute { name: CString },
}

#[derive(Clone)]
pub(super) struct Request {
    pub(super) target: Target,
    pub(super) change: Change,
}

/// Reads what a call asks for. None: nothing.
pub(super) fn read(name: &str, values: [u64; 6], caller: &dyn Caller) -> Result<Option<Request>, Errno> {
    let call = Call { values, caller };
    let (target, change) = match name {
        "chmod" => (call.plain_path(true)?, call.mode(1)),
        "fchmod" => (call.descriptor(0), call.mode(1)),
        "fchmodat" => (call.path(call.int(0), 1, true)?, call.mode(2)),
        "fchmodat2" => (call.path_at(0, 3)?, call.mode(2)),
        "chown" => (call.plain_path(true)?, call.owner(1)),
        "lchown" => (call.plain_path(false)?, call.owner(1)),
        "fchown" => (call.descriptor(0), call.owner(1)),
        "fchownat" => (call.path_at(0, 4)?, call.owner(2)),
        "utime" | "utimes" | "futimesat" | "utimensat" => return call.times(name),
        "setxattr" | "lsetxattr" | "fsetxattr" => {
            let change = call.set_attribute(1, call.values[2], call.values[3], call.int(4))?;
            (call.attribute_target(name)?, change)
        }
        "removexattr" | "lremovexattr" | "fremovexattr" => {
            let change = call.remove_attribute(1)?;
            (call.attribute_target(name)?, change)
        }
        "setxattrat" => {
            call.check_flags(2)?;
            let (value, size, flags) = call.attribute_arguments()?;
            let change = call.set_attribute(3, value, size, flags)?;
            (call.attribute_target_at()?, change)
        }
        "removexattrat" => {
            call.check_flags(2)?;
            let change = call.remove_attribute(3)?;
            (call.attribute_target_at()?, change)
        }
        _ => return Err(Errno(libc::ENOSYS)),
    };
    Ok(Some(Request { target, change }))
}

/// The flags of all `*at` calls here.
const NOFOLLOW: i32 = libc::AT_SYMLINK_NOFOLLOW;
const EMPTY: i32 = libc::AT_EMPTY_PATH;

#[derive(Clone, Copy)]
struct Call<'a> {
    values: [u64; 6],
    caller: &'a dyn Caller,
}

impl Call<'_> {
    /// Argument `index` as the kernel takes an int: the upper half of the register means nothing.
    #[allow(clippy::cast_possible_truncation)]
    fn int(&self, index: usize) -> i32 {
        (self.values[index] as u32).cast_signed()
    }

    /// Reads exactly `buffer.len()` bytes.
    fn fill(&self, address: u64, buffer: &mut [u8]) -> Result<(), Errno> {
        if buffer.is_empty() || self.caller.read(address, buffer)? == buffer.len() {
            return Ok(());
        }
        Err(Errno(libc::EFAULT))
    }

    /// Reads `N` words.
    fn words<const N: usize>(&self, address: u64) -> Result<[i64; N], Errno> {
        let mut bytes = [[0; 8]; N];
        self.fill(address, bytes.as_flattened_mut())?;
        Ok(bytes.map(i64::from_ne_bytes))
    }

    fn string(&self, address: u64, most: usize) -> Result<Vec<u8>, Errno> {
        let mut buffer = vec![0; most];
        let length = self.caller.read_string(address, &mut buffer)?;
        buffer.truncate(length);
        Ok(buffer)
    }

    // Targets.

    /// The path that argument `index` points to.
    fn path(&self, from: i32, index: usize, follow: bool) -> Result<Target, Errno> {
        let path = self.string(self.values[index], PATH_MAX)?;
        if path.is_empty() {
            return Err(Errno(libc::ENOENT));
        }
        Ok(Target::Path { from, path, follow })
    }

    /// The path that the first argument points to, from the working directory.
    fn plain_path(&self, follow: bool) -> Result<Target, Errno> {
        self.path(libc::AT_FDCWD, 0, follow)
    }

    /// A descriptor, the path after it, and flags.
    fn path_at(&self, first: usize, flags: usize) -> Result<Target, Errno> {
        let flags = self.check_flags(flags)?;
        let from = self.int(first);
        match self.path(from, first + 1, flags & NOFOLLOW == 0) {
            Err(Errno(libc::ENOENT)) if flags & EMPTY != 0 => Ok(itself(from, true)),
            target => target,
        }
    }

    fn check_flags(&self, index: usize) -> Result<i32, Errno> {
        let flags = self.int(index);
        if flags & !(NOFOLLOW | EMPTY) != 0 {
            return Err(Errno(libc::EINVAL));
        }
        Ok(flags)
    }

    /// Of a call that takes descriptors only.
    fn descriptor(&self, index: usize) -> Target {
        Target::Descriptor {
            number: self.int(index),
            path_only: false,
        }
    }

    fn attribute_target(&self, name: &str) -> Result<Target, Errno> {
        match name.as_bytes() {
            [b'f', ..] => Ok(self.descriptor(0)),
            [b'l', ..] => self.plain_path(false),
            _ => self.plain_path(true),
        }
    }

    /// Of setxattrat and removexattrat. With an empty path, or none, they take descriptors as fsetxattr(2) does.
    fn attribute_target_at(&self) -> Result<Target, Errno> {
        let (from, flags) = (self.int(0), self.int(2));
        if flags & EMPTY != 0 && self.values[1] == 0 {
            return Ok(itself(from, false));
        }
        match self.path(from, 1, flags & NOFOLLOW == 0) {
            Err(Errno(libc::ENOENT)) if flags & EMPTY != 0 => Ok(itself(from, false)),
            target => target,
        }
    }

    // Changes.

    #[allow(clippy::cast_possible_truncation)] // to what the kernel keeps of it
    fn mode(&self, index: usize) -> Change {
        Change::Mode(self.values[index] as u32 & 0o7777)
    }

    /// User, and group after it.
    fn owner(&self, first: usize) -> Change {
        Change::Owner {
            user: self.int(first).cast_unsigned(),
            group: self.int(first + 1).cast_unsigned(),
        }
    }

    fn attribute_name(&self, index: usize) -> Result<CString, Errno> {
        let name = match self.string(self.values[index], NAME_MAX) {
            Err(Errno(libc::ENAMETOOLONG)) => Err(Errno(libc::ERANGE)),
            name => name,
        }?;
        if name.is_empty() {
            return Err(Errno(libc::ERANGE));
        }
        CString::new(name).map_err(|_| Errno(libc::EINVAL))
    }

    fn set_attribute(&self, name: usize, value: u64, size: u64, flags: i32) -> Result<Change, Errno> {
        if flags & !(libc::XATTR_CREATE | libc::XATTR_REPLACE) != 0 {
            return Err(Errno(libc::EINVAL));
        }
        let name = self.attribute_name(name)?;
        // Before a byte is allocated for it.
        if size > VALUE_MAX {
            return Err(Errno(libc::E2BIG));
        }
        let mut bytes = vec![0; usize::try_from(size).map_err(|_| Errno(libc::E2BIG))?];
        self.fill(value, &mut bytes)?;
        Ok(Change::SetAttribute {
            name,
            value: bytes,
            flags,
        })
    }

    fn remove_attribute(&self, name: usize) -> Result<Change, Errno> {
        Ok(Change::RemoveAttribute {
            name: self.attribute_name(name)?,
        })
    }

    /// `struct xattr_args`: value, size and flags. A later version's fields must be zero.
    fn attribute_arguments(&self) -> Result<(u64, u64, i32), Errno> {
        let (address, size) = (self.values[4], self.values[5]);
        if size < ATTRIBUTE_ARGUMENTS as u64 {
            return Err(Errno(libc::EINVAL));
        }
        if size > ATTRIBUTE_ARGUMENTS_MAX {
            return Err(Errno(libc::E2BIG));
        }
        let mut bytes = vec![0; usize::try_from(size).map_err(|_| Errno(libc::E2BIG))?];
        self.fill(address, &mut bytes)?;
        if bytes[ATTRIBUTE_ARGUMENTS..].iter().any(|&byte| byte != 0) {
            return Err(Errno(libc::E2BIG));
        }
        let word = |from: usize| {
            let mut word = [0; 4];
            word.copy_from_slice(&bytes[from..from + 4]);
            u32::from_ne_bytes(word)
        };
        let mut value = [0; 8];
        value.copy_from_slice(&bytes[..8]);
        Ok((u64::from_ne_bytes(value), u64::from(word(8)), word(12).cast_signed()))
    }

    fn times(&self, name: &str) -> Result<Option<Request>, Errno> {
        let (path, times) = match name {
            "utime" | "utimes" => (0, 1),
            _ => (1, 2),
        };
        let times = match (self.values[times], name) {
            (0, _) => None,
            (address, "utime") => Some(self.words(address)?.map(|seconds| time(seconds, 0))),
            (address, "utimensat") => {
                let [s0, n0, s1, n1] = self.words(address)?;
                if n0 == libc::UTIME_OMIT && n1 == libc::UTIME_OMIT {
                    return Ok(None);
                }
                Some([time(s0, n0), time(s1, n1)])
            }
            (address, _) => {
                let [s0, u0, s1, u1] = self.words(address)?;
                if [u0, u1]
                    .iter()
                    .any(|microseconds| !(0..1_000_000).contains(microseconds))
                {
                    return Err(Errno(libc::EINVAL));
                }
                Some([time(s0, u0 * 1000), time(s1, u1 * 1000)])
            }
        };
        let from = if path == 0 { libc::AT_FDCWD } else { self.int(0) };
        let flags = if name == "utimensat" { self.int(3) } else { 0 };
        // Without a path they mean a descriptor, and take no flags then.
        let target = if from != libc::AT_FDCWD && self.values[path] == 0 {
            if flags != 0 {
                return Err(Errno(libc::EINVAL));
            }
            self.descriptor(0)
        } else if name == "utimensat" {
            self.path_at(0, 3)?
        } else {
            self.path(from, path, true)?
        };
        Ok(Some(Request {
            target,
            change: Change::Times(times),
        }))
    }
}

/// What an empty path means.
fn itself(from: i32, path_only: bool) -> Target {
    match from {
        libc::AT_FDCWD => Target::WorkingDirectory,
        number => Target::Descriptor { number, path_only },
    }
}

fn time(seconds: i64, nanoseconds: i64) -> libc::timespec {
    libc::timespec {
        tv_sec: seconds,
        tv_nsec: nanoseconds,
    }
}
