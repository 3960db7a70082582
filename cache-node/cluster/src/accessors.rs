//! What the shell reads: ownership, routes, whether there is work.

use std::sync::Arc;

use ringcache_api::admin::{Ownership, Sealed};
use ringcache_api::{Document, Incarnation};
use ringcache_ring::SlotSet;

use crate::claims::ranges;
use crate::machine::{Cluster, Moves, Standing};

impl Cluster {
    /// The document in force.
    pub fn document(&self) -> Option<&Arc<Document>> {
        self.document.as_ref()
    }

    /// What this node owns and has sealed.
    pub fn ownership(&self) -> Ownership {
        let slots = (0..self.config.slots).zip(&self.slots);
        let owned: SlotSet =
            slots.filter(|(_, s)| s.standing == Standing::Owned).map(|(slot, _)| slot).collect();
        let mut targets: Vec<u32> = self.sealed.values().map(|s| s.to).collect();
        targets.sort_unstable();
        targets.dedup();
        let sealed = targets.into_iter().filter_map(|to| {
            let slots: SlotSet =
                self.sealed.iter().filter(|(_, s)| s.to == to).map(|(slot, _)| *slot).collect();
            Some(Sealed { slots: ranges(&slots), to: self.ids.name(to)?.clone() })
        });
        Ownership {
            owned: ranges(&owned),
            sealed: sealed.collect(),
            handed_in: self.moves.handed_in,
            handed_out: self.moves.handed_out,
            adopted: self.moves.adopted,
        }
    }

    /// Slots that changed hands since the start.
    pub fn moves(&self) -> Moves {
        self.moves
    }

    /// Who owns the slot, as far as this node knows; whoever should own it, if it knows of no live owner.
    pub fn route(&self, slot: u16) -> Option<&Incarnation> {
        let view = self.view.as_ref()?;
        let owner = self.gossip.owner(slot).filter(|owner| view.is_live(*owner));
        owner.or_else(|| view.successor(slot)).and_then(|id| self.ids.name(id))
    }

    /// The document that must be told to whoever sent a message, because the sender takes no part in it and may not know:
    /// declared gone behind a partition, it would serve slots that have other owners by now.
    pub fn news_for(&self, sender: &Incarnation) -> Option<&Arc<Document>> {
        self.document.as_ref().filter(|document| {
            document.gone.contains(sender) || document.incarnation(sender).is_none()
        })
    }

    /// The slots for which [`Cluster::route`] may give another answer than at the last call. A new document may change any.
    pub fn take_moved(&mut self) -> Vec<u16> {
        self.gossip.take_moved()
    }

    /// Whether a handover is under way: then time should be told every millisecond or two, else every 20 are enough.
    pub fn is_busy(&self) -> bool {
        !(self.exports.is_empty() && self.sealed.is_empty() && self.waiting.is_empty())
    }
}

#[cfg(test)]
impl Cluster {
    pub(crate) fn owns(&self, slot: u16) -> bool {
        self.slots[usize::from(slot)].standing == Standing::Owned
    }

    pub(crate) fn next_frame(&self, slot: u16, attempt: u64) -> Option<u64> {
        self.imports.get(&slot).filter(|i| i.attempt == attempt).map(crate::import::Import::next)
    }
}
