//! One connection: reads, runs every complete request in order into one output buffer, writes, and again.
//!
//! Both buffers are bounded: nothing is read while replies wait to be written, and no request is run while more than
//! [`HIGH_MARK`] of them do. What all connections hold together is bounded by [`crate::account`]. A client that stands still
//! half way, in a request or in taking its replies, is closed.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::BufMut as _;
use ringcache_store::Millis;
use ringcache_wire::output::Output;
use ringcache_wire::reply::Proto;
use ringcache_wire::request::{Limits, Parsed, RequestParser};
use tokio::net::TcpStream;

use super::client::Client;
use super::executor::Executor;
use super::forward::{self, Announcement};
use super::session::Session;
use super::workers::{Origin, Worker};
use crate::account::Lease;
use crate::counters::count;

mod announced;
mod linger;

use announced::Announced;

/// Bytes of one read: the least, and the most while a client keeps the connection full.
const MIN_READ: usize = 4 << 10;
const MAX_READ: usize = 64 << 10;
/// Others of the thread have their turn after so many milliseconds.
const TURN_MS: u64 = 1;
/// Short requests that are run between two looks at the clock, each of which costs a tenth of one.
const UNTIMED: u32 = 32;
/// Replies of so many bytes are written before the next request is run.
const HIGH_MARK: usize = 64 << 10;
/// A client that takes less than 4 KiB of its replies for so long is gone.
const STALLED_REPLY: Duration = Duration::from_mins(1);
/// A client that has sent part of a request sends 4 KiB more of it, or its end, within this time.
const STALLED_REQUEST: Duration = Duration::from_secs(10);
/// Arguments of a request for whose places no memory has to be granted.
const FREE_ARGS: usize = 128;

/// Arguments of a client's request.
pub(super) const MAX_ARGS: usize = 1024 * 1024;

/// What a client may send, if the largest request has `max_bytes`.
pub(super) fn limits(max_bytes: usize) -> Limits {
    Limits {
        max_args: MAX_ARGS,
        max_bulk_bytes: (8 << 20).min(max_bytes),
        max_inline_bytes: 64 << 10,
        max_request_bytes: max_bytes,
        free_args: FREE_ARGS,
    }
}

/// An address as its owner knows it: a socket for both families shows IPv4 addresses as IPv6 ones.
fn as_known(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Serves a connection until either side closes it.
pub(super) async fn serve(worker: &Worker, socket: TcpStream, origin: Origin) {
    let (Ok(addr), Ok(laddr)) = (socket.peer_addr(), socket.local_addr()) else { return };
    let (addr, laddr) = (as_known(addr), as_known(laddr));
    if socket.set_nodelay(true).is_err() {
        return;
    }
    let (shared, node) = (&worker.shared, worker.node());
    let monotonic_ms = node.clock.monotonic_ms();
    let (is_peer, proto, limits) = match origin {
        Origin::Client => (false, Proto::Resp2, limits(worker.max_message_bytes())),
        Origin::Peer { proto } => (true, proto, forward::limits()),
    };
    let holding = node.account.open(!is_peer);
    let [input_memory, output_memory, push_memory] = std::array::from_fn(|_| holding.lease());
    let registered = shared.clients.register(addr, laddr, is_peer, holding, monotonic_ms);
    // Only after registering: whoever stops the node first says so, then closes the registered ones.
    if *shared.stop.borrow() {
        return;
    }
    let client = &registered.client;
    let end = Connection {
        executor: Executor {
            worker,
            session: Session::new(client.clone(), proto),
            socket,
            out: Output::leased(output_memory),
            mark: 0,
            pushes: Output::leased(push_memory),
        },
        client,
        parser: RequestParser::new(limits),
        input: Vec::new(),
        memory: input_memory,
        announced: Announced::Nothing,
        consumed: 0,
        need: 1,
        read_bytes: MIN_READ,
        turn_began: None,
        arrived_us: 0,
        read_us: 0,
    }
    .run()
    .await;
    if client.was_overrun() {
        count(&node.counters.tracking_overruns);
        tracing::warn!(%addr, "closed a client: it took its invalidations too slowly");
    } else if end == End::Stalled {
        count(&node.counters.stalled);
        tracing::warn!(%addr, "closed a client: it stood still half way in a request or a reply");
    } else if end == End::ForOthers {
        client.holding.ended_for_others();
        tracing::debug!(%addr, "closed a client that stood still: others needed the memory that it held");
    } else if end == End::NoMemory {
        tracing::debug!(%addr, "closed a client: there was no memory for its request");
    } else if client.is_killed() {
        tracing::debug!(%addr, "closed a client that was killed");
    }
}

/// Goes on if the client is ready, as far as the kernel knows and this thread had no time to see; else the connection ends for
/// others.
async fn last_chance(ready: impl Future<Output = io::Result<()>>) -> Result<(), End> {
    // Before a task goes on that has yielded, the kernel is asked.
    tokio::task::yield_now().await;
    tokio::select! {
        biased;
        ready = ready => Ok(ready?),
        () = std::future::ready(()) => Err(End::ForOthers),
    }
}

struct Connection<'a> {
    executor: Executor<'a>,
    client: &'a Client,
    parser: RequestParser,
    /// What has been read. Requests before `consumed` are done with.
    input: Vec<u8>,
    /// The memory of `input` and of the parser.
    memory: Lease,
    /// What another node has announced and has still to send.
    announced: Announced,
    consumed: usize,
    /// Bytes that the request at the end of `input` misses at least.
    need: usize,
    /// Size of the next read.
    read_bytes: usize,
    /// Since when others have had no turn; `None` if they have just had one.
    turn_began: Option<Millis>,
    /// Monotonic microseconds at which the first byte was read that no reply was written for, and at which the last one was.
    arrived_us: u64,
    read_us: u64,
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

/// Why a connection ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// Either side closed it.
    Closed,
    /// The client was told that it ends.
    Told,
    /// The client stood still half way.
    Stalled,
    /// The client stood still, and others needed the memory.
    ForOthers,
    /// There was no memory for the request.
    NoMemory,
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        Self::Closed
    }
}

impl Connection<'_> {
    async fn run(mut self) -> End {
        loop {
            let turn = self.turn().await;
            if let Err(end) = turn {
                self.tally(false);
                let client = self.client;
                if matches!(end, End::Told | End::NoMemory) && !client.is_peer {
                    linger::linger(self.into_socket(), client).await;
                }
                return end;
            }
        }
    }

    /// Gives others their turn if it is time: a client that always has requests ready would keep them waiting for ever. Returns
    /// the time.
    async fn give_way(&mut self) -> Millis {
        let clock = self.executor.worker.node().clock;
        let now = clock.unix_ms();
        if !self.is_turn_over(now) {
            return now;
        }
        tokio::task::yield_now().await;
        let now = clock.unix_ms();
        self.turn_began = Some(now);
        now
    }

    fn is_turn_over(&mut self, now: Millis) -> bool {
        // The clock may be set back meanwhile.
        self.turn_began.get_or_insert(now).abs_diff(now) > TURN_MS
    }

    /// Runs the requests that are there, writes the replies, and reads if no complete request is left.
    async fn turn(&mut self) -> Result<(), End> {
        let stop = self.execute().await;
        self.flush().await?;
        self.tally(true);
        if self.client.is_closing() {
            return Err(End::Closed);
        }
        if stop == Stop::Close {
            return Err(End::Told);
        }
        if stop == Stop::Read { self.read().await } else { Ok(()) }
    }

    /// Adds what was served to what this thread has.
    fn tally(&mut self, are_written: bool) {
        let Executor { worker, session, .. } = &mut self.executor;
        if session.batch.is_empty() {
            return;
        }
        let batch = std::mem::take(&mut session.batch);
        if !self.client.is_peer {
            let took = || worker.node().clock.monotonic_us().saturating_sub(self.arrived_us);
            worker.tally.lock().add(&batch, are_written.then(took));
        }
    }

    /// Runs complete requests in the order they came.
    async fn execute(&mut self) -> Stop {
        let clock = self.executor.worker.node().clock;
        let mut now = self.give_way().await;
        let mut untimed = 0;
        let stop = loop {
            if self.executor.out.len() >= HIGH_MARK || self.must_write_first() {
                break Stop::Write;
            }
            self.drop_refused();
            let is_due = untimed >= UNTIMED || self.executor.session.was_slow;
            if is_due && self.consumed < self.input.len() {
                self.executor.session.was_slow = false;
                now = clock.unix_ms();
                if self.is_turn_over(now) {
                    break Stop::Write;
                }
                untimed = 0;
            }
            let input = self.input.get(self.consumed..).unwrap_or_default();
            match self.parser.parse(input) {
                Ok(Parsed::Incomplete { need }) => {
                    self.need = need;
                    break Stop::Read;
                }
                Ok(Parsed::Crowded { bytes }) => {
                    self.executor.mark = self.executor.out.len();
                    let held = self.input.capacity() + bytes;
                    let is_granted = if self.client.is_peer {
                        self.wait_as_peer(held).await
                    } else {
                        Ok(self.executor.meanwhile(self.memory.wait_for(held)).await)
                    };
                    match is_granted {
                        Ok(true) => {
                            self.parser.grant(bytes);
                            now = self.executor.worker.node().clock.unix_ms();
                        }
                        Ok(false) if !self.client.is_closing() => {
                            self.executor.overloaded();
                            self.executor.count_error();
                            break Stop::Close;
                        }
                        Ok(false) | Err(_) => break Stop::Close,
                    }
                }
                Ok(Parsed::Request { consumed }) => {
                    self.client.holding.set_busy();
                    let args = self.parser.args(input);
                    let size = self.client.is_peer.then(|| Announcement::read(args)).flatten();
                    self.consumed += consumed;
                    let close = match size {
                        _ if !self.announced.ends_with(consumed) => true,
                        Some(size) => !self.expect(size).await,
                        None => !args.is_empty() && self.executor.answer(args, &mut now).await,
                    };
                    untimed += 1;
                    if close || self.client.is_closing() {
                        break Stop::Close;
                    }
                }
                Err(error) => {
                    count(&self.executor.worker.node().counters.protocol_errors);
                    let text = format!("ERR Protocol error: {error}");
                    self.executor.mark = self.executor.out.len();
                    self.executor.reply().error(&text);
                    self.executor.count_error();
                    break Stop::Close;
                }
            }
        };
        self.executor.account();
        stop
    }

    /// Writes all replies, then the pushes that wait: the replies may carry the values that the pushes end.
    async fn flush(&mut self) -> Result<(), End> {
        loop {
            self.write().await?;
            if self.executor.session.tracking.is_none() || !self.client.has_pushes() {
                return Ok(());
            }
            self.client.take_pushes(&mut self.executor.pushes);
        }
    }

    async fn write(&mut self) -> Result<(), End> {
        let bytes = self.executor.pushes.len() + self.executor.out.len();
        self.executor.session.batch.bytes_out += bytes as u64;
        self.write_all(&self.executor.pushes).await?;
        self.executor.pushes.clear();
        self.executor.pushes.shrink_to(0);
        self.write_all(&self.executor.out).await?;
        self.executor.out.clear();
        self.executor.mark = 0;
        if self.executor.out.capacity() > HIGH_MARK {
            self.executor.out.shrink_to(MIN_READ);
        }
        Ok(())
    }

    async fn write_all(&self, bytes: &[u8]) -> Result<(), End> {
        let mut written = 0;
        if !bytes.is_empty() {
            // From now on it is these bytes that the client is slow to take.
            self.client.holding.restart();
        }
        while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
            match self.executor.socket.try_write(rest) {
                Ok(0) => return Err(End::Closed),
                Ok(bytes) => {
                    written += bytes;
                    self.client.holding.moved(bytes);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable().await?,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Waits until the client takes bytes again.
    async fn writable(&self) -> Result<(), End> {
        let holding = &self.client.holding;
        holding.set_idle();
        loop {
            if self.client.is_killed() {
                return Err(End::Closed);
            }
            if holding.is_asked() {
                return last_chance(self.executor.socket.writable()).await;
            }
            tokio::select! {
                ready = self.executor.socket.writable() => return Ok(ready?),
                // A graceful close still flushes.
                () = self.client.woken() => {}
                () = tokio::time::sleep(STALLED_REPLY.saturating_sub(holding.idle_for())) => {
                    return Err(End::Stalled);
                }
            }
        }
    }

    /// Reads once, or waits until pushes wait.
    async fn read(&mut self) -> Result<(), End> {
        self.input.drain(..self.consumed);
        self.consumed = 0;
        loop {
            // The call that wakes for them may have come while replies were written.
            if self.executor.session.tracking.is_some() && self.client.has_pushes() {
                return Ok(());
            }
            let room = self.make_room().await?;
            match self.executor.socket.try_read_buf(&mut (&mut self.input).limit(room)) {
                Ok(0) => return Err(End::Closed),
                Ok(bytes) => {
                    self.executor.session.batch.bytes_in += bytes as u64;
                    let now_us = self.executor.worker.node().clock.monotonic_us();
                    let is_first = self.input.len() == bytes;
                    self.arrived_us = if is_first { now_us } else { self.read_us };
                    self.read_us = now_us;
                    if is_first {
                        // A request begins: however long the client was idle before, it has its time for it.
                        self.client.holding.restart();
                    }
                    self.client.holding.moved(bytes);
                    self.adapt(bytes, room);
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
            self.rest();
            if self.client.holding.is_asked() {
                if self.client.holding.is_charged() {
                    last_chance(self.executor.socket.readable()).await?;
                } else {
                    // It has given back what it was asked for.
                    self.client.holding.restart();
                }
                continue;
            }
            let patience = self.patience();
            let left = patience.unwrap_or_default().saturating_sub(self.client.holding.idle_for());
            tokio::select! {
                ready = self.executor.socket.readable() => ready?,
                () = self.client.woken() => if self.client.is_closing() { return Err(End::Closed) },
                () = tokio::time::sleep(left), if patience.is_some() => {
                    return Err(End::Stalled);
                }
            }
            self.turn_began = None;
        }
    }

    /// Room for one read. A length that was only announced gets no more than what has arrived already.
    async fn make_room(&mut self) -> Result<usize, End> {
        if let Some(room) = self.announced_room()? {
            return Ok(room);
        }
        let mut room = self.read_bytes.max(self.need.min(self.input.len()));
        if self.input.len() + room > self.input.capacity() {
            let held = self.input.len() + self.parser.held_bytes();
            // A client that could do with less need not wait.
            if !self.memory.grow_to(held + room) {
                self.read_bytes = MIN_READ;
                room = MIN_READ;
            }
            let is_granted = if self.client.is_peer {
                self.wait_as_peer(held + room).await?
            } else {
                self.memory.wait_for(held + room).await
            };
            if !is_granted {
                if self.client.is_closing() {
                    return Err(End::Closed);
                }
                self.executor.overloaded();
                self.executor.count_error();
                self.write().await?;
                return Err(End::NoMemory);
            }
            self.input.reserve_exact(room);
        }
        Ok(room)
    }

    /// Reads as much at a time as the client keeps coming.
    fn adapt(&mut self, read: usize, room: usize) {
        if read == room {
            self.read_bytes = (self.read_bytes * 2).min(MAX_READ);
        } else if read < self.read_bytes / 4 {
            self.read_bytes = (self.read_bytes / 2).max(MIN_READ);
        }
    }

    /// It is the client's turn: what is held beyond what a connection may keep is given back.
    fn rest(&mut self) {
        let holding = &self.client.holding;
        holding.set_idle();
        // A client that tracks keys must have room for pushes when nothing can be leased.
        let is_tracking = self.executor.session.tracking.is_some();
        let kept = if is_tracking { holding.allowance() / 4 } else { holding.keepable() };
        if self.executor.out.capacity() > kept {
            self.executor.out.shrink_to(kept);
        }
        if matches!(self.announced, Announced::Taken(_)) {
            return;
        }
        if self.input.is_empty() && self.input.capacity() > kept {
            self.input.shrink_to(if kept < MIN_READ { 0 } else { kept });
        }
        self.memory.shrink_to(self.input.capacity() + self.parser.held_bytes());
    }
}
