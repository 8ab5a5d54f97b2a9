//! seccomp user notification: the listener's side (seccomp_unotify(2)).

use super::raw::syscall;
use super::{Errno, Result};

/// Filter flag: return a listener for calls that the filter answers with RET_USER_NOTIF. Linux 5.0.
pub const FLAG_NEW_LISTENER: libc::c_ulong = 1 << 3;
/// Filter flag: a call that the listener has received is interrupted by nothing but death. Linux 5.19.
pub const FLAG_WAIT_KILLABLE: libc::c_ulong = 1 << 5;

/// What the kernel tells of a call: `struct seccomp_notif`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// Names the call for as long as it waits.
    pub id: u64,
    /// The calling thread, in the listener's PID namespace; 0 if it is not in there.
    pub thread: u32,
    /// None so far.
    pub flags: u32,
    /// System call number.
    pub number: i32,
    /// AUDIT_ARCH_*.
    pub arch: u32,
    /// Instruction pointer.
    pub instruction_pointer: u64,
    /// Arguments.
    pub arguments: [u64; 6],
}

/// An answer: `struct seccomp_notif_resp`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct Response {
    id: u64,
    value: i64,
    error: i32,
    flags: u32,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct AddFd {
    id: u64,
    flags: u32,
    source: u32,
    target: u32,
    target_flags: u32,
}

const RECV: libc::c_ulong = 0xc050_2100;
const SEND: libc::c_ulong = 0xc018_2101;
const ID_VALID: libc::c_ulong = 0x4008_2102;
const ADD_FD: libc::c_ulong = 0x4018_2103;
const SET_FLAGS: libc::c_ulong = 0x4008_2104;

const CONTINUE: u32 = 1;
const ADD_FD_AT: u32 = 1;
const ADD_FD_SEND: u32 = 2;
const SYNC_WAKE_UP: u64 = 1;

/// Room for the structures of a kernel whose are larger than those above. It fills in what it knows and reads what it knows,
/// and zero is what a newer field means to an older program.
const ROOM: usize = 512;

#[repr(C, align(8))]
union Padded<T: Copy> {
    value: T,
    room: [u8; ROOM],
}

impl<T: Copy> Padded<T> {
    fn new(value: T) -> Self {
        let mut padded = Self { room: [0; ROOM] };
        padded.value = value;
        padded
    }
}

/// True if the kernel's structures fit the room that this file leaves for them (SECCOMP_GET_NOTIF_SIZES, Linux 5.0).
pub fn sizes_fit() -> bool {
    const GET_NOTIF_SIZES: u32 = 3;
    let mut sizes = [0_u16; 3];
    // SAFETY: `sizes` has room for the structure of three numbers.
    let asked = unsafe { syscall!(libc::SYS_seccomp, GET_NOTIF_SIZES, 0_u32, sizes.as_mut_ptr()) };
    asked.is_ok() && sizes.iter().all(|&size| usize::from(size) <= ROOM)
}

/// True if the kernel knows the filter flag: with a null program it complains of that (EFAULT) rather than of the flag.
pub fn knows_flag(flag: libc::c_ulong) -> bool {
    const SET_MODE_FILTER: u32 = 1;
    let nothing = core::ptr::null::<u8>();
    // SAFETY: a null program is refused.
    let refused = unsafe { syscall!(libc::SYS_seccomp, SET_MODE_FILTER, flag | FLAG_NEW_LISTENER, nothing) };
    refused == Err(Errno(libc::EFAULT))
}

/// What a listener can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListenerFeatures {
    /// [`wake_in_turn`].
    pub sync_wake_up: bool,
    /// [`add_fd`].
    pub add_fd: bool,
    /// [`succeed_with_fd`].
    pub add_fd_send: bool,
}

/// Asks the kernel what listeners can do, by making one. The calling thread has a filter that allows everything from then on, and
/// no_new_privs: let it end.
pub fn listener_features() -> Result<ListenerFeatures> {
    let allow = [super::seccomp::Instruction {
        code: 6, // BPF_RET | BPF_K
        jt: 0,
        jf: 0,
        k: super::seccomp::RET_ALLOW,
    }];
    super::credentials::set_no_new_privs()?;
    let listener = super::seccomp::listen(&allow, 0)?;
    // No call has the number 0: what the kernel knows fails for that, and not for the flags.
    let no_such_call = Err(Errno(libc::ENOENT));
    let known = ListenerFeatures {
        sync_wake_up: wake_in_turn(listener).is_ok(),
        add_fd: add_fd(listener, 0, listener, None, true) == no_such_call.map(|()| 0),
        add_fd_send: succeed_with_fd(listener, 0, listener, None, true) == no_such_call,
    };
    super::fd::close(listener);
    Ok(known)
}

/// Takes the next call. Blocks if there is none, so the caller polls first, and is the only one to take calls meanwhile.
/// ENOENT: the caller died, or was interrupted, in between.
pub fn receive(listener: i32) -> Result<Received> {
    // Zeroed, as the kernel demands.
    let mut call = Padded::new(Received::default());
    // SAFETY: the union has room for what the kernel writes, as sizes_fit() found.
    unsafe { syscall!(libc::SYS_ioctl, listener, RECV, &raw mut call) }?;
    // SAFETY: plain numbers: every content is valid.
    Ok(unsafe { call.value })
}

/// True if [`receive`] is known to return when the last process that could call has ended (Linux 6.11; this asks for something of
/// 6.13).
pub fn receive_ends() -> bool {
    let Ok(pidfd) = super::process::open_pidfd(super::process::id()) else {
        return false;
    };
    let known = super::process::has_info(pidfd);
    super::fd::close(pidfd);
    known
}

/// The kernel takes a lock for each of these, and lets a signal of the host's interrupt that: then nothing was done.
fn uninterrupted(call: impl Fn() -> Result<usize>) -> Result<usize> {
    loop {
        match call() {
            Err(Errno(libc::EINTR)) => {}
            done => return done,
        }
    }
}

fn send(listener: i32, response: Response) -> Result<()> {
    let response = Padded::new(response);
    // SAFETY: the union outlives the call and is as large as whatever the kernel reads.
    uninterrupted(|| unsafe { syscall!(libc::SYS_ioctl, listener, SEND, &raw const response) }).map(drop)
}

/// Lets call `id` run. Linux 5.5. ENOENT: it waits no more.
pub fn resume(listener: i32, id: u64) -> Result<()> {
    send(
        listener,
        Response {
            id,
            flags: CONTINUE,
            ..Response::default()
        },
    )
}

/// Has call `id` fail.
pub fn fail(listener: i32, id: u64, errno: u16) -> Result<()> {
    send(
        listener,
        Response {
            id,
            error: i32::from(errno).saturating_neg(),
            ..Response::default()
        },
    )
}

/// Has call `id` return `value`.
pub fn succeed(listener: i32, id: u64, value: i64) -> Result<()> {
    send(
        listener,
        Response {
            id,
            value,
            ..Response::default()
        },
    )
}

/// Gives the caller of `id` the descriptor `fd`, at the number `target` or the lowest free one, and has the call return that
/// number, in one step. Linux 5.14; EINVAL before.
pub fn succeed_with_fd(listener: i32, id: u64, fd: i32, target: Option<i32>, cloexec: bool) -> Result<()> {
    inject(listener, id, fd, target, cloexec, ADD_FD_SEND).map(drop)
}

/// Gives the caller of `id` the descriptor `fd`, and says at which number. Linux 5.9.
pub fn add_fd(listener: i32, id: u64, fd: i32, target: Option<i32>, cloexec: bool) -> Result<i32> {
    inject(listener, id, fd, target, cloexec, 0)
}

fn inject(listener: i32, id: u64, fd: i32, target: Option<i32>, cloexec: bool, flags: u32) -> Result<i32> {
    let request = AddFd {
        id,
        flags: flags | if target.is_some() { ADD_FD_AT } else { 0 },
        source: fd.cast_unsigned(),
        target: target.unwrap_or(0).cast_unsigned(),
        target_flags: if cloexec { libc::O_CLOEXEC.cast_unsigned() } else { 0 },
    };
    // SAFETY: the structure outlives the call and is as large as the request says.
    super::fd::number(uninterrupted(|| unsafe {
        syscall!(libc::SYS_ioctl, listener, ADD_FD, &raw const request)
    }))
}

/// True while call `id` waits: the thread that made it has not died, and its number is still its own.
pub fn is_waiting(listener: i32, id: u64) -> bool {
    // SAFETY: `id` outlives the call.
    uninterrupted(|| unsafe { syscall!(libc::SYS_ioctl, listener, ID_VALID, &raw const id) }).is_ok()
}

/// Has the kernel run the answered thread at once on the processor of who answers: the two take turns. Linux 6.6.
pub fn wake_in_turn(listener: i32) -> Result<()> {
    // SAFETY: the argument is a number.
    unsafe { syscall!(libc::SYS_ioctl, listener, SET_FLAGS, SYNC_WAKE_UP as libc::c_ulong) }.map(drop)
}
