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
use ringcache_wire::table::{Command, CommandSpec, lookup};
use tokio::sync::{mpsc, oneshot};

use super::link::{self, Job};
use super::redirect::{BusAddress, MAX_HOPS};
use super::session::{NoRoom, Transaction};
use crate::account::Lease;

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
pub(super) fn wrap<'a>(
    hops: u8,
    args: impl Iterator<Item = &'a [u8]>,
    transaction: Option<&Transaction>,
) -> Vec<u8> {
    let hops = hops.to_string();
    let commands = transaction.into_iter().flat_map(Transaction::commands);
    let counts: Vec<String> = commands.clone().map(|(_, args)| args.len().to_string()).collect();
    let mut wrapped: Vec<&[u8]> = vec![PREFIX, hops.as_bytes()];
    for arg in args {
        wrapped.push(arg);
    }
    for ((_, args), count) in commands.zip(&counts) {
        wrapped.push(count.as_bytes());
        wrapped.extend(args.iter());
    }
    let mut request = Vec::new();
    encode_command(&mut request, &wrapped);
    request
}

/// A request from another node.
#[derive(Debug)]
pub(super) struct Forwarded<'a> {
    /// Nodes it has passed through, the sender included.
    pub(super) hops: u8,
    /// The client's request.
    pub(super) request: Args<'a>,
    /// What `EXEC` is to execute.
    pub(super) transaction: Option<Transaction>,
}

/// Why a request from another node cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// No node sends such a request.
    Malformed,
    /// There is no memory for so many bytes more of the transaction now.
    NoRoom(usize),
}

/// Undoes [`wrap`]. A transaction takes its memory of `lease`.
pub(super) fn unwrap(
    args: Args<'_>,
    lease: impl FnOnce() -> Lease,
) -> Result<Forwarded<'_>, Refused> {
    let (hops, request) = parts(args).ok_or(Refused::Malformed)?;
    let is_exec = lookup(&request[0]).is_some_and(|spec| spec.id == Command::Exec);
    if request.len() == 1 || !is_exec {
        return Ok(Forwarded { hops, request, transaction: None });
    }
    let mut transaction = Transaction::new(lease());
    let mut rest = request.slice(1..request.len());
    while let Some(count) = rest.get(0) {
        let (spec, end) = command(count, rest).ok_or(Refused::Malformed)?;
        let pushed = transaction.push(spec, rest.slice(1..end).iter());
        pushed.map_err(|NoRoom(bytes)| Refused::NoRoom(bytes))?;
        rest = rest.slice(end..rest.len());
    }
    Ok(Forwarded { hops, request: request.slice(0..1), transaction: Some(transaction) })
}

/// The hops, and the client's request of at least one argument.
fn parts(args: Args<'_>) -> Option<(u8, Args<'_>)> {
    args.get(0).filter(|prefix| *prefix == PREFIX)?;
    let hops = u8::try_from(parse_i64(args.get(1)?)?).ok().filter(|hops| *hops <= MAX_HOPS)?;
    let request = args.slice(2..args.len());
    (!request.is_empty()).then_some((hops, request))
}

/// The command of `count` arguments that follows at 1 in `rest`, and where it ends.
fn command(count: &[u8], rest: Args<'_>) -> Option<(&'static CommandSpec, usize)> {
    let count = usize::try_from(parse_i64(count)?).ok()?;
    let spec = lookup(rest.get(1)?)?;
    (spec.accepts(count) && count < rest.len()).then_some((spec, count + 1))
}

#[cfg(test)]
mod tests {
    use ringcache_wire::request::{Limits, RequestParser};

    use super::*;
    use crate::account::Account;
    use crate::clock::Clock;

    fn lease() -> Lease {
        Account::new(0, Clock::start()).open(false).lease()
    }

    fn bytes<'a>(words: &[&'a str]) -> Vec<&'a [u8]> {
        words.iter().map(|word| word.as_bytes()).collect()
    }

    fn words(args: Args<'_>) -> Vec<String> {
        args.iter().map(|arg| String::from_utf8(arg.to_vec()).unwrap()).collect()
    }

    fn arrive<R>(sent: &[u8], look: impl FnOnce(Result<Forwarded<'_>, Refused>) -> R) -> R {
        let mut parser = RequestParser::new(Limits::default());
        parser.parse(sent).unwrap();
        look(unwrap(parser.args(sent), lease))
    }

    #[test]
    fn a_request_arrives_as_it_was_sent_with_its_hops() {
        arrive(&wrap(2, bytes(&["GET", "k"]).into_iter(), None), |forwarded| {
            let forwarded = forwarded.unwrap();
            assert_eq!(forwarded.hops, 2);
            assert_eq!(words(forwarded.request), ["GET", "k"]);
            assert!(forwarded.transaction.is_none());
        });
    }

    #[test]
    fn a_transaction_arrives_whole() {
        let mut transaction = Transaction::new(lease());
        for command in [&["SET", "k", "3"][..], &["GET", "k"]] {
            let spec = lookup(command[0].as_bytes()).unwrap();
            transaction.push(spec, bytes(command).into_iter()).unwrap();
        }
        let request = wrap(1, bytes(&["EXEC"]).into_iter(), Some(&transaction));
        arrive(&request, |forwarded| {
            let forwarded = forwarded.unwrap();
            assert_eq!(words(forwarded.request), ["EXEC"]);
            let transaction = forwarded.transaction.unwrap();
            let commands: Vec<_> = transaction.commands().map(|(_, args)| words(args)).collect();
            assert_eq!(commands, [vec!["SET", "k", "3"], vec!["GET", "k"]]);
        });
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
            let mut sent = Vec::new();
            encode_command(&mut sent, &bytes(broken));
            arrive(&sent, |refused| {
                assert_eq!(refused.unwrap_err(), Refused::Malformed, "{broken:?}");
            });
        }
    }
}
