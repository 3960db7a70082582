//! Who owns which slot, as far as this node knows: one immutable snapshot that every view derives from.

use ringcache_api::{Incarnation, Ports};
use ringcache_ring::SLOTS;

/// A node that clients can be sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Name of the node.
    pub name: String,
    /// The run of it that is meant.
    pub incarnation: Incarnation,
    /// 40 lower-case hex characters: the id that Redis clients see.
    pub node_id: String,
    /// Address; never empty.
    pub host: String,
    /// Its ports.
    pub ports: Ports,
}

/// The snapshot: peers and, for each slot, an index into them.
///
/// Before the first document the table has one peer, this node, and no slot an owner.
#[derive(Clone, Debug)]
pub struct Routes {
    /// Epoch of the document the peers are from; 0 = none yet.
    pub epoch: u64,
    /// Grows with every change of the snapshot: the key of whatever is cached from it.
    pub revision: u64,
    /// The members of the document.
    pub peers: Vec<Peer>,
    /// Index into `peers` of this node, if the document admits it.
    pub me: Option<u16>,
    owner: Box<[u16]>,
}

const NOBODY: u16 = u16::MAX;

impl Routes {
    /// A table without owners.
    pub fn empty(peers: Vec<Peer>, me: Option<u16>) -> Self {
        let owner = vec![NOBODY; usize::from(SLOTS)].into_boxed_slice();
        Self { epoch: 0, revision: 0, peers, me, owner }
    }

    /// Sets the owner of a slot; only the control thread builds tables.
    pub fn set_owner(&mut self, slot: u16, peer: Option<u16>) {
        self.owner[usize::from(slot)] = peer.unwrap_or(NOBODY);
    }

    /// The node that owns the slot, or should: every slot has one as soon as there is a document.
    pub fn owner(&self, slot: u16) -> Option<&Peer> {
        self.peers.get(usize::from(self.owner[usize::from(slot)]))
    }

    /// Index into `peers` of the owner.
    pub fn owner_index(&self, slot: u16) -> Option<u16> {
        Some(self.owner[usize::from(slot)]).filter(|index| *index != NOBODY)
    }

    /// Whether this node is the owner of the slot, as far as the snapshot knows.
    pub fn is_mine(&self, slot: u16) -> bool {
        self.me.is_some() && self.owner_index(slot) == self.me
    }

    /// Runs of slots with one owner: first, last, peer. Gap-free over 0..=16383 once there is a document.
    pub fn ranges(&self) -> Vec<(u16, u16, &Peer)> {
        let mut ranges: Vec<(u16, u16, u16)> = Vec::new();
        for (slot, owner) in (0..SLOTS).zip(self.owner.iter().copied()) {
            match ranges.last_mut() {
                Some((_, last, of)) if *of == owner => *last = slot,
                _ => ranges.push((slot, slot, owner)),
            }
        }
        let peer = |(first, last, owner): (u16, u16, u16)| {
            self.peers.get(usize::from(owner)).map(|peer| (first, last, peer))
        };
        ranges.into_iter().filter_map(peer).collect()
    }
}
