//! One cache node of the model: what it was started with, what it has accepted, what it owns.

use std::collections::BTreeMap;
use std::sync::Arc;

use ringcache_api::admin::{ADMIN_VERSION, Heard, NodeState, NodeStats, Ownership, Settings};
use ringcache_api::{Document, Incarnation};
use ringcache_ring::SlotSet;
use tokio::time::Instant;

/// The process in one pod.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) incarnation: Incarnation,
    pub(crate) cluster_uid: String,
    pub(crate) address: String,
    pub(crate) settings: Settings,
    pub(crate) known: Option<Arc<Known>>,
    pub(crate) owned: SlotSet,
    /// Since when it has been told to end.
    pub(crate) terminating: Option<Instant>,
    pub(crate) started: Instant,
    pub(crate) handed_in: u64,
    pub(crate) handed_out: u64,
    pub(crate) adopted: u64,
}

/// A document, with the sets that are looked up at every tick.
pub(crate) struct Known {
    pub(crate) document: Document,
    pub(crate) intended: BTreeMap<String, SlotSet>,
}

impl Known {
    pub(crate) fn new(document: Document) -> Self {
        let share = |name: &String| (name.clone(), document.intended(name));
        let intended = document.members.iter().map(|member| share(&member.name)).collect();
        Self { document, intended }
    }
}

impl Node {
    pub(crate) fn epoch(&self) -> u64 {
        self.known.as_ref().map_or(0, |known| known.document.epoch)
    }

    /// As its readiness probe says: from its first document until it is told to end.
    pub(crate) fn is_ready(&self) -> bool {
        self.known.is_some() && self.terminating.is_none()
    }

    /// Whether it takes part under the document it knows.
    pub(crate) fn is_member(&self) -> bool {
        self.known.as_ref().is_some_and(|k| k.document.incarnation(&self.incarnation).is_some())
    }

    pub(crate) fn state(&self, heard: Vec<Heard>) -> NodeState {
        let document = self.known.as_ref().map(|known| &known.document);
        NodeState {
            version: ADMIN_VERSION,
            name: self.name.clone(),
            incarnation: self.incarnation.clone(),
            cluster_uid: self.cluster_uid.clone(),
            program: env!("CARGO_PKG_VERSION").to_owned(),
            epoch: self.epoch(),
            checksum: document.map(|d| d.checksum.clone()).unwrap_or_default(),
            ownership: Ownership {
                owned: self.owned.ranges().map(std::ops::RangeInclusive::into_inner).collect(),
                sealed: Vec::new(),
                handed_in: self.handed_in,
                handed_out: self.handed_out,
                adopted: self.adopted,
            },
            settings: self.settings.into(),
            stats: NodeStats::default(),
            heard,
            draining: self.terminating.is_some(),
        }
    }
}
