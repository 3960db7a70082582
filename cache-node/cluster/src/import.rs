//! The receiving side of a handover: an unsealed copy, kept in step frame by frame.

use crate::machine::{Cluster, Standing};
use crate::message::Message;
use crate::slots::Slots;
use crate::view::Id;

/// A copy that is being received. Requests do not see it; it becomes the slot only by a seal.
#[derive(Clone, Debug)]
pub(crate) struct Import {
    pub(crate) from: Id,
    pub(crate) attempt: u64,
    /// Version of the source: of two sources the one that owns at the higher version is right.
    version: u64,
    /// Number of the frame that comes next.
    next: u64,
}

#[cfg(test)]
impl Import {
    pub(crate) fn next(&self) -> u64 {
        self.next
    }
}

impl Cluster {
    /// Copies that this node, by the document in force, should not receive, or whose source is dead, are discarded: a miss
    /// is fine, an old value is not.
    pub(crate) fn cancel_imports(&mut self, store: &mut impl Slots) {
        let Some(view) = &self.view else { return };
        #[cfg(test)]
        let keep_all = self.broken(crate::sim::Rule::OnlyTheSuccessor);
        #[cfg(not(test))]
        let keep_all = false;
        let stale: Vec<u16> = self
            .imports
            .iter()
            .filter(|(slot, import)| {
                !keep_all && (view.successor(**slot) != Some(self.me) || !view.is_live(import.from))
            })
            .map(|(slot, _)| *slot)
            .collect();
        for slot in stale {
            self.discard_import(slot, store);
        }
    }

    fn discard_import(&mut self, slot: u16, store: &mut impl Slots) {
        if let Some(import) = self.imports.remove(&slot) {
            // The source does not send again what was acknowledged: this attempt cannot begin anew.
            let refused = self.refused.entry((import.from, slot)).or_default();
            *refused = import.attempt.max(*refused);
            store.clear(slot);
        }
    }

    pub(crate) fn on_begin(
        &mut self,
        from: Id,
        slot: u16,
        version: u64,
        attempt: u64,
        store: &mut impl Slots,
    ) {
        let Some(state) = self.slot(slot) else { return };
        #[cfg(test)]
        let anybody = self.broken(crate::sim::Rule::OnlyTheSuccessor);
        #[cfg(not(test))]
        let anybody = false;
        let successor = anybody || self.successor(slot) == Some(self.me);
        let refused = self.refused.get(&(from, slot)).copied().unwrap_or(0);
        if state.standing != Standing::None || !successor || version < state.version {
            return;
        }
        if attempt <= refused {
            // Silence would leave the source asking for ever.
            self.send(from, Message::Refused { slot, attempt });
            return;
        }
        if let Some(import) = self.imports.get(&slot) {
            let outdated = if import.from == from {
                attempt < import.attempt
            } else {
                version < import.version
            };
            if outdated {
                return;
            }
            if import.from == from && import.attempt == attempt {
                // Repeated because our answer was lost: what has been applied stays.
                self.send(from, Message::Ready { slot, attempt });
                return;
            }
        }
        self.departed.remove(&slot);
        store.clear(slot);
        self.imports.insert(slot, Import { from, attempt, version, next: 1 });
        self.claims.unanswer(slot);
        self.send(from, Message::Ready { slot, attempt });
    }

    pub(crate) fn on_data(
        &mut self,
        from: Id,
        slot: u16,
        attempt: u64,
        seq: u64,
        records: &[u8],
        store: &mut impl Slots,
    ) {
        let matching = |i: &&mut Import| i.from == from && i.attempt == attempt;
        let Some(import) = self.imports.get_mut(&slot).filter(matching) else {
            // This copy was discarded (a document that the source never saw may have cancelled it). Silence would leave
            // the source sending for ever.
            self.on_query(from, slot, attempt, store);
            return;
        };
        if seq > import.next {
            return; // a frame is missing: the source sends again from there
        }
        if seq == import.next {
            if !store.apply(slot, records) {
                self.discard_import(slot, store);
                return; // a copy with a hole must never be sealed
            }
            import.next += 1;
        }
        let seq = import.next - 1;
        self.send(from, Message::Ack { slot, attempt, seq });
    }

    pub(crate) fn on_seal(
        &mut self,
        from: Id,
        slot: u16,
        attempt: u64,
        version: u64,
        frames: u64,
        store: &mut impl Slots,
    ) {
        let Some(state) = self.slot(slot) else { return };
        let complete = self
            .imports
            .get(&slot)
            .is_some_and(|i| i.from == from && i.attempt == attempt && i.next == frames + 1);
        if state.standing == Standing::None && complete {
            self.accepted.insert((from, slot), attempt);
            self.moves.handed_in += 1;
            self.own(slot, version + 1, store);
            self.send(from, Message::Accepted { slot, attempt });
        } else {
            self.on_query(from, slot, attempt, store);
        }
    }

    /// "What became of attempt n?" The answer is final: either it was accepted, or it is refused for ever, for the source
    /// will serve the slot again on the strength of it.
    pub(crate) fn on_query(&mut self, from: Id, slot: u16, attempt: u64, store: &mut impl Slots) {
        if self.accepted.get(&(from, slot)) == Some(&attempt) {
            self.send(from, Message::Accepted { slot, attempt });
            return;
        }
        #[cfg(test)]
        let (forget, keep) = (
            self.broken(crate::sim::Rule::RefusedForEver)
                || self.broken(crate::sim::Rule::AttemptsNotReused),
            self.broken(crate::sim::Rule::RefusedForEver),
        );
        #[cfg(not(test))]
        let (forget, keep) = (false, false);
        if !forget {
            let refused = self.refused.entry((from, slot)).or_default();
            *refused = attempt.max(*refused);
        }
        if !keep && self.imports.get(&slot).is_some_and(|i| i.from == from && i.attempt == attempt)
        {
            self.discard_import(slot, store);
        }
        self.send(from, Message::Refused { slot, attempt });
    }
}
