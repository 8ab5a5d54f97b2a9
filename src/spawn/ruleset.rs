//! Making a Landlock ruleset in the kernel.

use std::os::fd::{AsRawFd, OwnedFd};

use landlock::{
    AccessFs, CompatLevel, Compatible, NetPort, PathBeneath, Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr,
    RulesetError,
};

use crate::compile::landlock::RulesetSpec;
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::sys;

use super::prepare::OpenPath;

/// Builds `spec`, whose rules are for `paths`, one by one, and whose sockets for `sockets`; None stands for an optional path that is
/// missing. `root` is the root directory.
pub(super) fn build(
    spec: &RulesetSpec,
    paths: &[Option<OpenPath>],
    sockets: &[Option<OpenPath>],
    root: &OpenPath,
) -> Result<OwnedFd> {
    let mut ruleset = create(spec).map_err(|error| failed("cannot create a ruleset", &error))?;
    if spec.refer_everywhere {
        ruleset = ruleset
            .add_rule(PathBeneath::new(&root.fd, AccessFs::Refer))
            .map_err(|error| failed("cannot add a rule for \"/\"", &error))?;
    }
    let of_rules = spec.rules.iter().zip(paths);
    for (grant, path) in of_rules.chain(spec.sockets.iter().zip(sockets)) {
        let Some(path) = path else { continue };
        let rights = if path.id.directory { grant.directory } else { grant.file };
        if rights.is_empty() {
            continue;
        }
        ruleset = ruleset.add_rule(PathBeneath::new(&path.fd, rights)).map_err(|error| {
            let what = format!("cannot add a rule for \"{}\"", grant.path.as_bytes().escape_ascii());
            failed(&what, &error)
        })?;
    }
    for grant in &spec.ports {
        ruleset = ruleset
            .add_rule(NetPort::new(grant.port, grant.rights))
            .map_err(|error| failed(&format!("cannot add a rule for port {}", grant.port), &error))?;
    }
    let fd = Option::<OwnedFd>::from(ruleset)
        .ok_or_else(|| Error::new(ErrorKind::Internal, Stage::Landlock, "no ruleset was created"))?;
    above_stdio(fd)
}

/// The specification holds only what this kernel was found to have, so anything less is an error.
fn create(spec: &RulesetSpec) -> std::result::Result<RulesetCreated, RulesetError> {
    let mut ruleset = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    if !spec.files.is_empty() {
        ruleset = ruleset.handle_access(spec.files)?;
    }
    if !spec.network.is_empty() {
        ruleset = ruleset.handle_access(spec.network)?;
    }
    if !spec.scopes.is_empty() {
        ruleset = ruleset.scope(spec.scopes)?;
    }
    ruleset.create()
}

fn failed(what: &str, error: &RulesetError) -> Error {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(current) = source {
        if let Some(errno) = current
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::raw_os_error)
        {
            return Error::system(ErrorKind::System, Stage::Landlock, what, errno);
        }
        source = current.source();
    }
    Error::new(ErrorKind::System, Stage::Landlock, format_args!("{what}: {error}"))
}

fn above_stdio(fd: OwnedFd) -> Result<OwnedFd> {
    if fd.as_raw_fd() > 2 {
        return Ok(fd);
    }
    // The host closed a standard stream and the ruleset took its number.
    fd.try_clone().map_err(|error| {
        Error::system(
            ErrorKind::System,
            Stage::Landlock,
            "cannot move a ruleset descriptor",
            error.raw_os_error().unwrap_or(sys::Errno(libc::EMFILE).0),
        )
    })
}
