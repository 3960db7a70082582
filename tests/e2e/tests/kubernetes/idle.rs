//! A cluster with nothing to do costs nothing.

use std::time::Duration;

use anyhow::{Result, ensure};
use kube::ResourceExt as _;
use ringcache_e2e::audit::Call;
use ringcache_e2e::world::SYSTEM;
use ringcache_e2e::{Namespace, Turn, audit, container, operator};
use ringcache_tests::clock::run_for;

/// How long nobody asks for anything.
const PERIOD: Duration = Duration::from_mins(1);
/// Events are sent in the background, and the last status is written when everything else is done.
const CALM_DOWN: Duration = Duration::from_secs(5);
/// Resident memory that an operator may have with next to nothing to look after.
const MOST_MEBIBYTES: u64 = 20;

#[test]
fn an_operator_with_nothing_to_do_writes_nothing() -> Result<()> {
    let namespace = Namespace::create("idle", Turn::Shared)?;
    let world = namespace.world();
    let cluster = namespace.serving("web", 3, "{nodes: 3, memory: 64Mi}")?;
    run_for(CALM_DOWN);
    let before = (audit::now(world)?, cluster.view()?);
    run_for(PERIOD);
    // Other tests may have work for the operator meanwhile, each in a namespace of its own.
    let is_elsewhere = |call: &Call| ![namespace.name(), SYSTEM, ""].contains(&&*call.namespace);
    let mut calls = audit::calls_since(world, before.0)?;
    calls.retain(|call| !is_elsewhere(call));
    for (access, count) in audit::counted(&calls) {
        println!("{access}: {count} in {PERIOD:?}");
    }
    // Every replica renews or looks at the lease all the time: that the log has them shows that it would have the others.
    let (leases, others): (Vec<_>, Vec<_>) =
        calls.iter().partition(|call| call.access.resource == "leases");
    ensure!(leases.iter().any(|call| call.access.is_write()), "the lease was not renewed");
    let writes: Vec<_> = others.iter().filter(|call| call.access.is_write()).collect();
    ensure!(writes.is_empty(), "{writes:?}");
    let after = cluster.view()?;
    ensure!(
        after.cluster.metadata.resource_version == before.1.cluster.metadata.resource_version,
        "the CacheCluster was written to"
    );
    namespace.finish()
}

#[test]
fn an_operator_with_next_to_nothing_to_look_after_is_small() -> Result<()> {
    let namespace = Namespace::create("small", Turn::Alone)?;
    let world = namespace.world();
    namespace.serving("web", 1, "{nodes: 1, memory: 64Mi}")?;
    // What others gave it to do before has left its mark.
    operator::restart(world)?;
    for pod in operator::wait_running(world, 2)? {
        let mebibytes = container::resident_bytes(&pod)? >> 20;
        println!("{} has {mebibytes} MiB resident", pod.name_any());
        ensure!(
            mebibytes < MOST_MEBIBYTES,
            "{mebibytes} MiB; less than {MOST_MEBIBYTES} are allowed"
        );
    }
    namespace.finish()
}
