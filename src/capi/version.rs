//! Version.

use std::ffi::c_char;

use super::constants::SANDLOCK_VERSION_NUMBER;

/// -------------------------------------------------------------------------------------------------------------------
/// Functions: version
/// -------------------------------------------------------------------------------------------------------------------
///
/// The version of the library that is running, as a number: major * 1000000 + minor * 1000 + patch. Equal to
/// SANDLOCK_VERSION_NUMBER when header and library come from the same release. Any thread. Cannot fail.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_version_number() -> u32 {
    SANDLOCK_VERSION_NUMBER
}

/// The version of the library that is running, as text ("0.1.0"). The string is static: never free it. Any thread.
/// Cannot fail.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_version_string() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_number_is_the_crate_version() {
        let part = |text: &str| text.parse::<u32>().unwrap();
        let number = part(env!("CARGO_PKG_VERSION_MAJOR")) * 1_000_000
            + part(env!("CARGO_PKG_VERSION_MINOR")) * 1000
            + part(env!("CARGO_PKG_VERSION_PATCH"));
        assert_eq!(sandlock_version_number(), number);
    }
}
