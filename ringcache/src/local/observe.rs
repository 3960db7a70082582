//! Reads, and only reads: the state directory, the processes, and what each node says of itself.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use ringcache_admin_client::AdminClient;
use ringcache_api::CacheCluster;
use ringcache_api::admin::NodeState;
use ringcache_api::document::ClusterRef;
use ringcache_operator_core::{Observed, ObservedNode, Phase, Place, Said};
use tokio::task::JoinSet;

use super::dir::{NodeRecord, StateDir};

/// Version of the program that new nodes are started with: this one.
pub(super) const PROGRAM: &str = env!("CARGO_PKG_VERSION");
/// Where all nodes of a local cluster are.
pub(super) const HOST: &str = "127.0.0.1";

/// Which cluster a resource stands for.
pub(super) fn cluster_ref(cluster: &CacheCluster) -> ClusterRef {
    let metadata = &cluster.metadata;
    ClusterRef {
        namespace: metadata.namespace.clone().unwrap_or_default(),
        name: metadata.name.clone().unwrap_or_default(),
        uid: metadata.uid.clone().unwrap_or_default(),
    }
}

/// Everything that the planner decides by. All nodes are asked at once, so the slowest one counts.
///
/// Nodes answer one after the other: where a slot may only have changed hands in between, they are asked once more.
pub(super) async fn observe(
    dir: &StateDir,
    admin: &AdminClient,
    cluster: &CacheCluster,
) -> Result<Observed> {
    let observed = look(dir, admin, cluster).await?;
    if !observed.may_be_between_answers() {
        return Ok(observed);
    }
    Ok(look(dir, admin, cluster).await?.after(&observed))
}

async fn look(dir: &StateDir, admin: &AdminClient, cluster: &CacheCluster) -> Result<Observed> {
    let mut asked = JoinSet::new();
    for record in dir.records()? {
        let admin = admin.clone();
        asked.spawn(async move {
            let alive = record.process.is_alive();
            let state = if alive { ask(&admin, record.ports.admin).await } else { None };
            node(record, alive, state)
        });
    }
    let mut nodes = Vec::new();
    while let Some(node) = asked.join_next().await {
        nodes.push(node.context("asking a node")?);
    }
    nodes.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Observed {
        cluster: cluster_ref(cluster),
        generation: cluster.metadata.generation.unwrap_or_default(),
        program: PROGRAM.to_owned(),
        pod: String::new(),
        endpoints: None,
        open: true,
        document: dir.document()?,
        nodes,
        seen: Vec::new(),
        starts_fail: false,
        foreign: BTreeSet::new(),
        lost: None,
    })
}

/// A node may be late once: it is asked again before it counts as silent.
async fn ask(admin: &AdminClient, port: u16) -> Option<NodeState> {
    match admin.state(HOST, port).await {
        Ok(state) => Some(state),
        Err(_) => admin.state(HOST, port).await.ok(),
    }
}

fn node(record: NodeRecord, alive: bool, state: Option<NodeState>) -> ObservedNode {
    let NodeRecord { name, process, uid, ports, template, stopping_since_ms } = record;
    let phase = match (alive, stopping_since_ms, &state) {
        (false, ..) => Phase::Exited,
        (true, Some(_), _) => Phase::Stopping,
        // Somebody else has told it to end: it hands over and ends by itself.
        (true, None, Some(state)) if Said::from(state).draining => Phase::Stopping,
        (true, None, None) => Phase::Starting,
        (true, None, Some(_)) => Phase::Running,
    };
    let host = HOST.to_owned();
    let (draining, stopping) = (false, phase == Phase::Stopping);
    let (resting, trouble) = (false, None);
    // One that answers no more is waited for from its start on: `up` remembers nothing about nodes.
    let silent_seconds = if alive && state.is_none() { process.age_seconds() } else { 0 };
    ObservedNode {
        name,
        uid,
        host,
        place: Place::default(),
        ports,
        template,
        phase,
        state,
        draining,
        stopping,
        resting,
        silent_seconds,
        trouble,
    }
}
