//! Observations for tests of what is shown.

use std::collections::BTreeSet;

use ringcache_api::admin::{NodeState, NodeStats, Ownership, Settings};
use ringcache_api::document::{ClusterRef, FORMAT_VERSION, HashRule, SlotRange};
use ringcache_api::{Document, Incarnation, Member, MemberState, Ports};
use ringcache_operator_core::{Observed, ObservedNode, Phase, Place, Template};

const PORTS: Ports = Ports { resp: 7000, http: 7200, admin: 7400, bus: 7600 };

/// A node that runs and answers; its uid is its name.
pub fn node(name: &str, owned: &[(u16, u16)], handed_in: u64) -> ObservedNode {
    let state = NodeState {
        version: 1,
        name: name.into(),
        incarnation: Incarnation::new(name, "1"),
        cluster_uid: "c".into(),
        program: String::new(),
        epoch: 0,
        checksum: String::new(),
        ownership: Ownership { owned: owned.to_vec(), handed_in, ..Ownership::default() },
        settings: Settings::default().into(),
        stats: NodeStats::default(),
        heard: Vec::new(),
        draining: false,
    };
    ObservedNode {
        name: name.into(),
        uid: name.into(),
        host: String::new(),
        place: Place::default(),
        ports: PORTS,
        template: Template { memory_bytes: 256 << 20, program: String::new(), pod: String::new() },
        phase: Phase::Running,
        state: Some(state),
        draining: false,
        stopping: false,
        resting: false,
        silent_seconds: 0,
        trouble: None,
    }
}

/// A document with an active member for each of the ranges.
pub fn document(slots: &[(u16, u16, &str)]) -> Document {
    let member = |name: &str| Member {
        name: name.into(),
        uid: Incarnation::new(name, "1"),
        host: "h".into(),
        ports: PORTS,
        state: MemberState::Active,
    };
    let range = |&(first, last, owner): &(u16, u16, &str)| SlotRange {
        range: (first, last),
        owner: owner.into(),
    };
    Document {
        version: FORMAT_VERSION,
        cluster: ClusterRef { uid: "c".into(), ..ClusterRef::default() },
        epoch: 7,
        hash: HashRule::default(),
        members: slots.iter().map(|(_, _, owner)| member(owner)).collect(),
        gone: BTreeSet::new(),
        slots: slots.iter().map(range).collect(),
        checksum: String::new(),
    }
}

/// The cluster `c` with these nodes.
pub fn observed(document: Option<Document>, nodes: Vec<ObservedNode>) -> Observed {
    Observed {
        cluster: ClusterRef { uid: "c".into(), ..ClusterRef::default() },
        generation: 1,
        program: String::new(),
        pod: String::new(),
        endpoints: None,
        open: true,
        document,
        nodes,
        seen: Vec::new(),
        starts_fail: false,
        foreign: BTreeSet::new(),
        lost: None,
    }
}
