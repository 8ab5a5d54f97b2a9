//! Unprivileged process sandboxing on Linux, as a Rust crate and a C library (`include/sandlock.h` is the manual of that).
//!
//! A program makes a *policy* (files, network, system calls, limits), *runs* another program under it, and gets an *outcome* and a
//! *report* of what the kernel really enforced. Underneath are Landlock, seccomp-bpf and seccomp user notification. No root, no daemon,
//! no image, no async runtime, no signal handlers in your process. It is for hosts that run code they do not trust.
//!
//! ```
//! use std::time::Duration;
//!
//! use sandlock::{Access, Limit, Policy, Reason, Sandbox};
//!
//! fn main() -> sandlock::Result<()> {
//!     let mut policy = Policy::new(); // allows nothing
//!     for directory in ["/usr", "/bin", "/lib", "/lib64"] {
//!         policy.allow_path(directory, Access::READ_EXECUTE | Access::OPTIONAL)?;
//!     }
//!     policy.clear_env().set_limit(Limit::Data, 256 << 20)?;
//!
//!     let outcome = Sandbox::new(policy).run(None, ["cat", "/etc/passwd"], Some(Duration::from_secs(5)))?;
//!     assert_eq!((outcome.reason, outcome.exit_code), (Reason::Exited, Some(1)));
//!     assert_eq!(outcome.stderr.bytes, b"cat: /etc/passwd: Permission denied\n");
//!     Ok(())
//! }
//! ```
//!
//! # The model
//!
//! - A [`Policy`] is plain data: [path rules](policy::fs), [network rules](policy::net), [system calls](policy::syscalls),
//!   [limits](policy::limits), [the process](policy::process) that a program starts in, [namespaces](policy::namespaces) and
//!   [mounts](policy::mounts). It can be read from and written as [TOML](Policy::from_toml).
//! - A [`Sandbox`] is a policy, ready for any number of runs. [`Sandbox::check`] says everything that this kernel would refuse about it.
//!   [`Sandbox::run`] runs a program to its end, [`Sandbox::spawn`] starts one, [`Sandbox::confine_self`] confines the calling thread.
//! - A [`Process`] is a sandbox that runs: talk with it, wait, kill, pause, list its processes, change its network.
//! - An [`Outcome`] says what became of it: the reason, exit code or signal, output, what it used, which limit it hit.
//! - A [`Report`] has a row for each [`Feature`]: whether it was asked for, what enforces it, or why nothing does.
//! - A [`Supervisor`] looks at system calls: closures that answer them, at once or later, observers of what happens,
//!   traces of what a policy lacks.
//! - [`probe`] tells what the kernel offers, without starting anything.
//!
//! Who knows the C library finds its functions in [`from_c`].
//!
//! What the policy requires and the kernel lacks fails the spawn with a reason, unless the policy asks for it as
//! [best effort](feature::Strictness::BestEffort). Nothing is left out silently.
//!
//! # Errors
//!
//! Every function that can fail gives the one [`Error`]: kind, stage, errno, and one line that names step, object and reason. What a program
//! does wrong is no error: an exit code, a limit that was hit, time that was up are outcomes. The library does not panic on what it is
//! given; a panic in a handler, observer or listener of yours costs that one call.
//!
//! # Threads and forks
//!
//! Policies are plain data. Sandboxes, processes, supervisors and pending calls are [`Send`] and [`Sync`]: any thread, several at a time.
//! The thread that starts a program may end at once; each running sandbox has a thread of the library, with all signals blocked, and
//! handlers have some more. A process that is forked off later has no use for any of them: see [`process`] and [`supervisor`].
//!
//! The library installs no signal handlers, waits for no children that are not its own, writes nothing to standard streams, changes neither
//! environment, directory, umask nor signal mask of the host, and opens every descriptor close-on-exec. A host that waits for any child
//! (`waitpid(-1)`) takes the exit status from before Linux 6.15. Who changes the environment while a program is started must use
//! [`Policy::clear_env`].
//!
//! # Kernel
//!
//! | Linux | brings |
//! | --- | --- |
//! | 5.13 | files by path (Landlock ABI 1): the least for a sandbox that confines files |
//! | 5.19, 6.2, 6.10 | moving files, truncate(2), ioctl(2) on devices by the rules (ABI 2, 3, 5) |
//! | 6.6 | handlers answer in five microseconds instead of forty |
//! | 6.7 | TCP by port (ABI 4) |
//! | 6.12 | signals and abstract sockets; killing daemons; counting processes (ABI 6). All of the default policy |
//! | 6.15 | exit statuses that somebody else in the host took |
//!
//! Landlock must be enabled at boot, as distributions do. /proc must be mounted. x86-64 is what it is tested on.
//!
//! # Cargo features
//!
//! None for users of the crate. `sim` is for the fuzz targets of the repository, and promises nothing.
//!
//! # Safety
//!
//! The public functions are safe. Descriptors are given as numbers, as the kernel has them; they stay the caller's and must be open while
//! the call runs. SECURITY.md of the repository says what a hostile program can and cannot do, ARCHITECTURE.md how it works.

#![warn(missing_docs)]

// The map of the house. Data flows one way:
//
// Policy ──compile──▶ plan ──spawn──▶ running child ──trap──▶ supervisor ──▶ service or handler ──▶ answer
//  (what)   (pure)   (flat, ready)    (child code)            (our threads)
//
// - `policy` says what is allowed: plain data.
// - `probe` asks the kernel what it offers.
// - `compile` turns both into rulesets, filters and limits: pure functions.
// - `plan` is what a child does before it executes its program, flat and pre-opened: the only type that parent and
//   child share.
// - `spawn` opens what the plan needs, starts the warden thread that owns the sandbox, and clones.
// - `child` runs between clone and exec: it never allocates, locks or panics.
// - `service` carries out trapped calls that the library answers itself.
// - `supervisor` serves trapped calls, and knows none in particular; `service` holds those that the library serves itself.
// - `members` tells who is in a sandbox.
// - `process` waits, kills and collects; `report` says what was enforced.
// - `sandbox` is the Rust face; one run reads top to bottom there.
// - `capi` is the C face; it translates and nothing else.
// - `sys` holds thin system calls; `error` and `feature` the vocabulary.
//
// Who may use whom is a table in `tests/layering.rs`. ARCHITECTURE.md walks through one run.

// How policies become filters and rulesets: the library's own business. Public for the fuzz targets, which hold it against a direct reading
// of the rules; not part of what versions promise.
#[doc(hidden)]
pub mod compile;
pub mod error;
pub mod feature;
#[doc = include_str!("from_c.md")]
pub mod from_c {}
pub mod policy;
pub mod probe;
pub mod process;
pub mod report;
pub mod sandbox;
pub mod supervisor;

mod capi;
mod child;
mod kept;
mod lock;
mod members;
mod plan;
mod service;
mod spawn;
mod sys;

pub use error::{Error, ErrorKind, Result};
pub use feature::{Feature, Strictness};
pub use policy::{Access, Flag, Limit, Policy};
pub use process::{Outcome, Process, Reason};
pub use report::Report;
pub use sandbox::{Sandbox, SpawnOptions, Stdio};
pub use supervisor::Supervisor;

/// The version of the crate, and of the C library that it builds.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
