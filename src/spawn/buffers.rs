//! Strings and pointer arrays for exec.

use std::ffi::{CStr, CString, c_char};

use crate::error::{Error, ErrorKind, Result, Stage};
use crate::plan::Exec;
use crate::policy::process::{Environment, MINIMAL_ENVIRONMENT, ProcessSettings};
use crate::sys;

/// Where execvp(3) looks without a PATH.
const DEFAULT_PATH: &[u8] = b"/bin:/usr/bin";

/// What will be executed, with what arguments and environment.
pub(super) struct Launch {
    argv: Vec<CString>,
    environment: Variables,
    candidates: Vec<CString>,
}

impl Launch {
    /// Puts together what the program gets. `argv` must name a program.
    pub(super) fn new(argv: Vec<CString>, settings: &ProcessSettings) -> Result<Self> {
        let Some(program) = argv.first().filter(|program| !program.is_empty()) else {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                Stage::Arguments,
                "argv names no program",
            ));
        };
        let environment = Variables::new(settings);
        let candidates = candidates(program, &environment)?;
        Ok(Self {
            argv,
            environment,
            candidates,
        })
    }

    /// The program as the caller named it.
    pub(super) fn program(&self) -> &CStr {
        self.argv.first().map_or(c"", CString::as_c_str)
    }

    /// The arrays for the plan, which borrow from `self`.
    pub(super) fn arrays(&self) -> Arrays<'_> {
        let end = std::iter::once(std::ptr::null());
        let shell = [c"/bin/sh".as_ptr(), std::ptr::null()];
        let arguments = || self.argv.iter().map(|argument| argument.as_ptr());
        Arrays {
            argv: arguments().chain(end.clone()).collect(),
            envp: self.environment.pointers().chain(end.clone()).collect(),
            shell_argv: shell.into_iter().chain(arguments().skip(1)).chain(end).collect(),
            candidates: self.candidates.iter().map(CString::as_c_str).collect(),
        }
    }
}

/// Null-terminated pointer arrays into a [`Launch`].
pub(super) struct Arrays<'a> {
    pub(super) argv: Vec<*const c_char>,
    pub(super) envp: Vec<*const c_char>,
    pub(super) shell_argv: Vec<*const c_char>,
    pub(super) candidates: Vec<&'a CStr>,
}

impl Arrays<'_> {
    /// For the plan.
    pub(super) fn exec(&mut self) -> Exec<'_> {
        Exec {
            candidates: &self.candidates,
            argv: self.argv.as_ptr(),
            envp: self.envp.as_ptr(),
            shell_argv: self.shell_argv.as_mut_ptr(),
        }
    }
}

/// Environment variables as "NAME=VALUE", one behind the other: a host may have many, and every start copies them.
struct Variables {
    bytes: Vec<u8>,
    starts: Vec<usize>,
}

impl Variables {
    /// The variables that `settings` ask for.
    fn new(settings: &ProcessSettings) -> Self {
        let mut variables = Self {
            bytes: Vec::with_capacity(4096),
            starts: Vec::with_capacity(64),
        };
        let changed = |entry: &CStr| {
            settings
                .variables
                .iter()
                .any(|(name, _)| value_of(entry, name.to_bytes()).is_some())
        };
        let mut keep = |entry: &CStr| {
            if !changed(entry) {
                variables.push(&[entry.to_bytes()]);
            }
        };
        match settings.environment {
            Environment::Minimal => MINIMAL_ENVIRONMENT.iter().copied().for_each(keep),
            Environment::Inherit => sys::process::visit_environment(&mut keep),
        }
        for (name, value) in &settings.variables {
            if let Some(value) = value {
                variables.push(&[name.to_bytes(), b"=", value.to_bytes()]);
            }
        }
        variables
    }

    fn push(&mut self, parts: &[&[u8]]) {
        self.starts.push(self.bytes.len());
        parts.iter().for_each(|part| self.bytes.extend_from_slice(part));
        self.bytes.push(0);
    }

    /// The entries, up to and with their NULs.
    fn entries(&self) -> impl Iterator<Item = &[u8]> {
        let ends = self.starts.iter().skip(1).copied().chain([self.bytes.len()]);
        self.starts
            .iter()
            .zip(ends)
            .map(|(&start, end)| &self.bytes[start..end])
    }

    fn pointers(&self) -> impl Iterator<Item = *const c_char> {
        self.entries().map(|entry| entry.as_ptr().cast())
    }

    fn get(&self, name: &[u8]) -> Option<&[u8]> {
        self.entries()
            .filter_map(|entry| CStr::from_bytes_with_nul(entry).ok())
            .find_map(|entry| value_of(entry, name))
    }
}

fn value_of<'a>(entry: &'a CStr, name: &[u8]) -> Option<&'a [u8]> {
    entry.to_bytes().strip_prefix(name)?.strip_prefix(b"=")
}

/// The paths to try for `program`: itself if it has a slash, else one for each directory of the PATH that it will have.
fn candidates(program: &CStr, environment: &Variables) -> Result<Vec<CString>> {
    let name = program.to_bytes();
    if name.contains(&b'/') {
        return Ok(vec![program.to_owned()]);
    }
    let path = environment.get(b"PATH").unwrap_or(DEFAULT_PATH);
    let join = |directory: &[u8]| {
        // An empty element is the working directory.
        let parts: &[&[u8]] = if directory.is_empty() {
            &[b"./", name]
        } else {
            &[directory, b"/", name]
        };
        CString::new(parts.concat())
            .map_err(|_| Error::new(ErrorKind::Internal, Stage::Arguments, "a C string contains NUL"))
    };
    path.split(|&byte| byte == b':').map(join).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minimal() -> ProcessSettings {
        let mut settings = ProcessSettings::default();
        settings.clear_environment();
        settings
    }

    #[test]
    fn program_without_slash_is_looked_up_in_the_path_it_will_have() {
        let mut settings = minimal();
        settings.set_variable(c"PATH".into(), Some(c"/a::/b".into())).unwrap();
        let launch = Launch::new(vec![c"x".into()], &settings).unwrap();
        assert_eq!(
            launch.candidates,
            [c"/a/x".into(), c"./x".into(), CString::from(c"/b/x")]
        );
        settings.set_variable(c"PATH".into(), None).unwrap();
        let launch = Launch::new(vec![c"x".into()], &settings).unwrap();
        assert_eq!(launch.candidates, [c"/bin/x".into(), CString::from(c"/usr/bin/x")]);
        let launch = Launch::new(vec![c"./x".into()], &settings).unwrap();
        assert_eq!(launch.candidates, [CString::from(c"./x")]);
    }

    #[test]
    fn variables_replace_and_remove_whole_names_only() {
        let mut settings = minimal();
        settings.set_variable(c"HOME".into(), Some(c"/h=1".into())).unwrap();
        settings.set_variable(c"LANG".into(), None).unwrap();
        settings.set_variable(c"LAN".into(), Some(c"\xff".into())).unwrap();
        let variables = Variables::new(&settings);
        let entries: Vec<&[u8]> = variables.entries().collect();
        assert_eq!(
            entries,
            [
                &b"PATH=/usr/local/bin:/usr/bin:/bin\0"[..],
                b"HOME=/h=1\0",
                b"LAN=\xff\0"
            ]
        );
    }

    #[test]
    fn argv_without_a_program_is_refused() {
        assert!(Launch::new(vec![], &minimal()).is_err());
        assert!(Launch::new(vec![c"".into()], &minimal()).is_err());
    }
}
