//! The file metadata guard: carries out what `metadata` can, and refuses the rest.
//!
//! It walks paths, and a file system may take its time to answer, or never do. So it works on a confined thread of its own, and not on
//! the warden, which must be there when the sandbox is to end. Outside a domain that scopes signals, the kernel would show a thread
//! of ours the descriptors of any process of the user: there the guard does nothing.

use crate::error::ErrorKind;
use crate::supervisor::{Call, Ground, Reply, Served, Service, kind};
use crate::sys::Errno;

use super::metadata::{self, Caller, Grants};
use super::{Run, observe};

const EACCES: u16 = 13;
const _: () = assert!(EACCES as i32 == libc::EACCES);

/// The guard of one sandbox.
pub(super) struct MetadataGuard {
    grants: Grants,
    name: fn(u32) -> Option<&'static str>,
}

impl MetadataGuard {
    pub(super) fn new(run: &Run<'_>) -> Self {
        let writable = run.grants.iter().filter(|(_, access)| access.writes());
        Self {
            grants: Grants::new(writable.map(|(id, _)| *id).collect()),
            name: run.name,
        }
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

impl Service for MetadataGuard {
    fn serve(&self, call: &Call, ground: Ground) -> Served {
        match ground {
            Ground::Free | Ground::Warden => return Served::Apart,
            Ground::Unscoped => return Served::Answer(Reply::Errno(EACCES)),
            Ground::Apart => {}
        }
        let number = u32::try_from(call.received().number).ok();
        let name = number.and_then(self.name).unwrap_or_default();
        let errno = match metadata::carry_out(name, call.received().arguments, call, &self.grants) {
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

    fn is_waiting(&self) -> bool {
        Self::is_waiting(self)
    }
}
