//! What a program in a mount namespace of its own sees: from the policy's root, mounts and path rules to what the child does about them.
//!
//! There, paths mean what they mean to the program. So path rules and the working directory are not opened here, beforehand and for many
//! runs, but by the child, when everything is mounted.

use std::ffi::{CStr, CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use landlock::{AccessFs, BitFlags};

use crate::compile::Compiled;
use crate::compile::landlock::{PortGrant, RulesetSpec};
use crate::error::{Error, ErrorKind, Result, Stage, path_error_kind};
use crate::feature::Feature;
use crate::plan::{
    MountPlan, MountSource, NewRoot, Place, Places, PlannedMount, PlannedPort, PlannedRule, RulesetPlan, Step,
};
use crate::policy::{Mount, Policy, Root, Source};
use crate::sys;
use crate::sys::fd::{FileCell, FileId};
use crate::sys::landlock::Handled;

use super::prepare::Prepared;

/// The view of a policy.
pub(crate) struct View {
    root: Root,
    mounts: Vec<Entry>,
    made_for_proc: AllMade,
    /// The working directory.
    pub(super) cwd: Option<CString>,
    /// The child makes the ruleset.
    pub(super) makes_rules: bool,
    ruleset: Option<RulesetSpec>,
    /// The policy's path rules: what may be found under them is noted.
    paths: Vec<(CString, bool)>,
}

/// A mount.
struct Entry {
    source: MountedFrom,
    target: CString,
    write: bool,
    made: AllMade,
}

enum MountedFrom {
    Path(CString),
    /// The size in decimal digits.
    Memory(CString),
}

/// What is made in a file system in memory that is mounted at `base`.
struct AllMade {
    base: CString,
    all: Vec<Made>,
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
    /// The view, if `policy` gives the program one of its own. `makes_rules`: paths may mean something else there than here. The paths of the host that it is made of go into `stamps`.
    pub(super) fn of(
        policy: &Policy,
        compiled: &Compiled,
        makes_rules: bool,
        stamps: &mut Vec<(CString, Option<FileId>)>,
    ) -> std::result::Result<Option<Self>, Vec<Error>> {
        if !compiled.decisions.uses(Feature::NsMount) {
            return Ok(None);
        }
        let mut problems = Vec::new();
        let mut look_at = |path: &CString, beneath: bool| {
            let id = sys::fd::identify_path(path);
            if let Err(sys::Errno(errno)) = id {
                let what = format!("cannot find \"{}\" to mount it", path.as_bytes().escape_ascii());
                problems.push(Error::system(path_error_kind(errno), Stage::Namespaces, what, errno));
            }
            if brings_proc_along(path_of(path), !beneath) {
                let what = format!(
                    "\"{}\" leads to what has the host's /proc beneath it",
                    path.as_bytes().escape_ascii()
                );
                problems.push(Error::new(ErrorKind::InvalidArgument, Stage::Namespaces, what));
            }
            stamps.push((path.clone(), id.ok()));
            id.is_ok_and(|id| id.directory)
        };
        if let Root::Directory(path) = &policy.root {
            // Over its /proc comes the program's own.
            look_at(path, false);
        }
        let entry = |(index, mount): (usize, &Mount)| {
            let (source, directory) = match &mount.source {
                Source::Path(path) => (MountedFrom::Path(path.clone()), look_at(path, true)),
                Source::Memory { size } => (MountedFrom::Memory(decimal(*size)), true),
            };
            Entry {
                source,
                made: AllMade::for_target(policy, &policy.mounts[..index], &mount.target, !directory),
                target: mount.target.clone(),
                write: mount.write,
            }
        };
        let mounts = policy.mounts.iter().enumerate().map(entry).collect();
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Some(Self {
            root: policy.root.clone(),
            mounts,
            made_for_proc: AllMade::for_target(policy, &policy.mounts, c"/proc", false),
            cwd: policy.process.cwd.clone(),
            makes_rules,
            ruleset: compiled.ruleset.clone().filter(|_| makes_rules),
            paths: policy
                .paths
                .iter()
                .map(|rule| (rule.path.clone(), rule.access.is_optional()))
                .collect(),
        }))
    }

    /// Where a program starts if the policy does not say: where the host is, by its path, or at the root of another tree.
    fn start(&self) -> CString {
        let here = std::env::current_dir().ok().filter(|_| self.root == Root::Host);
        let path = here.and_then(|path| CString::new(path.into_os_string().into_encoded_bytes()).ok());
        path.unwrap_or_else(|| c"/".to_owned())
    }

    fn planned_ports(&self) -> Vec<PlannedPort> {
        let planned = |grant: &PortGrant| PlannedPort {
            port: grant.port,
            rights: grant.rights.bits(),
        };
        let specs = self.ruleset.iter();
        specs.flat_map(|spec| &spec.ports).map(planned).collect()
    }

    /// The path of the host behind `path`, which the program may write to; None: it lies in memory or where nothing can be written. An
    /// error: a symbolic link on the way, which may mean something else there than here.
    pub(super) fn in_host(&self, path: &CStr) -> Result<Option<CString>> {
        let path = path_of(path);
        if path.components().any(|part| part == Component::ParentDir) {
            return Err(Error::policy(format_args!(
                "DISK takes path rules without \"..\" in a mount namespace, and {} has one",
                path.display()
            )));
        }
        let around = self
            .mounts
            .iter()
            .filter(|entry| path.starts_with(path_of(&entry.target)));
        let innermost = around.max_by_key(|entry| entry.target.as_bytes().len());
        let (base, target) = match (innermost, &self.root) {
            (Some(entry), _) => match &entry.source {
                MountedFrom::Path(source) if entry.write => (path_of(source), path_of(&entry.target)),
                MountedFrom::Path(_) | MountedFrom::Memory(_) => return Ok(None),
            },
            (None, Root::Host) => (Path::new("/"), Path::new("/")),
            (None, Root::Directory(_) | Root::Memory) => return Ok(None),
        };
        let inside = path.strip_prefix(target).unwrap_or(path);
        let mut here = base.to_owned();
        let same = self.root == Root::Host && self.mounts.is_empty();
        for name in inside {
            here.push(name);
            if !same && here.symlink_metadata().is_ok_and(|found| found.is_symlink()) {
                return Err(Error::policy(format_args!(
                    "DISK takes path rules without symbolic links where the program has a root or mounts of its own, and {} has one",
                    path.display()
                )));
            }
        }
        Ok(CString::new(here.into_os_string().into_encoded_bytes()).ok())
    }

    /// What of the host is mounted to be written to.
    pub(super) fn writable_sources(&self) -> impl Iterator<Item = CString> {
        self.mounts.iter().filter_map(|entry| match &entry.source {
            MountedFrom::Path(path) if entry.write => Some(path.clone()),
            MountedFrom::Path(_) | MountedFrom::Memory(_) => None,
        })
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
        if let Some((path, _)) = self.paths.get(index) {
            return Some(format!("\"{}\" of a path rule", path.as_bytes().escape_ascii()));
        }
        let grant = self
            .ruleset
            .as_ref()?
            .sockets
            .get(index.checked_sub(self.paths.len())?)?;
        Some(format!(
            "\"{}\" of a network rule",
            grant.path.as_bytes().escape_ascii()
        ))
    }
}

/// The view as the child of one run takes it.
pub(super) struct RunView<'a> {
    view: Option<&'a View>,
    /// Where mounts are mounted on.
    places: Vec<Vec<Place<'a>>>,
    places_of_proc: Vec<Place<'a>>,
    /// Where the program starts, unless the policy says where.
    start: CString,
    /// What the ruleset that the child makes grants on ports.
    ports: Vec<PlannedPort>,
}

impl<'a> RunView<'a> {
    /// For a run of `prepared`; of no consequence if its programs have no view of their own.
    pub(super) fn of(prepared: &'a Prepared) -> Self {
        let view = prepared.view.as_ref();
        let places = |view: &'a View| view.mounts.iter().map(|entry| planned(&entry.made.all)).collect();
        Self {
            view,
            places: view.map_or_else(Vec::new, places),
            places_of_proc: view.map_or_else(Vec::new, |view| planned(&view.made_for_proc.all)),
            start: view.map_or_else(CString::default, View::start),
            ports: view.map_or_else(Vec::new, View::planned_ports),
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
            places: Places {
                base: &entry.made.base,
                places,
            },
            parked: (-1).into(),
        };
        let places = self.places.iter().map(Vec::as_slice);
        view.mounts.iter().zip(places).map(planned).collect()
    }

    /// All of it.
    pub(super) fn plan<'b>(&'b self, mounts: &'b [PlannedMount<'b>]) -> Option<MountPlan<'b>> {
        let view = self.view?;
        Some(MountPlan {
            root: match &view.root {
                Root::Host => NewRoot::Unchanged,
                Root::Directory(path) => NewRoot::Directory(path),
                Root::Memory => NewRoot::Memory,
            },
            mounts,
            places_of_proc: Places {
                base: &view.made_for_proc.base,
                places: &self.places_of_proc,
            },
        })
    }

    /// Entering the directory where the program starts. It inherits the host's, which may be hidden from it by now.
    pub(super) fn directory(&self) -> Option<Step<'_>> {
        Some(match &self.view?.cwd {
            Some(path) => Step::ChangeDirectoryTo(path),
            None => Step::StartIn(&self.start),
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
            socket: false,
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
                socket: false,
                found: found.get(index),
            }
        };
        let of_paths = view.paths.iter().enumerate().map(rule);
        let of_sockets = spec.sockets.iter().map(|grant| PlannedRule {
            path: &grant.path,
            directory: grant.directory.bits(),
            file: grant.file.bits(),
            optional: grant.optional,
            socket: true,
            found: None,
        });
        everywhere.into_iter().chain(of_paths).chain(of_sockets).collect()
    }

    /// The ruleset with these rules, if there is one.
    pub(super) fn ruleset<'b>(&'b self, rules: &'b [PlannedRule<'b>]) -> Option<RulesetPlan<'b>> {
        let spec = self.view?.ruleset.as_ref()?;
        Some(RulesetPlan {
            handled: Handled {
                files: spec.files.bits(),
                network: spec.network.bits(),
                scopes: spec.scopes.bits(),
            },
            rules,
            ports: &self.ports,
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

impl AllMade {
    /// What must be made for `target`, which is mounted after `former` mounts, and is a `file` or directory: in the innermost file system
    /// that it lies in, if that is in memory and the program's own.
    fn for_target(policy: &Policy, former: &[Mount], target: &CStr, file: bool) -> Self {
        let target = path_of(target);
        let around = former.iter().filter(|mount| target.starts_with(path_of(&mount.target)));
        let innermost = around.max_by_key(|mount| mount.target.as_bytes().len());
        let base = match innermost {
            Some(mount) if matches!(mount.source, Source::Memory { .. }) => &mount.target,
            None if policy.root == Root::Memory => c"/",
            _ => return Self::nothing(),
        };
        let Ok(inside) = target.strip_prefix(path_of(base)) else {
            return Self::nothing();
        };
        let mut all: Vec<Made> = inside.ancestors().filter_map(Made::directory).collect();
        if let Some(first) = all.first_mut() {
            first.file = file;
        }
        all.reverse();
        Self {
            base: base.to_owned(),
            all,
        }
    }

    fn nothing() -> Self {
        Self {
            base: c"/".to_owned(),
            all: Vec::new(),
        }
    }
}

impl Made {
    /// The directory with this path from its base; None for the base.
    fn directory(path: &Path) -> Option<Self> {
        let parent = Path::new(".").join(path.parent()?);
        Some(Self {
            parent: CString::new(parent.as_os_str().as_bytes()).ok()?,
            name: CString::new(path.file_name()?.as_bytes()).ok()?,
            file: false,
        })
    }
}

/// True for a path that leads to the root or into /proc by links (without any the policy has refused it), or that has a procfs beneath it. A
/// `root` may have one at its /proc, over which comes the program's own.
fn brings_proc_along(path: &Path, root: bool) -> bool {
    let Ok(path) = std::fs::canonicalize(path) else {
        return false;
    };
    if !root && (path == Path::new("/") || path.starts_with("/proc")) {
        return true;
    }
    let covered = path.join("proc");
    let mounts = std::fs::read("/proc/self/mountinfo").unwrap_or_default();
    let mounts = String::from_utf8_lossy(&mounts);
    let mut procfs = mounts.lines().filter_map(place_of_procfs);
    procfs.any(|place| place.starts_with(&path) && !(root && place == covered))
}

/// Where a procfs is mounted, from a line of mountinfo, in which blanks and backslashes are written in octal digits.
fn place_of_procfs(line: &str) -> Option<PathBuf> {
    let (before, after) = line.split_once(" - ")?;
    let place = before.split(' ').nth(4)?;
    let spelled = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    let place = spelled
        .iter()
        .fold(place.to_owned(), |place, (from, to)| place.replace(from, to));
    (after.split(' ').next() == Some("proc")).then(|| place.into())
}

fn path_of(path: &CStr) -> &Path {
    Path::new(OsStr::from_bytes(path.to_bytes()))
}

fn decimal(number: u64) -> CString {
    CString::new(number.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(policy: &Policy, target: &CStr) -> (String, Vec<(String, String, bool)>) {
        let found = AllMade::for_target(policy, &policy.mounts, target, true);
        let text = |text: &CString| text.to_str().unwrap().to_owned();
        let all = found
            .all
            .iter()
            .map(|made| (text(&made.parent), text(&made.name), made.file));
        (text(&found.base), all.collect())
    }

    fn place(parent: &str, name: &str, file: bool) -> (String, String, bool) {
        (parent.to_owned(), name.to_owned(), file)
    }

    #[test]
    fn procfs_is_found_wherever_it_is_mounted() {
        let line = "23 29 0:22 / /srv/a\\040b/proc rw,nosuid shared:5 - proc proc rw";
        assert_eq!(place_of_procfs(line), Some("/srv/a b/proc".into()));
        assert_eq!(place_of_procfs("23 29 0:22 / /x rw - tmpfs proc rw"), None);
        assert!(brings_proc_along(Path::new("/"), false) && brings_proc_along(Path::new("/proc/self"), false));
        assert!(!brings_proc_along(Path::new("/usr"), false));
    }

    #[test]
    fn places_are_made_from_the_top_and_in_memory_only() {
        let mut policy = Policy::new();
        assert_eq!(made(&policy, c"/etc/ssl/certs").1, []);
        policy.root = Root::Memory;
        let all = [
            place("./", "etc", false),
            place("./etc", "ssl", false),
            place("./etc/ssl", "certs", true),
        ];
        assert_eq!(made(&policy, c"/etc/ssl/certs"), ("/".to_owned(), all.to_vec()));
        policy.add_mount(Mount::bind(c"/usr", c"/usr", true).unwrap()).unwrap();
        // That is the host's.
        assert_eq!(made(&policy, c"/usr/lib/x").1, []);
        assert_eq!(made(&policy, c"/usrx").1, [place("./", "usrx", true)]);
        policy.add_mount(Mount::memory(c"/usr/tmp", 1).unwrap()).unwrap();
        assert_eq!(
            made(&policy, c"/usr/tmp/a"),
            ("/usr/tmp".to_owned(), vec![place("./", "a", true)])
        );
    }
}
