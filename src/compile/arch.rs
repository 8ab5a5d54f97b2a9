//! Architectures, and the names and numbers of their system calls.

use super::{table_aarch64, table_groups, table_riscv64, table_x86_64};

/// An architecture whose system calls are known by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arch {
    /// 64-bit x86, without x32.
    X86_64,
    /// 64-bit Arm, little endian.
    Aarch64,
    /// 64-bit RISC-V.
    Riscv64,
}

impl Arch {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::X86_64, Self::Aarch64, Self::Riscv64];

    /// The one this library is built for.
    #[cfg(target_arch = "x86_64")]
    pub const NATIVE: Self = Self::X86_64;
    /// The one this library is built for.
    #[cfg(target_arch = "aarch64")]
    pub const NATIVE: Self = Self::Aarch64;
    /// The one this library is built for.
    #[cfg(target_arch = "riscv64")]
    pub const NATIVE: Self = Self::Riscv64;

    /// AUDIT_ARCH_*: what the kernel tells a filter. Other ABIs of the same processor (32-bit ones) differ in it.
    pub const fn audit(self) -> u32 {
        const IS_64_BIT: u32 = 0x8000_0000;
        const LITTLE_ENDIAN: u32 = 0x4000_0000;
        let machine = match self {
            Self::X86_64 => 62,
            Self::Aarch64 => 183,
            Self::Riscv64 => 243,
        };
        IS_64_BIT | LITTLE_ENDIAN | machine
    }

    /// The bit that marks numbers of a second ABI with the same AUDIT_ARCH, if there is one: x32.
    pub const fn foreign_bit(self) -> Option<u32> {
        match self {
            Self::X86_64 => Some(0x4000_0000),
            Self::Aarch64 | Self::Riscv64 => None,
        }
    }

    fn table(self) -> &'static [(&'static str, u32)] {
        match self {
            Self::X86_64 => table_x86_64::TABLE,
            Self::Aarch64 => table_aarch64::TABLE,
            Self::Riscv64 => table_riscv64::TABLE,
        }
    }

    /// Number of the call `name`; None if this architecture has no such call.
    pub fn number(self, name: &str) -> Option<u32> {
        let table = self.table();
        let index = table.binary_search_by_key(&name, |entry| entry.0).ok()?;
        Some(table[index].1)
    }

    /// Name of the call `number`.
    pub fn name(self, number: u32) -> Option<&'static str> {
        self.table().iter().find(|entry| entry.1 == number).map(|entry| entry.0)
    }

    /// All known numbers, unordered.
    pub fn numbers(self) -> impl Iterator<Item = u32> {
        self.table().iter().map(|entry| entry.1)
    }

    /// The first number beyond all known ones: a call newer than the table.
    pub fn first_unknown(self) -> u32 {
        self.numbers().max().map_or(0, |highest| highest + 1)
    }
}

/// True if some architecture has a call of this name.
pub fn is_known(name: &str) -> bool {
    Arch::ALL.iter().any(|arch| arch.number(name).is_some())
}

/// Members of the group `name`, which starts with `@`; None if there is no such group.
pub fn group(name: &str) -> Option<&'static [&'static str]> {
    let index = table_groups::GROUPS.binary_search_by_key(&name, |entry| entry.0).ok()?;
    Some(table_groups::GROUPS[index].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted_and_agree_with_libc() {
        for arch in Arch::ALL {
            assert!(arch.table().is_sorted_by(|a, b| a.0 < b.0), "{arch:?}");
        }
        assert!(table_groups::GROUPS.is_sorted_by(|a, b| a.0 < b.0));
        for (name, number) in [
            ("openat2", libc::SYS_openat2),
            ("execve", libc::SYS_execve),
            ("close_range", libc::SYS_close_range),
            ("landlock_restrict_self", libc::SYS_landlock_restrict_self),
        ] {
            assert_eq!(Arch::NATIVE.number(name).map(i64::from), Some(number), "{name}");
        }
    }

    #[test]
    fn every_member_of_a_group_is_a_known_call() {
        for (name, members) in table_groups::GROUPS {
            assert!(members.iter().all(|member| is_known(member)), "{name}");
        }
    }

    #[test]
    fn legacy_calls_exist_on_x86_only() {
        assert!(Arch::X86_64.number("creat").is_some());
        assert_eq!(Arch::Aarch64.number("creat"), None);
        assert!(is_known("creat"));
        assert!(!is_known("no_such_call"));
    }
}
