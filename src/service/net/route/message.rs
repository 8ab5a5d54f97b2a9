//! Messages of netlink(7), read and written. Nothing that a program sends can make this fail otherwise than by saying so.

/// Bytes of a message's header, of an attribute's, and what both are padded to.
pub(super) const HEADER: usize = 16;
const ATTRIBUTE: usize = 4;
const ALIGNED: usize = 4;

/// What the header of a message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: u16,
    pub(super) flags: u16,
    pub(super) sequence: u32,
}

impl Header {
    /// The header that `message` begins with.
    pub(super) fn of(message: &[u8]) -> Option<Self> {
        Some(Self {
            kind: u16_at(message, 4)?,
            flags: u16_at(message, 6)?,
            sequence: u32_at(message, 8)?,
        })
    }
}

/// A message that a program has sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request<'a> {
    pub(super) header: Header,
    /// All of it, with its header.
    pub(super) whole: &'a [u8],
}

impl<'a> Request<'a> {
    /// The first message of a datagram, and how many bytes it takes there. None: there is none, and what is left is not looked at.
    pub(super) fn first(datagram: &'a [u8]) -> Option<(Self, usize)> {
        let length = usize::try_from(u32_at(datagram, 0)?).ok()?;
        if length < HEADER {
            return None;
        }
        let whole = datagram.get(..length)?;
        let header = Header::of(whole)?;
        let taken = length.next_multiple_of(ALIGNED).min(datagram.len());
        Some((Self { header, whole }, taken))
    }

    /// What follows the header.
    pub(super) fn body(&self) -> &'a [u8] {
        self.whole.get(HEADER..).unwrap_or_default()
    }

    /// The header alone.
    fn head(&self) -> &'a [u8] {
        self.whole.get(..HEADER).unwrap_or_default()
    }
}

/// The attributes in `bytes`, each as its type, without flags, and its value. They end where one is malformed, as they do for the
/// kernel, which reads them generously.
pub(super) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    const TYPE: u16 = 0x3fff; // NLA_TYPE_MASK
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(bytes, 0)?);
        let kind = u16_at(bytes, 2)? & TYPE;
        let value = bytes.get(ATTRIBUTE..length)?;
        bytes = bytes.get(length.next_multiple_of(ALIGNED)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// The number at `offset`, in the order of bytes that the machine has.
pub(super) fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(offset..)?.first_chunk()?))
}

/// Likewise one of 32 bits.
pub(super) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(offset..)?.first_chunk()?))
}

/// Whom messages answer, and so what is in all their headers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Addressee {
    pub(super) sequence: u32,
    /// The program's address, nl_pid.
    pub(super) port: u32,
}

/// A datagram that is being written.
#[derive(Debug, Default)]
pub(super) struct Datagram {
    bytes: Vec<u8>,
}

impl Datagram {
    /// The bytes to send.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Adds a message that begins with `fixed`, and then has what `more` writes.
    pub(super) fn message(
        &mut self,
        (kind, flags): (u16, u16),
        to: Addressee,
        fixed: &[u8],
        more: impl FnOnce(&mut Attributes<'_>),
    ) {
        let start = self.bytes.len();
        self.bytes.extend([0; 4]);
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend(flags.to_ne_bytes());
        self.bytes.extend(to.sequence.to_ne_bytes());
        self.bytes.extend(to.port.to_ne_bytes());
        self.put(fixed);
        more(&mut Attributes(self));
        // As long as a request and some, at most.
        let length = u32::try_from(self.bytes.len() - start).unwrap_or(u32::MAX);
        self.bytes[start..start + 4].copy_from_slice(&length.to_ne_bytes());
    }

    /// Says that `request` has failed with `errno`, or succeeded if that is 0.
    pub(super) fn acknowledge(&mut self, request: &Request<'_>, port: u32, errno: i32) {
        const CAPPED: u16 = 0x100; // NLM_F_CAPPED
        // The kernel repeats what has failed, and of the rest the header.
        let (flags, repeated) = match errno {
            0 => (CAPPED, request.head()),
            _ => (0, request.whole),
        };
        let to = Addressee {
            sequence: request.header.sequence,
            port,
        };
        let mut fixed = errno.saturating_neg().to_ne_bytes().to_vec();
        fixed.extend(repeated);
        self.message((ERROR, flags), to, &fixed, |_| {});
    }

    /// Says that there are no more messages of a dump.
    pub(super) fn done(&mut self, to: Addressee) {
        self.message((DONE, MULTI), to, &0_i32.to_ne_bytes(), |_| {});
    }

    /// Adds bytes, padded.
    fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGNED), 0);
    }
}

/// NLMSG_ERROR, NLMSG_DONE, and NLM_F_MULTI, which all messages of a dump have.
const ERROR: u16 = 2;
const DONE: u16 = 3;
pub(super) const MULTI: u16 = 2;

/// A message whose attributes are being written.
pub(super) struct Attributes<'a>(&'a mut Datagram);

impl Attributes<'_> {
    /// Adds one of some hundred bytes at most.
    pub(super) fn add(&mut self, kind: u16, value: &[u8]) {
        let length = u16::try_from(ATTRIBUTE + value.len()).unwrap_or(u16::MAX);
        self.0.bytes.extend(length.to_ne_bytes());
        self.0.bytes.extend(kind.to_ne_bytes());
        self.0.put(value);
    }

    /// Adds a number of 32 bits.
    pub(super) fn add_u32(&mut self, kind: u16, value: u32) {
        self.add(kind, &value.to_ne_bytes());
    }
}
