//! The pod of one cache node.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Capabilities, Container, ContainerPort, EnvVar, EnvVarSource, HTTPGetAction,
    LocalObjectReference, ObjectFieldSelector, Pod, PodSecurityContext, PodSpec, Probe,
    ResourceRequirements, SeccompProfile, SecurityContext, Toleration, TopologySpreadConstraint,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;
use ringcache_api::admin::Settings;
use ringcache_api::cluster::{Spread, TaintEffect, TolerationOperator};
use ringcache_api::{CacheCluster, Ports, cluster};
use ringcache_operator_core::Template;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::additions::with_additions;
use super::fingerprint::{fields, short};
use super::{meta, services};
use crate::hosts::ZONE;

/// Name of the container that the cache node runs in.
pub use ringcache_api::cluster::NODE_CONTAINER as CONTAINER;
/// The ports of every node.
pub const PORTS: Ports = Ports { resp: 6379, http: 8080, admin: 9400, bus: 16379 };
/// Time for another node to be started, in seconds, before there is anybody to hand over to.
const START_SECONDS: u64 = 60;
/// Bytes a second at which a node hands over at least.
const HANDOVER_RATE: u64 = 50_000_000;
/// So many seconds after it was told to end the pod of a node is gone, if there was nobody to hand over to.
const ENDED_SECONDS: i64 = 90;
/// How much earlier than the kubelet's patience the node's own ends, in seconds: it ends by itself, and is not killed.
const MARGIN_SECONDS: u64 = 5;

/// The pod of the node `name`, which comes after `failures` failed ones.
pub fn pod(
    cluster: &CacheCluster,
    name: &str,
    template: &Template,
    settings: Settings,
    failures: u32,
) -> Pod {
    let (mut labels, mut annotations) = meta::pod_labels_and_annotations(cluster);
    let hash = template_hash(template);
    labels.insert(meta::TEMPLATE_HASH.to_owned(), hash.clone());
    annotations.insert(meta::TEMPLATE.to_owned(), json!(template).to_string());
    annotations.insert(meta::FIELDS.to_owned(), json!(fields(&cluster.spec)).to_string());
    if failures > 0 {
        annotations.insert(meta::FAILURES.to_owned(), failures.to_string());
    }
    let metadata = ObjectMeta {
        labels: Some(labels),
        annotations: Some(annotations),
        ..meta::metadata(cluster, name)
    };
    let container = container(cluster, template, settings);
    let grace = grace_seconds(template.memory_bytes);
    let spec = with_additions(pod_spec(cluster, name, &hash, grace), container, &cluster.spec.pod);
    Pod { metadata, spec: Some(spec), status: None }
}

/// A short name for what a node is started as.
fn template_hash(template: &Template) -> String {
    short(Sha256::new().chain_update(json!(template).to_string()))
}

/// How long a node of so much memory may take to end, in seconds: until another one is there, and then to hand everything over. It ends
/// earlier when it holds nothing, and when nobody takes what it holds.
fn grace_seconds(memory_bytes: u64) -> u64 {
    START_SECONDS + memory_bytes.div_ceil(HANDOVER_RATE)
}

/// Whether the pod of a node of a deleted cluster should be gone by now: none of that cluster's nodes takes anything. The grace of a large
/// one is no measure, and one whose host is dead stays until the host is back.
pub fn is_overdue(metadata: &ObjectMeta, now: Timestamp) -> bool {
    let grace = metadata.deletion_grace_period_seconds.unwrap_or_default();
    let told_at = metadata.deletion_timestamp.as_ref().map(|due| due.0.as_second() - grace);
    told_at.is_some_and(|told_at| now.as_second() - told_at >= ENDED_SECONDS)
}

/// Whether the pod has the time that a node of so much memory needs to end. One that an operator of before created may not.
pub fn has_grace(pod: &Pod, memory_bytes: u64) -> bool {
    let seconds = pod.spec.as_ref().and_then(|spec| spec.termination_grace_period_seconds);
    seconds.and_then(|s| u64::try_from(s).ok()).is_some_and(|s| s >= grace_seconds(memory_bytes))
}

/// The pod without its containers.
fn pod_spec(cluster: &CacheCluster, name: &str, hash: &str, grace: u64) -> PodSpec {
    let scheduling = &cluster.spec.scheduling;
    let secret = |name: &String| LocalObjectReference { name: name.clone() };
    PodSpec {
        // That a container has ended is then a fact about this pod that nothing can undo. With `Always` the pod's status lags
        // behind restarts, and an old "terminated" could declare a new incarnation dead.
        restart_policy: Some("Never".to_owned()),
        termination_grace_period_seconds: i64::try_from(grace).ok(),
        hostname: Some(name.to_owned()),
        subdomain: Some(services::nodes_name(cluster)),
        // Nodes never call the API server.
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        security_context: Some(PodSecurityContext {
            // Which user is left to the image, or to the platform: OpenShift refuses one that is outside the namespace's range.
            run_as_non_root: Some(true),
            seccomp_profile: Some(SeccompProfile {
                type_: "RuntimeDefault".to_owned(),
                ..SeccompProfile::default()
            }),
            ..PodSecurityContext::default()
        }),
        image_pull_secrets: some(cluster.spec.image_pull_secret_names.iter().map(secret).collect()),
        node_selector: Some(scheduling.node_selector.clone()).filter(|labels| !labels.is_empty()),
        tolerations: some(scheduling.tolerations.iter().map(toleration).collect()),
        priority_class_name: scheduling.priority_class_name.clone(),
        topology_spread_constraints: some(
            [
                spread(cluster, hash, ZONE, scheduling.zone_spread),
                spread(cluster, hash, "kubernetes.io/hostname", scheduling.host_spread),
            ]
            .into_iter()
            .flatten()
            .collect(),
        ),
        ..PodSpec::default()
    }
}

/// An empty list is left out, as the API server does.
pub(super) fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    Some(list).filter(|list| !list.is_empty())
}

fn toleration(toleration: &cluster::Toleration) -> Toleration {
    let cluster::Toleration { key, operator, value, effect, toleration_seconds } = toleration;
    let operator = match operator {
        TolerationOperator::Equal => "Equal",
        TolerationOperator::Exists => "Exists",
    };
    let effect = effect.map(|effect| match effect {
        TaintEffect::NoSchedule => "NoSchedule",
        TaintEffect::PreferNoSchedule => "PreferNoSchedule",
        TaintEffect::NoExecute => "NoExecute",
    });
    Toleration {
        key: key.clone(),
        operator: Some(operator.to_owned()),
        value: value.clone(),
        effect: effect.map(str::to_owned),
        toleration_seconds: *toleration_seconds,
    }
}

/// Only nodes that were started alike are counted, as a Deployment does it: those that a roll is about to replace would
/// otherwise say where their successors go, and the last ones of a roll would end up side by side.
fn spread(
    cluster: &CacheCluster,
    hash: &str,
    key: &str,
    spread: Spread,
) -> Option<TopologySpreadConstraint> {
    let when_unsatisfiable = match spread {
        Spread::Preferred => "ScheduleAnyway",
        Spread::Required => "DoNotSchedule",
        Spread::Disabled => return None,
    };
    let mut alike = meta::selector(cluster);
    alike.insert(meta::TEMPLATE_HASH.to_owned(), hash.to_owned());
    Some(TopologySpreadConstraint {
        topology_key: key.to_owned(),
        max_skew: 1,
        when_unsatisfiable: when_unsatisfiable.to_owned(),
        label_selector: Some(LabelSelector {
            match_labels: Some(alike),
            ..LabelSelector::default()
        }),
        // A cordoned host counts for nothing: its emptiness would otherwise keep the surge pod of a drain from starting.
        node_taints_policy: Some("Honor".to_owned()),
        ..TopologySpreadConstraint::default()
    })
}

fn container(cluster: &CacheCluster, template: &Template, settings: Settings) -> Container {
    Container {
        name: CONTAINER.to_owned(),
        image: Some(template.program.clone()),
        image_pull_policy: Some("IfNotPresent".to_owned()),
        env: Some(env(cluster, template, settings)),
        ports: Some(ports()),
        resources: Some(resources(cluster, template)),
        // Not ready = no clients are sent to it, and it may be evicted with all that it holds: with the usual second to answer, a
        // node that is short of CPU during a handover would be. The ring decides about slots.
        readiness_probe: Some(Probe {
            period_seconds: Some(2),
            timeout_seconds: Some(5),
            ..probe("/readyz")
        }),
        // A node that is killed loses its data: only one that has been stuck for a minute is.
        liveness_probe: Some(Probe {
            period_seconds: Some(10),
            timeout_seconds: Some(5),
            failure_threshold: Some(6),
            ..probe("/healthz")
        }),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            capabilities: Some(Capabilities {
                drop: Some(vec!["ALL".to_owned()]),
                ..Capabilities::default()
            }),
            read_only_root_filesystem: Some(true),
            ..SecurityContext::default()
        }),
        ..Container::default()
    }
}

fn env(cluster: &CacheCluster, template: &Template, settings: Settings) -> Vec<EnvVar> {
    let field = |name: &str, path: &str| EnvVar {
        name: name.to_owned(),
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector {
                field_path: path.to_owned(),
                ..ObjectFieldSelector::default()
            }),
            ..EnvVarSource::default()
        }),
        ..EnvVar::default()
    };
    let value = |name: &str, value: String| EnvVar {
        name: name.to_owned(),
        value: Some(value),
        ..EnvVar::default()
    };
    let Settings { ttl_default_seconds, ttl_jitter_percent } = settings;
    vec![
        field("RINGCACHE_NAME", "metadata.name"),
        field("RINGCACHE_UID", "metadata.uid"),
        value("RINGCACHE_CLUSTER_UID", cluster.uid().unwrap_or_default()),
        value("RINGCACHE_MEMORY_BYTES", template.memory_bytes.to_string()),
        value("RINGCACHE_BIND", "::".to_owned()),
        value("RINGCACHE_TTL_DEFAULT_SECONDS", ttl_default_seconds.to_string()),
        value("RINGCACHE_TTL_JITTER_PERCENT", ttl_jitter_percent.to_string()),
        value(
            "RINGCACHE_GRACE_SECONDS",
            (grace_seconds(template.memory_bytes) - MARGIN_SECONDS).to_string(),
        ),
    ]
}

fn ports() -> Vec<ContainerPort> {
    let Ports { resp, http, admin, bus } = PORTS;
    let port = |(name, number): (&str, u16)| ContainerPort {
        name: Some(name.to_owned()),
        container_port: number.into(),
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    };
    [("resp", resp), ("http", http), ("admin", admin), ("bus", bus)].map(port).into()
}

fn resources(cluster: &CacheCluster, template: &Template) -> ResourceRequirements {
    let cluster::Resources { cpu_request, cpu_limit } = &cluster.spec.resources;
    let memory = Quantity(format!("{}Mi", pod_memory_mebibytes(template.memory_bytes)));
    let memory = ("memory".to_owned(), memory);
    let cpu = |quantity: &Quantity| ("cpu".to_owned(), quantity.clone());
    let requests = BTreeMap::from([cpu(cpu_request), memory.clone()]);
    let limits = cpu_limit.iter().map(cpu).chain([memory]).collect();
    ResourceRequirements {
        requests: Some(requests),
        limits: Some(limits),
        ..ResourceRequirements::default()
    }
}

/// Memory of the pod in MiB: a node keeps itself within its limit x 1.10; the rest is for what the kernel counts to it besides, above
/// all socket buffers. Request and limit are the same: a cache that is pushed out of memory by its neighbours is no cache.
fn pod_memory_mebibytes(memory_bytes: u64) -> u64 {
    let with_slack = u128::from(memory_bytes) * 11 / 10 + (32 << 20);
    u64::try_from(with_slack.div_ceil(1 << 20)).unwrap_or(u64::MAX)
}

/// No `host`: it would let a pod make the kubelet call any address, and restricted Pod Security refuses it.
fn probe(path: &str) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String("admin".to_owned()),
            scheme: Some("HTTP".to_owned()),
            ..HTTPGetAction::default()
        }),
        ..Probe::default()
    }
}

#[cfg(test)]
mod tests {
    use super::pod_memory_mebibytes;

    #[test]
    fn pods_have_the_memory_that_the_page_about_sizing_says() {
        let page = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/sizing.md"));
        let (_, table) = page.split_once("| `spec.memory` | the pod |\n| --- | --- |\n").unwrap();
        let mebibytes = |text: &str| -> u64 {
            let in_gibibytes = text.strip_suffix("Gi").map(|n| n.parse::<u64>().unwrap() << 10);
            in_gibibytes.unwrap_or_else(|| text.strip_suffix("Mi").unwrap().parse().unwrap())
        };
        let rows: Vec<(u64, u64)> = table
            .lines()
            .map_while(|line| line.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | "))
            .map(|(memory, pod)| (mebibytes(memory), mebibytes(pod)))
            .collect();
        assert_eq!(rows.len(), 4);
        for (memory, pod) in rows {
            assert_eq!(pod_memory_mebibytes(memory << 20), pod, "{memory}Mi");
        }
    }
}
