//! Reading a request's body, within bounds of size, time and memory.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::HeaderMap;
use hyper::body::{Body, Incoming};
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE};

use super::pool::{Lease, Pool};
use super::problem::Problem;

/// The largest body: room for a value of the largest size with generous white space, and for a full batch of long keys.
pub(super) const MAX_BODY_BYTES: usize = 4 << 20;
/// A body has to arrive within so long.
const BODY_TIME: Duration = Duration::from_secs(10);

/// Reads the body. The lease is the memory that it takes.
pub(super) async fn read(
    headers: &HeaderMap,
    body: Incoming,
    pool: &Pool,
) -> Result<(Bytes, Lease), Problem> {
    if !is_json(headers) {
        return Err(Problem::UnsupportedMediaType);
    }
    // A chunked body does not say how large it is.
    let announced = body.size_hint().exact().unwrap_or(MAX_BODY_BYTES as u64);
    if announced > MAX_BODY_BYTES as u64 {
        return Err(Problem::BodyTooLarge);
    }
    let mut lease = pool.lease(announced as usize).await?;
    let body = tokio::time::timeout(BODY_TIME, Limited::new(body, MAX_BODY_BYTES).collect()).await;
    let body = body.map_err(|_| Problem::RequestTimeout)?.map_err(|error| {
        if error.is::<LengthLimitError>() { Problem::BodyTooLarge } else { Problem::BodyIncomplete }
    })?;
    let body = body.to_bytes();
    lease.shrink(body.len());
    Ok((body, lease))
}

/// Whether the body may be read as JSON. `curl -d` says that what it sends is a form, and no browser sends a form with
/// `PUT`, so that one is taken at its content.
fn is_json(headers: &HeaderMap) -> bool {
    if headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return false;
    }
    let Some(header) = headers.get(CONTENT_TYPE) else { return true };
    let Ok(text) = header.to_str() else { return false };
    let essence = text.split(';').next().unwrap_or(text).trim().to_ascii_lowercase();
    essence == "application/json"
        || essence == "application/x-www-form-urlencoded"
        || (essence.starts_with("application/") && essence.ends_with("+json"))
}
