//! The init of a PID namespace as a file in memory that can be executed: a small ELF file around the code in `sys/init.rs`.

#![allow(unsafe_code)] // two blocks: taking over descriptors that sys just made

use std::ffi::CString;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use crate::sys;

/// Where the file lies in memory: above what no program may map.
const ADDRESS: u64 = 0x10000;
const FILE_HEADER: u64 = 64;
const PROGRAM_HEADER: u64 = 56;

/// Makes the file. Nobody may read it: of a program in such a file the kernel lets no process of its user look at the memory or trace
/// it.
pub(super) fn make() -> sys::Result<OwnedFd> {
    let number = sys::fd::executable_memory_file()?;
    // SAFETY: the descriptor was just made and nobody else has it.
    let writable = unsafe { OwnedFd::from_raw_fd(number) };
    let file = elf(sys::init::code());
    let mut rest = file.as_slice();
    while !rest.is_empty() {
        let written = sys::fd::write(writable.as_raw_fd(), rest)?;
        rest = rest.get(written..).unwrap_or_default();
    }
    sys::fd::set_mode(writable.as_raw_fd(), 0o111)?;
    // What is open for writing cannot be executed.
    let path = CString::new(format!("/proc/thread-self/fd/{number}")).map_err(|_| sys::Errno(libc::EINVAL))?;
    let reopened = sys::fd::open(&path, libc::O_PATH)?;
    // SAFETY: as above.
    Ok(unsafe { OwnedFd::from_raw_fd(reopened) })
}

/// An executable file whose only segment is all of it, and that starts at the first byte of `code`.
fn elf(code: &[u8]) -> Vec<u8> {
    const MACHINE: u16 = if cfg!(target_arch = "x86_64") {
        62 // EM_X86_64
    } else if cfg!(target_arch = "aarch64") {
        183 // EM_AARCH64
    } else {
        243 // EM_RISCV
    };
    // The ABI with double-precision registers, as libc has it.
    const FLAGS: u32 = if cfg!(target_arch = "riscv64") { 4 } else { 0 };
    let headers = FILE_HEADER + PROGRAM_HEADER;
    let length = headers + code.len() as u64;
    let mut file = Vec::new();
    let mut put = |bytes: &[u8]| file.extend_from_slice(bytes);
    put(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0"); // 64 bits, little-endian
    put(&2_u16.to_le_bytes()); // ET_EXEC
    put(&MACHINE.to_le_bytes());
    put(&1_u32.to_le_bytes());
    put(&(ADDRESS + headers).to_le_bytes()); // entry
    put(&FILE_HEADER.to_le_bytes()); // program headers
    put(&0_u64.to_le_bytes()); // no section headers
    put(&FLAGS.to_le_bytes());
    put(&64_u16.to_le_bytes());
    put(&56_u16.to_le_bytes());
    put(&1_u16.to_le_bytes()); // one program header
    put(&[0; 6]);
    put(&1_u32.to_le_bytes()); // PT_LOAD
    put(&5_u32.to_le_bytes()); // PF_R | PF_X
    put(&0_u64.to_le_bytes());
    put(&ADDRESS.to_le_bytes());
    put(&ADDRESS.to_le_bytes());
    put(&length.to_le_bytes());
    put(&length.to_le_bytes());
    put(&0x1000_u64.to_le_bytes()); // alignment
    put(code);
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_is_as_long_as_its_headers_say() {
        let code = sys::init::code();
        assert!((40..400).contains(&code.len()), "{}", code.len());
        let file = elf(code);
        assert_eq!(file.len() as u64, FILE_HEADER + PROGRAM_HEADER + code.len() as u64);
        assert_eq!(file[64 + 32..64 + 40], (file.len() as u64).to_le_bytes());
    }
}
