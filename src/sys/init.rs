//! The init of a PID namespace: a program of some twenty instructions.
//!
//! It has nothing of the host's memory, and needs no libc. Told by its argument count whether to end with the program (1) or with the last
//! process of the namespace (2), it waits for processes until then, whoever's children they were, and writes what the kernel says of the
//! program, which is process 2 there, to descriptor 0: a [`Report`]. When it ends, the kernel ends whatever is left in the namespace.
//!
//! All signals are blocked from before it was executed, and inside the namespace the kernel lets nobody kill it.

use super::process::{Ending, Resources, resources};

/// Process id of the program in its namespace: the first that the init starts.
pub const PROGRAM: i32 = 2;

/// What the init writes: a wait status and a `struct rusage`, as wait4(2) gives them.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Report {
    status: i32,
    unused: i32,
    usage: libc::rusage,
}

impl Report {
    /// Bytes of it.
    pub const SIZE: usize = size_of::<Self>();

    /// From what was read; None: it is not whole.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        if bytes.len() != Self::SIZE {
            return None;
        }
        // SAFETY: as many bytes as the structure has, in which every pattern of bits is valid.
        Some(unsafe { core::ptr::read_unaligned(bytes.as_ptr().cast()) })
    }

    /// How the program ended, and what the kernel counted for it.
    pub fn outcome(&self) -> (Ending, Resources) {
        (Ending::of_status(self.status), resources(&self.usage))
    }
}

const _: () = assert!(Report::SIZE == 152, "as the code below has it");

unsafe extern "C" {
    #[link_name = "sandlock_internal_init_code"]
    static CODE: u8;
    #[link_name = "sandlock_internal_init_code_end"]
    static CODE_END: u8;
}

/// Its machine code, which runs wherever it is put; the first instruction comes first.
pub fn code() -> &'static [u8] {
    let start = &raw const CODE;
    let end = &raw const CODE_END;
    let length = end.addr().saturating_sub(start.addr());
    // SAFETY: the two labels enclose bytes of read-only data.
    unsafe { core::slice::from_raw_parts(start, length) }
}

// In each of the three: name the process, wait, report the program, exit. Numbers of calls and errnos as in the kernel's headers:
// PR_SET_NAME 15, __WALL 0x40000000, EINTR 4.
#[cfg(target_arch = "x86_64")]
core::arch::global_asm!(
    ".pushsection .rodata.sandlock_init,\"a\",@progbits",
    ".balign 16",
    ".hidden sandlock_internal_init_code",
    ".globl sandlock_internal_init_code",
    "sandlock_internal_init_code:",
    "mov r12, qword ptr [rsp]",
    "sub rsp, 256",
    "mov eax, 157",
    "mov edi, 15",
    "lea rsi, [rip + 6f]",
    "syscall",
    "2:",
    "mov eax, 61",
    "mov rdi, -1",
    "mov rsi, rsp",
    "mov edx, 0x40000000",
    "lea r10, [rsp + 8]",
    "syscall",
    "cmp rax, 2",
    "je 3f",
    "test rax, rax",
    "jns 2b",
    "cmp rax, -4",
    "je 2b",
    "jmp 4f",
    "3:",
    "mov eax, 1",
    "xor edi, edi",
    "mov rsi, rsp",
    "mov edx, 152",
    "syscall",
    "cmp r12, 2",
    "je 2b",
    "4:",
    "mov eax, 231",
    "xor edi, edi",
    "syscall",
    "ud2",
    "6:",
    ".asciz \"sandlock-init\"",
    ".hidden sandlock_internal_init_code_end",
    ".globl sandlock_internal_init_code_end",
    "sandlock_internal_init_code_end:",
    ".popsection",
);

#[cfg(target_arch = "aarch64")]
core::arch::global_asm!(
    ".pushsection .rodata.sandlock_init,\"a\",@progbits",
    ".balign 16",
    ".hidden sandlock_internal_init_code",
    ".globl sandlock_internal_init_code",
    "sandlock_internal_init_code:",
    "ldr x20, [sp]",
    "sub sp, sp, #256",
    "mov x8, #167",
    "mov x0, #15",
    "adr x1, 6f",
    "svc #0",
    "2:",
    "mov x8, #260",
    "mov x0, #-1",
    "mov x1, sp",
    "mov x2, #0x40000000",
    "add x3, sp, #8",
    "svc #0",
    "cmp x0, #2",
    "b.eq 3f",
    "tbz x0, #63, 2b",
    "cmn x0, #4",
    "b.eq 2b",
    "b 4f",
    "3:",
    "mov x8, #64",
    "mov x0, #0",
    "mov x1, sp",
    "mov x2, #152",
    "svc #0",
    "cmp x20, #2",
    "b.eq 2b",
    "4:",
    "mov x8, #94",
    "mov x0, #0",
    "svc #0",
    "brk #0",
    "6:",
    ".asciz \"sandlock-init\"",
    ".balign 4",
    ".hidden sandlock_internal_init_code_end",
    ".globl sandlock_internal_init_code_end",
    "sandlock_internal_init_code_end:",
    ".popsection",
);

#[cfg(target_arch = "riscv64")]
core::arch::global_asm!(
    ".pushsection .rodata.sandlock_init,\"a\",@progbits",
    ".balign 16",
    ".hidden sandlock_internal_init_code",
    ".globl sandlock_internal_init_code",
    "sandlock_internal_init_code:",
    "ld s2, 0(sp)",
    "addi sp, sp, -256",
    "li s3, 2",
    "li s4, -4",
    "li a7, 167",
    "li a0, 15",
    "lla a1, 6f",
    "ecall",
    "2:",
    "li a7, 260",
    "li a0, -1",
    "mv a1, sp",
    "li a2, 0x40000000",
    "addi a3, sp, 8",
    "ecall",
    "beq a0, s3, 3f",
    "bgez a0, 2b",
    "beq a0, s4, 2b",
    "j 4f",
    "3:",
    "li a7, 64",
    "li a0, 0",
    "mv a1, sp",
    "li a2, 152",
    "ecall",
    "beq s2, s3, 2b",
    "4:",
    "li a7, 94",
    "li a0, 0",
    "ecall",
    "ebreak",
    "6:",
    ".asciz \"sandlock-init\"",
    ".balign 4",
    ".hidden sandlock_internal_init_code_end",
    ".globl sandlock_internal_init_code_end",
    "sandlock_internal_init_code_end:",
    ".popsection",
);
