//! A host that is emptied, as before it is upgraded.

use anyhow::{Result, ensure};
use kube::ResourceExt as _;

use crate::load::CHECKER_HOST;
use crate::view::host;
use crate::{Cluster, World};

/// `kubectl drain` of a host that has nodes of the cluster, which then has `nodes` of them elsewhere. The host takes pods again
/// afterwards.
pub fn drain(cluster: Cluster<'_>, nodes: usize) -> Result<()> {
    let before = cluster.view()?;
    let pod = before.pods.iter().find(|pod| host(pod) != CHECKER_HOST);
    let Some(pod) = pod else { anyhow::bail!("all pods are on {CHECKER_HOST}") };
    println!("draining {}, which has {}", host(pod), pod.name_any());
    let drained = Cordon { world: cluster.namespace().world(), host: host(pod) };
    let drain = ["drain", host(pod), "--ignore-daemonsets", "--timeout=2m"];
    drained.world.lab.kubectl(&drain)?;
    let after = cluster.wait_settled(nodes)?;
    let left: Vec<_> = after.pods.iter().filter(|p| host(p) == host(pod)).collect();
    ensure!(left.is_empty(), "pods are left on {}", host(pod));
    Ok(())
}

/// Lets pods be scheduled to the host again when dropped, for the tests that follow.
struct Cordon<'a> {
    world: &'static World,
    host: &'a str,
}

impl Drop for Cordon<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.world.lab.kubectl(&["uncordon", self.host]) {
            eprintln!("{error:#}");
        }
    }
}
