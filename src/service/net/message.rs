//! Messages as sendmsg(2) takes them: read from the program's memory once, but for the data of streams, which may be long.

use std::os::fd::{AsRawFd, OwnedFd};

use crate::supervisor::Call;
use crate::sys::Errno;
use crate::sys::socket::Kind;

use super::address::Address;
use super::rules::Rules;
use super::socket::{any, descriptor};

/// The kernel's own bounds: UIO_MAXIOV, and what it calls a reasonable amount of ancillary data.
const MOST_VECTORS: u64 = 1024;
const MOST_CONTROL: u64 = 20 << 10;
/// SCM_MAX_FD.
const MOST_RIGHTS: usize = 253;
/// `struct msghdr`, on systems of 64 bits.
const HEADER: usize = 56;
/// `struct mmsghdr` is a message header and the length that was sent.
pub(super) const ENTRY: u64 = 64;
/// Where that length is.
pub(super) const ENTRY_LENGTH: u64 = HEADER as u64;

/// Whose descriptors are where a message is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Table {
    /// This process's. Nothing of the program's may get there but its sockets.
    Shared,
    /// The thread's own.
    Own,
}

/// Why a message cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// The call fails with that.
    Failed(Errno),
    /// It passes descriptors on, for which it takes a table of descriptors that is nobody else's.
    Elsewhere,
}

impl From<Errno> for Unread {
    fn from(errno: Errno) -> Self {
        Self::Failed(errno)
    }
}

/// What is to be sent.
pub(super) struct Message {
    pub(super) name: Address,
    vectors: Vec<(u64, u64)>,
    total: u64,
    /// Ancillary data, with descriptors of ours.
    pub(super) control: Vec<u8>,
    /// Those that it passes on.
    _rights: Vec<OwnedFd>,
}

impl Message {
    /// Data at one place, without anything beside it.
    pub(super) fn plain(name: Address, address: u64, length: u64) -> Self {
        Self {
            name,
            vectors: vec![(address, length)],
            total: length,
            control: Vec::new(),
            _rights: Vec::new(),
        }
    }

    /// The message that the `struct msghdr` at `pointer` describes, for a socket of this kind.
    pub(super) fn read(rules: &Rules, call: &Call, pointer: u64, kind: Kind, table: Table) -> Result<Self, Unread> {
        let mut header = [0; HEADER];
        read(call, pointer, &mut header)?;
        let word = |at: usize| {
            let bytes = header.get(at..).and_then(|rest| rest.first_chunk());
            bytes.map_or(0, |bytes| u64::from_ne_bytes(*bytes))
        };
        let (name, name_length) = (word(0), word(8) & u64::from(u32::MAX));
        let (vectors, count, control, control_length) = (word(16), word(24), word(32), word(40));
        let name = if name == 0 || name_length == 0 {
            Address::NONE
        } else {
            // What is longer than any address the kernel cuts short here, and only here.
            let most = crate::sys::socket::LONGEST_ADDRESS as u64;
            if name_length > u64::from(i32::MAX.cast_unsigned()) {
                return Err(Errno(libc::EINVAL).into());
            }
            Address::read(call, name, name_length.min(most))?
        };
        let (vectors, total) = read_vectors(call, vectors, count)?;
        let (control, rights) = if control == 0 || control_length == 0 {
            (Vec::new(), Vec::new())
        } else if control_length > MOST_CONTROL {
            return Err(Errno(libc::ENOBUFS).into());
        } else {
            let mut bytes = vec![0; usize::try_from(control_length).map_err(|_| Errno(libc::ENOBUFS))?];
            read(call, control, &mut bytes)?;
            translate(&bytes, kind, |number| match (&rules.made, table) {
                // Of other files nobody has a duplicate.
                (Some(made), _) => Ok(made.duplicate(call, number)?.0),
                (None, Table::Shared) => Err(Unread::Elsewhere),
                (None, Table::Own) => Ok(any(call, descriptor(number))?),
            })?
        };
        Ok(Self {
            name,
            vectors,
            total,
            control,
            _rights: rights,
        })
    }

    /// How much data there is.
    pub(super) fn length(&self) -> u64 {
        self.total
    }

    /// Reads data from `offset` on into `buffer`, and says how much: less at the end, or before what cannot be read.
    pub(super) fn data(&self, call: &Call, offset: u64, buffer: &mut [u8]) -> Result<usize, Errno> {
        let (mut skip, mut filled) = (offset, 0);
        for &(address, length) in &self.vectors {
            if skip >= length {
                skip -= length;
                continue;
            }
            let room = buffer.len() - filled;
            let want = usize::try_from(length - skip).map_or(room, |left| left.min(room));
            if want == 0 {
                break;
            }
            let part = &mut buffer[filled..filled + want];
            match call.read(address.wrapping_add(skip), part) {
                Ok(read) => {
                    filled += read;
                    if read < want {
                        break;
                    }
                }
                Err(_) if filled > 0 => break,
                Err(error) => return Err(Errno(error.errno())),
            }
            skip = 0;
        }
        Ok(filled)
    }
}

/// Reads all of `buffer`, or fails as the kernel would.
fn read(call: &Call, address: u64, buffer: &mut [u8]) -> Result<(), Errno> {
    match call.read(address, buffer) {
        Ok(count) if count == buffer.len() => Ok(()),
        Ok(_) => Err(Errno(libc::EFAULT)),
        Err(error) => Err(Errno(error.errno())),
    }
}

/// Where the data is, and how much. A call sends at most what an int counts, as in the kernel.
fn read_vectors(call: &Call, address: u64, count: u64) -> Result<(Vec<(u64, u64)>, u64), Errno> {
    const MOST_BYTES: u64 = 0x7fff_f000;
    if count > MOST_VECTORS {
        return Err(Errno(libc::EMSGSIZE));
    }
    let mut bytes = vec![0; usize::try_from(count * 16).map_err(|_| Errno(libc::EMSGSIZE))?];
    if !bytes.is_empty() {
        read(call, address, &mut bytes)?;
    }
    let mut total: u64 = 0;
    let mut vectors = Vec::with_capacity(bytes.len() / 16);
    for entry in bytes.chunks_exact(16) {
        let half = |at: usize| {
            let part = entry.get(at..).and_then(|rest| rest.first_chunk());
            part.map_or(0, |part| u64::from_ne_bytes(*part))
        };
        let (base, length) = (half(0), half(8));
        if i64::try_from(length).is_err() {
            return Err(Errno(libc::EINVAL));
        }
        let length = length.min(MOST_BYTES - total);
        total += length;
        vectors.push((base, length));
    }
    Ok((vectors, total))
}

/// `struct cmsghdr`: length, level and type.
const CONTROL_HEADER: usize = 16;

/// Ancillary data with what is in it that may be passed on. Descriptors are replaced by duplicates of ours.
fn translate<E: From<Errno>>(
    bytes: &[u8],
    kind: Kind,
    duplicate: impl Fn(u64) -> Result<OwnedFd, E>,
) -> Result<(Vec<u8>, Vec<OwnedFd>), E> {
    let (mut translated, mut rights) = (Vec::new(), Vec::new());
    let mut rest = bytes;
    while rest.len() >= CONTROL_HEADER {
        let word = |at: usize| i32::from_ne_bytes([rest[at], rest[at + 1], rest[at + 2], rest[at + 3]]);
        let length = rest.first_chunk().map_or(0, |length| u64::from_ne_bytes(*length));
        let (level, type_) = (word(8), word(12));
        let length = usize::try_from(length).map_err(|_| Errno(libc::EINVAL))?;
        if length < CONTROL_HEADER || length > rest.len() {
            return Err(Errno(libc::EINVAL).into());
        }
        let data = &rest[CONTROL_HEADER..length];
        match passes(kind, level, type_) {
            Passing::AsItIs => append(&mut translated, level, type_, data),
            Passing::WithoutInterface => {
                let mut data = data.to_vec();
                forget_interface(level, &mut data);
                append(&mut translated, level, type_, &data);
            }
            Passing::Nothing => {}
            Passing::Rights => {
                let mut numbers = Vec::new();
                for number in data.chunks_exact(4) {
                    if rights.len() == MOST_RIGHTS {
                        return Err(Errno(libc::EINVAL).into());
                    }
                    let number = u32::from_ne_bytes([number[0], number[1], number[2], number[3]]);
                    let ours = duplicate(number.into())?;
                    numbers.extend(ours.as_raw_fd().to_ne_bytes());
                    rights.push(ours);
                }
                append(&mut translated, level, type_, &numbers);
            }
            Passing::Refused(errno) => return Err(Errno(errno).into()),
        }
        rest = rest.get(aligned(length)..).unwrap_or_default();
    }
    Ok((translated, rights))
}

const fn aligned(length: usize) -> usize {
    length.next_multiple_of(size_of::<usize>())
}

fn append(control: &mut Vec<u8>, level: i32, type_: i32, data: &[u8]) {
    control.extend((CONTROL_HEADER + data.len()).to_ne_bytes());
    control.extend(level.to_ne_bytes());
    control.extend(type_.to_ne_bytes());
    control.extend(data);
    control.resize(aligned(control.len()), 0);
}

/// What becomes of one piece of ancillary data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Passing {
    AsItIs,
    /// But for the interface that it is to leave by: rules are about addresses, and an interface can lead to others.
    WithoutInterface,
    /// The kernel ignores it.
    Nothing,
    /// Descriptors.
    Rights,
    Refused(i32),
}

/// Only what is known to change nothing about where a message goes. Options of IP and routing headers of IPv6 do: they name a host to go
/// by. What a mark or a credential says of the sender would be said of the library.
fn passes(kind: Kind, level: i32, type_: i32) -> Passing {
    const SO_TXTIME: i32 = 61;
    const SCM_TS_OPT_ID: i32 = 81;
    const UDP_SEGMENT: i32 = 103;
    // The older numbers of IPV6_PKTINFO and IPV6_HOPLIMIT.
    const OLD_PKTINFO: i32 = 2;
    const OLD_HOPLIMIT: i32 = 8;
    let internet = kind.domain != libc::AF_UNIX;
    match (level, type_) {
        (libc::SOL_SOCKET, libc::SCM_RIGHTS) if internet => Passing::Nothing,
        (libc::SOL_SOCKET, libc::SCM_RIGHTS) => Passing::Rights,
        (libc::SOL_SOCKET, libc::SO_TIMESTAMPING | SO_TXTIME | SCM_TS_OPT_ID) if internet => Passing::AsItIs,
        (libc::IPPROTO_IP, libc::IP_TTL | libc::IP_TOS) if internet => Passing::AsItIs,
        (libc::IPPROTO_IP, libc::IP_PKTINFO) if internet => Passing::WithoutInterface,
        (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO | OLD_PKTINFO) if internet => Passing::WithoutInterface,
        (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT | libc::IPV6_TCLASS | libc::IPV6_DONTFRAG | OLD_HOPLIMIT)
            if internet =>
        {
            Passing::AsItIs
        }
        (libc::IPPROTO_UDP, UDP_SEGMENT) if internet => Passing::AsItIs,
        (libc::SOL_SOCKET, libc::SCM_CREDENTIALS) if internet => Passing::Nothing,
        (libc::SOL_SOCKET, libc::SCM_CREDENTIALS) => Passing::Refused(libc::EPERM),
        _ => Passing::Refused(if internet { libc::EPERM } else { libc::EINVAL }),
    }
}

/// Takes the interface out of `struct in_pktinfo` or `struct in6_pktinfo`. A link-local address means nothing without.
fn forget_interface(level: i32, data: &mut [u8]) {
    let (place, link_local) = if level == libc::IPPROTO_IP {
        (0..4, false)
    } else {
        (16..20, data.starts_with(&[0xfe, 0x80]))
    };
    if let Some(index) = data.get_mut(place).filter(|_| !link_local) {
        index.fill(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    const UDP: Kind = Kind {
        domain: libc::AF_INET6,
        type_: libc::SOCK_DGRAM,
        protocol: libc::IPPROTO_UDP,
    };
    const UNIX: Kind = Kind {
        domain: libc::AF_UNIX,
        type_: libc::SOCK_STREAM,
        protocol: 0,
    };

    fn piece(level: i32, type_: i32, data: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        append(&mut bytes, level, type_, data);
        bytes
    }

    fn refuse_all(_number: u64) -> Result<OwnedFd, Errno> {
        Err(Errno(libc::EBADF))
    }

    #[test]
    fn what_changes_the_way_of_a_message_is_refused() {
        for (level, type_) in [
            (libc::IPPROTO_IP, libc::IP_RETOPTS),
            (libc::IPPROTO_IP, libc::IP_OPTIONS),
            (libc::IPPROTO_IPV6, libc::IPV6_RTHDR),
            (libc::IPPROTO_IPV6, 5), // its older number
            (libc::IPPROTO_IPV6, libc::IPV6_HOPOPTS),
            (libc::SOL_SOCKET, libc::SO_MARK),
        ] {
            assert_eq!(
                translate(&piece(level, type_, &[0; 8]), UDP, refuse_all).err(),
                Some(Errno(libc::EPERM)),
                "{level} {type_}"
            );
        }
        let ttl = [
            piece(libc::IPPROTO_IP, libc::IP_TTL, &[9, 0, 0, 0]),
            piece(libc::SOL_SOCKET, libc::SCM_RIGHTS, &[0; 4]),
        ];
        let (passed, rights) = translate(&ttl.concat(), UDP, refuse_all).unwrap();
        assert_eq!((passed, rights.len()), (ttl[0].clone(), 0));
    }

    #[test]
    fn messages_do_not_choose_their_interface() {
        let translated = |level, type_, data: &[u8]| translate(&piece(level, type_, data), UDP, refuse_all).unwrap().0;
        let ipv4 = translated(
            libc::IPPROTO_IP,
            libc::IP_PKTINFO,
            &[7, 0, 0, 0, 10, 0, 0, 1, 0, 0, 0, 0],
        );
        assert_eq!(
            ipv4,
            piece(
                libc::IPPROTO_IP,
                libc::IP_PKTINFO,
                &[0, 0, 0, 0, 10, 0, 0, 1, 0, 0, 0, 0]
            )
        );
        for (first, kept) in [(0xfd, 0), (0xfe, 7)] {
            let mut data = [0; 20];
            (data[0], data[1], data[16]) = (first, 0x80, 7);
            let found = translated(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &data);
            data[16] = kept;
            assert_eq!(found, piece(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &data));
        }
    }

    #[test]
    fn descriptors_are_passed_on_as_ours() {
        let open = |number: u64| {
            assert!(number == 5 || number == 7);
            File::open("/dev/null").map(OwnedFd::from).map_err(|_| Errno(libc::EIO))
        };
        let numbers = [5_i32.to_ne_bytes(), 7_i32.to_ne_bytes()].concat();
        let (passed, rights) = translate(&piece(libc::SOL_SOCKET, libc::SCM_RIGHTS, &numbers), UNIX, open).unwrap();
        let ours: Vec<u8> = rights.iter().flat_map(|file| file.as_raw_fd().to_ne_bytes()).collect();
        assert_eq!(passed, piece(libc::SOL_SOCKET, libc::SCM_RIGHTS, &ours));
        let many = [5, 0, 0, 0].repeat(MOST_RIGHTS + 1);
        let refused = translate(&piece(libc::SOL_SOCKET, libc::SCM_RIGHTS, &many), UNIX, |_| {
            File::open("/dev/null").map(OwnedFd::from).map_err(|_| Errno(libc::EIO))
        });
        assert_eq!(refused.err(), Some(Errno(libc::EINVAL)));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_taken_or_refused(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..80)) {
            let _ = translate(&bytes, UNIX, refuse_all);
            let _ = translate(&bytes, UDP, refuse_all);
        }
    }
}
