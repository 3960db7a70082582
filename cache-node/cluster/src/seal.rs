//! The point of no return: sealed, asked about, and how it ends.

use crate::machine::{Cluster, Slot, Standing};
use crate::message::Message;
use crate::slots::Slots;
use crate::view::Id;

/// An unanswered seal is asked about again after this many milliseconds.
const QUERY_MS: u64 = 50;
/// A slot's old data is dropped this long after the handover, when the rush of redirected requests is over.
const DROP_AFTER_MS: u64 = 250;

/// A slot that was given away and for which there is no answer yet: neither served nor dropped.
#[derive(Clone, Debug)]
pub(crate) struct Sealed {
    pub(crate) to: Id,
    attempt: u64,
    asked_ms: Option<u64>,
}

impl Sealed {
    #[cfg(test)]
    pub(crate) fn attempt(&self) -> u64 {
        self.attempt
    }

    /// Asks again at the next tick.
    pub(crate) fn repeat(&mut self) {
        self.asked_ms = None;
    }
}

impl Cluster {
    /// The target has applied every record and nobody writes: the slot is its own if it takes it.
    pub(crate) fn seal(&mut self, now: u64, slot: u16, store: &mut impl Slots) {
        let Some(export) = self.exports.remove(&slot) else { return };
        store.journal_stop(slot);
        store.seal(slot);
        let state = &mut self.slots[usize::from(slot)];
        state.standing = Standing::Sealed;
        let version = state.version;
        let (to, attempt, frames) = (export.target, export.attempt, export.frames);
        self.sealed.insert(slot, Sealed { to, attempt, asked_ms: Some(now) });
        self.send(to, Message::Seal { slot, attempt, version, frames });
    }

    pub(crate) fn ask_about_seals(&mut self, now: u64) {
        let mut queries = Vec::new();
        for (slot, sealed) in &mut self.sealed {
            if sealed.asked_ms.is_none_or(|asked| now >= asked + QUERY_MS) {
                sealed.asked_ms = Some(now);
                queries.push((sealed.to, Message::Query { slot: *slot, attempt: sealed.attempt }));
            }
        }
        for (to, query) in queries {
            self.send(to, query);
        }
    }

    pub(crate) fn on_accepted(
        &mut self,
        now: u64,
        from: Id,
        slot: u16,
        attempt: u64,
        store: &mut impl Slots,
    ) {
        if !self.sealed.get(&slot).is_some_and(|s| s.to == from && s.attempt == attempt) {
            return;
        }
        self.sealed.remove(&slot);
        let state = &mut self.slots[usize::from(slot)];
        *state = Slot { standing: Standing::None, version: state.version + 1 };
        let version = state.version;
        self.moves.handed_out += 1;
        self.departed.insert(slot, now);
        self.gossip.set_owner(slot, from, version);
        store.away(slot);
        self.claim_if_successor(slot);
        self.begin_exports(now);
    }

    /// The attempt has failed for ever, before the seal or at it. The slot was never anybody else's: it is served on.
    pub(crate) fn on_refused(&mut self, from: Id, slot: u16, attempt: u64, store: &mut impl Slots) {
        if self.export_of(from, slot, attempt).is_some() {
            self.cancel_export(slot, store);
            self.want_handover(slot);
            return;
        }
        if !self.sealed.get(&slot).is_some_and(|s| s.to == from && s.attempt == attempt) {
            return;
        }
        self.sealed.remove(&slot);
        let version = self.slots[usize::from(slot)].version;
        self.own(slot, version, store);
    }

    /// A sealed slot whose target is dead is nobody's from here: its data is dropped, because the target may have taken it
    /// and served writes, and it is not taken back, because the target may have passed it on. Whoever succeeds to it asks
    /// everybody, as for any slot without an owner.
    pub(crate) fn disown_what_the_gone_may_have_taken(&mut self, store: &mut impl Slots) {
        let Some(view) = &self.view else { return };
        let orphaned: Vec<u16> = self
            .sealed
            .iter()
            .filter(|(_, sealed)| view.gone.contains(&sealed.to))
            .map(|(slot, _)| *slot)
            .collect();
        for slot in orphaned {
            self.sealed.remove(&slot);
            let version = self.slots[usize::from(slot)].version + 2;
            #[cfg(test)]
            if self.broken(crate::sim::Rule::SealedIsNobodys) {
                self.own(slot, version, store);
                continue;
            }
            self.slots[usize::from(slot)] = Slot { standing: Standing::None, version };
            store.close(slot);
        }
    }

    pub(crate) fn drop_departed(&mut self, now: u64, store: &mut impl Slots) {
        let due: Vec<u16> = self
            .departed
            .iter()
            .filter(|(_, since)| now >= **since + DROP_AFTER_MS)
            .map(|(slot, _)| *slot)
            .collect();
        for slot in due {
            self.departed.remove(&slot);
            store.clear(slot);
        }
    }
}
