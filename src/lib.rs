//! Unprivileged process sandboxing on Linux, as a C library (`include/sandlock.h` is its manual) and a Rust crate.
//!
//! The map of the house. Data flows one way:
//!
//! ```text
//! Policy ──compile──▶ plan ──spawn──▶ running child ──trap──▶ supervisor ──▶ service or handler ──▶ answer
//!  (what)   (pure)   (flat, ready)    (child code)            (our threads)
//! ```
//!
//! - [`policy`] says what is allowed: plain data.
//! - [`probe`] asks the kernel what it offers.
//! - [`compile`] turns both into rulesets, filters and limits: pure functions.
//! - `plan` is what a child does before it executes its program, flat and pre-opened: the only type that parent and
//!   child share.
//! - `spawn` opens what the plan needs, starts the warden thread that owns the sandbox, and clones.
//! - `child` runs between clone and exec: it never allocates, locks or panics.
//! - `service` carries out trapped calls that the library answers itself.
//! - [`supervisor`] serves trapped calls, and knows none in particular; `service` holds those that the library serves itself.
//! - `members` tells who is in a sandbox.
//! - [`process`] waits, kills and collects; [`report`] says what was enforced.
//! - [`sandbox`] is the Rust face; one run reads top to bottom there.
//! - `capi` is the C face; it translates and nothing else.
//! - `sys` holds thin system calls; [`error`] and [`feature`] the vocabulary.
//!
//! Who may use whom is a table in `tests/layering.rs`. ARCHITECTURE.md walks through one run.

pub mod compile;
pub mod error;
pub mod feature;
pub mod policy;
pub mod probe;
pub mod process;
pub mod report;
pub mod sandbox;

mod capi;
mod child;
mod members;
mod plan;
mod service;
mod spawn;
pub mod supervisor;
mod sys;
