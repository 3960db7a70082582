//! What a user does with a cluster in its first days, under two checking loads at full speed and the eyes of an alert.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use ringcache_e2e::drain::drain;
use ringcache_e2e::view::{View, image};
use ringcache_e2e::world::workspace;
use ringcache_e2e::{Cluster, Loads, Namespace, Readiness, Steps, Turn, image as images};
use serde_json::json;

const KEYS: u32 = 20_000;

#[test]
fn the_quick_start_is_scaled_rolled_and_drained_and_its_clients_notice_nothing() -> Result<()> {
    let namespace = Namespace::create("story", Turn::Alone)?;
    let cluster = Cluster::new(&namespace, "quickstart");
    let mut steps = Steps::default();
    steps.take("apply, wait for Ready", || {
        let example = workspace().join("examples/quickstart.yaml").display().to_string();
        namespace.kubectl(&["apply", "--filename", &example])?;
        let ready = ["wait", "--for=condition=Ready", &cluster.resource(), "--timeout=2m"];
        namespace.kubectl(&ready)
    })?;
    let readiness = Readiness::of(cluster)?;
    let loads = steps.take("write all keys", || Loads::start(cluster, KEYS))?;
    for nodes in [5, 2, 5, 2, 5, 2, 5, 2] {
        steps.take(&format!("scale to {nodes}"), || {
            cluster.scale(nodes)?;
            are_spread(&cluster.wait_settled(nodes)?)
        })?;
    }
    steps.take("another image", || roll(cluster, 2))?;
    steps.take("less memory", || {
        let before = cluster.view()?;
        cluster.patch(&json!({"memory": "128Mi"}))?;
        let after = cluster.wait_settled(2)?;
        ensure!(after.uids().is_disjoint(&before.uids()), "pods keep their memory limit");
        are_spread(&after)
    })?;
    steps.take("drain a node", || drain(cluster, 2))?;

    loads.stop_clean(&steps)?;
    readiness.never_failed()?;
    namespace.finish()
}

/// Two nodes are on two hosts, whatever came and went before: the loss of one host is never the loss of both.
fn are_spread(view: &View) -> Result<()> {
    let host = |pod: &Pod| pod.spec.as_ref().and_then(|spec| spec.node_name.clone());
    let hosts: BTreeSet<String> = view.pods.iter().filter_map(host).collect();
    ensure!(view.pods.len() != 2 || hosts.len() == 2, "all nodes are on {hosts:?}");
    Ok(())
}

/// The same program under another tag: every pod is replaced.
fn roll(cluster: Cluster<'_>, nodes: usize) -> Result<()> {
    let before = cluster.view()?;
    let wanted = images::cache_node_as(cluster.namespace().world(), "second")?;
    cluster.patch(&json!({"image": wanted}))?;
    let after = cluster.wait_settled(nodes)?;
    ensure!(after.uids().is_disjoint(&before.uids()), "some pods were not replaced");
    let images: Vec<&str> = after.pods.iter().map(image).collect();
    ensure!(images.iter().all(|image| *image == wanted), "{images:?}");
    are_spread(&after)
}
