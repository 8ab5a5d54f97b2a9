//! An interpreter for seccomp programs, for tests and fuzzing. It refuses what it meets and the kernel would not load.

use crate::sys::seccomp::{Instruction, MAX_INSTRUCTIONS};

use super::filter::CallData;

impl CallData {
    fn word(&self, offset: u32) -> Option<u32> {
        let mut bytes = [0; 64];
        bytes[..4].copy_from_slice(&self.number.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.arch.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.instruction_pointer.to_le_bytes());
        for (slot, argument) in bytes[16..].chunks_exact_mut(8).zip(self.arguments) {
            slot.copy_from_slice(&argument.to_le_bytes());
        }
        let start = usize::try_from(offset).ok()?;
        if !offset.is_multiple_of(4) {
            return None;
        }
        Some(u32::from_le_bytes(bytes.get(start..start + 4)?.try_into().ok()?))
    }
}

/// Runs `program`; None if the kernel would not load it, or if it would run off its end.
pub fn run(program: &[Instruction], call: &CallData) -> Option<u32> {
    if program.is_empty() || program.len() > MAX_INSTRUCTIONS {
        return None;
    }
    let mut accumulator = 0;
    let mut at = 0;
    loop {
        let Instruction { code, jt, jf, k } = *program.get(at)?;
        at += 1;
        let taken = match code {
            0x20 => {
                accumulator = call.word(k)?;
                continue;
            }
            0x54 => {
                accumulator &= k;
                continue;
            }
            0x06 => return Some(k),
            0x05 => {
                at += usize::try_from(k).ok()?;
                continue;
            }
            0x15 => accumulator == k,
            0x25 => accumulator > k,
            0x35 => accumulator >= k,
            0x45 => accumulator & k != 0,
            _ => return None,
        };
        at += usize::from(if taken { jt } else { jf });
    }
}
