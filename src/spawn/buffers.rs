//! Strings and pointer arrays for exec.

use std::ffi::{CStr, CString, c_char};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::error::{Error, ErrorKind, Result, Stage};
use crate::policy::process::{Environment, MINIMAL_ENVIRONMENT, ProcessSettings};

/// Where execvp(3) looks without a PATH.
const DEFAULT_PATH: &[u8] = b"/bin:/usr/bin";

/// What will be executed, with what arguments and environment.
pub(super) struct Launch {
    argv: Vec<CString>,
    environment: Vec<CString>,
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
        let environment = environment(settings);
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
        let pointers = |strings: &[CString]| -> Vec<*const c_char> {
            strings
                .iter()
                .map(|string| string.as_ptr())
                .chain(end.clone())
                .collect()
        };
        let shell = [c"/bin/sh".as_ptr(), std::ptr::null()];
        let arguments = self.argv.iter().skip(1).map(|argument| argument.as_ptr());
        Arrays {
            argv: pointers(&self.argv),
            envp: pointers(&self.environment),
            shell_argv: shell.into_iter().chain(arguments).chain(end.clone()).collect(),
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

fn environment(settings: &ProcessSettings) -> Vec<CString> {
    let mut variables: Vec<CString> = match settings.environment {
        Environment::Minimal => MINIMAL_ENVIRONMENT.iter().map(|&entry| entry.to_owned()).collect(),
        Environment::Inherit => std::env::vars_os()
            .filter_map(|(name, value)| {
                let mut entry = name.into_vec();
                entry.push(b'=');
                entry.extend_from_slice(value.as_bytes());
                CString::new(entry).ok()
            })
            .collect(),
    };
    for (name, value) in &settings.variables {
        variables.retain(|entry| value_of(entry, name.to_bytes()).is_none());
        if let Some(value) = value {
            let entry = [name.to_bytes(), b"=", value.to_bytes()].concat();
            variables.extend(CString::new(entry));
        }
    }
    variables
}

fn value_of<'a>(entry: &'a CStr, name: &[u8]) -> Option<&'a [u8]> {
    entry.to_bytes().strip_prefix(name)?.strip_prefix(b"=")
}

/// The paths to try for `program`: itself if it has a slash, else one for each directory of the PATH that it will have.
fn candidates(program: &CStr, environment: &[CString]) -> Result<Vec<CString>> {
    let name = program.to_bytes();
    if name.contains(&b'/') {
        return Ok(vec![program.to_owned()]);
    }
    let path = environment
        .iter()
        .find_map(|entry| value_of(entry, b"PATH"))
        .unwrap_or(DEFAULT_PATH);
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
        assert_eq!(
            environment(&settings),
            [
                c"PATH=/usr/local/bin:/usr/bin:/bin".into(),
                c"HOME=/h=1".into(),
                CString::from(c"LAN=\xff")
            ]
        );
    }

    #[test]
    fn argv_without_a_program_is_refused() {
        assert!(Launch::new(vec![], &minimal()).is_err());
        assert!(Launch::new(vec![c"".into()], &minimal()).is_err());
    }
}
