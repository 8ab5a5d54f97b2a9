//! From text to policy: what each table says.

use ::toml::de::{DeTable, DeValue};

use crate::error::Result;
use crate::feature::{Feature, Strictness};

use super::super::syscalls::SyscallRule;
use super::super::{
    Access, Environment, Flag, Grace, Limit, Namespace, PathRule, Policy, SyscallMode, UNLIMITED, Verdict, check,
};
use super::values::{Entry, Reader, Value, entries, quoted, reason, words};
use super::{ACCESS_KEYS, CGROUP, DEFAULT_ERRNO, NO_LIMIT, UNITS, errno_by_name, mounts};

/// The policy of `text`, or what is wrong with it.
pub(super) fn read(text: &str, check_syscall: &dyn Fn(&str) -> Result<()>) -> Result<Policy> {
    let mut reader = Reader::new(text, check_syscall);
    let (document, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        reader.document(document.get_ref());
    }
    for error in errors {
        let at = error.span().map_or(text.len(), |span| span.start);
        reader.problem(at, error.message().escape_debug());
    }
    reader.outcome()
}

/// A number of bytes, or of anything: digits and a unit.
pub(super) fn size(text: &str) -> Option<u64> {
    let (digits, shift) = UNITS
        .iter()
        .find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, *shift)))
        .unwrap_or((text, 0));
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

impl Reader<'_> {
    fn document(&mut self, document: &DeTable<'_>) {
        for entry in entries("", document) {
            match entry.key {
                "filesystem" => {
                    for table in self.tables(&entry.path, entry.value) {
                        self.filesystem(table);
                    }
                }
                "syscalls" => {
                    for table in self.tables(&entry.path, entry.value) {
                        self.syscalls(table);
                    }
                }
                "network" => self.section(&entry, Self::network),
                "limits" => self.section(&entry, Self::limits),
                "process" => self.section(&entry, Self::process),
                "strictness" => self.section(&entry, Self::strictness),
                _ => {
                    let known = ["filesystem", "network", "syscalls", "limits", "process", "strictness"];
                    self.unknown_key(&entry, &known.map(str::to_owned));
                }
            }
        }
    }

    fn section(&mut self, entry: &Entry<'_, '_>, read: fn(&mut Self, &DeTable<'_>)) {
        if let Some(table) = self.table(&entry.path, entry.value) {
            read(self, table);
        }
    }

    fn filesystem(&mut self, table: &DeTable<'_>) {
        for entry in entries("filesystem", table) {
            let rights = match entry.key {
                "root" => {
                    self.root(&entry);
                    continue;
                }
                "mounts" => {
                    self.mounts(&entry);
                    continue;
                }
                _ => ACCESS_KEYS.iter().find(|(key, _)| *key == entry.key),
            };
            let Some(&(_, rights)) = rights else {
                let known = ACCESS_KEYS.iter().map(|(key, _)| *key).chain(mounts::KEYS);
                self.unknown_key(&entry, &known.map(str::to_owned).collect::<Vec<_>>());
                continue;
            };
            for item in self.array(&entry.path, entry.value, "an array of paths") {
                if let Some(rule) = self.path_rule(&entry.path, item, rights) {
                    self.policy.paths.push(rule);
                }
            }
        }
    }

    fn path_rule(&mut self, path: &str, item: &Value<'_>, rights: u64) -> Option<PathRule> {
        let mut access = rights;
        let place = match item.get_ref() {
            DeValue::Table(table) => {
                let mut place = None;
                for entry in entries(path, table) {
                    match entry.key {
                        "path" => place = Some(entry.value),
                        "optional" => {
                            if self.boolean(&entry.path, entry.value)? {
                                access |= Access::OPTIONAL;
                            }
                        }
                        _ => self.unknown_key(&entry, &["path", "optional"].map(str::to_owned)),
                    }
                }
                if place.is_none() {
                    self.problem(item.span().start, format_args!("{path}: a table without \"path\""));
                }
                place?
            }
            _ => item,
        };
        let place = self.bytes(path, place, "an array of paths: strings, or tables with \"path\"")?;
        let rule = Access::from_bits(access).and_then(|access| PathRule::new(place, access));
        rule.map_err(|error| self.accept(path, item, Err(error))).ok()
    }

    fn syscalls(&mut self, table: &DeTable<'_>) {
        for entry in entries("syscalls", table) {
            match entry.key {
                "mode" => {
                    if self.has_mode {
                        self.problem(entry.at, format_args!("{} is said a second time", entry.path));
                    }
                    self.has_mode = true;
                    if let Some(mode) = self.choice(&entry.path, entry.value, SyscallMode::ALL, SyscallMode::name) {
                        self.policy.syscalls.mode = mode;
                    }
                }
                "allow" => {
                    for item in self.array(&entry.path, entry.value, "an array of names") {
                        self.syscall_rule(&entry.path, item, Verdict::Allow);
                    }
                }
                "deny" => {
                    for item in self.array(&entry.path, entry.value, "an array of names") {
                        self.denial(&entry.path, item);
                    }
                }
                _ => self.unknown_key(&entry, &["mode", "allow", "deny"].map(str::to_owned)),
            }
        }
    }

    fn denial(&mut self, path: &str, item: &Value<'_>) {
        let mut name = Some(item);
        let mut errno = Some(DEFAULT_ERRNO);
        if let DeValue::Table(table) = item.get_ref() {
            name = None;
            for entry in entries(path, table) {
                match entry.key {
                    "name" => name = Some(entry.value),
                    "errno" => errno = self.errno(&entry),
                    _ => self.unknown_key(&entry, &["name", "errno"].map(str::to_owned)),
                }
            }
            if name.is_none() {
                self.problem(item.span().start, format_args!("{path}: a table without \"name\""));
            }
        }
        let (Some(name), Some(errno)) = (name, errno) else {
            return;
        };
        match check::denial_errno(errno) {
            Ok(errno) => self.syscall_rule(path, name, Verdict::Deny(errno)),
            Err(error) => self.accept(path, item, Err(error)),
        }
    }

    fn errno(&mut self, entry: &Entry<'_, '_>) -> Option<i32> {
        let expected = "the name or number of an errno";
        let Some(name) = entry.value.get_ref().as_str() else {
            return self.integer(&entry.path, entry.value, expected);
        };
        let errno = errno_by_name(name);
        if errno.is_none() {
            let what = format_args!("{}: unknown errno \"{}\"; give its number", entry.path, quoted(name));
            self.problem(entry.value.span().start, what);
        }
        errno
    }

    fn syscall_rule(&mut self, path: &str, item: &Value<'_>, verdict: Verdict) {
        let Some(name) = self.string(path, item, "an array of names") else {
            return;
        };
        if let Err(error) = (self.check_syscall)(name) {
            return self.accept(path, item, Err(error));
        }
        self.policy.syscalls.rules.push(SyscallRule {
            name: name.to_owned(),
            verdict,
        });
    }

    fn limits(&mut self, table: &DeTable<'_>) {
        let names = words(Limit::ALL, Limit::name);
        for entry in entries("limits", table) {
            if entry.key == CGROUP {
                if let Some(path) = self.bytes(&entry.path, entry.value, "a path") {
                    self.accept(&entry.path, entry.value, check::not_empty(&path, "control group"));
                    self.policy.cgroup = Some(path);
                }
                continue;
            }
            let index = names.iter().position(|name| name == entry.key);
            let Some(&limit) = index.and_then(|index| Limit::ALL.get(index)) else {
                let known: Vec<_> = names.iter().cloned().chain([CGROUP.to_owned()]).collect();
                self.unknown_key(&entry, &known);
                continue;
            };
            let Some(value) = self.limit(&entry) else { continue };
            self.policy.limits.insert(limit, value);
            self.accept(&entry.path, entry.value, check::limit(limit, value));
        }
    }

    fn limit(&mut self, entry: &Entry<'_, '_>) -> Option<u64> {
        let expected = "an integer, a string like \"256MiB\", or \"unlimited\"";
        let Some(text) = entry.value.get_ref().as_str() else {
            return self.integer(&entry.path, entry.value, expected);
        };
        if text == NO_LIMIT {
            return Some(UNLIMITED);
        }
        let value = size(text);
        if value.is_none() {
            let what = format_args!("{} must be {expected}, not \"{}\"", entry.path, quoted(text));
            self.problem(entry.value.span().start, what);
        }
        value
    }

    fn process(&mut self, table: &DeTable<'_>) {
        for entry in entries("process", table) {
            let (path, value) = (entry.path.as_str(), entry.value);
            match entry.key {
                "environment" => {
                    let all = [Environment::Inherit, Environment::Minimal];
                    if let Some(environment) = self.choice(path, value, &all, Environment::name) {
                        self.policy.process.environment = environment;
                    }
                }
                "variables" => self.section(&entry, Self::variables),
                "cwd" => {
                    if let Some(cwd) = self.bytes(path, value, "a path") {
                        let outcome = self.policy.process.set_cwd(cwd);
                        self.accept(path, value, outcome);
                    }
                }
                "umask" => {
                    if let Some(mask) = self.umask(&entry) {
                        let outcome = self.policy.process.set_umask(mask);
                        self.accept(path, value, outcome);
                    }
                }
                "nice" => {
                    if let Some(nice) = self.integer(path, value, "an integer") {
                        let outcome = self.policy.process.set_nice(nice);
                        self.accept(path, value, outcome);
                    }
                }
                "cpus" => self.cpus(&entry),
                "grace" => {
                    let expected = "an array of two numbers: a signal, and milliseconds";
                    if let Some([signal, milliseconds]) = self.pair::<u64>(&entry, expected) {
                        let signal = i32::try_from(signal).unwrap_or(i32::MAX);
                        match Grace::new(signal, milliseconds) {
                            Ok(grace) => self.policy.grace = Some(grace),
                            Err(error) => self.accept(path, value, Err(error)),
                        }
                    }
                }
                "user" => {
                    let expected = "an array of two numbers: user and group id";
                    if let Some([user, group]) = self.pair(&entry, expected) {
                        let outcome = self.policy.process.set_user(user, group);
                        self.accept(path, value, outcome);
                    }
                }
                "namespaces" => {
                    for item in self.array(path, value, "an array of names") {
                        if let Some(namespace) = self.choice(path, item, Namespace::ALL, Namespace::name) {
                            self.policy.namespaces.insert(namespace);
                        }
                    }
                }
                "flags" => {
                    for item in self.array(path, value, "an array of names") {
                        if let Some(flag) = self.choice(path, item, Flag::ALL, Flag::name) {
                            self.policy.process.set_flag(flag, true);
                        }
                    }
                }
                _ => {
                    let known = [
                        "environment",
                        "variables",
                        "cwd",
                        "umask",
                        "nice",
                        "cpus",
                        "grace",
                        "user",
                        "namespaces",
                        "flags",
                    ];
                    self.unknown_key(&entry, &known.map(str::to_owned));
                }
            }
        }
    }

    fn variables(&mut self, table: &DeTable<'_>) {
        for entry in entries("process.variables", table) {
            let expected = "a string, or false, which removes it";
            let variable = match entry.value.get_ref() {
                DeValue::Boolean(false) => Some(None),
                DeValue::Boolean(true) => {
                    self.problem(
                        entry.value.span().start,
                        format_args!("{} must be {expected}, not true", entry.path),
                    );
                    None
                }
                _ => self.bytes(&entry.path, entry.value, expected).map(Some),
            };
            let name = self.decoded(&entry.path, entry.at, entry.key);
            let (Some(variable), Some(name)) = (variable, name) else {
                continue;
            };
            if self.policy.process.variables.iter().any(|(known, _)| *known == name) {
                self.problem(entry.at, format_args!("{} is said a second time", entry.path));
                continue;
            }
            if let Err(error) = self.policy.process.set_variable(name, variable) {
                self.problem(entry.at, format_args!("process.variables: {}", reason(&error)));
            }
        }
    }

    /// A mask is octal in anybody's mind: 22 would be taken for 022, and is 026.
    fn umask(&mut self, entry: &Entry<'_, '_>) -> Option<u32> {
        let expected = "octal: 0o022 or \"022\"";
        match entry.value.get_ref() {
            DeValue::Integer(number) if number.radix() == 8 => self.integer(&entry.path, entry.value, expected),
            DeValue::String(digits) => {
                let octal = !digits.is_empty() && digits.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
                let mask = u32::from_str_radix(digits, 8).ok().filter(|_| octal);
                if mask.is_none() {
                    let what = format_args!("{} must be {expected}, not \"{}\"", entry.path, quoted(digits));
                    self.problem(entry.value.span().start, what);
                }
                mask
            }
            DeValue::Integer(_) => {
                let what = format_args!("{} must be {expected}, not another base", entry.path);
                self.problem(entry.value.span().start, what);
                None
            }
            _ => {
                self.wrong_type(&entry.path, entry.value, expected);
                None
            }
        }
    }

    fn cpus(&mut self, entry: &Entry<'_, '_>) {
        let expected = "an array of numbers";
        let items = self.array(&entry.path, entry.value, expected);
        let numbers: Vec<u32> = items
            .iter()
            .filter_map(|item| self.integer(&entry.path, item, expected))
            .collect();
        if numbers.len() == items.len() && entry.value.get_ref().is_array() {
            let outcome = self.policy.process.set_cpus(&numbers);
            self.accept(&entry.path, entry.value, outcome);
        }
    }

    /// Two numbers.
    fn pair<T: TryFrom<i128>>(&mut self, entry: &Entry<'_, '_>, expected: &str) -> Option<[T; 2]> {
        let items = self.array(&entry.path, entry.value, expected);
        let numbers: Vec<T> = items
            .iter()
            .filter_map(|item| self.integer(&entry.path, item, expected))
            .collect();
        // What is no number has been named.
        let complete = numbers.len() == items.len() && entry.value.get_ref().is_array();
        let pair = <[T; 2]>::try_from(numbers).ok();
        if pair.is_none() && complete {
            let what = format_args!("{} must be {expected}", entry.path);
            self.problem(entry.value.span().start, what);
        }
        pair
    }

    fn strictness(&mut self, table: &DeTable<'_>) {
        let names = words(Feature::ALL, Feature::name);
        let mut single = Vec::new();
        for entry in entries("strictness", table) {
            let index = names.iter().position(|name| name == entry.key);
            let feature = index.and_then(|index| Feature::ALL.get(index)).copied();
            if feature.is_none() && entry.key != "all" {
                let known: Vec<_> = std::iter::once("all".to_owned()).chain(names.iter().cloned()).collect();
                self.unknown_key(&entry, &known);
                continue;
            }
            let level = self.choice(&entry.path, entry.value, Strictness::ALL, Strictness::name);
            match (feature, level) {
                (Some(feature), Some(level)) => single.push((feature, level)),
                (None, Some(level)) => {
                    self.policy.set_all_strictness(level);
                }
                (_, None) => {}
            }
        }
        // Whatever their order, what is said of one outranks what is said of all.
        for (feature, level) in single {
            self.policy.set_strictness(feature, level);
        }
    }
}
