//! `GET /admin/v1/curve`: which hit ratio the cluster would have with other sizes, by the reads of this node's keys.

use ringcache_api::admin::{ADMIN_VERSION, NodeCurve};
use warp::Reply;
use warp::reply::Response;

use crate::node::Node;

pub(super) fn get(node: &Node) -> Response {
    let curve = NodeCurve {
        version: ADMIN_VERSION,
        incarnation: node.incarnation.clone(),
        budget_bytes: node.store.budget() as u64,
        busy: node.busy.shares().into_iter().map(|(_, share)| share).fold(0.0, f64::max),
        half_life_seconds: node.measures.half_life_seconds(),
        curve: node.measures.curve(),
    };
    warp::reply::json(&curve).into_response()
}
