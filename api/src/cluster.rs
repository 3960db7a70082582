//! The `CacheCluster` resource as users write it: fields, defaults, limits and rules.
#![expect(unreachable_pub, reason = "KubeSchema repeats the `pub struct` inside a function")]

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::{CustomResource, CustomResourceExt, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::status::CacheClusterStatus;

mod additions;
mod autoscaling;
mod disruption;
pub mod message;
mod parse;
mod pod;
mod service;

pub use additions::{
    DnsPolicy, MAX_ADDITIONS, MAX_ADDITIONS_BYTES, NODE_CONTAINER, OWN_VARIABLES, PodAdditions,
};
pub use autoscaling::{Autoscaling, MAX_SCALE_IN_DELAY_SECONDS, MAX_SCALE_OUT_DELAY_SECONDS};
pub use disruption::{Disruption, Evictions};
pub use parse::{ParseError, parse_yaml};
pub use pod::{
    Inherit, MAX_ENTRIES, MAX_IMAGE_BYTES, MAX_KEY_BYTES, MAX_OBJECT_NAME_BYTES, MAX_PULL_SECRETS,
    MAX_TOLERATION_SECONDS, MAX_VALUE_BYTES, Resources, Scheduling, Spread, TaintEffect,
    Toleration, TolerationOperator,
};
pub use service::{
    ExternalTrafficPolicy, MAX_ANNOTATION_BYTES, MAX_SERVICE_ANNOTATIONS, OWN_PREFIX, Service,
    ServiceType,
};

/// Fewest nodes.
pub const MIN_NODES: i32 = 1;
/// Most nodes; with one surge and leaving ones they fit [`MAX_MEMBERS`](crate::document::MAX_MEMBERS).
pub const MAX_NODES: i32 = 100;
/// Longest default time to live: a year of 365 days, in seconds.
pub const MAX_TTL_SECONDS: i32 = 31_536_000;
/// Largest share of a default time to live that jitter may take, in percent: above it entries would live for next to nothing.
pub const MAX_JITTER_PERCENT: i32 = 90;
/// Longest text of a quantity, in bytes; longer ones say nothing more.
pub const MAX_QUANTITY_BYTES: usize = 32;
/// Longest name of a cluster, in bytes: names of nodes, pods and services are made from it, at most 63 bytes each.
pub const MAX_NAME_BYTES: usize = 40;

/// A distributed cache: how many nodes, how much memory, and how long entries live.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "ringcache.dev",
    version = "v1alpha1",
    kind = "CacheCluster",
    doc = "A distributed cache whose nodes share 16384 hash slots.",
    namespaced,
    derive = "PartialEq",
    shortname = "rcc",
    category = "ringcache",
    status = "CacheClusterStatus",
    scale(
        spec_replicas_path = ".spec.nodes",
        status_replicas_path = ".status.nodes",
        label_selector_path = ".status.selector"
    ),
    printcolumn(name = "Nodes", type_ = "integer", json_path = ".spec.nodes", description = "Nodes wanted"),
    printcolumn(
        name = "Ready",
        type_ = "integer",
        json_path = ".status.readyNodes",
        description = "Nodes that answer and take part"
    ),
    printcolumn(
        name = "Status",
        type_ = "string",
        json_path = ".status.summary.state",
        description = "What matters most: why it is stalled, else whether it serves"
    ),
    printcolumn(
        name = "Operation",
        type_ = "string",
        json_path = ".status.operation.type",
        description = "What the operator is carrying out"
    ),
    printcolumn(
        name = "Memory",
        type_ = "string",
        json_path = ".spec.memory",
        description = "Memory of each node"
    ),
    printcolumn(
        name = "Version",
        type_ = "string",
        json_path = ".status.version",
        description = "Version that the nodes run"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Ring",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="RingConverged")].reason"#,
        description = "Whether every slot is where it should be",
        priority = 1
    ),
    printcolumn(
        name = "Epoch",
        type_ = "integer",
        json_path = ".status.ring.epoch",
        description = "Epoch of the ring document",
        priority = 1
    ),
    printcolumn(
        name = "Image",
        type_ = "string",
        json_path = ".status.image",
        description = "Image that new nodes get",
        priority = 1
    ),
    printcolumn(
        name = "Endpoint",
        type_ = "string",
        json_path = ".status.endpoints.client",
        description = "Where Redis cluster clients begin",
        priority = 1
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.summary.message",
        description = "What the status means, and what goes on",
        priority = 1
    ),
    validation = Rule::new("size(self.metadata.name) <= 40").message(message::NAME_LENGTH),
    validation = Rule::new("self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')")
        .message(message::NAME_LABEL)
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.autoscaling) || !has(oldSelf.autoscaling) || self.nodes == oldSelf.nodes")
        .message(message::AUTOSCALING_NODES)
)]
pub struct CacheClusterSpec {
    /// Number of cache nodes, 1 to 100. With `autoscaling` it is where the number starts, and where it returns to when that is removed.
    #[serde(default = "default_nodes")]
    #[schemars(range(min = MIN_NODES, max = MAX_NODES))]
    pub nodes: i32,

    /// By what the number of nodes follows the load; absent = it is `nodes`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub autoscaling: Option<Autoscaling>,

    /// Memory of each node, 64Mi to 1Ti: the limit of all that its process takes.
    #[serde(default = "default_memory")]
    #[schemars(extend("maxLength" = MAX_QUANTITY_BYTES))]
    #[x_kube(
        validation = Rule::new("isQuantity(string(self))").message(message::MEMORY_QUANTITY),
        validation = Rule::new("!isQuantity(string(self)) || quantity(string(self)).compareTo(quantity('64Mi')) >= 0")
            .message(message::MEMORY_MIN),
        validation = Rule::new("!isQuantity(string(self)) || quantity(string(self)).compareTo(quantity('1Ti')) <= 0")
            .message(message::MEMORY_MAX)
    )]
    pub memory: Quantity,

    /// How long entries live that are written without a time to live of their own.
    #[serde(default)]
    #[x_kube(
        validation = Rule::new("self.jitterPercent == 0 || self.defaultSeconds > 0")
            .message(message::JITTER_WITHOUT_TTL)
    )]
    pub ttl: Ttl,

    /// While true, changes of the spec wait, and a roll under way stops. Nodes that die are replaced all the same, and hosts are
    /// drained.
    #[serde(default)]
    pub paused: bool,

    /// Container image of the nodes; absent = the one that they run already, or the operator's own choice for a new cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MAX_IMAGE_BYTES))]
    #[x_kube(validation = Rule::new(r"self.matches('^[!-~]+$')").message(message::IMAGE))]
    pub image: Option<String>,

    /// Secrets with which the image is pulled, at most 8.
    #[serde(default)]
    #[schemars(
        length(max = MAX_PULL_SECRETS),
        inner(length(max = MAX_OBJECT_NAME_BYTES)),
        extend("x-kubernetes-list-type" = "set")
    )]
    #[x_kube(
        validation = Rule::new(format!("self.all(name, name.matches('{}'))", pod::NAME))
            .message(message::PULL_SECRET_NAMES)
    )]
    pub image_pull_secret_names: Vec<String>,

    /// CPU of each node.
    #[serde(default)]
    pub resources: Resources,

    /// Where the nodes may run.
    #[serde(default)]
    pub scheduling: Scheduling,

    /// What the nodes' pods get besides, as it stands in the spec of a pod.
    #[serde(default)]
    pub pod: PodAdditions,

    /// The Service that clients begin at.
    #[serde(default)]
    pub service: Service,

    /// How others than the operator may interrupt the nodes.
    #[serde(default)]
    pub disruption: Disruption,

    /// What the nodes' pods take over from this resource's metadata.
    #[serde(default)]
    pub inherit: Inherit,
}

/// Default time to live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ttl {
    /// Seconds that an entry lives if its writer did not say; 0 = until it is evicted.
    #[serde(default)]
    #[schemars(range(min = 0, max = MAX_TTL_SECONDS))]
    pub default_seconds: i32,

    /// Percent by which each default time to live is shortened at random at most, so that entries written together do not expire together.
    #[serde(default)]
    #[schemars(range(min = 0, max = MAX_JITTER_PERCENT))]
    pub jitter_percent: i32,
}

fn default_nodes() -> i32 {
    3
}

fn default_memory() -> Quantity {
    Quantity("256Mi".into())
}

impl Default for CacheClusterSpec {
    fn default() -> Self {
        Self {
            nodes: default_nodes(),
            autoscaling: None,
            memory: default_memory(),
            ttl: Ttl::default(),
            paused: false,
            image: None,
            image_pull_secret_names: Vec::new(),
            resources: Resources::default(),
            scheduling: Scheduling::default(),
            pod: PodAdditions::default(),
            service: Service::default(),
            disruption: Disruption::default(),
            inherit: Inherit::default(),
        }
    }
}

/// The custom resource definition as YAML, as it stands in `crds/`.
#[expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "Invariant: a JSON value is always YAML"
)]
pub fn crd_yaml() -> String {
    let yaml = serde_saphyr::to_string(&definition()).expect("a JSON value is always YAML");
    format!(
        "# Generated by `cargo xtask codegen` from the `ringcache-api` crate. Do not edit.\n{yaml}"
    )
}

/// The definition as an API server keeps it.
fn definition() -> Value {
    let mut definition = serde_json::to_value(CacheCluster::crd()).unwrap_or_default();
    normalise(&mut definition);
    definition
}

/// Takes out what the derive puts in against the conventions: `nullable` (null is not absent: nobody should write it) and
/// bounds of whole numbers as fractions (`100.0`).
fn normalise(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.remove("nullable");
            map.values_mut().for_each(normalise);
        }
        Value::Array(items) => items.iter_mut().for_each(normalise),
        Value::Number(number) => {
            if let Some(bound) = number.as_f64().filter(|b| number.is_f64() && b.fract() == 0.0) {
                *value = Value::from(bound as i64);
            }
        }
        _ => {}
    }
}
