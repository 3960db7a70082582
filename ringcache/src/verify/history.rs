//! What was written to each key, and whether a reply can be true.
//!
//! Every key has one writer, so its versions are totally ordered. A read is judged by the last write that was acknowledged
//! before it was sent (its *floor*): what came later may or may not be visible to it.

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering};

use super::violation::Violation;

/// So many of the last versions of a key are told apart by values that are too short to name theirs.
const TOLD_APART: u64 = 1000;

/// What a read returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// No value.
    Missing,
    /// This version, every byte as written.
    Version(u64),
    /// Bytes that nobody wrote to this key.
    Foreign,
}

/// The state of a key as of its last acknowledged write: version and whether that was a deletion; 0 = never written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Floor {
    /// The version that the write or deletion had.
    pub(super) version: u64,
    /// Whether the key was not there after it.
    pub(super) absent: bool,
}

/// One key: numbers of writes, each kind in a word of its own, so that readers and the writer need no lock.
#[derive(Debug, Default)]
struct Key {
    /// The last write that was sent.
    sent: AtomicU64,
    /// The last deletion that was sent.
    deleted: AtomicU64,
    /// The last write that was acknowledged, times two, plus one if it was a deletion.
    acknowledged: AtomicU64,
}

/// The writes of all keys.
#[derive(Debug)]
pub(super) struct History(Vec<Key>);

impl History {
    /// `keys` keys, none of them written.
    pub(super) fn new(keys: u64) -> Self {
        Self((0..keys).map(|_| Key::default()).collect())
    }

    fn key(&self, key: u64) -> &Key {
        &self.0[key as usize]
    }

    /// Notes that a write is about to be sent; its version. Only by the key's writer.
    pub(super) fn set(&self, key: u64) -> u64 {
        self.key(key).sent.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Notes that a deletion is about to be sent; its version. Only by the key's writer.
    pub(super) fn delete(&self, key: u64) -> u64 {
        let version = self.set(key);
        self.key(key).deleted.store(version, Ordering::SeqCst);
        version
    }

    /// Notes that the write or deletion `version` was acknowledged. One that failed is not noted: it may have happened or not.
    pub(super) fn acknowledge(&self, key: u64, version: u64) {
        let key = self.key(key);
        let deletion = u64::from(key.deleted.load(Ordering::SeqCst) == version);
        key.acknowledged.store(version * 2 + deletion, Ordering::SeqCst);
    }

    /// Whether the last write or deletion was acknowledged: then the key's state is known. Only by the key's writer.
    pub(super) fn is_settled(&self, key: u64) -> bool {
        let Key { sent, acknowledged, .. } = self.key(key);
        acknowledged.load(Ordering::SeqCst) / 2 == sent.load(Ordering::SeqCst)
    }

    /// The versions that a value may be: those sent, or the last of them.
    pub(super) fn versions(&self, key: u64) -> RangeInclusive<u64> {
        let sent = self.key(key).sent.load(Ordering::SeqCst);
        sent.saturating_sub(TOLD_APART).max(1)..=sent
    }

    /// What a read that is sent from now on must see at least.
    pub(super) fn floor(&self, key: u64) -> Floor {
        let word = self.key(key).acknowledged.load(Ordering::SeqCst);
        Floor { version: word / 2, absent: word % 2 == 1 || word == 0 }
    }

    /// Judges a reply to a read that was sent when `floor` was current.
    pub(super) fn judge(&self, key: u64, floor: Floor, reply: Reply) -> Result<(), Violation> {
        let Floor { version: acknowledged, absent } = floor;
        let key = self.key(key);
        match reply {
            Reply::Foreign => Err(Violation::WrongValue),
            Reply::Version(found) if found > key.sent.load(Ordering::SeqCst) => {
                Err(Violation::WrongValue)
            }
            Reply::Version(found) if found < acknowledged || (absent && found == acknowledged) => {
                Err(Violation::OldValue { found, acknowledged })
            }
            Reply::Missing if !absent && key.deleted.load(Ordering::SeqCst) < acknowledged => {
                Err(Violation::UnexpectedMiss(acknowledged))
            }
            Reply::Version(_) | Reply::Missing => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One key, with `sets` acknowledged writes.
    fn written(sets: u64) -> History {
        let history = History::new(1);
        for _ in 0..sets {
            let version = history.set(0);
            history.acknowledge(0, version);
        }
        history
    }

    #[test]
    fn a_write_that_was_not_acknowledged_leaves_the_state_unknown() {
        let history = written(2);
        assert!(history.is_settled(0));
        let version = history.set(0);
        assert!(!history.is_settled(0));
        assert_eq!(history.versions(0), 1..=3);
        history.acknowledge(0, version);
        assert!(history.is_settled(0));
    }

    fn read(history: &History, reply: Reply) -> Result<(), Violation> {
        history.judge(0, history.floor(0), reply)
    }

    #[test]
    fn the_last_acknowledged_version_is_right() {
        assert_eq!(read(&written(3), Reply::Version(3)), Ok(()));
    }

    #[test]
    fn a_miss_of_an_acknowledged_write_is_unexpected() {
        assert_eq!(read(&written(3), Reply::Missing), Err(Violation::UnexpectedMiss(3)));
    }

    #[test]
    fn a_key_that_was_never_written_may_miss() {
        assert_eq!(read(&written(0), Reply::Missing), Ok(()));
    }

    #[test]
    fn an_older_version_than_the_acknowledged_one_is_old() {
        let old = Violation::OldValue { found: 2, acknowledged: 3 };
        assert_eq!(read(&written(3), Reply::Version(2)), Err(old));
    }

    #[test]
    fn bytes_that_nobody_wrote_are_wrong() {
        assert_eq!(read(&written(3), Reply::Foreign), Err(Violation::WrongValue));
        assert_eq!(read(&written(3), Reply::Version(4)), Err(Violation::WrongValue));
    }

    #[test]
    fn a_write_in_flight_may_be_seen_or_not() {
        let history = written(2);
        let floor = history.floor(0);
        history.set(0);
        assert_eq!(history.judge(0, floor, Reply::Version(2)), Ok(()));
        assert_eq!(history.judge(0, floor, Reply::Version(3)), Ok(()));
        assert_eq!(
            history.judge(0, floor, Reply::Missing),
            Err(Violation::UnexpectedMiss(2)),
            "a write in flight explains no miss"
        );
    }

    #[test]
    fn a_write_acknowledged_after_the_read_was_sent_need_not_be_seen() {
        let history = written(2);
        let floor = history.floor(0);
        let version = history.set(0);
        history.acknowledge(0, version);
        assert_eq!(history.judge(0, floor, Reply::Version(2)), Ok(()));
    }

    #[test]
    fn after_an_acknowledged_deletion_the_value_before_it_is_old() {
        let history = written(2);
        let version = history.delete(0);
        history.acknowledge(0, version);
        assert_eq!(read(&history, Reply::Missing), Ok(()));
        let old = Violation::OldValue { found: 2, acknowledged: 3 };
        assert_eq!(read(&history, Reply::Version(2)), Err(old));
        history.set(0);
        assert_eq!(read(&history, Reply::Version(4)), Ok(()));
    }

    #[test]
    fn a_deletion_in_flight_or_failed_explains_a_miss_until_the_next_write() {
        let history = written(2);
        let floor = history.floor(0);
        history.delete(0);
        assert_eq!(history.judge(0, floor, Reply::Missing), Ok(()));
        assert_eq!(history.judge(0, floor, Reply::Version(2)), Ok(()));
        let version = history.set(0);
        history.acknowledge(0, version);
        assert_eq!(read(&history, Reply::Missing), Err(Violation::UnexpectedMiss(4)));
    }
}
