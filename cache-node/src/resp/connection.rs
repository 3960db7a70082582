//! One connection: reads, runs every complete request in order into one output buffer, writes, and again.
//!
//! Both buffers are bounded: nothing is read while replies wait to be written, and no request is run while more than
//! [`HIGH_MARK`] of them do. What all connections hold together is bounded by [`super::buffers`].

use std::time::Duration;

use bytes::BufMut as _;
use ringcache_wire::output::Output;
use ringcache_wire::reply::Proto;
use ringcache_wire::request::{Limits, Parsed, RequestParser};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use super::buffers::Lease;
use super::client::Client;
use super::executor::Executor;
use super::session::Session;
use super::workers::{Origin, Worker};
use crate::counters::count;

/// Bytes of one read: the least, and the most while a client keeps the connection full.
const MIN_READ: usize = 4 << 10;
const MAX_READ: usize = 64 << 10;
/// Replies of so many bytes are written before the next request is run.
const HIGH_MARK: usize = 64 << 10;
/// Capacity of the output buffer that an idle connection keeps.
const IDLE_OUTPUT: usize = 4 << 10;
/// A client that takes no byte of its replies for so long is gone.
const STALLED: Duration = Duration::from_mins(1);
/// The same while connections hold more memory than they may.
const STALLED_UNDER_PRESSURE: Duration = Duration::from_secs(3);
/// How often a connection looks whether it may hold more memory again, and for how long at most.
const PRESSURE_PAUSE: Duration = Duration::from_millis(10);
const PRESSURE_TURNS: u32 = 200;
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
            socket,
            out: Output::default(),
            mark: 0,
        },
        client: &registered.client,
        parser: RequestParser::new(LIMITS),
        input: Vec::new(),
        consumed: 0,
        need: 1,
        read_bytes: MIN_READ,
        lease: shared.buffers.lease(),
    }
    .run()
    .await;
    if registered.client.was_overrun() {
        count(&worker.node().counters.tracking_overruns);
        tracing::warn!(%addr, "closed a client: it took its invalidations too slowly");
    }
}

struct Connection<'a> {
    executor: Executor<'a>,
    client: &'a Client,
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

    /// Writes all replies, and the pushes that wait. False if the client takes none, or is gone.
    async fn flush(&mut self) -> bool {
        if self.executor.session.tracking.is_some() {
            // Behind the replies: those may carry the values that the pushes end.
            self.client.take_pushes(&mut self.executor.out);
        }
        self.account_memory();
        let mut written = 0;
        while let Some(rest) = self.executor.out.get(written..).filter(|rest| !rest.is_empty()) {
            match self.executor.socket.try_write(rest) {
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
                ready = self.executor.socket.writable() => return ready.is_ok(),
                // A graceful close still flushes.
                () = self.client.woken() => if self.client.is_killed() { return false },
                () = tokio::time::sleep(STALLED_UNDER_PRESSURE) => {
                    stalled += STALLED_UNDER_PRESSURE;
                    if stalled >= STALLED || self.lease.is_over() {
                        return false;
                    }
                }
            }
        }
    }

    /// Reads once, or until pushes wait. False if there is nothing more to come, or no memory for it.
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
        // The call that wakes for them may have come while replies were written.
        if self.executor.session.tracking.is_some() && self.client.has_pushes() {
            return true;
        }
        let mut input = (&mut self.input).limit(room);
        let read = tokio::select! {
            read = self.executor.socket.read_buf(&mut input) => read,
            () = self.client.woken() => return !self.client.is_closing(),
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
