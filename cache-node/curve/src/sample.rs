//! One key that is followed.

/// A time in eighths of a second: four bytes reach for 17 years.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tick(u32);

impl Tick {
    pub(crate) const PER_SECOND: u32 = 8;
    const NEVER: Self = Self(u32::MAX);
    const MS: u64 = 1000 / Self::PER_SECOND as u64;

    /// The one that this moment is in.
    pub(crate) fn at(ms: u64) -> Self {
        Self(u32::try_from(ms / Self::MS).unwrap_or(u32::MAX - 1))
    }

    /// The first one after this moment; `u64::MAX` = never.
    fn after(ms: u64) -> Self {
        Self(u32::try_from(ms.div_ceil(Self::MS)).unwrap_or(u32::MAX))
    }

    pub(crate) fn since(self, earlier: Self) -> u32 {
        self.0.saturating_sub(earlier.0)
    }

    fn ms(self) -> u64 {
        u64::from(self.0) * Self::MS
    }
}

/// A key counts as expired, and not as unknown, for so long after its deadline.
const EXPIRED: u32 = 60 * Tick::PER_SECOND;

/// What is known of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) used: Tick,
    pub(crate) deadline: Tick,
    pub(crate) bytes: u32,
    /// Where it is in the order of last use; `None` = it has expired.
    pub(crate) place: Option<u32>,
}

/// An entry that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Write {
    /// Slot of its key.
    pub slot: u16,
    /// Bytes that it takes in the store; less than one counts as one.
    pub bytes: u32,
    /// When it expires, in the node's milliseconds; `u64::MAX` = never. Known to an eighth of a second.
    pub deadline_ms: u64,
}

/// A sample on its way to another node, whose clock is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Hash of its key.
    pub hash: u64,
    /// Its bytes.
    pub bytes: u32,
    /// How long ago it was used last, in milliseconds.
    pub unused_ms: u64,
    /// In how many milliseconds it expires; `u64::MAX` = never.
    pub ttl_ms: u64,
}

impl Sample {
    /// It was written now. It has no place yet.
    pub(crate) fn new(entry: Write, now: Tick) -> Self {
        let Write { slot: _, bytes, deadline_ms } = entry;
        Self { used: now, deadline: Tick::after(deadline_ms), bytes: bytes.max(1), place: None }
    }

    /// Whether it expired so long ago that nothing is known of it any more.
    pub(crate) fn is_forgotten(&self, now: Tick) -> bool {
        self.place.is_none() && now.since(self.deadline) >= EXPIRED
    }

    pub(crate) fn moved(&self, hash: u64, now: Tick) -> Moved {
        let ttl_ms = match self.deadline {
            Tick::NEVER => u64::MAX,
            deadline => deadline.ms().saturating_sub(now.ms()),
        };
        Moved {
            hash,
            bytes: self.bytes,
            unused_ms: now.ms().saturating_sub(self.used.ms()),
            ttl_ms,
        }
    }

    /// It has no place yet.
    pub(crate) fn from_moved(moved: &Moved, now: Tick) -> Self {
        let Moved { hash: _, bytes, unused_ms, ttl_ms } = *moved;
        let deadline_ms = now.ms().saturating_add(ttl_ms);
        let used = Tick::at(now.ms().saturating_sub(unused_ms));
        Self { used, ..Self::new(Write { slot: 0, bytes, deadline_ms }, now) }
    }
}
