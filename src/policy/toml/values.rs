//! Reading values, with their places, and telling what is wrong with them.

use std::ffi::CString;
use std::fmt;

use ::toml::Spanned;
use ::toml::de::{DeTable, DeValue};

use crate::error::{Error, Result};

use super::super::Policy;
use super::{from_unicode, word};

/// So many problems are told: what is wrong in one line often is in all that follow.
const MOST_PROBLEMS: usize = 16;

/// So many characters of the text are quoted in a message.
const MOST_QUOTED: usize = 60;

/// A value with its place.
pub(super) type Value<'i> = Spanned<DeValue<'i>>;

/// A key with its value.
pub(super) struct Entry<'a, 'i> {
    /// The key alone.
    pub(super) key: &'a str,
    /// The key with the tables that it is in, for messages.
    pub(super) path: String,
    /// Where the key is.
    pub(super) at: usize,
    pub(super) value: &'a Value<'i>,
}

/// What a table says, in the order of the text.
pub(super) fn entries<'a, 'i>(section: &str, table: &'a DeTable<'i>) -> Vec<Entry<'a, 'i>> {
    let mut entries: Vec<_> = table
        .iter()
        .map(|(key, value)| {
            let name = quoted(key.get_ref());
            Entry {
                key: key.get_ref(),
                path: if section.is_empty() {
                    name
                } else {
                    format!("{section}.{name}")
                },
                at: key.span().start,
                value,
            }
        })
        .collect();
    entries.sort_by_key(|entry| entry.at);
    entries
}

/// Text of the caller's in a message: one line, not long.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted: String = text.chars().take(MOST_QUOTED).flat_map(char::escape_debug).collect();
    if text.chars().nth(MOST_QUOTED).is_some() {
        quoted.push('…');
    }
    quoted
}

/// What an error says, without the step.
pub(super) fn reason(error: &Error) -> &str {
    let message = error.message();
    let rest = message.strip_prefix(error.stage().name());
    rest.and_then(|rest| rest.strip_prefix(": ")).unwrap_or(message)
}

fn type_of(value: &Value<'_>) -> &'static str {
    match value.get_ref() {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a floating-point number",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}

/// A text on its way to a policy.
pub(super) struct Reader<'t> {
    text: &'t str,
    pub(super) check_syscall: &'t dyn Fn(&str) -> Result<()>,
    pub(super) policy: Policy,
    /// The mode of the system calls was said.
    pub(super) has_mode: bool,
    /// The root was said.
    pub(super) has_root: bool,
    problems: Vec<Error>,
    /// Problems beyond the most that are told.
    untold: usize,
}

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t str, check_syscall: &'t dyn Fn(&str) -> Result<()>) -> Self {
        Self {
            text,
            check_syscall,
            policy: Policy::new(),
            has_mode: false,
            has_root: false,
            problems: Vec::new(),
            untold: 0,
        }
    }

    /// The policy, or what is wrong with its text.
    pub(super) fn outcome(self) -> Result<Policy> {
        let mut problems = self.problems;
        if self.untold > 0 {
            problems.push(Error::policy(format_args!("{} more", self.untold)));
        }
        Error::all(problems).map_or(Ok(self.policy), Err)
    }

    /// Tells what is wrong at this byte of the text.
    pub(super) fn problem(&mut self, at: usize, what: impl fmt::Display) {
        if self.problems.len() == MOST_PROBLEMS {
            self.untold += 1;
            return;
        }
        let before = self.text.as_bytes().get(..at).unwrap_or(self.text.as_bytes());
        let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
        let start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        // Characters, not bytes: those of a character but the first are 0b10xxxxxx.
        let column = before.iter().skip(start).filter(|&&byte| byte & 0xc0 != 0x80).count() + 1;
        self.problems
            .push(Error::policy(format_args!("line {line}, column {column}: {what}")));
    }

    pub(super) fn unknown_key(&mut self, entry: &Entry<'_, '_>, known: &[String]) {
        let known = known.join(", ");
        self.problem(
            entry.at,
            format_args!("unknown key \"{}\"; known are {known}", entry.path),
        );
    }

    pub(super) fn wrong_type(&mut self, path: &str, value: &Value<'_>, expected: &str) {
        let found = type_of(value);
        self.problem(
            value.span().start,
            format_args!("{path} must be {expected}, not {found}"),
        );
    }

    /// Tells that a setting was refused.
    pub(super) fn accept(&mut self, path: &str, value: &Value<'_>, outcome: Result<()>) {
        if let Err(error) = outcome {
            self.problem(value.span().start, format_args!("{path}: {}", reason(&error)));
        }
    }

    pub(super) fn table<'a, 'i>(&mut self, path: &str, value: &'a Value<'i>) -> Option<&'a DeTable<'i>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.wrong_type(path, value, "a table");
        }
        table
    }

    /// A table, or several by the same name.
    pub(super) fn tables<'a, 'i>(&mut self, path: &str, value: &'a Value<'i>) -> Vec<&'a DeTable<'i>> {
        match value.get_ref() {
            DeValue::Array(tables) => tables.iter().filter_map(|value| self.table(path, value)).collect(),
            _ => self.table(path, value).into_iter().collect(),
        }
    }

    pub(super) fn array<'a, 'i>(&mut self, path: &str, value: &'a Value<'i>, expected: &str) -> &'a [Value<'i>] {
        match value.get_ref() {
            DeValue::Array(items) => items,
            _ => {
                self.wrong_type(path, value, expected);
                &[]
            }
        }
    }

    pub(super) fn string<'a>(&mut self, path: &str, value: &'a Value<'_>, expected: &str) -> Option<&'a str> {
        let string = value.get_ref().as_str();
        if string.is_none() {
            self.wrong_type(path, value, expected);
        }
        string
    }

    pub(super) fn boolean(&mut self, path: &str, value: &Value<'_>) -> Option<bool> {
        let boolean = value.get_ref().as_bool();
        if boolean.is_none() {
            self.wrong_type(path, value, "true or false");
        }
        boolean
    }

    pub(super) fn bytes(&mut self, path: &str, value: &Value<'_>, expected: &str) -> Option<CString> {
        let string = self.string(path, value, expected)?;
        self.decoded(path, value.span().start, string)
    }

    pub(super) fn decoded(&mut self, path: &str, at: usize, text: &str) -> Option<CString> {
        let bytes = from_unicode(text);
        if bytes.is_none() {
            let what = "a NUL that two hexadecimal digits, 80 to ff, do not follow";
            self.problem(at, format_args!("{path} has {what}"));
        }
        bytes
    }

    /// A number that a `T` can hold.
    pub(super) fn integer<T: TryFrom<i128>>(&mut self, path: &str, value: &Value<'_>, expected: &str) -> Option<T> {
        let DeValue::Integer(number) = value.get_ref() else {
            self.wrong_type(path, value, expected);
            return None;
        };
        let number = i128::from_str_radix(number.as_str(), number.radix()).ok();
        let number = number.and_then(|number| T::try_from(number).ok());
        if number.is_none() {
            self.problem(value.span().start, format_args!("{path} is out of range"));
        }
        number
    }

    /// One of the values of an enum, by name.
    pub(super) fn choice<T: Copy>(
        &mut self,
        path: &str,
        value: &Value<'_>,
        all: &[T],
        name: fn(T) -> &'static str,
    ) -> Option<T> {
        let names = words(all, name);
        let expected = format!("one of {}", names.join(", "));
        let said = self.string(path, value, &expected)?;
        let found = names
            .iter()
            .position(|name| name == said)
            .and_then(|index| all.get(index));
        if found.is_none() {
            let said = quoted(said);
            self.problem(
                value.span().start,
                format_args!("{path} must be {expected}, not \"{said}\""),
            );
        }
        found.copied()
    }
}

pub(super) fn words<T: Copy>(all: &[T], name: fn(T) -> &'static str) -> Vec<String> {
    all.iter().map(|&value| word(name(value))).collect()
}
