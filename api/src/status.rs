//! What the operator reports in a `CacheCluster`: numbers, members and conditions.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use crate::cluster::MAX_IMAGE_BYTES;
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

    /// Image that new nodes get: the one of the spec, else the one that most nodes run, else the operator's own choice. Of nodes
    /// without an image the version of their program.
    #[schemars(length(max = MAX_IMAGE_BYTES))]
    pub image: String,

    /// Version that the members run which answer; where they differ all versions, the oldest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(max = 64))]
    pub version: Option<String>,

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

    /// How the number of nodes follows the load; absent without `spec.autoscaling`, once the number is back to `spec.nodes`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "AutoscalingStatus")]
    pub autoscaling: Option<AutoscalingStatus>,

    /// What was lost last with nodes that ended while they held slots; absent if that has not happened yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "LostEntries")]
    pub lost_entries: Option<LostEntries>,

    /// The rest of the status in a word and a sentence, for tables. Programs read the conditions.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Summary")]
    pub summary: Option<Summary>,

    /// What holds now: `Ready`, `Reconciling`, `Stalled`, `RingConverged`, `Degraded`, `UpToDate`, `EntriesLost`, and
    /// `AutoscalingActive` where something scales the cluster.
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
    /// Version of its program; absent while it does not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(max = 64))]
    pub version: Option<String>,
    /// Slots that it should own under the ring document.
    #[schemars(range(min = 0, max = 16384))]
    pub slots: i32,
}

/// How the number of nodes follows the load.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AutoscalingStatus {
    /// The number of nodes in force, in place of `spec.nodes`.
    #[schemars(range(min = 1))]
    pub nodes: i32,
    /// The number that the targets ask for; absent while it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i32", range(min = 1))]
    pub wanted_nodes: Option<i32>,
    /// The last change that a hit ratio was predicted for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "AutoscalingStep")]
    pub last_step: Option<AutoscalingStep>,
}

/// A change of the number of nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AutoscalingStep {
    /// The number before.
    #[schemars(range(min = 1))]
    pub from_nodes: i32,
    /// The number after.
    #[schemars(range(min = 1))]
    pub to_nodes: i32,
    /// When it changed.
    pub at: Time,
    /// Percent of the reads that were predicted to be hits, with one decimal.
    #[schemars(length(max = 8))]
    pub predicted_hit_percent: String,
    /// Percent of the reads that then were, with one decimal; absent until that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(max = 8))]
    pub measured_hit_percent: Option<String>,
}

/// A status for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// The reason of the condition that matters most: of `Stalled` if it is true, else of `Reconciling` if calls fail, else of
    /// `Ready` if it is false, else of `Degraded` if it is true, else that the cluster is paused, or of `Ready`.
    #[schemars(length(max = 64))]
    pub state: String,
    /// What it means, and what goes on.
    #[schemars(length(max = 1024))]
    pub message: String,
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i32", range(min = 1, max = 16384))]
    pub slots_to_go: Option<i32>,
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Time")]
    pub started_at: Option<Time>,
    /// When it last got any further: nodes came or went, a document was written, slots moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Time")]
    pub progressed_at: Option<Time>,
}

/// What was lost with nodes that ended while they held slots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LostEntries {
    /// When the operator gave the nodes up.
    pub at: Time,
    /// The names of the nodes.
    #[schemars(
        length(max = MAX_MEMBERS),
        inner(length(max = 63)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub nodes: Vec<String>,
    /// Slots that they held and nobody else has.
    #[schemars(range(min = 1, max = 16384))]
    pub slots: i32,
    /// Entries that they had when they were last asked; absent if the operator has not asked all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64", range(min = 0))]
    pub entries: Option<i64>,
    /// When they were asked: what was written or expired after that is not counted. A cluster where nothing happens is looked at every few
    /// minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_at: Option<Time>,
}

/// The types of conditions. All of them are always present, but for `AutoscalingActive`.
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

    /// Every node that answers is of the operator's version and as the spec wants it.
    pub const UP_TO_DATE: &str = "UpToDate";

    /// Within the last day nodes ended while they held slots; `status.lostEntries` has the last time.
    pub const ENTRIES_LOST: &str = "EntriesLost";

    /// The number of nodes follows the load; present where something scales the cluster, or has until it is back at `spec.nodes`.
    pub const AUTOSCALING_ACTIVE: &str = "AutoscalingActive";

    /// Those that are always present, in the order in which they are reported.
    pub const ALWAYS: [&str; 7] =
        [READY, RECONCILING, STALLED, RING_CONVERGED, DEGRADED, UP_TO_DATE, ENTRIES_LOST];
    /// All of them, in the order in which they are reported.
    pub const ALL: [&str; 8] = [
        READY,
        RECONCILING,
        STALLED,
        RING_CONVERGED,
        DEGRADED,
        UP_TO_DATE,
        ENTRIES_LOST,
        AUTOSCALING_ACTIVE,
    ];
}

/// The reasons of conditions, a closed list. A condition in progress carries the operation's name instead where it says so.
pub mod reason {
    /// Ready=True: every slot is owned by a node that answers.
    pub const SERVING: &str = "Serving";
    /// Ready=False: some slots have no owner that answers.
    pub const SLOTS_WITHOUT_OWNER: &str = "SlotsWithoutOwner";
    /// Ready=False: every slot has an owner that answers, but clients are not sent to any of them.
    pub const NO_ENDPOINT: &str = "NoEndpoint";
    /// Ready=False, RingConverged=False: there is no ring document yet, or no node of it is left.
    pub const NO_RING: &str = "NoRing";
    /// Ready=False: there is no ring document yet, and nodes for one cannot be started; the message says why.
    pub const NODES_CANNOT_START: &str = "NodesCannotStart";
    /// Ready=False, Reconciling=True: the cluster is being deleted.
    pub const DELETING: &str = "Deleting";
    /// RingConverged=True: every slot is where the ring document wants it.
    pub const CONVERGED: &str = "Converged";
    /// RingConverged=False: nodes hand slots over or adopt them.
    pub const MOVING: &str = "Moving";
    /// Reconciling=False: nothing to do.
    pub const STEADY: &str = "Steady";
    /// Reconciling=False: `paused` is true, and there is nothing to repair. UpToDate=False: `paused` holds changes of the spec back that
    /// need other nodes; the message names them.
    pub const PAUSED: &str = "Paused";
    /// Reconciling=True: an operation is in progress; `status.operation` names it.
    pub const OPERATION_IN_PROGRESS: &str = "OperationInProgress";
    /// Reconciling=True: a call fails again and again; the message says which, and it is repeated.
    pub const FAILING: &str = "Failing";
    /// Stalled=True: an object of somebody else has a name that the cluster needs; the message names it. Reconciling=False: there is
    /// nothing else to do.
    pub const NAME_CONFLICT: &str = "NameConflict";
    /// Degraded=True: fewer nodes take part than are wanted, and the others have been waited for; the message says why.
    pub const NODES_MISSING: &str = "NodesMissing";
    /// Degraded=True: the operation has got no further for ten minutes; the message says since when, and what it waits for.
    pub const NO_PROGRESS: &str = "NoProgress";
    /// EntriesLost=True: nodes ended while they held slots; the message says when, and what they held.
    pub const NODES_ENDED: &str = "NodesEnded";
    /// Stalled=False, Degraded=False, EntriesLost=False: nobody needs to do anything.
    pub const AS_EXPECTED: &str = "AsExpected";
    /// Stalled=True: the spec breaks a rule; the message names the field.
    pub const INVALID_SPEC: &str = "InvalidSpec";
    /// Stalled=True: the operator's own check refused its plan; a bug, nothing was changed.
    pub const PLAN_REFUSED: &str = "PlanRefused";

    /// UpToDate=True: every node that answers is of the operator's version and as the spec wants it.
    pub const UP_TO_DATE: &str = "UpToDate";
    /// UpToDate=False: nodes were started as something else than the spec wants, and are to be replaced.
    pub const ROLLING_OUT: &str = "RollingOut";
    /// UpToDate=False: the spec uses a setting that nodes do not know.
    pub const SETTING_UNKNOWN: &str = "SettingUnknown";
    /// UpToDate=False: nodes are of an older version than the operator.
    pub const OLDER_NODES: &str = "OlderNodes";
    /// UpToDate=False: nodes are of a newer version than the operator.
    pub const NEWER_NODES: &str = "NewerNodes";
    /// UpToDate=False: no node answers, so nobody knows what runs.
    pub const NO_ANSWER: &str = "NoAnswer";

    /// AutoscalingActive=True: the number of nodes is what the targets ask for.
    pub const AS_WANTED: &str = "AsWanted";
    /// AutoscalingActive=True: the targets ask for another number; it changes after the delay, and when nothing else is under way.
    pub const CHANGE_DUE: &str = "ChangeDue";
    /// AutoscalingActive=True: fewer nodes would meet the targets, but one less would cost more hits than is allowed.
    pub const HELD_BY_MISS_BUDGET: &str = "HeldByMissBudget";
    /// AutoscalingActive=True: a target needs more nodes than are allowed, or no number of nodes reaches the hit ratio; the message says which.
    pub const TARGET_OUT_OF_REACH: &str = "TargetOutOfReach";
    /// AutoscalingActive=False: nothing is read, or nodes do not tell what they have measured.
    pub const NOTHING_MEASURED: &str = "NothingMeasured";
    /// AutoscalingActive=False: two changes in a row had another hit ratio than was predicted. An edit of `autoscaling` begins anew.
    pub const PREDICTIONS_FAILED: &str = "PredictionsFailed";
    /// AutoscalingActive=False: `autoscaling` was removed, and the number of nodes returns to `spec.nodes`.
    pub const AUTOSCALING_REMOVED: &str = "AutoscalingRemoved";

    /// All of them.
    pub const ALL: [&str; 32] = [
        SERVING,
        SLOTS_WITHOUT_OWNER,
        NO_ENDPOINT,
        NO_RING,
        NODES_CANNOT_START,
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
        NODES_ENDED,
        AS_EXPECTED,
        INVALID_SPEC,
        PLAN_REFUSED,
        UP_TO_DATE,
        ROLLING_OUT,
        SETTING_UNKNOWN,
        OLDER_NODES,
        NEWER_NODES,
        NO_ANSWER,
        AS_WANTED,
        CHANGE_DUE,
        HELD_BY_MISS_BUDGET,
        TARGET_OUT_OF_REACH,
        NOTHING_MEASURED,
        PREDICTIONS_FAILED,
        AUTOSCALING_REMOVED,
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
