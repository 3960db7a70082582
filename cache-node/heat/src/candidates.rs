//! The keys that may be hot, with their bytes.

/// Keys that are kept at most.
const MOST: usize = 64;
/// Bytes that are kept of a key at most.
const SHOWN: usize = 1024;
/// How much more frequent than a candidate a key must be to take its place: of two that are equal each would do so at every use.
const AHEAD: f32 = 1.125;

/// At most [`MOST`] keys.
#[derive(Clone, Debug)]
pub(crate) struct Candidates {
    /// A part of the hash of each key, so that one is found by comparing a few words; 0 = no key.
    tags: [u32; MOST],
    keys: Vec<Candidate>,
    /// The count without which no key takes the place of another.
    bar: f32,
}

/// A key that may be hot.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) hash: u64,
    /// The key, or its beginning.
    pub(crate) shown: Box<[u8]>,
    /// How many bytes the key has.
    pub(crate) length: usize,
}

impl Candidate {
    /// Of a long key only the beginning is kept, or clients would say what a node needs for this.
    pub(crate) fn new(hash: u64, key: &[u8]) -> Self {
        let shown = key.get(..SHOWN).unwrap_or(key).into();
        Self { hash, shown, length: key.len() }
    }
}

impl Candidates {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self { tags: [0; MOST], keys: Vec::with_capacity(MOST), bar: 0.0 }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Candidate> {
        self.keys.iter()
    }

    /// Whether there are as many as fit: then other keys were frequent too.
    pub(crate) fn is_full(&self) -> bool {
        self.keys.len() >= MOST
    }

    /// Whether a key with this count is worth an [`Candidates::offer`].
    #[inline]
    pub(crate) fn wants(&self, hash: u64, count: f32) -> bool {
        count >= self.bar && !self.has(hash)
    }

    /// Takes in a key that is not there yet if there is room, or if it is ahead of the least frequent one. `count_of` is the count by the
    /// hash of a key.
    pub(crate) fn offer(&mut self, key: Candidate, count_of: impl Fn(u64) -> f32) {
        let count = count_of(key.hash);
        if !self.is_full() {
            self.put(self.keys.len(), key);
        } else if let Some((at, least)) = self.least(count_of) {
            self.bar = least * AHEAD;
            if count >= self.bar {
                self.put(at, key);
            }
        }
    }

    /// All counts were multiplied by this.
    pub(crate) fn scale(&mut self, factor: f32) {
        self.bar *= factor;
    }

    #[inline]
    fn has(&self, hash: u64) -> bool {
        let tag = tag(hash);
        // Without an early end several are compared at a time.
        self.tags.iter().map(|other| u32::from(*other == tag)).sum::<u32>() > 0
    }

    /// The place and the count of the least frequent one.
    fn least(&self, count_of: impl Fn(u64) -> f32) -> Option<(usize, f32)> {
        let counts = self.keys.iter().map(|key| count_of(key.hash)).enumerate();
        counts.min_by(|(_, a), (_, b)| a.total_cmp(b))
    }

    /// Puts the key in the place of another, or in the first free one.
    fn put(&mut self, at: usize, key: Candidate) {
        if let Some(place) = self.tags.get_mut(at) {
            *place = tag(key.hash);
        }
        match self.keys.get_mut(at) {
            Some(place) => *place = key,
            None => self.keys.push(key),
        }
    }
}

/// Never 0.
fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32 | 1
}
