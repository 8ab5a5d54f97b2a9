//! SO_LINGER: how long the last close(2) of a socket waits for what was sent to arrive. The last one may be the library's, of a duplicate that
//! it has while it carries out a call; so it is bounded, or a program could have threads of the host wait for ever.

use std::os::fd::AsRawFd;

use crate::supervisor::Call;
use crate::sys::{Errno, socket};

use super::answer;
use super::rules::Rules;

/// The longest wait, seconds.
const LONGEST: i32 = 5;

/// True if a call of setsockopt(2) is about that.
pub(super) fn is_about(call: &Call) -> bool {
    let [_, level, option, ..] = call.received().arguments.map(super::socket::descriptor);
    (level, option) == (libc::SOL_SOCKET, libc::SO_LINGER)
}

/// Serves it.
pub(super) fn serve(rules: &Rules, call: &Call) {
    answer(call, set(rules, call).map(|()| 0));
}

fn set(rules: &Rules, call: &Call) -> Result<(), Errno> {
    let [number, _, _, value, length, _] = call.received().arguments;
    let (socket, _) = rules.duplicate(call, number)?;
    let mut bytes = [0; size_of::<libc::linger>()];
    let length = super::socket::descriptor(length);
    if usize::try_from(length).map_err(|_| Errno(libc::EINVAL))? < bytes.len() {
        return Err(Errno(libc::EINVAL));
    }
    let whole = bytes.len();
    if call.read(value, &mut bytes).map_err(|error| Errno(error.errno()))? < whole {
        return Err(Errno(libc::EFAULT));
    }
    socket::set_linger(socket.as_raw_fd(), bounded(bytes))
}

/// What a `struct linger` asks for, as far as it may.
fn bounded(bytes: [u8; 8]) -> Option<i32> {
    let [on, seconds] = [0, 4].map(|at| i32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]));
    // A negative time is a long one to the kernel.
    (on != 0).then(|| {
        if (0..=LONGEST).contains(&seconds) {
            seconds
        } else {
            LONGEST
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_lingers_for_long() {
        for (on, seconds, expected) in [
            (0, 60, None),
            (1, 0, Some(0)),
            (1, 3, Some(3)),
            (-1, 60, Some(LONGEST)),
            (1, -1, Some(LONGEST)),
            (1, i32::MAX, Some(LONGEST)),
        ] {
            let [on, seconds] = [on, seconds].map(i32::to_ne_bytes);
            let bytes: Vec<u8> = [on, seconds].concat();
            assert_eq!(bounded(bytes.try_into().unwrap()), expected);
        }
    }
}
