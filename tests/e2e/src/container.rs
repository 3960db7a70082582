//! The processes of containers, by id on this machine: a container that crashes is one whose process gets a signal.

use std::fs;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use ringcache_tests::process;
use rustix::process::Signal;

/// The container of a cache node, which may have others beside it.
const CACHE_NODE: &str = "cache-node";

/// Sends a signal to all processes of the pod's only container, or of its cache node.
pub fn signal(pod: &Pod, signal: Signal) -> Result<()> {
    processes(pod)?.into_iter().try_for_each(|pid| process::send(pid, signal))
}

/// Resident memory of those processes.
pub fn resident_bytes(pod: &Pod) -> Result<u64> {
    processes(pod)?.into_iter().map(process::resident_bytes).sum()
}

/// Ids of those processes: at least one.
fn processes(pod: &Pod) -> Result<Vec<u32>> {
    let name = pod.name_any();
    let statuses = pod.status.as_ref().and_then(|status| status.container_statuses.as_deref());
    let status = match statuses.unwrap_or_default() {
        [only] => Some(only),
        several => several.iter().find(|status| status.name == CACHE_NODE),
    };
    let id = status.and_then(|status| status.container_id.as_deref());
    let id = id.and_then(|id| id.rsplit('/').next()).filter(|id| id.len() >= 32);
    let pids = in_group(id.with_context(|| format!("pod {name} has no container yet"))?)?;
    ensure!(!pids.is_empty(), "the container of pod {name} has no process");
    Ok(pids)
}

/// Processes in a control group that is named after the container.
fn in_group(container: &str) -> Result<Vec<u32>> {
    let pids = fs::read_dir("/proc")?.flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let is_inside = |pid: &u32| {
        fs::read_to_string(format!("/proc/{pid}/cgroup"))
            .is_ok_and(|groups| groups.contains(container))
    };
    Ok(pids.filter(is_inside).collect())
}
