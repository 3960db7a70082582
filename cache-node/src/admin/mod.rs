//! The admin port: health, metrics, and the API by which the operator drives the node. Never for clients.

mod curve;
mod heat;
mod reply;
mod ring;
mod settings;
mod state;

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use prometheus::TEXT_FORMAT;
use ringcache_api::document::MAX_DOCUMENT_BYTES;
use tokio::net::TcpListener;
use warp::http::StatusCode;
use warp::http::header::CONTENT_TYPE;
use warp::reply::Response;
use warp::{Filter, Rejection, Reply};

use crate::metrics;
use crate::node::Node;

pub use heat::HOT_KEYS;

/// The control thread answers within milliseconds; when it does not, the caller is told instead of left waiting.
const CONTROL_TIME: Duration = Duration::from_secs(5);
/// The largest body: a ring document, and a little so that one too large is refused as a document.
const MAX_BODY_BYTES: u64 = MAX_DOCUMENT_BYTES as u64 + 1024;

/// Serves the admin port on `listener` until `stop` resolves. Connections end with the runtime.
pub async fn serve(
    node: Arc<Node>,
    listener: TcpListener,
    stop: impl Future<Output = ()> + Send + 'static,
) {
    tokio::select! {
        () = warp::serve(filter(node)).incoming(listener).run() => (),
        () = stop => (),
    }
}

fn filter(node: Arc<Node>) -> impl Filter<Extract = (Response,), Error = Infallible> + Clone {
    let node = warp::any().map(move || Arc::clone(&node));
    let body = || warp::body::content_length_limit(MAX_BODY_BYTES).and(warp::body::bytes());
    let get = |path: &'static str| exactly(path).and(warp::get()).and(node.clone());
    let put = |path: &'static str| exactly(path).and(warp::put()).and(node.clone()).and(body());
    get("/healthz")
        .map(|node: Arc<Node>| health(idle_ms(&node)))
        .or(get("/readyz").map(|node: Arc<Node>| readiness(&node)))
        .unify()
        .or(get("/metrics").then(async |node: Arc<Node>| metrics(&node).await))
        .unify()
        .or(get("/admin/v1/state").then(async |node: Arc<Node>| state::get(&node).await))
        .unify()
        .or(get("/admin/v1/curve").map(|node: Arc<Node>| curve::get(&node)))
        .unify()
        .or(get("/admin/v1/heat").map(|node: Arc<Node>| heat::get(&node)))
        .unify()
        .or(put("/admin/v1/ring")
            .then(async |node: Arc<Node>, body: Bytes| ring::put(&node, &body).await))
        .unify()
        .or(put("/admin/v1/settings")
            .map(|node: Arc<Node>, body: Bytes| settings::put(&node, &body)))
        .unify()
        .recover(async |rejection: Rejection| Ok::<_, Infallible>(reply::rejected(&rejection)))
        .unify()
}

fn exactly(path: &'static str) -> impl Filter<Extract = (), Error = Rejection> + Clone {
    warp::path::full()
        .and_then(move |full: warp::path::FullPath| {
            let is_it = full.as_str() == path;
            async move { if is_it { Ok(()) } else { Err(warp::reject::not_found()) } }
        })
        .untuple_one()
}

/// Milliseconds since the control loop last took a turn.
fn idle_ms(node: &Node) -> u64 {
    let turn = node.control_turn_ms.load(Ordering::Relaxed);
    node.clock.monotonic_ms().saturating_sub(turn)
}

/// Alive: the control loop turns. Without it a node serves its slots for ever, and can neither be given a document nor hand
/// anything over.
fn health(idle_ms: u64) -> Response {
    if idle_ms > CONTROL_TIME.as_millis() as u64 {
        reply::text(StatusCode::SERVICE_UNAVAILABLE, "the control loop hangs\n")
    } else {
        reply::text(StatusCode::OK, "ok\n")
    }
}

/// Ready: knows the ring, and is not about to stop.
fn readiness(node: &Node) -> Response {
    if node.draining.load(Ordering::Relaxed) {
        reply::text(StatusCode::SERVICE_UNAVAILABLE, "draining: the node is about to stop\n")
    } else if node.routes.load().epoch == 0 {
        reply::text(StatusCode::SERVICE_UNAVAILABLE, "waiting for the first ring document\n")
    } else if health(idle_ms(node)).status() != StatusCode::OK {
        health(idle_ms(node))
    } else {
        reply::text(StatusCode::OK, "ready\n")
    }
}

async fn metrics(node: &Node) -> Response {
    let known = state::knowledge(node).await;
    let text = metrics::render(node, known.as_ref().map(|known| &known.ownership));
    warp::reply::with_header(text, CONTENT_TYPE, TEXT_FORMAT).into_response()
}

#[cfg(test)]
mod tests;
