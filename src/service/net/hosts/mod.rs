//! /etc/hosts as a program sees it whose rules name hosts: those names and no others, with the addresses that the rules mean.
//!
//! So the program need ask no server for a name, and can leak nothing by asking; and it connects to the very addresses that are
//! allowed, where the server's next answer might be others. open(2), openat(2) and openat2(2) of policies with names are trapped. Who
//! opens the absolute path /etc/hosts for reading gets a file in memory instead, sealed, as of now; every other call runs. It is the
//! same name in a mount namespace or beneath a root of the program's own. Path rules have no part in it: naming hosts lets the program
//! read this /etc/hosts.
//!
//! With it goes /etc/host.conf, which has glibc heed every address of a name.
//!
//! It is a service to resolvers and keeps nobody from anything: the host's own file stays where path rules grant it, by another
//! name (a relative path, a link, a descriptor by O_PATH), for stat(2) and access(2), and for creat(2). Who opens this name to write
//! gets EACCES, even where the host's file could be written.
//!
//! What resolvers make of it:
//!
//! - glibc (getaddrinfo(3), and so Python, curl, ssh, Java, Node's dns.lookup()) reads it at every lookup, when it comes to `files` in
//!   nsswitch.conf(5). Distributions write that before `dns`. Where the program may not read nsswitch.conf, newer ones go by the same order;
//!   old ones ask DNS first, which fails at once without a rule for a server. What is asked by a local socket (`resolve`, nscd(8)) is
//!   out of reach without a rule for that, and passed over.
//! - musl reads it first, always.
//! - Go reads it in both its ways: by libc's resolver, and by its own, in the order of nsswitch.conf, first if there is none. Its own
//!   asks stat(2), which tells time and size of the host's file, whether to read it again: a program that has read it once hardly
//!   notices that addresses have moved.
//! - Java and others that keep answers notice when those are old (networkaddress.cache.ttl, 30 seconds).
//! - What speaks DNS itself does not read it: dig(1), Node's dns.resolve().
//!
//! Names that no rule mentions are not in it. To ask a server for them takes a rule for the server; otherwise they fail without a
//! packet leaving the sandbox.

#![allow(unsafe_code)] // one block: taking over a descriptor that sys just made

mod opening;

#[cfg(test)]
mod calls_tests;
#[cfg(test)]
mod file_tests;

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fmt::Write;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result, Stage};
use crate::lock::Mutex;
use crate::supervisor::{Call, Reply, Served, sealed_file};
use crate::sys::{self, Errno};

use opening::{Given, How, Opening, decide, given, path_of};

/// The calls that are to be trapped. Not every architecture has them all.
pub(crate) const CALLS: &[&str] = &["open", "openat", "openat2"];

/// Longest spelling of the name that is looked at, with its NUL.
const LONGEST: usize = 64;

/// The /etc/hosts of one sandbox.
pub(crate) struct Hosts {
    now: Mutex<Arc<Text>>,
    host_conf: Text,
}

/// Without this, glibc takes the first address of a name in the file for the only one.
const HOST_CONF: &str = "multi on\n";

/// What is in it, in memory, unchangeable. Nobody reads by this description: each reader has one of its own, with its own position.
struct Text(OwnedFd);

impl Hosts {
    /// Of those names, with those addresses.
    pub(crate) fn new(addresses: &BTreeMap<String, Vec<IpAddr>>) -> Result<Self> {
        Ok(Self {
            now: Mutex::new(Arc::new(Text::new(&content(addresses))?)),
            host_conf: Text::new(HOST_CONF)?,
        })
    }

    /// Those who open it from now on find these names and addresses. On failure they find the former ones.
    pub(crate) fn replace(&self, addresses: &BTreeMap<String, Vec<IpAddr>>) -> Result<()> {
        let new = Arc::new(Text::new(&content(addresses))?);
        let former = std::mem::replace(&mut *self.now.lock(), new);
        // Without the lock, which somebody may want meanwhile.
        drop(former);
        Ok(())
    }

    /// Looks at `call`, which is the system call `name`, on whatever ground.
    ///
    /// To let a call run is safe, whatever its path has become since it was read here: then the kernel opens what it finds,
    /// if the policy's path rules grant that. Nothing is granted by what was read but the file below.
    pub(crate) fn open(&self, name: &str, call: &Call) -> Served {
        let arguments = call.received().arguments;
        let mut buffer = [0; LONGEST];
        let Some(path) = path_of(name).and_then(|index| string(call, arguments[index], &mut buffer)) else {
            return Served::Pass;
        };
        match decide(name, arguments, path, |address| read_how(call, address)) {
            Opening::Pass => Served::Pass,
            Opening::Fail(errno) => fails(errno),
            Opening::Give { cloexec } => match self.file(given(path)) {
                Err(Errno(errno)) => fails(errno),
                Ok(file) => {
                    // Here and not by the value returned, for the file must be open until it is done. An error means that the
                    // caller is gone, or was told that it got none.
                    let _ = call.answer(Reply::Fd {
                        fd: file.as_raw_fd(),
                        target: None,
                        cloexec,
                    });
                    // A second answer, which goes nowhere: nobody else is to look at the call.
                    fails(libc::EIO)
                }
            },
        }
    }

    fn file(&self, which: Option<Given>) -> sys::Result<OwnedFd> {
        match which {
            Some(Given::HostConf) => self.host_conf.reopen(),
            Some(Given::Hosts) | None => self.reopen(),
        }
    }

    /// The hosts as of now.
    fn reopen(&self) -> sys::Result<OwnedFd> {
        let text = Arc::clone(&self.now.lock());
        text.reopen()
    }
}

impl Text {
    fn new(text: &str) -> Result<Self> {
        let made =
            sealed_file(text.as_bytes()).and_then(|file| sys::fd::set_mode(file.as_raw_fd(), 0o444).map(|()| file));
        made.map(Self)
            .map_err(|errno| Error::system(ErrorKind::System, Stage::Network, "cannot make /etc/hosts", errno.0))
    }

    /// The file, by a description that nobody else has.
    ///
    /// A program may do to its files in memory what their owner may: take their mode away, or a lease on them. Then it does not get
    /// this one again until it lets go of that; nobody waits for it (O_NONBLOCK: for the lease), and it gets no second one, which
    /// would take more of the host's memory.
    fn reopen(&self) -> sys::Result<OwnedFd> {
        // `thread-self`, because that is whose table it is in.
        let path = format!("/proc/thread-self/fd/{}", self.0.as_raw_fd());
        let path = CString::new(path).map_err(|_| Errno(libc::EINVAL))?;
        let file = sys::fd::open(&path, libc::O_RDONLY | libc::O_NONBLOCK)?;
        // SAFETY: the descriptor was just opened and nobody else has it.
        Ok(unsafe { OwnedFd::from_raw_fd(file) })
    }
}

/// A line for each address, in the order in which they are given.
fn content(addresses: &BTreeMap<String, Vec<IpAddr>>) -> String {
    let mut text = String::new();
    for (name, addresses) in addresses {
        for address in addresses {
            // Does not fail: it is memory.
            let _ = writeln!(text, "{address} {name}");
        }
    }
    text
}

fn fails(errno: i32) -> Served {
    const EIO: u16 = 5;
    const { assert!(EIO as i32 == libc::EIO) };
    Served::Answer(Reply::Errno(u16::try_from(errno).unwrap_or(EIO)))
}

/// The string at `address`; None if it is longer than the buffer or cannot be read, which is the kernel's to say.
fn string<'a>(call: &Call, address: u64, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
    let length = call.read_string(address, buffer).ok()?;
    buffer.get(..length)
}

fn read_how(call: &Call, address: u64) -> Option<How> {
    let mut bytes = [0; How::SIZE];
    let count = call.read(address, &mut bytes).ok()?;
    (count == bytes.len()).then(|| How::of(&bytes))
}
