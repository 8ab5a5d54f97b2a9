//! What the tests share: trees of files, and callers.
#![allow(unsafe_code, clippy::unwrap_used, clippy::cast_sign_loss)]

use std::ffi::CString;
use std::fs;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::{Caller, Grants, carry_out};
use crate::sys::{Errno, credentials, fd, remote};

pub(super) fn thread_id() -> i32 {
    // SAFETY: takes no arguments and cannot fail.
    unsafe { libc::gettid() }
}

/// A caller whose memory is ours: this thread, or a child forked from it.
pub(super) struct TestCaller {
    thread: i32,
    child: bool,
    /// How often it says that it waits.
    pub(super) patience: AtomicU32,
}

impl TestCaller {
    /// This very thread.
    pub(super) fn this() -> Self {
        Self {
            thread: thread_id(),
            child: false,
            patience: AtomicU32::new(u32::MAX),
        }
    }

    /// A child whose working directory is `directory`, and that has `file` at number `number`, and nothing at ours.
    pub(super) fn child(directory: &Path, file: i32, number: i32) -> Self {
        let directory = c_string(directory);
        let (ready, tell) = fd::pipe().unwrap();
        // SAFETY: the child makes system calls only.
        let child = unsafe { libc::fork() };
        if child == 0 {
            // SAFETY: numbers and a NUL-terminated string. The child ends with the thread that made it.
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
            // As a sandbox has none.
            let _ = credentials::drop_capabilities();
            // SAFETY: as above.
            unsafe { libc::chdir(directory.as_ptr()) };
            // SAFETY: as above.
            unsafe { libc::dup2(file, number) };
            // SAFETY: as above.
            unsafe { libc::close(file) };
            // SAFETY: one byte of a live string.
            unsafe { libc::write(tell, directory.as_ptr().cast(), 1) };
            loop {
                // SAFETY: takes no arguments.
                unsafe { libc::pause() };
            }
        }
        assert!(child > 0);
        assert_eq!(fd::read(ready, &mut [0; 1]), Ok(1));
        fd::close(ready);
        fd::close(tell);
        Self {
            thread: child,
            child: true,
            patience: AtomicU32::new(u32::MAX),
        }
    }
}

impl Drop for TestCaller {
    fn drop(&mut self) {
        if self.child {
            // SAFETY: takes no pointers; the child was not waited for yet.
            unsafe { libc::kill(self.thread, libc::SIGKILL) };
            // SAFETY: a null pointer asks for no status.
            unsafe { libc::waitpid(self.thread, std::ptr::null_mut(), 0) };
        }
    }
}

impl Caller for TestCaller {
    fn thread(&self) -> i32 {
        self.thread
    }

    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<usize, Errno> {
        remote::read(thread_id(), address, buffer)
    }

    fn read_string(&self, address: u64, buffer: &mut [u8]) -> Result<usize, Errno> {
        let mut done = 0;
        while done < buffer.len() {
            let from = address + done as u64;
            let page = usize::try_from(4096 - from % 4096).unwrap().min(buffer.len() - done);
            let count = self.read(from, &mut buffer[done..done + page])?;
            if let Some(end) = buffer[done..done + count].iter().position(|&byte| byte == 0) {
                return Ok(done + end);
            }
            done += count;
        }
        Err(Errno(libc::ENAMETOOLONG))
    }

    fn is_apart(&self) -> bool {
        false
    }

    fn is_waiting(&self) -> bool {
        let patience = self.patience.load(Ordering::Relaxed);
        self.patience.store(patience.saturating_sub(1), Ordering::Relaxed);
        patience > 0
    }
}

/// Directories `granted` and `other`, alike but for what leads from one to the other.
pub(super) struct Tree {
    pub(super) root: PathBuf,
}

impl Tree {
    pub(super) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let root = std::env::temp_dir().join(format!("sandlock-metadata-{}-{number}", std::process::id()));
        fs::create_dir(&root).unwrap();
        let tree = Self { root };
        for name in ["granted", "other"] {
            let directory = tree.path(name);
            fs::create_dir_all(directory.join("dir/locked")).unwrap();
            for file in ["file", "second", "dir/inner", "dir/locked/inside"] {
                fs::write(directory.join(file), "text").unwrap();
            }
            symlink("file", directory.join("link")).unwrap();
            symlink("dir/", directory.join("dirlink")).unwrap();
            symlink("loop", directory.join("loop")).unwrap();
            symlink("nowhere", directory.join("dangling")).unwrap();
            symlink("/proc/self/fd/0/x", directory.join("proclink")).unwrap();
        }
        symlink("../other/file", tree.path("granted/out")).unwrap();
        symlink(tree.path("granted/file"), tree.path("other/in")).unwrap();
        fs::write(tree.path("granted/shared"), "text").unwrap();
        fs::hard_link(tree.path("granted/shared"), tree.path("other/shared")).unwrap();
        for name in ["granted", "other"] {
            tree.set_mode(&format!("{name}/dir/locked"), 0);
        }
        tree
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub(super) fn text(&self, name: &str) -> CString {
        c_string(&self.path(name))
    }

    pub(super) fn mode(&self, name: &str) -> u32 {
        fs::symlink_metadata(self.path(name)).unwrap().mode() & 0o7777
    }

    pub(super) fn set_mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    /// A descriptor that the test owns.
    pub(super) fn open(&self, name: &str, flags: i32) -> OwnedFd {
        let number = fd::open(&self.text(name), flags).unwrap();
        // SAFETY: it was just opened.
        unsafe { OwnedFd::from_raw_fd(number) }
    }

    /// WRITE on these.
    pub(super) fn grants(&self, names: &[&str]) -> Grants {
        let identify = |name: &&str| fd::identify_path(&self.text(name)).unwrap();
        Grants::new(names.iter().map(identify).collect())
    }

    /// chmod(2) of a path as it stands, with WRITE on `granted`.
    pub(super) fn chmod(&self, caller: &TestCaller, path: &str, mode: u32) -> Result<i64, Errno> {
        let path = CString::new(path).unwrap();
        let arguments = [libc::AT_FDCWD as u64, address(&path), mode.into(), 0, 0, 0];
        carry_out("fchmodat", arguments, caller, &self.grants(&["granted"]))
    }

    /// chmod(2) of a path in this tree, by this thread, with WRITE on `granted`.
    pub(super) fn chmod_own(&self, name: &str, mode: u32) -> Result<i64, Errno> {
        self.chmod(&TestCaller::this(), self.path(name).to_str().unwrap(), mode)
    }

    pub(super) fn fchmod(&self, file: &impl AsRawFd, mode: u32) -> Result<i64, Errno> {
        let arguments = [file.as_raw_fd() as u64, mode.into(), 0, 0, 0, 0];
        carry_out("fchmod", arguments, &TestCaller::this(), &self.grants(&["granted"]))
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        for folder in ["granted/dir", "granted/swap", "other/dir"] {
            for name in [folder.to_owned(), format!("{folder}/locked")] {
                let _ = fs::set_permissions(self.path(&name), fs::Permissions::from_mode(0o700));
            }
        }
        let _ = fs::remove_dir_all(&self.root);
    }
}

pub(super) fn c_string(path: &Path) -> CString {
    CString::new(path.to_str().unwrap()).unwrap()
}

pub(super) fn address(text: &CString) -> u64 {
    text.as_ptr().addr() as u64
}
