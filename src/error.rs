//! The one error type of the crate.
//!
//! An [`Error`] says what kind of failure it is, which step failed, the errno if a system call reported one, and all of it in one line.
//! [`source()`](std::error::Error::source) gives that errno as [`std::io::Error`], and an error converts to one, for functions that
//! return [`std::io::Result`].
//!
//! ```
//! use std::error::Error as _;
//!
//! use sandlock::error::{ErrorKind, Stage};
//! use sandlock::{Access, Policy, Sandbox};
//!
//! let mut policy = Policy::new();
//! policy.allow_path("/usr", Access::READ_EXECUTE)?;
//! let error = Sandbox::new(policy).run(None, ["/usr/no-such-program"], None).unwrap_err();
//!
//! assert_eq!((error.kind(), error.stage()), (ErrorKind::Exec, Stage::Exec));
//! assert_eq!(error.to_string(), "exec: /usr/no-such-program: No such file or directory");
//! let source = error.source().and_then(|source| source.downcast_ref::<std::io::Error>()).unwrap();
//! assert_eq!(source.kind(), std::io::ErrorKind::NotFound);
//! assert_eq!(std::io::Error::from(error).kind(), std::io::ErrorKind::NotFound);
//! # Ok::<(), sandlock::Error>(())
//! ```

use std::{fmt, io};

use crate::feature::numbered;

numbered! {
    /// What kind of failure an error is; the C API's status.
    #[non_exhaustive]
    ErrorKind {
        /// An argument is unknown, out of range or contradicts another.
        InvalidArgument = 1, "INVALID_ARGUMENT";
        /// The call does not fit the state of its object: a program that has ended, a handle from before a fork.
        State = 2, "STATE";
        /// The kernel lacks something that the policy requires.
        Unsupported = 3, "UNSUPPORTED";
        /// The kernel refuses.
        Permission = 4, "PERMISSION";
        /// A file that the policy names does not exist.
        NotFound = 5, "NOT_FOUND";
        /// Any other failure of a system call in the host.
        System = 6, "SYSTEM";
        /// The child could not be set up or confined. Its program has not run.
        ChildSetup = 7, "CHILD_SETUP";
        /// The program could not be executed; the errno is execve(2)'s.
        Exec = 8, "EXEC";
        /// Time is up. The C API's: here, waiting gives None.
        Timeout = 9, "TIMEOUT";
        /// What was meant is gone: a system call whose caller has died, or whose deadline has passed.
        Stale = 10, "STALE";
        /// The buffer is too small.
        BufferTooSmall = 11, "BUFFER_TOO_SMALL";
        /// Waiting here would wait forever: for a program, in the handler that it waits for.
        WouldDeadlock = 12, "WOULD_DEADLOCK";
        /// A callback of the host failed. Not used yet.
        Callback = 13, "CALLBACK";
        /// A limit of the kernel or of the library is exceeded: a filter of more than 4096 instructions.
        Limit = 14, "LIMIT";
        /// A bug in the library.
        Internal = 15, "INTERNAL";
    }
}

numbered! {
    /// Which step failed.
    #[non_exhaustive]
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

/// Why something failed: in which step, on what, for what reason. [`Send`], [`Sync`], and compared by what it says.
///
/// Its text is one line with the reason in it, and may change between releases: branch on kind, stage and errno.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    stage: Stage,
    cause: Option<Cause>,
    message: String,
}

/// What a system call has reported. An [`io::Error`], so that callers can do with it what they do with any other.
#[derive(Debug)]
struct Cause(io::Error);

impl Cause {
    fn errno(&self) -> i32 {
        self.0.raw_os_error().unwrap_or(0)
    }
}

impl Clone for Cause {
    fn clone(&self) -> Self {
        Self(io::Error::from_raw_os_error(self.errno()))
    }
}

impl PartialEq for Cause {
    fn eq(&self, other: &Self) -> bool {
        self.errno() == other.errno()
    }
}

impl Eq for Cause {}

// An error number is all there is to it, though an io::Error could hold more.
impl std::panic::UnwindSafe for Cause {}
impl std::panic::RefUnwindSafe for Cause {}

/// What the functions of this crate return.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error that no system call reported: "stage: what".
    pub(crate) fn new(kind: ErrorKind, stage: Stage, what: impl fmt::Display) -> Self {
        Self {
            kind,
            stage,
            cause: None,
            message: format!("{}: {what}", stage.name()),
        }
    }

    /// An error that a system call reported: "stage: what: reason".
    pub(crate) fn system(kind: ErrorKind, stage: Stage, what: impl fmt::Display, errno: i32) -> Self {
        let message = format!("{}: {what}: {}", stage.name(), describe_errno(errno));
        Self {
            kind,
            stage,
            cause: (errno != 0).then(|| Cause(io::Error::from_raw_os_error(errno))),
            message,
        }
    }

    /// The same, with an errno that the message says nothing of.
    #[must_use]
    pub(crate) fn with_errno(mut self, errno: i32) -> Self {
        self.cause = Some(Cause(io::Error::from_raw_os_error(errno)));
        self
    }

    /// Shorthand for an [`ErrorKind::InvalidArgument`] in the arguments of a call.
    pub(crate) fn argument(what: impl fmt::Display) -> Self {
        Self::new(ErrorKind::InvalidArgument, Stage::Arguments, what)
    }

    /// Shorthand for an [`ErrorKind::InvalidArgument`] in a policy.
    pub(crate) fn policy(what: impl fmt::Display) -> Self {
        Self::new(ErrorKind::InvalidArgument, Stage::Policy, what)
    }

    /// One error for several problems: the first gives kind, stage and errno, the message names all. None if there are
    /// no problems.
    // Public for the fuzz targets.
    #[doc(hidden)]
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
        self.cause.as_ref().map_or(0, Cause::errno)
    }

    /// One line: step, object, reason. What [`Display`](fmt::Display) shows.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    /// What a system call has reported, if one did: an [`std::io::Error`]. Its reason is in the error's own text already.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_ref().map(|cause| &cause.0 as _)
    }
}

impl From<Error> for io::Error {
    /// An error of the kind that fits, with this one inside: [`io::Error::get_ref`] has it.
    fn from(error: Error) -> Self {
        let kind = match &error.cause {
            Some(cause) => cause.0.kind(),
            None => match error.kind {
                ErrorKind::InvalidArgument => io::ErrorKind::InvalidInput,
                ErrorKind::Unsupported => io::ErrorKind::Unsupported,
                ErrorKind::Permission => io::ErrorKind::PermissionDenied,
                ErrorKind::NotFound => io::ErrorKind::NotFound,
                ErrorKind::Timeout => io::ErrorKind::TimedOut,
                _ => io::ErrorKind::Other,
            },
        };
        Self::new(kind, error)
    }
}

/// The text of an errno, without the number that std appends.
pub(crate) fn describe_errno(errno: i32) -> String {
    let text = std::io::Error::from_raw_os_error(errno).to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

/// The kind that fits an errno of a call on a path.
pub(crate) fn path_error_kind(errno: i32) -> ErrorKind {
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
    fn source_is_what_the_system_call_reported() {
        use std::error::Error as _;
        let error = Error::system(ErrorKind::System, Stage::Spawn, "a", libc::EMFILE);
        let source = error.source().and_then(|source| source.downcast_ref::<io::Error>());
        assert_eq!(source.and_then(io::Error::raw_os_error), Some(libc::EMFILE));
        assert_eq!(error.clone(), error);
        assert_ne!(error, Error::system(ErrorKind::System, Stage::Spawn, "a", libc::ENFILE));
        let own = Error::policy("b");
        assert!(own.source().is_none() && own.errno() == 0);
        let converted = io::Error::from(own.clone());
        assert_eq!(converted.kind(), io::ErrorKind::InvalidInput);
        assert_eq!(
            converted.get_ref().and_then(|inner| inner.downcast_ref::<Error>()),
            Some(&own)
        );
        assert_eq!(converted.to_string(), "policy: b");
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
