//! Commands that do the same with each of their keys. They run on so many keys at a time that none of them holds a slot, or
//! its thread, for longer than others can wait; only within a transaction they run on all at once.

use std::ops::Range;

use ringcache_store::SlotGuard;
use ringcache_wire::reply::ReplyWriter;

use super::dispatch::{Call, Effect, Keyed, Outcome, admit, refuse, settle, slot_of};

/// Keys that are treated while a slot is locked.
pub(super) const PART: usize = 64;

/// What is done with each key.
#[derive(Clone, Copy)]
pub(super) enum Each {
    /// The reply is the number of keys, as often as they are named, for which it is true.
    Count(fn(&mut Keyed<'_, '_>, &[u8]) -> bool),
    /// The reply has an element for each key.
    Reply(fn(&mut Keyed<'_, '_>, &[u8])),
}

/// Runs a command on its keys, part by part. If it has to go on elsewhere, all of it is run there: what was counted here is
/// remembered, and is not counted again since it is gone.
pub(super) fn run(call: &mut Call<'_>, each: Each) -> Outcome {
    call.session.asked_for_key = true;
    let mark = call.out.len();
    let slot = match slot_of(call.spec, call.args) {
        Ok(slot) => slot,
        Err(error) => return refuse(call, mark, &error),
    };
    let effect = Effect::of(call.spec);
    let keys = call.args.len();
    begin(call, each);
    let mut counted = 0;
    for first in (1..keys).step_by(PART) {
        // The rest could not be sent: it need not be looked up.
        if call.out.exceeds_room() {
            break;
        }
        let mut guard = match admit(call.worker.node(), slot, effect) {
            Ok(guard) => guard,
            Err(outcome) => {
                call.out.truncate(mark);
                if effect != Effect::Reads {
                    call.session.counted += counted;
                }
                return outcome;
            }
        };
        counted += run_part(call, &mut guard, each, first..keys.min(first + PART));
        drop(guard);
        settle(call.node(), effect, call.now);
    }
    counted += std::mem::take(&mut call.session.counted);
    end(call, each, counted);
    Outcome::Done
}

/// Runs a command of a transaction on all its keys.
pub(super) fn run_locked(call: &mut Call<'_>, slot: &mut SlotGuard<'_>, each: Each) {
    begin(call, each);
    let counted = run_part(call, slot, each, 1..call.args.len());
    end(call, each, counted);
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

/// Returns how many keys were counted.
fn run_part(
    call: &mut Call<'_>,
    slot: &mut SlotGuard<'_>,
    each: Each,
    keys: Range<usize>,
) -> usize {
    let (tracking, client) = (call.session.tracking, call.session.client.id);
    let keys = call.args.slice(keys);
    slot.set_writer(tracking.filter(|tracking| tracking.noloop).map(|_| client));
    let mut keyed = Keyed {
        node: call.worker.node(),
        slot: &mut *slot,
        args: call.args,
        now: call.now,
        no_touch: call.session.no_touch,
        reply: ReplyWriter::new(call.out, call.session.proto),
    };
    let counted = match each {
        Each::Count(is_counted) => keys.iter().filter(|key| is_counted(&mut keyed, key)).count(),
        Each::Reply(reply) => {
            keys.iter().for_each(|key| reply(&mut keyed, key));
            0
        }
    };
    if tracking.is_some_and(|tracking| tracking.registers(call.spec)) {
        // Absent keys as well: clients remember that there is nothing.
        for key in keys.iter() {
            slot.track(key, client);
        }
    }
    counted
}
