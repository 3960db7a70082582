//! The Service that clients begin at: what of it is the user's choice.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::message;
use super::pod::{KEY, MAX_KEY_BYTES};

/// Most annotations of the Service.
pub const MAX_SERVICE_ANNOTATIONS: usize = 32;
/// Longest value of an annotation, in bytes: load balancers are given lists of subnets or tags in one.
pub const MAX_ANNOTATION_BYTES: usize = 4096;
/// What the keys of the operator's own annotations begin with.
pub const OWN_PREFIX: &str = "ringcache.dev/";

/// The Service that clients begin at. What is absent here is left as it is in the Service, whoever has set it there.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.loadBalancerClass) || (has(self.type) && self.type == 'LoadBalancer')")
        .message(message::SERVICE_CLASS),
    validation = Rule::new("!has(self.externalTrafficPolicy) || (has(self.type) && self.type != 'ClusterIP')")
        .message(message::SERVICE_POLICY),
    // Kubernetes refuses it in the Service.
    validation = Rule::new(
        "!has(self.type) || self.type != 'LoadBalancer' || !has(oldSelf.type) || oldSelf.type != 'LoadBalancer' \
         || (has(self.loadBalancerClass) ? self.loadBalancerClass : '') == (has(oldSelf.loadBalancerClass) ? oldSelf.loadBalancerClass : '')"
    )
    .message(message::SERVICE_CLASS_CHANGED)
)]
pub struct Service {
    /// How it is reached.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_: Option<ServiceType>,

    /// Annotations of the Service, such as those that configure a load balancer, at most 32.
    #[serde(default)]
    #[schemars(extend(
        "maxProperties" = MAX_SERVICE_ANNOTATIONS,
        "additionalProperties" = {"type": "string", "maxLength": MAX_ANNOTATION_BYTES}
    ))]
    #[x_kube(
        // The form of the keys is left to the operator: their length has no bound that the cost of a pattern could be told by.
        validation = Rule::new(format!("self.all(key, size(key) <= {MAX_KEY_BYTES})"))
            .message(message::SERVICE_ANNOTATIONS_FORM),
        validation = Rule::new(format!("!self.exists(key, key.startsWith('{OWN_PREFIX}'))"))
            .message(message::SERVICE_ANNOTATIONS_RESERVED)
    )]
    pub annotations: BTreeMap<String, String>,

    /// Which implementation provides the load balancer; absent = the default one. Fixed for as long as `type` is `LoadBalancer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MAX_KEY_BYTES))]
    #[x_kube(validation = Rule::new(format!("self.matches('{KEY}')")).message(message::SERVICE_CLASS_FORM))]
    pub load_balancer_class: Option<String>,

    /// Where connections from outside go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_traffic_policy: Option<ExternalTrafficPolicy>,
}

/// How the Service is reached; absent = `ClusterIP` in a new one. A load balancer alone lets no cluster client in from outside:
/// nodes answer `MOVED` with the addresses of pods, which the client must reach, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ServiceType {
    /// By an address inside of the Kubernetes cluster.
    #[serde(rename = "ClusterIP")]
    ClusterIp,
    /// Besides, by a port of every host.
    NodePort,
    /// Besides, by a load balancer.
    LoadBalancer,
}

/// Where connections go that come from outside by `NodePort` or `LoadBalancer`: `Cluster` = to any node, `Local` = to one on the host
/// that they arrive at, which then sees the client's own address. Absent = `Cluster` in a new Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ExternalTrafficPolicy {
    /// To any node.
    Cluster,
    /// To a node on the same host.
    Local,
}
