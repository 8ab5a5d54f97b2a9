//! Suggestions: what a traced run lacked.

use std::ffi::{CString, c_char};
use std::fmt::Write;

use crate::policy::Access;
use crate::supervisor::Suggestions;

use super::boundary::{c_string, free, into_handle, null, status, value};
use super::constants::sandlock_status;
use super::error::sandlock_error;
use super::supervisor::{on, sandlock_supervisor};

/// What traced programs lacked. Made by sandlock_trace_suggest(), freed with sandlock_suggestions_free(). Never changes; any thread.
pub struct sandlock_suggestions {
    text: CString,
    count: usize,
}

/// From so many files of a directory on that are only to be read, the directory is suggested instead.
const MANY: usize = 4;

impl sandlock_suggestions {
    fn new(suggestions: &Suggestions) -> Self {
        let mut lines = Vec::new();
        for (path, access) in gathered(suggestions) {
            let words: Vec<String> = Access::of(access)
                .words()
                .iter()
                .map(|word| format!("SANDLOCK_ACCESS_{word}"))
                .collect();
            lines.push(format!(
                "sandlock_policy_allow_path(policy, \"{}\", {}, &error);",
                c_escaped(path.as_slice()),
                words.join(" | ")
            ));
        }
        for name in &suggestions.syscalls {
            lines.push(format!("sandlock_policy_allow_syscall(policy, \"{name}\", &error);"));
        }
        for (permit, rule) in &suggestions.network {
            let rule = c_escaped(rule.as_bytes());
            lines.push(format!("sandlock_policy_{permit}(policy, \"{rule}\", &error);"));
        }
        let mut text = String::new();
        for line in &lines {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{line}");
        }
        Self {
            text: c_string(&text),
            count: lines.len(),
        }
    }
}

/// Paths with bits of access, many files that are read in one directory as that.
fn gathered(suggestions: &Suggestions) -> Vec<(Vec<u8>, u64)> {
    let directory = |path: &[u8]| {
        let end = path.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
        path[..end.max(1)].to_vec()
    };
    let only_read = |access: u64| access & !(Access::READ | Access::EXECUTE) == 0;
    let mut found: Vec<(Vec<u8>, u64)> = Vec::new();
    for (path, &access) in &suggestions.paths {
        let path = path.to_bytes();
        let near = directory(path);
        let siblings = suggestions
            .paths
            .iter()
            .filter(|(other, access)| only_read(**access) && directory(other.to_bytes()) == near);
        let as_directory = only_read(access) && near != b"/" && siblings.count() >= MANY;
        let place = if as_directory { near } else { path.to_vec() };
        match found.iter_mut().find(|(known, _)| *known == place) {
            Some((_, known)) => *known |= access,
            None => found.push((place, access)),
        }
    }
    found
}

/// As C takes it between quotes; what is not printable in octal, which has an end.
fn c_escaped(bytes: &[u8]) -> String {
    let mut text = String::new();
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => {
                text.push('\\');
                text.push(char::from(byte));
            }
            b' '..=b'~' => text.push(char::from(byte)),
            _ => {
                let _ = write!(text, "\\{byte:03o}");
            }
        }
    }
    text
}

/// -------------------------------------------------------------------------------------------------------------------
/// Functions: suggestions
/// -------------------------------------------------------------------------------------------------------------------
///
/// To learn what a program needs, run it under a policy that is too strict, traced, and ask for suggestions; add what is right of them, and run it again, until it does its work: a program that is refused something may never come to
/// what it wants next. What a hostile program wants is suggested like everything else: read before you allow.
///
/// -------------------------------------------------------------------------------------------------------------------
///
/// Has sandboxes that are started with the supervisor from now on traced, as an observer of SANDLOCK_EVENT_MISSING does, for those who want
/// nothing but suggestions.
///
/// INVALID_ARGUMENT: NULL. STATE: the supervisor was made before this process was forked. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_supervisor_trace(
    supervisor: *mut sandlock_supervisor,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    status(error, || {
        on(supervisor)?.trace();
        Ok(())
    })
}

/// Gathers what the programs that were traced under `supervisor` have lacked so far, as policy calls in C. On success the caller owns `*out`.
///
/// INVALID_ARGUMENT: NULL. STATE: the supervisor was made before this process was forked. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_trace_suggest(
    supervisor: *const sandlock_supervisor,
    out: *mut *mut sandlock_suggestions,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    status(error, || {
        let supervisor = on(supervisor)?;
        if out.is_null() {
            return Err(null("out"));
        }
        let suggestions = sandlock_suggestions::new(&supervisor.suggestions());
        // SAFETY: not NULL, and writable as the header asks.
        unsafe { out.write(into_handle(suggestions)) };
        Ok(())
    })
}

/// How many calls are suggested; 0 for NULL. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_suggestions_count(suggestions: *const sandlock_suggestions) -> usize {
    // SAFETY: NULL or live suggestions, as the header asks.
    unsafe { suggestions.as_ref() }.map_or(0, |suggestions| suggestions.count)
}

/// The calls, one to a line, ready to be pasted where `policy` and `error` are: path rules in the order of their paths, then system
/// calls, then network rules. Four or more files of one directory that are only to be read are suggested as the directory; /
/// itself never is, which would permit all files. "" if there are none, or for NULL. Borrowed: valid until they are freed. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_suggestions_text(suggestions: *const sandlock_suggestions) -> *const c_char {
    // SAFETY: NULL or live suggestions, as the header asks.
    let suggestions = unsafe { suggestions.as_ref() };
    value(c"".as_ptr(), || {
        suggestions.map_or(c"".as_ptr(), |suggestions| suggestions.text.as_ptr())
    })
}

/// Frees suggestions, and their text. NULL is allowed. Any thread, when no other uses them any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sandlock_suggestions_free(suggestions: *mut sandlock_suggestions) {
    // SAFETY: NULL or suggestions that this library made and nobody freed.
    unsafe { free(suggestions) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggestions_are_calls_in_c() {
        let mut suggestions = Suggestions::default();
        for name in ["a", "b", "c", "d"] {
            let path = CString::new(format!("/etc/{name}")).unwrap();
            suggestions.paths.insert(path, Access::READ);
        }
        suggestions.paths.insert(c"/etc/e".into(), Access::READ | Access::WRITE);
        suggestions.paths.insert(c"/tmp/\"\\\x0a1".into(), Access::EXECUTE);
        suggestions.syscalls.insert("socket".to_owned());
        for (permit, rule) in [("allow_net", "tcp://127.0.0.1:80"), ("allow_bind", "8080")] {
            suggestions.network.insert((permit, rule.to_owned()));
        }
        let made = sandlock_suggestions::new(&suggestions);
        assert_eq!(made.count, 6);
        assert_eq!(
            made.text.to_str().unwrap(),
            "sandlock_policy_allow_path(policy, \"/etc\", SANDLOCK_ACCESS_READ, &error);\n\
             sandlock_policy_allow_path(policy, \"/etc/e\", SANDLOCK_ACCESS_READ | SANDLOCK_ACCESS_WRITE, &error);\n\
             sandlock_policy_allow_path(policy, \"/tmp/\\\"\\\\\\0121\", SANDLOCK_ACCESS_EXECUTE, &error);\n\
             sandlock_policy_allow_syscall(policy, \"socket\", &error);\n\
             sandlock_policy_allow_bind(policy, \"8080\", &error);\n\
             sandlock_policy_allow_net(policy, \"tcp://127.0.0.1:80\", &error);\n"
        );
    }
}
