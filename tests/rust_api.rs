//! The crate as another crate uses it: what its types promise, closures with state, panics, many threads, things dropped at any time.
#![allow(unsafe_code)] // fork(2) has no other name

use std::collections::BTreeSet;
use std::error::Error as _;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use sandlock::error::Stage;
use sandlock::policy::{NetRule, NetRules};
use sandlock::probe::Capabilities;
use sandlock::sandbox::Port;
use sandlock::supervisor::{
    Answerable, Event, FdPlace, Handler, Log, Notification, Observer, Options, Pending, Stats, Suggestions, Supervisor,
    Verdict, kind,
};
use sandlock::{
    Access, Error, ErrorKind, Feature, Outcome, Policy, Process, Reason, Report, Sandbox, SpawnOptions, Stdio,
};

/// What programs beneath /usr need.
fn sandbox() -> Sandbox {
    let mut policy = Policy::new();
    let allowed = policy.allow_path("/usr", Access::READ_EXECUTE);
    // A shell gives it to what runs in the background. Texts are in no language but C's.
    allowed
        .and_then(|policy| policy.allow_path("/dev/null", Access::READ))
        .unwrap()
        .clear_env();
    Sandbox::new(policy)
}

fn supervisor() -> Supervisor {
    Supervisor::new(Options::default()).unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// True if `uname` has failed for this reason.
fn says(outcome: &Outcome, reason: &str) -> bool {
    outcome.exit_code == Some(1) && text(&outcome.stderr.bytes) == format!("uname: cannot get system name: {reason}\n")
}

#[test]
fn types_promise_what_callers_build_on() {
    fn shared<T: Send + Sync + Unpin + std::fmt::Debug + 'static>() {}
    fn value<T: Clone + PartialEq + Send + Sync + Unpin + std::fmt::Debug + 'static>() {}
    fn error<T: std::error::Error + Send + Sync + std::panic::UnwindSafe + std::panic::RefUnwindSafe + 'static>() {}
    fn converts<T: Into<Box<dyn std::error::Error + Send + Sync>> + Into<io::Error>>() {}
    fn object<T: ?Sized + Send + Sync>() {}

    shared::<Sandbox>();
    shared::<Process>();
    shared::<Supervisor>();
    shared::<Pending>();
    shared::<Event>();
    value::<Policy>();
    value::<NetRules>();
    value::<NetRule>();
    value::<SpawnOptions>();
    value::<Outcome>();
    value::<Report>();
    value::<Stats>();
    value::<Suggestions>();
    value::<FdPlace>();
    value::<Options>();
    value::<Port>();
    value::<Capabilities>();
    value::<Feature>();
    value::<Reason>();
    error::<Error>();
    converts::<Error>();
    object::<dyn Handler>();
    object::<dyn Observer>();
    object::<dyn Log>();
}

#[test]
fn every_function_of_the_c_library_has_its_place_here() {
    let exported: BTreeSet<&str> = include_str!("../scripts/exports.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    let page: BTreeSet<&str> = include_str!("../src/from_c.md")
        .split('`')
        .filter(|word| word.starts_with("sandlock_"))
        .collect();
    assert_eq!(page, exported);
}

#[test]
fn error_has_a_source_and_converts() {
    let error = sandbox().run(None, ["/usr/bin/no-such-program"], None).unwrap_err();
    assert_eq!(
        (error.kind(), error.stage(), error.errno()),
        (ErrorKind::Exec, Stage::Exec, libc::ENOENT)
    );
    let source = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    assert_eq!(source.and_then(io::Error::raw_os_error), Some(libc::ENOENT));
    assert!(
        source.and_then(std::error::Error::source).is_none(),
        "the chain ends there"
    );

    fn by_io() -> io::Result<()> {
        sandbox().run(None, ["/usr/bin/no-such-program"], None)?;
        Ok(())
    }
    let converted = by_io().unwrap_err();
    assert_eq!(converted.kind(), io::ErrorKind::NotFound);
    assert_eq!(
        converted.get_ref().and_then(|inner| inner.downcast_ref::<Error>()),
        Some(&error)
    );

    fn by_box() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        sandbox().run(None, ["a\0b"], None)?;
        Ok(())
    }
    let boxed = by_box().unwrap_err().downcast::<Error>().unwrap();
    assert_eq!(boxed.kind(), ErrorKind::InvalidArgument);
    assert!(boxed.source().is_none(), "no system call failed");
}

#[test]
fn arguments_are_any_bytes_but_nul_and_there_is_a_program() {
    let bytes = OsStr::from_bytes(b"\xff\xc3");
    let outcome = sandbox()
        .run(None, [OsStr::new("printf"), OsStr::new("%s"), bytes], None)
        .unwrap();
    assert_eq!(outcome.stdout.bytes, b"\xff\xc3");
    let owned: Vec<String> = vec!["echo".into(), "a".into()];
    assert_eq!(sandbox().run(None, &owned, None).unwrap().stdout.bytes, b"a\n");
    let nothing: [&str; 0] = [];
    let refused = sandbox().run(None, nothing, None).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidArgument);
    assert_eq!(
        sandbox().spawn(None, ["a\0b"], SpawnOptions::new()).unwrap_err().kind(),
        ErrorKind::InvalidArgument
    );
}

#[test]
fn handlers_that_cannot_be_are_refused_when_a_program_is_started() {
    for (selector, kind) in [
        ("no_such_call", ErrorKind::InvalidArgument),
        ("ptrace", ErrorKind::State),
    ] {
        let supervisor = supervisor();
        supervisor.add_handler(selector, |_: &mut Notification| Verdict::Pass);
        let refused = sandbox().run(Some(&supervisor), ["true"], None).unwrap_err();
        assert_eq!(refused.kind(), kind, "{refused}");
    }
    for mask in [0, kind::ALL + 1] {
        let refused = supervisor().observe(mask, |_: &Event| {}).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidArgument);
    }
}

/// A handler that is no closure.
struct Refuse {
    errno: i32,
    looked: AtomicUsize,
}

impl Handler for Refuse {
    fn handle(&self, call: &mut Notification) -> Verdict {
        self.looked.fetch_add(1, Ordering::Relaxed);
        match call.deny(self.errno) {
            Ok(()) => Verdict::Done,
            Err(_) => Verdict::Failed,
        }
    }
}

#[test]
fn handlers_have_state_that_is_moved_shared_or_static() {
    static SEEN: AtomicUsize = AtomicUsize::new(0);
    let refuse = Arc::new(Refuse {
        errno: libc::ENOSYS,
        looked: AtomicUsize::new(0),
    });
    let (gone, is_gone) = channel::<()>();
    let supervisor = supervisor();
    supervisor.add_handler("uname", move |_: &mut Notification| {
        let _moved: &Sender<()> = &gone;
        SEEN.fetch_add(1, Ordering::Relaxed);
        Verdict::Pass
    });
    // In the order in which they were added: the first passes on, the second answers, the third sees nothing.
    supervisor.add_handler("uname", Arc::clone(&refuse));
    supervisor.add_handler("uname", |_: &mut Notification| unreachable!("the call was answered"));

    let outcome = sandbox().run(Some(&supervisor), ["uname"], None).unwrap();
    assert!(says(&outcome, "Function not implemented"), "{outcome:?}");
    assert_eq!(
        (SEEN.load(Ordering::Relaxed), refuse.looked.load(Ordering::Relaxed)),
        (1, 1)
    );
    assert!(format!("{supervisor:?}").contains("uname"));

    // What a handler owns goes when supervisor and sandboxes need it no more.
    drop(supervisor);
    assert!(is_gone.recv().is_err());
}

#[test]
fn handler_that_panics_denies_its_call_and_nothing_else() {
    let (gone, is_gone) = channel::<()>();
    let supervisor = supervisor();
    let (sender, receiver) = channel();
    let observed = supervisor.observe(kind::HANDLER_FAILED, move |event: &Event| {
        sender.send(event.errno).unwrap()
    });
    observed.unwrap();
    let first = AtomicBool::new(true);
    supervisor.add_handler("uname", move |call: &mut Notification| {
        let _moved = &gone;
        if first.swap(false, Ordering::Relaxed) {
            // As a panic, but without a message on standard error.
            std::panic::resume_unwind(Box::new("a handler's mistake"));
        }
        match call.deny(libc::ENOSYS) {
            Ok(()) => Verdict::Done,
            Err(_) => Verdict::Failed,
        }
    });
    let sandbox = sandbox();
    for reason in [
        "Operation not permitted",
        "Function not implemented",
        "Function not implemented",
    ] {
        let outcome = sandbox.run(Some(&supervisor), ["uname"], None).unwrap();
        assert!(says(&outcome, reason), "{outcome:?}");
    }
    let stats = supervisor.stats();
    assert_eq!((stats.denied, stats.failed), (3, 1));
    drop(supervisor);
    assert_eq!(receiver.iter().collect::<Vec<_>>(), [libc::EPERM]);
    assert!(is_gone.recv().is_err(), "the panic leaks nothing that the handler owns");
}

#[test]
fn observer_that_panics_is_told_the_rest() {
    let (sender, receiver) = channel();
    let supervisor = supervisor();
    let observed = supervisor.observe(kind::EXEC, move |event: &Event| {
        sender.send(event.arguments.len()).unwrap();
        std::panic::resume_unwind(Box::new("an observer's mistake"));
    });
    observed.unwrap();
    let sandbox = sandbox();
    for _ in 0..2 {
        assert_eq!(
            sandbox
                .run(Some(&supervisor), ["/usr/bin/true", "a"], None)
                .unwrap()
                .exit_code,
            Some(0)
        );
    }
    drop(supervisor);
    assert_eq!(receiver.iter().collect::<Vec<_>>(), [2, 2]);
}

#[test]
fn many_threads_share_a_sandbox_and_a_supervisor() {
    const THREADS: usize = 8;
    const RUNS: usize = 4;
    let supervisor = supervisor();
    // The answer is that of who asks: its own process id.
    supervisor.add_handler("geteuid", |call: &mut Notification| {
        match call.return_value(call.thread().into()) {
            Ok(()) => Verdict::Done,
            Err(_) => Verdict::Failed,
        }
    });
    let sandbox = sandbox();
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..RUNS {
                    let options = SpawnOptions::new().stdout(Stdio::Capture);
                    let process = sandbox.spawn(Some(&supervisor), ["id", "-u"], options).unwrap();
                    let outcome = process.wait(None).unwrap().unwrap();
                    assert_eq!(text(&outcome.stdout.bytes), format!("{}\n", process.pid()));
                }
            });
        }
    });
    assert_eq!(supervisor.stats().returned, (THREADS * RUNS) as u64);
}

#[test]
fn one_process_is_waited_for_and_killed_by_many_threads() {
    let process = sandbox().spawn(None, ["sleep", "1000"], SpawnOptions::new()).unwrap();
    std::thread::scope(|scope| {
        let waiting: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| process.wait(None).unwrap().unwrap()))
            .collect();
        let killing: Vec<_> = (0..4).map(|_| scope.spawn(|| process.kill().unwrap())).collect();
        killing.into_iter().for_each(|thread| thread.join().unwrap());
        for thread in waiting {
            let outcome = thread.join().unwrap();
            assert_eq!((outcome.reason, outcome.signal), (Reason::Killed, Some(libc::SIGKILL)));
        }
    });
    assert_eq!(process.pause().unwrap_err().kind(), ErrorKind::State);
    assert_eq!(process.members().unwrap_err().kind(), ErrorKind::State);
}

#[test]
fn dropping_a_process_that_runs_ends_all_of_its_sandbox() {
    let options = SpawnOptions::new().stdout(Stdio::Pipe);
    // A daemon too, which has the pipe as well.
    let process = sandbox()
        .spawn(
            None,
            ["sh", "-c", "setsid sleep 1000 & echo started; sleep 1000"],
            options,
        )
        .unwrap();
    let mut output = File::from(process.take_stdio(1).unwrap());
    let mut said = [0; 8];
    output.read_exact(&mut said).unwrap();
    assert_eq!(&said, b"started\n");
    drop(process);
    // The end: nobody has the other end any more.
    assert_eq!(output.read(&mut said).unwrap(), 0);
}

#[test]
fn call_that_is_pending_when_its_sandbox_ends_is_stale() {
    let supervisor = supervisor();
    supervisor.add_queue("uname");
    let process = sandbox()
        .spawn(Some(&supervisor), ["uname"], SpawnOptions::new())
        .unwrap();
    let pending = supervisor.next(None).unwrap();
    assert!(pending.is_waiting());
    assert!(format!("{pending:?}").contains(&libc::SYS_uname.to_string()));
    drop(process);
    assert!(!pending.is_waiting());
    assert_eq!(pending.return_value(0).unwrap_err().kind(), ErrorKind::Stale);
    assert_eq!(
        pending.read(pending.argument(0), &mut [0; 8]).unwrap_err().kind(),
        ErrorKind::Stale
    );
    assert!(supervisor.next(Some(Duration::ZERO)).is_none());
}

#[test]
fn fork_of_the_host_that_drops_everything_disturbs_nothing() {
    let supervisor = supervisor();
    supervisor.observe(kind::EXEC, |_: &Event| {}).unwrap();
    supervisor.add_queue("uname");
    let options = SpawnOptions::new().stderr(Stdio::Capture);
    let process = sandbox().spawn(Some(&supervisor), ["uname"], options).unwrap();
    let pending = supervisor.next(None).unwrap();

    // SAFETY: takes no arguments; the child drops what it has, and is gone.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: a number. Who waits for a lock that nobody holds here must not do so forever.
        unsafe { libc::alarm(30) };
        drop((pending, process, supervisor));
        // SAFETY: ends the process.
        unsafe { libc::_exit(0) };
    }
    let mut status = -1;
    // SAFETY: the status can be written to.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(status, 0);

    assert!(pending.is_waiting());
    pending.deny(libc::ENOSYS).unwrap();
    let outcome = process.wait(None).unwrap().unwrap();
    assert!(says(&outcome, "Function not implemented"), "{outcome:?}");
}

#[test]
fn call_is_answered_once_and_to_places_that_exist() {
    let (sender, receiver) = channel();
    let supervisor = supervisor();
    supervisor.add_handler("uname", move |call: &mut Notification| {
        let mut nowhere = FdPlace::default();
        nowhere.target = Some(-1);
        let kinds = [
            call.return_bytes(b"", nowhere).map_err(|error| error.kind()),
            call.deny(4096).map_err(|error| error.kind()),
            call.deny(libc::ENOSYS).map_err(|error| error.kind()),
            call.resume().map_err(|error| error.kind()),
        ];
        sender.send(kinds).unwrap();
        Verdict::Done
    });
    let outcome = sandbox().run(Some(&supervisor), ["uname"], None).unwrap();
    assert!(says(&outcome, "Function not implemented"), "{outcome:?}");
    let invalid = Err(ErrorKind::InvalidArgument);
    assert_eq!(
        receiver.recv().unwrap(),
        [invalid, invalid, Ok(()), Err(ErrorKind::State)]
    );
}

#[test]
fn handler_that_waits_for_its_own_program_is_told_that_it_would_wait_forever() {
    let (sender, receiver) = channel();
    let cell: Arc<OnceLock<Weak<Process>>> = Arc::default();
    let supervisor = supervisor();
    let its_own = Arc::clone(&cell);
    supervisor.add_handler("uname", move |_: &mut Notification| {
        // Gone before the message is sent: the process must not end here.
        let kind = its_own
            .wait()
            .upgrade()
            .map(|process| process.wait(None).unwrap_err().kind());
        sender.send(kind).unwrap();
        Verdict::Pass
    });
    let options = SpawnOptions::new().stdout(Stdio::Null);
    let process = Arc::new(sandbox().spawn(Some(&supervisor), ["uname"], options).unwrap());
    cell.set(Arc::downgrade(&process)).unwrap();
    assert_eq!(receiver.recv().unwrap(), Some(ErrorKind::WouldDeadlock));
    assert_eq!(process.wait(None).unwrap().unwrap().exit_code, Some(0));
}

#[test]
fn log_is_told_of_handlers_that_fail_and_may_panic() {
    let (sender, receiver) = channel();
    let supervisor = supervisor();
    supervisor.set_log(Some(Arc::new(move |_, message: &str| {
        sender.send(message.to_owned()).unwrap();
        std::panic::resume_unwind(Box::new("a log's mistake"));
    })));
    supervisor.add_handler("uname", |_: &mut Notification| Verdict::Failed);
    let sandbox = sandbox();
    for _ in 0..2 {
        let outcome = sandbox.run(Some(&supervisor), ["uname"], None).unwrap();
        assert!(says(&outcome, "Operation not permitted"), "{outcome:?}");
        assert!(receiver.recv().unwrap().contains("failed"));
    }
    supervisor.set_log(None);
    assert!(receiver.recv().is_err(), "the log is gone");
}
