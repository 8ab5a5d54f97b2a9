//! Link arguments of the shared library that Cargo has no field for.

#![allow(clippy::disallowed_macros)] // how a build script talks to Cargo

fn main() {
    // The SONAME carries the ABI generation, not the crate version.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libsandlock.so.0");
    // Library threads outlive any single call; dlclose() must not unmap their code.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,relro,-z,now");
    println!("cargo::rerun-if-changed=build.rs");
}
