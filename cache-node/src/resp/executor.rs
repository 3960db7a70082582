//! Answers the requests of one connection, one after the other: at once if it can, else it waits for the slot, forwards
//! the request, or redirects the client. A request that has to wait holds up the later ones of its connection, so that
//! replies keep their order.

use std::collections::HashMap;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ringcache_ring::SlotSet;
use ringcache_store::Millis;
use ringcache_wire::output::Output;
use ringcache_wire::reply::ReplyWriter;
use ringcache_wire::request::Args;
use ringcache_wire::table::{Command, lookup};
use tokio::net::TcpStream;

use super::commands::flush::NAMED;
use super::dispatch::{Outcome, dispatch};
use super::forward::{self, Forwarded, Lost, Refused};
use super::redirect::{self, BusAddress, MAX_HOPS, Redirect};
use super::session::{Replies, Session, Transaction};
use super::workers::Worker;
use crate::counters::count;
use crate::node::{MEMORY_WAIT, WAIT};

/// Pause before a request is sent again to an owner that could not be reached.
const RETRY_PAUSE: Duration = Duration::from_millis(20);

/// Redis' text. Unlike `CLUSTERDOWN` no client answers it with a reload of the map, which would be a storm of them.
const OUT_OF_MEMORY: &str = "OOM command not allowed when used memory > 'maxmemory'.";
/// The text that no client retries, unlike `BUSY`, `TRYAGAIN` and `LOADING`.
const OVERLOADED: &str = "OVERLOADED retry-after-ms=100";

/// The part of a connection that runs requests; apart from its input, which requests point into.
pub(super) struct Executor<'a> {
    pub(super) worker: &'a Worker,
    pub(super) session: Session,
    /// Where replies go.
    pub(super) socket: TcpStream,
    /// Replies that have not been written.
    pub(super) out: Output,
    /// Where the reply to the request at hand begins in `out`. What stands before it is complete.
    pub(super) mark: usize,
}

impl Executor<'_> {
    /// Writes replies in the connection's protocol version.
    pub(super) fn reply(&mut self) -> ReplyWriter<'_> {
        self.out.set_room(self.out.len() + self.worker.max_message_bytes());
        ReplyWriter::new(&mut self.out, self.session.proto)
    }

    /// Answers one request. True if the connection is to be closed.
    pub(super) async fn answer(&mut self, args: Args<'_>, now: &mut Millis) -> bool {
        self.mark = self.out.len();
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
        if let Some(tracking) = &mut self.session.tracking
            && self.session.transaction.is_none()
            && !args[0].eq_ignore_ascii_case(b"CLIENT")
        {
            tracking.caching = false;
        }
        if replies != Replies::On {
            self.suppress(replies);
        }
        // Half a reply would be taken for the beginning of the next one.
        close || self.out.is_full()
    }

    /// Answers a request that another node forwards.
    async fn answer_peer(&mut self, args: Args<'_>, now: &mut Millis) -> bool {
        let lease = || self.session.client.holding.lease();
        let mut forwarded = forward::unwrap(args, lease);
        if let Err(Refused::NoRoom(bytes)) = forwarded
            && self.wait_for_room(bytes).await
        {
            forwarded = forward::unwrap(args, || self.session.client.holding.lease());
            self.session.client.holding.give_back_aside();
        }
        let Forwarded { hops, request: args, transaction } = match forwarded {
            Ok(forwarded) => forwarded,
            Err(Refused::NoRoom(_)) => {
                self.overloaded();
                return false;
            }
            Err(Refused::Malformed) => {
                self.reply().error("ERR not a forwarded request");
                return true;
            }
        };
        self.session.transaction = transaction;
        match dispatch(self.worker, &mut self.session, args, *now, &mut self.out) {
            Outcome::Done => false,
            Outcome::Close => true,
            unserved => {
                self.answer_later(args, hops, unserved, now).await;
                false
            }
        }
    }

    /// Waits for `event`. Complete replies and pushes are written meanwhile: else the client would get them only when the
    /// request at hand is answered, seconds later.
    pub(super) async fn meanwhile<R>(&mut self, event: impl Future<Output = R>) -> R {
        let mut event = pin!(event);
        let client = Arc::clone(&self.session.client);
        let mut is_connected = true;
        loop {
            is_connected = is_connected && self.write_ready();
            tokio::select! {
                biased;
                result = &mut event => return result,
                ready = self.socket.writable(), if is_connected && self.mark > 0 => {
                    is_connected = ready.is_ok();
                }
                () = client.woken() => {}
            }
        }
    }

    /// Writes what is complete, as far as the client takes it now. False if the connection is lost; the next flush reports
    /// that.
    fn write_ready(&mut self) -> bool {
        loop {
            // While replies wait, pushes stay where their number is bounded.
            if self.out.is_empty() && self.session.tracking.is_some() {
                self.session.client.take_pushes(&mut self.out);
                self.mark = self.out.len();
            }
            let Some(ready) = self.out.get(..self.mark).filter(|ready| !ready.is_empty()) else {
                return true;
            };
            match self.socket.try_write(ready) {
                Ok(0) => return false,
                Ok(written) => {
                    self.out.sent(written);
                    self.mark -= written;
                }
                Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
            }
        }
    }

    /// Answers a request that could not be run at once.
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
                Outcome::FlushAtOwners(slot) => {
                    if !self.flush_at_owners(hops, waited).await {
                        self.session.flush = None;
                        self.reply()
                            .error("CLUSTERDOWN not every new owner of a slot has flushed it");
                        return;
                    }
                    slot
                }
                Outcome::NoRoom(bytes) => {
                    if waited >= WAIT || !self.wait_for_room(bytes).await {
                        self.overloaded();
                        // A command that could not be queued breaks the transaction, and `EXEC` ends it.
                        match args.get(0).and_then(lookup) {
                            Some(spec) if spec.id != Command::Exec => {
                                self.session.break_transaction();
                            }
                            _ => self.end_exec(),
                        }
                        return;
                    }
                    *now = node.clock.unix_ms();
                    outcome = dispatch(self.worker, &mut self.session, args, *now, &mut self.out);
                    self.session.client.holding.give_back_aside();
                    continue;
                }
                Outcome::NoMemory(slot) => {
                    if waited >= MEMORY_WAIT {
                        count(&node.counters.refused_for_memory);
                        self.reply().error(OUT_OF_MEMORY);
                        return self.end_exec();
                    }
                    slot
                }
                Outcome::Elsewhere(slot) => {
                    if self.send_elsewhere(args, slot, hops, waited).await {
                        return self.end_exec();
                    }
                    slot
                }
            };
            if waited >= WAIT {
                self.session.flush = None;
                self.reply().error("CLUSTERDOWN Hash slot not served");
                return self.end_exec();
            }
            if !has_waited {
                count(&node.counters.waited);
                has_waited = true;
            }
            self.meanwhile(node.changed(slot)).await;
            *now = node.clock.unix_ms();
            outcome = dispatch(self.worker, &mut self.session, args, *now, &mut self.out);
        }
    }

    /// Clears slots that were handed over at their owners. Those whose owner is not known or cannot be reached are left to be
    /// tried again. False if an owner may have got the request and has not said that it is done: sent again, the first one
    /// might run late, and delete what was written after the answer to the second.
    async fn flush_at_owners(&mut self, hops: u8, waited: Duration) -> bool {
        let node = self.worker.node();
        let Some(flush) = &self.session.flush else { return true };
        if hops >= MAX_HOPS {
            return false;
        }
        let mut owners: HashMap<BusAddress, SlotSet> = HashMap::new();
        for slot in flush.away.iter() {
            if let Some(owner) = redirect::address(node, slot) {
                owners.entry(owner).or_default().insert(slot);
            }
        }
        let deadline_ms =
            node.clock.monotonic_ms() + WAIT.saturating_sub(waited).as_millis() as u64;
        for (owner, slots) in owners {
            let ranges = slots.ranges().flat_map(|range| [*range.start(), *range.end()]);
            let ranges: Vec<String> = ranges.map(|slot| slot.to_string()).collect();
            let words =
                [&b"FLUSHALL"[..], NAMED].into_iter().chain(ranges.iter().map(String::as_bytes));
            let request = forward::wrap(hops + 1, words, None);
            let answer = self.worker.forwarder.send(owner, self.session.proto, hops + 1, request);
            let left_ms = deadline_ms.saturating_sub(node.clock.monotonic_ms());
            let answer = tokio::time::timeout(Duration::from_millis(left_ms), answer);
            match self.meanwhile(answer).await {
                Ok(Ok(reply)) if reply == b"+OK\r\n" => {
                    count(&node.counters.forwarded);
                    if let Some(flush) = &mut self.session.flush {
                        flush.away = flush.away.difference(&slots);
                    }
                }
                Ok(Err(Lost::NotSent)) => self.meanwhile(tokio::time::sleep(RETRY_PAUSE)).await,
                _ => return false,
            }
        }
        true
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
        if args.get(0).and_then(lookup).is_some_and(|spec| self.session.registers(spec)) {
            let moved = redirect::moved(node, slot);
            return moved.is_some_and(|error| {
                self.reply().error(&error);
                true
            });
        }
        let departed_requests = &mut self.session.departed_requests;
        let to = match redirect::decide(node, slot, hops, departed_requests, waited_ms) {
            Redirect::Wait => return false,
            Redirect::Moved(error) => {
                self.reply().error(&error);
                return true;
            }
            Redirect::Forward(to) => to,
        };
        let request = forward::wrap(hops + 1, args.iter(), self.session.transaction.as_ref());
        let answer = self.worker.forwarder.send(to, self.session.proto, hops + 1, request);
        let left = WAIT.saturating_sub(waited);
        let lost = match self.meanwhile(tokio::time::timeout(left, answer)).await {
            Ok(Ok(reply)) => {
                count(&node.counters.forwarded);
                self.out.set_room(self.out.len() + reply.len());
                if !self.out.reserve(reply.len()) {
                    self.wait_for_room(reply.len()).await;
                }
                // If there is still no memory, the connection is closed.
                self.out.push(&reply);
                self.session.client.holding.give_back_aside();
                return true;
            }
            Ok(Err(lost)) => lost,
            Err(_) => Lost::Unknown,
        };
        // A write that the owner may still hold in some buffer must not be sent again: run late, after this and other
        // writes were acknowledged, it would bring an old value back.
        let reads = args.get(0).and_then(lookup).is_some_and(|spec| spec.has_flag("readonly"));
        if lost == Lost::NotSent || reads {
            self.meanwhile(tokio::time::sleep(RETRY_PAUSE)).await;
            return false;
        }
        let error = format!("CLUSTERDOWN the owner of slot {slot} cannot be reached");
        self.reply().error(&error);
        true
    }

    /// Waits until there is memory for so many bytes more for the request at hand, and sets it aside. False if that takes too
    /// long.
    async fn wait_for_room(&mut self, bytes: usize) -> bool {
        let mut spare = self.session.client.holding.lease();
        let room = self.out.len() + bytes;
        let is_granted = self.meanwhile(spare.wait_for(room)).await;
        if is_granted {
            spare.set_aside();
        }
        is_granted
    }

    /// Answers that there was no memory for the request at hand or its reply.
    pub(super) fn overloaded(&mut self) {
        self.reply().error(OVERLOADED);
    }

    /// Takes back the reply to a request before which `CLIENT REPLY` was not `ON`.
    fn suppress(&mut self, before: Replies) {
        match self.session.replies {
            // The request itself turned replies on: that is answered.
            Replies::On => return,
            Replies::SkipNext if before == Replies::SkipNext => self.session.replies = Replies::On,
            Replies::SkipNext | Replies::Off => {}
        }
        self.out.truncate(self.mark);
    }

    /// Brings the shared counters up to date: once a batch, not once a request.
    pub(super) fn account(&mut self) {
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
            shown.queued = session.transaction.as_ref().map(Transaction::len);
        });
    }
}
