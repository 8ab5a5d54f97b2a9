//! Stretches of a rule, and what is wrong with them.

use crate::error::Error;

/// What is wrong, and at which byte.
#[derive(Debug)]
pub(super) struct Fault {
    at: usize,
    what: String,
}

pub(super) type Parsed<T> = Result<T, Fault>;

/// So many characters of a rule are quoted; names of hosts are shorter.
const MOST_QUOTED: usize = 280;

impl Fault {
    /// The error, for who wrote `rule`.
    pub(super) fn of(self, rule: &str) -> Error {
        let before = rule.as_bytes().get(..self.at).unwrap_or(rule.as_bytes());
        // Characters, not bytes: those of a character but the first are 0b10xxxxxx.
        let column = before.iter().filter(|&&byte| byte & 0xc0 != 0x80).count() + 1;
        let quoted = quoted(rule, MOST_QUOTED);
        Error::argument(format_args!("rule \"{quoted}\", column {column}: {}", self.what))
    }
}

/// Text of a rule in a message: one line, not long.
fn quoted(text: &str, most: usize) -> String {
    let mut quoted: String = text.chars().take(most).flat_map(char::escape_debug).collect();
    if text.chars().nth(most).is_some() {
        quoted.push('…');
    }
    quoted
}

/// A stretch of a rule.
#[derive(Clone, Copy)]
pub(super) struct Part<'r> {
    pub(super) text: &'r str,
    /// At which byte of the rule it begins.
    pub(super) at: usize,
}

impl<'r> Part<'r> {
    /// Something is wrong with it, `beyond` bytes from where it begins.
    pub(super) fn fault<T>(self, beyond: usize, what: impl Into<String>) -> Parsed<T> {
        Err(Fault {
            at: self.at + beyond,
            what: what.into(),
        })
    }

    /// What is before and after `separator`, where it comes first.
    pub(super) fn split(self, separator: &str) -> Option<(Self, Self)> {
        let (before, after) = self.text.split_once(separator)?;
        let at = self.at + before.len() + separator.len();
        let before = Part { text: before, ..self };
        Some((before, Part { text: after, at }))
    }

    /// What follows `prefix`.
    pub(super) fn after(self, prefix: &str) -> Option<Self> {
        let text = self.text.strip_prefix(prefix)?;
        let at = self.at + prefix.len();
        Some(Part { text, at })
    }

    /// What is between separators.
    pub(super) fn pieces(self, separator: char) -> impl Iterator<Item = Part<'r>> {
        let mut next = self.at;
        self.text.split(separator).map(move |text| {
            let at = next;
            next += text.len() + separator.len_utf8();
            Part { text, at }
        })
    }

    pub(super) fn short(self) -> String {
        quoted(self.text, 40)
    }
}
