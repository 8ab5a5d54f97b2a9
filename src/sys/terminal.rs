//! The controlling terminal.

use core::mem::MaybeUninit;

use super::raw::syscall;
use super::{Result, check};

/// Foreground process group of the terminal `fd`; ENOTTY unless it is the caller's controlling terminal.
pub fn foreground(fd: i32) -> Result<i32> {
    // SAFETY: takes no pointers.
    check(unsafe { libc::tcgetpgrp(fd) })
}

/// Makes `group` the foreground process group of `fd`. The caller blocks SIGTTOU.
pub fn set_foreground(fd: i32, group: i32) -> Result<()> {
    // SAFETY: `group` outlives the call.
    unsafe { syscall!(libc::SYS_ioctl, fd, libc::TIOCSPGRP, &raw const group) }.map(drop)
}

/// Settings of a terminal.
#[derive(Clone, Copy)]
pub struct Settings(libc::termios);

/// The settings of the terminal `fd`.
pub fn settings(fd: i32) -> Result<Settings> {
    let mut settings = MaybeUninit::<libc::termios>::zeroed();
    // SAFETY: `settings` has room for the structure.
    check(unsafe { libc::tcgetattr(fd, settings.as_mut_ptr()) })?;
    // SAFETY: all-zero is valid, and the call succeeded in filling it.
    Ok(Settings(unsafe { settings.assume_init() }))
}

/// Gives the terminal `fd` these settings, and lets stopped output go on. The caller blocks SIGTTOU.
pub fn restore(fd: i32, settings: &Settings) -> Result<()> {
    // SAFETY: takes no pointers.
    check(unsafe { libc::tcflow(fd, libc::TCOON) })?;
    // SAFETY: `settings` outlives the call.
    check(unsafe { libc::tcsetattr(fd, libc::TCSANOW, &raw const settings.0) }).map(drop)
}

/// Session of the caller.
pub fn session() -> i32 {
    // SAFETY: takes no pointers.
    unsafe { libc::getsid(0) }
}
