//! The operator's pods: who leads, and their sudden end.

use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};
use ringcache_tests::clock::wait_for;
use rustix::process::Signal;

use crate::container;
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
        let holder = lease.spec.and_then(|spec| spec.holder_identity).unwrap_or_default();
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

/// Waits until that many operators run.
pub fn wait_running(world: &World, count: usize) -> Result<Vec<Pod>> {
    wait_for(&format!("{count} operators run"), LIMIT, || {
        let pods = pods(world)?;
        Ok(if pods.len() == count { Ok(pods) } else { Err(format!("{} do", pods.len())) })
    })
}
