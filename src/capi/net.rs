//! What a program may connect to, and bind to.

use std::ffi::c_char;

use crate::error::{Error, Result};
use crate::policy::{BindRule, NetRule};

use super::boundary::{status, string, string_array};
use super::constants::sandlock_status;
use super::error::sandlock_error;
use super::policy::{change, sandlock_policy};
use super::process::{on, sandlock_process};

/// -------------------------------------------------------------------------------------------------------------------
/// Functions: the network
/// -------------------------------------------------------------------------------------------------------------------
///
/// Allows the program to connect and send to somebody. Rules add up; without any the program has no network, and what no rule allows is
/// refused with EACCES. What sandlock_policy_deny_net() denies is denied, whatever is allowed. Loopback is a destination like any other.
///
/// A rule is one line, UTF-8: [tcp://|udp://|icmp://]target[:ports], or unix: and a socket of this host.
///
/// ```text
///     tcp://example.com:443               # a host by name, and a port
///     example.com                         # TCP and UDP, every port; ICMP is allowed by its scheme only
///     udp://192.0.2.53:53                 # an address
///     tcp://10.0.0.0/8:80,8000-8999       # a network; ports are a list of ports and ranges, or *, which is all
///     2001:db8::1                         # IPv6: without brackets it takes no ports,
///     tcp://[2001:db8::1]:443             # and with them the prefix of a network belongs inside
///     [fd00::/8]:53
///     icmp://192.0.2.1                    # echo requests; ICMP takes no ports
///     tcp://*:443                         # anywhere
///     *                                   # all of TCP and UDP
///     unix:/run/postgresql/.s.PGSQL.5432  # the socket at a path,
///     unix:/run/user/1000/*               # those beneath a directory, at any depth,
///     unix:@/tmp/.X11-unix/X0             # that with an abstract name,
///     unix:@com.example/*                 # those whose abstract names begin with this and "/"
/// ```
///
/// Schemes are in lower case. The addresses of a network have their first bits in common, so many as the prefix says; an address that has
/// other bits set beyond them is refused, and the message names the network. IPv4 that is written as IPv6 (::ffff:192.0.2.1) is IPv4,
/// in rules and in what the program does, and 0.0.0.0/0 and ::/0 are all of IPv4 and all of IPv6. The unspecified addresses 0.0.0.0
/// and :: mean the host itself where a program connects to them, and are taken for 127.0.0.1 and ::1; no rule names them. Scope
/// ids (fe80::1%eth0) are not known: a rule holds on every interface. Port 0 is none.
///
/// Names of hosts consist of ASCII letters, digits, "-", "_" and single dots, without wildcards; case and a dot in the end do not matter.
/// What looks like an address and is none, 127.1 or 0x7f000001, is no name. Names are looked up when the sandbox is started, by the host,
/// and each address that is found then is allowed. A name that is not found fails the start; if the network is asked for by BEST_EFFORT it
/// allows nothing, and the report says so. /etc/hosts as the program sees it names exactly those hosts, so that it needs nobody to ask; a handler of open and its like is not asked about that file.
/// Addresses that change later are followed if sandlock_policy_set_net_refresh() says so.
///
/// Paths of sockets are absolute, without ".", ".." and empty names, and of 107 bytes at most, as names are; "*" has no other place than
/// the end, after "/".
///
/// What enforces it: rules of TCP by port alone (the target is *) are Landlock's, ABI 4, Linux 6.7. For everything else, names,
/// addresses, UDP, ICMP and Unix sockets, the library carries out connect(2), sendto(2), sendmsg(2) and sendmmsg(2) for the
/// program, with the address that it has looked at and no other. Such rules take a supervisor (Linux 5.6): they are not to be had
/// with SANDLOCK_FLAG_NO_SUPERVISOR, nor in sandlock_confine_self(). The exception are rules that allow Unix sockets by path, where none
/// is about an abstract name and none denies any: from ABI 9 on, Linux 7.1, Landlock keeps these without the library. Then they are about
/// the sockets and directories that are there when a program starts, by whatever name it reaches them (a symbolic link in a rule's
/// path leads nowhere), and a program listens at Unix sockets only if it may bind to every TCP port. Landlock ABI 9 also keeps a program
/// from the Unix sockets of others by descriptors that it was given. Refused whatever rules say: MSG_FASTOPEN, by which sending
/// connects, MPTCP, SCTP, raw and packet sockets, other protocols in a TCP socket (TCP_ULP), and, where rules name addresses, options that
/// lead elsewhere: IP options, routing headers, the choice of an interface or of the range of free ports.
///
/// What is different where the library carries calls out: the peer of a Unix socket finds the credentials of the host's process
/// (SO_PEERCRED, SCM_CREDENTIALS: its process id, user and group), so it must not take the program for somebody else by these; a message
/// with credentials that the program states itself is refused (EPERM). A Unix socket that has more names than one (hard links) is not
/// reached. A socket that is bound to a path shows another name to getsockname(2), if rules allow UDP or ICMP too. sendmmsg(2) sends
/// 64 messages at most, and says so; MSG_ZEROCOPY is refused (ENOBUFS); SO_LINGER is 5 seconds at most. A signal to the whole process
/// interrupts such a call that waits (EINTR), even with SA_RESTART, if the process has several threads. An eighth as many of them
/// may wait as the host may have descriptors (RLIMIT_NOFILE), and 960 at most; a quarter as many of all sandboxes of the host together; then they
/// fail with ENOBUFS. A program that has a file that
/// is no socket take the place of one during such a call is killed. See SANDLOCK_FEATURE_NETWORK.
///
/// INVALID_ARGUMENT: NULL, a rule that is malformed. The message quotes it and has the column, counting characters from 1:
/// arguments: rule "tcp://10.1.2.3/8", column 7: this address has bits beyond the prefix; the network is 10.0.0.0/8. The policy is as
/// before then. The thread rule of policies.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_policy_allow_net(
    policy: *mut sandlock_policy,
    rule: *const c_char,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    change(policy, error, |policy| {
        policy.network.allow.push(NetRule::allow(text(rule, "rule")?)?);
        Ok(())
    })
}

/// Denies the program to connect and send to somebody, whatever rules allow, in whatever order they were added: an exception from what
/// sandlock_policy_allow_net() allows, which has the grammar. A host that is allowed by name is denied at those of its addresses that a
/// rule denies. Without anything that is allowed it changes nothing.
///
/// Addresses, networks and Unix sockets can be denied, and * with ports or a scheme; names of hosts cannot, for who answers to a
/// name chooses its addresses. Denying a port of TCP everywhere (tcp://*:25) is Landlock's as allowing it is, and everything else the
/// library's.
///
/// INVALID_ARGUMENT: as sandlock_policy_allow_net(); also the name of a host, and * alone. The thread rule of policies.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_policy_deny_net(
    policy: *mut sandlock_policy,
    rule: *const c_char,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    change(policy, error, |policy| {
        policy.network.deny.push(NetRule::deny(text(rule, "rule")?)?);
        Ok(())
    })
}

/// Allows the program to bind to ports, on whatever address, and with TCP to be a server there: [tcp://|udp://]ports. Without a scheme
/// it is TCP.
///
/// ```text
///     8080
///     80,8000-8999
///     udp://*                             # every port
/// ```
///
/// Rules add up; without any the program binds to no port and serves nothing, though what it connects and sends by is bound by the
/// kernel. To bind to port 0 is to be given a free port of those that are allowed, and works if a range or * is. Ports below 1024 take
/// privileges as ever. Who connects to a server of TCP is nobody's to say here; whom one of UDP answers is sandlock_policy_allow_net()'s.
///
/// Ports of TCP are Landlock's, ABI 4, Linux 6.7; but which sockets listen is for the library to look at, unless every port is allowed, and
/// so are ranges and the ports of UDP. So all but tcp://* take a supervisor: see sandlock_policy_allow_net(). A UDP socket may always be
/// bound to port 0: it has what free port the kernel gives it, as every socket has that connects or sends. In a network namespace of the
/// sandbox's own (SANDLOCK_NAMESPACE_NET) ports below 1024 take no privileges.
///
/// INVALID_ARGUMENT: NULL, a rule that is malformed: the message quotes it and has the column. 0 is no port. The thread rule of
/// policies.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_policy_allow_bind(
    policy: *mut sandlock_policy,
    ports: *const c_char,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    change(policy, error, |policy| {
        policy.network.allow_bind.push(BindRule::parse(text(ports, "ports")?)?);
        Ok(())
    })
}

/// Denies the program to bind to ports, whatever rules allow, in whatever order they were added: an exception from what
/// sandlock_policy_allow_bind() allows, which has the grammar.
///
/// INVALID_ARGUMENT: as sandlock_policy_allow_bind(). The thread rule of policies.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_policy_deny_bind(
    policy: *mut sandlock_policy,
    ports: *const c_char,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    change(policy, error, |policy| {
        policy.network.deny_bind.push(BindRule::parse(text(ports, "ports")?)?);
        Ok(())
    })
}

/// Has the names of hosts in the rules looked up again every `seconds` while a sandbox runs, by a thread of the library; 0, as in a new
/// policy: never. What is found counts from then on, for rules and for the program's /etc/hosts; a name that cannot be resolved then
/// keeps its addresses. Connections that exist stay. In a policy without names it does nothing.
///
/// INVALID_ARGUMENT: NULL. The thread rule of policies.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_policy_set_net_refresh(
    policy: *mut sandlock_policy,
    seconds: u32,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    change(policy, error, |policy| {
        policy.network.refresh = Some(seconds).filter(|&seconds| seconds != 0);
        Ok(())
    })
}

/// Changes what the program of a running sandbox may connect and send to. From when this returns on, `allow` and `deny`, arrays of rules
/// that NULL ends, decide instead of those of the last change, both at once; whatever they allow, what the policy did not allow when
/// the sandbox was started stays refused. So rules are tightened, and loosened again up to that ceiling. NULL for `allow` is what the
/// policy allows, an empty array nothing; NULL for `deny` is nothing more than the policy denies.
///
/// Calls that are being carried out are decided already. Connections, and the peers of datagram sockets, stay: who must be cut off is
/// killed. Ports that may be bound to do not change. Names of hosts that are new are looked up first, which may take five
/// seconds; the program's /etc/hosts then has those names of the policy that `allow` has.
///
/// STATE: the policy does not say SANDLOCK_FLAG_NET_UPDATES, or allows nothing; the process handle was made before this process was
/// forked. INVALID_ARGUMENT: NULL, a rule that is malformed. NOT_FOUND and SYSTEM: a name cannot be resolved. After an error what
/// counted before counts; but where only the new /etc/hosts could not be made (SYSTEM), the rules have changed and that file has not. Any
/// thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_process_update_net(
    process: *mut sandlock_process,
    allow: *const *const c_char,
    deny: *const *const c_char,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    status(error, || {
        let process = on(process)?;
        let rules = |array: *const *const c_char, what: &str, parse: fn(&str) -> Result<NetRule>| {
            let given = (!array.is_null()).then(|| string_array(array, what)).transpose()?;
            let parsed = given.map(|texts| {
                texts
                    .iter()
                    .map(|text| parse(self::text(text.as_ptr(), what)?))
                    .collect()
            });
            parsed.transpose()
        };
        let allow: Option<Vec<NetRule>> = rules(allow, "allow", NetRule::allow)?;
        let deny: Option<Vec<NetRule>> = rules(deny, "deny", NetRule::deny)?;
        process.update_network(allow, deny.unwrap_or_default())
    })
}

/// The text of a rule.
fn text<'a>(pointer: *const c_char, what: &str) -> Result<&'a str> {
    let bytes = string(pointer, what)?.to_bytes();
    str::from_utf8(bytes).map_err(|error| {
        let before = bytes.get(..error.valid_up_to()).unwrap_or(bytes);
        // Characters, not bytes: those of a character but the first are 0b10xxxxxx.
        let column = before.iter().filter(|&&byte| byte & 0xc0 != 0x80).count() + 1;
        let quoted = bytes.escape_ascii();
        Error::argument(format_args!("rule \"{quoted}\", column {column}: this is not UTF-8"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples in the manual of these functions.
    fn examples() -> Vec<&'static str> {
        let lines = include_str!("net.rs")
            .lines()
            .filter_map(|line| line.strip_prefix("///     "));
        lines
            .filter_map(|line| line.split(" #").next())
            .map(str::trim)
            .collect()
    }

    #[test]
    fn examples_in_the_manual_are_rules() {
        let (bind, net): (Vec<_>, Vec<_>) = examples().into_iter().partition(|text| BindRule::parse(text).is_ok());
        // "*" is a rule of either kind.
        assert_eq!(bind, ["*", "8080", "80,8000-8999", "udp://*"]);
        assert_eq!(net.len(), 13);
        for text in net {
            assert!(NetRule::allow(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn rule_that_is_not_utf8_has_a_place() {
        let error = text(c"unix:/\xc3\xa9\xff".as_ptr(), "rule").unwrap_err();
        let expected = "arguments: rule \"unix:/\\xc3\\xa9\\xff\", column 8: this is not UTF-8";
        assert_eq!(error.message(), expected);
        assert_eq!(
            text(std::ptr::null(), "rule").unwrap_err().message(),
            "arguments: rule is NULL"
        );
    }
}
