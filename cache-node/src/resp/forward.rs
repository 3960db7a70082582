//! Forwarding: a request for a slot that was handed over goes to its new owner, and the owner's reply to the client, byte
//! for byte.
//!
//! A forwarded request is an ordinary one with an argument before it: `RC.FWD`. A transaction is one request as well,
//! `RC.FWD EXEC` and then each command with its number of arguments before it: so it cannot be torn apart.
//!
//! A large one goes over a link of its own, with its size before it ([`Announcement`]). The owner answers at once that it is too
//! large for it, or within a second that it has no memory for it, and drops it as it comes; the client gets that answer.
//!
//! Requests of many clients share a link and are answered in order, so none may wait at the other node: if it cannot serve the
//! request at once, it says so, and the node that the client is connected to waits and asks again. A deletion may have to stop
//! half way: the owner says how many keys it has counted so far, and the client gets the sum.
//!
//! The handshake of a link names the version of all this. No release spoke an earlier one: a node takes no other.

use std::collections::HashMap;

use bytes::Bytes;
use parking_lot::Mutex;
use ringcache_ring::SlotSet;
use ringcache_wire::encode_args;
use ringcache_wire::number::parse_i64;
use ringcache_wire::reply::Proto;
use ringcache_wire::request::{Args, Limits};
use ringcache_wire::table::{Command, CommandSpec, lookup};
use tokio::sync::{mpsc, oneshot};

use super::commands::transaction::MAX_QUEUED;
use super::connection;
use super::error::CommandError;
use super::link::{self, Job, Received};
use super::redirect::BusAddress;
use super::session::{NoRoom, Transaction};
use crate::account::{Lease, MAX_MESSAGE_BYTES};

mod announcement;

pub(super) use announcement::Announcement;

/// First argument of every forwarded request. On a client's connection it is an unknown command.
const PREFIX: &[u8] = b"RC.FWD";

/// Requests that wait for one link at most; more wait in their connections.
const QUEUE: usize = 1024;

/// Requests of more bytes go over a link of their own, since small ones would wait until they are sent, and are announced.
pub(super) const LARGE: usize = 64 << 10;

/// Bytes that forwarding adds to a request at most; to a transaction, with each of its commands.
pub(super) const ADDED: usize = 1 << 10;

/// Bytes that an argument takes in a request beside its own, at most: its header, and the end of its line.
pub(super) const ARG_BYTES: usize = b"$1048576\r\n\r\n".len();

/// What another node may send: what clients of the largest node may, and what forwarding adds to it. Without this slack a
/// request at a client's limit would close the link, and fail the requests of all others on it.
pub(super) fn limits() -> Limits {
    let of_clients = connection::limits(MAX_MESSAGE_BYTES);
    Limits {
        // The prefix, `EXEC`, and a count for each command of a transaction.
        max_args: of_clients.max_args + 2 + MAX_QUEUED,
        max_request_bytes: of_clients.max_request_bytes + ADDED,
        ..of_clients
    }
}

/// Why there is no answer to a forwarded request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// The other node cannot have seen the request.
    NotSent,
    /// It may have run the request.
    Unknown,
    /// There was no memory for the reply, of so many bytes. Only of reads, which can be sent again.
    NoRoom(usize),
}

/// What the other node says to a forwarded request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It has run it: this is the client's reply.
    Reply(Vec<u8>),
    /// It is to be asked again soon: the slot is between two owners, or there is no memory for the reply. It did nothing, but for
    /// a deletion of many keys, of which it has counted so many.
    Wait(usize),
    /// It did nothing: it has no memory for what the request stores.
    NoMemory,
    /// That node owns the slot. What was done before is said as in [`Answer::Wait`].
    Ask(BusAddress, usize),
}

const WAIT: &str = "RC.WAIT";
const NO_MEMORY: &str = "RC.OOM";
const ASK: &str = "RC.ASK";

impl Answer {
    /// The text of the error that says so between nodes; no command's error begins like one of them.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Reply(reply) => String::from_utf8_lossy(reply).into_owned(),
            Self::Wait(counted) => format!("{WAIT} {counted}"),
            Self::NoMemory => NO_MEMORY.to_owned(),
            Self::Ask(BusAddress { host, port }, counted) => {
                format!("{ASK} {port} {host} {counted}")
            }
        }
    }

    /// Reads what came over a link.
    pub(super) fn read(reply: Vec<u8>) -> Self {
        let special = reply.strip_prefix(b"-").filter(|text| text.starts_with(b"RC."));
        let text = special.and_then(|text| str::from_utf8(text).ok()).unwrap_or_default();
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        match words.as_slice() {
            [WAIT, counted] if let Ok(counted) = counted.parse() => Self::Wait(counted),
            [NO_MEMORY] => Self::NoMemory,
            [ASK, port, host, counted]
                if let (Ok(port), Ok(counted)) = (port.parse(), counted.parse()) =>
            {
                Self::Ask(BusAddress { host: (*host).to_owned(), port }, counted)
            }
            _ => Self::Reply(reply),
        }
    }
}

/// Where a link leads, and what goes over it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct LinkKey {
    pub(super) to: BusAddress,
    /// Whether its replies are RESP3.
    pub(super) resp3: bool,
    /// Whether its requests are above [`LARGE`].
    pub(super) large: bool,
}

/// A worker's links to other nodes, opened when first needed.
#[derive(Default)]
pub(super) struct Forwarder {
    links: Mutex<HashMap<LinkKey, mpsc::Sender<Job>>>,
}

impl Forwarder {
    /// Sends a wrapped request and waits for the answer. It takes its memory of the lease, and comes with it; without one there
    /// must be memory for it.
    pub(super) async fn send(
        &self,
        to: BusAddress,
        proto: Proto,
        request: Bytes,
        memory: Option<Lease>,
    ) -> Result<(Answer, Option<Lease>), Lost> {
        let (reply, answer) = oneshot::channel();
        let large = request.len() > LARGE;
        let link = self.link(LinkKey { to, resp3: proto == Proto::Resp3, large });
        link.send(Job { request, memory, reply }).await.map_err(|_| Lost::NotSent)?;
        let Received { reply, memory } = answer.await.unwrap_or(Err(Lost::Unknown))?;
        Ok((Answer::read(reply), memory))
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

/// The bytes of a request, or of the transaction that `EXEC` is to execute, as sent to another node. A large one is announced.
pub(super) fn wrap<'a>(
    args: impl Iterator<Item = &'a [u8]> + Clone,
    transaction: Option<&Transaction>,
) -> Result<Bytes, CommandError> {
    let commands = transaction.into_iter().flat_map(Transaction::commands);
    // The bytes of a transaction are bounded; its arguments, which may be empty, are not.
    if commands.clone().map(|(_, args)| args.len()).sum::<usize>() > connection::MAX_ARGS {
        return Err(CommandError::Other("ERR transaction is too large"));
    }
    let counts: Vec<String> = commands.clone().map(|(_, args)| args.len().to_string()).collect();
    let queued = commands
        .zip(&counts)
        .flat_map(|((_, args), count)| std::iter::once(count.as_bytes()).chain(args.iter()));
    let args = args.map(|arg| -> &[u8] { arg });
    let words = std::iter::once(PREFIX).chain(args).chain(queued);
    let (bytes, args) = words
        .clone()
        .fold((0, 0), |(bytes, args), word| (bytes + ARG_BYTES + word.len(), args + 1));
    let mut request = Vec::with_capacity(Announcement::BYTES + ARG_BYTES + bytes);
    request.resize(Announcement::BYTES, 0);
    encode_args(&mut request, args, words);
    let size = Announcement { bytes: request.len() - Announcement::BYTES, args };
    if size.bytes <= LARGE {
        return Ok(Bytes::from(request).slice(Announcement::BYTES..));
    }
    let is_written = size.write(&mut request);
    is_written.map_err(|_| CommandError::Other("ERR request is too large"))?;
    Ok(request.into())
}

/// A request from another node.
#[derive(Debug)]
pub(super) struct Forwarded<'a> {
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
    /// There is no memory for the transaction now.
    NoRoom,
}

/// Undoes [`wrap`]. A transaction takes its memory of `lease`.
pub(super) fn unwrap(
    args: Args<'_>,
    lease: impl FnOnce() -> Lease,
) -> Result<Forwarded<'_>, Refused> {
    let request = args.slice(1..args.len());
    if args.get(0) != Some(PREFIX) || request.is_empty() {
        return Err(Refused::Malformed);
    }
    let is_exec = lookup(&request[0]).is_some_and(|spec| spec.id == Command::Exec);
    if request.len() == 1 || !is_exec {
        return Ok(Forwarded { request, transaction: None });
    }
    let mut transaction = Transaction::new(lease());
    let mut rest = request.slice(1..request.len());
    while let Some(count) = rest.get(0) {
        let (spec, end) = command(count, rest).ok_or(Refused::Malformed)?;
        let pushed = transaction.push(spec, rest.slice(1..end).iter());
        pushed.map_err(|NoRoom(_)| Refused::NoRoom)?;
        rest = rest.slice(end..rest.len());
    }
    Ok(Forwarded { request: request.slice(0..1), transaction: Some(transaction) })
}

/// The command of `count` arguments that follows at 1 in `rest`, and where it ends.
fn command(count: &[u8], rest: Args<'_>) -> Option<(&'static CommandSpec, usize)> {
    let count = usize::try_from(parse_i64(count)?).ok()?;
    let spec = lookup(rest.get(1)?)?;
    (spec.accepts(count) && count < rest.len()).then_some((spec, count + 1))
}

/// Reads the slots that a node says it could not flush yet.
pub(super) fn left_of_flush(reply: &[u8]) -> Option<SlotSet> {
    if reply == b"+OK\r\n" {
        return Some(SlotSet::new());
    }
    let mut lines = str::from_utf8(reply).ok()?.lines();
    lines.next().filter(|header| header.starts_with('*'))?;
    let numbers = lines.map(|line| line.strip_prefix(':').and_then(|slot| slot.parse().ok()));
    let numbers = numbers.collect::<Option<Vec<u16>>>()?;
    let pairs = numbers.chunks(2).map(|pair| match pair {
        [first, last] if first <= last && *last < ringcache_ring::SLOTS => Some(*first..=*last),
        _ => None,
    });
    Some(SlotSet::from_ranges(pairs.collect::<Option<Vec<_>>>()?))
}

#[cfg(test)]
mod tests;
