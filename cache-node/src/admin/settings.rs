//! `PUT /admin/v1/settings`: what the node must know besides the ring, changed live.

use std::sync::Arc;

use ringcache_api::admin::Settings;
use warp::Reply;
use warp::http::StatusCode;
use warp::reply::Response;

use super::reply;
use crate::node::Node;

/// The bounds that the node's flags have as well.
const MAX_JITTER_PERCENT: u8 = 90;

/// Takes effect for entries written from now on; answers with the settings in force.
pub(super) fn put(node: &Node, body: &[u8]) -> Response {
    match parse(body) {
        Ok(settings) => {
            node.settings.store(Arc::new(settings));
            warp::reply::json(&settings).into_response()
        }
        Err(message) => reply::error(StatusCode::UNPROCESSABLE_ENTITY, "InvalidSettings", message),
    }
}

fn parse(body: &[u8]) -> Result<Settings, String> {
    let settings: Settings = serde_json::from_slice(body)
        .map_err(|error| format!("the settings cannot be read: {error}"))?;
    if settings.ttl_jitter_percent > MAX_JITTER_PERCENT {
        return Err(format!("`ttlJitterPercent` must be from 0 to {MAX_JITTER_PERCENT}"));
    }
    Ok(settings)
}
