//! Reading a request's body, within bounds of size, time and memory.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::HeaderMap;
use hyper::body::{Body, Incoming};
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE};

use super::problem::Problem;
use crate::account::{Holding, Lease};

/// The largest body: room for a value of the largest size with generous white space, and for a full batch of long keys.
pub(super) const MAX_BODY_BYTES: usize = 4 << 20;
/// A body has to arrive within so long.
const BODY_TIME: Duration = Duration::from_secs(10);

/// Reads the body of a request of the connection that `holding` is of. The lease is for the body, and for as much again that
/// is read out of it. No memory is taken for bytes that were only announced.
pub(super) async fn read(
    headers: &HeaderMap,
    body: Incoming,
    holding: &Arc<Holding>,
) -> Result<(Bytes, Lease), Problem> {
    if !is_json(headers) {
        return Err(Problem::UnsupportedMediaType);
    }
    // A chunked body does not say how large it is.
    let announced = body.size_hint().exact().unwrap_or(MAX_BODY_BYTES as u64);
    if announced > MAX_BODY_BYTES as u64 {
        return Err(Problem::BodyTooLarge);
    }
    // It is for the client to send it.
    holding.set_idle();
    let mut lease = holding.lease();
    let read = collect(body, announced as usize, &mut lease);
    let read =
        tokio::time::timeout(BODY_TIME, read).await.map_err(|_| Problem::RequestTimeout)??;
    if !lease.wait_for(2 * read.len()).await {
        return Err(Problem::Busy);
    }
    Ok((Bytes::from(read), lease))
}

async fn collect(
    mut body: Incoming,
    announced: usize,
    lease: &mut Lease,
) -> Result<Vec<u8>, Problem> {
    let mut read = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::BodyIncomplete)?;
        let Ok(data) = frame.into_data() else { continue };
        let len = read.len() + data.len();
        if len > MAX_BODY_BYTES {
            return Err(Problem::BodyTooLarge);
        }
        if len > read.capacity() {
            let capacity = len.max((2 * read.capacity()).min(announced));
            if !lease.wait_for(capacity).await {
                return Err(Problem::Busy);
            }
            read.reserve_exact(capacity - read.len());
        }
        read.extend_from_slice(&data);
    }
    Ok(read)
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
