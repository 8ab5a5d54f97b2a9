//! The host's resolver: getaddrinfo(3).

#![allow(unsafe_code)] // a foreign function, and the list that it makes

use std::collections::BTreeSet;
use std::ffi::{CStr, CString};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ptr;

use crate::error::{ErrorKind, describe_errno};
use crate::sys::Errno;

use super::{Failure, MOST_ADDRESSES};

/// The name exists, without an address of the kind that was asked for; glibc's.
const EAI_ADDRFAMILY: i32 = -9;

/// The addresses of `name`; however long that takes.
pub(super) fn look_up(name: &str) -> Result<Vec<IpAddr>, Failure> {
    let failed = |kind, reason| Failure {
        name: name.to_owned(),
        reason,
        kind,
    };
    let text = CString::new(name).map_err(|_| failed(ErrorKind::NotFound, "it contains a NUL".to_owned()))?;
    // Once for each address, not for each protocol too. Nothing else is asked for: an address counts also if the host cannot
    // reach it now (AI_ADDRCONFIG would leave out even localhost then).
    let hints = libc::addrinfo {
        ai_flags: 0,
        ai_family: libc::AF_UNSPEC,
        ai_socktype: libc::SOCK_STREAM,
        ai_protocol: 0,
        ai_addrlen: 0,
        ai_addr: ptr::null_mut(),
        ai_canonname: ptr::null_mut(),
        ai_next: ptr::null_mut(),
    };
    let mut list = ptr::null_mut();
    // SAFETY: the name is NUL-terminated, no service is asked for, hints and result are live structures.
    let code = unsafe { libc::getaddrinfo(text.as_ptr(), ptr::null(), &raw const hints, &raw mut list) };
    let Errno(errno) = Errno::last();
    if code != 0 {
        return Err(failed(kind_of(code), reason_of(code, errno)));
    }
    let addresses = usable(List(list).entries());
    if addresses.is_empty() {
        return Err(failed(
            ErrorKind::NotFound,
            "it has no address that can be used".to_owned(),
        ));
    }
    Ok(addresses)
}

pub(super) fn kind_of(code: i32) -> ErrorKind {
    match code {
        libc::EAI_NONAME | libc::EAI_NODATA | EAI_ADDRFAMILY => ErrorKind::NotFound,
        _ => ErrorKind::System,
    }
}

pub(super) fn reason_of(code: i32, errno: i32) -> String {
    if code == libc::EAI_SYSTEM {
        return describe_errno(errno);
    }
    // SAFETY: takes a number.
    let text = unsafe { libc::gai_strerror(code) };
    if text.is_null() {
        return format!("error {code}");
    }
    // SAFETY: a NUL-terminated string that nobody changes.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

/// Those that rules can speak of, of addresses with the interfaces that they are of.
pub(super) fn usable(found: impl IntoIterator<Item = (IpAddr, u32)>) -> Vec<IpAddr> {
    let mut kept = BTreeSet::new();
    for (address, interface) in found {
        let address = address.to_canonical();
        let is_scoped = interface != 0 && matches!(address, IpAddr::V6(address) if address.is_unicast_link_local());
        if is_scoped || address.is_unspecified() {
            continue;
        }
        kept.insert(address);
        // The resolver's first ones, which are those that it recommends.
        if kept.len() == MOST_ADDRESSES {
            break;
        }
    }
    kept.into_iter().collect()
}

/// A list that getaddrinfo has made.
struct List(*mut libc::addrinfo);

impl List {
    fn entries(&self) -> Vec<(IpAddr, u32)> {
        let mut found = Vec::new();
        let mut next = self.0;
        // SAFETY: null or an entry of the list, which lives as long as `self`.
        while let Some(entry) = unsafe { next.as_ref() } {
            found.extend(address(entry));
            next = entry.ai_next;
        }
        found
    }
}

impl Drop for List {
    fn drop(&mut self) {
        // A libc may mind a null.
        if !self.0.is_null() {
            // SAFETY: getaddrinfo has made it, and it is freed once.
            unsafe { libc::freeaddrinfo(self.0) };
        }
    }
}

/// The address of an entry of a list, and its interface.
fn address(entry: &libc::addrinfo) -> Option<(IpAddr, u32)> {
    let length = usize::try_from(entry.ai_addrlen).ok()?;
    if entry.ai_addr.is_null() {
        return None;
    }
    match entry.ai_family {
        libc::AF_INET if length >= size_of::<libc::sockaddr_in>() => {
            // SAFETY: the entry's address is of this family and has this length.
            let address = unsafe { entry.ai_addr.cast::<libc::sockaddr_in>().read_unaligned() };
            let bytes = address.sin_addr.s_addr.to_ne_bytes();
            Some((Ipv4Addr::from(bytes).into(), 0))
        }
        libc::AF_INET6 if length >= size_of::<libc::sockaddr_in6>() => {
            // SAFETY: as above.
            let address = unsafe { entry.ai_addr.cast::<libc::sockaddr_in6>().read_unaligned() };
            Some((Ipv6Addr::from(address.sin6_addr.s6_addr).into(), address.sin6_scope_id))
        }
        _ => None,
    }
}
