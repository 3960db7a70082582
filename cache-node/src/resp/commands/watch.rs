//! `WATCH` and `UNWATCH`: keys whose change makes `EXEC` do nothing.

use crate::resp::dispatch::{Call, Effect, Outcome, admit, slot_of};
use crate::resp::error::CommandError;
use crate::resp::redirect;
use crate::resp::watches::Watch;

/// Keys that one connection watches: each takes a place in the tables of tracked keys, which all connections share.
const MAX_WATCHED: usize = 1024;
/// Keys registered under one lock: others wait for its slots.
const MAX_LOCKED: usize = 64;

/// Watches keys of one slot. A key has changed when it was written, whatever it holds then, when it expired, was evicted or
/// moved to another node, and when the tables of tracked keys had no room for it any more.
pub(super) fn watch(call: &mut Call<'_>) -> Result<Outcome, CommandError> {
    if call.session.transaction.is_some() {
        call.reply().error("ERR WATCH inside MULTI is not allowed");
        return Ok(Outcome::Done);
    }
    let slot = slot_of(call.spec, call.args)?;
    if call.session.watch.as_ref().is_some_and(|watch| watch.slot != slot) {
        return Err(CommandError::CrossSlot);
    }
    let before = call.session.watch.take();
    let watched_before = before.is_some();
    let mut watch = before.unwrap_or_else(|| call.worker.shared.clients.watches.begin(slot));
    let done = add_all(call, &mut watch);
    // What a command of which nothing came has added to an older watch does no harm: at worst the client begins anew.
    if watched_before || done == Ok(Outcome::Done) {
        call.session.watch = Some(watch);
    }
    match done? {
        Outcome::Done => call.reply().simple("OK"),
        // What is watched is tracked here, so that another node cannot answer for us.
        Outcome::Elsewhere(slot) => return Ok(moved(call, slot)),
        unserved => return Ok(unserved),
    }
    Ok(Outcome::Done)
}

fn add_all(call: &Call<'_>, watch: &mut Watch) -> Result<Outcome, CommandError> {
    let node = call.worker.node();
    let mut keys = call.args.iter().skip(1).peekable();
    while keys.peek().is_some() {
        let mut guard = match admit(node, watch.slot, Effect::Reads) {
            Ok(guard) => guard,
            Err(outcome) => return Ok(outcome),
        };
        for key in keys.by_ref().take(MAX_LOCKED) {
            watch.add(&mut guard, key, call.now);
        }
        drop(guard);
        node.store.reclaim_tracked();
        if watch.keys > MAX_WATCHED {
            return Err(CommandError::Quoting(format!(
                "ERR at most {MAX_WATCHED} keys can be watched"
            )));
        }
    }
    Ok(Outcome::Done)
}

/// Sends the client to the owner; waits if nobody else is known to be it.
fn moved(call: &mut Call<'_>, slot: u16) -> Outcome {
    match redirect::moved(call.node(), slot) {
        Some(error) => {
            call.reply().error(&error);
            Outcome::Done
        }
        None => Outcome::Wait(slot),
    }
}

pub(super) fn unwatch(call: &mut Call<'_>) -> Result<Outcome, CommandError> {
    call.session.watch = None;
    call.reply().simple("OK");
    Ok(Outcome::Done)
}
