//! Terminals.

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

/// Makes the terminal `fd` the controlling one of the calling process, which leads a session that has none.
pub fn take_control(fd: i32) -> Result<()> {
    // SAFETY: takes no pointers; 0: not from anybody who has it.
    unsafe { syscall!(libc::SYS_ioctl, fd, libc::TIOCSCTTY, 0_i32) }.map(drop)
}

/// Makes a pseudo-terminal: its master and the terminal itself, both close-on-exec and numbered 3 or above. Neither becomes
/// the caller's controlling terminal.
pub fn pseudo_terminal() -> Result<(i32, i32)> {
    let flags = libc::O_RDWR | libc::O_NOCTTY;
    let master = super::fd::open(c"/dev/ptmx", flags)?;
    let terminal = open_peer(master, flags).inspect_err(|_| super::fd::close(master))?;
    Ok((master, terminal))
}

/// The terminal of a master, without a path, which could lead into another instance of devpts. Linux 4.13.
fn open_peer(master: i32, flags: i32) -> Result<i32> {
    let unlocked: libc::c_int = 0;
    // SAFETY: `unlocked` outlives the call.
    check(unsafe { libc::ioctl(master, libc::TIOCSPTLCK, &raw const unlocked) })?;
    // SAFETY: takes no pointers.
    let terminal = check(unsafe { libc::ioctl(master, libc::TIOCGPTPEER, flags | libc::O_CLOEXEC) })?;
    super::fd::above_stdio(terminal)
}

/// Sets how large the terminal `fd` is, by itself or its master, and has its foreground process group told.
pub fn set_size(fd: i32, rows: u16, columns: u16) -> Result<()> {
    let size = libc::winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // SAFETY: `size` outlives the call.
    check(unsafe { libc::ioctl(fd, libc::TIOCSWINSZ, &raw const size) }).map(drop)
}

/// Session whose controlling terminal `fd` is, or has the master of; ENOTTY if it is no such thing, or another session's terminal.
pub fn session_on(fd: i32) -> Result<i32> {
    // SAFETY: takes no pointers.
    check(unsafe { libc::tcgetsid(fd) })
}

/// Session of the caller.
pub fn session() -> i32 {
    // SAFETY: takes no pointers.
    unsafe { libc::getsid(0) }
}
