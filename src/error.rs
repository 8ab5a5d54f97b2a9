//! The one error type of parent-side code.

use std::fmt;

use crate::feature::numbered;

numbered! {
    /// What kind of failure an error is; the C API's status.
    ErrorKind {
        /// An argument is null, unknown, out of range or contradicts another.
        InvalidArgument = 1, "INVALID_ARGUMENT";
        /// The call does not fit the state of its object.
        State = 2, "STATE";
        /// The kernel lacks something that the policy requires.
        Unsupported = 3, "UNSUPPORTED";
        /// The kernel refuses.
        Permission = 4, "PERMISSION";
        /// A file that the policy names does not exist.
        NotFound = 5, "NOT_FOUND";
        /// Any other failure of a system call in the host.
        System = 6, "SYSTEM";
        /// The child could not be set up.
        ChildSetup = 7, "CHILD_SETUP";
        /// The program could not be executed.
        Exec = 8, "EXEC";
        /// Time is up.
        Timeout = 9, "TIMEOUT";
        /// The object that was meant is gone.
        Stale = 10, "STALE";
        /// The buffer is too small.
        BufferTooSmall = 11, "BUFFER_TOO_SMALL";
        /// Waiting here would wait forever.
        WouldDeadlock = 12, "WOULD_DEADLOCK";
        /// A callback of the host failed.
        Callback = 13, "CALLBACK";
        /// A limit of the kernel or of the library is exceeded.
        Limit = 14, "LIMIT";
        /// A bug in the library.
        Internal = 15, "INTERNAL";
    }
}

numbered! {
    /// Which step failed.
    Stage {
        /// Reading the arguments of a call.
        Arguments = 1, "arguments";
        /// Checking the policy.
        Policy = 2, "policy";
        /// Building or entering the Landlock domain.
        Landlock = 3, "landlock";
        /// Building or installing the system call filter.
        Seccomp = 4, "seccomp";
        /// Preparing the standard streams and other descriptors.
        Descriptors = 5, "descriptors";
        /// Starting the thread or the process.
        Spawn = 6, "spawn";
        /// Setting up the process: session, signals, priority and the like.
        Process = 7, "process";
        /// Entering the working directory.
        WorkingDirectory = 8, "cwd";
        /// Setting a resource limit.
        Limits = 9, "limits";
        /// Giving up privileges.
        Privileges = 10, "privileges";
        /// Executing the program.
        Exec = 11, "exec";
        /// Waiting for, signalling or reading from the process.
        Wait = 12, "wait";
        /// Receiving, looking at or answering a system call.
        Supervisor = 13, "supervisor";
        /// Making namespaces.
        Namespaces = 14, "namespaces";
        /// Resolving the host names of network rules, and preparing what decides about the network.
        Network = 15, "network";
    }
}

/// Why something failed: in which step, on what, for what reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    stage: Stage,
    errno: i32,
    message: String,
}

/// Result of parent-side code.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error that no system call reported: "stage: what".
    pub fn new(kind: ErrorKind, stage: Stage, what: impl fmt::Display) -> Self {
        Self {
            kind,
            stage,
            errno: 0,
            message: format!("{}: {what}", stage.name()),
        }
    }

    /// An error that a system call reported: "stage: what: reason".
    pub fn system(kind: ErrorKind, stage: Stage, what: impl fmt::Display, errno: i32) -> Self {
        let message = format!("{}: {what}: {}", stage.name(), describe_errno(errno));
        Self {
            kind,
            stage,
            errno,
            message,
        }
    }

    /// Shorthand for an [`ErrorKind::InvalidArgument`] in the arguments of a call.
    pub fn argument(what: impl fmt::Display) -> Self {
        Self::new(ErrorKind::InvalidArgument, Stage::Arguments, what)
    }

    /// Shorthand for an [`ErrorKind::InvalidArgument`] in a policy.
    pub fn policy(what: impl fmt::Display) -> Self {
        Self::new(ErrorKind::InvalidArgument, Stage::Policy, what)
    }

    /// One error for several problems: the first gives kind, stage and errno, the message names all. None if there are
    /// no problems.
    pub fn all(problems: Vec<Self>) -> Option<Self> {
        let count = problems.len();
        let mut problems = problems.into_iter();
        let mut first = problems.next()?;
        if count > 1 {
            first.message = format!("{count} problems: {}", first.message);
            for problem in problems {
                first.message.push_str("; ");
                first.message.push_str(&problem.message);
            }
        }
        Some(first)
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Which step failed.
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// The errno that a system call reported, 0 if none did.
    pub fn errno(&self) -> i32 {
        self.errno
    }

    /// One line: step, object, reason.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// The text of an errno, without the number that std appends.
pub fn describe_errno(errno: i32) -> String {
    let text = std::io::Error::from_raw_os_error(errno).to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

/// The kind that fits an errno of a call on a path.
pub fn path_error_kind(errno: i32) -> ErrorKind {
    match errno {
        libc::ENOENT | libc::ENOTDIR => ErrorKind::NotFound,
        libc::EACCES | libc::EPERM => ErrorKind::Permission,
        libc::ELOOP | libc::ENAMETOOLONG => ErrorKind::InvalidArgument,
        _ => ErrorKind::System,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_of_a_system_error_names_stage_object_and_reason() {
        let error = Error::system(ErrorKind::NotFound, Stage::Exec, "/nope", libc::ENOENT);
        assert_eq!(error.message(), "exec: /nope: No such file or directory");
        assert_eq!(error.errno(), libc::ENOENT);
    }

    #[test]
    fn several_problems_become_one_error_that_names_all() {
        let error = Error::all(vec![Error::policy("a"), Error::argument("b")]).unwrap();
        assert_eq!(error.message(), "2 problems: policy: a; arguments: b");
        assert!(Error::all(Vec::new()).is_none());
    }

    #[test]
    fn numbers_convert_both_ways_and_unknown_ones_are_refused() {
        for &kind in ErrorKind::ALL {
            assert_eq!(ErrorKind::from_number(kind.number()), Some(kind));
        }
        assert_eq!(ErrorKind::from_number(0), None);
        assert_eq!(ErrorKind::from_number(16), None);
    }
}
