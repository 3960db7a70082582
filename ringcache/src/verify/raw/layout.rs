//! The keys of a run with raw clients: their names and numbers, by what is checked with them.

/// Most keys with a short time to live, and most pairs.
const MOST: u64 = 10_000;
/// So many plain keys come to one key with a short time to live, and to one pair.
const PLAIN_TO_ONE: u64 = 8;
/// Counters: few, so that clients meet.
const COUNTERS: u64 = 32;
/// Pairs of counters that amounts are transferred between: fewer still, so that transfers conflict.
const ACCOUNTS: u64 = 8;

/// How many keys there are of each sort. Those with versions are numbered through: plain ones, short-lived keys, pairs.
#[derive(Clone, Copy, Debug)]
pub(in crate::verify) struct Layout {
    seed: u64,
    /// Keys that are written, read and deleted.
    pub(super) plain: u64,
    /// Keys that live for seconds.
    pub(super) short_lived: u64,
    /// Pairs of keys that are written in one transaction.
    pub(super) pairs: u64,
    /// Keys that every client increments.
    pub(super) counters: u64,
    /// Pairs of keys between which every client transfers.
    pub(super) accounts: u64,
}

impl Layout {
    /// The keys of the run `seed` with that many plain ones.
    pub(in crate::verify) fn new(seed: u64, plain: u64) -> Self {
        let few = (plain / PLAIN_TO_ONE).clamp(1, MOST);
        let (short_lived, pairs) = (few, few);
        Self { seed, plain, short_lived, pairs, counters: COUNTERS, accounts: ACCOUNTS }
    }

    /// Number of keys with versions.
    pub(in crate::verify) fn versioned(&self) -> u64 {
        self.plain + self.short_lived + self.pairs
    }

    /// The number of a short-lived key among the keys with versions.
    pub(super) fn short_lived_number(&self, short_lived: u64) -> u64 {
        self.plain + short_lived
    }

    /// The number of a pair among the keys with versions.
    pub(super) fn pair_number(&self, pair: u64) -> u64 {
        self.plain + self.short_lived + pair
    }

    /// The name of a short-lived key.
    pub(super) fn short_lived(&self, short_lived: u64) -> String {
        format!("verify:{}:{{short{short_lived}}}", self.seed)
    }

    /// Both keys of a pair; they share a slot.
    pub(super) fn pair(&self, pair: u64) -> [String; 2] {
        ["a", "b"].map(|half| format!("verify:{}:{{pair{pair}}}:{half}", self.seed))
    }

    /// The key of a counter.
    pub(super) fn counter(&self, counter: u64) -> String {
        format!("verify:{}:{{counter{counter}}}", self.seed)
    }

    /// Both keys of an account; they share a slot.
    pub(super) fn account(&self, account: u64) -> [String; 2] {
        ["a", "b"].map(|half| format!("verify:{}:{{account{account}}}:{half}", self.seed))
    }
}
