//! Answers the requests of one connection, one after the other: at once if it can, else it waits for the slot, forwards
//! the request, or redirects the client. A request that has to wait holds up the later ones of its connection, so that
//! replies keep their order.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ringcache_store::Millis;
use ringcache_wire::output::Output;
use ringcache_wire::reply::ReplyWriter;
use ringcache_wire::request::Args;
use ringcache_wire::table::{Command, lookup};
use tokio::net::TcpStream;

use super::dispatch::{Effect, Outcome, SHORT, dispatch};
use super::elsewhere::Sent;
use super::forward::{self, Answer, Forwarded, Refused};
use super::redirect;
use super::session::{Flush, Replies, Session, Transaction};
use super::workers::Worker;
use crate::counters::count;
use crate::node::{MEMORY_WAIT, WAIT};

/// Redis' text. Unlike `CLUSTERDOWN` no client answers it with a reload of the map, which would be a storm of them.
const OUT_OF_MEMORY: &str = "OOM command not allowed when used memory > 'maxmemory'.";
/// The text that no client retries, unlike `BUSY`, `TRYAGAIN` and `LOADING`.
const OVERLOADED: &str = "OVERLOADED retry-after-ms=100";

/// Pause before a request is tried again for whose reply there was no room a second time.
const ROOM_PAUSE: Duration = Duration::from_millis(10);

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
    /// Pushes that are being written, before what is in `out`. They are apart from it: the room there may have been reserved for
    /// the reply to a write that is carried out already.
    pub(super) pushes: Output,
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
        self.session.counted = 0;
        self.session.progress = None;
        self.session.flush = None;
        let close = if self.session.client.is_peer {
            self.answer_peer(args, now).await
        } else {
            match self.dispatch(args, *now) {
                Outcome::Done => false,
                Outcome::Close => true,
                unserved => {
                    self.answer_later(args, unserved, now).await;
                    self.session.client.holding.give_back_aside();
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
        match self.session.effect.take() {
            Some(Effect::Reads) => self.session.batch.reads += 1,
            Some(Effect::Changes | Effect::Stores) => self.session.batch.writes += 1,
            None => {}
        }
        self.count_error();
        // Half a reply would be taken for the beginning of the next one.
        close || self.out.is_full()
    }

    /// Counts the reply to the request at hand if it is an error.
    pub(super) fn count_error(&mut self) {
        if let Some((b'-', text)) = self.out.get(self.mark..).and_then(<[u8]>::split_first) {
            self.session.batch.error(text);
        }
    }

    fn dispatch(&mut self, args: Args<'_>, now: Millis) -> Outcome {
        dispatch(self.worker, &mut self.session, args, now, &mut self.out)
    }

    /// Lets others have their turn, and runs the request at hand on.
    async fn go_on(&mut self, args: Args<'_>, now: &mut Millis) -> Outcome {
        self.meanwhile(tokio::task::yield_now()).await;
        *now = self.worker.node().clock.unix_ms();
        self.dispatch(args, *now)
    }

    /// Answers a request that another node forwards, at once: others wait behind it.
    async fn answer_peer(&mut self, args: Args<'_>, now: &mut Millis) -> bool {
        let forwarded = forward::unwrap(args, || self.session.client.holding.lease());
        let answer = match forwarded {
            Err(Refused::Malformed) => {
                self.reply().error("ERR not a forwarded request");
                return true;
            }
            Err(Refused::NoRoom) => Answer::Wait(0),
            Ok(Forwarded { request, transaction }) => {
                self.session.transaction = transaction;
                let mut outcome = self.dispatch(request, *now);
                while outcome == Outcome::Unfinished {
                    outcome = self.go_on(request, now).await;
                }
                let counted = self.session.counted;
                match outcome {
                    Outcome::Done | Outcome::Unfinished => return false,
                    Outcome::Close => return true,
                    Outcome::NoMemory(_) => Answer::NoMemory,
                    Outcome::Wait(_) | Outcome::FlushAtOwners(_) => {
                        if let Some(left) = self.session.flush.take() {
                            self.reply_left(&left);
                            return false;
                        }
                        Answer::Wait(counted)
                    }
                    Outcome::NoRoom(_) => Answer::Wait(counted),
                    Outcome::Elsewhere(slot) => redirect::address(self.worker.node(), slot)
                        .map_or(Answer::Wait(counted), |owner| Answer::Ask(owner, counted)),
                }
            }
        };
        self.end_exec();
        self.reply().error(&answer.text());
        false
    }

    /// Tells another node which slots of a flush are still to be cleared, here or at their owners.
    fn reply_left(&mut self, left: &Flush) {
        let left = left.parked.union(&left.away);
        let ranges: Vec<_> = left.ranges().collect();
        let mut reply = self.reply();
        reply.array(2 * ranges.len());
        for range in ranges {
            reply.integer((*range.start()).into());
            reply.integer((*range.end()).into());
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
            let has_more = self.mark > 0 || !self.pushes.is_empty();
            tokio::select! {
                biased;
                result = &mut event => return result,
                ready = self.socket.writable(), if is_connected && has_more => {
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
            if self.out.is_empty() && self.pushes.is_empty() && self.session.tracking.is_some() {
                self.session.client.take_pushes(&mut self.pushes);
            }
            let replies = self.out.get(..self.mark).unwrap_or_default();
            let are_pushes = !self.pushes.is_empty();
            let ready = if are_pushes { &self.pushes } else { replies };
            if ready.is_empty() {
                return true;
            }
            match self.socket.try_write(ready) {
                Ok(0) => return false,
                Ok(written) => {
                    self.session.batch.bytes_out += written as u64;
                    if are_pushes {
                        self.pushes.sent(written);
                    } else {
                        self.out.sent(written);
                        self.mark -= written;
                    }
                }
                Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
            }
        }
    }

    /// Answers a request that could not be run at once.
    async fn answer_later(&mut self, args: Args<'_>, unserved: Outcome, now: &mut Millis) {
        let node = self.worker.node();
        let mut started_ms = node.clock.monotonic_ms();
        let mut outcome = unserved;
        let (mut has_waited, mut lacked_room) = (false, false);
        loop {
            if outcome != Outcome::Unfinished {
                self.session.client.holding.give_back_aside();
            }
            let waited = Duration::from_millis(node.clock.monotonic_ms() - started_ms);
            let (slot, lacks_memory) = match outcome {
                Outcome::Done | Outcome::Close => return,
                Outcome::Unfinished => {
                    outcome = self.go_on(args, now).await;
                    // It is served: what it waits for from now on is something else.
                    started_ms = node.clock.monotonic_ms();
                    continue;
                }
                Outcome::Wait(slot) => (slot, false),
                Outcome::FlushAtOwners(slot) => {
                    if !self.flush_at_owners(waited).await {
                        self.session.flush = None;
                        self.reply()
                            .error("CLUSTERDOWN not every new owner of a slot has flushed it");
                        return;
                    }
                    (slot, false)
                }
                Outcome::NoRoom(bytes) => {
                    if lacked_room {
                        // What it was granted did not do: others must get their turn before it tries again.
                        self.meanwhile(tokio::time::sleep(ROOM_PAUSE)).await;
                    }
                    lacked_room = true;
                    if waited >= WAIT || !self.wait_for_room(bytes).await {
                        if bytes <= SHORT {
                            // It may be one that has no reply, such as `CLIENT REPLY OFF`: then an error would be taken for the
                            // reply to the next one.
                            return self.session.client.close();
                        }
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
                    // What is set aside is for all parts of the reply.
                    outcome = self.dispatch(args, *now);
                    continue;
                }
                Outcome::NoMemory(slot) => (slot, true),
                Outcome::Elsewhere(slot) => match self.send_elsewhere(args, slot, waited).await {
                    Sent::Answered => return self.end_exec(),
                    Sent::NotNow => (slot, false),
                    Sent::NoMemory => (slot, true),
                },
            };
            if lacks_memory && waited >= MEMORY_WAIT {
                count(&node.counters.refused_for_memory);
                self.reply().error(OUT_OF_MEMORY);
                return self.end_exec();
            }
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
            outcome = self.dispatch(args, *now);
        }
    }

    /// A request that was answered without being run here ends the transaction, if there is one: it was `EXEC`, since
    /// everything else is queued.
    fn end_exec(&mut self) {
        if self.session.transaction.is_some() {
            self.session.end_transaction();
        }
    }

    /// Waits until there is memory for so many bytes more for the request at hand, and sets it aside. False if that takes too
    /// long.
    pub(super) async fn wait_for_room(&mut self, bytes: usize) -> bool {
        let mut spare = self.session.client.holding.lease();
        let room = self.out.len() + bytes;
        let is_granted = self.meanwhile(spare.wait_for(room)).await;
        if is_granted {
            spare.set_aside();
        }
        // Or there is room where the replies were that have been written meanwhile.
        is_granted || self.out.capacity() - self.out.len() >= bytes
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
        if session.batch.reads + session.batch.writes > 0 {
            node.counters.last_request_ms.store(now_ms, Ordering::Relaxed);
        }
        session.client.shown(|shown| {
            shown.active_ms = now_ms;
            shown.last_command = session.last_command;
            shown.queued = session.transaction.as_ref().map(Transaction::len);
        });
    }
}
