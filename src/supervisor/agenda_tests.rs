#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::call::Place;
use super::super::errand::MOST;
use super::super::fixture_tests::{Diary, Fake, LONG, Stage};
use super::super::{Call, Ground, Reply, Served, Service};
use super::*;
use crate::members::Reach;
use crate::sys::notify;

/// Answers, so that a call which is served by mistake is none that nobody has answered.
struct Nobody;

impl Service for Nobody {
    fn serve(&self, _call: &Call, _ground: Ground) -> Served {
        Served::Answer(Reply::Value(1))
    }
}

fn stage() -> (Stage, Diary) {
    (Stage::new(Arc::new(Nobody)), Diary::default())
}

fn leave(stage: &Stage, fake: Box<Fake>) {
    assert!(stage.session.errands().leave(fake).is_ok());
}

fn taken(diary: &Diary) -> Vec<(u32, &'static str)> {
    std::mem::take(&mut *diary.lock())
}

/// Readable now, until the end of the test.
fn full_pipe() -> (std::io::PipeReader, std::io::PipeWriter) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(b".").unwrap();
    (reader, writer)
}

#[test]
fn errands_go_on_when_ready_or_due_in_the_order_in_which_they_were_left() {
    let (mut stage, diary) = stage();
    let (full, _writer) = full_pipe();
    let (empty, mut fill) = std::io::pipe().unwrap();
    leave(&stage, Fake::waiting(1, &diary, &empty));
    leave(&stage, Fake::due(2, &diary));
    leave(&stage, Fake::waiting(3, &diary, &full));
    let mut both = Fake::waiting(4, &diary, &full);
    both.due = Some(Instant::now() + LONG);
    leave(&stage, both);
    leave(&stage, Fake::new(5, &diary));
    stage.turn();
    let first = [
        (2, "due"),
        (2, "gone"),
        (3, "ready"),
        (3, "gone"),
        (4, "ready"),
        (4, "gone"),
    ];
    assert_eq!(taken(&diary), first);
    stage.turn();
    assert_eq!(taken(&diary), []);
    fill.write_all(b".").unwrap();
    stage.turn();
    assert_eq!(taken(&diary), [(1, "ready"), (1, "gone")]);
    assert_eq!(stage.agenda.list.len(), 1);
}

#[test]
fn errand_waits_for_what_it_says_after_its_last_turn() {
    let (mut stage, diary) = stage();
    let (full, _writer) = full_pipe();
    let mut fake = Fake::waiting(1, &diary, &full);
    fake.turns = 3;
    leave(&stage, fake);
    for _ in 0..3 {
        stage.turn();
    }
    assert_eq!(taken(&diary), [(1, "ready"), (1, "ready"), (1, "ready"), (1, "gone")]);
    assert!(stage.agenda.list.is_empty());
}

#[test]
fn warden_learns_of_its_own_descriptors_beside_those_of_errands() {
    let (mut stage, diary) = stage();
    let ((full, _writer), (empty, _fill)) = (full_pipe(), std::io::pipe().unwrap());
    leave(&stage, Fake::waiting(1, &diary, &empty));
    leave(&stage, Fake::waiting(2, &diary, &full));
    stage.agenda.due();
    stage.shared.wake();
    let mut own = [Wait::readable(-1), Wait::readable(stage.shared.wake_fd())];
    let count = stage.agenda.wait(&mut own, |waits| {
        poll(waits, 0).unwrap();
        waits.len()
    });
    assert_eq!(count, 4);
    assert_eq!(own.map(|wait| wait.ready()), [false, true]);
    stage.agenda.proceed(false);
    assert_eq!(taken(&diary), [(2, "ready"), (2, "gone")]);
}

#[test]
fn nothing_is_kept_or_looked_at_without_errands() {
    let mut agenda = Agenda::default();
    assert_eq!(agenda.due(), None);
    let mut own = [Wait::readable(-1)];
    let address = own.as_ptr();
    // The very array, and no copy.
    assert!(agenda.wait(&mut own, |waits| waits.as_ptr() == address));
    agenda.proceed(true);
    let (mut stage, _diary) = stage();
    stage.turn();
    assert_eq!(stage.agenda.waits.capacity() + stage.agenda.list.capacity(), 0);
}

#[test]
fn what_poll_refuses_together_is_asked_for_alone() {
    let (mut stage, diary) = stage();
    let ((full, _writer), (empty, _fill)) = (full_pipe(), std::io::pipe().unwrap());
    leave(&stage, Fake::waiting(1, &diary, &empty));
    leave(&stage, Fake::waiting(2, &diary, &full));
    leave(&stage, Fake::due(3, &diary));
    stage.agenda.due();
    // As if poll(2) had refused: nothing was found.
    stage.agenda.wait(&mut [], |_| ());
    stage.agenda.proceed(true);
    assert_eq!(taken(&diary), [(2, "ready"), (2, "gone"), (3, "due"), (3, "gone")]);
}

#[test]
fn due_is_the_first_time_of_all_and_soon_if_a_caller_waits() {
    let now = Instant::now();
    let at = |seconds: u64| now + Duration::from_secs(100 * seconds);
    let cases: [(&[Option<Instant>], Option<Instant>); 5] = [
        (&[], None),
        (&[None], None),
        (&[Some(at(7))], Some(at(7))),
        (&[None, Some(at(9)), Some(at(3)), Some(at(5))], Some(at(3))),
        (&[Some(now), None], Some(now)),
    ];
    for (dues, expected) in cases {
        let (mut stage, diary) = stage();
        for due in dues {
            let mut fake = Fake::new(1, &diary);
            fake.due = *due;
            leave(&stage, fake);
        }
        assert_eq!(stage.agenda.due(), expected, "{dues:?}");
        // With a call besides.
        let given = stage.call();
        let mut fake = Fake::new(2, &diary);
        fake.call = Some(stage.receive());
        leave(&stage, fake);
        let before = Instant::now();
        let due = stage.agenda.due().unwrap();
        let latest = Instant::now() + CALLERS;
        let earliest = before + CALLERS;
        if expected == Some(now) {
            assert_eq!(due, now);
        } else {
            assert!((earliest..=latest).contains(&due), "{dues:?}");
        }
        // The same, however often it is asked.
        assert_eq!(stage.agenda.due().unwrap(), due);
        drop(stage);
        assert_eq!(given.recv_timeout(LONG), Ok(Err(libc::EPERM)));
    }
}

#[test]
fn no_more_errands_than_the_bound_wherever_they_are() {
    let (mut stage, diary) = stage();
    let errands = stage.session.errands().clone();
    let takes = |fake| errands.leave(fake).is_ok();
    for due in 0..MOST {
        // Two of them, that is.
        let fake = if due < 2 {
            Fake::due(1, &diary)
        } else {
            Fake::new(2, &diary)
        };
        assert!(takes(fake));
    }
    let refused = errands.leave(Fake::new(3, &diary));
    // It comes back, and nobody else has touched it.
    assert!(refused.is_err() && taken(&diary).is_empty());
    drop(refused);
    assert_eq!(taken(&diary), [(3, "gone")]);
    // The warden has them all.
    stage.agenda.due();
    assert!(!takes(Fake::new(3, &diary)));
    taken(&diary);
    stage.turn();
    assert_eq!(taken(&diary), [(1, "due"), (1, "gone"), (1, "due"), (1, "gone")]);
    // There is room for two: one that the warden has seen, and one that it has not.
    assert!(takes(Fake::new(4, &diary)));
    stage.agenda.due();
    assert!(takes(Fake::new(5, &diary)));
    assert!(!takes(Fake::new(6, &diary)));
    assert_eq!(taken(&diary), [(6, "gone")]);
}

#[test]
fn a_turn_is_bounded_and_begins_with_those_that_have_waited_longest() {
    let (mut stage, diary) = stage();
    let (full, _writer) = full_pipe();
    let count = u32::try_from(MOST_AT_ONCE).unwrap() + 2;
    for name in 0..count {
        let mut fake = Fake::waiting(name, &diary, &full);
        fake.turns = u32::MAX;
        if name % 2 == 0 {
            // No less so if it is due.
            (fake.waits_for, fake.due) = (None, Some(Instant::now()));
        }
        leave(&stage, fake);
    }
    let names = |diary: &Diary| taken(diary).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    stage.turn();
    assert_eq!(names(&diary), (0..count - 2).collect::<Vec<_>>());
    stage.turn();
    let second = [count - 2, count - 1].into_iter().chain(0..count - 4);
    assert_eq!(names(&diary), second.collect::<Vec<_>>());
}

#[test]
fn only_who_is_not_the_warden_wakes_it() {
    let (stage, diary) = stage();
    let woken = || {
        let mut wait = [Wait::readable(stage.shared.wake_fd())];
        poll(&mut wait, 0).unwrap();
        wait[0].ready()
    };
    leave(&stage, Fake::new(1, &diary));
    assert!(!woken());
    std::thread::scope(|scope| {
        let errands = stage.session.errands();
        let left = scope.spawn(|| errands.leave(Fake::new(2, &diary)).is_ok());
        assert!(left.join().unwrap());
    });
    assert!(woken());
}

#[test]
fn errand_answers_the_call_that_it_owns() {
    let (mut stage, diary) = stage();
    let given = stage.call();
    let mut fake = Fake::due(42, &diary);
    fake.call = Some(stage.receive());
    leave(&stage, fake);
    stage.turn();
    assert_eq!(given.recv_timeout(LONG), Ok(Ok(42)));
    assert_eq!(taken(&diary), [(42, "due"), (42, "gone")]);
}

/// The kernel says of a call that was answered what it says of one whose caller was killed.
fn lose_caller(stage: &Stage, call: &Call) {
    notify::fail(stage.session.listener(), call.received().id, 5).unwrap();
}

#[test]
fn errand_whose_caller_is_gone_is_dropped_when_ready_or_due() {
    let (full, _writer) = full_pipe();
    let fakes: [fn(&Diary, &std::io::PipeReader) -> Box<Fake>; 2] = [
        |diary, _| Fake::due(1, diary),
        |diary, full| Fake::waiting(1, diary, full),
    ];
    for make in fakes {
        let (mut stage, diary) = stage();
        let given = stage.call();
        let call = stage.receive();
        lose_caller(&stage, &call);
        let mut fake = make(&diary, &full);
        fake.call = Some(call);
        leave(&stage, fake);
        leave(&stage, Fake::due(2, &diary));
        stage.turn();
        assert_eq!(taken(&diary), [(1, "gone"), (2, "due"), (2, "gone")]);
        assert!(stage.agenda.list.is_empty());
        assert_eq!(given.recv_timeout(LONG), Ok(Err(5)));
    }
}

#[test]
fn errand_whose_caller_is_gone_is_dropped_before_it_is_due() {
    let (mut stage, diary) = stage();
    let (gone, stays) = (stage.call(), stage.call());
    let calls = [stage.receive(), stage.receive()];
    lose_caller(&stage, &calls[0]);
    for (name, call) in (1..).zip(calls) {
        let mut fake = Fake::new(name, &diary);
        fake.due = Some(Instant::now() + LONG);
        fake.call = Some(call);
        leave(&stage, fake);
    }
    leave(&stage, Fake::new(3, &diary));
    stage.agenda.due();
    let looked = stage.agenda.looked.unwrap();
    // The time for a look has not come.
    stage.agenda.looked = Some(looked + LONG);
    stage.agenda.proceed(false);
    assert_eq!(taken(&diary), []);
    // It has.
    stage.agenda.looked = Some(looked - CALLERS);
    stage.turn();
    assert_eq!(taken(&diary), [(1, "gone")]);
    assert!(stage.agenda.looked.unwrap() >= looked);
    assert_eq!(stage.agenda.list.len(), 2);
    drop(stage);
    let mut given = [gone, stays].map(|given| given.recv_timeout(LONG).unwrap());
    given.sort_unstable();
    assert_eq!(given, [Err(libc::EPERM), Err(5)]);
}

#[test]
fn errand_that_panics_is_told_of_and_ends_alone() {
    let (mut stage, diary) = stage();
    let given = stage.call();
    let mut fake = Fake::due(1, &diary);
    fake.panics = true;
    fake.call = Some(stage.receive());
    leave(&stage, fake);
    leave(&stage, Fake::due(2, &diary));
    stage.turn();
    assert_eq!(taken(&diary), [(1, "due"), (1, "gone"), (2, "due"), (2, "gone")]);
    assert_eq!(given.recv_timeout(LONG), Ok(Err(libc::EPERM)));
    assert_eq!(stage.told.0.lock().len(), 1);
}

#[test]
fn errands_end_with_the_agenda_and_so_do_sessions() {
    for ends in [Agenda::end as fn(&mut Agenda), |agenda| *agenda = Agenda::default()] {
        let (mut stage, diary) = stage();
        let given = [stage.call(), stage.call()];
        for name in [1, 2] {
            let mut fake = Fake::new(name, &diary);
            fake.call = Some(stage.receive());
            leave(&stage, fake);
            // One has arrived, and one is in the list.
            if name == 1 {
                stage.agenda.due();
            }
        }
        let errands = stage.session.errands().clone();
        let session = Arc::downgrade(&stage.session);
        ends(&mut stage.agenda);
        let mut gone = taken(&diary);
        gone.sort_unstable();
        assert_eq!(gone, [(1, "gone"), (2, "gone")]);
        for given in given {
            assert_eq!(given.recv_timeout(LONG), Ok(Err(libc::EPERM)));
        }
        assert!(errands.leave(Fake::new(3, &diary)).is_err());
        assert!(errands.aside(Box::new(|| ())).is_err());
        drop(stage);
        // Though somebody still has where errands are left.
        assert!(session.upgrade().is_none());
    }
}

/// Says `Taken`, and does with the call what it is told to.
struct Taker(Box<dyn Fn(Call) + Send + Sync>);

impl Service for Taker {
    fn serve(&self, _call: &Call, _ground: Ground) -> Served {
        Served::Taken
    }

    fn take(&self, call: Call) {
        (self.0)(call);
    }
}

#[test]
fn service_goes_on_with_a_call_that_it_takes() {
    type Take = fn(Call);
    let cases: [(&str, Take, Result<i64, i32>, usize); 5] = [
        ("answers", |call| call.answer(Reply::Value(9)).unwrap(), Ok(9), 0),
        ("drops", drop, Err(libc::EPERM), 0),
        ("panics", |_call| panic!("a service's mistake"), Err(libc::EPERM), 1),
        (
            "leaves",
            |call| {
                let errands = call.errands();
                let mut fake = Fake::due(8, &Diary::default());
                fake.call = Some(call);
                assert!(errands.leave(fake).is_ok());
            },
            Ok(8),
            0,
        ),
        (
            "aside",
            |call| {
                let errands = call.errands();
                let work = move || call.answer(Reply::Value(7)).unwrap();
                assert!(errands.aside(Box::new(work)).is_ok());
            },
            Ok(7),
            0,
        ),
    ];
    for (what, take, expected, told) in cases {
        for place in [Place::Warden, Place::Attendant] {
            let mut stage = Stage::new(Arc::new(Taker(Box::new(take))));
            let given = stage.call();
            stage.serve(place);
            stage.turn();
            assert_eq!(given.recv_timeout(LONG), Ok(expected), "{what}, {place:?}");
            assert_eq!(stage.told.0.lock().len(), told, "{what}, {place:?}");
        }
    }
}

#[test]
fn panic_of_work_aside_denies_its_call_and_is_told() {
    let stage = Stage::new(Arc::new(Taker(Box::new(|call| {
        let errands = call.errands();
        let work = move || {
            assert_eq!(call.thread(), -1, "a service's mistake");
        };
        assert!(errands.aside(Box::new(work)).is_ok());
    }))));
    let given = stage.call();
    stage.serve(Place::Attendant);
    assert_eq!(given.recv_timeout(LONG), Ok(Err(libc::EPERM)));
    // What is told comes after that, but before the thread ends.
    stage.session.errands().dismiss_asides(LONG);
    assert_eq!(stage.told.0.lock().len(), 1);
}

/// Takes note of the ground that it serves on.
struct Surveyor(crate::lock::Mutex<Vec<Ground>>);

impl Service for Surveyor {
    fn serve(&self, _call: &Call, ground: Ground) -> Served {
        self.0.lock().push(ground);
        Served::Answer(Reply::Value(0))
    }
}

#[test]
fn ground_tells_warden_and_attendant_apart_in_a_domain_and_in_none() {
    let cases = [
        (Reach::Domain, Place::Warden, Ground::Warden),
        (Reach::Domain, Place::Attendant, Ground::Apart),
        (Reach::Domain, Place::Worker, Ground::Free),
        (Reach::Namespace { inode: 1, init: 1 }, Place::Warden, Ground::Warden),
        (Reach::Namespace { inode: 1, init: 1 }, Place::Attendant, Ground::Apart),
        (Reach::Family(1), Place::Warden, Ground::Unscoped),
        (Reach::Family(1), Place::Attendant, Ground::UnscopedApart),
        (Reach::Family(1), Place::Worker, Ground::Free),
    ];
    for (reach, place, ground) in cases {
        let surveyor = Arc::new(Surveyor(crate::lock::Mutex::default()));
        let stage = Stage::of(reach, Arc::clone(&surveyor) as Arc<dyn Service>);
        let given = stage.call();
        stage.serve(place);
        assert_eq!(given.recv_timeout(LONG), Ok(Ok(0)));
        assert_eq!(*surveyor.0.lock(), [ground], "{reach:?} {place:?}");
    }
}
