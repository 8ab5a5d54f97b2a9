//! Validation of single values.

use std::ffi::{CStr, CString, OsStr};
use std::os::unix::ffi::OsStrExt;

use crate::error::{Error, Result};

use super::Limit;

/// Most processors an affinity set can name.
pub const MAX_CPUS: u32 = 1024;

/// An environment variable's name is not empty and has no `=`.
pub fn variable_name(name: &CStr) -> Result<()> {
    not_empty(name, "variable name")?;
    if name.to_bytes().contains(&b'=') {
        return Err(Error::argument(format_args!("variable name {name:?} contains '='")));
    }
    Ok(())
}

/// A string that must say something does.
pub fn not_empty(text: &CStr, what: &str) -> Result<()> {
    if text.is_empty() {
        Err(Error::argument(format_args!("{what} is empty")))
    } else {
        Ok(())
    }
}

/// What the kernel takes as a string has no NUL in it.
pub fn without_nul(text: &OsStr, what: &str) -> Result<CString> {
    CString::new(text.as_bytes()).map_err(|_| Error::argument(format_args!("{what} {text:?} has a NUL in it")))
}

/// A umask has permission bits only.
pub fn umask(mask: u32) -> Result<()> {
    if mask > 0o777 {
        return Err(Error::argument(format_args!("umask {mask:#o} is above 0777")));
    }
    Ok(())
}

/// A nice value lies between -20 and 19.
pub fn nice(value: i32) -> Result<()> {
    if !(-20..=19).contains(&value) {
        return Err(Error::argument(format_args!(
            "nice value {value} is not within -20 to 19"
        )));
    }
    Ok(())
}

/// A processor set names at least one, none above 1023.
pub fn cpus(cpus: &[u32]) -> Result<()> {
    if cpus.is_empty() {
        return Err(Error::argument("processor set is empty"));
    }
    match cpus.iter().find(|&&cpu| cpu >= MAX_CPUS) {
        Some(cpu) => Err(Error::argument(format_args!(
            "processor {cpu} is above {}",
            MAX_CPUS - 1
        ))),
        None => Ok(()),
    }
}

/// The highest number means no id at all.
pub fn id(id: u32, what: &str) -> Result<()> {
    if id == u32::MAX {
        return Err(Error::argument(format_args!("{what} id {id} is not an id")));
    }
    Ok(())
}

/// The errno of a denied call lies between 1 and 4095, what the kernel takes for an error.
pub fn denial_errno(errno: i32) -> Result<u16> {
    match u16::try_from(errno) {
        Ok(value @ 1..=4095) => Ok(value),
        _ => Err(Error::argument(format_args!("errno {errno} is not within 1 to 4095"))),
    }
}

/// Of what the sandbox has as a whole, processes, threads, memory, disk and time, the program needs some.
pub fn limit(limit: Limit, value: u64) -> Result<()> {
    if value == 0 && limit.resource().is_none() {
        return Err(Error::argument(format_args!(
            "limit {} is 0: no program could run",
            limit.name()
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_at_their_edges_are_accepted_and_beyond_refused() {
        assert!(variable_name(c"A").is_ok());
        assert!(variable_name(c"").is_err());
        assert!(variable_name(c"A=B").is_err());
        assert!(umask(0o777).is_ok());
        assert!(umask(0o1000).is_err());
        assert!(nice(-20).is_ok() && nice(19).is_ok());
        assert!(nice(-21).is_err() && nice(20).is_err());
        assert!(cpus(&[0, 1023]).is_ok());
        assert!(cpus(&[]).is_err() && cpus(&[1024]).is_err());
        assert!(id(0, "user").is_ok() && id(u32::MAX - 1, "user").is_ok() && id(u32::MAX, "user").is_err());
        assert!(denial_errno(1).is_ok() && denial_errno(4095).is_ok());
        assert!(denial_errno(0).is_err() && denial_errno(4096).is_err() && denial_errno(-1).is_err());
    }
}
