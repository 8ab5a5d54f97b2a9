//! Policies as TOML: any text, and texts put together of what policies are made of.
//!
//! Nothing may panic. A text that is refused is refused with one line that says where; one that is accepted is written as
//! a text that means the same, and that text as itself.

#![no_main]

use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;

use sandlock::compile::syscalls::check_name;
use sandlock::feature::{Feature, Strictness};
use sandlock::policy::{Flag, Limit, Policy};
use sandlock::sandbox::Sandbox;

/// Pieces of texts. A first byte of the input that has a text put together takes these by number.
const PIECES: &[&str] = &[
    "\n",
    " ",
    "\t",
    "=",
    ".",
    ",",
    "[",
    "]",
    "{",
    "}",
    "\"",
    "'",
    "\"\"\"",
    "'''",
    "#",
    "\\",
    "[[",
    "]]",
    " = ",
    "\r\n",
    "[filesystem]\n",
    "[[filesystem]]\n",
    "[network]\n",
    "[syscalls]\n",
    "[[syscalls]]\n",
    "[limits]\n",
    "[process]\n",
    "[process.variables]\n",
    "[strictness]\n",
    "filesystem",
    "network",
    "syscalls",
    "limits",
    "process",
    "variables",
    "strictness",
    "read",
    "write",
    "execute",
    "read-execute",
    "read-write",
    "write-execute",
    "all",
    "path",
    "optional",
    "tcp = \"deny\"\n",
    "allow-bind = [",
    "deny-bind = [",
    "\"tcp://a.example:443\"",
    "\"10.0.0.0/8\"",
    "\"unix:/run/*\"",
    "\"80,8000-8999\"",
    "mode = ",
    "allow = [",
    "deny = [",
    "name",
    "errno",
    "environment = ",
    "cwd = ",
    "umask = ",
    "nice = ",
    "cpus = [",
    "flags = [",
    "read = [\"/usr\", ",
    "{ path = \"/lib64\", optional = true }",
    "{ name = \"socket\", errno = ",
    "\"ENOSYS\"",
    "\"EPERM\"",
    "\"denylist\"",
    "\"allowlist\"",
    "\"minimal\"",
    "\"inherit\"",
    "\"unlimited\"",
    "\"256MiB\"",
    "\"1TiB\"",
    "\"socket\"",
    "\"@mount\"",
    "\"/\"",
    "0o022",
    "0x10",
    "0b1",
    "1_000",
    "-20",
    "0",
    "1",
    "38",
    "4095",
    "4096",
    "18446744073709551615",
    "18446744073709551616",
    "1.5",
    "inf",
    "nan",
    "true",
    "false",
    "1979-05-27T07:32:00Z",
    "07:32:00",
    "\\u0000ff",
    "\\u000041",
    "\\u0000",
    "\\U0001F600",
    "\\x00",
    "\\e",
    "\u{0}",
    "\u{7f}",
    "é",
    "\u{feff}",
    "\u{2028}",
];

fuzz_target!(|data: &[u8]| {
    let (kind, rest) = data.split_first().map_or((0, data), |(first, rest)| (*first, rest));
    if kind % 4 == 0 {
        exercise(&String::from_utf8_lossy(rest));
    } else if let Ok(text) = text(&mut Unstructured::new(rest)) {
        exercise(&text);
    }
});

fn text(bytes: &mut Unstructured) -> Result<String> {
    let mut text = String::new();
    while !bytes.is_empty() && text.len() < 4096 {
        match bytes.int_in_range(0..=9)? {
            0 => text.push(bytes.arbitrary()?),
            1 => text.push_str(&word(bytes.choose(Limit::ALL)?.name())),
            2 => text.push_str(&word(bytes.choose(Flag::ALL)?.name())),
            3 => text.push_str(&word(bytes.choose(Feature::ALL)?.name())),
            4 => {
                let level = bytes.choose(Strictness::ALL)?.name();
                text.push_str(&format!(" = \"{level}\"\n"));
            }
            _ => text.push_str(bytes.choose(PIECES)?),
        }
    }
    Ok(text)
}

fn word(name: &str) -> String {
    name.to_ascii_lowercase().replace('_', "-")
}

fn exercise(text: &str) {
    let read = Policy::from_toml(text);
    let checked = Sandbox::from_toml(text);
    let policy = match read {
        Ok(policy) => policy,
        Err(error) => {
            refused(error.message());
            assert!(checked.is_err(), "names are checked and nothing else is");
            return;
        }
    };
    let names_known = policy.syscalls.rules.iter().all(|rule| check_name(&rule.name).is_ok());
    match checked {
        Ok(sandbox) => assert!(names_known && *sandbox.policy() == policy, "{text:?}"),
        Err(error) => {
            refused(error.message());
            assert!(!names_known, "{text:?} is refused: {error}");
        }
    }
    let written = policy.to_toml();
    let again = Policy::from_toml(&written);
    assert_eq!(again.as_ref(), Ok(&policy), "{text:?} is written as {written:?}");
    assert_eq!(policy.to_toml(), written);
    assert_eq!(again.map(|again| again.to_toml()).as_deref(), Ok(written.as_str()));
}

fn refused(message: &str) {
    let place = message.contains("policy: line ") && message.contains(", column ");
    assert!(place && !message.contains(char::is_control), "{message:?}");
    assert!(message.len() < 64 << 10, "{} bytes", message.len());
}
