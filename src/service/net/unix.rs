//! Sockets by their names in the file system: found in the program's view, once, and reached by a descriptor, so that nothing that the
//! program renames or links meanwhile leads elsewhere.

use std::os::fd::{AsRawFd, OwnedFd};

use crate::supervisor::Call;
use crate::sys::Errno;

use super::super::metadata;
use super::address::Address;
use super::rules::Rules;

/// The socket that `path` leads to for the caller, if rules let it be reached: an address for it that goes by the descriptor.
pub(super) fn find(rules: &Rules, call: &Call, path: &[u8]) -> Result<(Address, OwnedFd), Errno> {
    if !call.reach().is_whole() {
        // Outside a domain the kernel would show us what it does not show the program.
        return Err(Errno(libc::EACCES));
    }
    let found = metadata::locate(call, libc::AT_FDCWD, path, true)?;
    let place = found.path().ok_or(Errno(libc::EACCES))?;
    rules.decide_path(call, place.as_bytes())?;
    let file = found.into_file();
    let address = address_of(&file).ok_or(Errno(libc::ENAMETOOLONG))?;
    Ok((address, file))
}

/// An address that leads to the file that a descriptor of this thread's is open to.
fn address_of(file: &OwnedFd) -> Option<Address> {
    let path = format!("/proc/thread-self/fd/{}\0", file.as_raw_fd());
    let family = libc::sa_family_t::try_from(libc::AF_UNIX).ok()?.to_ne_bytes();
    Address::of(&[&family[..], path.as_bytes()].concat())
}
