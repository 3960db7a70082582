//! Many clusters at once.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use kube::{Api, ResourceExt};
use ringcache_api::CacheCluster;
use ringcache_api::status::condition;
use ringcache_e2e::{Namespace, Turn, container, operator};
use ringcache_tests::clock::{now, wait_for};
use serde_json::json;

const CLUSTERS: usize = 20;
const NODES: i32 = 3;
/// Longest time until all of them serve, on a busy machine.
const LIMIT: Duration = Duration::from_mins(2);
/// Resident memory that an operator may have then.
const MOST_MEBIBYTES: u64 = 40;

#[test]
fn twenty_clusters_made_at_once_are_all_ready_and_their_operator_stays_small() -> Result<()> {
    let namespace = Namespace::create("many", Turn::Alone)?;
    let world = namespace.world();
    // Sixty pods with the default request would not fit on two cores.
    let spec = json!({"nodes": NODES, "memory": "64Mi", "resources": {"cpuRequest": "10m"}});
    let cluster = |n| {
        json!({
            "apiVersion": "ringcache.dev/v1alpha1",
            "kind": "CacheCluster",
            "metadata": {"name": format!("web-{n}")},
            "spec": spec,
        })
    };
    let clusters: Vec<_> = (0..CLUSTERS).map(cluster).collect();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": clusters});
    let start = now();
    namespace.apply(&list.to_string())?;
    let api = Api::<CacheCluster>::namespaced(world.client.clone(), namespace.name());
    wait_for("all clusters are ready", LIMIT, || {
        let all = world.block_on(api.list(&kube::api::ListParams::default()))?.items;
        let left: Vec<String> =
            all.iter().filter(|cluster| !is_done(cluster)).map(ResourceExt::name_any).collect();
        let done = all.len() == CLUSTERS && left.is_empty();
        Ok(if done { Ok(()) } else { Err(left.join(", ")) })
    })?;
    println!("{CLUSTERS} clusters of {NODES} nodes are Ready after {:.1?}", start.elapsed());
    let operators = operator::wait_running(world, 2)?;
    let sizes = operators.iter().map(container::resident_bytes).collect::<Result<Vec<_>>>()?;
    let mebibytes = sizes.into_iter().max().context("no operator runs")? >> 20;
    println!("the larger operator has {mebibytes} MiB resident");
    ensure!(mebibytes < MOST_MEBIBYTES, "{mebibytes} MiB; less than {MOST_MEBIBYTES} are allowed");
    namespace.finish()
}

/// Whether it serves with all its nodes, and the operator has nothing left to do.
fn is_done(cluster: &CacheCluster) -> bool {
    let Some(status) = &cluster.status else { return false };
    let is = |type_: &str, wanted: &str| {
        status.conditions.iter().any(|found| found.type_ == type_ && found.status == wanted)
    };
    status.ready_nodes == NODES
        && is(condition::READY, "True")
        && is(condition::RECONCILING, "False")
}
