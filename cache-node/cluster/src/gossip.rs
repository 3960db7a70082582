//! Who owns what, passed on with the heartbeats: hints for routing, never a reason to own.

use std::collections::BTreeMap;

use crate::machine::{Cluster, Standing};
use crate::message::{Message, Run};
use crate::view::Id;

/// Every peer hears from us this often, in milliseconds.
const HEARTBEAT_MS: u64 = 150;
/// And this soon after something changed, so that redirects are right quickly without a message a slot.
const CHANGED_MS: u64 = 20;

/// Owners as heard of, and what each peer has heard from us.
#[derive(Clone, Debug)]
pub(crate) struct Gossip {
    /// Owner of each slot with the highest version heard of.
    owners: Vec<(Option<Id>, u64)>,
    /// Revision at which what this node owns last changed, per slot.
    changed: Vec<u64>,
    revision: u64,
    peers: BTreeMap<Id, Heard>,
    /// Slots whose owner changed since the routes were last read.
    moved: Vec<u16>,
}

#[derive(Clone, Debug, Default)]
struct Heard {
    /// Revision of ours that the peer has confirmed.
    confirmed: u64,
    /// Revision of ours last sent.
    sent: u64,
    sent_ms: Option<u64>,
    /// Revision of the peer's that we have.
    seen: u64,
}

impl Gossip {
    pub(crate) fn new(slots: u16) -> Self {
        Self {
            owners: vec![(None, 0); usize::from(slots)],
            changed: vec![0; usize::from(slots)],
            revision: 0,
            peers: BTreeMap::new(),
            moved: Vec::new(),
        }
    }

    /// What this node owns has changed in this slot: to be told to everybody.
    pub(crate) fn changed(&mut self, slot: u16) {
        self.revision += 1;
        self.changed[usize::from(slot)] = self.revision;
    }

    /// Of two owners the one with the higher version is right.
    pub(crate) fn set_owner(&mut self, slot: u16, owner: Id, version: u64) {
        if let Some(known) = self.owners.get_mut(usize::from(slot))
            && (version > known.1 || known.0.is_none())
        {
            *known = (Some(owner), version);
            self.moved.push(slot);
        }
    }

    /// Whatever is heard from now on is newer.
    pub(crate) fn forget_versions(&mut self) {
        for (_, version) in &mut self.owners {
            *version = 0;
        }
    }

    pub(crate) fn take_moved(&mut self) -> Vec<u16> {
        std::mem::take(&mut self.moved)
    }

    pub(crate) fn owner(&self, slot: u16) -> Option<Id> {
        self.owners.get(usize::from(slot)).and_then(|(owner, _)| *owner)
    }

    pub(crate) fn repeat(&mut self, peer: Id) {
        if let Some(heard) = self.peers.get_mut(&peer) {
            heard.sent_ms = None;
        }
    }

    pub(crate) fn retain(&mut self, keep: impl Fn(&Id) -> bool) {
        self.peers.retain(|peer, _| keep(peer));
    }
}

impl Cluster {
    /// Sends the heartbeats that are due.
    pub(crate) fn heartbeat(&mut self, now: u64) {
        let Some(view) = &self.view else { return };
        let others: Vec<(Id, bool)> =
            view.told(self.me).map(|other| (other, view.is_live(other))).collect();
        #[cfg(test)]
        let others = {
            let told = !self.broken(crate::sim::Rule::StrangersAreTold);
            others.into_iter().filter(|(_, live)| *live || told).collect::<Vec<_>>()
        };
        let revision = self.gossip.revision;
        // Most peers have confirmed the same revision: what came after it is collected once.
        let mut changes: Option<(u64, Vec<Run>)> = None;
        for (other, live) in others {
            let heard = self.gossip.peers.entry(other).or_default();
            let news = heard.sent < revision;
            let pause = if news { CHANGED_MS } else { HEARTBEAT_MS };
            if heard.sent_ms.is_some_and(|sent| now < sent + pause) {
                continue;
            }
            (heard.sent_ms, heard.sent) = (Some(now), revision);
            // What the gone are told is the document that says so; every message travels with it.
            let (seen, base) = (heard.seen, if live { heard.confirmed } else { revision });
            let owned = match &changes {
                _ if base >= revision => Vec::new(),
                Some((since, owned)) if *since == base => owned.clone(),
                _ => {
                    let owned = self.owned_since(base);
                    changes = Some((base, owned.clone()));
                    owned
                }
            };
            self.send(other, Message::Heartbeat { seen, base, revision, owned });
        }
    }

    /// Slots owned now whose ownership changed after `base`, as runs.
    fn owned_since(&self, base: u64) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        for (slot, state) in (0..self.config.slots).zip(&self.slots) {
            if state.standing != Standing::Owned || self.gossip.changed[usize::from(slot)] <= base {
                continue;
            }
            match runs.last_mut() {
                Some(run) if run.last + 1 == slot && run.version == state.version => {
                    run.last = slot;
                }
                _ => runs.push(Run { first: slot, last: slot, version: state.version }),
            }
        }
        runs
    }

    pub(crate) fn on_heartbeat(
        &mut self,
        from: Id,
        seen: u64,
        base: u64,
        revision: u64,
        owned: &[Run],
    ) {
        let heard = self.gossip.peers.entry(from).or_default();
        heard.confirmed = heard.confirmed.max(seen);
        if base > heard.seen {
            return; // an earlier change is missing; the peer starts from what we confirm
        }
        heard.seen = heard.seen.max(revision);
        for run in owned {
            for slot in run.first..=run.last {
                self.gossip.set_owner(slot, from, run.version);
            }
        }
    }
}
