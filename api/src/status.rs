//! What the operator reports in a `CacheCluster`: numbers, members and conditions.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use crate::document::{MAX_MEMBERS, MemberState};

/// State of a cluster as the operator last saw it. Nothing in it changes every second: that is what metrics are for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(transform = without_defaults)]
pub struct CacheClusterStatus {
    /// Generation of the resource that this status is about.
    pub observed_generation: i64,

    /// Nodes that exist, of the scale subresource.
    pub nodes: i32,

    /// Nodes that answer and are members of the ring.
    pub ready_nodes: i32,

    /// Label selector of the nodes, of the scale subresource.
    #[schemars(length(max = 256))]
    pub selector: String,

    /// Where clients reach the cluster, if it has addresses of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Endpoints")]
    pub endpoints: Option<Endpoints>,

    /// The current ring document.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RingStatus")]
    pub ring: Option<RingStatus>,

    /// The members of the ring, by name.
    #[schemars(
        length(max = MAX_MEMBERS),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub members: Vec<MemberStatus>,

    /// What the operator is carrying out; absent when there is nothing to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "OperationStatus")]
    pub operation: Option<OperationStatus>,

    /// What holds now: `Ready`, `Reconciling`, `Stalled`, `RingConverged`, `Degraded`.
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"])
    )]
    pub conditions: Vec<Condition>,
}

/// Where clients reach a cluster, as `host:port`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Endpoints {
    /// For the Redis protocol, cluster mode.
    #[schemars(length(max = 320))]
    pub client: String,
    /// For the HTTP/JSON API.
    #[schemars(length(max = 320))]
    pub http: String,
}

/// Which ring document is current.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RingStatus {
    /// Its epoch.
    #[schemars(range(min = 1))]
    pub epoch: i64,
    /// Its checksum.
    #[schemars(length(max = 128))]
    pub checksum: String,
}

/// One member of the ring.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MemberStatus {
    /// Name of the node.
    #[schemars(length(max = 63))]
    pub name: String,
    /// What the ring document wants of it.
    pub state: MemberState,
    /// Whether it answers.
    pub ready: bool,
    /// Slots that it should own under the ring document.
    #[schemars(range(min = 0, max = 16384))]
    pub slots: i32,
}

/// The operation in progress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OperationStatus {
    /// Its kind, such as `ScaleOut`.
    #[serde(rename = "type")]
    #[schemars(length(max = 32))]
    pub type_: String,
    /// What it does, in words.
    #[schemars(length(max = 1024))]
    pub message: String,
    /// Slots that are not where they should be yet, rounded up to a power of two; absent if it is not about slots.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i32", range(min = 1, max = 16384))]
    pub slots_to_go: Option<i32>,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Time")]
    pub started_at: Option<Time>,
    /// When it last got any further: nodes came or went, a document was written, slots moved.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Time")]
    pub progressed_at: Option<Time>,
}

/// The types of conditions. All of them are always present.
pub mod condition {
    /// Every slot is owned by a node that answers.
    pub const READY: &str = "Ready";
    /// The operator is working towards the spec, or waits for nodes that are.
    pub const RECONCILING: &str = "Reconciling";
    /// It cannot go on without a person.
    pub const STALLED: &str = "Stalled";
    /// Every slot is owned by the node that should own it.
    pub const RING_CONVERGED: &str = "RingConverged";
    /// It serves, or not, and is not what it should be for longer than it should take: a person should look.
    pub const DEGRADED: &str = "Degraded";

    /// All of them, in the order in which they are reported.
    pub const ALL: [&str; 5] = [READY, RECONCILING, STALLED, RING_CONVERGED, DEGRADED];
}

/// The reasons of conditions, a closed list. A condition in progress carries the operation's name instead where it says so.
pub mod reason {
    /// Ready=True: every slot is owned by a node that answers.
    pub const SERVING: &str = "Serving";
    /// Ready=False: some slots have no owner that answers.
    pub const SLOTS_WITHOUT_OWNER: &str = "SlotsWithoutOwner";
    /// Ready=False: every slot has an owner that answers, but clients are not sent to any of them.
    pub const NO_ENDPOINT: &str = "NoEndpoint";
    /// Ready=False, RingConverged=False: there is no ring document yet.
    pub const NO_RING: &str = "NoRing";
    /// Ready=False, Reconciling=True: the cluster is being deleted.
    pub const DELETING: &str = "Deleting";
    /// RingConverged=True: every slot is where the ring document wants it.
    pub const CONVERGED: &str = "Converged";
    /// RingConverged=False: nodes hand slots over or adopt them.
    pub const MOVING: &str = "Moving";
    /// Reconciling=False: nothing to do.
    pub const STEADY: &str = "Steady";
    /// Reconciling=False: `paused` is true, and there is nothing to repair.
    pub const PAUSED: &str = "Paused";
    /// Reconciling=True: an operation is in progress; `status.operation` names it.
    pub const OPERATION_IN_PROGRESS: &str = "OperationInProgress";
    /// Reconciling=True: a call fails again and again; the message says which, and it is repeated.
    pub const FAILING: &str = "Failing";
    /// Stalled=True: an object of somebody else has a name that the cluster needs; the message names it.
    pub const NAME_CONFLICT: &str = "NameConflict";
    /// Degraded=True: fewer nodes take part than are wanted, and the others have been waited for; the message says why.
    pub const NODES_MISSING: &str = "NodesMissing";
    /// Degraded=True: the operation has got no further for ten minutes; the message says since when, and what it waits for.
    pub const NO_PROGRESS: &str = "NoProgress";
    /// Stalled=False, Degraded=False: nobody needs to do anything.
    pub const AS_EXPECTED: &str = "AsExpected";
    /// Stalled=True: the spec breaks a rule; the message names the field.
    pub const INVALID_SPEC: &str = "InvalidSpec";
    /// Stalled=True: the operator's own check refused its plan; a bug, nothing was changed.
    pub const PLAN_REFUSED: &str = "PlanRefused";

    /// All of them.
    pub const ALL: [&str; 17] = [
        SERVING,
        SLOTS_WITHOUT_OWNER,
        NO_ENDPOINT,
        NO_RING,
        DELETING,
        CONVERGED,
        MOVING,
        STEADY,
        PAUSED,
        OPERATION_IN_PROGRESS,
        FAILING,
        NAME_CONFLICT,
        NODES_MISSING,
        NO_PROGRESS,
        AS_EXPECTED,
        INVALID_SPEC,
        PLAN_REFUSED,
    ];
}

/// Readers fill in what a writer of another version left out, but the server must not: a default in the schema would put
/// fields into the status that no operator reported.
fn without_defaults(schema: &mut Schema) {
    let properties = schema.get_mut("properties").and_then(|p| p.as_object_mut());
    for property in properties.into_iter().flat_map(|p| p.values_mut()) {
        if let Some(property) = property.as_object_mut() {
            property.remove("default");
        }
    }
}
