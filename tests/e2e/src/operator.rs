//! The operator's pods: who leads, and their sudden end.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::runtime::watcher::Config;
use kube::{Api, ResourceExt as _};
use ringcache_tests::clock::wait_for;
use rustix::process::Signal;

use crate::container;
use crate::history::History;
use crate::view::is_live;
use crate::world::{SYSTEM, World};

/// Longest time for the Deployment to start a pod, or for a lease to be taken over.
const LIMIT: Duration = Duration::from_mins(2);
const SELECTOR: &str = "app.kubernetes.io/name=ringcache-operator";
const LEASE: &str = "ringcache-operator";

/// The operator's running pods.
pub fn pods(world: &World) -> Result<Vec<Pod>> {
    let pods = Api::<Pod>::namespaced(world.client.clone(), SYSTEM);
    let pods = world.block_on(pods.list(&ListParams::default().labels(SELECTOR)))?.items;
    Ok(pods.into_iter().filter(is_live).collect())
}

/// Waits until one of the running pods holds the lease.
pub fn leader(world: &World) -> Result<Pod> {
    let leases = Api::<Lease>::namespaced(world.client.clone(), SYSTEM);
    wait_for("an operator that runs holds the lease", LIMIT, || {
        let lease = world.block_on(leases.get(LEASE))?;
        let holder = holder(&lease);
        let pods = pods(world)?.into_iter();
        Ok(pods.into_iter().find(|pod| pod.name_any() == holder).ok_or(holder))
    })
}

/// Ends an operator without any notice to it, and its pod with it, so that another pod follows at once.
pub fn crash(world: &World, pod: &Pod) -> Result<()> {
    container::signal(pod, Signal::KILL)?;
    let name = pod.name_any();
    let delete = ["delete", "pod", &name, "--namespace", SYSTEM, "--force", "--grace-period=0"];
    world.lab.kubectl(&delete).with_context(|| format!("after killing {name}"))?;
    Ok(())
}

/// `kubectl rollout restart`, until every replica is a new one.
pub fn restart(world: &World) -> Result<()> {
    let deployment = ["deployment/ringcache-operator", "--namespace", SYSTEM];
    world.lab.kubectl(&[&["rollout", "restart"], &deployment[..]].concat())?;
    let status = [&["rollout", "status", "--timeout=2m"], &deployment[..]].concat();
    world.lab.kubectl(&status).map(drop)
}

/// Follows who holds the lease.
pub fn follow_lease(world: &World) -> Result<History<Lease>> {
    let leases = Api::namespaced(world.client.clone(), SYSTEM);
    History::begin(world, leases, Config::default().fields(&format!("metadata.name={LEASE}")))
}

/// Who holds it; empty = nobody.
pub fn holder(lease: &Lease) -> String {
    let spec = lease.spec.as_ref();
    spec.and_then(|spec| spec.holder_identity.clone()).unwrap_or_default()
}

/// How long nobody held it, each time that its holder let go of it; an error if one held it until another took it away.
pub fn without_holder(history: &[(Instant, Lease)]) -> Result<Vec<Duration>> {
    let mut gaps = Vec::new();
    let mut free_since = None;
    for pair in history.windows(2) {
        let [(_, before), (at, after)] = pair else { continue };
        match (holder(before).as_str(), holder(after).as_str()) {
            (old, new) if old == new => {}
            (_, "") => free_since = Some(*at),
            ("", _) => gaps.extend(free_since.take().map(|since| at.duration_since(since))),
            (old, new) => bail!("{new} took the lease from {old}"),
        }
    }
    Ok(gaps)
}

/// Waits until that many operators run.
pub fn wait_running(world: &World, count: usize) -> Result<Vec<Pod>> {
    wait_for(&format!("{count} operators run"), LIMIT, || {
        let pods = pods(world)?;
        Ok(if pods.len() == count { Ok(pods) } else { Err(format!("{} do", pods.len())) })
    })
}
