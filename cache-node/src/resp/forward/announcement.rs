//! What goes before a large forwarded request: how large it is. The owner takes the memory for all of it before it reads on, or
//! drops it as it comes. Without that, requests that are half read hold what each of them needs to be complete.

use std::io::{self, Write as _};
use std::ops::Range;

use ringcache_wire::number::parse_i64;
use ringcache_wire::request::Args;

/// First word of an announcement, a request that has no reply.
const NAME: &[u8] = b"RC.SIZE";

/// The size of the request that follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::resp) struct Announcement {
    /// Its bytes.
    pub(in crate::resp) bytes: usize,
    /// Its arguments, the prefix among them.
    pub(in crate::resp) args: usize,
}

impl Announcement {
    /// Bytes of every announcement.
    pub(super) const BYTES: usize = b"RC.SIZE 4294967295 4294967295\r\n".len();

    /// Writes it to the beginning of `to`.
    pub(super) fn write(self, mut to: &mut [u8]) -> io::Result<()> {
        let Self { bytes, args } = self;
        to.write_all(NAME)?;
        write!(to, " {bytes:>10} {args:>10}\r\n")
    }

    /// Reads a request that may be one.
    pub(in crate::resp) fn read(args: Args<'_>) -> Option<Self> {
        let number = |at| args.get(at).and_then(parse_i64).and_then(|n| usize::try_from(n).ok());
        (args.len() == 3 && args.get(0) == Some(NAME))
            .then(|| Some(Self { bytes: number(1)?, args: number(2)? }))
            .flatten()
    }

    /// Memory that its arguments' places take.
    pub(in crate::resp) fn places(self) -> usize {
        self.args.saturating_mul(size_of::<Range<usize>>())
    }
}
