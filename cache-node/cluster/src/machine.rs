//! The state machine's state and its three entries: a document, a message, time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ringcache_api::{Document, Incarnation};
use ringcache_ring::SLOTS;

use crate::claims::Claims;
use crate::export::Export;
use crate::gossip::Gossip;
use crate::import::Import;
use crate::listening::Listening;
use crate::message::Message;
use crate::seal::Sealed;
use crate::slots::Slots;
use crate::view::{Id, Ids, View};

/// Sizes and times; the defaults are the product's, the simulation draws smaller ones.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Number of slots managed, from 0.
    pub slots: u16,
    /// Bytes of records in one frame, about.
    pub frame_bytes: usize,
    /// Bytes of unacknowledged records of one slot; the copy waits beyond.
    pub window_bytes: usize,
    /// The same over all slots that are copied to one other node. A single value may be longer than a slot's window.
    pub link_bytes: usize,
    /// Slots in handover from this node to one other at the same time.
    pub in_flight: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            slots: SLOTS,
            frame_bytes: 32 * 1024,
            window_bytes: 256 * 1024,
            link_bytes: 4 * 1024 * 1024,
            in_flight: 16,
        }
    }
}

/// What this node is to a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Not its owner.
    None,
    /// Its owner.
    Owned,
    /// Was its owner, and has given it away without knowing yet whether the other took it.
    Sealed,
}

/// One slot, as this node sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    pub(crate) standing: Standing,
    /// Highest version at which this node has owned it or heard of it.
    pub(crate) version: u64,
}

/// Slots that changed hands since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moves {
    /// Received by handover.
    pub handed_in: u64,
    /// Given away by handover.
    pub handed_out: u64,
    /// Adopted: nobody owned them.
    pub adopted: u64,
}

/// The ownership state of one node. Time is monotonic milliseconds and never goes back.
#[derive(Clone)]
pub struct Cluster {
    pub(crate) me: Id,
    pub(crate) config: Config,
    pub(crate) ids: Ids,
    pub(crate) document: Option<Arc<Document>>,
    pub(crate) view: Option<View>,
    pub(crate) slots: Vec<Slot>,
    pub(crate) claims: Claims,
    /// Owned slots that should be another's and are not being copied yet, by that other.
    pub(crate) waiting: BTreeMap<Id, BTreeSet<u16>>,
    pub(crate) exports: BTreeMap<u16, Export>,
    pub(crate) sealed: BTreeMap<u16, Sealed>,
    /// Slots handed over whose data has not been dropped yet, and since when.
    pub(crate) departed: BTreeMap<u16, u64>,
    pub(crate) imports: BTreeMap<u16, Import>,
    /// Last attempt of a source that was accepted, by source and slot: the answer to its queries.
    pub(crate) accepted: BTreeMap<(Id, u16), u64>,
    /// Attempts of a source up to this one are refused for ever.
    pub(crate) refused: BTreeMap<(Id, u16), u64>,
    pub(crate) gossip: Gossip,
    pub(crate) listening: Listening,
    pub(crate) attempt: u64,
    pub(crate) moves: Moves,
    pub(crate) outbox: Vec<(Incarnation, Message)>,
    #[cfg(test)]
    pub(crate) broken: Option<crate::sim::Rule>,
}

impl Cluster {
    /// A node that owns nothing and has no document.
    pub fn new(me: &Incarnation, config: Config) -> Self {
        let mut ids = Ids::default();
        let me = ids.of(me);
        let slot = Slot { standing: Standing::None, version: 0 };
        Self {
            me,
            config,
            ids,
            document: None,
            view: None,
            slots: vec![slot; usize::from(config.slots)],
            claims: Claims::default(),
            waiting: BTreeMap::new(),
            exports: BTreeMap::new(),
            sealed: BTreeMap::new(),
            departed: BTreeMap::new(),
            imports: BTreeMap::new(),
            accepted: BTreeMap::new(),
            refused: BTreeMap::new(),
            gossip: Gossip::new(config.slots),
            listening: Listening::default(),
            attempt: 0,
            moves: Moves::default(),
            outbox: Vec::new(),
            #[cfg(test)]
            broken: None,
        }
    }

    /// Takes in a message that `from` sent to this incarnation. The sender's document must have been given to
    /// [`Cluster::learn`] before.
    pub fn receive(
        &mut self,
        now: u64,
        from: &Incarnation,
        message: Message,
        store: &mut impl Slots,
    ) {
        let (Some(view), Some(from)) = (&self.view, self.ids.known(from)) else { return };
        let live = view.is_live(from);
        self.listening.received(now, from);
        match message {
            // Answers to what this node asked: facts, whoever gives them; each names its attempt.
            Message::Accepted { slot, attempt } => {
                self.on_accepted(now, from, slot, attempt, store);
            }
            Message::Refused { slot, attempt } => self.on_refused(from, slot, attempt, store),
            // What is gone or no longer takes part starts nothing here: its late messages must not undo the document.
            _ if !live => {}
            Message::Heartbeat { seen, base, revision, owned } => {
                self.on_heartbeat(from, seen, base, revision, &owned);
            }
            Message::Claim { epoch, slots } => self.on_claim(from, epoch, &slots),
            Message::Answer { epoch, not_mine, mine, version } => {
                self.on_answer(from, epoch, &not_mine, &mine, version, store);
            }
            Message::Begin { slot, version, attempt } => {
                self.on_begin(from, slot, version, attempt, store);
            }
            Message::Ready { slot, attempt } => self.on_ready(now, from, slot, attempt, store),
            Message::Data { slot, attempt, seq, records } => {
                self.on_data(from, slot, attempt, seq, &records, store);
            }
            Message::Ack { slot, attempt, seq } => {
                self.on_ack(now, from, slot, attempt, seq, store);
            }
            Message::Seal { slot, attempt, version, frames } => {
                self.on_seal(from, slot, attempt, version, frames, store);
            }
            Message::Query { slot, attempt } => self.on_query(from, slot, attempt, store),
        }
    }

    /// Time has passed: everything that is repeated, retried or given up.
    pub fn tick(&mut self, now: u64, store: &mut impl Slots) {
        if self.view.is_none() {
            return;
        }
        self.listen(now);
        self.claim_again(now);
        self.try_adopt(store);
        self.pump_all(now, store);
        self.ask_about_seals(now);
        self.drop_departed(now, store);
        self.heartbeat(now);
    }

    /// The connection to a peer was lost and is back: what was under way may be lost, so everything is repeated at once.
    pub fn reconnected(&mut self, peer: &Incarnation) {
        let Some(peer) = self.ids.known(peer) else { return };
        self.claims.repeat();
        for export in self.exports.values_mut().filter(|e| e.target == peer) {
            export.repeat();
        }
        for sealed in self.sealed.values_mut().filter(|s| s.to == peer) {
            sealed.repeat();
        }
        self.gossip.repeat(peer);
    }

    /// The messages to send, in order.
    pub fn outbox(&mut self) -> impl Iterator<Item = (Incarnation, Message)> + use<'_> {
        self.outbox.drain(..)
    }

    pub(crate) fn send(&mut self, to: Id, message: Message) {
        if let Some(name) = self.ids.name(to) {
            self.outbox.push((name.clone(), message));
        }
    }

    /// The slot's record, if it is one of ours to manage: a message may name any number.
    pub(crate) fn slot(&self, slot: u16) -> Option<Slot> {
        self.slots.get(usize::from(slot)).copied()
    }

    pub(crate) fn successor(&self, slot: u16) -> Option<Id> {
        self.view.as_ref().and_then(|view| view.successor(slot))
    }

    /// The one place where a slot becomes this node's own.
    pub(crate) fn own(&mut self, slot: u16, version: u64, store: &mut impl Slots) {
        self.slots[usize::from(slot)] = Slot { standing: Standing::Owned, version };
        self.departed.remove(&slot);
        self.imports.remove(&slot);
        self.claims.settled(slot);
        self.gossip.set_owner(slot, self.me, version);
        self.gossip.changed(slot);
        store.open(slot);
        self.want_handover(slot);
    }

    /// Queues an owned slot for handover if the document wants it elsewhere.
    pub(crate) fn want_handover(&mut self, slot: u16) {
        if let Some(target) = self.successor(slot).filter(|target| *target != self.me) {
            self.waiting.entry(target).or_default().insert(slot);
        }
    }

    /// Whether the simulation has switched this rule off to see that it notices. Never in the product.
    #[cfg(test)]
    pub(crate) fn broken(&self, rule: crate::sim::Rule) -> bool {
        self.broken == Some(rule)
    }
}
