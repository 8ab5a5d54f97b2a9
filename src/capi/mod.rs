//! The C ABI. It translates between C and the crate's own types and does nothing else; nothing depends on it.
//!
//! The doc comments here are the text of `include/sandlock.h` and are written for its readers. One file per C type; this
//! file holds what every function does on its way in and out.
//!
//! # Safety
//!
//! Pointers come from C. Each function checks the ones it needs for NULL and otherwise trusts its documented contract:
//! strings are NUL-terminated, handles are live and came from this library, out-pointers are writable. Every block says
//! which part of that contract it rests on.
#![allow(unsafe_code, non_camel_case_types)]
// The functions are called from C, which has its own contract in the header instead of `# Safety` sections.
#![allow(clippy::missing_safety_doc)]

mod boundary;
mod cancel;
mod constants;
mod error;
mod event;
mod interaction;
mod members;
mod mounts;
mod net;
mod notification;
mod pending;
mod policy;
mod ports;
mod probe;
mod process;
mod report;
mod result;
mod spawn;
mod structs;
mod supervisor;
mod toml;
mod trace;
mod version;
