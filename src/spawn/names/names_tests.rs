//! Names resolved: by this host for real, and by lookups that are slow, wrong or too many.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use super::lookups::{Answer, Lookup, MOST_AT_ONCE, MOST_IN_PROCESS, Slots};
use super::*;

/// Long enough never to pass in a test that succeeds.
const AGES: Duration = Duration::from_secs(600);
const MOMENT: Duration = Duration::from_millis(30);

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn addresses(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| ip(text)).collect()
}

fn means(slots: usize, lookup: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Means {
    let lookup: Lookup = Arc::new(lookup);
    Means {
        lookup,
        slots: Slots::new(slots),
    }
}

fn by(means: &Means, names: &[&str], timeout: Duration) -> Result<Resolved> {
    resolve_by(names, means, &Deadline::new(timeout), &never()).map(Option::unwrap)
}

fn refusal(name: &str) -> Failure {
    Failure {
        name: name.to_owned(),
        reason: "no".to_owned(),
        kind: ErrorKind::NotFound,
    }
}

/// Lookups that begin when they are asked for, tell so, and end when they are let.
struct Gate {
    begun: Receiver<String>,
    let_go: Sender<()>,
}

fn gate() -> (Gate, impl Fn(&str) + Send + Sync + 'static) {
    let (begin, begun) = unbounded();
    let (let_go, go) = unbounded();
    let pass = move |name: &str| {
        begin.send(name.to_owned()).unwrap();
        // Disconnected: everybody may go.
        let _ = go.recv();
    };
    (Gate { begun, let_go }, pass)
}

// The host's resolver.

#[test]
fn localhost_has_loopback_addresses() {
    let resolved = resolve(&["localhost"], AGES).unwrap();
    assert_eq!(resolved.failures, []);
    let found = &resolved.addresses["localhost"];
    assert!(!found.is_empty() && found.iter().all(IpAddr::is_loopback), "{found:?}");
    assert!(found.is_sorted());
}

#[test]
fn name_that_cannot_exist_fails_with_a_reason_beside_one_that_does() {
    // Absolute, so that no search domain can make something of it.
    let resolved = resolve(&["sandlock.invalid.", "localhost"], Duration::from_secs(60)).unwrap();
    assert_eq!(resolved.addresses.keys().collect::<Vec<_>>(), ["localhost"]);
    let [failure] = resolved.failures.as_slice() else {
        panic!("{:?}", resolved.failures)
    };
    assert_eq!(failure.name, "sandlock.invalid.");
    assert!(!failure.reason.is_empty());
    // NOT_FOUND where a resolver can be asked.
    assert!(
        matches!(failure.kind, ErrorKind::NotFound | ErrorKind::System),
        "{failure:?}"
    );
    let error = resolved.all().unwrap_err();
    assert_eq!(error.stage(), Stage::Network);
    assert!(
        error.message().starts_with("network: sandlock.invalid.: "),
        "{}",
        error.message()
    );
}

#[test]
fn name_with_a_nul_is_no_name() {
    assert_eq!(system::look_up("local\0host").unwrap_err().kind, ErrorKind::NotFound);
}

#[test]
fn kinds_of_failure_follow_the_resolvers_codes() {
    for (code, kind) in [
        (libc::EAI_NONAME, ErrorKind::NotFound),
        (libc::EAI_NODATA, ErrorKind::NotFound),
        (-9, ErrorKind::NotFound),
        (libc::EAI_AGAIN, ErrorKind::System),
        (libc::EAI_FAIL, ErrorKind::System),
        (libc::EAI_MEMORY, ErrorKind::System),
        (libc::EAI_SYSTEM, ErrorKind::System),
    ] {
        assert_eq!(system::kind_of(code), kind, "{code}");
        assert!(!system::reason_of(code, libc::EMFILE).is_empty(), "{code}");
    }
    assert_eq!(
        system::reason_of(libc::EAI_SYSTEM, libc::EMFILE),
        crate::error::describe_errno(libc::EMFILE)
    );
}

#[test]
fn addresses_are_sorted_distinct_and_such_that_rules_can_speak_of_them() {
    let found = [
        ("2001:db8::2", 0),
        ("192.0.2.9", 0),
        ("::ffff:192.0.2.9", 0),
        ("192.0.2.1", 0),
        ("2001:db8::2", 0),
        // Of an interface that a rule could not name.
        ("fe80::1", 2),
        // No address at all.
        ("0.0.0.0", 0),
        ("::", 0),
        ("::ffff:0.0.0.0", 0),
        // A scope that means nothing is left out.
        ("2001:db8::1", 2),
        ("fe80::2", 0),
    ];
    let kept = system::usable(found.map(|(address, scope)| (ip(address), scope)));
    let expected = addresses(&["192.0.2.1", "192.0.2.9", "2001:db8::1", "2001:db8::2", "fe80::2"]);
    assert_eq!(kept, expected);
}

#[test]
fn no_name_has_more_than_256_addresses_and_the_resolvers_first_stay() {
    let all = (0..1000_u32)
        .rev()
        .map(|low| (IpAddr::from((0x0a00_0000 + low).to_be_bytes()), 0));
    let kept = system::usable(all);
    assert_eq!(kept.len(), 256);
    assert_eq!(kept[0], ip("10.0.2.232"));
    assert_eq!(kept[255], ip("10.0.3.231"));
}

// Threads.

#[test]
fn no_names_take_no_lookup() {
    let none = means(0, |_| unreachable!());
    assert_eq!(by(&none, &[], Duration::ZERO), Ok(Resolved::default()));
}

#[test]
fn every_name_gets_its_own_answer() {
    let names: Vec<String> = (0..100).map(|number| format!("name{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let means = means(MOST_IN_PROCESS, |name| {
        let number: u8 = name["name".len()..].parse().unwrap();
        match number % 3 {
            0 => Err(refusal(name)),
            _ => Ok(vec![IpAddr::from([10, 0, 0, number])]),
        }
    });
    let resolved = by(&means, &names, AGES).unwrap();
    assert_eq!((resolved.addresses.len(), resolved.failures.len()), (66, 34));
    assert_eq!(resolved.addresses["name7"], addresses(&["10.0.0.7"]));
    assert!(resolved.failures.contains(&refusal("name99")));
    let error = resolved.all().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(
        error
            .message()
            .starts_with("34 problems: network: name0: no; network: name3: no; ")
    );
}

#[test]
fn slow_name_times_out_alone_and_its_thread_ends_when_it_may() {
    let (gate, pass) = gate();
    let (see, seen) = unbounded();
    let means = means(2, move |name| {
        match name {
            "slow" => pass(name),
            _ => see.send(()).unwrap(),
        }
        Ok(addresses(&["192.0.2.1"]))
    });
    let names = ["slow", "fast", "faster"];
    let (pass_time, over) = bounded(1);
    let time = Deadline {
        over,
        after: Duration::from_secs(5),
    };
    let resolved = std::thread::scope(|scope| {
        let resolving = scope.spawn(|| resolve_by(&names, &means, &time, &never()).map(Option::unwrap));
        gate.begun.recv().unwrap();
        seen.recv().unwrap();
        // Both slots were taken. One comes back when the fast names have been answered.
        assert_eq!(means.slots.free().recv(), Ok(()));
        pass_time.send(Instant::now()).unwrap();
        resolving.join().unwrap().unwrap()
    });
    assert_eq!(resolved.addresses.keys().collect::<Vec<_>>(), ["fast", "faster"]);
    let expected = Failure {
        name: "slow".to_owned(),
        reason: "timed out after 5 s".to_owned(),
        kind: ErrorKind::System,
    };
    assert_eq!(resolved.failures, [expected]);
    assert!(means.slots.free().is_empty(), "the slow one goes on");
    drop(gate.let_go);
    assert_eq!(means.slots.free().recv(), Ok(()));
}

#[test]
fn at_most_eight_are_looked_up_at_once_and_all_in_the_end() {
    let (gate, pass) = gate();
    let at_once = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let means = means(MOST_IN_PROCESS, {
        let most = Arc::clone(&most);
        move |name: &str| {
            most.fetch_max(at_once.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            pass(name);
            at_once.fetch_sub(1, Ordering::SeqCst);
            Ok(addresses(&["192.0.2.1"]))
        }
    });
    let names: Vec<String> = (0..30).map(|number| format!("name{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let resolved = std::thread::scope(|scope| {
        let resolving = scope.spawn(|| by(&means, &names, AGES));
        for _ in 0..MOST_AT_ONCE {
            gate.begun.recv().unwrap();
        }
        drop(gate.let_go);
        resolving.join().unwrap().unwrap()
    });
    assert_eq!(resolved.addresses.len(), names.len());
    assert_eq!(most.load(Ordering::SeqCst), MOST_AT_ONCE);
}

#[test]
fn lookups_that_hang_leave_no_room_until_one_ends() {
    let (gate, pass) = gate();
    let means = means(3, move |name| {
        if name.starts_with("slow") {
            pass(name);
        }
        Ok(addresses(&["192.0.2.1"]))
    });
    let resolved = by(&means, &["slow0", "slow1", "slow2", "slow3", "fast"], MOMENT).unwrap();
    assert_eq!(resolved.failures.len(), 5, "there was no room for the fast one");
    let error = by(&means, &["fast"], MOMENT).unwrap_err();
    assert_eq!((error.kind(), error.stage()), (ErrorKind::Limit, Stage::Network));
    assert_eq!(
        error.message(),
        "network: cannot resolve names: 3 lookups hang already, and there may be no more"
    );
    // Who waits gets the room of one that ends.
    let resolved = std::thread::scope(|scope| {
        let resolving = scope.spawn(|| by(&means, &["fast"], AGES));
        gate.let_go.send(()).unwrap();
        resolving.join().unwrap().unwrap()
    });
    assert_eq!(resolved.addresses.len(), 1);
    // What nobody wants to know any more is not begun.
    drop(gate.let_go);
    for _ in 0..3 {
        assert_eq!(means.slots.free().recv(), Ok(()));
    }
    assert_eq!(gate.begun.try_iter().count(), 3);
}

#[test]
fn lookup_that_breaks_is_a_failure_and_gives_its_room_back() {
    let means = means(1, |name| match name {
        // Not a panic, which would be printed.
        "bad" => std::panic::resume_unwind(Box::new(())),
        _ => Ok(addresses(&["192.0.2.1"])),
    });
    let resolved = by(&means, &["bad"], AGES).unwrap();
    assert_eq!(resolved.failures[0].reason, "its lookup has ended without an answer");
    assert_eq!(by(&means, &["good"], AGES).unwrap().addresses.len(), 1);
}

#[test]
fn whoever_stops_waits_no_longer() {
    let (gate, pass) = gate();
    let means = means(1, move |name| {
        pass(name);
        Err(refusal(name))
    });
    std::thread::scope(|scope| {
        let (stop, stopped) = bounded(0);
        let waiting = scope.spawn({
            let (means, stopped) = (means.clone(), stopped.clone());
            move || resolve_by(&["slow"], &means, &Deadline::new(AGES), &stopped)
        });
        gate.begun.recv().unwrap();
        let without_room = scope.spawn({
            let means = means.clone();
            move || resolve_by(&["slow"], &means, &Deadline::new(AGES), &stopped)
        });
        drop(stop);
        assert_eq!(waiting.join().unwrap(), Ok(None));
        assert_eq!(without_room.join().unwrap(), Ok(None));
    });
}

#[test]
fn threads_take_no_signals_and_have_names() {
    let (told, tell) = bounded(1);
    let means = means(1, move |name| {
        let blocked = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let blocked = blocked
            .lines()
            .find(|line| line.starts_with("SigBlk:"))
            .unwrap()
            .to_owned();
        let own = std::thread::current().name().map(str::to_owned);
        told.send((own, blocked)).unwrap();
        Err(refusal(name))
    });
    by(&means, &["name"], AGES).unwrap();
    let (name, blocked) = tell.recv().unwrap();
    assert_eq!(name.as_deref(), Some("sandlock-lookup"));
    // All but KILL and STOP, which cannot be, and libc's three.
    assert_eq!(blocked.split_whitespace().last(), Some("fffffffc7ffbfeff"));
}

// Refreshing.

type Addresses = BTreeMap<String, Vec<IpAddr>>;

/// A refresher of `names` that is due when the test says so.
struct Ticking {
    refresher: Refresher,
    due: Sender<Instant>,
    told: Receiver<Addresses>,
}

fn ticking(means: Means, names: &[&str], known: &[(&str, &[&str])]) -> Ticking {
    let (due, ticks) = unbounded();
    let (tell, told) = unbounded();
    let names = names.iter().map(|&name| name.to_owned()).collect();
    let tell = Box::new(move |now| tell.send(now).unwrap());
    Ticking {
        refresher: Refresher::start_by(means, ticks, names, map(known), tell).unwrap(),
        due,
        told,
    }
}

fn map(known: &[(&str, &[&str])]) -> Addresses {
    let known = known.iter();
    known
        .map(|(name, texts)| ((*name).to_owned(), addresses(texts)))
        .collect()
}

#[test]
fn refresher_tells_what_has_changed_and_keeps_what_failed() {
    let (script, answers) = unbounded::<Answer>();
    let means = means(MOST_IN_PROCESS, move |name| match name {
        "moves" => answers.recv().unwrap(),
        _ => Err(refusal(name)),
    });
    let known: &[(&str, &[&str])] = &[("moves", &["192.0.2.1"]), ("fails", &["192.0.2.9"])];
    let ticking = ticking(means, &["fails", "moves", "never"], known);
    let step = |answer: Answer| {
        script.send(answer).unwrap();
        ticking.due.send(Instant::now()).unwrap();
    };
    step(Ok(addresses(&["192.0.2.2", "192.0.2.3"])));
    let now = map(&[("moves", &["192.0.2.2", "192.0.2.3"]), ("fails", &["192.0.2.9"])]);
    assert_eq!(ticking.told.recv(), Ok(now));
    // The same again, and a failure, are no news; the next change is.
    step(Ok(addresses(&["192.0.2.2", "192.0.2.3"])));
    step(Err(refusal("moves")));
    step(Ok(addresses(&["192.0.2.4"])));
    let now = map(&[("moves", &["192.0.2.4"]), ("fails", &["192.0.2.9"])]);
    assert_eq!(ticking.told.recv(), Ok(now));
    drop(ticking.refresher);
    assert!(ticking.told.recv().is_err(), "told after its end");
}

#[test]
fn refresher_ends_although_a_lookup_hangs() {
    let (gate, pass) = gate();
    let means = means(1, move |name| {
        pass(name);
        Err(refusal(name))
    });
    let slots = means.slots.clone();
    let ticking = ticking(means, &["slow"], &[]);
    ticking.due.send(Instant::now()).unwrap();
    gate.begun.recv().unwrap();
    // Returns only when the thread has ended.
    drop(ticking.refresher);
    assert!(ticking.told.recv().is_err());
    drop(gate.let_go);
    assert_eq!(slots.free().recv(), Ok(()));
}

#[test]
fn refresher_can_be_dropped_by_whom_it_tells() {
    let means = means(1, |_| Ok(addresses(&["192.0.2.1"])));
    let (due, ticks) = unbounded();
    let (hand_over, taken) = bounded::<Refresher>(1);
    let (tell, told) = unbounded();
    let drop_it = Box::new(move |_| {
        drop(taken.recv().unwrap());
        tell.send(()).unwrap();
    });
    let refresher = Refresher::start_by(means, ticks, vec!["name".to_owned()], map(&[]), drop_it).unwrap();
    hand_over.send(refresher).unwrap();
    due.send(Instant::now()).unwrap();
    assert_eq!(told.recv(), Ok(()));
    assert!(told.recv().is_err(), "the thread goes on");
}

#[test]
fn refresher_of_the_hosts_resolver_starts_and_ends() {
    let tell: super::refresher::Tell = Box::new(|_| {});
    let refresher = Refresher::start(vec!["localhost".to_owned()], map(&[]), Duration::ZERO, tell).unwrap();
    drop(refresher);
}
