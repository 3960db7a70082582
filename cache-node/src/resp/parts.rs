//! Commands that do the same with each of their keys. They run on all of them at once, as a client of Redis expects, up to a
//! bound: then they let others have the slot and the thread, and go on. Only within a transaction there is no bound.

use std::ops::Range;

use ringcache_store::{MAX_VALUE_BYTES, SlotGuard};
use ringcache_wire::reply::ReplyWriter;

use super::dispatch::{Call, Effect, Keyed, Outcome, SLOW_TO_FREE, admit, refuse, settle, slot_of};

/// Keys that are treated while a slot is locked: half a millisecond, a whole one in a slot of very many entries.
pub(super) const PART: usize = 1024;
/// Bytes of values that are copied, or freed, meanwhile: as many as a single value may have.
const PART_BYTES: usize = MAX_VALUE_BYTES;

/// What is done with each key.
#[derive(Clone, Copy)]
pub(super) enum Each {
    /// The reply is the number of keys, as often as they are named, for which it is true.
    Count(fn(&mut Keyed<'_, '_>, &[u8]) -> bool),
    /// The reply has an element for each key.
    Reply(fn(&mut Keyed<'_, '_>, &[u8])),
}

/// How far a command has come that lets others have their turn.
pub(super) struct Progress {
    slot: u16,
    /// The key to go on with.
    next: usize,
    counted: usize,
    /// Bytes of its reply that are written.
    reply_bytes: usize,
}

impl Progress {
    /// Bytes of the reply that are written.
    pub(super) fn reply_bytes(&self) -> usize {
        self.reply_bytes
    }
}

/// Runs a command on its keys, or on a part of them. What changes something goes on where it was if it has to wait. If it has
/// to go on elsewhere, all of it is run there: what was counted here is remembered, and is not counted again since it is gone.
pub(super) fn run(call: &mut Call<'_>, each: Each) -> Outcome {
    let progress = match call.session.progress.take() {
        Some(progress) => progress,
        None => match slot_of(call.spec, call.args) {
            Ok(slot) => Progress { slot, next: 1, counted: 0, reply_bytes: 0 },
            Err(error) => return refuse(call, call.out.len(), &error),
        },
    };
    let Progress { slot, next, mut counted, reply_bytes } = progress;
    let mark = call.out.len() - reply_bytes;
    let effect = Effect::of(call.spec);
    call.session.effect = Some(effect);
    let mut guard = match admit(call.worker.node(), slot, effect) {
        Ok(guard) => guard,
        Err(outcome) => {
            call.out.truncate(mark);
            if effect != Effect::Reads {
                call.session.counted += counted;
                call.session.progress = Some(Progress { slot, next, counted: 0, reply_bytes: 0 });
            }
            return outcome;
        }
    };
    if next == 1 {
        begin(call, each);
    }
    let keys = call.args.len();
    let part = run_part(call, &mut guard, each, next..keys.min(next + PART), PART_BYTES);
    call.session.was_slow |= guard.freed_bytes() > SLOW_TO_FREE;
    drop(guard);
    settle(call.node(), effect, call.now);
    counted += part.counted;
    // A reply that is too long is not sent: the rest need not be looked up.
    if part.next < keys && !call.out.exceeds_room() {
        let reply_bytes = call.out.len() - mark;
        call.session.progress = Some(Progress { slot, next: part.next, counted, reply_bytes });
        return Outcome::Unfinished;
    }
    counted += std::mem::take(&mut call.session.counted);
    end(call, each, counted);
    Outcome::Done
}

/// Runs a command of a transaction on all its keys.
pub(super) fn run_locked(call: &mut Call<'_>, slot: &mut SlotGuard<'_>, each: Each) {
    begin(call, each);
    let all = run_part(call, slot, each, 1..call.args.len(), usize::MAX);
    end(call, each, all.counted);
}

fn begin(call: &mut Call<'_>, each: Each) {
    if let Each::Reply(_) = each {
        let keys = call.args.len() - 1;
        call.reply().array(keys);
    }
}

fn end(call: &mut Call<'_>, each: Each, counted: usize) {
    if let Each::Count(_) = each {
        call.reply_count(counted);
    }
}

/// What has been done while a slot was locked.
struct Part {
    counted: usize,
    /// The first key that is left.
    next: usize,
}

/// Runs on these keys, or on fewer if it copies or frees so many bytes of values.
fn run_part(
    call: &mut Call<'_>,
    slot: &mut SlotGuard<'_>,
    each: Each,
    keys: Range<usize>,
    most_bytes: usize,
) -> Part {
    let (tracking, client) = (call.session.tracking, call.session.client.id);
    slot.set_client(client, !tracking.is_some_and(|tracking| tracking.noloop));
    let mut part = Part { counted: 0, next: keys.start };
    let most_needed = call.out.needed().saturating_add(most_bytes);
    let mut keyed = Keyed {
        node: call.worker.node(),
        slot: &mut *slot,
        args: call.args,
        now: call.now,
        no_touch: call.session.no_touch,
        reply: ReplyWriter::new(call.out, call.session.proto),
    };
    for key in call.args.slice(keys.clone()).iter() {
        match each {
            Each::Count(is_counted) => part.counted += usize::from(is_counted(&mut keyed, key)),
            Each::Reply(reply) => reply(&mut keyed, key),
        }
        part.next += 1;
        if keyed.reply.needed() >= most_needed || keyed.slot.freed_bytes() >= most_bytes {
            break;
        }
    }
    if tracking.is_some_and(|tracking| tracking.registers(call.spec)) {
        // Absent keys as well: clients remember that there is nothing.
        for key in call.args.slice(keys.start..part.next).iter() {
            slot.track(key, client);
        }
    }
    part
}
