//! What a program in a mount namespace of its own sees: from the policy's root, mounts and path rules to what the child does about them.
//!
//! There, paths mean what they mean to the program. So path rules and the working directory are not opened here, beforehand and for many
//! runs, but by the child, when everything is mounted.

use std::ffi::{CStr, CString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use landlock::{AccessFs, BitFlags};

use crate::compile::Compiled;
use crate::compile::landlock::RulesetSpec;
use crate::error::{Error, Stage, path_error_kind};
use crate::feature::Feature;
use crate::plan::{MountPlan, MountSource, NewRoot, Place, PlannedMount, PlannedRule, RulesetPlan};
use crate::policy::{Policy, Root, Source};
use crate::sys;
use crate::sys::fd::{FileCell, FileId};
use crate::sys::landlock::Handled;

use super::prepare::Prepared;

/// The view of a policy.
pub(crate) struct View {
    root: Root,
    mounts: Vec<Entry>,
    proc_places: Vec<Made>,
    /// The working directory.
    pub(super) cwd: Option<CString>,
    ruleset: Option<RulesetSpec>,
    /// The policy's path rules: what may be found under them is noted.
    paths: Vec<(CString, bool)>,
}

/// A mount.
struct Entry {
    source: MountedFrom,
    target: CString,
    write: bool,
    places: Vec<Made>,
}

enum MountedFrom {
    Path(CString),
    /// The size in decimal digits.
    Memory(CString),
}

/// A directory or file that is made to mount something on.
struct Made {
    parent: CString,
    name: CString,
    file: bool,
}

/// The files that path rules lead to in the view of one program, as far as they were there.
pub(crate) type FilesOfRules = Arc<[FileCell]>;

impl View {
    /// The view, if `policy` gives the program one of its own. The paths of the host that it is made of go into `stamps`.
    pub(super) fn of(
        policy: &Policy,
        compiled: &Compiled,
        stamps: &mut Vec<(CString, Option<FileId>)>,
    ) -> Result<Option<Self>, Vec<Error>> {
        if !compiled.decisions.uses(Feature::NsMount) {
            return Ok(None);
        }
        let mut problems = Vec::new();
        let mut look_at = |path: &CString| {
            let id = sys::fd::identify_path(path);
            if let Err(sys::Errno(errno)) = id {
                let what = format!("cannot find \"{}\" to mount it", path.as_bytes().escape_ascii());
                problems.push(Error::system(path_error_kind(errno), Stage::Namespaces, what, errno));
            }
            stamps.push((path.clone(), id.ok()));
            id.is_ok_and(|id| id.directory)
        };
        if let Root::Directory(path) = &policy.root {
            look_at(path);
        }
        let entry = |mount: &crate::policy::Mount| {
            let (source, directory) = match &mount.source {
                Source::Path(path) => (MountedFrom::Path(path.clone()), look_at(path)),
                Source::Memory { size } => (MountedFrom::Memory(decimal(*size)), true),
            };
            Entry {
                source,
                places: places_for(&mount.target, !directory),
                target: mount.target.clone(),
                write: mount.write,
            }
        };
        let mounts = policy.mounts.iter().map(entry).collect();
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Some(Self {
            root: policy.root.clone(),
            mounts,
            proc_places: places_for(c"/proc", false),
            cwd: policy.process.cwd.clone(),
            ruleset: compiled.ruleset.clone(),
            paths: policy
                .paths
                .iter()
                .map(|rule| (rule.path.clone(), rule.access.is_optional()))
                .collect(),
        }))
    }

    /// Room for the files of one run.
    pub(super) fn files_of_rules(&self) -> FilesOfRules {
        self.paths.iter().map(|_| FileCell::default()).collect()
    }

    /// What the step that mounts was about when it failed: a part of it, as the record numbers them.
    pub(super) fn name_of_mount(&self, part: usize) -> String {
        match part {
            MountPlan::ROOT => match &self.root {
                Root::Directory(path) => format!("the root \"{}\"", path.as_bytes().escape_ascii()),
                _ => "the root".to_owned(),
            },
            MountPlan::PROC => "/proc".to_owned(),
            MountPlan::ENTER => "the new root, instead of the present one".to_owned(),
            _ => {
                let index = part.checked_sub(MountPlan::MOUNTS).map(|index| index / 2);
                let Some(entry) = index.and_then(|index| self.mounts.get(index)) else {
                    return "anything".to_owned();
                };
                let target = entry.target.as_bytes().escape_ascii();
                match &entry.source {
                    MountedFrom::Path(path) if part % 2 == MountPlan::MOUNTS % 2 => {
                        format!("\"{}\" (what is to be mounted)", path.as_bytes().escape_ascii())
                    }
                    MountedFrom::Path(path) => {
                        format!("\"{}\" at \"{target}\" (the place)", path.as_bytes().escape_ascii())
                    }
                    MountedFrom::Memory(_) => format!("memory at \"{target}\""),
                }
            }
        }
    }

    /// What the step that restricts was about: a rule's path.
    pub(super) fn name_of_rule(&self, part: usize) -> Option<String> {
        let before = usize::from(self.ruleset.as_ref().is_some_and(|spec| spec.refer_everywhere));
        let index = part.checked_sub(1)?.checked_sub(before)?;
        let (path, _) = self.paths.get(index)?;
        Some(format!("\"{}\" of a path rule", path.as_bytes().escape_ascii()))
    }
}

/// The view as the child of one run takes it.
pub(super) struct RunView<'a> {
    view: Option<&'a View>,
    /// Where mounts are mounted on.
    places: Vec<Vec<Place<'a>>>,
    proc_places: Vec<Place<'a>>,
}

impl<'a> RunView<'a> {
    /// For a run of `prepared`; of no consequence if its programs have no view of their own.
    pub(super) fn of(prepared: &'a Prepared) -> Self {
        let view = prepared.view.as_ref();
        let places = |view: &'a View| view.mounts.iter().map(|entry| planned(&entry.places)).collect();
        Self {
            view,
            places: view.map_or_else(Vec::new, places),
            proc_places: view.map_or_else(Vec::new, |view| planned(&view.proc_places)),
        }
    }

    /// What is mounted.
    pub(super) fn mounts(&self) -> Vec<PlannedMount<'_>> {
        let Some(view) = self.view else { return Vec::new() };
        let planned = |(entry, places): (&'a Entry, _)| PlannedMount {
            source: match &entry.source {
                MountedFrom::Path(path) => MountSource::Path(path),
                MountedFrom::Memory(size) => MountSource::Memory(size),
            },
            target: &entry.target,
            write: entry.write,
            places,
            parked: (-1).into(),
        };
        let places = self.places.iter().map(Vec::as_slice);
        view.mounts.iter().zip(places).map(planned).collect()
    }

    /// All of it.
    pub(super) fn plan<'b>(&'b self, mounts: &'b [PlannedMount<'b>]) -> Option<MountPlan<'b>> {
        Some(MountPlan {
            root: match &self.view?.root {
                Root::Host => NewRoot::Unchanged,
                Root::Directory(path) => NewRoot::Directory(path),
                Root::Memory => NewRoot::Memory,
            },
            mounts,
            proc_places: &self.proc_places,
        })
    }

    /// The rules, whose files are noted in `found`.
    pub(super) fn rules<'b>(&'b self, found: &'b [FileCell]) -> Vec<PlannedRule<'b>> {
        let Some((view, spec)) = self.view.and_then(|view| Some((view, view.ruleset.as_ref()?))) else {
            return Vec::new();
        };
        let everywhere = spec.refer_everywhere.then(|| PlannedRule {
            path: c"/",
            directory: BitFlags::from(AccessFs::Refer).bits(),
            file: 0,
            optional: false,
            found: None,
        });
        let rule = |(index, (path, optional)): (usize, &'b (CString, bool))| {
            // Without file rights, rules grant nothing, but services ask what they lead to.
            let grant = spec.rules.get(index);
            PlannedRule {
                path,
                directory: grant.map_or(0, |grant| grant.directory.bits()),
                file: grant.map_or(0, |grant| grant.file.bits()),
                optional: *optional,
                found: found.get(index),
            }
        };
        let of_paths = view.paths.iter().enumerate().map(rule);
        everywhere.into_iter().chain(of_paths).collect()
    }

    /// The ruleset with these rules, if there is one.
    pub(super) fn ruleset<'b>(&self, rules: &'b [PlannedRule<'b>]) -> Option<RulesetPlan<'b>> {
        let spec = self.view?.ruleset.as_ref()?;
        Some(RulesetPlan {
            handled: Handled {
                files: spec.files.bits(),
                network: spec.network.bits(),
                scopes: spec.scopes.bits(),
            },
            rules,
        })
    }
}

fn planned(made: &[Made]) -> Vec<Place<'_>> {
    made.iter()
        .map(|made| Place {
            parent: &made.parent,
            name: &made.name,
            file: made.file,
        })
        .collect()
}

/// What must be made for `target`, from the top: its directories, and it.
fn places_for(target: &CStr, file: bool) -> Vec<Made> {
    let path = Path::new(std::ffi::OsStr::from_bytes(target.to_bytes()));
    let mut all: Vec<Made> = path
        .ancestors()
        .filter_map(|path| {
            Some(Made {
                parent: CString::new(path.parent()?.as_os_str().as_bytes()).ok()?,
                name: CString::new(path.file_name()?.as_bytes()).ok()?,
                file: false,
            })
        })
        .collect();
    if let Some(first) = all.first_mut() {
        first.file = file;
    }
    all.reverse();
    all
}

fn decimal(number: u64) -> CString {
    CString::new(number.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_made_from_the_top() {
        let made = places_for(c"/etc/ssl/certs", true);
        let said: Vec<_> = made
            .iter()
            .map(|made| (made.parent.to_str().unwrap(), made.name.to_str().unwrap(), made.file))
            .collect();
        assert_eq!(said, [("/", "etc", false), ("/etc", "ssl", false), ("/etc/ssl", "certs", true)]);
    }
}
