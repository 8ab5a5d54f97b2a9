//! The ports of a sandbox, where they are numbers of its own.

use crate::error::{Error, ErrorKind, Stage};
use crate::policy::net::Protocol;
use crate::sandbox::Port;

use super::boundary::{free, into_handle, null, required, status, value};
use super::constants::{SANDLOCK_PROTOCOL_TCP, SANDLOCK_PROTOCOL_UDP, sandlock_status};
use super::error::sandlock_error;
use super::process::{on, sandlock_process};
use super::structs::{Extensible, init, write};

/// The ports of a sandbox at some moment. Made by sandlock_process_ports(); never changes. Any thread.
pub struct sandlock_ports {
    ports: Vec<Port>,
}

/// A port of a sandbox. Start from SANDLOCK_PORT_INIT or sandlock_port_init().
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sandlock_port {
    /// sizeof(sandlock_port), set by the caller.
    pub size: usize,
    /// SANDLOCK_PROTOCOL_*.
    pub protocol: u32,
    /// The number that the program knows.
    pub inside: u16,
    /// The number that everybody else knows: where the host finds it.
    pub outside: u16,
}

// SAFETY: plain data that starts with its size.
unsafe impl Extensible for sandlock_port {
    const NAME: &'static str = "sandlock_port";
    const FIRST_SIZE: usize = 16;
}

const NONE: sandlock_port = sandlock_port {
    size: size_of::<sandlock_port>(),
    protocol: 0,
    inside: 0,
    outside: 0,
};

/// Sets `port` to SANDLOCK_PORT_INIT, for languages without macros. NULL does nothing. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_port_init(port: *mut sandlock_port) {
    value((), || init(port, NONE));
}

/// Lists the ports that sockets of the sandbox are bound to, under SANDLOCK_FLAG_PORT_REMAP: the program's own numbers, and the host's that
/// they stand for. Several sockets can have one port, which is listed once; a number can stand for several ports, if sockets have it
/// at different addresses. The list is of a moment: a program that has just been started may not have bound to anything yet, and
/// one that has ended has no ports. On success the caller owns `*out`.
///
/// STATE: the policy does not say PORT_REMAP, or allows no port to be bound to; the process handle was made before this process was
/// forked. INVALID_ARGUMENT: NULL. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_process_ports(
    process: *const sandlock_process,
    out: *mut *mut sandlock_ports,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    status(error, || {
        let process = on(process)?;
        if out.is_null() {
            return Err(null("out"));
        }
        let ports = sandlock_ports {
            ports: process.ports()?,
        };
        // SAFETY: not NULL, and writable as the header asks.
        unsafe { out.write(into_handle(ports)) };
        Ok(())
    })
}

/// How many ports the list has; 0 if `ports` is NULL. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_ports_count(ports: *const sandlock_ports) -> usize {
    value(0, || required(ports, "ports").map_or(0, |list| list.ports.len()))
}

/// Stores port `index`, counted from 0, in `*out`: TCP first, by the program's numbers.
///
/// INVALID_ARGUMENT: NULL, a wrong size. NOT_FOUND: the list has fewer. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_ports_get(
    ports: *const sandlock_ports,
    index: usize,
    out: *mut sandlock_port,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    status(error, || {
        let list = required(ports, "ports")?;
        let port = list.ports.get(index).ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                Stage::Arguments,
                format_args!("there is no port {index}, the list has {}", list.ports.len()),
            )
        })?;
        let protocol = match port.protocol {
            Protocol::Tcp => SANDLOCK_PROTOCOL_TCP,
            Protocol::Udp => SANDLOCK_PROTOCOL_UDP,
            // Has no ports.
            Protocol::Icmp => 0,
        };
        write(
            out,
            &sandlock_port {
                size: size_of::<sandlock_port>(),
                protocol,
                inside: port.inside,
                outside: port.outside,
            },
        )
    })
}

/// Frees a list. NULL is allowed. Any thread, when no other uses it any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sandlock_ports_free(ports: *mut sandlock_ports) {
    // SAFETY: NULL or a list that this library made and nobody freed.
    unsafe { free(ports) }
}
