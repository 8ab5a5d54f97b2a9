//! What becomes of a call that opens something: decided by copies of what it points to.

/// What is done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opening {
    /// It is not for us, or the kernel has something to say about it.
    Pass,
    /// The file is given.
    Give { cloexec: bool },
    /// It fails with that.
    Fail(i32),
}

/// `struct open_how`, as all kernels know it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct How {
    pub(super) flags: u64,
    pub(super) mode: u64,
    pub(super) resolve: u64,
}

impl How {
    pub(super) const SIZE: usize = 24;

    pub(super) fn of(bytes: &[u8; Self::SIZE]) -> Self {
        let word = |index: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&bytes[index * 8..index * 8 + 8]);
            u64::from_ne_bytes(word)
        };
        Self {
            flags: word(0),
            mode: word(1),
            resolve: word(2),
        }
    }

    /// The flags, if the rest is plain: openat2(2) refuses what open(2) ignores, and by some ways of resolving an absolute path
    /// leads elsewhere or nowhere.
    fn plain_flags(self) -> Option<i32> {
        const HARMLESS: u64 =
            libc::RESOLVE_NO_XDEV | libc::RESOLVE_NO_MAGICLINKS | libc::RESOLVE_NO_SYMLINKS | libc::RESOLVE_CACHED;
        let flags = i32::try_from(self.flags).ok()?;
        let modes = if flags & libc::O_CREAT != 0 { 0o7777 } else { 0 };
        (self.mode & !modes == 0 && self.resolve & !HARMLESS == 0).then_some(flags)
    }
}

/// Which argument of the call `name` is a path.
pub(super) fn path_of(name: &str) -> Option<usize> {
    match name {
        "open" => Some(0),
        "openat" | "openat2" => Some(1),
        _ => None,
    }
}

/// Files that are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Given {
    /// /etc/hosts.
    Hosts,
    /// /etc/host.conf: host.conf(5).
    HostConf,
}

/// Which of them `path` is, however it is spelt without links and `..`. A relative path is none: where it leads to would have to be
/// found out for every one of them, and no resolver uses one.
pub(super) fn given(path: &[u8]) -> Option<Given> {
    let (&b'/', names) = path.split_first()? else {
        return None;
    };
    // A slash or dot at the end asks for a directory.
    let (given, last) = if names.ends_with(b"hosts") {
        (Given::Hosts, &b"hosts"[..])
    } else {
        (Given::HostConf, &b"host.conf"[..])
    };
    if !names.ends_with(last) {
        return None;
    }
    let names = names.split(|&byte| byte == b'/');
    let found = names
        .filter(|name| !matches!(name, [] | [b'.']))
        .eq([b"etc".as_slice(), last]);
    found.then_some(given)
}

/// What becomes of the call `name` with that path. `how` reads what openat2(2) points to.
pub(super) fn decide(name: &str, arguments: [u64; 6], path: &[u8], how: impl FnOnce(u64) -> Option<How>) -> Opening {
    if given(path).is_none() {
        return Opening::Pass;
    }
    let flags = match name {
        "open" => Some(int(arguments[1])),
        "openat" => Some(int(arguments[2])),
        // A larger structure says something that is not known here.
        "openat2" if arguments[3] == How::SIZE as u64 => how(arguments[2]).and_then(How::plain_flags),
        _ => None,
    };
    flags.map_or(Opening::Pass, by_flags)
}

/// In the order in which the kernel finds what is wrong about a file that exists, is no directory, and can be read only.
fn by_flags(flags: i32) -> Opening {
    const TEMPORARY: i32 = libc::O_TMPFILE & !libc::O_DIRECTORY;
    const ACCESS: i32 = libc::O_WRONLY | libc::O_RDWR;
    let has = |flag| flags & flag != 0;
    let creates = has(libc::O_CREAT);
    if has(libc::O_PATH) || has(TEMPORARY) || (creates && has(libc::O_DIRECTORY)) {
        // By O_PATH nothing is read. The others fail, and kernels differ about how.
        return Opening::Pass;
    }
    if creates && has(libc::O_EXCL) {
        return Opening::Fail(libc::EEXIST);
    }
    if has(libc::O_DIRECTORY) {
        return Opening::Fail(libc::ENOTDIR);
    }
    if has(ACCESS) || has(libc::O_TRUNC) {
        return Opening::Fail(libc::EACCES);
    }
    // What else there is means nothing for reading such a file.
    Opening::Give {
        cloexec: has(libc::O_CLOEXEC),
    }
}

/// An argument as the kernel takes an int: the upper half of the register means nothing.
#[allow(clippy::cast_possible_truncation)]
fn int(argument: u64) -> i32 {
    (argument as u32).cast_signed()
}

#[cfg(test)]
#[path = "opening_tests.rs"]
mod tests;
