//! Forwarding: a request for a slot that was handed over goes to its new owner, and the owner's reply to the client, byte
//! for byte.
//!
//! A forwarded request is an ordinary one with two arguments before it: `RC.FWD <hops>`. A transaction is one request
//! as well, `RC.FWD <hops> EXEC` and then each command with its number of arguments before it: so it cannot be torn
//! apart.

use std::collections::HashMap;

use parking_lot::Mutex;
use ringcache_wire::encode_command;
use ringcache_wire::number::parse_i64;
use ringcache_wire::reply::Proto;
use ringcache_wire::request::Args;
use ringcache_wire::table::{Command, lookup};
use tokio::sync::{mpsc, oneshot};

use super::link::{self, Job};
use super::redirect::{BusAddress, MAX_HOPS};
use super::session::{OwnedArgs, Queued, Transaction};

/// First argument of every forwarded request. On a client's connection it is an unknown command.
const PREFIX: &[u8] = b"RC.FWD";

/// Requests that wait for one link at most; more wait in their connections.
const QUEUE: usize = 1024;

/// Why there is no reply to a forwarded request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// The other node cannot have seen the request.
    NotSent,
    /// It may have run the request.
    Unknown,
}

/// Where a link leads. A link per hop count: on a shared one, two nodes that forward to each other would each wait for a
/// reply that stands behind the other's question.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct LinkKey {
    pub(super) to: BusAddress,
    /// Whether its replies are RESP3.
    pub(super) resp3: bool,
    pub(super) hops: u8,
}

/// A worker's links to other nodes, opened when first needed.
#[derive(Default)]
pub(super) struct Forwarder {
    links: Mutex<HashMap<LinkKey, mpsc::Sender<Job>>>,
}

impl Forwarder {
    /// Sends a wrapped request and waits for the bytes of its reply.
    pub(super) async fn send(
        &self,
        to: BusAddress,
        proto: Proto,
        hops: u8,
        request: Vec<u8>,
    ) -> Result<Vec<u8>, Lost> {
        let (reply, answer) = oneshot::channel();
        let link = self.link(LinkKey { to, resp3: proto == Proto::Resp3, hops });
        link.send(Job { request, reply }).await.map_err(|_| Lost::NotSent)?;
        answer.await.unwrap_or(Err(Lost::Unknown))
    }

    fn link(&self, key: LinkKey) -> mpsc::Sender<Job> {
        let mut links = self.links.lock();
        if let Some(link) = links.get(&key).filter(|link| !link.is_closed()) {
            return link.clone();
        }
        // Nodes come and go: links that have ended must not pile up.
        links.retain(|_, link| !link.is_closed());
        let (link, jobs) = mpsc::channel(QUEUE);
        tokio::spawn(link::run(key.clone(), jobs));
        links.insert(key, link.clone());
        link
    }
}

/// The bytes of a request, or of the transaction that `EXEC` is to execute, as sent to another node.
pub(super) fn wrap(hops: u8, args: Args<'_>, transaction: Option<&Transaction>) -> Vec<u8> {
    let hops = hops.to_string();
    let mut wrapped = vec![PREFIX, hops.as_bytes()];
    wrapped.extend(args.iter());
    let counts: Vec<String> = transaction
        .iter()
        .flat_map(|transaction| &transaction.queue)
        .map(|queued| queued.args.as_args().len().to_string())
        .collect();
    let queue = transaction.iter().flat_map(|transaction| &transaction.queue);
    for (queued, count) in queue.zip(&counts) {
        wrapped.push(count.as_bytes());
        wrapped.extend(queued.args.as_args().iter());
    }
    let mut request = Vec::new();
    encode_command(&mut request, &wrapped);
    request
}

/// A request from another node.
pub(super) struct Forwarded {
    /// Nodes it has passed through, the sender included.
    pub(super) hops: u8,
    /// The client's request.
    pub(super) request: OwnedArgs,
    /// What `EXEC` is to execute.
    pub(super) transaction: Option<Transaction>,
}

/// Undoes [`wrap`]; `None` if it was not called.
pub(super) fn unwrap(args: Args<'_>) -> Option<Forwarded> {
    let mut rest = args.iter();
    rest.next().filter(|prefix| *prefix == PREFIX)?;
    let hops = u8::try_from(parse_i64(rest.next()?)?).ok().filter(|hops| *hops <= MAX_HOPS)?;
    let name = rest.clone().next()?;
    if rest.len() == 1 || lookup(name).is_none_or(|spec| spec.id != Command::Exec) {
        return Some(Forwarded { hops, request: OwnedArgs::new(rest), transaction: None });
    }
    rest.next();
    let request = OwnedArgs::new(std::iter::once(name));
    let mut transaction = Transaction::default();
    while let Some(count) = rest.next() {
        let count = usize::try_from(parse_i64(count)?).ok()?;
        let command: Vec<&[u8]> = rest.by_ref().take(count).collect();
        let spec = lookup(command.first()?)?;
        if command.len() != count || !spec.accepts(count) {
            return None;
        }
        transaction.push(Queued { spec, args: OwnedArgs::new(command.into_iter()) });
    }
    Some(Forwarded { hops, request, transaction: Some(transaction) })
}

#[cfg(test)]
mod tests {
    use ringcache_wire::request::{Limits, RequestParser};

    use super::*;

    fn owned(words: &[&str]) -> OwnedArgs {
        OwnedArgs::new(words.iter().map(|word| word.as_bytes()))
    }

    fn words(args: Args<'_>) -> Vec<String> {
        args.iter().map(|arg| String::from_utf8(arg.to_vec()).unwrap()).collect()
    }

    fn sent(request: &[u8]) -> OwnedArgs {
        let mut parser = RequestParser::new(Limits::default());
        parser.parse(request).unwrap();
        OwnedArgs::new(parser.args(request).iter())
    }

    #[test]
    fn a_request_arrives_as_it_was_sent_with_its_hops() {
        let request = wrap(2, owned(&["GET", "k"]).as_args(), None);
        let forwarded = unwrap(sent(&request).as_args()).unwrap();
        assert_eq!(forwarded.hops, 2);
        assert_eq!(words(forwarded.request.as_args()), ["GET", "k"]);
        assert!(forwarded.transaction.is_none());
    }

    #[test]
    fn a_transaction_arrives_whole() {
        let mut transaction = Transaction::default();
        for command in [&["SET", "k", "3"][..], &["GET", "k"]] {
            let spec = lookup(command[0].as_bytes()).unwrap();
            transaction.push(Queued { spec, args: owned(command) });
        }
        let request = wrap(1, owned(&["EXEC"]).as_args(), Some(&transaction));
        let forwarded = unwrap(sent(&request).as_args()).unwrap();
        assert_eq!(words(forwarded.request.as_args()), ["EXEC"]);
        let queue = forwarded.transaction.unwrap().queue;
        let commands: Vec<_> = queue.iter().map(|queued| words(queued.args.as_args())).collect();
        assert_eq!(commands, [vec!["SET", "k", "3"], vec!["GET", "k"]]);
    }

    #[test]
    fn what_no_node_sends_is_refused() {
        for broken in [
            &["GET", "k"][..],
            &["RC.FWD"],
            &["RC.FWD", "1"],
            &["RC.FWD", "4", "GET", "k"],
            &["RC.FWD", "-1", "GET", "k"],
            &["RC.FWD", "1", "EXEC", "3", "GET", "k"],
            &["RC.FWD", "1", "EXEC", "-1", "GET", "k"],
            &["RC.FWD", "1", "EXEC", "0", "GET", "k"],
            &["RC.FWD", "1", "EXEC", "1", "GET"],
        ] {
            assert!(unwrap(owned(broken).as_args()).is_none(), "{broken:?}");
        }
    }
}
