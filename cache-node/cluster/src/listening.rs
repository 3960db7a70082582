//! When this node last heard of each peer: what the proof of a peer's death asks.

use std::collections::BTreeMap;

use ringcache_api::admin::Heard;

use crate::machine::Cluster;
use crate::view::Id;

/// A node that did nothing for longer than this was stopped or starved, and heard nothing meanwhile: its silence about
/// others proves nothing until it has listened anew.
const PAUSE_MS: u64 = 1000;

/// Receipts by peer, and whether this node could have had any.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listening {
    /// Since when this node has listened without a pause.
    since_ms: u64,
    /// When this node last did anything.
    awake_ms: Option<u64>,
    /// When something last came from a peer; before the first message, when the peer became known.
    peers: BTreeMap<Id, u64>,
}

impl Listening {
    fn awake(&mut self, now: u64) {
        if self.awake_ms.is_none_or(|last| now > last + PAUSE_MS) {
            self.since_ms = now;
        }
        self.awake_ms = Some(now);
    }

    pub(crate) fn received(&mut self, now: u64, from: Id) {
        self.awake(now);
        self.peers.insert(from, now);
    }

    pub(crate) fn retain(&mut self, keep: impl Fn(&Id) -> bool) {
        self.peers.retain(|peer, _| keep(peer));
    }
}

impl Cluster {
    /// Time has passed: whoever became known meanwhile is listened to from now on.
    pub(crate) fn listen(&mut self, now: u64) {
        self.listening.awake(now);
        let others = self.view.iter().flat_map(|view| view.members.iter().copied());
        for other in others.filter(|other| *other != self.me) {
            self.listening.peers.entry(other).or_insert(now);
        }
    }

    /// Every other member of the document in force, and how long ago this node last heard of it. One that was never heard of
    /// counts from the moment at which this node began to listen for it.
    pub fn heard(&mut self, now: u64) -> Vec<Heard> {
        self.listen(now);
        let listening = &self.listening;
        let others = self.view.iter().flat_map(|view| view.members.iter().copied());
        let heard = others.filter(|other| *other != self.me).filter_map(|other| {
            let last = listening.peers.get(&other).copied().unwrap_or(now).max(listening.since_ms);
            let incarnation = self.ids.name(other)?.clone();
            Some(Heard { incarnation, ms_ago: now.saturating_sub(last) })
        });
        heard.collect()
    }
}
