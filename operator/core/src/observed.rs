//! What was observed, as plain data: the cluster's document and its nodes, whether they are processes or pods.

use std::collections::BTreeSet;
use std::fmt;

use ringcache_api::admin::NodeState;
use ringcache_api::document::ClusterRef;
use ringcache_api::status::{Endpoints, LostEntries};
use ringcache_api::{Document, Ports};
use serde::{Deserialize, Serialize};

use crate::membership::PATIENCE_SECONDS;

/// Everything that the planner decides by.
///
/// `nodes` must be complete: a member whose uid is not among them is taken as proven dead.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Observed {
    /// The cluster.
    pub cluster: ClusterRef,
    /// Generation of its resource.
    pub generation: i64,
    /// Program that new nodes are started with: its version, or its image.
    pub program: String,
    /// Fingerprint of whatever else new nodes are started with; see [`Template::pod`].
    #[serde(default)]
    pub pod: String,
    /// Where clients reach the cluster, if it has addresses of its own.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub endpoints: Option<Endpoints>,
    /// Whether these addresses lead to a node: the platform sends clients to one at least.
    pub open: bool,
    /// The stored ring document, if there is one that can be read.
    pub document: Option<Document>,
    /// Every node of this cluster that exists, by whatever name and in whatever phase.
    pub nodes: Vec<ObservedNode>,
    /// Ranges of slots that had an owner when the nodes were asked a moment before, see [`Observed::may_be_between_answers`].
    #[serde(default)]
    pub seen: Vec<(u16, u16)>,
    /// What was lost last with nodes that ended, as recorded with the document.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lost: Option<LostEntries>,
    /// Whether the platform refused to start a node when it was last asked to: for a quota, say.
    #[serde(default)]
    pub starts_fail: bool,
    /// Names that new nodes cannot have: something of somebody else has them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub foreign: BTreeSet<String>,
}

/// One node as the platform and the node itself describe it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObservedNode {
    /// Its name, unique among the nodes.
    pub name: String,
    /// The platform's uid of the pod or process: another one after a replacement of the same name.
    pub uid: String,
    /// Address that clients and nodes reach it by.
    pub host: String,
    /// Where it runs, where there are several places: nodes leave where there are more than elsewhere.
    #[serde(default)]
    pub place: Place,
    /// Its ports.
    pub ports: Ports,
    /// What it was started as.
    pub template: Template,
    /// Where it is in its life.
    pub phase: Phase,
    /// Its own answer; `None` = it does not answer now, which proves nothing.
    pub state: Option<NodeState>,
    /// Its host is about to go, or takes no more work: the node is replaced before any other one.
    #[serde(default)]
    pub draining: bool,
    /// Its removal is under way: there is nothing left to tell the platform.
    #[serde(default)]
    pub stopping: bool,
    /// It ended soon after its start, and what is left of it stays as evidence until it is worth another try: until then it
    /// counts as a node that is coming.
    #[serde(default)]
    pub resting: bool,
    /// How long it has been waited for to answer, in seconds; 0 if it answers or has ended.
    #[serde(default)]
    pub silent_seconds: u64,
    /// Why the platform cannot start it, in the platform's words.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub trouble: Option<String>,
}

impl ObservedNode {
    /// Whether it was told to end and is silent, as the pods of a host that has died are until the host is back. One that is no member of
    /// the ring has nothing that anybody waits for.
    pub(crate) fn is_left_behind(&self) -> bool {
        self.stopping && self.state.is_none() && self.silent_seconds >= PATIENCE_SECONDS
    }

    /// Whether the platform says that it cannot start it, or has not started it for long.
    pub(crate) fn cannot_start(&self) -> bool {
        !self.phase.is_over() && (self.trouble.is_some() || self.is_stuck())
    }

    /// Whether it has not been started for long.
    pub fn is_stuck(&self) -> bool {
        self.phase == Phase::Pending && self.silent_seconds >= PATIENCE_SECONDS
    }
}

/// Where a node runs, as far as that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Zone of its host.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub zone: Option<String>,
    /// Name of its host.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub host: Option<String>,
}

/// What can only be changed by starting another node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Template {
    /// Memory limit in bytes.
    pub memory_bytes: u64,
    /// The program: its version, or its image.
    pub program: String,
    /// Fingerprint of whatever else only another node can take on; empty if there is nothing.
    #[serde(default)]
    pub pod: String,
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // For people, to whom the fingerprint says nothing.
        write!(f, "{}, program {}", crate::plan::Size(self.memory_bytes), self.program)
    }
}

/// Where a node is in its life, as the platform sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Created, and its process has never run: it owns nothing, and nobody misses it.
    Pending,
    /// Its process runs, or did, and has not answered yet.
    Starting,
    /// Running.
    Running,
    /// Told to end; it serves until it has ended.
    Stopping,
    /// Ended: proof that its incarnation is gone. What is left of it can be cleared away.
    Exited,
    /// Proven gone with its host, although the platform still has a record of it: the host is down and nobody has reached the
    /// node for long.
    Lost,
}

impl Phase {
    /// Whether the node is to stay, as far as the platform tells: it has not ended, and nobody told it to.
    pub fn is_up(self) -> bool {
        matches!(self, Self::Pending | Self::Starting | Self::Running)
    }

    /// Whether the process is proven to have ended.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Exited | Self::Lost)
    }
}
