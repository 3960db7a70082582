//! Passing requests on to the nodes that own their keys.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::header::{
    AGE, ALLOW, CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderName, IF_NONE_MATCH, RETRY_AFTER,
};
use hyper::{Method, Request, Response, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::problem::Problem;
use super::{Answer, HOPS, MAX_ANSWER_BYTES, Relayed, answer};
use crate::account::Lease;
use crate::node::WAIT;
use crate::routes::Peer;

/// A node on the same network answers a connection attempt within this, or it is down.
const CONNECT_TIME: Duration = Duration::from_millis(500);
/// The peer may itself wait for a slot, and has to say so afterwards.
const ANSWER_TIME: Duration = WAIT.saturating_add(Duration::from_secs(1));
/// Shorter than the listener's time for idle connections, so that it is this side that closes.
const IDLE_TIME: Duration = Duration::from_secs(20);
/// Headers that an answer keeps on its way through another node; the rest concerns one connection only.
const RELAYED_HEADERS: [HeaderName; 6] =
    [CONTENT_TYPE, ETAG, CACHE_CONTROL, AGE, ALLOW, RETRY_AFTER];

/// Connections to other nodes, kept alive.
pub(super) struct Peers(Client<HttpConnector, Full<Bytes>>);

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The peer has not seen the request: it may be sent again.
    NotSent,
    /// The peer may have carried it out.
    Unknown,
}

impl Peers {
    pub(super) fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_TIME));
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIME)
            .build(connector);
        Self(client)
    }

    /// Sends the request to the peer. The body of the answer is still to be read.
    pub(super) async fn call(
        &self,
        peer: &Peer,
        relayed: &Relayed,
    ) -> Result<Response<Incoming>, Failure> {
        let request = request(peer, relayed).ok_or(Failure::NotSent)?;
        match tokio::time::timeout(ANSWER_TIME, self.0.request(request)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) if error.is_connect() => Err(Failure::NotSent),
            Ok(Err(_)) | Err(_) => Err(Failure::Unknown),
        }
    }
}

fn request(peer: &Peer, relayed: &Relayed) -> Option<Request<Full<Bytes>>> {
    let (host, port) = (&peer.host, peer.ports.http);
    let authority =
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let uri = Uri::builder().scheme("http").authority(authority).path_and_query(&*relayed.path);
    // What answers HEAD is the answer to GET without its body: only the node that has the client may leave that out.
    let is_head = relayed.method == Method::HEAD;
    let mut request = Request::builder()
        .method(if is_head { Method::GET } else { relayed.method.clone() })
        .uri(uri.build().ok()?)
        .header(HOPS, format!("{} {}", u16::from(relayed.hops) + 1, peer.incarnation));
    if let Some(tags) = &relayed.if_none_match {
        request = request.header(IF_NONE_MATCH, tags);
    }
    request.body(Full::new(relayed.body.clone())).ok()
}

/// The body of a peer's answer, if it has no more than `max_bytes`.
pub(super) async fn read(body: Incoming, max_bytes: usize) -> Result<Option<Bytes>, Failure> {
    let body = Limited::new(body, max_bytes).collect();
    match tokio::time::timeout(ANSWER_TIME, body).await {
        Ok(Ok(body)) => Ok(Some(body.to_bytes())),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Ok(None),
        Ok(Err(_)) | Err(_) => Err(Failure::Unknown),
    }
}

/// A peer's answer as the client gets it: byte for byte the same.
pub(super) async fn relay(
    from_peer: Response<Incoming>,
    mut lease: Lease,
) -> Result<Result<Answer, Failure>, Problem> {
    let (head, body) = from_peer.into_parts();
    let bytes = body.size_hint().exact().unwrap_or(MAX_ANSWER_BYTES as u64);
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX).min(MAX_ANSWER_BYTES);
    // Read whole and then put together: for a moment it is there twice.
    if !lease.wait_for(2 * bytes).await {
        return Err(Problem::Busy);
    }
    let body = match read(body, bytes).await {
        Ok(Some(body)) => body,
        Ok(None) => return Ok(Err(Failure::Unknown)),
        Err(failure) => return Ok(Err(failure)),
    };
    lease.shrink_to(body.len());
    let mut answer = answer::bare(body.into(), Some(lease));
    *answer.status_mut() = head.status;
    let kept = head.headers.iter().filter(|(name, _)| RELAYED_HEADERS.contains(name));
    answer.headers_mut().extend(kept.map(|(name, value)| (name.clone(), value.clone())));
    Ok(Ok(answer))
}
