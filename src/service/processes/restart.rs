//! A signal that arrives while a trapped call waits to be received interrupts it (Linux protects it only from then on,
//! SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV), and unless the signal's handler was installed with SA_RESTART the call fails with EINTR.
//! No program expects that of fork(2), which the kernel itself never interrupts. The signal that does arrive while a program
//! starts processes is SIGCHLD, of the one before: `echo | cat` would fail in one of a hundred times in a shell like dash.
//!
//! So handlers of SIGCHLD are installed with SA_RESTART, whatever the program says: the flag is set in the structure that libc has made for
//! the kernel, before the kernel reads it. What a program sees of that is that SIGCHLD does not interrupt its reads and waits either, as
//! with signal(3). sigsuspend, poll, select, nanosleep and their like return for any signal.

use crate::supervisor::{Call, Ground, Served};

/// `struct sigaction` as the kernel has it starts with the handler and the flags, a word each.
const HEAD: usize = 16;

/// Sees to a call of rt_sigaction(2).
///
/// Others who have the caller's memory can keep it locked for as long as they like, and the warden must not wait for them. `alone`: there are
/// none.
pub(super) fn serve(call: &Call, ground: Ground, alone: impl FnOnce() -> bool) -> Served {
    let [signal, action, ..] = call.received().arguments;
    if signal != u64::from(libc::SIGCHLD.cast_unsigned()) || action == 0 {
        // Trapped for a handler's sake.
        return Served::Pass;
    }
    if ground.is_wardens() && !alone() {
        return Served::Apart;
    }
    let mut head = [0; HEAD];
    // What cannot be read or changed stays as it is: the program alone bears the consequences.
    if call.read(action, &mut head).is_ok_and(|count| count == HEAD)
        && let Some(flags) = with_restart(head)
    {
        let _ = call.write(action.wrapping_add(8), &flags);
    }
    Served::Pass
}

/// The flags with SA_RESTART, if there is a handler and they lack it.
fn with_restart(head: [u8; HEAD]) -> Option<[u8; 8]> {
    let (handler, flags) = head.split_at(8);
    let handler = u64::from_ne_bytes(handler.try_into().ok()?);
    let flags = u64::from_ne_bytes(flags.try_into().ok()?);
    let (default, ignored, restart) = (
        libc::SIG_DFL as u64,
        libc::SIG_IGN as u64,
        u64::from(libc::SA_RESTART.cast_unsigned()),
    );
    let lacks = handler != default && handler != ignored && flags & restart == 0;
    lacks.then(|| (flags | restart).to_ne_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flag_is_added_to_handlers_that_lack_it() {
        let head = |handler: u64, flags: u64| -> [u8; HEAD] {
            [handler.to_ne_bytes(), flags.to_ne_bytes()]
                .concat()
                .try_into()
                .unwrap()
        };
        let (restart, siginfo) = (0x1000_0000_u64, 4_u64);
        assert_eq!(
            with_restart(head(0x1234, siginfo)),
            Some((restart | siginfo).to_ne_bytes())
        );
        assert_eq!(with_restart(head(0x1234, restart)), None);
        assert_eq!(with_restart(head(0, 0)), None);
        assert_eq!(with_restart(head(1, 0)), None);
    }
}
