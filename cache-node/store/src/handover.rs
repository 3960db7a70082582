//! A locked slot at the two ends of a handover: the journal at the source, its records applied at
//! the target.

use crate::guard::SlotGuard;
use crate::item::Content;
use crate::journal::Journal;
use crate::recency::Stamp;
use crate::record::{BadRecord, Record};
use crate::{Access, Millis};

/// What looking for an entry counts in a copy slice, so that a slice in which all are gone ends too.
const LOOKUP_BYTES: usize = 32;

impl SlotGuard<'_> {
    /// Starts the journal: from now on every `set`, `remove`, `set_deadline` and `clear` appends a
    /// record, in the order in which they happen. Evictions and expiries append none: a miss at the
    /// target would be right as well, and so is the last value. A journal that was running is
    /// replaced.
    pub fn journal_start(&mut self) {
        self.change(|slot, _| {
            let hashes = slot.hashes().collect();
            slot.journal = Some(Box::new(Journal::new(hashes)));
        });
    }

    /// Appends the current state of the next entries, coldest first, until about `max_bytes` were
    /// appended. True when all entries that were there at [`SlotGuard::journal_start`] have been
    /// appended, or if there is no journal.
    pub fn journal_copy(&mut self, max_bytes: usize, now: Millis) -> bool {
        self.change(|slot, _| {
            let Some(mut journal) = slot.journal.take() else { return true };
            let mut copied = 0;
            while copied < max_bytes {
                let Some(hash) = journal.next_uncopied() else { break };
                copied += LOOKUP_BYTES;
                for item in slot.with_hash(hash).filter(|item| !item.is_dead(now)) {
                    let record = Record::put(item, Some(item.stamp.time(now)));
                    copied += record.encoded_len();
                    journal.append(&record);
                }
            }
            let done = journal.is_copied();
            slot.journal = Some(journal);
            done
        })
    }

    /// Takes whole records off the front of the journal: at most `max_bytes`, or one record if that
    /// is longer. Fewer than wait there may come; none only if none waits.
    pub fn journal_take(&mut self, max_bytes: usize) -> Vec<u8> {
        self.change(|slot, _| {
            slot.journal.as_mut().map_or_else(Vec::new, |journal| journal.take(max_bytes))
        })
    }

    /// Bytes that wait in the journal; 0 if there is none.
    pub fn journal_len(&self) -> usize {
        self.slot().journal.as_ref().map_or(0, |journal| journal.waiting_bytes())
    }

    /// Ends the journal and drops what waits in it.
    pub fn journal_stop(&mut self) {
        self.change(|slot, _| slot.journal = None);
    }

    /// Applies records that [`SlotGuard::journal_take`] gave at the source, in the same order. What was
    /// written at the source is the most recently used here; what was copied takes its place in the
    /// LRU order by its last access, to the 64 ms of a stamp and as far as the place is near that of
    /// the entry copied before. What has expired on the way is removed.
    ///
    /// On an error the records before the bad one have been applied: discard the copy.
    pub fn apply(&mut self, mut records: &[u8], now: Millis) -> Result<(), BadRecord> {
        debug_assert_ne!(self.access(), Access::Open, "applying to a slot that serves requests");
        while !records.is_empty() {
            match Record::decode(&mut records)? {
                Record::Put { key, value, deadline, last_access } if deadline > now => {
                    self.apply_put(key, value, deadline, last_access, now);
                }
                // What expired on the way still ends the value it took the place of.
                Record::Put { key, .. } | Record::Remove { key } => self.apply_remove(key, now),
                Record::Clear => drop(self.clear()),
            }
        }
        Ok(())
    }

    fn apply_put(
        &mut self,
        key: &[u8],
        value: &[u8],
        deadline: Millis,
        last_access: Option<Millis>,
        now: Millis,
    ) {
        let (hash, live) = self.find_live(key, now);
        let at = self.change(|slot, counters| {
            counters.applied += 1;
            counters.replaced += u64::from(live.is_some());
            if let Some(last_access) = last_access {
                let stamp = Stamp::reported(last_access, now);
                slot.put_copied(live, Content { hash, key, value, deadline, stamp })
            } else {
                slot.put(live, Content { hash, key, value, deadline, stamp: Stamp::at(now) })
            }
        });
        self.tell_written(at, last_access, now);
    }

    fn apply_remove(&mut self, key: &[u8], now: Millis) {
        let (hash, live) = self.find_live(key, now);
        self.tell_removed(hash);
        if let Some(at) = live {
            self.change(|slot, counters| {
                slot.remove(at);
                counters.deletes += 1;
            });
        }
    }
}
