//! What users add to the nodes' pods beyond the fields that we model.
//!
//! It is a list of fields whose content is as in the spec of a pod. Nothing in it can say what another field of the spec says, or what
//! the operator decides (program, ports, probes, memory, labels, security context, grace), so nothing has to be merged, and the API
//! server refuses the rest as unknown.

use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::message;
use super::pod::{MAX_OBJECT_NAME_BYTES, NAME};

/// Name of the container that the cache node runs in.
pub const NODE_CONTAINER: &str = "cache-node";
/// What the names of the environment variables begin with that the operator gives to cache nodes.
pub const OWN_VARIABLES: &str = "RINGCACHE_";
/// Most entries of each list.
pub const MAX_ADDITIONS: usize = 32;
/// Most bytes of all additions, as JSON: what is carried out is recorded in an annotation.
pub const MAX_ADDITIONS_BYTES: usize = 32_768;
/// Longest path of a mount, in bytes.
const MAX_PATH_BYTES: usize = 1024;

/// What the nodes' pods get besides, as it stands in the spec of a pod. A change replaces the nodes one by one.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PodAdditions {
    /// Affinity and anti-affinity, beside `scheduling`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "verbatim")]
    pub affinity: Option<Value>,

    /// Name of the scheduler that places the pods; absent = the default one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(max = MAX_OBJECT_NAME_BYTES))]
    #[x_kube(validation = Rule::new(format!("self.matches('{NAME}')")).message(message::POD_NAMES))]
    pub scheduler_name: Option<String>,

    /// Name of the `RuntimeClass` that the pods run with; absent = the default one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(max = MAX_OBJECT_NAME_BYTES))]
    #[x_kube(validation = Rule::new(format!("self.matches('{NAME}')")).message(message::POD_NAMES))]
    pub runtime_class_name: Option<String>,

    /// Name of the `ServiceAccount` that the pods run as; absent = `default`. No token of it is mounted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(max = MAX_OBJECT_NAME_BYTES))]
    #[x_kube(validation = Rule::new(format!("self.matches('{NAME}')")).message(message::POD_NAMES))]
    pub service_account_name: Option<String>,

    /// How names are resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns_policy: Option<DnsPolicy>,

    /// Name servers, search domains and options of the resolver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "verbatim")]
    pub dns_config: Option<Value>,

    /// Lines of the pods' hosts file, at most 32.
    #[serde(default)]
    #[schemars(schema_with = "host_aliases")]
    pub host_aliases: Vec<Value>,

    /// Environment variables of the cache node's container, at most 32.
    #[serde(default)]
    #[schemars(schema_with = "env")]
    #[x_kube(
        validation = Rule::new(format!("!self.exists(variable, variable.name.startsWith('{OWN_VARIABLES}'))"))
            .message(message::POD_ENV_RESERVED)
    )]
    pub env: Vec<Value>,

    /// Volumes, at most 32.
    #[serde(default)]
    #[schemars(schema_with = "named")]
    pub volumes: Vec<Value>,

    /// Where volumes appear in the cache node's container, at most 32.
    #[serde(default)]
    #[schemars(schema_with = "volume_mounts")]
    pub volume_mounts: Vec<Value>,

    /// Containers that end, or with `restartPolicy: Always` start, before the cache node, at most 32.
    #[serde(default)]
    #[schemars(schema_with = "named")]
    #[x_kube(
        validation = Rule::new(format!("!self.exists(container, container.name == '{NODE_CONTAINER}')"))
            .message(message::POD_CONTAINERS_RESERVED)
    )]
    pub init_containers: Vec<Value>,

    /// Containers beside the cache node, at most 32.
    #[serde(default)]
    #[schemars(schema_with = "named")]
    #[x_kube(
        validation = Rule::new(format!("!self.exists(container, container.name == '{NODE_CONTAINER}')"))
            .message(message::POD_CONTAINERS_RESERVED)
    )]
    pub containers: Vec<Value>,
}

/// How names are resolved in a pod; absent = `ClusterFirst`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DnsPolicy {
    /// By the Kubernetes cluster's DNS.
    ClusterFirst,
    /// The same, also in the network of the host.
    ClusterFirstWithHostNet,
    /// As the host does.
    Default,
    /// As `dnsConfig` says, and by nothing else.
    None,
}

fn verbatim(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

/// A list of what has a key and beside it whatever a pod's spec has there.
fn keyed(key: &'static str, meaning: &'static str, max_bytes: usize) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": MAX_ADDITIONS,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": [key],
        "items": {
            "description": "As in the spec of a pod.",
            "type": "object",
            "properties": {key: {"description": meaning, "type": "string", "maxLength": max_bytes}},
            "required": [key],
            "x-kubernetes-preserve-unknown-fields": true
        }
    })
}

fn named(_: &mut SchemaGenerator) -> Schema {
    keyed("name", "Its name.", 63)
}

fn env(_: &mut SchemaGenerator) -> Schema {
    keyed("name", "Its name.", MAX_OBJECT_NAME_BYTES)
}

fn volume_mounts(_: &mut SchemaGenerator) -> Schema {
    keyed("mountPath", "Path within the container.", MAX_PATH_BYTES)
}

fn host_aliases(_: &mut SchemaGenerator) -> Schema {
    keyed("ip", "Address of the host.", 45)
}
