//! System calls without libc.
//!
//! A child that shares the host's memory runs beside the thread that made it, and with that thread's thread-local storage:
//! libc's wrappers would have the two overwrite each other's errno. So whatever the child may call goes through here.

use core::ffi::{c_long, c_ulong};

use super::{Errno, Result};

/// A value as a system call takes it.
pub(super) trait Argument {
    /// In a register.
    fn word(self) -> usize;
}

impl Argument for usize {
    fn word(self) -> usize {
        self
    }
}

impl Argument for i32 {
    #[allow(clippy::cast_sign_loss)] // the kernel reads it back as signed
    fn word(self) -> usize {
        self as usize
    }
}

impl Argument for u32 {
    fn word(self) -> usize {
        self as usize
    }
}

impl Argument for c_ulong {
    #[allow(clippy::cast_possible_truncation)] // a long is as wide as a register
    fn word(self) -> usize {
        self as usize
    }
}

impl<T> Argument for *const T {
    fn word(self) -> usize {
        self.addr()
    }
}

impl<T> Argument for *mut T {
    fn word(self) -> usize {
        self.addr()
    }
}

/// Makes the system call `number` with up to six arguments. What it returns is `Ok` unless it is an errno.
///
/// # Safety
///
/// As for the system call. Pointers among the arguments stay valid for the call.
macro_rules! syscall {
    ($number:expr $(, $argument:expr)* $(,)?) => {
        $crate::sys::raw::call($number, [$($crate::sys::raw::Argument::word($argument)),*])
    };
}
pub(super) use syscall;

/// What [`syscall!`] expands to.
///
/// # Safety
///
/// As for the system call.
pub(super) unsafe fn call<const N: usize>(number: c_long, given: [usize; N]) -> Result<usize> {
    let mut arguments = [0; 6];
    for (slot, value) in arguments.iter_mut().zip(given) {
        *slot = value;
    }
    // SAFETY: as the caller promises.
    let returned = unsafe { trap(number, arguments) };
    // The last page of addresses is never returned by a call that succeeds.
    match i32::try_from(returned) {
        Ok(errno @ -4095..=-1) => Err(Errno(errno.saturating_neg())),
        _ => Ok(returned.cast_unsigned()),
    }
}

#[cfg(target_arch = "x86_64")]
unsafe fn trap(number: c_long, [a, b, c, d, e, f]: [usize; 6]) -> isize {
    let returned;
    // SAFETY: the kernel preserves all registers but rax, rcx and r11; memory is as the caller promises.
    unsafe {
        core::arch::asm!(
            "syscall",
            inlateout("rax") number => returned,
            in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d, in("r8") e, in("r9") f,
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    returned
}

#[cfg(target_arch = "aarch64")]
unsafe fn trap(number: c_long, [a, b, c, d, e, f]: [usize; 6]) -> isize {
    let returned;
    // SAFETY: the kernel preserves all registers but x0; memory is as the caller promises.
    unsafe {
        core::arch::asm!(
            "svc 0",
            in("x8") number,
            inlateout("x0") a => returned,
            in("x1") b, in("x2") c, in("x3") d, in("x4") e, in("x5") f,
            options(nostack),
        );
    }
    returned
}

#[cfg(target_arch = "riscv64")]
unsafe fn trap(number: c_long, [a, b, c, d, e, f]: [usize; 6]) -> isize {
    let returned;
    // SAFETY: the kernel preserves all registers but a0; memory is as the caller promises.
    unsafe {
        core::arch::asm!(
            "ecall",
            in("a7") number,
            inlateout("a0") a => returned,
            in("a1") b, in("a2") c, in("a3") d, in("a4") e, in("a5") f,
            options(nostack),
        );
    }
    returned
}

/// Ends the process with SIGILL, which no filter can forbid.
pub(super) fn crash() -> ! {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the process ends here.
    unsafe {
        core::arch::asm!("ud2", options(noreturn, nomem, nostack))
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above.
    unsafe {
        core::arch::asm!("udf #0", options(noreturn, nomem, nostack))
    }
    #[cfg(target_arch = "riscv64")]
    // SAFETY: as above.
    unsafe {
        core::arch::asm!("unimp", options(noreturn, nomem, nostack))
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")))]
compile_error!("libsandlock knows the system calls of x86-64, AArch64 and 64-bit RISC-V only");

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn values_and_errors_are_told_apart() {
        // SAFETY: takes no pointers.
        let group = unsafe { syscall!(libc::SYS_getpgid, 0_i32) };
        // SAFETY: takes no pointers.
        assert_eq!(group, Ok(usize::try_from(unsafe { libc::getpgrp() }).unwrap()));
        // SAFETY: takes no pointers.
        let refused = unsafe { syscall!(libc::SYS_close, -1_i32) };
        assert_eq!(refused, Err(Errno(libc::EBADF)));
    }

    #[test]
    fn all_six_arguments_arrive() {
        // SAFETY: new memory anywhere; `all six` because a wrong descriptor or offset would fail.
        let mapped = unsafe {
            syscall!(
                libc::SYS_mmap,
                0_usize,
                4096_usize,
                libc::PROT_READ,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1_i32,
                0_usize,
            )
        };
        let start = mapped.unwrap();
        // SAFETY: unmaps what was just mapped.
        assert_eq!(unsafe { syscall!(libc::SYS_munmap, start, 4096_usize) }, Ok(0));
    }
}
