//! Anonymous memory for a child's stack and for what it writes for its parent to read.

use core::ptr::NonNull;

use super::{Errno, Result, check};

/// An anonymous mapping with an unreadable guard page below it, unmapped on drop.
#[derive(Debug)]
pub struct Mapping {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: the mapping is plain memory that this value owns; nothing about it is tied to a thread.
unsafe impl Send for Mapping {}
// SAFETY: a shared reference gives the end's address, which never changes.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `usable` bytes, zeroed, above a guard page. `shared` makes writes visible across fork.
    pub fn new(usable: usize, shared: bool) -> Result<Self> {
        const GUARD: usize = 65536; // at least one page on every architecture
        let length = usable.checked_add(GUARD).ok_or(Errno(libc::ENOMEM))?;
        let sharing = if shared { libc::MAP_SHARED } else { libc::MAP_PRIVATE };
        // SAFETY: asks for new memory anywhere; no existing mapping is touched.
        let start = unsafe {
            libc::mmap(
                core::ptr::null_mut(),
                length,
                libc::PROT_NONE,
                sharing | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(Errno::last());
        }
        let start = NonNull::new(start.cast::<u8>()).ok_or(Errno(libc::ENOMEM))?;
        let mapping = Self { start, length };
        // SAFETY: GUARD <= length, so the result stays inside the mapping.
        let usable_start = unsafe { start.as_ptr().add(GUARD) };
        // SAFETY: the range is the upper part of our own fresh mapping.
        check(unsafe { libc::mprotect(usable_start.cast(), usable, libc::PROT_READ | libc::PROT_WRITE) })?;
        Ok(mapping)
    }

    /// One past the last byte; page-aligned when the usable length was.
    pub fn end(&self) -> *mut u8 {
        // SAFETY: one past the end of the mapping is a valid pointer to form.
        unsafe { self.start.as_ptr().add(self.length) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range is ours and nobody holds a reference into it any more: users borrow the Mapping.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.length) };
    }
}
