//! One look at a cluster: its `CacheCluster` and its pods, and what can be said about them.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use ringcache_api::CacheCluster;
use ringcache_api::status::condition;

/// A `CacheCluster` and the pods that carry its label, read one after the other.
#[derive(Clone, Debug)]
pub struct View {
    /// The resource.
    pub cluster: CacheCluster,
    /// Its pods, by name.
    pub pods: Vec<Pod>,
}

impl View {
    /// Ok if it has exactly that many nodes, all of them ready, and the operator has nothing left to do; else why not.
    pub fn settled(&self, nodes: usize) -> Result<(), String> {
        let Some(status) = &self.cluster.status else { return Err("no status yet".into()) };
        let generation = self.cluster.metadata.generation.unwrap_or_default();
        if status.observed_generation != generation {
            return Err(format!("generation {generation} has not been observed yet"));
        }
        let wanted = [
            (condition::READY, "True"),
            (condition::RECONCILING, "False"),
            (condition::STALLED, "False"),
            (condition::RING_CONVERGED, "True"),
        ];
        for (type_, wanted) in wanted {
            let found = status.conditions.iter().find(|condition| condition.type_ == type_);
            let Some(found) = found else { return Err(format!("no condition {type_} yet")) };
            if found.status != wanted {
                return Err(format!("{type_} is {}: {}", found.status, found.message));
            }
        }
        let counts = [
            ("nodes", status.nodes),
            ("ready nodes", status.ready_nodes),
            ("members", count(status.members.len())),
            ("pods", count(self.pods.len())),
        ];
        match counts.iter().find(|(_, found)| *found != count(nodes)) {
            Some((what, count)) => Err(format!("{count} {what} instead of {nodes}")),
            None => Ok(()),
        }
    }

    /// Ok if that condition has that status and reason; else what it has.
    pub fn has(&self, type_: &str, status: &str, reason: &str) -> Result<(), String> {
        let mut conditions = self.cluster.status.iter().flat_map(|status| &status.conditions);
        let found = conditions.find(|condition| condition.type_ == type_);
        let Some(found) = found else { return Err(format!("no condition {type_} yet")) };
        if (found.status.as_str(), found.reason.as_str()) == (status, reason) {
            return Ok(());
        }
        Err(format!("{type_} is {} ({}): {}", found.status, found.reason, found.message))
    }

    /// Uids of the pods.
    pub fn uids(&self) -> BTreeSet<String> {
        self.pods.iter().filter_map(Pod::uid).collect()
    }
}

/// As the status counts.
fn count(number: usize) -> i32 {
    number.try_into().unwrap_or(i32::MAX)
}

/// Whether a pod runs and is meant to go on.
pub fn is_live(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    pod.metadata.deletion_timestamp.is_none() && phase == Some("Running")
}

/// Whether a pod's containers have ended: until its object is removed, others find it nevertheless.
pub fn has_ended(pod: &Pod) -> bool {
    let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    let mut states = statuses.map(|status| status.state.as_ref()).peekable();
    states.peek().is_some() && states.all(|state| state.is_some_and(|s| s.terminated.is_some()))
}

/// Address of a pod; empty before it has one.
pub fn address(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.pod_ip.as_deref()).unwrap_or_default()
}

/// Host of a pod; empty before it has one.
pub fn host(pod: &Pod) -> &str {
    pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or_default()
}

/// Number of a pod's host in the lab.
pub fn host_number(pod: &Pod) -> Result<u8> {
    let number = host(pod).strip_prefix("node-");
    Ok(number.context("the pod is on no host of the lab")?.parse()?)
}

/// Image of a pod's container.
pub fn image(pod: &Pod) -> &str {
    let container = pod.spec.as_ref().and_then(|spec| spec.containers.first());
    container.and_then(|container| container.image.as_deref()).unwrap_or_default()
}
