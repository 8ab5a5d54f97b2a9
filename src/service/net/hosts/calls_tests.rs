//! The file as programs open it: threads whose calls are trapped.
#![allow(clippy::unwrap_used)]

use std::fs::File;
use std::io;
use std::os::fd::RawFd;
use std::sync::mpsc::channel;

use super::file_tests::{TEXT, hosts, map, status, text_of};
use super::*;
use crate::members::Reach;
use crate::process::Shared;
use crate::supervisor::{Ground, Service, Services, Supervision};
use crate::sys::event::{Wait, poll};
use crate::sys::seccomp::{self, Instruction};

struct Only(Arc<Hosts>);

impl Service for Only {
    fn serve(&self, call: &Call, _ground: Ground) -> Served {
        let number = libc::c_long::from(call.received().number);
        let (name, _) = TRAPPED.iter().find(|(_, trapped)| *trapped == number).unwrap();
        self.0.open(name, call)
    }
}

const TRAPPED: &[(&str, libc::c_long)] = &[
    #[cfg(target_arch = "x86_64")]
    ("open", libc::SYS_open),
    ("openat", libc::SYS_openat),
    ("openat2", libc::SYS_openat2),
];

/// Runs `program` on a thread whose calls are put before `hosts`, by this one.
fn with_trapped_calls(hosts: &Arc<Hosts>, program: impl FnOnce() + Send) {
    let numbers: Vec<u32> = TRAPPED
        .iter()
        .map(|(_, number)| u32::try_from(*number).unwrap())
        .collect();
    let instruction = |code, jt, k| Instruction { code, jt, jf: 0, k };
    let mut filter = vec![instruction(0x20, 0, 0)];
    for (index, number) in numbers.iter().enumerate() {
        let to_end = u8::try_from(numbers.len() - index).unwrap();
        filter.push(instruction(0x15, to_end, *number));
    }
    filter.push(instruction(0x06, 0, seccomp::RET_ALLOW));
    filter.push(instruction(0x06, 0, seccomp::RET_USER_NOTIF));
    let (made, listener) = channel::<RawFd>();
    std::thread::scope(|scope| {
        let caller = std::thread::Builder::new().spawn_scoped(scope, move || {
            sys::credentials::set_no_new_privs().unwrap();
            made.send(seccomp::listen(&filter, 0).unwrap()).unwrap();
            program();
        });
        // SAFETY: the descriptor was just made and nobody else has it.
        let listener = unsafe { OwnedFd::from_raw_fd(listener.recv().unwrap()) };
        let waited_on = listener.as_raw_fd();
        let services: Services = vec![(Arc::new(Only(Arc::clone(hosts))), numbers)];
        let session = Supervision::of_services().start(
            listener,
            services,
            &[],
            (Shared::new().unwrap(), Reach::Family(0)),
            || false,
        );
        loop {
            let mut wait = [Wait::readable(waited_on)];
            poll(&mut wait, -1).unwrap();
            // The thread has ended.
            if wait[0].hung_up() {
                break;
            }
            session.serve_as_warden(wait[0]);
        }
        caller.unwrap().join().unwrap();
    });
}

fn opened(returned: libc::c_long) -> std::result::Result<OwnedFd, i32> {
    match RawFd::try_from(returned).unwrap() {
        -1 => Err(io::Error::last_os_error().raw_os_error().unwrap()),
        // SAFETY: the call has made it for nobody else.
        number => Ok(unsafe { OwnedFd::from_raw_fd(number) }),
    }
}

fn openat(directory: RawFd, path: &std::ffi::CStr, flags: i32) -> std::result::Result<OwnedFd, i32> {
    // SAFETY: a NUL-terminated path.
    opened(unsafe { libc::syscall(libc::SYS_openat, directory, path.as_ptr(), flags, 0) })
}

fn openat2(path: &std::ffi::CStr, how: [u64; 3]) -> std::result::Result<OwnedFd, i32> {
    let (path, directory) = (path.as_ptr(), libc::AT_FDCWD);
    // SAFETY: a NUL-terminated path, and a structure of the size that is said.
    opened(unsafe { libc::syscall(libc::SYS_openat2, directory, path, how.as_ptr(), size_of_val(&how)) })
}

fn is_closed_on_exec(file: &OwnedFd) -> bool {
    // SAFETY: takes no pointers.
    unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETFD) == libc::FD_CLOEXEC }
}

#[test]
fn program_reads_the_file_by_every_call() {
    let hosts = Arc::new(hosts());
    with_trapped_calls(&hosts, || {
        let file = openat(libc::AT_FDCWD, c"/etc/hosts", libc::O_RDONLY | libc::O_CLOEXEC).unwrap();
        assert!(is_closed_on_exec(&file));
        assert_eq!(text_of(file), TEXT);
        // An absolute path minds no directory.
        let file = openat(-77, c"//etc/./hosts", libc::O_RDONLY).unwrap();
        assert!(!is_closed_on_exec(&file));
        assert_eq!(text_of(file), TEXT);
        let file = openat2(c"/etc/hosts", [libc::O_CLOEXEC as u64, 0, libc::RESOLVE_NO_SYMLINKS]).unwrap();
        assert!(is_closed_on_exec(&file));
        assert_eq!(text_of(file), TEXT);
        #[cfg(target_arch = "x86_64")]
        {
            // SAFETY: a NUL-terminated path.
            let file = opened(unsafe { libc::syscall(libc::SYS_open, c"/etc/hosts".as_ptr(), libc::O_RDONLY) });
            assert_eq!(text_of(file.unwrap()), TEXT);
        }
        assert_eq!(std::fs::read_to_string("/etc/hosts").unwrap(), TEXT);
        hosts.replace(&map(&[("host.test", &["192.0.2.77"])])).unwrap();
        assert_eq!(std::fs::read_to_string("/etc/hosts").unwrap(), "192.0.2.77 host.test\n");
    });
}

#[test]
fn program_that_writes_it_is_refused() {
    let hosts = Arc::new(hosts());
    with_trapped_calls(&hosts, || {
        let creates = libc::O_CREAT | libc::O_WRONLY;
        for (flags, errno) in [
            (libc::O_WRONLY, libc::EACCES),
            (libc::O_RDWR, libc::EACCES),
            (creates | libc::O_TRUNC, libc::EACCES),
            (creates | libc::O_EXCL, libc::EEXIST),
            (libc::O_DIRECTORY, libc::ENOTDIR),
        ] {
            assert_eq!(
                openat(libc::AT_FDCWD, c"/etc/hosts", flags).unwrap_err(),
                errno,
                "{flags:o}"
            );
        }
    });
}

#[test]
fn everything_else_is_the_kernels() {
    let hosts = Arc::new(hosts());
    let directory = std::env::temp_dir().join(format!("sandlock-hosts-{}", sys::process::id()));
    std::fs::create_dir(&directory).unwrap();
    let plain = directory.join("hosts");
    std::fs::write(&plain, "of the host\n").unwrap();
    let long = format!("{}{}", "/.".repeat(64), plain.to_str().unwrap());
    with_trapped_calls(&hosts, || {
        assert_eq!(std::fs::read_to_string(&plain).unwrap(), "of the host\n");
        assert_eq!(std::fs::read_to_string(long).unwrap(), "of the host\n");
        let within = File::open(&directory).unwrap();
        let relative = openat(within.as_raw_fd(), c"hosts", libc::O_RDONLY).unwrap();
        assert_eq!(text_of(relative), "of the host\n");
        assert_eq!(openat(-77, c"hosts", libc::O_RDONLY).unwrap_err(), libc::EBADF);
        // SAFETY: nothing is mapped there, and the kernel says so.
        let nowhere = opened(unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, 8, libc::O_RDONLY) });
        assert_eq!(nowhere.unwrap_err(), libc::EFAULT);
        let unknown = openat2(c"/etc/hosts", [0, 0, 1 << 40]).unwrap_err();
        assert_eq!(unknown, libc::EINVAL);
        assert_eq!(
            openat2(c"/etc/hosts", [0, 0, libc::RESOLVE_BENEATH]).unwrap_err(),
            libc::EXDEV
        );
        // Only a name, of a file that is not ours: nothing can be read by it.
        if let Ok(named) = openat(libc::AT_FDCWD, c"/etc/hosts", libc::O_PATH) {
            assert_ne!(status(&named) & libc::O_PATH, 0);
        }
    });
    std::fs::remove_dir_all(&directory).unwrap();
}

/// A path at the end of what can be read, as a string at the end of a stack may be.
#[test]
fn name_that_ends_where_memory_does_is_read() {
    let hosts = Arc::new(hosts());
    with_trapped_calls(&hosts, || {
        let page = 4096;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: a new mapping.
        let pages = unsafe { libc::mmap(std::ptr::null_mut(), 2 * page, protection, flags, -1, 0) };
        assert_ne!(pages, libc::MAP_FAILED);
        let last = pages.cast::<u8>().wrapping_add(page);
        // SAFETY: the second of both pages, which nobody uses.
        assert_eq!(unsafe { libc::munmap(last.cast(), page) }, 0);
        let name = c"/etc/hosts".to_bytes_with_nul();
        let start = last.wrapping_sub(name.len());
        // SAFETY: the last bytes of the first page.
        unsafe { start.copy_from_nonoverlapping(name.as_ptr(), name.len()) };
        // SAFETY: a NUL-terminated path.
        let file = opened(unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, start, libc::O_RDONLY) });
        assert_eq!(text_of(file.unwrap()), TEXT);
        // SAFETY: as mapped above.
        unsafe { libc::munmap(pages, page) };
    });
}
