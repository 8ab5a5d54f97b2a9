//! Who goes on with calls that are left apart.

use super::super::fixture_tests::Stage;
use super::super::{Ground, Reply, Served};
use super::*;

/// Answers on threads apart from the warden.
struct Apart;

impl Service for Apart {
    fn serve(&self, _call: &Call, ground: Ground) -> Served {
        match ground {
            Ground::Apart | Ground::UnscopedApart => Served::Answer(Reply::Value(7)),
            Ground::Free | Ground::Warden | Ground::Unscoped => Served::Apart,
        }
    }
}

#[test]
fn call_that_is_left_while_the_attendant_goes_to_its_post_is_for_another() {
    let stage = Stage::new(Arc::new(Apart));
    let (session, given) = (&stage.session, stage.call());
    // The warden has taken a call, and an attendant finds nothing to do but to wait for calls.
    let call = stage.receive();
    assert!(session.wants_attendant(true));
    assert!(matches!(session.next_apart(), Some(None)));
    session.leave_apart(call);
    assert!(session.wants_attendant(false));
    assert!(!session.wants_attendant(false), "one is enough");
    // What that one does.
    let call = session.next_apart().flatten().unwrap();
    call.proceed_confined(Place::Attendant);
    assert_eq!(given.recv().unwrap(), Ok(7));
    // The first comes back.
    session.apart.lock().at_post -= 1;
    let given = stage.call();
    session.leave_apart(stage.receive());
    assert!(!session.wants_attendant(true));
    session
        .next_apart()
        .flatten()
        .unwrap()
        .proceed_confined(Place::Attendant);
    assert_eq!(given.recv().unwrap(), Ok(7));
}
