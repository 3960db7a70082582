//! Adoption: a slot that nobody owns goes to its successor, once every other member has said "not mine" or is gone.

use std::collections::BTreeMap;

use ringcache_ring::SlotSet;

use crate::machine::{Cluster, Standing};
use crate::message::Message;
use crate::slots::Slots;
use crate::view::Id;

/// A claim without an answer is repeated after this many milliseconds.
const RETRY_MS: u64 = 200;

/// The slots that this node claims under the document in force, and what the others have said.
#[derive(Clone, Debug, Default)]
pub(crate) struct Claims {
    epoch: u64,
    wanted: SlotSet,
    answered: BTreeMap<Id, SlotSet>,
    /// Slots with a live owner: it will hand them over; asking again before the next document is useless.
    elsewhere: SlotSet,
    /// Highest version that anybody named; what is adopted goes on above it.
    version: u64,
    sent_ms: Option<u64>,
}

impl Claims {
    pub(crate) fn reset(&mut self, epoch: u64, wanted: SlotSet) {
        *self = Self { epoch, wanted, ..Self::default() };
    }

    /// The slot is wanted from now on, too. What was answered before is not about it any more.
    fn want(&mut self, slot: u16) {
        self.unanswer(slot);
        self.elsewhere.remove(slot);
        self.wanted.insert(slot);
        self.repeat();
    }

    /// The slot has an owner: this node.
    pub(crate) fn settled(&mut self, slot: u16) {
        self.wanted.remove(slot);
    }

    /// A copy of the slot is on its way: answers given before it say nothing any more.
    pub(crate) fn unanswer(&mut self, slot: u16) {
        for answered in self.answered.values_mut() {
            answered.remove(slot);
        }
    }

    pub(crate) fn repeat(&mut self) {
        self.sent_ms = None;
    }
}

impl Cluster {
    /// Under a new document everything is asked anew: answers hold only for the epoch they were given under.
    pub(crate) fn restart_claims(&mut self) {
        let mut wanted = SlotSet::default();
        for slot in 0..self.config.slots {
            let free = self.slots[usize::from(slot)].standing == Standing::None;
            if free && self.successor(slot) == Some(self.me) {
                wanted.insert(slot);
            }
        }
        self.claims.reset(self.epoch(), wanted);
    }

    /// This node knows from now on that it gave the slot away. By the document in force it should have it back: without a
    /// claim nobody would serve it if whoever had it last is gone.
    pub(crate) fn claim_if_successor(&mut self, slot: u16) {
        if self.successor(slot) == Some(self.me) {
            self.claims.want(slot);
        }
    }

    /// Asks those who have not answered.
    pub(crate) fn claim_again(&mut self, now: u64) {
        let due = self.claims.sent_ms.is_none_or(|sent| now >= sent + RETRY_MS);
        let (Some(view), true) = (&self.view, due && !self.claims.wanted.is_empty()) else {
            return;
        };
        let open = self.claims.wanted.difference(&self.claims.elsewhere);
        let epoch = self.claims.epoch;
        let mut messages = Vec::new();
        for other in view.others(self.me) {
            let missing = match self.claims.answered.get(&other) {
                Some(answered) => open.difference(answered),
                None => open.clone(),
            };
            if !missing.is_empty() {
                messages.push((other, Message::Claim { epoch, slots: ranges(&missing) }));
            }
        }
        self.claims.sent_ms = Some(now);
        for (other, message) in messages {
            self.send(other, message);
        }
    }

    /// Adopts what everybody else has disowned.
    pub(crate) fn try_adopt(&mut self, store: &mut impl Slots) {
        let (Some(view), false) = (&self.view, self.claims.wanted.is_empty()) else { return };
        let mut free = self.claims.wanted.clone();
        for other in view.others(self.me) {
            match self.claims.answered.get(&other) {
                Some(answered) => free = free.intersection(answered),
                None => return,
            }
        }
        for slot in free.iter() {
            let version = self.slots[usize::from(slot)].version.max(self.claims.version) + 1;
            store.clear(slot);
            self.moves.adopted += 1;
            self.own(slot, version, store);
        }
    }

    pub(crate) fn on_claim(&mut self, from: Id, epoch: u64, slots: &[(u16, u16)]) {
        if epoch != self.epoch() {
            // An older document: the answer "newer" is the heartbeat that brings ours. A newer one cannot be: it was learned.
            self.gossip.repeat(from);
            return;
        }
        let (mut not_mine, mut mine, mut version) = (SlotSet::default(), SlotSet::default(), 0);
        for slot in slots.iter().flat_map(|(first, last)| *first..=*last) {
            let Some(state) = self.slot(slot) else { continue };
            match state.standing {
                Standing::Owned => {
                    mine.insert(slot);
                }
                Standing::Sealed => {}
                Standing::None => {
                    not_mine.insert(slot);
                    version = version.max(state.version);
                }
            }
        }
        let answer =
            Message::Answer { epoch, not_mine: ranges(&not_mine), mine: ranges(&mine), version };
        self.send(from, answer);
    }

    pub(crate) fn on_answer(
        &mut self,
        from: Id,
        epoch: u64,
        not_mine: &[(u16, u16)],
        mine: &[(u16, u16)],
        version: u64,
        store: &mut impl Slots,
    ) {
        if epoch != self.claims.epoch {
            return;
        }
        self.claims.version = self.claims.version.max(version);
        let answered = self.claims.answered.entry(from).or_default();
        for (first, last) in not_mine {
            answered.insert_range(*first..=*last);
        }
        for (first, last) in mine {
            self.claims.elsewhere.insert_range(*first..=*last);
        }
        self.try_adopt(store);
    }
}

/// The set as the ranges that messages carry.
pub(crate) fn ranges(set: &SlotSet) -> Vec<(u16, u16)> {
    set.ranges().map(|range| (*range.start(), *range.end())).collect()
}
