//! `PUT /admin/v1/ring`: the operator pushes the ring document.

use std::sync::Arc;

use ringcache_api::Document;
use ringcache_api::admin::code;
use serde::Serialize;
use tokio::sync::oneshot;
use tokio::time::timeout;
use warp::Reply;
use warp::http::StatusCode;
use warp::reply::Response;

use super::{CONTROL_TIME, reply};
use crate::node::Node;
use crate::requests::Request;

/// The epoch in force afterwards.
#[derive(Serialize)]
struct Accepted {
    epoch: u64,
}

pub(super) async fn put(node: &Node, body: &[u8]) -> Response {
    let document = match Document::parse(body) {
        Ok(document) => Arc::new(document),
        Err(error) => {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            return reply::error(status, code::INVALID_DOCUMENT, error.to_string());
        }
    };
    let (answer, answered) = oneshot::channel();
    let push = async {
        node.control.send(Request::Push(document, answer)).await.ok()?;
        answered.await.ok()
    };
    match timeout(CONTROL_TIME, push).await.ok().flatten() {
        Some(Ok(epoch)) => warp::reply::json(&Accepted { epoch }).into_response(),
        Some(Err(refusal)) => {
            reply::error(StatusCode::CONFLICT, refusal.code(), refusal.to_string())
        }
        None => reply::unavailable(),
    }
}
