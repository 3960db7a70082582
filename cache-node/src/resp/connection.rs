//! One connection: reads, runs every complete request in order into one output buffer, writes, and again.
//!
//! Both buffers are bounded: nothing is read while replies wait to be written, and no request is run while more than
//! [`HIGH_MARK`] of them do. What all connections hold together is bounded by [`super::buffers`].

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::BufMut as _;
use ringcache_store::Millis;
use ringcache_wire::reply::{Proto, ReplyWriter};
use ringcache_wire::request::{Args, Limits, Parsed, RequestParser};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use super::buffers::Lease;
use super::client::Client;
use super::dispatch::{Outcome, dispatch};
use super::forward::{self, Forwarded, Lost};
use super::redirect::{self, Redirect};
use super::session::{Replies, Session};
use super::workers::{Origin, Worker};
use crate::counters::count;
use crate::node::WAIT;

/// Bytes of one read: the least, and the most while a client keeps the connection full.
const MIN_READ: usize = 4 << 10;
const MAX_READ: usize = 64 << 10;
/// Replies of so many bytes are written before the next request is run.
const HIGH_MARK: usize = 64 << 10;
/// Capacity of the output buffer that an idle connection keeps.
const IDLE_OUTPUT: usize = 4 << 10;
/// A client that takes no byte of its replies for so long is gone.
const STALLED: Duration = Duration::from_secs(60);
/// The same while connections hold more memory than they may.
const STALLED_UNDER_PRESSURE: Duration = Duration::from_secs(1);
/// How often a connection looks whether it may hold more memory again, and for how long at most.
const PRESSURE_PAUSE: Duration = Duration::from_millis(10);
const PRESSURE_TURNS: u32 = 200;
/// Pause before a request is sent again to an owner that could not be reached.
const RETRY_PAUSE: Duration = Duration::from_millis(20);
/// The text that no client retries, unlike `BUSY`, `TRYAGAIN` and `LOADING`.
const OVERLOADED: &str = "OVERLOADED retry-after-ms=100";

/// What a client may send. A whole request must fit beside others into the memory that connections share.
const LIMITS: Limits = Limits {
    max_args: 1024 * 1024,
    max_bulk_bytes: 8 << 20,
    max_inline_bytes: 64 << 10,
    max_request_bytes: 32 << 20,
};

/// Serves a connection until either side closes it.
pub(super) async fn serve(worker: &Worker, socket: TcpStream, origin: Origin) {
    let (Ok(addr), Ok(laddr)) = (socket.peer_addr(), socket.local_addr()) else { return };
    if socket.set_nodelay(true).is_err() {
        return;
    }
    let shared = &worker.shared;
    let monotonic_ms = worker.node().clock.monotonic_ms();
    let (is_peer, proto) = match origin {
        Origin::Client => (false, Proto::Resp2),
        Origin::Peer { proto } => (true, proto),
    };
    let registered = shared.clients.register(addr, laddr, is_peer, monotonic_ms);
    // Only after registering: whoever stops the node first says so, then closes the registered ones.
    if *shared.stop.borrow() {
        return;
    }
    Connection {
        executor: Executor {
            worker,
            session: Session::new(registered.client.clone(), proto),
            out: Vec::new(),
        },
        client: &registered.client,
        socket,
        parser: RequestParser::new(LIMITS),
        input: Vec::new(),
        consumed: 0,
        need: 1,
        read_bytes: MIN_READ,
        lease: shared.buffers.lease(),
    }
    .run()
    .await;
}

struct Connection<'a> {
    executor: Executor<'a>,
    client: &'a Client,
    socket: TcpStream,
    parser: RequestParser,
    /// What has been read. Requests before `consumed` are done with.
    input: Vec<u8>,
    consumed: usize,
    /// Bytes that the request at the end of `input` misses at least.
    need: usize,
    /// Size of the next read.
    read_bytes: usize,
    lease: Lease<'a>,
}

/// Why a connection stops running requests.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stop {
    /// No complete request is left.
    Read,
    /// Replies have to be written first.
    Write,
    /// The connection is over when they are written.
    Close,
}

impl Connection<'_> {
    async fn run(mut self) {
        loop {
            let stop = self.execute().await;
            if !self.flush().await || stop == Stop::Close || self.client.is_closing() {
                return;
            }
            if stop == Stop::Read && !self.read().await {
                return;
            }
        }
    }

    /// Runs complete requests in the order they came.
    async fn execute(&mut self) -> Stop {
        let mut now = self.executor.worker.node().clock.unix_ms();
        let stop = loop {
            if self.executor.out.len() >= HIGH_MARK {
                break Stop::Write;
            }
            let input = self.input.get(self.consumed..).unwrap_or_default();
            match self.parser.parse(input) {
                Ok(Parsed::Incomplete { need }) => {
                    self.need = need;
                    break Stop::Read;
                }
                Ok(Parsed::Request { consumed }) => {
                    let args = self.parser.args(input);
                    let close = !args.is_empty() && self.executor.answer(args, &mut now).await;
                    self.consumed += consumed;
                    if close {
                        break Stop::Close;
                    }
                    if self.client.is_closing() {
                        break Stop::Close;
                    }
                }
                Err(error) => {
                    count(&self.executor.worker.node().counters.protocol_errors);
                    let text = format!("ERR Protocol error: {error}");
                    self.executor.reply().error(&text);
                    break Stop::Close;
                }
            }
        };
        self.executor.account();
        stop
    }

    /// Writes all replies. False if the client takes none, or is gone.
    async fn flush(&mut self) -> bool {
        self.account_memory();
        let mut written = 0;
        while let Some(rest) = self.executor.out.get(written..).filter(|rest| !rest.is_empty()) {
            match self.socket.try_write(rest) {
                Ok(0) => return false,
                Ok(bytes) => written += bytes,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    if !self.writable().await {
                        return false;
                    }
                }
                Err(_) => return false,
            }
        }
        self.executor.out.clear();
        if self.executor.out.capacity() > HIGH_MARK {
            self.executor.out.shrink_to(IDLE_OUTPUT);
        }
        true
    }

    /// Waits until the client takes bytes again. False if it does not for too long.
    async fn writable(&self) -> bool {
        let mut stalled = Duration::ZERO;
        loop {
            tokio::select! {
                ready = self.socket.writable() => return ready.is_ok(),
                // A graceful close still flushes.
                () = self.client.ended() => if self.client.is_killed() { return false },
                () = tokio::time::sleep(STALLED_UNDER_PRESSURE) => {
                    stalled += STALLED_UNDER_PRESSURE;
                    if stalled >= STALLED || self.lease.is_over() {
                        return false;
                    }
                }
            }
        }
    }

    /// Reads once. False if there is nothing more to come, or no memory for it.
    async fn read(&mut self) -> bool {
        self.input.drain(..self.consumed);
        self.consumed = 0;
        if self.input.is_empty() && self.input.capacity() > self.read_bytes {
            self.input.shrink_to(self.read_bytes);
        }
        if !self.has_memory().await {
            return false;
        }
        // A length that was only announced gets no more memory than what has arrived already.
        let room = self.read_bytes.max(self.need.min(self.input.len()));
        self.input.reserve(room);
        let mut input = (&mut self.input).limit(room);
        let read = tokio::select! {
            read = self.socket.read_buf(&mut input) => read,
            () = self.client.ended() => return false,
        };
        match read {
            Ok(0) | Err(_) => return false,
            Ok(bytes) if bytes == room => self.read_bytes = (self.read_bytes * 2).min(MAX_READ),
            Ok(bytes) if bytes < self.read_bytes / 4 => {
                self.read_bytes = (self.read_bytes / 2).max(MIN_READ);
            }
            Ok(_) => {}
        }
        true
    }

    /// Waits while connections hold too much memory and this one is among them. False if that does not change: then the
    /// client is told, and the connection closed.
    async fn has_memory(&mut self) -> bool {
        self.account_memory();
        for _ in 0..PRESSURE_TURNS {
            if !self.lease.is_over() {
                return true;
            }
            tokio::time::sleep(PRESSURE_PAUSE).await;
            if self.client.is_closing() {
                return false;
            }
        }
        tracing::warn!(addr = %self.client.addr, "closed a client: connections hold too much memory");
        self.executor.reply().error(OVERLOADED);
        self.flush().await;
        false
    }

    fn account_memory(&mut self) {
        let queued = self.executor.session.transaction.as_ref().map_or(0, |queued| queued.bytes);
        self.lease.hold(self.input.capacity() + self.executor.out.capacity() + queued);
    }
}

/// The part of a connection that runs requests; apart from the input, which requests point into.
struct Executor<'a> {
    worker: &'a Worker,
    session: Session,
    out: Vec<u8>,
}

impl Executor<'_> {
    fn reply(&mut self) -> ReplyWriter<'_> {
        ReplyWriter::new(&mut self.out, self.session.proto)
    }

    /// Answers one request. True if the connection is to be closed.
    async fn answer(&mut self, args: Args<'_>, now: &mut Millis) -> bool {
        let mark = self.out.len();
        let replies = self.session.replies;
        self.session.commands += 1;
        let close = if self.session.client.is_peer {
            self.answer_peer(args, now).await
        } else {
            match dispatch(self.worker, &mut self.session, args, *now, &mut self.out) {
                Outcome::Done => false,
                Outcome::Close => true,
                unserved => {
                    self.answer_later(args, 0, unserved, now).await;
                    false
                }
            }
        };
        if replies != Replies::On {
            self.suppress(mark, replies);
        }
        close
    }

    /// Answers a request that another node forwards.
    async fn answer_peer(&mut self, args: Args<'_>, now: &mut Millis) -> bool {
        let Some(Forwarded { hops, request, transaction }) = forward::unwrap(args) else {
            self.reply().error("ERR not a forwarded request");
            return true;
        };
        self.session.transaction = transaction;
        let args = request.as_args();
        match dispatch(self.worker, &mut self.session, args, *now, &mut self.out) {
            Outcome::Done => false,
            Outcome::Close => true,
            unserved => {
                self.answer_later(args, hops, unserved, now).await;
                false
            }
        }
    }

    /// Answers a request that could not be run at once: waits for its slot, forwards it, or redirects the client. It
    /// holds up the later requests of the same connection, so that replies keep their order.
    async fn answer_later(
        &mut self,
        args: Args<'_>,
        hops: u8,
        unserved: Outcome,
        now: &mut Millis,
    ) {
        let node = self.worker.node();
        let started_ms = node.clock.monotonic_ms();
        let mut outcome = unserved;
        let mut has_waited = false;
        loop {
            let waited = Duration::from_millis(node.clock.monotonic_ms() - started_ms);
            let slot = match outcome {
                Outcome::Done | Outcome::Close => return,
                Outcome::Wait(slot) => slot,
                Outcome::Elsewhere(slot) => {
                    if self.send_elsewhere(args, slot, hops, waited).await {
                        return self.end_exec();
                    }
                    slot
                }
            };
            if waited >= WAIT {
                self.reply().error("CLUSTERDOWN Hash slot not served");
                return self.end_exec();
            }
            if !has_waited {
                count(&node.counters.waited);
                has_waited = true;
            }
            node.changed(slot).await;
            *now = node.clock.unix_ms();
            outcome = dispatch(self.worker, &mut self.session, args, *now, &mut self.out);
        }
    }

    /// A request that was answered without being run here ends the transaction, if there is one: it was `EXEC`, since
    /// everything else is queued.
    fn end_exec(&mut self) {
        if self.session.transaction.is_some() {
            self.session.end_transaction();
        }
    }

    /// Forwards a request or redirects the client. False if neither can be done now.
    async fn send_elsewhere(
        &mut self,
        args: Args<'_>,
        slot: u16,
        hops: u8,
        waited: Duration,
    ) -> bool {
        let node = self.worker.node();
        let waited_ms = waited.as_millis() as u64;
        let departed_requests = &mut self.session.departed_requests;
        let to = match redirect::decide(node, slot, hops, departed_requests, waited_ms) {
            Redirect::Wait => return false,
            Redirect::Moved(error) => {
                self.reply().error(&error);
                return true;
            }
            Redirect::Forward(to) => to,
        };
        let request = forward::wrap(hops + 1, args, self.session.transaction.as_ref());
        let answer = self.worker.forwarder.send(to, self.session.proto, hops + 1, request);
        let left = WAIT.saturating_sub(waited);
        let lost = match tokio::time::timeout(left, answer).await {
            Ok(Ok(reply)) => {
                count(&node.counters.forwarded);
                self.out.extend_from_slice(&reply);
                return true;
            }
            Ok(Err(lost)) => lost,
            Err(_) => Lost::Unknown,
        };
        if lost == Lost::NotSent || forward::is_repeatable(args) {
            tokio::time::sleep(RETRY_PAUSE).await;
            return false;
        }
        let error = format!("CLUSTERDOWN the owner of slot {slot} cannot be reached");
        self.reply().error(&error);
        true
    }

    /// Takes back the reply since `mark` to a request before which `CLIENT REPLY` was not `ON`.
    fn suppress(&mut self, mark: usize, before: Replies) {
        match self.session.replies {
            // The request itself turned replies on: that is answered.
            Replies::On => return,
            Replies::SkipNext if before == Replies::SkipNext => self.session.replies = Replies::On,
            Replies::SkipNext | Replies::Off => {}
        }
        self.out.truncate(mark);
    }

    /// Brings the shared counters up to date: once a batch, not once a request.
    fn account(&mut self) {
        let Self { worker, session, .. } = self;
        if session.commands == 0 {
            return;
        }
        let node = worker.node();
        let now_ms = node.clock.monotonic_ms().max(1);
        node.counters.commands.fetch_add(session.commands, Ordering::Relaxed);
        session.commands = 0;
        if session.asked_for_key {
            node.counters.last_request_ms.store(now_ms, Ordering::Relaxed);
            session.asked_for_key = false;
        }
        session.client.shown(|shown| {
            shown.active_ms = now_ms;
            shown.last_command = session.last_command;
            shown.queued = session.transaction.as_ref().map(|queued| queued.queue.len());
        });
    }
}
