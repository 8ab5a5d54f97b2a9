//! The least that is useful: run a program that may read what it needs, and see what happens when it wants more.
//!
//! `cargo run --example quickstart`; the files in C beside this one use the installed library.
#![allow(clippy::disallowed_macros)] // those keep the library off the host's standard streams; this is the host

use std::time::Duration;

use sandlock::{Access, Limit, Policy, Sandbox};

fn main() -> sandlock::Result<()> {
    let mut policy = Policy::new();
    for directory in ["/usr", "/bin", "/lib", "/lib64"] {
        policy.allow_path(directory, Access::READ_EXECUTE | Access::OPTIONAL)?;
    }
    policy.clear_env().set_limit(Limit::Data, 256 << 20)?;
    let sandbox = Sandbox::new(policy);

    for file in ["/usr/share/common-licenses/BSD", "/etc/passwd"] {
        let outcome = sandbox.run(None, ["cat", file], Some(Duration::from_secs(10)))?;
        let said = String::from_utf8_lossy(&outcome.stderr.bytes);
        println!(
            "{file}: {} {:?}, {} bytes, {:?}",
            outcome.reason,
            outcome.exit_code,
            outcome.stdout.bytes.len(),
            said.trim_end()
        );
    }
    Ok(())
}
