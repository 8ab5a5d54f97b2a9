//! Structures that can grow: the first member says how much of it the caller knows.
//!
//! As the kernel does it (copy_struct_from_user): a caller with an older header passes a smaller structure, one with a
//! newer header a larger one. What this library does not know must be zero on the way in, and is zero on the way out.

use crate::error::{Error, ErrorKind, Result, Stage};

use super::boundary::null;

/// A public structure.
///
/// # Safety
///
/// The type is `repr(C)`, plain data for which any bytes are valid, starts with a `usize` size, and its first published
/// version had at least `FIRST_SIZE` bytes.
pub(super) unsafe trait Extensible: Copy {
    /// Its name, for messages.
    const NAME: &'static str;
    /// Size of the first published version.
    const FIRST_SIZE: usize;
}

fn check_size<T: Extensible>(size: usize) -> Result<()> {
    if size < T::FIRST_SIZE {
        return Err(Error::argument(format_args!(
            "{}.size is {size}, below {}: use {}_init",
            T::NAME,
            T::FIRST_SIZE,
            T::NAME
        )));
    }
    // Nothing grows that far; a size beyond is uninitialised memory.
    if size > 4096 {
        return Err(Error::argument(format_args!(
            "{}.size is {size}: use {}_init",
            T::NAME,
            T::NAME
        )));
    }
    Ok(())
}

/// Reads a structure from C over `defaults`.
pub(super) fn read<T: Extensible>(from: *const T, defaults: T) -> Result<T> {
    if from.is_null() {
        return Err(null(T::NAME));
    }
    // SAFETY: not NULL, and every version starts with its size.
    let size = unsafe { from.cast::<usize>().read() };
    check_size::<T>(size)?;
    let known = size.min(size_of::<T>());
    // SAFETY: the caller says that `size` bytes are there, and known <= size.
    let beyond = unsafe { std::slice::from_raw_parts(from.cast::<u8>().wrapping_add(known), size - known) };
    if beyond.iter().any(|&byte| byte != 0) {
        return Err(Error::system(
            ErrorKind::Unsupported,
            Stage::Arguments,
            format_args!(
                "{} sets members that this version of the library does not know",
                T::NAME
            ),
            libc::E2BIG,
        ));
    }
    let mut value = defaults;
    // SAFETY: both are valid for `known` bytes, any bytes make a valid T, and they do not overlap.
    unsafe { std::ptr::copy_nonoverlapping(from.cast::<u8>(), (&raw mut value).cast::<u8>(), known) };
    Ok(value)
}

/// Writes `value` to C, as much of it as the caller knows; its size member stays what the caller set.
pub(super) fn write<T: Extensible>(to: *mut T, value: &T) -> Result<()> {
    if to.is_null() {
        return Err(null(T::NAME));
    }
    // SAFETY: not NULL, and every version starts with its size.
    let size = unsafe { to.cast::<usize>().read() };
    check_size::<T>(size)?;
    let known = size.min(size_of::<T>());
    let start = size_of::<usize>();
    // SAFETY: the caller says that `size` bytes are there; known <= both sizes, and they do not overlap.
    unsafe {
        std::ptr::copy_nonoverlapping(
            (&raw const *value).cast::<u8>().wrapping_add(start),
            to.cast::<u8>().wrapping_add(start),
            known - start,
        );
    }
    // SAFETY: as above.
    unsafe { std::ptr::write_bytes(to.cast::<u8>().wrapping_add(known), 0, size - known) };
    Ok(())
}

/// Fills in a structure that the caller declares to be as large as this version's.
pub(super) fn init<T: Extensible>(to: *mut T, value: T) {
    // SAFETY: NULL, or room for a T as the header asks.
    if let Some(to) = unsafe { to.as_mut() } {
        *to = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[repr(C)]
    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Sample {
        size: usize,
        first: u64,
        second: u64,
    }
    // SAFETY: plain data that starts with its size.
    unsafe impl Extensible for Sample {
        const NAME: &'static str = "sample";
        const FIRST_SIZE: usize = 16;
    }
    const DEFAULTS: Sample = Sample {
        size: size_of::<Sample>(),
        first: 1,
        second: 2,
    };

    #[repr(C)]
    struct Newer {
        sample: Sample,
        third: u64,
    }

    #[test]
    fn older_structure_leaves_defaults_in_what_it_lacks() {
        let old = Sample {
            size: 16,
            first: 7,
            second: 8,
        };
        assert_eq!(
            read(&raw const old, DEFAULTS).unwrap(),
            Sample {
                size: 16,
                first: 7,
                second: 2
            }
        );
        let mut out = Sample {
            size: 16,
            first: 0,
            second: 9,
        };
        write(&raw mut out, &DEFAULTS).unwrap();
        assert_eq!(
            out,
            Sample {
                size: 16,
                first: 1,
                second: 9
            }
        );
    }

    #[test]
    fn newer_structure_must_be_zero_in_what_is_unknown() {
        let size = size_of::<Newer>();
        let mut new = Newer {
            sample: Sample {
                size,
                first: 7,
                second: 8,
            },
            third: 0,
        };
        assert_eq!(read((&raw const new).cast(), DEFAULTS).unwrap().first, 7);
        new.third = 1;
        let error = read::<Sample>((&raw const new).cast(), DEFAULTS).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        write((&raw mut new).cast(), &DEFAULTS).unwrap();
        assert_eq!((new.sample.first, new.third, new.sample.size), (1, 0, size));
    }

    #[test]
    fn sizes_out_of_range_and_null_are_refused() {
        for size in [0, 15, 4097, usize::MAX] {
            let mut bad = Sample {
                size,
                first: 0,
                second: 0,
            };
            assert!(read(&raw const bad, DEFAULTS).is_err());
            assert!(write(&raw mut bad, &DEFAULTS).is_err());
        }
        assert!(read(std::ptr::null(), DEFAULTS).is_err());
    }
}
