//! System calls without libc.
//!
//! A child that shares the host's memory runs beside the thread that made it, and with that thread's thread-local storage:
//! libc's wrappers would have the two overwrite each other's errno. So whatever the child may call goes through here.

use core::ffi::{c_int, c_long, c_ulong, c_void};

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

/// A call that makes a process: `number` with `arguments`, as clone(2) and clone3(2) take them on this architecture. The child runs
/// `entry(argument)` on the stack that they name. Returns its process id, in the caller's PID namespace.
///
/// # Safety
///
/// As for the system call, which is to give the child a stack of its own: 16-byte aligned, with enough unused memory below. `entry` never
/// returns or unwinds, and it and `argument` are sound for a process that shares what these flags have it share.
pub(super) unsafe fn start_process(
    number: c_long,
    [a, b, c, d, e]: [usize; 5],
    entry: extern "C" fn(*mut c_void) -> c_int,
    argument: *mut c_void,
) -> Result<i32> {
    let returned: isize;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the caller goes on here with what the kernel preserves, all registers but rax, rcx and r11; the child, on its own stack,
    // calls `entry`, and never comes back.
    unsafe {
        core::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r13",
            "call r12",
            "ud2",
            "2:",
            inlateout("rax") number => returned,
            in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d, in("r8") e,
            in("r12") entry, in("r13") argument,
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above; the kernel preserves all registers but x0.
    unsafe {
        core::arch::asm!(
            "svc 0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x0, x21",
            "blr x20",
            "brk 0",
            "2:",
            in("x8") number,
            inlateout("x0") a => returned,
            in("x1") b, in("x2") c, in("x3") d, in("x4") e,
            in("x20") entry, in("x21") argument,
            options(nostack),
        );
    }
    #[cfg(target_arch = "riscv64")]
    // SAFETY: as above; the kernel preserves all registers but a0.
    unsafe {
        core::arch::asm!(
            "ecall",
            "bnez a0, 2f",
            "mv a0, s3",
            "jalr s2",
            "ebreak",
            "2:",
            in("a7") number,
            inlateout("a0") a => returned,
            in("a1") b, in("a2") c, in("a3") d, in("a4") e,
            in("s2") entry, in("s3") argument,
            options(nostack),
        );
    }
    match i32::try_from(returned) {
        Ok(errno @ -4095..=-1) => Err(Errno(errno.saturating_neg())),
        Ok(pid) => Ok(pid),
        Err(_) => Err(Errno(libc::EOVERFLOW)),
    }
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
