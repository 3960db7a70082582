//! What people take away by hand comes back; what belongs to a deleted cluster goes.

use std::time::Duration;

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use ringcache_e2e::{Namespace, Turn};
use ringcache_tests::clock::{now, wait_for};
use serde_json::Value;

/// Longest time for a repair on a busy machine.
const LIMIT: Duration = Duration::from_mins(2);
/// Kubernetes' own limit for the end of a node.
const GRACE: Duration = Duration::from_secs(70);
const CLUSTER_LABEL: &str = "ringcache.dev/cluster";

#[test]
fn what_is_deleted_by_hand_comes_back_as_it_was() -> Result<()> {
    let namespace = Namespace::create("repair", Turn::Shared)?;
    let cluster = namespace.serving("web", 2, "{nodes: 2, memory: 64Mi}")?;
    let before = cluster.view()?;
    for object in ["configmap/web-ring", "service/web", "service/web-nodes", "pdb/web"] {
        let was = read(&namespace, object)?;
        let start = now();
        namespace.kubectl(&["delete", object])?;
        wait_for(&format!("{object} is back"), LIMIT, || {
            let is = read(&namespace, object).map_err(|error| format!("{error:#}"));
            Ok(is.and_then(|is| same(&was, &is)))
        })?;
        println!("{object} was repaired after {:.1?}", start.elapsed());
    }
    let after = cluster.wait_settled(2)?;
    ensure!(after.uids() == before.uids(), "a repair replaced pods");
    namespace.finish()
}

#[test]
fn labels_that_are_removed_by_hand_come_back() -> Result<()> {
    let namespace = Namespace::create("labels", Turn::Shared)?;
    let cluster = namespace.serving("web", 2, "{nodes: 2, memory: 64Mi}")?;
    let before = cluster.view()?;
    let name = before.pods.first().map(Pod::name_any).unwrap_or_default();
    for object in [format!("pod/{name}"), "configmap/web-ring".into(), "service/web".into()] {
        let was = read(&namespace, &object)?;
        let start = now();
        let without = format!("{CLUSTER_LABEL}-");
        namespace.kubectl(&["label", &object, &without, "app.kubernetes.io/instance-"])?;
        wait_for(&format!("the labels of {object} are back"), LIMIT, || {
            Ok(same(&was["metadata"]["labels"], &read(&namespace, &object)?["metadata"]["labels"]))
        })?;
        println!("labels of {object} were repaired after {:.1?}", start.elapsed());
    }
    let after = cluster.wait_settled(2)?;
    ensure!(after.uids() == before.uids(), "a repair replaced pods");
    namespace.finish()
}

#[test]
fn deleting_a_cluster_leaves_nothing_and_its_name_can_be_used_again() -> Result<()> {
    let namespace = Namespace::create("deletion", Turn::Shared)?;
    let cluster = namespace.serving("web", 2, "{nodes: 2, memory: 64Mi}")?;
    ensure!(namespace.content()?.len() >= 7, "{:?}", namespace.content()?);
    let start = now();
    namespace.kubectl(&["delete", &cluster.resource()])?;
    // Its nodes look for takers as long as they may.
    wait_for("nothing of the cluster is left", GRACE + LIMIT, || {
        let left = namespace.content()?;
        Ok(if left.is_empty() { Ok(()) } else { Err(left.join(", ")) })
    })?;
    println!("nothing is left after {:.1?}", start.elapsed());
    namespace.serving("web", 2, "{nodes: 2, memory: 64Mi}")?;
    namespace.finish()
}

/// An object without what no repair can bring back.
fn read(namespace: &Namespace, object: &str) -> Result<Value> {
    let json = namespace.kubectl(&["get", object, "--output", "json"])?;
    let mut value: Value = serde_json::from_str(&json)?;
    let fresh = ["uid", "resourceVersion", "creationTimestamp", "generation"];
    let assigned = ["clusterIP", "clusterIPs"];
    for (part, fields) in [("metadata", &fresh[..]), ("spec", &assigned[..])] {
        for field in fields {
            if let Some(part) = value[part].as_object_mut() {
                part.remove(*field);
            }
        }
    }
    // A document of the same content has a higher epoch; the conditions of the budget have times.
    for field in ["data", "status"] {
        value[field].take();
    }
    Ok(value)
}

fn same(was: &Value, is: &Value) -> Result<(), String> {
    if was == is { Ok(()) } else { Err(format!("{is} instead of {was}")) }
}
