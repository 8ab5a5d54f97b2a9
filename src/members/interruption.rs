//! Whether a signal would interrupt a thread that waits for the answer to its call. The kernel does not: once a call was received, a
//! listener with WAIT_KILLABLE lets nothing but a deadly signal end the wait. So whoever puts the answer off looks here.

use super::read;

/// What has come for a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interruption {
    /// Nothing that it minds.
    None,
    /// A signal that nobody else will take: it is certain to be dealt with when the call returns.
    Own,
    /// A signal for the whole process, which another thread may take.
    Shared,
}

/// Signals that stop a process unless it says otherwise.
const STOPPING: [i32; 4] = [libc::SIGSTOP, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];

/// What has come for `thread`, if that can be told.
pub(crate) fn interruption(thread: i32) -> Interruption {
    match read(thread, &format!("task/{thread}/status")) {
        Ok(Some(status)) => of_status(&status),
        _ => Interruption::None,
    }
}

/// Likewise, by what proc(5) says of the thread.
fn of_status(status: &str) -> Interruption {
    let field = |key: &str| status.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
    let signals = |key| field(key).and_then(|text| u64::from_str_radix(text, 16).ok());
    // Only these interrupt: what is ignored is not kept, what is deadly has ended the wait, and SIGCONT does its work when it is sent.
    let stopping = STOPPING.iter().map(|signal| 1_u64 << (signal - 1)).sum::<u64>();
    let minded = (signals("SigCgt:").unwrap_or(0) | stopping)
        & !signals("SigIgn:").unwrap_or(0)
        & !signals("SigBlk:").unwrap_or(0);
    let own = signals("SigPnd:").unwrap_or(0) & minded != 0;
    let shared = signals("ShdPnd:").unwrap_or(0) & minded != 0;
    match (own, shared) {
        (false, false) => Interruption::None,
        (true, _) => Interruption::Own,
        (false, true) if field("Threads:") == Some("1") => Interruption::Own,
        (false, true) => Interruption::Shared,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(threads: u32, pending: u64, shared: u64, blocked: u64, ignored: u64, caught: u64) -> String {
        format!(
            "Name:\tx\nThreads:\t{threads}\nSigQ:\t0/95968\nSigPnd:\t{pending:016x}\nShdPnd:\t{shared:016x}\n\
             SigBlk:\t{blocked:016x}\nSigIgn:\t{ignored:016x}\nSigCgt:\t{caught:016x}\n"
        )
    }

    #[test]
    fn what_is_caught_or_stops_interrupts_unless_blocked() {
        const ALARM: u64 = 1 << (libc::SIGALRM - 1);
        const STOP: u64 = 1 << (libc::SIGSTOP - 1);
        const TYPED_STOP: u64 = 1 << (libc::SIGTSTP - 1);
        for (text, expected) in [
            (status(1, 0, 0, 0, 0, ALARM), Interruption::None),
            (status(1, 0, ALARM, 0, 0, ALARM), Interruption::Own),
            (status(2, 0, ALARM, 0, 0, ALARM), Interruption::Shared),
            (status(2, ALARM, ALARM, 0, 0, ALARM), Interruption::Own),
            (status(1, 0, ALARM, ALARM, 0, ALARM), Interruption::None),
            (status(1, 0, ALARM, 0, 0, 0), Interruption::None),
            (status(1, 0, STOP, 0, 0, 0), Interruption::Own),
            (status(1, 0, TYPED_STOP, 0, TYPED_STOP, 0), Interruption::None),
            (String::new(), Interruption::None),
        ] {
            assert_eq!(of_status(&text), expected, "{text}");
        }
    }
}
