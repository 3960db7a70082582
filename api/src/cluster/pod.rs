//! What a cluster's nodes run as in Kubernetes: image, CPU, where they may run, and what their pods carry besides.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{MAX_QUANTITY_BYTES, message};

/// Longest name of a container image, in bytes.
pub const MAX_IMAGE_BYTES: usize = 512;
/// Most image pull secrets.
pub const MAX_PULL_SECRETS: usize = 8;
/// Longest name of an object, in bytes: a DNS subdomain.
pub const MAX_OBJECT_NAME_BYTES: usize = 253;
/// Longest key of a label, annotation or taint, in bytes: a DNS subdomain, `/` and a name of 63.
pub const MAX_KEY_BYTES: usize = 317;
/// Longest value of a label or taint, in bytes.
pub const MAX_VALUE_BYTES: usize = 63;
/// Most entries of a node selector, most tolerations, and most keys of each kind that pods inherit.
pub const MAX_ENTRIES: usize = 16;
/// Longest time that a toleration lasts, in seconds: a year of 365 days.
pub const MAX_TOLERATION_SECONDS: i64 = 31_536_000;

/// Names of objects: DNS subdomains.
pub(super) const NAME: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
/// Keys of labels, annotations and taints.
pub(super) const KEY: &str = "^([a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$";
/// Values of labels and taints.
const VALUE: &str = "^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$";
/// Keys that Kubernetes and this operator decide by.
const RESERVED: &str = "^([^/]*[.])?(ringcache[.]dev|kubernetes[.]io|k8s[.]io)/";

/// CPU of each node. Its memory is `spec.memory`.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.cpuLimit) || !isQuantity(string(self.cpuLimit)) || !isQuantity(string(self.cpuRequest)) || quantity(string(self.cpuRequest)).compareTo(quantity(string(self.cpuLimit))) <= 0")
        .message(message::CPU_LIMIT_BELOW_REQUEST)
)]
pub struct Resources {
    /// CPU that is set aside for each node, 1m to 1024.
    #[serde(default = "default_cpu_request")]
    #[schemars(extend("maxLength" = MAX_QUANTITY_BYTES))]
    #[x_kube(
        validation = Rule::new("isQuantity(string(self))").message(message::CPU_REQUEST_QUANTITY),
        validation = Rule::new("!isQuantity(string(self)) || (quantity(string(self)).compareTo(quantity('1m')) >= 0 && quantity(string(self)).compareTo(quantity('1024')) <= 0)")
            .message(message::CPU_REQUEST_RANGE)
    )]
    pub cpu_request: Quantity,

    /// CPU that each node may use at most, up to 1024; absent = no limit, which spares the nodes throttling.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("maxLength" = MAX_QUANTITY_BYTES))]
    #[x_kube(
        validation = Rule::new("isQuantity(string(self))").message(message::CPU_LIMIT_QUANTITY),
        validation = Rule::new("!isQuantity(string(self)) || quantity(string(self)).compareTo(quantity('1024')) <= 0")
            .message(message::CPU_LIMIT_MAX)
    )]
    pub cpu_limit: Option<Quantity>,
}

fn default_cpu_request() -> Quantity {
    Quantity("100m".into())
}

impl Default for Resources {
    fn default() -> Self {
        Self { cpu_request: default_cpu_request(), cpu_limit: None }
    }
}

/// Where the nodes may run.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Scheduling {
    /// Labels that a host must have, at most 16.
    #[serde(default)]
    #[schemars(extend(
        "maxProperties" = MAX_ENTRIES,
        "additionalProperties" = {"type": "string", "maxLength": MAX_VALUE_BYTES}
    ))]
    #[x_kube(
        // The form of the keys is left to the operator: their length has no bound that the cost of a pattern could be told by.
        validation = Rule::new(format!("self.all(key, size(key) <= {MAX_KEY_BYTES} && self[key].matches('{VALUE}'))"))
            .message(message::NODE_SELECTOR_FORM)
    )]
    pub node_selector: BTreeMap<String, String>,

    /// Taints of hosts that the nodes tolerate, at most 16.
    #[serde(default)]
    #[schemars(length(max = MAX_ENTRIES), extend("x-kubernetes-list-type" = "atomic"))]
    pub tolerations: Vec<Toleration>,

    /// Spreading over zones (`topology.kubernetes.io/zone`): `Preferred` = as far as there is room, `Required` = a node that
    /// cannot be spread is not started, `Disabled` = wherever there is room.
    #[serde(default)]
    pub zone_spread: Spread,

    /// Spreading over hosts (`kubernetes.io/hostname`), with the same choices.
    #[serde(default)]
    pub host_spread: Spread,

    /// Name of the nodes' `PriorityClass`; absent = the cluster's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MAX_OBJECT_NAME_BYTES))]
    #[x_kube(
        validation = Rule::new(format!("self.matches('{NAME}')"))
            .message(message::PRIORITY_CLASS_NAME)
    )]
    pub priority_class_name: Option<String>,
}

/// How strictly the nodes are kept apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Spread {
    /// As far as there is room.
    #[default]
    Preferred,
    /// A node that cannot be spread is not started.
    Required,
    /// Nodes run wherever there is room.
    Disabled,
}

/// A taint of hosts that the nodes tolerate, as in the specs of pods.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.key) || self.operator == 'Exists'").message(message::TOLERATION_KEY),
    validation = Rule::new("!has(self.value) || self.operator == 'Equal'").message(message::TOLERATION_VALUE),
    validation = Rule::new("!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')")
        .message(message::TOLERATION_SECONDS)
)]
pub struct Toleration {
    /// Key of the taint; absent = all keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MAX_KEY_BYTES))]
    #[x_kube(
        validation = Rule::new(format!("self.matches('{KEY}')"))
            .message(message::TOLERATION_KEY_FORM)
    )]
    pub key: Option<String>,

    /// How `value` is compared.
    #[serde(default)]
    pub operator: TolerationOperator,

    /// Value of the taint, for `Equal`; absent = the empty one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MAX_VALUE_BYTES))]
    #[x_kube(validation = Rule::new(format!("self.matches('{VALUE}')")).message(message::TOLERATION_VALUE_FORM))]
    pub value: Option<String>,

    /// Effect of the taint; absent = all effects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effect: Option<TaintEffect>,

    /// Seconds after which the taint is no longer tolerated, for `NoExecute`; absent = for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = MAX_TOLERATION_SECONDS))]
    pub toleration_seconds: Option<i64>,
}

/// How a toleration compares values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TolerationOperator {
    /// The taint has this value.
    #[default]
    Equal,
    /// Any value will do.
    Exists,
}

/// What a taint does to pods that do not tolerate it; absent in a toleration = all effects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TaintEffect {
    /// They do not start there.
    NoSchedule,
    /// They start there only if there is no other room.
    PreferNoSchedule,
    /// They do not start there, and those that run end.
    NoExecute,
}

/// Keys of the resource's own metadata that its pods carry, too.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Inherit {
    /// Keys of labels, at most 16.
    #[serde(default)]
    #[schemars(
        length(max = MAX_ENTRIES),
        inner(length(max = MAX_KEY_BYTES)),
        extend("x-kubernetes-list-type" = "set")
    )]
    #[x_kube(
        validation = Rule::new(format!("self.all(key, key.matches('{KEY}'))"))
            .message(message::INHERIT_LABELS_FORM),
        validation = Rule::new(format!("!self.exists(key, key.matches('{RESERVED}'))"))
            .message(message::INHERIT_LABELS_RESERVED)
    )]
    pub labels: Vec<String>,

    /// Keys of annotations, at most 16.
    #[serde(default)]
    #[schemars(
        length(max = MAX_ENTRIES),
        inner(length(max = MAX_KEY_BYTES)),
        extend("x-kubernetes-list-type" = "set")
    )]
    #[x_kube(
        validation = Rule::new(format!("self.all(key, key.matches('{KEY}'))"))
            .message(message::INHERIT_ANNOTATIONS_FORM),
        validation = Rule::new(format!("!self.exists(key, key.matches('{RESERVED}'))"))
            .message(message::INHERIT_ANNOTATIONS_RESERVED)
    )]
    pub annotations: Vec<String>,
}
