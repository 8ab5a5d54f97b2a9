//! Opening what a compiled policy names, once for many runs.

#![allow(unsafe_code)] // two blocks: taking over descriptors that sys just opened

use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use crate::compile::arch::Arch;
use crate::compile::filter::{Action, FilterSpec, Rule};
use crate::compile::{Compiled, Request};
use crate::error::{Error, ErrorKind, Stage, path_error_kind};
use crate::feature::Feature;
use crate::kept::KeptFd;
use crate::policy::{Access, Policy, ProcessSettings, Root};
use crate::probe::{Place, Privileges};
use crate::report::Report;
use crate::sys;
use crate::sys::fd::FileId;
use crate::sys::seccomp::Instruction;

use super::view::View;
use super::{image, ruleset};

/// A policy with all its files open, ready to start programs.
pub(crate) struct Prepared {
    pub(crate) compiled: Compiled,
    pub(crate) settings: ProcessSettings,
    /// How strictly features are asked for.
    pub(crate) policy: Policy,
    /// The child's ruleset.
    pub(crate) ruleset: Option<KeptFd>,
    /// The warden's ruleset.
    pub(crate) domain: Option<KeptFd>,
    /// What the program sees, if that is not what the host does. Then the child makes its ruleset itself.
    pub(crate) view: Option<View>,
    /// The code of the init of a PID namespace, and the filter that it has.
    pub(crate) init: Option<KeptFd>,
    pub(crate) init_filter: Option<Vec<Instruction>>,
    /// The working directory.
    pub(crate) cwd: Option<KeptFd>,
    /// The report of a run in which every step succeeds.
    pub(crate) report: Arc<Report>,
    stamps: Vec<(CString, Option<FileId>)>,
    privileges: Privileges,
    /// What it was compiled for.
    request: Request,
    /// The files that path rules lead to, with what they grant.
    pub(crate) grants: Vec<(FileId, Access)>,
    /// Where sandboxes get control groups, if those hold limits.
    pub(super) place: Option<Place>,
}

/// An open path of the policy.
pub(super) struct OpenPath {
    pub(super) fd: OwnedFd,
    pub(super) id: FileId,
}

impl Prepared {
    /// Opens what `policy` names and `compiled` needs, or says everything that is wrong, `compiled`'s problems included.
    pub(crate) fn new(
        policy: &Policy,
        compiled: Result<Compiled, Vec<Error>>,
        privileges: Privileges,
        request: Request,
        place: Option<Place>,
    ) -> Result<Self, Vec<Error>> {
        let mut problems = Vec::new();
        let compiled = compiled.map_err(|found| problems.extend(found)).ok();
        let mut stamps = Vec::new();
        let mut paths = Vec::new();
        let mut grants = Vec::new();
        // What paths mean in a view of the program's own is for the child to find out.
        let has_view = compiled
            .as_ref()
            .is_some_and(|compiled| compiled.decisions.uses(Feature::NsMount));
        let makes_rules = has_view && changes_paths(policy);
        let host_paths = if makes_rules { &[][..] } else { &policy.paths };
        for rule in host_paths {
            let opened = open_rule_path(&rule.path, rule.access.is_optional(), &mut problems);
            stamps.push((rule.path.clone(), opened.as_ref().map(|opened| opened.id)));
            grants.extend(opened.as_ref().map(|opened| (opened.id, rule.access)));
            paths.push(opened);
        }
        let ruleset = compiled.as_ref().and_then(|compiled| compiled.ruleset.as_ref());
        let mut sockets = Vec::new();
        for grant in ruleset.filter(|_| !makes_rules).map_or(&[][..], |spec| &spec.sockets) {
            // What is not there, or hidden from the host, its program is not given either.
            stamps.push((grant.path.clone(), sys::fd::identify_path(&grant.path).ok()));
            sockets.push(open_socket_path(&grant.path));
        }
        let cwd = policy
            .process
            .cwd
            .as_deref()
            .filter(|_| !has_view)
            .and_then(|path| open_cwd(path, &mut problems));
        if let (Some(path), Some(opened)) = (&policy.process.cwd, &cwd) {
            stamps.push((path.clone(), Some(opened.id)));
        }
        let Some(compiled) = compiled.filter(|_| problems.is_empty()) else {
            return Err(problems);
        };
        let view = View::of(policy, &compiled, makes_rules, &mut stamps)?;
        let place = place.filter(|_| !compiled.group.is_empty());
        if let Some(path) = policy.cgroup.as_ref().filter(|_| place.is_some()) {
            stamps.push((path.clone(), sys::fd::identify_path(path).ok()));
        }
        let root = open(c"/", libc::O_PATH).map_err(|errno| {
            vec![Error::system(
                path_error_kind(errno.0),
                Stage::Landlock,
                "cannot open \"/\"",
                errno.0,
            )]
        })?;
        let build = |spec: &Option<_>| {
            spec.as_ref()
                .map(|spec| ruleset::build(spec, &paths, &sockets, &root).map(KeptFd::new))
                .transpose()
                .map_err(|error| vec![error])
        };
        Ok(Self {
            ruleset: if makes_rules { None } else { build(&compiled.ruleset)? },
            view,
            domain: build(&compiled.domain)?,
            init: init(&compiled)?.map(KeptFd::new),
            init_filter: init_filter(&compiled)?,
            cwd: cwd.map(|opened| KeptFd::new(opened.fd)),
            settings: policy.process.clone(),
            policy: policy.clone(),
            report: Arc::new(Report::new(compiled.decisions.rows().to_vec())),
            compiled,
            stamps,
            privileges,
            request,
            grants,
            place,
        })
    }

    fn kept_fds(&self) -> impl Iterator<Item = &KeptFd> {
        [&self.ruleset, &self.domain, &self.init, &self.cwd]
            .into_iter()
            .flatten()
    }

    /// True if every path still leads to the file that was opened, which nobody has closed, and a caller with `privileges` who makes this `request`
    /// would be given the same: otherwise the policy must be compiled again.
    pub(crate) fn is_current(&self, privileges: Privileges, request: &Request) -> bool {
        self.privileges == privileges
            && self.request == *request
            && self.kept_fds().all(KeptFd::is_intact)
            && self.place.as_ref().is_none_or(Place::is_current)
            && self
                .stamps
                .iter()
                .all(|(path, id)| sys::fd::identify_path(path).ok() == *id)
    }
}

fn init(compiled: &Compiled) -> Result<Option<OwnedFd>, Vec<Error>> {
    let needed = compiled.decisions.uses(Feature::NsPid);
    needed.then(image::make).transpose().map_err(|errno| {
        let what = "cannot make the init of a PID namespace, a program in memory (see vm.memfd_noexec in sysctl)";
        vec![Error::system(ErrorKind::System, Stage::Namespaces, what, errno.0)]
    })
}

/// True if a path rule may lead to another file in a mount namespace of `policy` than it does here. It does not where nothing is mounted but
/// /proc: then the ruleset can be made once, and not anew by every child.
fn changes_paths(policy: &Policy) -> bool {
    let lies_on_proc =
        |path: &CStr| open(path, libc::O_PATH).is_ok_and(|found| sys::fd::is_on_proc(found.fd.as_raw_fd()));
    policy.root != Root::Host || !policy.mounts.is_empty() || policy.paths.iter().any(|rule| lies_on_proc(&rule.path))
}

/// The filter of an init whose program is in no domain: nothing but what it does. With privileges in its namespace such a program may change the
/// init, which is in the host's network.
fn init_filter(compiled: &Compiled) -> Result<Option<Vec<Instruction>>, Vec<Error>> {
    const CALLS: [&str; 11] = [
        // To become the init,
        "close_range",
        "fcntl",
        "dup3",
        "execveat",
        "futex",
        "restart_syscall",
        // and to be it.
        "prctl",
        "wait4",
        "write",
        "exit",
        "exit_group",
    ];
    if !compiled.decisions.uses(Feature::NsPid) {
        return Ok(None);
    }
    let arch = Arch::NATIVE;
    let allowed = CALLS.iter().filter_map(|name| arch.number(name));
    let spec = FilterSpec {
        arch,
        rules: allowed.map(|number| (number, Rule::always(Action::Allow))).collect(),
        otherwise: Action::Kill,
        first_unknown: u32::MAX,
    };
    let failed = |_| {
        vec![Error::new(
            ErrorKind::Internal,
            Stage::Namespaces,
            "cannot build the init's filter",
        )]
    };
    spec.compile().map(Some).map_err(failed)
}

fn open_rule_path(path: &CStr, optional: bool, problems: &mut Vec<Error>) -> Option<OpenPath> {
    let failed = |errno: i32| {
        let what = format_args!("cannot open \"{}\" for a path rule", path.to_bytes().escape_ascii()).to_string();
        Error::system(path_error_kind(errno), Stage::Landlock, what, errno)
    };
    match open(path, libc::O_PATH) {
        Ok(opened) if is_own_proc(&opened.fd) => {
            problems.push(Error::new(
                ErrorKind::InvalidArgument,
                Stage::Landlock,
                format_args!(
                    "path rule \"{}\" leads to the host's own process; grant a path that means the same to every process",
                    path.to_bytes().escape_ascii()
                ),
            ));
            None
        }
        Ok(opened) => Some(opened),
        Err(sys::Errno(libc::ENOENT | libc::ENOTDIR)) if optional => None,
        Err(errno) => {
            problems.push(failed(errno.0));
            None
        }
    }
}

fn open_socket_path(path: &CStr) -> Option<OpenPath> {
    let descriptor = sys::fd::open_path_without_links(path).ok()?;
    // SAFETY: the descriptor was just opened, and is let go of here.
    let fd = unsafe { OwnedFd::from_raw_fd(descriptor.leave()) };
    let id = sys::fd::identify(fd.as_raw_fd()).ok()?;
    Some(OpenPath { fd, id })
}

fn open_cwd(path: &CStr, problems: &mut Vec<Error>) -> Option<OpenPath> {
    open(path, libc::O_PATH | libc::O_DIRECTORY)
        .map_err(|errno| {
            let what = format!("cannot open \"{}\"", path.to_bytes().escape_ascii());
            problems.push(Error::system(
                path_error_kind(errno.0),
                Stage::WorkingDirectory,
                what,
                errno.0,
            ));
        })
        .ok()
}

fn open(path: &CStr, flags: i32) -> sys::Result<OpenPath> {
    let fd = sys::fd::open(path, flags)?;
    // SAFETY: the descriptor was just opened and nobody else has it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    let id = sys::fd::identify(fd.as_raw_fd())?;
    Ok(OpenPath { fd, id })
}

/// Opens /dev/null for reading and writing.
pub(super) fn open_null() -> sys::Result<OwnedFd> {
    let fd = sys::fd::open(c"/dev/null", libc::O_RDWR)?;
    // SAFETY: the descriptor was just opened and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// True for /proc/self and what lies in it: a rule would grant the host's memory and descriptors, not the child's.
fn is_own_proc(fd: &OwnedFd) -> bool {
    if !sys::fd::is_on_proc(fd.as_raw_fd()) {
        return false;
    }
    let Ok(target) = std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())) else {
        return true;
    };
    let own = sys::process::id().to_string();
    target.iter().any(|part| part == OsStr::from_bytes(own.as_bytes()))
}
