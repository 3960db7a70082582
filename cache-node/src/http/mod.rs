//! The HTTP/JSON API: entries by key for programs that do not speak RESP. Any node answers for any key.

mod answer;
mod base64;
mod batch;
mod body;
mod call;
mod entry;
mod exchange;
mod expiry;
mod hash;
mod json;
pub(crate) mod key;
mod listener;
mod moving;
mod peers;
mod problem;

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::{Method, Request, Response};
use parking_lot::Mutex;

use crate::account::{Holding, Lease};
use crate::counters::count;
use crate::node::Node;
use crate::served::Tally;
use call::Call;
use exchange::Exchange;
use peers::Peers;
use problem::Problem;

pub use listener::serve;

/// An answer on its way to the client.
type Answer = Response<Full<Bytes>>;
/// Requests that a node passes on carry in it how many nodes have done so, and the incarnation that they are meant for. Only
/// nodes know that: what a client says is ignored, or it could have a request answered as if it had been passed on for too long.
const HOPS: &str = "ringcache-hops";
/// A request is passed on at most so often: nodes that disagree about an owner must not play ping-pong.
const MAX_HOPS: u8 = 3;

/// The largest answer: a batch, or a value of the largest size whose every byte is escaped as six.
const MAX_ANSWER_BYTES: usize = 8 << 20;
/// What a request looks up with at first, in bytes: enough for ordinary answers.
const FIRST_ROOM: usize = 16 << 10;

/// What all connections share.
struct Api {
    node: Arc<Node>,
    peers: Peers,
    /// What was served over HTTP.
    tally: Arc<Mutex<Tally>>,
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
    /// The connection, whose memory it takes.
    holding: Arc<Holding>,
}

impl Relayed {
    /// Memory for so many bytes of the answer. Waits while others hold it.
    async fn lease(&self, bytes: usize) -> Result<Lease, Problem> {
        let mut lease = self.holding.lease();
        if lease.wait_for(bytes).await { Ok(lease) } else { Err(Problem::Busy) }
    }

    /// Memory for an ordinary answer; none if there is not so much now.
    fn first_lease(&self) -> Lease {
        let mut lease = self.holding.lease();
        let _ = lease.grow_to(FIRST_ROOM);
        lease
    }
}

impl Api {
    fn new(node: Arc<Node>) -> Self {
        let tally = node.served.of_thread();
        Self { node, peers: Peers::new(), tally }
    }

    /// Answers a request of the connection that `holding` is of.
    async fn answer(
        &self,
        request: Request<Incoming>,
        holding: &Arc<Holding>,
        exchange: &Exchange,
    ) -> Answer {
        count(&self.node.counters.http_requests);
        let answer = self.try_answer(request, holding, exchange).await;
        // It is for the client to take it.
        holding.set_idle();
        answer.unwrap_or_else(|problem| {
            exchange.error(problem.kind().1);
            problem.into_answer()
        })
    }

    /// How many nodes have passed a request on, if its header was written by a node for this one.
    fn hops(&self, header: &str) -> Option<u8> {
        let (hops, receiver) = header.split_once(' ')?;
        hops.parse().ok().filter(|_| receiver == self.node.incarnation.0)
    }

    async fn try_answer(
        &self,
        request: Request<Incoming>,
        holding: &Arc<Holding>,
        exchange: &Exchange,
    ) -> Result<Answer, Problem> {
        let (head, body) = request.into_parts();
        let call = Call::parse(&head.method, &head.uri)?;
        let text = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
        let hops = text(HOPS).and_then(|hops| self.hops(hops)).unwrap_or(0);
        exchange.is_for(matches!(call, Call::Get(_) | Call::BatchGet), hops > 0);
        let (body, lease) = match call {
            Call::Put(_) | Call::BatchGet => body::read(&head.headers, body, holding).await?,
            Call::Get(_) | Call::Delete(_) => (Bytes::new(), holding.lease()),
        };
        holding.set_busy();
        let if_none_match = text("if-none-match").map(str::to_owned);
        let relayed = Relayed {
            method: head.method,
            path: head.uri.path().to_owned(),
            if_none_match,
            body,
            hops,
            holding: Arc::clone(holding),
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
