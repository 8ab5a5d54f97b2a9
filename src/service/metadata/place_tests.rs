//! What is granted, and what is not, by whichever way it is reached.
#![allow(unsafe_code, clippy::unwrap_used, clippy::cast_sign_loss)]

use std::fs;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::symlink;
use std::sync::atomic::Ordering;

use super::fixture_tests::{TestCaller, Tree, address, thread_id};
use super::{Caller, carry_out, without_privileges};
use crate::sys::{Errno, fd};

const REFUSED: Result<i64, Errno> = Err(Errno(libc::EACCES));

#[test]
fn file_in_a_granted_directory_can_change_and_its_neighbour_cannot() {
    let tree = Tree::new();
    for name in [
        "granted",
        "granted/file",
        "granted/dir",
        "granted/dir/inner",
        "granted/link",
    ] {
        assert_eq!(tree.chmod_own(name, 0o700), Ok(0), "{name}");
    }
    for name in ["", "other", "other/file", "other/dir", "other/dir/inner", "other/link"] {
        assert_eq!(tree.chmod_own(name, 0o777), REFUSED, "{name}");
    }
    for name in ["granted", "granted/file", "granted/dir", "granted/dir/inner"] {
        assert_eq!(tree.mode(name), 0o700, "{name}");
    }
    for name in ["", "other", "other/file", "other/dir", "other/dir/inner"] {
        assert_ne!(tree.mode(name), 0o777, "{name}");
    }
}

#[test]
fn links_and_dots_are_judged_by_where_they_lead() {
    let tree = Tree::new();
    symlink(tree.path("other"), tree.path("granted/away")).unwrap();
    for name in [
        "granted/out",
        "granted/../other/file",
        "granted/away/file",
        "granted/away",
        "granted/..",
    ] {
        assert_eq!(tree.chmod_own(name, 0o777), REFUSED, "{name}");
    }
    for name in [
        "other/in",
        "other/../granted/file",
        "granted/away/../granted/file",
        "other/in",
    ] {
        assert_eq!(tree.chmod_own(name, 0o600), Ok(0), "{name}");
    }
    assert_ne!(tree.mode("other/file"), 0o777);
    assert_eq!(tree.mode("granted/file"), 0o600);
}

#[test]
fn link_itself_is_where_it_lies() {
    let tree = Tree::new();
    let grants = tree.grants(&["granted"]);
    let lchown = |name: &str| {
        let path = tree.text(name);
        let nobody = u64::MAX; // -1: keep it
        carry_out(
            "lchown",
            [address(&path), nobody, nobody, 0, 0, 0],
            &TestCaller::this(),
            &grants,
        )
    };
    // lchown does not exist everywhere; fchownat does the same, and is compared with the kernel's.
    assert_eq!(lchown("granted/out"), Ok(0));
    assert_eq!(lchown("granted/dangling"), Ok(0));
    assert_eq!(lchown("other/in"), REFUSED);
}

#[test]
fn grant_of_a_file_is_of_that_file_only() {
    let tree = Tree::new();
    let grants = tree.grants(&["other/file"]);
    let chmod = |name: &str| {
        let path = tree.text(name);
        let arguments = [libc::AT_FDCWD as u64, address(&path), 0o600, 0, 0, 0];
        carry_out("fchmodat", arguments, &TestCaller::this(), &grants)
    };
    assert_eq!(chmod("other/file"), Ok(0));
    assert_eq!(chmod("granted/out"), Ok(0));
    for name in ["other", "other/second", "granted/file", "other/dir/inner"] {
        assert_eq!(chmod(name), REFUSED, "{name}");
    }
}

#[test]
fn second_name_of_a_file_counts_where_it_is_used() {
    let tree = Tree::new();
    assert_eq!(tree.chmod_own("other/shared", 0o777), REFUSED);
    assert_eq!(tree.fchmod(&tree.open("other/shared", libc::O_RDWR), 0o777), REFUSED);
    assert_eq!(tree.chmod_own("granted/shared", 0o600), Ok(0));
    assert_eq!(tree.fchmod(&tree.open("granted/shared", libc::O_RDONLY), 0o640), Ok(0));
}

#[test]
fn descriptors_are_judged_by_where_the_file_is() {
    let tree = Tree::new();
    for flags in [libc::O_RDONLY, libc::O_RDWR] {
        assert_eq!(tree.fchmod(&tree.open("granted/file", flags), 0o640), Ok(0));
        assert_eq!(tree.fchmod(&tree.open("other/file", flags), 0o777), REFUSED);
    }
    assert_eq!(tree.fchmod(&tree.open("granted/dir", libc::O_RDONLY), 0o700), Ok(0));
    assert_eq!(tree.fchmod(&tree.open("other/dir", libc::O_RDONLY), 0o777), REFUSED);
    // Where it is now.
    let file = tree.open("granted/second", libc::O_RDONLY);
    fs::rename(tree.path("granted/second"), tree.path("other/moved")).unwrap();
    assert_eq!(tree.fchmod(&file, 0o777), REFUSED);
    // Another file has the name since.
    let file = tree.open("granted/file", libc::O_RDONLY);
    fs::rename(tree.path("granted/file"), tree.path("granted/older (deleted)")).unwrap();
    fs::write(tree.path("granted/file"), "another").unwrap();
    assert_eq!(tree.fchmod(&file, 0o600), Ok(0));
    assert_eq!(tree.mode("granted/older (deleted)"), 0o600);
    assert_ne!(tree.mode("granted/file"), 0o600);
}

#[test]
fn file_without_a_name_can_change_by_a_descriptor_that_can_write() {
    let tree = Tree::new();
    let reader = tree.open("other/file", libc::O_RDONLY);
    let writer = tree.open("other/file", libc::O_RDWR);
    fs::remove_file(tree.path("other/file")).unwrap();
    assert_eq!(tree.fchmod(&reader, 0o777), REFUSED);
    assert_eq!(tree.fchmod(&writer, 0o640), Ok(0));
    let unnamed = tree.open("other", libc::O_TMPFILE | libc::O_WRONLY);
    assert_eq!(tree.fchmod(&unnamed, 0o640), Ok(0));
    // SAFETY: it was just made.
    let memory = unsafe { OwnedFd::from_raw_fd(fd::memory_file().unwrap()) };
    assert_eq!(tree.fchmod(&memory, 0o600), Ok(0));
    // By path too, which for a descriptor that can only read it is no way around.
    let own = |file: &OwnedFd| format!("/proc/self/fd/{}", file.as_raw_fd());
    assert_eq!(tree.chmod(&TestCaller::this(), &own(&writer), 0o600), Ok(0));
    assert_eq!(tree.chmod(&TestCaller::this(), &own(&reader), 0o777), REFUSED);
    let directory = tree.open("other/dir/locked", libc::O_PATH);
    tree.set_mode("other/dir/locked", 0o700);
    fs::remove_dir_all(tree.path("other/dir/locked")).unwrap();
    fs::create_dir(tree.path("other/dir/locked")).unwrap();
    assert_eq!(tree.chmod(&TestCaller::this(), &own(&directory), 0o777), REFUSED);
}

#[test]
fn what_is_no_file_of_a_directory_is_refused() {
    let tree = Tree::new();
    let (reader, writer) = fd::pipe().unwrap();
    assert_eq!(tree.fchmod(&reader, 0o600), REFUSED);
    assert_eq!(tree.fchmod(&writer, 0o600), REFUSED);
    fd::close(reader);
    fd::close(writer);
    let socket = std::os::unix::net::UnixDatagram::unbound().unwrap();
    assert_eq!(tree.fchmod(&socket, 0o600), REFUSED);
}

#[test]
fn devices_are_refused_though_granted() {
    let tree = Tree::new();
    let null = fd::identify_path(c"/dev/null").unwrap();
    let grants = super::Grants::new(vec![null, fd::identify_path(c"/dev").unwrap()]);
    let path = c"/dev/null".to_owned();
    let arguments = [libc::AT_FDCWD as u64, address(&path), 0o666, 0, 0, 0];
    assert_eq!(carry_out("fchmodat", arguments, &TestCaller::this(), &grants), REFUSED);
    drop(tree);
}

#[test]
fn no_file_becomes_set_user_id() {
    let tree = Tree::new();
    for mode in [0o4755, 0o2755, 0o6000] {
        assert_eq!(
            tree.chmod_own("granted/file", mode),
            Err(Errno(libc::EPERM)),
            "{mode:o}"
        );
    }
    assert_eq!(tree.mode("granted/file") & 0o6000, 0);
    assert_eq!(tree.chmod_own("other/file", 0o4755), REFUSED);
    assert_eq!(tree.chmod_own("granted/dir", 0o3775), Ok(0));
}

#[test]
fn directory_that_cannot_be_searched_can_change() {
    let tree = Tree::new();
    let open = tree.open("granted/dir", libc::O_RDONLY);
    tree.set_mode("granted/dir", 0);
    assert_eq!(tree.chmod_own("granted/dir/inner", 0o600), REFUSED);
    assert_eq!(tree.fchmod(&open, 0o100), Ok(0));
    tree.set_mode("granted/dir", 0);
    assert_eq!(tree.chmod_own("granted/dir", 0o700), Ok(0));
    assert_eq!(tree.chmod_own("granted/dir/locked", 0o700), Ok(0));
    assert_eq!(tree.chmod_own("granted/dir/locked/inside", 0o640), Ok(0));
}

#[test]
fn relative_paths_and_proc_mean_the_callers() {
    const NUMBER: i32 = 700;
    let tree = Tree::new();
    let given = tree.open("granted/file", libc::O_RDONLY);
    let caller = TestCaller::child(&tree.path("granted/dir"), given.as_raw_fd(), NUMBER);
    drop(given);
    // At the same number, this process has another file.
    let ours = tree.open("other/file", libc::O_RDWR);
    fd::duplicate_onto(ours.as_raw_fd(), NUMBER).unwrap();
    let child = caller.thread();
    let mut mode = 0o700;
    let mut expect = |path: &str, name: &str| {
        mode ^= 0o011;
        assert_eq!(tree.chmod(&caller, path, mode), Ok(0), "{path}");
        assert_eq!(tree.mode(name), mode, "{path}");
    };
    for path in [
        format!("/proc/self/fd/{NUMBER}"),
        format!("/proc/thread-self/fd/{NUMBER}"),
        format!("/proc/thread-self/../../fd/{NUMBER}"),
        format!("/proc/self/task/{child}/fd/{NUMBER}"),
        format!("/proc/{child}/fd/{NUMBER}"),
        format!("/proc/{child}/root/proc/self/fd/{NUMBER}"),
        format!("/dev/fd/{NUMBER}"),
        "/proc/self/cwd/../file".to_owned(),
        format!("/proc/self/root{}", tree.path("granted/file").to_str().unwrap()),
        "../file".to_owned(),
        "../link".to_owned(),
    ] {
        expect(&path, "granted/file");
    }
    expect("inner", "granted/dir/inner");
    expect("/proc/self/cwd", "granted/dir");
    expect("/proc/self/cwd/", "granted/dir");
    expect(".", "granted/dir");
    assert_eq!(tree.chmod(&caller, "../../other/file", 0o777), REFUSED);
    assert_eq!(
        tree.chmod(&caller, "/proc/self/fd/9999", 0o777),
        Err(Errno(libc::ENOENT))
    );
    assert_eq!(
        tree.chmod(&caller, &format!("/proc/self/fd/{NUMBER}/"), 0o777),
        Err(Errno(libc::ENOTDIR))
    );
    // By number.
    let grants = tree.grants(&["granted"]);
    let call = |name, arguments| carry_out(name, arguments, &caller, &grants);
    assert_eq!(call("fchmod", [NUMBER as u64, 0o601, 0, 0, 0, 0]), Ok(0));
    assert_eq!(tree.mode("granted/file"), 0o601);
    let empty = c"".to_owned();
    let itself = [
        libc::AT_FDCWD as u64,
        address(&empty),
        0o711,
        libc::AT_EMPTY_PATH as u64,
        0,
        0,
    ];
    assert_eq!(call("fchmodat2", itself), Ok(0));
    assert_eq!(tree.mode("granted/dir"), 0o711);
    fd::close(NUMBER);
}

#[test]
fn host_is_no_way_for_a_caller() {
    let tree = Tree::new();
    let file = tree.open("granted/file", libc::O_RDWR);
    let directory = tree.open("granted", libc::O_PATH);
    let caller = TestCaller::child(&tree.path("granted"), file.as_raw_fd(), 701);
    let host = std::process::id();
    for path in [
        format!("/proc/{host}/fd/{}", file.as_raw_fd()),
        format!("/proc/{host}/fd/{}/file", directory.as_raw_fd()),
        format!("/proc/{}/fd/{}", thread_id(), file.as_raw_fd()),
        format!("/proc/{host}/root{}", tree.path("granted/file").to_str().unwrap()),
        format!("/proc/{host}/cwd"),
    ] {
        assert_eq!(tree.chmod(&caller, &path, 0o777), REFUSED, "{path}");
    }
    assert_ne!(tree.mode("granted/file"), 0o777);
}

/// As a warden is, and its program, in a domain that its program inherits.
#[test]
fn confined_thread_sees_its_child_and_not_the_host() {
    use landlock::{AccessFs, Ruleset, RulesetAttr, Scope};
    let tree = Tree::new();
    let file = tree.open("granted/file", libc::O_RDONLY);
    let outside = TestCaller::child(&tree.path("granted/dir"), file.as_raw_fd(), 703);
    std::thread::scope(|scope| {
        let confined = || {
            let ruleset = Ruleset::default().handle_access(AccessFs::Refer).unwrap();
            let ruleset = ruleset.scope(Scope::Signal).unwrap().create().unwrap();
            ruleset.restrict_self().unwrap();
            let caller = TestCaller::child(&tree.path("granted/dir"), file.as_raw_fd(), 702);
            assert_eq!(tree.chmod(&caller, "inner", 0o600), Ok(0));
            assert_eq!(tree.chmod(&caller, "/proc/self/fd/702", 0o600), Ok(0));
            assert_eq!(tree.chmod(&caller, "/dev/fd/702", 0o604), Ok(0));
            assert_eq!(
                tree.chmod(&caller, &format!("/proc/{}/fd/703", outside.thread()), 0o777),
                REFUSED
            );
        };
        std::thread::Builder::new()
            .spawn_scoped(scope, confined)
            .unwrap()
            .join()
            .unwrap();
    });
    assert_eq!(tree.mode("granted/file"), 0o604);
}

#[test]
fn call_that_is_over_changes_nothing() {
    let tree = Tree::new();
    let caller = TestCaller::this();
    for patience in [0, 1] {
        caller.patience.store(patience, Ordering::Relaxed);
        let path = tree.path("granted/file");
        let changed = tree.chmod(&caller, path.to_str().unwrap(), 0o777);
        assert_eq!(changed, Err(Errno(libc::ESRCH)), "{patience}");
    }
    assert_ne!(tree.mode("granted/file"), 0o777);
}

#[test]
fn planted_link_in_a_directory_of_all_is_not_followed() {
    let tree = Tree::new();
    // SAFETY: takes no arguments and cannot fail.
    if unsafe { libc::geteuid() } != 0 {
        return; // only root can plant a link of somebody else
    }
    fs::create_dir(tree.path("granted/all")).unwrap();
    symlink("../file", tree.path("granted/all/planted")).unwrap();
    symlink("..", tree.path("granted/all/up")).unwrap();
    tree.set_mode("granted/all", 0o1777);
    for name in ["granted/all/planted", "granted/all/up"] {
        std::os::unix::fs::lchown(tree.path(name), Some(65534), None).unwrap();
    }
    assert_eq!(tree.chmod_own("granted/all/planted", 0o777), REFUSED);
    assert_eq!(tree.chmod_own("granted/all/up/file", 0o600), Ok(0)); // as the kernel: the end of a path only
}

#[test]
fn memory_may_end_where_an_argument_does() {
    const PAGE: usize = 4096;
    let tree = Tree::new();
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: new memory anywhere.
    let start = unsafe { libc::mmap(std::ptr::null_mut(), 2 * PAGE, protection, flags, -1, 0) };
    assert_ne!(start, libc::MAP_FAILED);
    // SAFETY: the second page of that.
    let second = unsafe { start.byte_add(PAGE) };
    // SAFETY: as above; nobody uses it.
    assert_eq!(unsafe { libc::munmap(second, PAGE) }, 0);
    let grants = tree.grants(&["granted"]);
    let chmod = |path: &[u8]| {
        // SAFETY: the last bytes of the first page.
        let at = unsafe { second.byte_sub(path.len()) };
        // SAFETY: as above; they do not overlap.
        unsafe { std::ptr::copy_nonoverlapping(path.as_ptr(), at.cast(), path.len()) };
        let arguments = [libc::AT_FDCWD as u64, at.addr() as u64, 0o600, 0, 0, 0];
        carry_out("fchmodat", arguments, &TestCaller::this(), &grants)
    };
    let path = tree.text("granted/file");
    assert_eq!(chmod(path.as_bytes_with_nul()), Ok(0));
    assert_eq!(chmod(path.as_bytes()), Err(Errno(libc::EFAULT)));
    let (path, name) = (tree.text("granted/file"), c"user.test".to_owned());
    let set = |size: u64| {
        let value = second.addr() as u64 - 4;
        let arguments = [address(&path), address(&name), value, size, 0, 0];
        carry_out("setxattr", arguments, &TestCaller::this(), &grants)
    };
    assert_eq!(set(4), Ok(0));
    assert_eq!(set(5), Err(Errno(libc::EFAULT)));
    // SAFETY: the first page, which nobody uses any more.
    unsafe { libc::munmap(start, PAGE) };
}

#[test]
fn little_stack_is_enough() {
    let tree = Tree::new();
    // Half of what a warden has.
    let thread = std::thread::Builder::new().stack_size(64 << 10);
    let changed = std::thread::scope(|scope| {
        let change = || tree.chmod_own("granted/dirlink/../link", 0o600);
        thread.spawn_scoped(scope, change).unwrap().join().unwrap()
    });
    assert_eq!(changed, Ok(0));
}

#[test]
fn no_descriptor_is_left() {
    let tree = Tree::new();
    // SAFETY: takes a number. A table of its own: other tests open files as well.
    assert_eq!(unsafe { libc::unshare(libc::CLONE_FILES) }, 0);
    let count = || fs::read_dir("/proc/thread-self/fd").unwrap().count();
    let file = tree.open("granted/file", libc::O_RDONLY);
    let before = count();
    for name in [
        "granted/file",
        "granted/link",
        "granted/loop",
        "granted/nothing",
        "granted/dir/locked/inside",
        "granted/proclink",
        "granted/out",
        "other/file",
    ] {
        let _ = tree.chmod_own(name, 0o644);
    }
    let _ = tree.fchmod(&file, 0o644);
    let _ = tree.fchmod(&99999, 0o644);
    let caller = TestCaller::this();
    let _ = tree.chmod(&caller, &format!("/proc/self/fd/{}", file.as_raw_fd()), 0o644);
    caller.patience.store(1, Ordering::Relaxed);
    let _ = tree.chmod(&caller, tree.path("granted/file").to_str().unwrap(), 0o644);
    assert_eq!(count(), before);
}

#[test]
fn privileges_are_back_afterwards() {
    let effective = || {
        let status = fs::read_to_string("/proc/thread-self/status").unwrap();
        status
            .lines()
            .find_map(|line| line.strip_prefix("CapEff:"))
            .unwrap()
            .trim()
            .to_owned()
    };
    let before = effective();
    assert_eq!(without_privileges(effective).unwrap(), "0000000000000000");
    assert_eq!(effective(), before);
    let panicked = std::panic::catch_unwind(|| without_privileges(|| std::panic::resume_unwind(Box::new(()))));
    assert!(panicked.is_err());
    assert_eq!(effective(), before);
}

#[test]
fn depth_without_end_is_refused() {
    let tree = Tree::new();
    let (grants, name) = (tree.grants(&["granted"]), c"d".to_owned());
    let mut here = tree.open("granted", libc::O_PATH);
    for depth in 0..5000 {
        // SAFETY: a string that ends with NUL.
        assert_eq!(unsafe { libc::mkdirat(here.as_raw_fd(), name.as_ptr(), 0o700) }, 0);
        if depth % 1000 == 0 || depth == 4999 {
            let arguments = [here.as_raw_fd() as u64, address(&name), 0o700, 0, 0, 0];
            let expected = if depth < 4096 { Ok(0) } else { REFUSED };
            assert_eq!(
                carry_out("fchmodat", arguments, &TestCaller::this(), &grants),
                expected,
                "{depth}"
            );
        }
        here = super::open_at(here.as_fd(), &name, libc::O_PATH).unwrap();
    }
    // From the bottom up: too deep for the tree to remove.
    for _ in 0..5000 {
        here = super::open_at(here.as_fd(), c"..", libc::O_PATH).unwrap();
        // SAFETY: as above.
        let removed = unsafe { libc::unlinkat(here.as_raw_fd(), name.as_ptr(), libc::AT_REMOVEDIR) };
        assert_eq!(removed, 0);
    }
}
