//! Sockets by their names in the file system: found in the program's view, once, and reached by a descriptor, so that nothing that the
//! program renames or links meanwhile leads elsewhere.

use std::ffi::CString;
use std::os::fd::{AsRawFd, OwnedFd};

use crate::members;
use crate::supervisor::{Call, kind};
use crate::sys::{Errno, fd, metadata as files, socket};

use super::super::metadata;
use super::address::{Address, Meaning};
use super::rules::Rules;
use super::socket::own;

const REFUSED: Errno = Errno(libc::EACCES);

/// The socket that `path` leads to for the caller, if rules let it be reached: an address for it that goes by the descriptor.
pub(super) fn find(rules: &Rules, call: &Call, path: &[u8]) -> Result<(Address, OwnedFd), Errno> {
    let found = locate(rules, call, path)?;
    let place = found.path().ok_or(REFUSED)?;
    rules.decide_path(call, place.as_bytes())?;
    let file = found.into_file();
    if files::status(file.as_raw_fd())?.has_more_names {
        // By another name rules may deny it.
        return Err(REFUSED);
    }
    let address = address_in(&file, b"").ok_or(Errno(libc::ENAMETOOLONG))?;
    Ok((address, file))
}

fn locate(rules: &Rules, call: &Call, path: &[u8]) -> Result<metadata::Located, Errno> {
    if !call.reach().is_whole() {
        // Outside a domain the kernel would show us what it does not show the program.
        return Err(REFUSED);
    }
    let locate = if rules.is_like_the_program() {
        metadata::locate_for_privileged
    } else {
        metadata::locate
    };
    locate(call, libc::AT_FDCWD, path, true)
}

/// An address that leads to `name` in the directory that a descriptor of this thread's is open to, or if that is empty to the file itself.
fn address_in(file: &OwnedFd, name: &[u8]) -> Option<Address> {
    let mut bytes = libc::sa_family_t::try_from(libc::AF_UNIX).ok()?.to_ne_bytes().to_vec();
    bytes.extend(format!("/proc/thread-self/fd/{}", file.as_raw_fd()).into_bytes());
    if !name.is_empty() {
        bytes.push(b'/');
        bytes.extend(name);
    }
    bytes.push(0);
    (bytes.len() <= size_of::<libc::sockaddr_un>()).then(|| Address::of(&bytes))?
}

/// Binds a socket: to any abstract name, or to a new file where the policy grants writing.
pub(super) fn bind(
    rules: &Rules,
    call: &Call,
    socket: &OwnedFd,
    address: &Address,
    meaning: &Meaning,
) -> Result<(), Errno> {
    let number = socket.as_raw_fd();
    let Meaning::Path(path) = meaning else {
        return rules.on_behalf(|| socket::bind(number, address.bytes()));
    };
    let (directory, name) = split(path).ok_or(Errno(libc::EADDRINUSE))?;
    let found = locate(rules, call, directory)?;
    if !rules.may_write(&found)? {
        tell(call, path);
        return Err(REFUSED);
    }
    let directory = found.into_file();
    let place = address_in(&directory, name).ok_or(Errno(libc::ENAMETOOLONG))?;
    let mask = members::umask(call.thread()).ok_or(REFUSED)?;
    rules.on_behalf(|| {
        // The new file has the mode of the socket, less what is masked: by this process, whose mask is not the caller's.
        let mode = files::status(number)?.mode & 0o777;
        fd::set_mode(number, mode & !mask)?;
        let bound = socket::bind(number, place.bytes());
        fd::set_mode(number, mode)?;
        bound?;
        // An error leaves out what the host masks besides. The program can change it itself.
        let _ = set_mode(&directory, name, mode & !mask);
        Ok(())
    })
}

/// Sets the mode of a socket that was just made.
fn set_mode(directory: &OwnedFd, name: &[u8], mode: u32) -> Result<(), Errno> {
    let name = CString::new(name).map_err(|_| Errno(libc::EINVAL))?;
    let made = own(files::open_at(
        directory.as_raw_fd(),
        &name,
        libc::O_PATH | libc::O_NOFOLLOW,
    ))?;
    let status = files::status(made.as_raw_fd())?;
    if status.is(libc::S_IFSOCK) && status.mode & 0o777 != mode {
        let path = format!("/proc/thread-self/fd/{}", made.as_raw_fd());
        files::change_mode(&CString::new(path).map_err(|_| Errno(libc::EINVAL))?, mode)?;
    }
    Ok(())
}

/// The directory of a path, and the name in it; None if a file of that name cannot be made.
fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let (directory, name) = match path.iter().rposition(|&byte| byte == b'/') {
        None => (&b"."[..], path),
        Some(0) => (&b"/"[..], path.get(1..)?),
        Some(slash) => (path.get(..slash)?, path.get(slash + 1..)?),
    };
    (!matches!(name, b"" | b"." | b"..")).then_some((directory, name))
}

fn tell(call: &Call, path: &[u8]) {
    let mut event = call.event(kind::DENIED);
    event.errno = REFUSED.0;
    "network: bind: not beneath a path rule that grants WRITE".clone_into(&mut event.text);
    event.path = CString::new(path).ok();
    event.advisory = true;
    call.emit(event);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_is_a_directory_and_a_name() {
        for (path, expected) in [
            ("x", Some((".", "x"))),
            ("/x", Some(("/", "x"))),
            ("/run/x", Some(("/run", "x"))),
            ("a/b/x", Some(("a/b", "x"))),
            ("/run/", None),
            ("/", None),
            ("..", None),
            ("a/.", None),
            ("", None),
        ] {
            let expected = expected.map(|(directory, name): (&str, &str)| (directory.as_bytes(), name.as_bytes()));
            assert_eq!(split(path.as_bytes()), expected, "{path}");
        }
    }

    #[test]
    fn names_that_do_not_fit_an_address_have_none() {
        let file = OwnedFd::from(std::fs::File::open("/").unwrap());
        assert!(address_in(&file, &[b'x'; 70]).is_some());
        assert!(address_in(&file, &[b'x'; 100]).is_none());
        assert!(address_in(&file, b"").unwrap().bytes().starts_with(&[1, 0]));
    }
}
