//! The controlling terminal.

use super::{Result, check};

/// Foreground process group of the terminal `fd`; ENOTTY unless it is the caller's controlling terminal.
pub fn foreground(fd: i32) -> Result<i32> {
    // SAFETY: takes no pointers.
    check(unsafe { libc::tcgetpgrp(fd) })
}

/// Makes `group` the foreground process group of `fd`. The caller blocks SIGTTOU.
pub fn set_foreground(fd: i32, group: i32) -> Result<()> {
    // SAFETY: takes no pointers.
    check(unsafe { libc::tcsetpgrp(fd, group) }).map(drop)
}
