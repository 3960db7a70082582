//! Every kind of call that the operator makes, made at least once.

use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use kube::ResourceExt;
use ringcache_e2e::audit::{self, Call};
use ringcache_e2e::{Namespace, Turn, World};
use ringcache_tests::clock::wait_for;

const LIMIT: Duration = Duration::from_mins(2);
const NAMESPACE: &str = "rights";
const LABEL: &str = "ringcache.dev/cluster";

static CALLS: OnceLock<Result<Vec<Call>, String>> = OnceLock::new();

/// All calls of the operator so far: those that whatever ran before made it make, and those of a small cluster's life.
pub(crate) fn all() -> Result<&'static [Call]> {
    let calls = CALLS.get_or_init(|| lived().map_err(|error| format!("{error:?}")));
    calls.as_deref().map_err(|error| anyhow!("{error}"))
}

fn lived() -> Result<Vec<Call>> {
    let namespace = Namespace::create(NAMESPACE, Turn::Alone)?;
    let world = namespace.world();
    let cluster = namespace.serving("web", 2, "{nodes: 2, memory: 64Mi}")?;
    let pod = cluster.view()?.pods.first().map(ResourceExt::name_any).context("no pod")?;
    for object in [&format!("pod/{pod}"), "service/web", "configmap/web-ring", "pdb/web"] {
        namespace.kubectl(&["label", object, &format!("{LABEL}-")])?;
        wait_for(&format!("the label of {object} is back"), LIMIT, || {
            let labels =
                namespace.kubectl(&["get", object, "--output=jsonpath={.metadata.labels}"])?;
            Ok(if labels.contains(LABEL) { Ok(()) } else { Err(labels) })
        })?;
    }
    cluster.scale(1)?;
    cluster.wait_settled(1)?;
    let calls = audit::calls_since(world, 0)?;
    namespace.finish()?;
    wait_until_gone(world)?;
    Ok(calls)
}

/// Waits until there is nothing left of it, so that whoever looks for what tests leave behind need not come last.
fn wait_until_gone(world: &World) -> Result<()> {
    let gone = ["wait", "--for=delete", "--timeout=2m"];
    world.lab.kubectl(&[&gone[..], &["namespace", NAMESPACE]].concat()).map(drop)
}
