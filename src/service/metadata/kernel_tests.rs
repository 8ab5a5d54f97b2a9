//! Where a policy grants WRITE, each call does and says what the kernel's own does, on a tree of the same kind.
#![allow(unsafe_code, clippy::unwrap_used, clippy::cast_sign_loss)]

use std::ffi::CString;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

use super::fixture_tests::{TestCaller, Tree, address};
use super::{CALLS, carry_out, without_privileges};
use crate::compile::arch::Arch;
use crate::sys::Errno;

#[derive(Clone, Debug)]
enum Argument {
    Number(i64),
    /// A path in the tree.
    Path(&'static str),
    /// A string as it stands.
    Text(String),
    Words(Vec<i64>),
    /// A file of the tree, opened with these flags.
    File(&'static str, i32),
    /// The address of a value, its size, and flags: `struct xattr_args`, and how much more than that is zero, or not.
    Attribute(&'static str, i64, i64, Vec<i64>),
}

use Argument::{Attribute, File, Number, Path, Text, Words};

fn text(text: &str) -> Argument {
    Text(text.to_owned())
}

const NULL: Argument = Number(0);
/// Never mapped.
const BAD: Argument = Number(1);
/// Never with an empty path: the working directory is not the test's to change.
const CWD: Argument = Number(libc::AT_FDCWD as i64);
const NOFOLLOW: i64 = libc::AT_SYMLINK_NOFOLLOW as i64;
const EMPTY: i64 = libc::AT_EMPTY_PATH as i64;
const READ: i32 = libc::O_RDONLY;
const OPATH: i32 = libc::O_PATH;

fn granted() -> Argument {
    File("granted", OPATH | libc::O_DIRECTORY)
}

/// What a path can be, and is refused for.
fn paths() -> Vec<Argument> {
    let mut paths = vec![NULL, BAD, text(""), text(&"x".repeat(4095)), text(&"x".repeat(4096))];
    paths.push(text(&format!("/{}", "x".repeat(256))));
    paths.extend(
        [
            "granted",
            "granted/",
            "granted/.",
            "granted/dir/..",
            "granted/file",
            "granted//./dir/../file",
            "granted/file/",
            "granted/file/.",
            "granted/file/x",
            "granted/link",
            "granted/link/",
            "granted/dirlink",
            "granted/dirlink/",
            "granted/dirlink/inner",
            "granted/loop",
            "granted/loop/x",
            "granted/dangling",
            "granted/dangling/",
            "granted/nothing",
            "granted/nothing/x",
            "granted/dir/locked",
            "granted/dir/locked/inside",
            "granted/dir/locked/.",
            "granted/dir/locked/../inner",
        ]
        .map(Path),
    );
    paths
}

type Case = (&'static str, Vec<Argument>);

fn mode_cases() -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for path in paths() {
        cases.push(("chmod", vec![path.clone(), Number(0o740)]));
        cases.push(("fchmodat", vec![CWD, path.clone(), Number(0o740), Number(-1)]));
        for flags in [0, NOFOLLOW, 1] {
            cases.push(("fchmodat2", vec![CWD, path.clone(), Number(0o704), Number(flags)]));
        }
    }
    for mode in [0, 0o1777, 0o600_640, !0o6000] {
        cases.push(("chmod", vec![Path("granted/dir"), Number(mode)]));
        cases.push(("chmod", vec![Path("granted/file"), Number(mode & !0o6000)]));
    }
    cases.push(("chmod", vec![Path("granted/dir"), Number(0o2775)]));
    for flags in [READ, libc::O_WRONLY, libc::O_RDWR, OPATH] {
        cases.push(("fchmod", vec![File("granted/file", flags), Number(0o400)]));
        let itself = vec![File("granted/file", flags), text(""), Number(0o400), Number(EMPTY)];
        cases.push(("fchmodat2", itself));
    }
    cases.push(("fchmod", vec![File("granted/dir", READ), Number(0o711)]));
    for number in [-1, 9999, i64::from(libc::AT_FDCWD), 1 << 31] {
        cases.push(("fchmod", vec![Number(number), Number(0o400)]));
        cases.push(("fchmodat", vec![Number(number), text("granted"), Number(0o400)]));
        cases.push(("fchmodat", vec![Number(number), Path("granted/file"), Number(0o400)]));
    }
    for name in ["file", "dir/../file", "link", "", "nothing", "dir/"] {
        cases.push(("fchmodat", vec![granted(), text(name), Number(0o444)]));
        cases.push(("fchmodat2", vec![granted(), text(name), Number(0o444), Number(EMPTY)]));
    }
    cases.push(("fchmodat", vec![File("granted/file", READ), text("x"), Number(0o444)]));
    cases.push((
        "fchmodat2",
        vec![File("granted/file", READ), NULL, Number(0o444), Number(EMPTY)],
    ));
    let link = File("granted/link", OPATH | libc::O_NOFOLLOW);
    cases.push(("fchmodat2", vec![link, text(""), Number(0o444), Number(EMPTY)]));
    cases
}

fn owner_cases() -> Vec<Case> {
    // SAFETY: takes no arguments and cannot fail.
    let group = i64::from(unsafe { libc::getegid() });
    let mut cases: Vec<Case> = Vec::new();
    for path in paths() {
        for name in ["chown", "lchown"] {
            cases.push((name, vec![path.clone(), Number(-1), Number(group)]));
        }
        for flags in [0, NOFOLLOW, 2] {
            cases.push((
                "fchownat",
                vec![CWD, path.clone(), Number(-1), Number(group), Number(flags)],
            ));
        }
    }
    for (user, group) in [(-1, -1), (0xffff_ffff, 0xffff_ffff), (12345, -1), (-1, 12345)] {
        cases.push(("chown", vec![Path("granted/file"), Number(user), Number(group)]));
        cases.push(("fchown", vec![File("granted/file", READ), Number(user), Number(group)]));
    }
    cases.push(("fchown", vec![File("granted/file", OPATH), Number(-1), Number(group)]));
    for (name, flags) in [("granted/file", OPATH), ("granted/link", OPATH | libc::O_NOFOLLOW)] {
        let file = File(name, flags);
        cases.push((
            "fchownat",
            vec![file, text(""), Number(-1), Number(group), Number(EMPTY)],
        ));
    }
    cases
}

fn time_cases() -> Vec<Case> {
    let given = || Words(vec![1000, 5, 2000, 999_999]);
    let mut cases: Vec<Case> = Vec::new();
    for path in paths() {
        for times in [NULL, given()] {
            cases.push(("utime", vec![path.clone(), times.clone()]));
            cases.push(("utimes", vec![path.clone(), times.clone()]));
            cases.push(("futimesat", vec![CWD, path.clone(), times.clone()]));
            for flags in [0, NOFOLLOW, EMPTY, 1] {
                cases.push(("utimensat", vec![granted(), path.clone(), times.clone(), Number(flags)]));
            }
        }
    }
    let (now, omit) = (libc::UTIME_NOW, libc::UTIME_OMIT);
    for [first, second] in [
        [now, 7],
        [omit, 7],
        [7, omit],
        [now, omit],
        [omit, omit],
        [-1, 0],
        [0, 1_000_000_000],
    ] {
        let times = Words(vec![1000, first, 2000, second]);
        cases.push(("utimensat", vec![CWD, Path("granted/file"), times.clone(), Number(0)]));
        cases.push(("utimensat", vec![Number(77777), BAD, times.clone(), Number(1)]));
        cases.push(("utimensat", vec![File("granted/file", READ), NULL, times, Number(0)]));
    }
    for microseconds in [-1, 0, 999_999, 1_000_000, i64::MAX] {
        let times = Words(vec![1000, 0, 2000, microseconds]);
        cases.push(("utimes", vec![Path("granted/file"), times.clone()]));
        cases.push(("futimesat", vec![File("granted/file", READ), NULL, times]));
    }
    for name in ["utime", "utimes"] {
        cases.push((name, vec![Path("granted/file"), BAD]));
    }
    for flags in [0, EMPTY, NOFOLLOW, 1] {
        for open in [READ, OPATH] {
            for path in [NULL, text(""), BAD] {
                let file = File("granted/file", open);
                cases.push(("utimensat", vec![file, path, given(), Number(flags)]));
            }
        }
        cases.push(("utimensat", vec![CWD, NULL, given(), Number(flags)]));
    }
    for file in [File("granted/file", OPATH), Number(-1), CWD] {
        // No path at the working directory is a bad address, not the directory.
        cases.push(("futimesat", vec![file, NULL, given()]));
    }
    cases.push(("utimensat", vec![CWD, Path("granted/file"), BAD, Number(0)]));
    cases
}

fn attribute_cases() -> Vec<Case> {
    let name = || text("user.test");
    let value = || Words(vec![i64::from_ne_bytes(*b"abcdefgh")]);
    let mut cases: Vec<Case> = Vec::new();
    for path in paths() {
        for call in ["setxattr", "lsetxattr"] {
            cases.push((call, vec![path.clone(), name(), value(), Number(8), Number(0)]));
        }
        for call in ["removexattr", "lremovexattr"] {
            cases.push((call, vec![path.clone(), name()]));
        }
        for flags in [0, NOFOLLOW, EMPTY, EMPTY | NOFOLLOW, 1] {
            let arguments = Attribute("value", 5, 0, vec![]);
            let set = vec![granted(), path.clone(), Number(flags), name(), arguments, Number(16)];
            cases.push(("setxattrat", set));
            cases.push(("removexattrat", vec![granted(), path.clone(), Number(flags), name()]));
        }
    }
    let file = || Path("granted/file");
    let names = [
        "",
        "x",
        "user.",
        "user.a",
        "trusted.a",
        "security.a",
        "security.capability",
        "system.a",
    ];
    let long = |length| text(&format!("user.{}", "x".repeat(length)));
    for name in names
        .map(text)
        .into_iter()
        .chain([long(250), long(251), long(5000), NULL, BAD])
    {
        cases.push(("setxattr", vec![file(), name.clone(), value(), Number(8), Number(0)]));
        cases.push(("removexattr", vec![file(), name]));
    }
    for size in [0, 1, 65536, 65537, 4 << 30, -1] {
        cases.push((
            "setxattr",
            vec![file(), name(), Words(vec![7; 8192]), Number(size), Number(0)],
        ));
        cases.push(("setxattr", vec![file(), name(), BAD, Number(size), Number(0)]));
    }
    for flags in [1, 2, 3, 4, 1 << 32] {
        cases.push(("setxattr", vec![file(), name(), value(), Number(8), Number(flags)]));
    }
    let descriptors = [READ, libc::O_RDWR, OPATH].map(|flags| File("granted/file", flags));
    for file in descriptors.into_iter().chain([Number(-1), Number(9999)]) {
        cases.push(("fsetxattr", vec![file.clone(), name(), value(), Number(8), Number(0)]));
        for path in [NULL, text("")] {
            let arguments = Attribute("value", 5, 0, vec![]);
            let set = vec![file.clone(), path.clone(), Number(EMPTY), name(), arguments, Number(16)];
            cases.push(("setxattrat", set));
            cases.push(("removexattrat", vec![file.clone(), path, Number(EMPTY), name()]));
        }
        cases.push(("fremovexattr", vec![file, name()]));
    }
    for (more, size) in [
        (vec![], 0),
        (vec![], 15),
        (vec![0], 24),
        (vec![1], 24),
        (vec![], 4097),
        (vec![0; 510], 4096),
    ] {
        let arguments = Attribute("value", 5, 0, more);
        cases.push((
            "setxattrat",
            vec![CWD, file(), Number(0), name(), arguments, Number(size)],
        ));
    }
    for (size, flags) in [(5, 1), (5, 2), (5, 4), (65537, 0), (0xffff_ffff, 0)] {
        let arguments = Attribute("value", size, flags, vec![]);
        cases.push((
            "setxattrat",
            vec![CWD, file(), Number(0), name(), arguments, Number(16)],
        ));
    }
    cases.push(("setxattrat", vec![CWD, file(), Number(0), name(), BAD, Number(16)]));
    // An access list: the owner may read and write, the group and others may read.
    let list = Words([2_i64, 0x0006_0001, 0xffff_ffff, 0].to_vec());
    cases.push((
        "setxattr",
        vec![file(), text("system.posix_acl_access"), list, Number(28), Number(0)],
    ));
    cases
}

/// Arguments in registers, and what they need to stay alive.
#[derive(Default)]
struct Prepared {
    values: [u64; 6],
    files: Vec<OwnedFd>,
    strings: Vec<CString>,
    words: Vec<Vec<i64>>,
}

impl Prepared {
    fn new(tree: &Tree, arguments: &[Argument]) -> Self {
        let mut prepared = Self::default();
        for (index, argument) in arguments.iter().enumerate() {
            prepared.values[index] = prepared.value(tree, argument);
        }
        prepared
    }

    fn value(&mut self, tree: &Tree, argument: &Argument) -> u64 {
        match argument {
            Number(number) => *number as u64,
            Path(name) => self.string(tree.text(name)),
            Text(text) => self.string(CString::new(text.as_str()).unwrap()),
            Words(words) => self.words(words.clone()),
            File(name, flags) => {
                self.files.push(tree.open(name, *flags));
                self.files.last().unwrap().as_raw_fd() as u64
            }
            Attribute(value, size, flags, more) => {
                let value = self.string(CString::new(*value).unwrap());
                let mut words = vec![value.cast_signed(), size | flags << 32];
                words.extend(more);
                self.words(words)
            }
        }
    }

    fn string(&mut self, text: CString) -> u64 {
        let at = address(&text);
        self.strings.push(text);
        at
    }

    fn words(&mut self, words: Vec<i64>) -> u64 {
        let at = words.as_ptr().addr() as u64;
        self.words.push(words);
        at
    }
}

fn bare(number: u32, [a, b, c, d, e, f]: [u64; 6]) -> Result<i64, Errno> {
    // SAFETY: calls of the tables above: they read what the arguments point to, or fail with EFAULT.
    match unsafe { libc::syscall(number.into(), a, b, c, d, e, f) } {
        -1 => Err(Errno::last()),
        value => Ok(value),
    }
}

/// Name, mode, user, group, times, attribute.
type State = (String, u32, u32, u32, Vec<i64>, Vec<u8>);

/// All that the calls can have changed. A time that nobody set is recent, and says nothing.
fn state(tree: &Tree) -> Vec<State> {
    let names = [
        "",
        "/file",
        "/dir",
        "/dir/inner",
        "/dir/locked",
        "/link",
        "/dirlink",
        "/dangling",
        "/second",
    ];
    names
        .iter()
        .flat_map(|name| ["granted", "other"].map(|folder| format!("{folder}{name}")))
        .filter_map(|name| {
            // Not what is in a directory that has just become inaccessible.
            let status = std::fs::symlink_metadata(tree.path(&name)).ok()?;
            let times = [status.atime(), status.atime_nsec(), status.mtime(), status.mtime_nsec()];
            let set = |at: usize| times[at] < 1_000_000;
            let times = (0..4).map(|at| if set(at & 2) { times[at] } else { -1 }).collect();
            let mut value = vec![0; 65536];
            let (path, attribute) = (tree.text(&name), c"user.test".as_ptr());
            let (start, size) = (value.as_mut_ptr().cast(), value.len());
            // SAFETY: strings end with NUL; start and size describe a live buffer.
            let length = unsafe { libc::lgetxattr(path.as_ptr(), attribute, start, size) };
            value.truncate(usize::try_from(length).unwrap_or(0));
            Some((name, status.mode(), status.uid(), status.gid(), times, value))
        })
        .collect()
}

fn compare(cases: Vec<Case>) {
    let (ours, theirs) = (Tree::new(), Tree::new());
    let grants = ours.grants(&["granted"]);
    let mut wrong = Vec::new();
    for (name, arguments) in cases {
        // Not a call of this architecture, or of this kernel.
        let Some(number) = Arch::NATIVE.number(name) else {
            continue;
        };
        let (here, there) = (Prepared::new(&ours, &arguments), Prepared::new(&theirs, &arguments));
        let expected = without_privileges(|| bare(number, there.values)).unwrap();
        if expected == Err(Errno(libc::ENOSYS)) {
            continue;
        }
        let found = carry_out(name, here.values, &TestCaller::this(), &grants);
        if found != expected {
            wrong.push(format!("{name} {arguments:.60?}: {found:?}, the kernel: {expected:?}"));
        }
        if state(&ours) != state(&theirs) {
            wrong.push(format!("{name} {arguments:.60?}: another effect than the kernel's"));
            break;
        }
        // For what comes next, which opens the file.
        for tree in [&ours, &theirs] {
            tree.set_mode("granted", 0o755);
            tree.set_mode("granted/file", 0o644);
            tree.set_mode("granted/dir", 0o755);
            tree.set_mode("granted/dir/locked", 0);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn mode_calls_do_what_the_kernels_do() {
    compare(mode_cases());
}

#[test]
fn owner_calls_do_what_the_kernels_do() {
    compare(owner_cases());
}

#[test]
fn time_calls_do_what_the_kernels_do() {
    compare(time_cases());
}

#[test]
fn attribute_calls_do_what_the_kernels_do() {
    compare(attribute_cases());
}

#[test]
fn every_call_is_compared() {
    let cases = [mode_cases(), owner_cases(), time_cases(), attribute_cases()].concat();
    for call in CALLS {
        assert!(cases.iter().any(|(name, _)| name == call), "{call}");
    }
}
