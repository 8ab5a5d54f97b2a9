//! The file metadata guard: carries out what `metadata` can, and refuses the rest.
//!
//! It walks paths, and a file system may take its time to answer, or never do. So it works on a confined thread of its own, and not on
//! the warden, which must be there when the sandbox is to end. Outside a domain that scopes signals, the kernel would show a thread
//! of ours the descriptors of any process of the user: there the guard does nothing.

use crate::error::ErrorKind;
use crate::members::Reach;
use crate::policy::Access;
use crate::supervisor::{Call, Ground, Reply, Served, Service, kind};
use crate::sys::Errno;

use super::metadata::{self, Caller, Grants};
use super::{Run, observe};

const EACCES: u16 = 13;
const _: () = assert!(EACCES as i32 == libc::EACCES);

/// The guard of one sandbox.
pub(super) struct MetadataGuard {
    grants: Grants,
    owners: Option<([u32; 2], [u32; 2])>,
    name: fn(u32) -> Option<&'static str>,
}

impl MetadataGuard {
    pub(super) fn new(run: &Run<'_>) -> Self {
        Self {
            grants: run.grants(Access::writes),
            owners: run.owners,
            name: run.name,
        }
    }

    /// The arguments of the call, with owners as they are numbered here. EINVAL: an owner that has no number here.
    fn arguments(&self, name: &str, call: &Call) -> Result<[u64; 6], Errno> {
        let mut arguments = call.received().arguments;
        let first = match name {
            "chown" | "lchown" | "fchown" => 1,
            "fchownat" => 2,
            _ => return Ok(arguments),
        };
        if let Some((inside, outside)) = self.owners {
            for (argument, (inside, outside)) in arguments[first..].iter_mut().zip(inside.into_iter().zip(outside)) {
                *argument = u64::from(translated(*argument, inside, outside)?);
            }
        }
        Ok(arguments)
    }

    fn tell(&self, call: &Call, name: &str, errno: i32) {
        let mut event = call.event(kind::DENIED);
        event.errno = errno;
        "files-metadata: not beneath a path rule that grants WRITE".clone_into(&mut event.text);
        let path = match name {
            // By descriptor.
            "fchmod" | "fchown" | "fsetxattr" | "fremovexattr" => None,
            _ if name.ends_with("at") || name == "fchmodat2" => Some(call.received().arguments[1]),
            _ => Some(call.received().arguments[0]),
        };
        event.advisory = true;
        event.path = path.and_then(|path| observe::string(call, path, 4096));
        call.emit(event);
    }
}

/// An owner's id here. The kernel reads 32 bits of it; all of them set mean no change.
#[allow(clippy::cast_possible_truncation)]
fn translated(argument: u64, inside: u32, outside: u32) -> Result<u32, Errno> {
    match argument as u32 {
        u32::MAX => Ok(u32::MAX),
        id if id == inside => Ok(outside),
        _ => Err(Errno(libc::EINVAL)),
    }
}

impl Service for MetadataGuard {
    fn serve(&self, call: &Call, ground: Ground) -> Served {
        match ground {
            Ground::Free | Ground::Warden => return Served::Apart,
            Ground::Unscoped | Ground::UnscopedApart => return Served::Answer(Reply::Errno(EACCES)),
            Ground::Apart => {}
        }
        let number = u32::try_from(call.received().number).ok();
        let name = number.and_then(self.name).unwrap_or_default();
        let carried_out = self
            .arguments(name, call)
            .and_then(|arguments| metadata::carry_out(name, arguments, call, &self.grants));
        let errno = match carried_out {
            Ok(value) => return Served::Answer(Reply::Value(value)),
            Err(Errno(errno)) => errno,
        };
        if errno == libc::EACCES {
            self.tell(call, name, errno);
        }
        // What is no errno would be no answer, and the call denied.
        Served::Answer(Reply::Errno(u16::try_from(errno).unwrap_or(1)))
    }
}

impl Caller for Call {
    fn thread(&self) -> i32 {
        Self::thread(self)
    }

    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<usize, Errno> {
        Self::read(self, address, buffer).map_err(|error| Errno(error.errno()))
    }

    fn read_string(&self, address: u64, buffer: &mut [u8]) -> Result<usize, Errno> {
        Self::read_string(self, address, buffer).map_err(|error| match error.kind() {
            ErrorKind::BufferTooSmall => Errno(libc::ENAMETOOLONG),
            _ => Errno(error.errno()),
        })
    }

    fn is_apart(&self) -> bool {
        matches!(self.reach(), Reach::Namespace { .. })
    }

    fn is_waiting(&self) -> bool {
        Self::is_waiting(self)
    }
}
