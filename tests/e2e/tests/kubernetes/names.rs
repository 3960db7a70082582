//! Names that a cluster needs and somebody else has, or has had a moment ago.

use std::time::Duration;

use anyhow::{Result, ensure};
use ringcache_api::status::{condition, reason};
use ringcache_e2e::cluster::LIMIT;
use ringcache_e2e::{Namespace, Turn, View};
use ringcache_tests::clock::{now, wait_for};
use serde_json::json;

/// How long somebody else has the name: longer than the operator's first pauses between two tries.
const PERIOD: Duration = Duration::from_secs(20);

#[test]
fn a_foreign_service_of_the_same_name_stalls_the_cluster_for_as_long_as_it_is_there() -> Result<()>
{
    let namespace = Namespace::create("conflict", Turn::Shared)?;
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]},
    });
    namespace.apply(&service.to_string())?;
    let version = || {
        let path = "--output=jsonpath={.metadata.resourceVersion}";
        namespace.kubectl(&["get", "service", "web", path])
    };
    let created = version()?;
    let cluster = namespace.applied("web", "{nodes: 2, memory: 64Mi}")?;
    cluster.shows(&[reason::NAME_CONFLICT, "Service conflict/web exists"])?;
    let start = now();
    wait_for("the time is over", PERIOD * 2, || {
        is_stalled(&cluster.view()?).map_err(anyhow::Error::msg)?;
        Ok(if start.elapsed() < PERIOD { Err("it is not".into()) } else { Ok(()) })
    })?;
    ensure!(version()? == created, "the Service of somebody else was changed");

    namespace.kubectl(&["delete", "service", "web"])?;
    let start = now();
    cluster.wait("the cluster has its Service", LIMIT, |view| {
        view.has(condition::STALLED, "False", reason::AS_EXPECTED)?;
        view.has(condition::READY, "True", reason::SERVING)?;
        endpoint(view).map(drop).ok_or_else(|| "no endpoint".into())
    })?;
    println!("the conflict was over {:.1?} after its cause", start.elapsed());
    cluster.wait_settled(2)?;
    cluster.seed()?;
    namespace.finish()
}

/// Ok if the conflict is told, and clients are not sent to the Service of somebody else.
fn is_stalled(view: &View) -> Result<(), String> {
    view.has(condition::STALLED, "True", reason::NAME_CONFLICT)?;
    endpoint(view).map_or(Ok(()), |endpoint| Err(format!("the status sends clients to {endpoint}")))
}

fn endpoint(view: &View) -> Option<&str> {
    let endpoints = view.cluster.status.as_ref()?.endpoints.as_ref()?;
    Some(&endpoints.client)
}

#[test]
fn a_cluster_made_again_at_once_waits_for_its_predecessor_without_a_warning() -> Result<()> {
    let namespace = Namespace::create("again", Turn::Shared)?;
    let spec = "{nodes: 2, memory: 64Mi}";
    let cluster = namespace.serving("web", 2, spec)?;
    let before = cluster.view()?;
    namespace.kubectl(&["delete", &cluster.resource()])?;
    let start = now();
    namespace.applied("web", spec)?;
    cluster.shows(&["is still being deleted"])?;
    let after = cluster.wait_settled(2)?;
    println!("serves again {:.1?} after it was deleted", start.elapsed());
    ensure!(after.uids().is_disjoint(&before.uids()), "a pod of the predecessor is left");
    let warnings = cluster.warnings()?;
    ensure!(warnings.is_empty(), "{warnings:#?}");
    namespace.finish()
}
