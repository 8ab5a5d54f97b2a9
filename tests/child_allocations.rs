//! A tripwire for the child between clone and exec: an allocator that notices who calls it.
//!
//! The child shares this process's memory, so that what the allocator counts in the child is seen here.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use sandlock::feature::{Feature, Strictness};
use sandlock::policy::{Access, Flag, Limit, Namespace, PathRule, Policy, Verdict};
use sandlock::sandbox::{Sandbox, SpawnOptions, Stdio};

struct Tripwire;

static HOST: AtomicI32 = AtomicI32::new(0);
static TRIPPED: AtomicU32 = AtomicU32::new(0);

fn note() {
    let host = HOST.load(Ordering::Relaxed);
    // SAFETY: takes no arguments.
    if host != 0 && unsafe { libc::getpid() } != host {
        TRIPPED.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: passes everything on to the system's allocator.
unsafe impl GlobalAlloc for Tripwire {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        note();
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note();
        // SAFETY: as the caller promises.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Tripwire = Tripwire;

extern "C" fn allocate(_: *mut c_void) -> c_int {
    drop(std::hint::black_box(vec![1_u8; 100]));
    0
}

/// The tripwire itself works: a child that allocates is noticed.
fn assert_that_the_wire_trips() {
    let mut stack = vec![0_u8; 256 << 10];
    let top = stack
        .as_mut_ptr_range()
        .end
        .map_addr(|address| address & !15)
        .cast::<c_void>();
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    // SAFETY: the stack is large enough, and this thread stands still until the child has ended.
    let pid = unsafe { libc::clone(allocate, top, flags, std::ptr::null_mut()) };
    assert!(pid > 0);
    // SAFETY: a null status is allowed.
    unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
    assert!(TRIPPED.swap(0, Ordering::Relaxed) >= 2);
}

/// A policy that takes every kind of step.
fn everything() -> Policy {
    let mut policy = Policy::new();
    for path in [c"/usr", c"/bin", c"/lib", c"/lib64"] {
        let access = Access::from_bits(Access::READ | Access::EXECUTE | Access::OPTIONAL).unwrap();
        policy.paths.push(PathRule::new(path.into(), access).unwrap());
    }
    for limit in [
        Limit::Cpu,
        Limit::Nofile,
        Limit::Fsize,
        Limit::Core,
        Limit::Data,
        Limit::As,
        Limit::Memlock,
    ] {
        policy.limits.insert(limit, 1 << 30);
    }
    policy.process.set_cwd(c"/usr".into()).unwrap();
    policy.process.set_umask(0o77).unwrap();
    policy.process.set_nice(19).unwrap();
    policy.process.set_cpus(&[0, 1]).unwrap();
    policy.process.set_flag(Flag::NoAslr, true);
    policy.process.set_flag(Flag::NoCoredump, true);
    policy.set_strictness(Feature::Limits, Strictness::BestEffort);
    policy.process.set_user(0, 0).unwrap();
    policy.namespaces.extend(Namespace::ALL);
    policy.set_strictness(Feature::NsUser, Strictness::BestEffort);
    for namespace in Namespace::ALL {
        policy.set_strictness(namespace.feature(), Strictness::BestEffort);
    }
    policy
}

#[test]
fn child_never_allocates() {
    // SAFETY: takes no arguments.
    HOST.store(unsafe { libc::getpid() }, Ordering::Relaxed);
    assert_that_the_wire_trips();

    let mut sandbox = Sandbox::new(everything());
    sandbox.add_syscall_rule("ptrace", Verdict::Deny(38)).unwrap();
    let options = || {
        let options = SpawnOptions::new().stdin(Stdio::Null).stdout(Stdio::Capture);
        options.stderr(Stdio::Pipe).pass(1, 7)
    };
    let argv = |program| [program, "argument"];
    // Found at once, found after a search, not found, not executable, and a step that fails.
    for (program, starts) in [
        ("/bin/echo", true),
        ("echo", true),
        ("no-such-program", false),
        ("/etc/passwd", false),
    ] {
        assert_eq!(
            sandbox.spawn(None, argv(program), options()).is_ok(),
            starts,
            "{program}"
        );
    }
    let on_terminal = || {
        let options = SpawnOptions::new().stdin(Stdio::Pty);
        options.stdout(Stdio::Pty).stderr(Stdio::Pty)
    };
    assert!(sandbox.spawn(None, argv("/bin/echo"), on_terminal()).is_ok());
    sandbox.policy_mut().process.set_cpus(&[1000]).unwrap();
    assert!(sandbox.spawn(None, argv("/bin/echo"), options()).is_err());
    assert_eq!(TRIPPED.load(Ordering::Relaxed), 0);
}
