//! `GET /admin/v1/state`: everything that the operator decides by.

use std::sync::atomic::Ordering;

use ringcache_api::admin::NodeStats;
use ringcache_cluster::{Knowledge, Process};
use tokio::sync::oneshot;
use tokio::time::timeout;
use warp::Reply;
use warp::reply::Response;

use super::{CONTROL_TIME, reply};
use crate::memory::resident_bytes;
use crate::node::Node;
use crate::requests::Request;

pub(super) async fn get(node: &Node) -> Response {
    let Some(known) = knowledge(node).await else {
        return reply::unavailable();
    };
    let state = known.state(Process {
        name: node.args.name.clone(),
        incarnation: node.incarnation.clone(),
        cluster_uid: node.args.cluster_uid.clone(),
        settings: **node.settings.load(),
        stats: stats(node),
        draining: node.draining.load(Ordering::Relaxed),
    });
    warp::reply::json(&state).into_response()
}

/// What the control thread knows; `None` if it does not answer.
pub(super) async fn knowledge(node: &Node) -> Option<Knowledge> {
    let (answer, answered) = oneshot::channel();
    let ask = async {
        node.control.send(Request::Knowledge(answer)).await.ok()?;
        answered.await.ok()
    };
    timeout(CONTROL_TIME, ask).await.ok().flatten()
}

fn stats(node: &Node) -> NodeStats {
    let store = node.store.stats();
    let last_request_ms = node.counters.last_request_ms.load(Ordering::Relaxed);
    let idle_ms = node.clock.monotonic_ms().saturating_sub(last_request_ms);
    NodeStats {
        entries: store.entries,
        used_bytes: store.used_bytes as u64,
        limit_bytes: node.args.memory_bytes,
        resident_bytes: resident_bytes().unwrap_or(0),
        hits: store.hits,
        misses: store.misses,
        evicted: store.evicted,
        expired: store.expired,
        forwarded: node.counters.forwarded.load(Ordering::Relaxed),
        connections: node.counters.connections.load(Ordering::Relaxed),
        idle_ms: (last_request_ms > 0).then_some(idle_ms),
    }
}
