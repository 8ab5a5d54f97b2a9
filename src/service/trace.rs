//! Trace: says of each call that the policy is about to refuse which rule would permit it.
//!
//! What the filter refuses is refused here instead, after it was told. What Landlock refuses the kernel still refuses: here it is
//! found out beforehand what the call wants of which file, and whether a path rule grants that. A program can have another
//! thread change the path in between; then it was told of another file, and nothing else.

use std::ffi::{CStr, CString};
use std::net::IpAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::policy::Access;
use crate::policy::net::{Decision, Protocol, Table};
use crate::supervisor::{Call, Event, Ground, Reply, Served, Service, Suggestion, kind};
use crate::sys::Errno;

use super::metadata::{self, Grants};
use super::{Decide, Run};

const PATH_MAX: usize = 4096;

/// Where the arguments of a call name a file.
#[derive(Clone, Copy)]
struct Named {
    /// Index of the directory descriptor that the path is relative to.
    from: Option<usize>,
    /// Index of the path.
    path: usize,
    want: Want,
}

/// What a call wants of a file.
#[derive(Clone, Copy)]
enum Want {
    /// What the open(2) flags in this argument say.
    Open(usize),
    /// What the flags in `struct open_how` say, which this argument points to.
    OpenHow(usize),
    /// To execute it.
    Execute,
    /// To change what is in it.
    Change,
    /// To change which names its directory has.
    Entry,
}

const fn at(path: usize, want: Want) -> Named {
    Named { from: None, path, want }
}

const fn from(from: usize, path: usize, want: Want) -> Named {
    Named {
        from: Some(from),
        path,
        want,
    }
}

/// Calls that Landlock governs by path.
const CALLS: &[(&str, &[Named])] = &[
    ("open", &[at(0, Want::Open(1))]),
    ("openat", &[from(0, 1, Want::Open(2))]),
    ("openat2", &[from(0, 1, Want::OpenHow(2))]),
    ("creat", &[at(0, Want::Change)]),
    ("execve", &[at(0, Want::Execute)]),
    ("execveat", &[from(0, 1, Want::Execute)]),
    ("truncate", &[at(0, Want::Change)]),
    ("mkdir", &[at(0, Want::Entry)]),
    ("mkdirat", &[from(0, 1, Want::Entry)]),
    ("rmdir", &[at(0, Want::Entry)]),
    ("unlink", &[at(0, Want::Entry)]),
    ("unlinkat", &[from(0, 1, Want::Entry)]),
    ("symlink", &[at(1, Want::Entry)]),
    ("symlinkat", &[from(1, 2, Want::Entry)]),
    ("mknod", &[at(0, Want::Entry)]),
    ("mknodat", &[from(0, 1, Want::Entry)]),
    ("link", &[at(0, Want::Entry), at(1, Want::Entry)]),
    ("linkat", &[from(0, 1, Want::Entry), from(2, 3, Want::Entry)]),
    ("rename", &[at(0, Want::Entry), at(1, Want::Entry)]),
    ("renameat", &[from(0, 1, Want::Entry), from(2, 3, Want::Entry)]),
    ("renameat2", &[from(0, 1, Want::Entry), from(2, 3, Want::Entry)]),
];

/// Calls that Landlock governs by port.
const NETWORK_CALLS: &[&str] = &["connect", "bind"];

/// The calls that are looked at besides those that the filter refuses.
#[cfg(test)]
pub(crate) fn calls() -> impl Iterator<Item = &'static str> {
    let by_path = CALLS.iter().map(|(name, _)| *name);
    by_path.chain(NETWORK_CALLS.iter().copied())
}

/// The trace of one sandbox.
pub(crate) struct Trace {
    decide: Decide,
    name: fn(u32) -> Option<&'static str>,
    /// Where each access is granted; None: files are not restricted.
    granted: Option<[(Access, Grants); 3]>,
    /// What network rules say, as far as Landlock alone enforces it.
    network: Option<Table>,
}

impl Trace {
    pub(crate) fn new(run: &Run<'_>) -> Self {
        let granting = |bits, suits: fn(Access) -> bool| (Access::of(bits), run.grants(suits));
        Self {
            decide: run.decide.clone(),
            name: run.name,
            granted: run.restricts_files.then(|| {
                [
                    granting(Access::READ, Access::reads),
                    granting(Access::WRITE, Access::writes),
                    granting(Access::EXECUTE, Access::executes),
                ]
            }),
            network: run
                .network
                .filter(|network| !network.needs_service())
                .map(|_| Table::new(&run.policy.network, run.addresses)),
        }
    }

    /// The filter refuses the call.
    fn tell_refused(&self, call: &Call, name: &str, errno: i32) {
        if let Some(what) = wanted_rule(name, call.received().arguments) {
            return call.emit(Event {
                errno,
                text: format!("{name}: refused by the filter; {what}"),
                ..call.event(kind::MISSING)
            });
        }
        call.emit(Event {
            errno,
            text: format!("{name}: refused by the filter; allow_syscall(\"{name}\") would permit it"),
            suggestion: Some(Suggestion::Syscall(name.to_owned())),
            ..call.event(kind::MISSING)
        });
    }

    /// What network rules lack for what the call wants. What the library decides itself it tells of itself.
    fn look_at_network(&self, call: &Call, table: &Table, name: &str) {
        let Some((host, port)) = address(call) else { return };
        let (missing, permit, rule) = match (name, host) {
            ("bind", _) => (
                port != 0 && !table.may_bind(Protocol::Tcp, port),
                "allow_bind",
                port.to_string(),
            ),
            (_, IpAddr::V4(host)) => (
                table.decide(Protocol::Tcp, host.into(), port) != Decision::Allowed,
                "allow_net",
                format!("tcp://{host}:{port}"),
            ),
            (_, IpAddr::V6(host)) => (
                table.decide(Protocol::Tcp, host.into(), port) != Decision::Allowed,
                "allow_net",
                format!("tcp://[{host}]:{port}"),
            ),
        };
        if missing {
            call.emit(Event {
                errno: libc::EACCES,
                text: format!("{name} {rule}: no rule; {permit}(\"{rule}\") would permit it"),
                suggestion: Some(Suggestion::Net { permit, rule }),
                ..call.event(kind::MISSING)
            });
        }
    }

    /// Tells what is missing for what the call wants of a file.
    fn look(&self, call: &Call, name: &str, named: Named) -> Result<(), Errno> {
        let Some(granted) = &self.granted else { return Ok(()) };
        let arguments = call.received().arguments;
        let Some(path) = super::observe::string(call, arguments[named.path], PATH_MAX) else {
            return Ok(());
        };
        let directory = named.from.map_or(libc::AT_FDCWD, |index| descriptor(arguments[index]));
        let (wants, creates, follow) = match wanted(call, named.want) {
            Some(wanted) => wanted,
            None => return Ok(()),
        };
        let found = match named.want {
            Want::Entry => Err(Errno(libc::ENOENT)),
            _ => metadata::locate(call, directory, path.as_bytes(), follow),
        };
        // A file that is to be made: its directory must grant that.
        let (found, wants) = match found {
            Ok(found) => (found, wants),
            Err(Errno(libc::ENOENT)) if creates => {
                let parent = parent(&path);
                (metadata::locate(call, directory, &parent, true)?, Access::WRITE)
            }
            Err(errno) => return Err(errno),
        };
        let mut missing = 0;
        for (access, grants) in granted {
            if wants & access.bits() != 0 && !found.is_granted(grants)? {
                missing |= access.bits();
            }
        }
        let place = found.path().unwrap_or(path);
        if missing != 0 && place.as_bytes().starts_with(b"/") {
            self.tell_missing(call, name, place, missing);
        }
        Ok(())
    }

    fn tell_missing(&self, call: &Call, name: &str, path: CString, missing: u64) {
        let words = Access::of(missing).words();
        let shown = path.to_bytes().escape_ascii().to_string();
        // Who only wants the names in / should not be given all files, and there is no rule for less.
        let all_files = path.to_bytes() == b"/";
        let permit = if all_files {
            "nothing less than a rule for all files would permit it".to_owned()
        } else {
            format!("allow_path(\"{shown}\", {}) would permit it", words.join(" | "))
        };
        call.emit(Event {
            errno: libc::EACCES,
            text: format!(
                "{name} {shown} for {}: no path rule; {permit}",
                words.join(" and ").to_lowercase(),
            ),
            path: Some(path.clone()),
            advisory: true,
            suggestion: (!all_files).then_some(Suggestion::Path(path, missing)),
            ..call.event(kind::MISSING)
        });
    }
}

/// What would permit a call about sockets, if it is a network rule: which one cannot be told before an address is known.
fn wanted_rule(name: &str, arguments: [u64; 6]) -> Option<&'static str> {
    let [family, type_, ..] = arguments.map(descriptor);
    match (name, family, type_ & 0xf) {
        ("socket", libc::AF_INET | libc::AF_INET6, libc::SOCK_DGRAM) => Some(
            "a rule for UDP would permit it: allow_net(\"udp://...\"); names that a rule has, \"tcp://NAME:PORT\", are looked up without",
        ),
        ("socket", libc::AF_UNIX, _) => Some("a rule for Unix sockets would permit it: allow_net(\"unix:/...\")"),
        ("socket", libc::AF_NETLINK, _) => {
            Some("any rule about hosts or ports would bring what interfaces are asked by")
        }
        ("listen", ..) => Some("a rule for a port would permit it: allow_bind(\"...\")"),
        // To allow one of these by name, for the sake of one protocol, would be to allow them all.
        ("socket" | "socketpair" | "sendto" | "sendmsg" | "sendmmsg" | "setsockopt", ..) => Some("no rule permits it"),
        _ => None,
    }
}

/// What is wanted of an existing file, whether it would be made otherwise, and whether a link in the end is followed. None: nothing.
fn wanted(call: &Call, want: Want) -> Option<(u64, bool, bool)> {
    let flags = match want {
        Want::Execute => return Some((Access::EXECUTE, false, true)),
        Want::Change => return Some((Access::WRITE, true, true)),
        Want::Entry => return Some((Access::WRITE, true, false)),
        Want::Open(index) => call.received().arguments[index],
        Want::OpenHow(index) => {
            let mut flags = [0; 8];
            let count = call.read(call.received().arguments[index], &mut flags).ok()?;
            (count == flags.len()).then(|| u64::from_ne_bytes(flags))?
        }
    };
    let has = |flag: i32| flags & u64::from(flag.cast_unsigned()) != 0;
    if has(libc::O_PATH) {
        return None;
    }
    let mut wants = match flags & 3 {
        0 => Access::READ,
        1 => Access::WRITE,
        _ => Access::READ | Access::WRITE,
    };
    if has(libc::O_TRUNC) {
        wants |= Access::WRITE;
    }
    Some((wants, has(libc::O_CREAT), !has(libc::O_NOFOLLOW)))
}

#[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)] // a descriptor is an int: its lower half
fn descriptor(argument: u64) -> i32 {
    argument as u32 as i32
}

/// The directory that a path's last name is in.
fn parent(path: &CStr) -> Vec<u8> {
    let path = Path::new(std::ffi::OsStr::from_bytes(path.to_bytes()));
    let parent = path.parent().map(|parent| parent.as_os_str().as_bytes().to_vec());
    parent
        .filter(|parent| !parent.is_empty())
        .unwrap_or_else(|| b".".to_vec())
}

/// The internet address that a call names, and the port.
fn address(call: &Call) -> Option<(IpAddr, u16)> {
    let [_, pointer, length, ..] = call.received().arguments;
    let mut bytes = [0; 28];
    let most = bytes.len().min(usize::try_from(length).ok()?);
    let count = call.read(pointer, &mut bytes[..most]).ok()?;
    let bytes = bytes.get(..count)?;
    let port = u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?);
    match i32::from(u16::from_ne_bytes(bytes.get(..2)?.try_into().ok()?)) {
        libc::AF_INET => {
            let address: [u8; 4] = bytes.get(4..8)?.try_into().ok()?;
            Some((IpAddr::from(address), port))
        }
        libc::AF_INET6 => {
            let address: [u8; 16] = bytes.get(8..24)?.try_into().ok()?;
            Some((IpAddr::from(address), port))
        }
        _ => None,
    }
}

impl Service for Trace {
    fn serve(&self, call: &Call, ground: Ground) -> Served {
        if ground.is_wardens() {
            return Served::Apart;
        }
        let received = call.received();
        let name = u32::try_from(received.number)
            .ok()
            .and_then(self.name)
            .unwrap_or("unknown");
        if let Some(errno) = (self.decide)(received) {
            self.tell_refused(call, name, errno.into());
            return Served::Answer(Reply::Errno(errno));
        }
        if let Some(table) = self.network.as_ref().filter(|_| NETWORK_CALLS.contains(&name)) {
            self.look_at_network(call, table, name);
        }
        let named = CALLS.iter().find(|(known, _)| *known == name);
        for &named in named.map_or(&[][..], |(_, named)| named) {
            // An error is the kernel's to give.
            let _ = self.look(call, name, named);
        }
        Served::Pass
    }
}
