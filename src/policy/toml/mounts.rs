//! The root and the mounts of a policy as text: `filesystem.root` and `filesystem.mounts`.

use std::ffi::CStr;

use ::toml::de::DeValue;

use super::super::{Mount, Policy, Root, Source};
use super::values::{Entry, Reader, Value, entries, quoted};
use super::{read, write};

/// Words for roots that are no directory of the host's. No path is like them: paths of roots begin with "/".
const MEMORY: &str = "memory";
const HOST: &str = "host";

/// Keys that path rules leave for these.
pub(super) const KEYS: [&str; 2] = ["root", "mounts"];

const MOUNT_KEYS: [&str; 4] = ["source", "target", "write", "memory"];

impl Reader<'_> {
    pub(super) fn root(&mut self, entry: &Entry<'_, '_>) {
        if self.has_root {
            self.problem(entry.at, format_args!("{} is said a second time", entry.path));
        }
        self.has_root = true;
        let expected = format!("an absolute path, \"{MEMORY}\" or \"{HOST}\"");
        let Some(said) = self.string(&entry.path, entry.value, &expected) else {
            return;
        };
        self.policy.root = match said {
            MEMORY => Root::Memory,
            HOST => Root::Host,
            _ if !said.starts_with('/') => {
                let what = format_args!("{} must be {expected}, not \"{}\"", entry.path, quoted(said));
                return self.problem(entry.value.span().start, what);
            }
            _ => {
                let Some(path) = self.bytes(&entry.path, entry.value, &expected) else {
                    return;
                };
                match Root::directory(&path) {
                    Ok(root) => root,
                    Err(error) => return self.accept(&entry.path, entry.value, Err(error)),
                }
            }
        };
    }

    pub(super) fn mounts(&mut self, entry: &Entry<'_, '_>) {
        for item in self.array(&entry.path, entry.value, "an array of tables") {
            if let Some(mount) = self.mount(&entry.path, item) {
                let outcome = self.policy.add_mount(mount);
                self.accept(&entry.path, item, outcome);
            }
        }
    }

    /// One mount; what is wrong with it has been told if there is none.
    fn mount(&mut self, path: &str, item: &Value<'_>) -> Option<Mount> {
        let DeValue::Table(table) = item.get_ref() else {
            self.wrong_type(
                path,
                item,
                "an array of tables with \"target\", and \"source\" or \"memory\"",
            );
            return None;
        };
        let (mut source, mut target, mut write, mut memory) = (None, None, None, None);
        // A value that is wrong has been told, and must not be told again as missing.
        let mut sound = true;
        for entry in entries(path, table) {
            let read = match entry.key {
                "source" => self
                    .bytes(&entry.path, entry.value, "a path")
                    .map(|path| source = Some(path)),
                "target" => self
                    .bytes(&entry.path, entry.value, "a path")
                    .map(|path| target = Some(path)),
                "write" => self.boolean(&entry.path, entry.value).map(|value| write = Some(value)),
                "memory" => self.size(&entry).map(|size| memory = Some(size)),
                _ => {
                    self.unknown_key(&entry, &MOUNT_KEYS.map(str::to_owned));
                    None
                }
            };
            sound &= read.is_some();
        }
        if !sound {
            return None;
        }
        let wrong = match (&source, &target, memory, write) {
            (_, None, ..) => "a table without \"target\"",
            (Some(_), _, Some(_), _) => "a table with both \"source\" and \"memory\"",
            (None, _, None, _) => "a table with neither \"source\" nor \"memory\"",
            (None, _, Some(_), Some(_)) => "\"write\" is for \"source\"; memory is always writable",
            _ => "",
        };
        if !wrong.is_empty() {
            self.problem(item.span().start, format_args!("{path}: {wrong}"));
            return None;
        }
        let target = target?;
        let mount = match (source, memory) {
            (Some(source), _) => Mount::bind(&source, &target, write.unwrap_or_default()),
            (None, size) => Mount::memory(&target, size?),
        };
        mount.map_err(|error| self.accept(path, item, Err(error))).ok()
    }

    fn size(&mut self, entry: &Entry<'_, '_>) -> Option<u64> {
        let expected = "a number of bytes, or a string like \"256MiB\"";
        let Some(text) = entry.value.get_ref().as_str() else {
            return self.integer(&entry.path, entry.value, expected);
        };
        let size = read::size(text);
        if size.is_none() {
            let what = format_args!("{} must be {expected}, not \"{}\"", entry.path, quoted(text));
            self.problem(entry.value.span().start, what);
        }
        size
    }
}

/// What a policy says of both, as lines of a table.
pub(super) fn lines(policy: &Policy) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    let root = match &policy.root {
        Root::Host => None,
        Root::Memory => Some(write::string(MEMORY)),
        Root::Directory(path) => Some(write::bytes(path)),
    };
    lines.extend(root.map(|root| ("root".to_owned(), root)));
    if !policy.mounts.is_empty() {
        let mounts: Vec<_> = policy.mounts.iter().map(mount).collect();
        lines.push(("mounts".to_owned(), write::list("mounts", &mounts)));
    }
    lines
}

fn mount(mount: &Mount) -> String {
    let target: &CStr = &mount.target;
    let target = write::bytes(target);
    match &mount.source {
        Source::Memory { size } => format!("{{ target = {target}, memory = {} }}", write::size(*size)),
        Source::Path(source) => {
            let write = if mount.write { ", write = true" } else { "" };
            format!("{{ source = {}, target = {target}{write} }}", write::bytes(source))
        }
    }
}

#[cfg(test)]
#[path = "mounts_tests.rs"]
pub(super) mod tests;
