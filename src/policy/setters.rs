//! What is set most, checked as it is set, in calls that can be chained.
//!
//! The fields of a policy say the same and are open to everybody; what goes wrong with those is found when the policy is checked.

use std::ffi::OsStr;
use std::path::Path;

use crate::error::Result;

use super::syscalls::SyscallRule;
use super::{
    Access, BindRule, Flag, Limit, Mount, Namespace, NetRule, PathRule, Policy, Root, SyscallMode, Verdict, check,
};

impl Policy {
    /// Grants access to a file, or to a directory and everything beneath it. `access` is bits of [`Access`], or-ed together. Rules add
    /// up; what none grants is denied (EACCES).
    ///
    /// A relative path starts from the host's working directory. It is resolved, symbolic links followed, when the policy is next checked
    /// or used: the rule is about the file found then, not about its name. In a mount namespace it is the program's path instead. Rests on
    /// landlock(7): see [`Feature::Files`](crate::feature::Feature::Files).
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](crate::error::ErrorKind::InvalidArgument): an empty path, one with a NUL in it, unknown bits, no right among
    /// the bits. A path that is missing is found out later, unless it may be ([`Access::OPTIONAL`]).
    ///
    /// ```
    /// use sandlock::{Access, Policy};
    ///
    /// let mut policy = Policy::new();
    /// policy
    ///     .allow_path("/usr", Access::READ_EXECUTE)?
    ///     .allow_path("/lib64", Access::READ_EXECUTE | Access::OPTIONAL)?;
    /// assert_eq!(policy.paths.len(), 2);
    /// assert!(policy.allow_path("/usr", 0).is_err());
    /// # Ok::<(), sandlock::Error>(())
    /// ```
    pub fn allow_path(&mut self, path: impl AsRef<Path>, access: u64) -> Result<&mut Self> {
        let path = check::without_nul(path.as_ref().as_os_str(), "path")?;
        self.paths.push(PathRule::new(path, Access::from_bits(access)?)?);
        Ok(self)
    }

    /// Allows the program to connect and send to somebody: `tcp://example.com:443`, `10.0.0.0/8`, `unix:/run/service/*`. The module
    /// [`net`](super::net) has the grammar, and says what enforces such a rule.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](crate::error::ErrorKind::InvalidArgument) with the column of what is wrong.
    pub fn allow_net(&mut self, rule: &str) -> Result<&mut Self> {
        self.network.allow.push(NetRule::allow(rule)?);
        Ok(self)
    }

    /// Denies the program to connect and send to somebody, whatever is allowed: an exception from [`Policy::allow_net`].
    ///
    /// # Errors
    ///
    /// As [`Policy::allow_net`]; also for the name of a host, whose addresses are for others to choose, and for `*` alone.
    pub fn deny_net(&mut self, rule: &str) -> Result<&mut Self> {
        self.network.deny.push(NetRule::deny(rule)?);
        Ok(self)
    }

    /// Allows the program to bind to ports, and with TCP to be a server there: `8080`, `80,8000-8999`, `udp://*`.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](crate::error::ErrorKind::InvalidArgument) with the column of what is wrong.
    pub fn allow_bind(&mut self, ports: &str) -> Result<&mut Self> {
        self.network.allow_bind.push(BindRule::parse(ports)?);
        Ok(self)
    }

    /// Denies the program to bind to ports, whatever is allowed: an exception from [`Policy::allow_bind`].
    ///
    /// # Errors
    ///
    /// As [`Policy::allow_bind`].
    pub fn deny_bind(&mut self, ports: &str) -> Result<&mut Self> {
        self.network.deny_bind.push(BindRule::parse(ports)?);
        Ok(self)
    }

    /// Chooses what happens to system calls that no rule names; [`SyscallMode::Denylist`] in a new policy.
    pub fn set_syscall_mode(&mut self, mode: SyscallMode) -> &mut Self {
        self.syscalls.mode = mode;
        self
    }

    /// Allows a system call (`ptrace`), or a group by the name that systemd gives it (`@sysv-ipc`). A name lifts all that the default
    /// denylist says of that call, its arguments included; [`syscalls`](super::syscalls) says what a group lifts. Whether the name is
    /// known is found out when the policy is checked or used.
    pub fn allow_syscall(&mut self, name: impl Into<String>) -> &mut Self {
        self.add_syscall(name.into(), Verdict::Allow)
    }

    /// Has a system call, or a group of them, fail with `errno`. ENOSYS is kinder than EPERM to programs that know another way.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](crate::error::ErrorKind::InvalidArgument): an errno that is not within 1 to 4095.
    pub fn deny_syscall(&mut self, name: impl Into<String>, errno: i32) -> Result<&mut Self> {
        let errno = check::denial_errno(errno)?;
        Ok(self.add_syscall(name.into(), Verdict::Deny(errno)))
    }

    fn add_syscall(&mut self, name: String, verdict: Verdict) -> &mut Self {
        self.syscalls.rules.push(SyscallRule { name, verdict });
        self
    }

    /// Sets a limit, in the unit that [`Limit`] says of it; a later value replaces the former one. A value above what the host itself may
    /// use has the effect of the host's. The program cannot raise it.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](crate::error::ErrorKind::InvalidArgument): 0 for a limit of the sandbox as a whole, under which nothing could run.
    pub fn set_limit(&mut self, limit: Limit, value: u64) -> Result<&mut Self> {
        check::limit(limit, value)?;
        self.limits.insert(limit, value);
        Ok(self)
    }

    /// Sets a variable of the program's environment, on top of the host's or of the minimal one.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](crate::error::ErrorKind::InvalidArgument): an empty name, one with `=` in it, a NUL.
    pub fn set_env(&mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Result<&mut Self> {
        let name = check::without_nul(name.as_ref(), "variable name")?;
        let value = check::without_nul(value.as_ref(), "value of a variable")?;
        self.process.set_variable(name, Some(value))?;
        Ok(self)
    }

    /// Takes a variable of the host's away from the program.
    ///
    /// # Errors
    ///
    /// As [`Policy::set_env`].
    pub fn remove_env(&mut self, name: impl AsRef<OsStr>) -> Result<&mut Self> {
        let name = check::without_nul(name.as_ref(), "variable name")?;
        self.process.set_variable(name, None)?;
        Ok(self)
    }

    /// Starts from a [minimal environment](super::process::MINIMAL_ENVIRONMENT) instead of the host's, and forgets variables set so far.
    /// For programs that are not trusted: the host's environment may hold secrets. Without this no thread of the host may change the
    /// environment (setenv(3)) while a program is being started.
    pub fn clear_env(&mut self) -> &mut Self {
        self.process.clear_environment();
        self
    }

    /// Sets the working directory; without it the program starts in the host's. It is opened when the policy is next checked or used, and
    /// takes no path rule to be entered.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](crate::error::ErrorKind::InvalidArgument): an empty path, a NUL.
    pub fn set_cwd(&mut self, path: impl AsRef<Path>) -> Result<&mut Self> {
        self.process
            .set_cwd(check::without_nul(path.as_ref().as_os_str(), "working directory")?)?;
        Ok(self)
    }

    /// Turns a flag on or off; all are off in a new policy.
    pub fn set_flag(&mut self, flag: Flag, on: bool) -> &mut Self {
        self.process.set_flag(flag, on);
        self
    }

    /// Gives the program a namespace of its own, or does not. Each takes a user namespace, which not every host is permitted:
    /// [`Feature::NsUser`](crate::feature::Feature::NsUser).
    pub fn set_namespace(&mut self, namespace: Namespace, on: bool) -> &mut Self {
        if on {
            self.namespaces.insert(namespace);
        } else {
            self.namespaces.remove(&namespace);
        }
        self
    }

    /// Has the program find the directory `path` of the host's at `/`, read-only. See [`mounts`](super::mounts).
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](crate::error::ErrorKind::InvalidArgument): a path that is not absolute, has `.` or `..` in it, or lies in /proc.
    pub fn set_root(&mut self, path: impl AsRef<Path>) -> Result<&mut Self> {
        self.root = Root::directory(&check::without_nul(path.as_ref().as_os_str(), "root")?)?;
        Ok(self)
    }

    /// Mounts `source` of the host's at `target` of what the program sees: read-only, or if `write` as writable as it is in the host.
    /// Path rules grant access to it, as to everything.
    ///
    /// # Errors
    ///
    /// Those of [`Mount::bind`] and [`Policy::add_mount`].
    pub fn mount(&mut self, source: impl AsRef<Path>, target: impl AsRef<Path>, write: bool) -> Result<&mut Self> {
        let source = check::without_nul(source.as_ref().as_os_str(), "source")?;
        let target = check::without_nul(target.as_ref().as_os_str(), "target")?;
        self.add_mount(Mount::bind(&source, &target, write)?)?;
        Ok(self)
    }

    /// Mounts an empty, writable file system in memory of at most `size` bytes at `target`, which ends with the sandbox.
    ///
    /// # Errors
    ///
    /// Those of [`Mount::memory`] and [`Policy::add_mount`].
    pub fn mount_memory(&mut self, target: impl AsRef<Path>, size: u64) -> Result<&mut Self> {
        let target = check::without_nul(target.as_ref().as_os_str(), "target")?;
        self.add_mount(Mount::memory(&target, size)?)?;
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setters_say_what_the_fields_say() {
        let mut set = Policy::new();
        set.allow_path("/usr", Access::READ_EXECUTE)
            .and_then(|policy| policy.allow_net("tcp://10.0.0.0/8:80"))
            .and_then(|policy| policy.deny_net("10.1.0.0/16"))
            .and_then(|policy| policy.allow_bind("8000-8999"))
            .and_then(|policy| policy.deny_bind("8080"))
            .and_then(|policy| policy.deny_syscall("socket", libc::ENOSYS))
            .and_then(|policy| policy.set_limit(Limit::Wall, 100))
            .and_then(|policy| policy.clear_env().set_env("A", "1"))
            .and_then(|policy| policy.remove_env("B"))
            .and_then(|policy| policy.set_cwd("/"))
            .and_then(|policy| policy.mount("/usr", "/opt", true))
            .and_then(|policy| policy.mount_memory("/tmp", 1))
            .and_then(|policy| policy.set_root("/srv"))
            .unwrap();
        set.allow_syscall("ptrace")
            .set_syscall_mode(SyscallMode::Allowlist)
            .set_flag(Flag::NoAslr, true)
            .set_namespace(Namespace::Net, true)
            .set_namespace(Namespace::Ipc, true)
            .set_namespace(Namespace::Ipc, false);
        let text = r#"
            [filesystem]
            read-execute = ["/usr"]
            root = "/srv"
            mounts = [{ source = "/usr", target = "/opt", write = true }, { target = "/tmp", memory = 1 }]
            [network]
            allow = ["tcp://10.0.0.0/8:80"]
            deny = ["10.1.0.0/16"]
            allow-bind = ["8000-8999"]
            deny-bind = ["8080"]
            [[syscalls]]
            mode = "allowlist"
            deny = [{ name = "socket", errno = "ENOSYS" }]
            [[syscalls]]
            allow = ["ptrace"]
            [limits]
            wall = 100
            [process]
            environment = "minimal"
            cwd = "/"
            namespaces = ["net"]
            flags = ["no-aslr"]
            variables = { A = "1", B = false }
        "#;
        assert_eq!(Policy::from_toml(text).as_ref(), Ok(&set));
    }

    #[test]
    fn what_no_c_string_can_hold_is_refused_where_it_is_said() {
        let mut policy = Policy::new();
        for refused in [
            policy.allow_path("/a\0b", Access::READ).map(drop),
            policy.set_env("A\0", "1").map(drop),
            policy.set_env("A", "\0").map(drop),
            policy.remove_env("A\0").map(drop),
            policy.set_cwd("\0").map(drop),
            policy.set_root("/\0").map(drop),
            policy.mount("/\0", "/a", false).map(drop),
            policy.mount("/a", "/\0", false).map(drop),
            policy.mount_memory("/\0", 1).map(drop),
        ] {
            let message = refused.unwrap_err().message().to_owned();
            assert!(message.contains("has a NUL"), "{message}");
        }
        assert!(policy.set_limit(Limit::Memory, 0).is_err());
        assert!(policy.deny_syscall("socket", 0).is_err());
        assert_eq!(policy, Policy::new());
    }
}
