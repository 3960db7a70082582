//! Requests for slots that another node owns: forwarded to it, or the client is redirected.

use std::collections::HashMap;
use std::time::Duration;

use ringcache_ring::SlotSet;
use ringcache_store::MAX_VALUE_BYTES;
use ringcache_wire::number::parse_i64;
use ringcache_wire::request::Args;
use ringcache_wire::table::{Command, CommandSpec, lookup};

use super::commands::flush::NAMED;
use super::dispatch::{Effect, SHORT, returns_values};
use super::error::CommandError;
use super::executor::Executor;
use super::forward::{self, Answer, Lost};
use super::redirect::{self, BusAddress, Redirect};
use super::session::Transaction;
use crate::account::Lease;
use crate::counters::count;
use crate::node::{Node, WAIT};

/// Pause before a request is sent again to an owner that could not be reached.
const RETRY_PAUSE: Duration = Duration::from_millis(20);
/// Owners that a request is sent to, one after the other: each may know of a newer one.
const MAX_HOPS: usize = 3;
/// An owner that sends the request back here expects to get the slot: the last message of the handover is still on its way.
/// After this time the client is sent there instead.
const EXPECTED: Duration = Duration::from_millis(100);

/// What came of sending a request to another node.
pub(super) enum Sent {
    /// The reply is written.
    Answered,
    /// Nothing was done: it has to be tried again.
    NotNow,
    /// Nothing was done: the owner has no memory for what the request stores.
    NoMemory,
}

impl Executor<'_> {
    /// Clears slots that were handed over at their owners. Those whose owner is not known or cannot be reached are left to be
    /// tried again. False if an owner may have got the request and has not said that it is done: sent again, the first one
    /// might run late, and delete what was written after the answer to the second.
    pub(super) async fn flush_at_owners(&mut self, waited: Duration) -> bool {
        let node = self.worker.node();
        let Some(flush) = &self.session.flush else { return true };
        let mut owners: HashMap<BusAddress, SlotSet> = HashMap::new();
        for slot in flush.away.iter() {
            if let Some(owner) = redirect::address(node, slot) {
                owners.entry(owner).or_default().insert(slot);
            }
        }
        let deadline_ms = deadline_ms(node, waited);
        for (owner, slots) in owners {
            let ranges = slots.ranges().flat_map(|range| [*range.start(), *range.end()]);
            let ranges: Vec<String> = ranges.map(|slot| slot.to_string()).collect();
            let words =
                [&b"FLUSHALL"[..], NAMED].into_iter().chain(ranges.iter().map(String::as_bytes));
            let Ok(request) = forward::wrap(words, None) else { return false };
            let answer = self.worker.forwarder.send(owner, self.session.proto, request, None);
            let left_ms = deadline_ms.saturating_sub(node.clock.monotonic_ms());
            let answer = tokio::time::timeout(Duration::from_millis(left_ms), answer);
            match self.meanwhile(answer).await {
                Ok(Ok((Answer::Reply(reply), _))) => {
                    let Some(left) = forward::left_of_flush(&reply) else { return false };
                    count(&node.counters.forwarded);
                    if let Some(flush) = &mut self.session.flush {
                        flush.away = flush.away.difference(&slots.difference(&left));
                    }
                }
                Ok(Ok(_) | Err(Lost::NotSent)) => {
                    self.meanwhile(tokio::time::sleep(RETRY_PAUSE)).await;
                }
                Ok(Err(Lost::Unknown | Lost::NoRoom(_))) | Err(_) => return false,
            }
        }
        true
    }

    /// Forwards a request or redirects the client.
    pub(super) async fn send_elsewhere(
        &mut self,
        args: Args<'_>,
        slot: u16,
        waited: Duration,
    ) -> Sent {
        let node = self.worker.node();
        if args.get(0).and_then(lookup).is_some_and(|spec| self.session.registers(spec)) {
            return self.redirect(slot);
        }
        let mut to = match self.decide(slot, waited) {
            Redirect::Wait => return Sent::NotNow,
            Redirect::Moved(error) => {
                self.reply().error(&error);
                return Sent::Answered;
            }
            Redirect::Forward(to) => to,
        };
        let queued = self.session.transaction.as_ref().map_or(0, Transaction::sent_bytes);
        let mut copy = self.session.client.holding.lease();
        let sent = args.iter().map(|arg| forward::ARG_BYTES + arg.len());
        let bytes = forward::ADDED + sent.sum::<usize>() + queued;
        if !self.meanwhile(copy.wait_for(bytes)).await {
            return Sent::NotNow;
        }
        // No command takes such an argument: it would only keep the link busy.
        let request = if args.iter().any(|arg| arg.len() > MAX_VALUE_BYTES) {
            Err(CommandError::ValueTooLong)
        } else {
            forward::wrap(args.iter(), self.session.transaction.as_ref())
        };
        let request = match request {
            Ok(request) => request,
            Err(error) => {
                self.reply().error(&error.to_string());
                return Sent::Answered;
            }
        };
        let most = self.most_reply_bytes(args).min(self.worker.max_message_bytes());
        self.out.set_room(self.out.len() + self.worker.max_message_bytes());
        if !self.out.reserve(most) && !self.wait_for_room(most).await {
            return Sent::NotNow;
        }
        let deadline_ms = deadline_ms(node, waited);
        // A read has no room for its reply yet.
        let mut memory = (most == 0).then(|| self.session.client.holding.lease());
        for _ in 0..MAX_HOPS {
            let proto = self.session.proto;
            let answer =
                self.worker.forwarder.send(to.clone(), proto, request.clone(), memory.take());
            let left_ms = deadline_ms.saturating_sub(node.clock.monotonic_ms());
            let answer = tokio::time::timeout(Duration::from_millis(left_ms), answer);
            let answer = self.meanwhile(answer).await;
            match answer.unwrap_or(Err(Lost::Unknown)) {
                Ok((Answer::Reply(reply), memory)) => {
                    count(&node.counters.forwarded);
                    self.relay(&add(reply, self.session.counted), memory).await;
                    return Sent::Answered;
                }
                Ok((Answer::Wait(counted), _)) => {
                    self.session.counted = self.session.counted.saturating_add(counted);
                    return self.pause(waited, Sent::NotNow).await;
                }
                Ok((Answer::NoMemory, _)) => return self.pause(waited, Sent::NoMemory).await,
                Err(Lost::NoRoom(bytes)) => {
                    let mut room = self.session.client.holding.lease();
                    if !self.meanwhile(room.wait_for(bytes)).await {
                        self.overloaded();
                        return Sent::Answered;
                    }
                    memory = Some(room);
                }
                Ok((Answer::Ask(next, counted), room)) => {
                    memory = room;
                    self.session.counted = self.session.counted.saturating_add(counted);
                    if !redirect::is_own(node, &next) {
                        to = next;
                    } else if waited < EXPECTED {
                        return self.pause(waited, Sent::NotNow).await;
                    } else {
                        break;
                    }
                }
                Err(lost) => return self.lost(args, slot, lost).await,
            }
        }
        self.redirect(slot)
    }

    /// Where a request goes. One that has counted keys is not sent back to the client, which would never get that count.
    fn decide(&mut self, slot: u16, waited: Duration) -> Redirect {
        let (node, session) = (self.worker.node(), &mut self.session);
        if session.counted > 0 {
            return redirect::address(node, slot).map_or(Redirect::Wait, Redirect::Forward);
        }
        let waited_ms = waited.as_millis() as u64;
        redirect::decide(node, slot, &mut session.departed_requests, waited_ms)
    }

    /// Bytes for which there must be memory before a request is sent: a write would be carried out and its reply be lost. A
    /// read can be sent again.
    fn most_reply_bytes(&self, args: Args<'_>) -> usize {
        if let Some(transaction) = &self.session.transaction {
            let replies = transaction.commands().map(|(spec, args)| longest_reply(spec, args));
            return SHORT + replies.sum::<usize>();
        }
        match args.get(0).and_then(lookup) {
            Some(spec) if Effect::of(spec) != Effect::Reads => SHORT + longest_reply(spec, args),
            _ => 0,
        }
    }

    /// Writes the reply of another node, in the memory that it has come with.
    async fn relay(&mut self, reply: &[u8], memory: Option<Lease>) {
        if let Some(memory) = memory {
            memory.set_aside();
        }
        self.out.set_room(self.out.len() + reply.len());
        if !self.out.reserve(reply.len()) {
            self.wait_for_room(reply.len()).await;
        }
        // If there is still no memory, the connection is closed.
        self.out.push(reply);
        self.session.client.holding.give_back_aside();
    }

    /// Sends the client to the owner of the slot, if one is known. One that would never get what was counted stays.
    fn redirect(&mut self, slot: u16) -> Sent {
        if self.session.counted > 0 {
            return Sent::NotNow;
        }
        let Some(error) = redirect::moved(self.worker.node(), slot) else { return Sent::NotNow };
        self.reply().error(&error);
        Sent::Answered
    }

    /// Waits before the owner is asked again: a quarter of what the request has waited for already, so that what takes long is
    /// not asked for often.
    async fn pause(&mut self, waited: Duration, sent: Sent) -> Sent {
        let pause = (waited / 4).clamp(Duration::from_millis(1), RETRY_PAUSE);
        self.meanwhile(tokio::time::sleep(pause)).await;
        sent
    }

    /// Goes on after a request to which no answer came.
    async fn lost(&mut self, args: Args<'_>, slot: u16, lost: Lost) -> Sent {
        // A write that the owner may still hold in some buffer must not be sent again: run late, after this and other
        // writes were acknowledged, it would bring an old value back.
        let reads = args.get(0).and_then(lookup).is_some_and(|spec| spec.has_flag("readonly"));
        if lost == Lost::NotSent || reads {
            self.meanwhile(tokio::time::sleep(RETRY_PAUSE)).await;
            return Sent::NotNow;
        }
        let error = format!("CLUSTERDOWN the owner of slot {slot} cannot be reached");
        self.reply().error(&error);
        Sent::Answered
    }
}

/// Bytes of the longest reply to a command, whatever the values of its keys.
fn longest_reply(spec: &CommandSpec, args: Args<'_>) -> usize {
    /// A number, a status, an error, or the header of a value.
    const LINE: usize = SHORT / 4;
    let keys = spec.key_positions(args.len()).count();
    let carried = match spec.id {
        _ if returns_values(spec, args) => keys * (LINE + MAX_VALUE_BYTES),
        // The digits of its number.
        Command::Incrbyfloat => SHORT,
        // `PING` and `ECHO` answer with what they are told.
        _ if keys == 0 => args.iter().map(<[u8]>::len).max().unwrap_or(0),
        _ => 0,
    };
    LINE + carried
}

/// Until when a request that has waited so long may wait, in monotonic milliseconds.
fn deadline_ms(node: &Node, waited: Duration) -> u64 {
    node.clock.monotonic_ms() + WAIT.saturating_sub(waited).as_millis() as u64
}

/// The reply with what was counted before added to its number, if it is one.
fn add(reply: Vec<u8>, counted: usize) -> Vec<u8> {
    let number = reply.strip_prefix(b":").and_then(|reply| reply.strip_suffix(b"\r\n"));
    match number.and_then(parse_i64).filter(|_| counted > 0) {
        Some(number) => format!(":{}\r\n", number + (counted as u64).cast_signed()).into(),
        None => reply,
    }
}

#[cfg(test)]
mod tests {
    use super::add;

    #[test]
    fn what_was_counted_here_is_added_to_what_the_new_owner_counts() {
        assert_eq!(add(b":3\r\n".to_vec(), 64), b":67\r\n");
        assert_eq!(add(b":3\r\n".to_vec(), 0), b":3\r\n");
        assert_eq!(add(b"-ERR no\r\n".to_vec(), 64), b"-ERR no\r\n");
    }
}
