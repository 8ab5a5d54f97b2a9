//! Which calls are for us, and what becomes of them.

use super::*;

#[test]
fn name_is_known_however_it_is_spelt_without_links() {
    for path in [
        "/etc/hosts",
        "//etc/hosts",
        "/etc//hosts",
        "///./etc/././/hosts",
        "/./etc/hosts",
    ] {
        assert_eq!(given(path.as_bytes()), Some(Given::Hosts), "{path}");
        let other = path.replace("hosts", "host.conf");
        assert_eq!(given(other.as_bytes()), Some(Given::HostConf), "{other}");
    }
    for path in [
        "",
        "/",
        ".",
        "etc/hosts",
        "./etc/hosts",
        "hosts",
        "/etc/hosts/",
        "/etc/hosts/.",
        "/etc/hosts//",
        "/etc/../etc/hosts",
        "/etc/hosts/..",
        "/etc/hosts2",
        "/etc/xhosts",
        "/etchosts",
        "/hosts",
        "/etc",
        "/etc/etc/hosts",
        "/root/etc/hosts",
        "/etc/hosts.allow",
        "/ETC/hosts",
        "/etc/.hosts",
        "/etc /hosts",
    ] {
        assert_eq!(given(path.as_bytes()), None, "{path}");
    }
}

const GIVEN: Opening = Opening::Give { cloexec: false };

/// By each of the calls that take plain flags.
fn by_each(flags: i32) -> Opening {
    let flags = u64::from(flags.cast_unsigned());
    // What is in the upper half of a register means nothing.
    let noise = 0xdead_beef_0000_0000;
    let none = |_| -> Option<How> { unreachable!() };
    let open = decide("open", [0, flags, 0, 0, 0, 0], b"/etc/hosts", none);
    let openat = decide("openat", [noise, 0, flags | noise, 0, 0, 0], b"/etc/hosts", none);
    assert_eq!(open, openat, "{flags:o}");
    let how = How {
        flags,
        mode: if flags & u64::from(libc::O_CREAT.cast_unsigned()) != 0 {
            0o644
        } else {
            0
        },
        resolve: 0,
    };
    assert_eq!(by_how(how), open, "{flags:o}");
    open
}

fn by_how(how: How) -> Opening {
    decide("openat2", [0, 0, 7, How::SIZE as u64, 0, 0], b"/etc/hosts", |address| {
        assert_eq!(address, 7);
        Some(how)
    })
}

#[test]
fn who_reads_gets_the_file() {
    for harmless in [
        0,
        libc::O_NONBLOCK,
        libc::O_NOFOLLOW,
        libc::O_NOCTTY,
        libc::O_APPEND,
        libc::O_SYNC,
        libc::O_NOATIME,
        libc::O_EXCL,
        libc::O_CREAT,
    ] {
        assert_eq!(by_each(harmless), GIVEN, "{harmless:o}");
        let closing = Opening::Give { cloexec: true };
        assert_eq!(by_each(harmless | libc::O_CLOEXEC), closing, "{harmless:o}");
    }
}

#[test]
fn who_writes_or_makes_it_fails_as_by_the_kernel() {
    use libc::{EACCES, EEXIST, ENOTDIR, O_CREAT, O_DIRECTORY, O_EXCL, O_RDWR, O_TRUNC, O_WRONLY};
    for (flags, errno) in [
        (O_WRONLY, EACCES),
        (O_RDWR, EACCES),
        (O_WRONLY | O_RDWR, EACCES),
        (O_TRUNC, EACCES),
        (O_WRONLY | O_CREAT | O_TRUNC, EACCES),
        (O_CREAT | O_EXCL, EEXIST),
        (O_CREAT | O_EXCL | O_WRONLY, EEXIST),
        (O_DIRECTORY, ENOTDIR),
        (O_DIRECTORY | O_RDWR, ENOTDIR),
    ] {
        assert_eq!(by_each(flags), Opening::Fail(errno), "{flags:o}");
    }
}

#[test]
fn what_is_not_for_us_or_malformed_goes_to_the_kernel() {
    for flags in [
        libc::O_PATH,
        libc::O_PATH | libc::O_DIRECTORY,
        libc::O_TMPFILE | libc::O_RDWR,
        libc::O_CREAT | libc::O_DIRECTORY,
    ] {
        assert_eq!(by_each(flags), Opening::Pass, "{flags:o}");
    }
    let none = |_| -> Option<How> { unreachable!() };
    for (name, path) in [
        ("open", "/etc/passwd"),
        ("openat", "etc/hosts"),
        ("openat2", "/etc/hostname"),
        ("creat", "/etc/hosts"),
        ("stat", "/etc/hosts"),
    ] {
        assert_eq!(
            decide(name, [0; 6], path.as_bytes(), none),
            Opening::Pass,
            "{name} {path}"
        );
    }
    for size in [0, 8, 23, 25, 32, 4096, 1 << 32 | 24] {
        let arguments = [0, 0, 7, size, 0, 0];
        assert_eq!(
            decide("openat2", arguments, b"/etc/hosts", none),
            Opening::Pass,
            "{size}"
        );
    }
    let unread = decide("openat2", [0, 0, 7, How::SIZE as u64, 0, 0], b"/etc/hosts", |_| None);
    assert_eq!(unread, Opening::Pass);
}

#[test]
fn ways_of_resolving_that_lead_to_the_same_file_are_served() {
    let creates = u64::from(libc::O_CREAT.cast_unsigned());
    let how = |flags, mode, resolve| How { flags, mode, resolve };
    for served in [
        how(0, 0, libc::RESOLVE_NO_SYMLINKS),
        how(0, 0, libc::RESOLVE_NO_MAGICLINKS | libc::RESOLVE_NO_XDEV),
        how(0, 0, libc::RESOLVE_CACHED),
        how(creates, 0o600, 0),
    ] {
        assert_eq!(by_how(served), GIVEN, "{served:?}");
    }
    for passed in [
        how(0, 0, libc::RESOLVE_BENEATH),
        how(0, 0, libc::RESOLVE_IN_ROOT),
        how(0, 0, libc::RESOLVE_IN_ROOT | libc::RESOLVE_CACHED),
        how(0, 0, 1 << 40),
        how(0, 0o600, 0),
        how(creates, 0o10000, 0),
        how(1 << 32, 0, 0),
        how(1 << 31, 0, 0),
    ] {
        assert_eq!(by_how(passed), Opening::Pass, "{passed:?}");
    }
}

#[test]
fn structure_is_read_word_by_word() {
    let bytes: Vec<u8> = [1_u64, 2, 3].iter().flat_map(|word| word.to_ne_bytes()).collect();
    let how = How {
        flags: 1,
        mode: 2,
        resolve: 3,
    };
    assert_eq!(How::of(bytes.as_slice().try_into().unwrap()), how);
}
