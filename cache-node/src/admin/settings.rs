//! `PUT /admin/v1/settings`: what the node must know besides the ring, changed live.

use std::sync::Arc;

use ringcache_api::admin::{SettingsFor, code};
use warp::Reply;
use warp::http::StatusCode;
use warp::reply::Response;

use super::reply;
use crate::node::Node;

/// The bounds that the node's flags have as well.
const MAX_JITTER_PERCENT: u8 = 90;

/// Takes effect for entries written from now on; answers with the settings in force. Settings for another incarnation change
/// nothing: they are another pod's, whose address this one has now.
pub(super) fn put(node: &Node, body: &[u8]) -> Response {
    let asked = match parse(body) {
        Ok(asked) => asked,
        Err(message) => {
            return reply::error(StatusCode::UNPROCESSABLE_ENTITY, "InvalidSettings", message);
        }
    };
    let own = &node.incarnation;
    let settings = match asked.over(own, **node.settings.load()) {
        Ok(settings) => settings,
        Err(to) => {
            let message = format!("the settings are for {to}: `to` must be {own} here, or absent");
            return reply::error(StatusCode::CONFLICT, code::OTHER_INCARNATION, message);
        }
    };
    node.settings.store(Arc::new(settings));
    warp::reply::json(&settings).into_response()
}

fn parse(body: &[u8]) -> Result<SettingsFor, String> {
    let asked: SettingsFor = serde_json::from_slice(body)
        .map_err(|error| format!("the settings cannot be read: {error}"))?;
    if asked.settings.ttl_jitter_percent.is_some_and(|percent| percent > MAX_JITTER_PERCENT) {
        return Err(format!("`ttlJitterPercent` must be from 0 to {MAX_JITTER_PERCENT}"));
    }
    Ok(asked)
}
