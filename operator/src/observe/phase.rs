//! Where a pod is in its life, and who of the pods is lost with its host.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use ringcache_operator_core::{Phase, Said};

use super::container;
use crate::hosts::Standing;

/// How long nobody may have heard of a node whose host is down before it counts as lost.
pub(super) const LOST_AFTER: Duration = Duration::from_secs(10);

/// What the pod object alone says.
pub(super) fn phase(pod: &Pod) -> Phase {
    let status = pod.status.as_ref();
    let has_address = status.is_some_and(|status| status.pod_ip.is_some());
    match status.and_then(|status| status.phase.as_deref()) {
        // First: the cache node has ended for good, whoever told it to. A container beside it may run on: then the pod does,
        // too.
        Some("Failed" | "Succeeded") => Phase::Exited,
        _ if container::is_over(pod) => Phase::Exited,
        Some("Pending") | None if !container::has_run(pod) => Phase::Pending,
        _ if is_stopping(pod) || is_disrupted(pod) => Phase::Stopping,
        Some("Running") if has_address => Phase::Running,
        _ => Phase::Starting,
    }
}

/// Whether the pod has been told to end.
pub(super) fn is_stopping(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some()
}

/// Whether whoever ends pods has chosen this one: a preemption, an eviction, a shutdown of its host. Its deletion, or its signal,
/// comes next.
fn is_disrupted(pod: &Pod) -> bool {
    let mut conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.any(|c| c.type_ == "DisruptionTarget" && c.status == "True")
}

/// Whether Services send clients to the pod.
pub(super) fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let mut ready = conditions.filter(|c| c.type_ == "Ready" && c.status == "True");
    !is_stopping(pod) && ready.next().is_some()
}

/// Whether the node serves although its pod is not ready, for a container beside it that has ended or is not ready itself.
pub(crate) fn serves_unready(pod: &Pod) -> bool {
    !is_ready(pod) && !is_stopping(pod) && container::container(pod).is_some_and(|node| node.ready)
}

/// Whether a pod may be lost, although its object still exists: its host is down, and it has been silent to us for long. That
/// proves nothing yet: a host whose kubelet hangs serves on, and we may be the ones who are cut off.
pub(super) fn may_be_lost(host: Option<Standing>, silence: Duration) -> bool {
    host.is_some_and(|standing| !standing.ready) && silence >= LOST_AFTER
}

/// Whether nobody hears the pod with this uid any more. `witnesses` are the answers of all who take part and may not be lost
/// themselves: each of them must say that it has listened for that very node for long and heard nothing. One without an answer
/// may hear it, and so may one that does not name it; without any witness nothing is proven.
pub(super) fn is_unheard(uid: &str, witnesses: &[Option<Said<'_>>]) -> bool {
    let says_so = |said: Said<'_>| {
        let mut of_it = said.heard.iter().filter(|heard| heard.incarnation.uid() == uid);
        of_it.any(|heard| u128::from(heard.ms_ago) >= LOST_AFTER.as_millis())
    };
    !witnesses.is_empty() && witnesses.iter().all(|witness| witness.is_some_and(says_so))
}
