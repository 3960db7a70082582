//! The HTTP/JSON API: entries by key for programs that do not speak RESP. Any node answers for any key.

mod answer;
mod base64;
mod batch;
mod body;
mod call;
mod entry;
mod expiry;
mod hash;
mod json;
mod key;
mod listener;
mod peers;
mod pool;
mod problem;

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::{Method, Request, Response};

use crate::counters::count;
use crate::node::Node;
use call::Call;
use peers::Peers;
use pool::{Lease, Pool};
use problem::Problem;

pub use listener::serve;

/// An answer on its way to the client.
type Answer = Response<Full<Bytes>>;
/// Requests that a node passes on carry in it how many nodes have done so, and the incarnation that they are meant for. Only
/// nodes know that: what a client says is ignored, or it could have a request answered as if it had been passed on for too long.
const HOPS: &str = "ringcache-hops";
/// A request is passed on at most so often: nodes that disagree about an owner must not play ping-pong.
const MAX_HOPS: u8 = 3;

/// What all connections share.
struct Api {
    node: Arc<Node>,
    peers: Peers,
    pool: Pool,
}

/// What of a request must still be known when it is passed on.
#[derive(Clone)]
struct Relayed {
    method: Method,
    /// As it was sent, still percent-encoded.
    path: String,
    if_none_match: Option<String>,
    body: Bytes,
    hops: u8,
}

impl Api {
    fn new(node: Arc<Node>) -> Self {
        let pool = Pool::new(node.args.memory_bytes);
        Self { node, peers: Peers::new(), pool }
    }

    async fn answer(&self, request: Request<Incoming>) -> Answer {
        count(&self.node.counters.http_requests);
        self.try_answer(request).await.unwrap_or_else(Problem::into_answer)
    }

    /// How many nodes have passed a request on, if its header was written by a node for this one.
    fn hops(&self, header: &str) -> Option<u8> {
        let (hops, receiver) = header.split_once(' ')?;
        hops.parse().ok().filter(|_| receiver == self.node.incarnation.0)
    }

    async fn try_answer(&self, request: Request<Incoming>) -> Result<Answer, Problem> {
        let (head, body) = request.into_parts();
        let call = Call::parse(&head.method, &head.uri)?;
        let (body, lease) = match call {
            Call::Put(_) | Call::BatchGet => body::read(&head.headers, body, &self.pool).await?,
            Call::Get(_) | Call::Delete(_) => (Bytes::new(), Lease::default()),
        };
        let text = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
        let relayed = Relayed {
            method: head.method,
            path: head.uri.path().to_owned(),
            if_none_match: text("if-none-match").map(str::to_owned),
            body,
            hops: text(HOPS).and_then(|hops| self.hops(hops)).unwrap_or(0),
        };
        match call {
            Call::Get(key) => self.get(&key, &relayed).await,
            Call::Put(key) => self.put(&key, &relayed, lease).await,
            Call::Delete(key) => self.delete(&key, &relayed).await,
            Call::BatchGet => self.batch_get(&relayed, lease).await,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
