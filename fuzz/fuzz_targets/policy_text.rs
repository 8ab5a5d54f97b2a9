//! The text and numbers of a policy: names of calls and groups, paths, variables, and the values of its settings.
//!
//! The bytes choose what a caller sets and a kernel to compile for. Nothing may panic, every setting must accept
//! exactly what its documentation says, every error must be one line that says something, and a policy that compiles
//! must decide as its rules say.

#![no_main]

use std::ffi::CString;
use std::sync::LazyLock;

use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;

use sandlock::compile::arch::Arch;
use sandlock::compile::defaults::{Gaps, Metadata};
use sandlock::compile::filter::{Action, CallData};
use sandlock::compile::sim::run;
use sandlock::compile::sockets::RULED;
use sandlock::compile::syscalls::{assembly_error, check_name, filter};
use sandlock::compile::{Request, Serving, compile};
use sandlock::error::Error;
use sandlock::feature::{Feature, Strictness};
use sandlock::policy::check::denial_errno;
use sandlock::policy::net::reach::Network;
use sandlock::policy::syscalls::SyscallRule;
use sandlock::policy::{Access, BindRule, Flag, Limit, Namespace, NetRule, PathRule, Policy, SyscallMode, Verdict};
use sandlock::probe::{Capabilities, Refusal};
use sandlock::sandbox::Sandbox;

/// Every call of every architecture, and every group.
static NAMES: LazyLock<Vec<&str>> = LazyLock::new(|| {
    let groups = include_str!("../../scripts/groups.txt").lines();
    let groups = groups
        .filter(|line| line.starts_with('@'))
        .filter_map(|line| line.split(':').next());
    let calls = Arch::ALL
        .iter()
        .flat_map(|arch| arch.numbers().filter_map(|number| arch.name(number)));
    let names: Vec<_> = groups.chain(calls).collect();
    for name in &names {
        assert!(check_name(name).is_ok(), "{name}");
    }
    names
});

fuzz_target!(|data: &[u8]| {
    // Bytes that end too early have chosen what they could.
    let _ = exercise(&mut Unstructured::new(data));
});

fn exercise(bytes: &mut Unstructured) -> Result<()> {
    let mut policy = Policy::new();
    policy.syscalls.mode = *bytes.choose(SyscallMode::ALL)?;
    // One of the two a time: a filter takes a while to build under the fuzzer, and a kernel's is the native one.
    let (arch, kernel) = (*bytes.choose(&Arch::ALL)?, kernel(bytes)?);
    let for_kernel = bytes.ratio(1, 4)?;
    let (mut unknown_names, mut opens) = (false, false);
    while !bytes.is_empty() {
        match bytes.int_in_range(0..=15)? {
            0 => opens |= add_path(bytes, &mut policy)?,
            1 => opens |= set_cwd(bytes, &mut policy)?,
            2 => set_variable(bytes, &mut policy)?,
            3 => set_number(bytes, &mut policy)?,
            4 => {
                let limit = *bytes.choose(Limit::ALL)?;
                policy.limits.insert(limit, bytes.arbitrary()?);
            }
            5 => policy.process.set_flag(*bytes.choose(Flag::ALL)?, bytes.arbitrary()?),
            6 => {
                policy.set_strictness(*bytes.choose(Feature::ALL)?, *bytes.choose(Strictness::ALL)?);
            }
            7 => drop(policy.namespaces.insert(*bytes.choose(Namespace::ALL)?)),
            8 => {
                let (user, group) = (bytes.arbitrary()?, bytes.arbitrary()?);
                let good = user != u32::MAX && group != u32::MAX;
                assert_eq!(accepted(policy.process.set_user(user, group)), good, "{user} {group}");
            }
            9 => add_net_rule(bytes, &mut policy)?,
            _ => unknown_names |= !add_syscall_rule(bytes, &mut policy)?,
        }
    }
    if !for_kernel {
        check_filter(&policy, arch, unknown_names, &kernel);
    } else if let Err(problems) = compile(
        &policy,
        &Request {
            serving: Serving::Possible,
            ..Request::default()
        },
        &kernel,
    ) {
        check_problems(problems);
    }
    // Messages about paths come from opening them, on the kernel that there is.
    if opens {
        accepted(Sandbox::new(policy).check());
    }
    Ok(())
}

/// True if it is accepted; an error must be one line that says something.
fn accepted<T>(result: std::result::Result<T, Error>) -> bool {
    let Err(error) = result else { return true };
    let message = error.message();
    assert!(
        !message.is_empty() && !message.contains(['\n', '\r', '\0']),
        "{message:?}"
    );
    false
}

fn check_problems(problems: Vec<Error>) {
    assert!(!problems.is_empty(), "refused without a reason");
    for problem in &problems {
        accepted::<()>(Err(problem.clone()));
    }
    accepted(Error::all(problems).map_or(Ok(()), Err));
}

/// Builds and compiles the filter of `policy`, and asks it about the calls that the policy names.
fn check_filter(policy: &Policy, arch: Arch, unknown_names: bool, kernel: &Capabilities) {
    let gaps = Gaps {
        metadata: if policy.strictness(Feature::FilesMetadata) == Strictness::Require {
            Metadata::Refused(1)
        } else {
            Metadata::Open
        },
        network: (policy.strictness(Feature::Network) == Strictness::Require)
            .then(|| Network::new(&policy.network))
            .map(|network| {
                if kernel.seccomp_notify {
                    network
                } else {
                    network.without_service(kernel.landlock_abi >= 9)
                }
            }),
        network_rules: !policy.network.is_empty(),
        reservations: policy.limit(Limit::Disk).is_some(),
    };
    let spec = match filter(&policy.syscalls, gaps, arch) {
        Ok(spec) => spec,
        Err(problems) => return check_problems(problems),
    };
    assert!(!unknown_names, "unknown name accepted: {:?}", policy.syscalls);
    let program = match spec.compile() {
        Ok(program) => program,
        Err(error) => return check_problems(vec![assembly_error(error)]),
    };
    let decides = |name: &str, arguments: [u64; 6], expected: Option<Action>| {
        let Some(number) = arch.number(name) else { return };
        let call = CallData {
            number,
            arch: arch.audit(),
            instruction_pointer: 0,
            arguments,
        };
        let decision = spec.decide(&call);
        assert_eq!(
            run(&program, &call),
            Some(decision.code()),
            "{name} under {:?}",
            policy.syscalls
        );
        if let Some(expected) = expected {
            assert_eq!(decision, expected, "{name} under {:?}", policy.syscalls);
        }
    };
    for rule in &policy.syscalls.rules {
        // A group has no number: what becomes of its members is for the rest of the policy to say as well.
        let expected = match rule.verdict {
            // That is for the network rules to say.
            Verdict::Allow if gaps.network_rules && RULED.contains(&rule.name.as_str()) => None,
            Verdict::Allow => Some(Action::Allow),
            Verdict::Deny(errno) => Some(Action::Errno(errno)),
        };
        for argument in [0, 1, 0x5412, u64::MAX] {
            decides(&rule.name, [argument; 6], expected);
        }
    }
    decides("execve", [0; 6], Some(Action::Allow));
    for name in ["clone", "ioctl", "prctl", "mknodat"].iter().chain(RULED) {
        decides(name, [0x1000_0002; 6], None);
        decides(name, [2; 6], None);
    }
}

/// A kernel that offers this or that.
fn kernel(bytes: &mut Unstructured) -> Result<Capabilities> {
    let mut kernel = Capabilities::default();
    kernel.landlock_abi = bytes.int_in_range(0..=9)?;
    if kernel.landlock_abi == 0 {
        kernel.landlock_errno = bytes.int_in_range(1..=133)?;
    }
    kernel.seccomp_filter = bytes.ratio(7, 8)?;
    kernel.seccomp_notify = bytes.arbitrary()?;
    kernel.notify_wait_killable = bytes.arbitrary()?;
    kernel.notify_sync_wake_up = bytes.arbitrary()?;
    kernel.notify_add_fd = bytes.arbitrary()?;
    kernel.notify_add_fd_send = bytes.arbitrary()?;
    if bytes.ratio(1, 8)? {
        kernel.pidfd_getfd_errno = bytes.int_in_range(1..=133)?;
    }
    kernel.proc_blindness = bytes.ratio(1, 8)?.then_some("blind");
    kernel.close_range = bytes.ratio(7, 8)?;
    kernel.unlimited_processes = bytes.ratio(1, 8)?;
    kernel.privileged = bytes.arbitrary()?;
    let namespaces = &mut kernel.refused_namespaces;
    namespaces.user = refusal(bytes)?;
    namespaces.ipc = refusal(bytes)?;
    namespaces.uts = refusal(bytes)?;
    namespaces.net = refusal(bytes)?;
    namespaces.pid = refusal(bytes)?;
    namespaces.mount = refusal(bytes)?;
    let groups = &mut kernel.groups;
    groups.named = bytes.ratio(1, 8)?;
    groups.memory = bytes.arbitrary()?;
    groups.cpu = bytes.arbitrary()?;
    groups.lack = bytes.ratio(1, 8)?.then_some(("none", 2));
    Ok(kernel)
}

/// Why a namespace is refused, if it is.
fn refusal(bytes: &mut Unstructured) -> Result<Option<Refusal>> {
    let errno = bytes.int_in_range(1..=133)?;
    Ok(match bytes.int_in_range(0..=5)? {
        0 => Some(Refusal::Clone(errno)),
        1 => Some(Refusal::Map(errno)),
        2 => Some(Refusal::Image(errno)),
        3 => Some(Refusal::Proc(errno)),
        _ => None,
    })
}

/// Some bytes without NUL, as a C caller can give them.
fn text(bytes: &mut Unstructured) -> Result<CString> {
    let length = bytes.arbitrary::<u8>()?;
    let length = usize::from(length).min(bytes.len());
    let text = bytes.bytes(length)?.split(|&byte| byte == 0).next().unwrap_or_default();
    Ok(CString::new(text).unwrap_or_default())
}

/// Rules of every kind of peer.
const NET_RULES: &[&str] = &[
    "*",
    "tcp://*:443",
    "udp://*:53",
    "icmp://*",
    "tcp://example.com:443",
    "localhost",
    "10.0.0.0/8",
    "tcp://10.0.0.1:80,8000-8999",
    "udp://[fd00::/8]:53",
    "::1",
    "icmp://192.0.2.1",
    "unix:/run/x",
    "unix:/run/*",
    "unix:@x",
    "unix:@x/*",
    "80",
    "8000-8999",
    "udp://*",
];

/// Adds a rule about the network: one of those above, or anything.
fn add_net_rule(bytes: &mut Unstructured, policy: &mut Policy) -> Result<()> {
    let text = if bytes.ratio(1, 8)? {
        text(bytes)?.to_string_lossy().into_owned()
    } else {
        (*bytes.choose(NET_RULES)?).to_owned()
    };
    let network = &mut policy.network;
    let added = match bytes.int_in_range(0..=3)? {
        0 => NetRule::allow(&text).map(|rule| network.allow.push(rule)),
        1 => NetRule::deny(&text).map(|rule| network.deny.push(rule)),
        2 => BindRule::parse(&text).map(|rule| network.allow_bind.push(rule)),
        _ => BindRule::parse(&text).map(|rule| network.deny_bind.push(rule)),
    };
    accepted(added);
    Ok(())
}

/// A name that is known, one that nearly is, or anything.
fn name(bytes: &mut Unstructured) -> Result<String> {
    let kind = bytes.int_in_range(0..=15)?;
    if kind == 0 {
        return Ok(text(bytes)?.to_string_lossy().into_owned());
    }
    let mut name = (*bytes.choose(&NAMES)?).to_owned();
    match kind {
        1 => name.push(bytes.arbitrary()?),
        2 => name.insert(0, bytes.arbitrary()?),
        3 => drop(name.pop()),
        _ => {}
    }
    Ok(name)
}

/// Adds a rule, and says whether its name is known.
fn add_syscall_rule(bytes: &mut Unstructured, policy: &mut Policy) -> Result<bool> {
    let name = name(bytes)?;
    let verdict = if bytes.arbitrary()? {
        Verdict::Allow
    } else {
        let errno = if bytes.ratio(1, 8)? {
            bytes.arbitrary()?
        } else {
            bytes.int_in_range(1..=4095)?
        };
        let checked = denial_errno(errno);
        assert_eq!(checked.is_ok(), (1..=4095).contains(&errno), "{errno}");
        match checked {
            Ok(errno) => Verdict::Deny(errno),
            Err(error) => {
                accepted::<()>(Err(error));
                return Ok(true);
            }
        }
    };
    let known = accepted(check_name(&name));
    assert!(known || !NAMES.contains(&name.as_str()), "{name:?}");
    // A rule whose name nobody has checked must be found out later.
    if known || bytes.ratio(1, 8)? {
        policy.syscalls.rules.push(SyscallRule { name, verdict });
        return Ok(known);
    }
    Ok(true)
}

fn add_path(bytes: &mut Unstructured, policy: &mut Policy) -> Result<bool> {
    let bits = if bytes.ratio(1, 8)? {
        bytes.arbitrary()?
    } else {
        let optional = if bytes.arbitrary()? { Access::OPTIONAL } else { 0 };
        bytes.int_in_range(0..=7)? | optional
    };
    let access = Access::from_bits(bits);
    assert_eq!(access.is_ok(), bits & 7 != 0 && bits & !0x107 == 0, "{bits:#x}");
    let path = text(bytes)?;
    let Ok(access) = access else {
        return Ok(accepted(access));
    };
    let empty = path.is_empty();
    let rule = PathRule::new(path, access);
    assert_eq!(rule.is_ok(), !empty);
    match rule {
        Ok(rule) => policy.paths.push(rule),
        Err(error) => return Ok(accepted::<()>(Err(error))),
    }
    Ok(true)
}

fn set_cwd(bytes: &mut Unstructured, policy: &mut Policy) -> Result<bool> {
    let path = text(bytes)?;
    let empty = path.is_empty();
    let accepted = accepted(policy.process.set_cwd(path));
    assert_eq!(accepted, !empty);
    Ok(accepted)
}

fn set_variable(bytes: &mut Unstructured, policy: &mut Policy) -> Result<()> {
    if bytes.ratio(1, 8)? {
        policy.process.clear_environment();
        assert!(policy.process.variables.is_empty());
        return Ok(());
    }
    let name = text(bytes)?;
    let value = if bytes.ratio(3, 4)? { Some(text(bytes)?) } else { None };
    let good = !name.is_empty() && !name.as_bytes().contains(&b'=');
    assert_eq!(
        accepted(policy.process.set_variable(name.clone(), value.clone())),
        good,
        "{name:?}"
    );
    let set: Vec<_> = policy
        .process
        .variables
        .iter()
        .filter(|(known, _)| *known == name)
        .collect();
    if good {
        assert_eq!(set, [&(name, value)]);
    } else {
        assert!(set.is_empty(), "{set:?}");
    }
    Ok(())
}

fn set_number(bytes: &mut Unstructured, policy: &mut Policy) -> Result<()> {
    match bytes.int_in_range(0..=2)? {
        0 => {
            let mask = if bytes.arbitrary()? {
                bytes.arbitrary()?
            } else {
                bytes.int_in_range(0..=0o1001)?
            };
            assert_eq!(accepted(policy.process.set_umask(mask)), mask <= 0o777, "{mask:#o}");
        }
        1 => {
            let nice = if bytes.arbitrary()? {
                bytes.arbitrary()?
            } else {
                bytes.int_in_range(-22..=21)?
            };
            assert_eq!(
                accepted(policy.process.set_nice(nice)),
                (-20..=19).contains(&nice),
                "{nice}"
            );
        }
        _ => {
            let mut cpus = Vec::new();
            for _ in 0..bytes.int_in_range(0..=4)? {
                cpus.push(if bytes.ratio(1, 8)? {
                    bytes.arbitrary()?
                } else {
                    bytes.int_in_range(0..=1025)?
                });
            }
            let good = !cpus.is_empty() && cpus.iter().all(|&cpu| cpu < 1024);
            assert_eq!(accepted(policy.process.set_cpus(&cpus)), good, "{cpus:?}");
        }
    }
    Ok(())
}
