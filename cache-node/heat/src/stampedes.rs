//! Stampedes: clients that all miss the same key at once, and all ask the origin for it.

/// Misses of one key that are a stampede if not all came over one connection.
const MISSES: usize = 8;
/// Within this time they come, and in this time a key has one stampede.
const SECOND_MS: u64 = 1_000;
/// Keys whose hashes end alike share a set, and compete for its places.
const WAYS: usize = 8;

/// Finds stampedes: 8 misses of one key or more, over 2 connections or more, within a second and without a write of the key in between.
/// What follows within a second is the same stampede, unless the key is written.
///
/// It watches a number of keys that were missed lately, in 170 bytes each. All misses and writes of a key have to come to the same one,
/// whichever thread serves them: there is one for the keys under each lock that a miss and a write hold anyway, or one for all.
#[derive(Clone, Debug)]
pub struct Stampedes(Box<[Set]>);

/// The keys that are watched of those whose hashes end alike.
#[derive(Clone, Debug, Default)]
struct Set {
    /// A bit by the beginning of its hash for each key, and perhaps for some more: a write of most other keys looks no further.
    filter: u64,
    hashes: [u64; WAYS],
    /// The key with the earliest time here loses its place first; 0 = a free place.
    stays_ms: [u64; WAYS],
    keys: [Watched; WAYS],
}

/// The last misses of a key since it was written.
#[derive(Clone, Copy, Debug, Default)]
struct Watched {
    /// How many there were. The one with the number `n` stands at `n` modulo 8.
    misses: usize,
    at_ms: [u64; MISSES],
    connections: [u64; MISSES],
    /// When the key had a stampede.
    stampede_ms: Option<u64>,
}

impl Stampedes {
    /// The keys that a whole node watches.
    pub const KEYS: usize = 1024;

    /// Watches at most so many keys, or a few more: sets of eight, and a power of two of them.
    pub fn new(keys: usize) -> Self {
        Self(vec![Set::default(); keys.div_ceil(WAYS).next_power_of_two()].into())
    }

    /// A key was missed. Whether that makes it a stampede, which it does once.
    pub fn miss(&mut self, hash: u64, connection: u64, now_ms: u64) -> bool {
        self.set(hash).is_some_and(|set| set.miss(hash.max(1), connection, now_ms))
    }

    /// A key was written.
    #[inline]
    pub fn write(&mut self, hash: u64) {
        if let Some(set) = self.set(hash)
            && set.filter & bit(hash) != 0
        {
            set.forget(hash.max(1));
        }
    }

    #[inline]
    fn set(&mut self, hash: u64) -> Option<&mut Set> {
        let ends_alike = self.0.len() - 1;
        self.0.get_mut(hash as usize & ends_alike)
    }
}

impl Set {
    fn miss(&mut self, hash: u64, connection: u64, now_ms: u64) -> bool {
        let Some(at) = self.place(hash).or_else(|| self.replace(hash)) else { return false };
        let (Some(key), Some(stays_ms)) = (self.keys.get_mut(at), self.stays_ms.get_mut(at)) else {
            return false;
        };
        let is_stampede = key.miss(connection, now_ms);
        // Most keys are missed once, and would drive out a stampede that has begun.
        *stays_ms = now_ms + if key.misses > 1 { SECOND_MS } else { 1 };
        is_stampede
    }

    fn place(&self, hash: u64) -> Option<usize> {
        self.hashes.iter().position(|other| *other == hash)
    }

    /// The place for a new key.
    fn replace(&mut self, hash: u64) -> Option<usize> {
        // The time first and then its place: half the instructions of both together.
        let first_ms = self.stays_ms.iter().fold(u64::MAX, |first, other| first.min(*other));
        let at = self.stays_ms.iter().position(|other| *other == first_ms)?;
        *self.hashes.get_mut(at)? = hash;
        let key = self.keys.get_mut(at)?;
        (key.misses, key.stampede_ms) = (0, None);
        self.filter |= bit(hash);
        Some(at)
    }

    /// The key is not watched any more.
    fn forget(&mut self, hash: u64) {
        if let Some(at) = self.place(hash)
            && let (Some(place), Some(stays_ms)) =
                (self.hashes.get_mut(at), self.stays_ms.get_mut(at))
        {
            (*place, *stays_ms) = (0, 0);
        }
        let watched = self.hashes.iter().filter(|hash| **hash != 0);
        self.filter = watched.fold(0, |filter, hash| filter | bit(*hash));
    }
}

impl Watched {
    fn miss(&mut self, connection: u64, now_ms: u64) -> bool {
        if self.stampede_ms.is_some_and(|at_ms| is_within_second(at_ms, now_ms)) {
            return false;
        }
        let at = self.misses % MISSES;
        if let (Some(time), Some(other)) = (self.at_ms.get_mut(at), self.connections.get_mut(at)) {
            (*time, *other) = (now_ms, connection);
        }
        self.misses += 1;
        let first_ms = self.at_ms.get(self.misses % MISSES);
        let is_stampede = self.misses >= MISSES
            && first_ms.is_some_and(|first_ms| is_within_second(*first_ms, now_ms))
            && self.connections.iter().any(|other| *other != connection);
        if is_stampede {
            self.stampede_ms = Some(now_ms);
        }
        is_stampede
    }
}

/// The clocks of threads differ a little: what seems to come from the future is recent.
fn is_within_second(from_ms: u64, now_ms: u64) -> bool {
    now_ms.saturating_sub(from_ms) <= SECOND_MS
}

fn bit(hash: u64) -> u64 {
    1 << (hash >> 58)
}
