//! `MULTI`, `EXEC`, `DISCARD`: commands of one slot, run while nobody else runs any there.

use std::collections::HashMap;

use ringcache_store::{Millis, SlotGuard};
use ringcache_wire::table::Command;

use super::{Handler, handler};
use crate::resp::dispatch::{
    Call, Effect, Outcome, admit, refuse, returns_values, run, run_locked, settle, slot_of,
};
use crate::resp::error::CommandError;
use crate::resp::parts;
use crate::resp::redirect::{self, Redirect};
use crate::resp::session::{NoRoom, Transaction};

/// Bytes and number of the queued commands of one connection.
pub(in crate::resp) const MAX_QUEUED_BYTES: usize = 8 << 20;
pub(in crate::resp) const MAX_QUEUED: usize = 65_536;

/// Commands that a transaction does not queue but obeys.
pub(in crate::resp) fn runs_at_once(command: Command) -> bool {
    matches!(
        command,
        Command::Exec
            | Command::Discard
            | Command::Multi
            | Command::Watch
            | Command::Quit
            | Command::Reset
    )
}

/// Commands without keys that a transaction may contain. The others may lock slots, and `EXEC` holds one.
fn is_allowed(command: Command) -> bool {
    matches!(
        command,
        Command::Ping | Command::Echo | Command::Time | Command::Select | Command::Unwatch
    )
}

pub(super) fn multi(call: &mut Call<'_>) -> Result<Outcome, CommandError> {
    if call.session.transaction.is_some() {
        // In Redis too this does not break the transaction.
        call.reply().error("ERR MULTI calls can not be nested");
        return Ok(Outcome::Done);
    }
    call.session.transaction = Some(Transaction::new(call.session.client.holding.lease()));
    call.reply().simple("OK");
    Ok(Outcome::Done)
}

pub(super) fn discard(call: &mut Call<'_>) -> Result<Outcome, CommandError> {
    call.session.end_transaction().ok_or(CommandError::Other("ERR DISCARD without MULTI"))?;
    call.reply().simple("OK");
    Ok(Outcome::Done)
}

/// Queues a command; refuses what `EXEC` could not run. Its number of arguments has been checked.
pub(in crate::resp) fn queue(call: &mut Call<'_>) -> Outcome {
    let mark = call.out.len();
    match check(call) {
        Ok(None) => {}
        // Known already to be another node's for good: the client may as well go there now.
        Ok(Some(moved)) => {
            call.session.break_transaction();
            call.reply().error(&moved);
            return Outcome::Done;
        }
        Err(error) => return refuse(call, mark, &error),
    }
    if let Some(transaction) = &mut call.session.transaction
        && let Err(NoRoom(bytes)) = transaction.push(call.spec, call.args.iter())
    {
        return Outcome::NoRoom(bytes);
    }
    call.reply().simple("QUEUED");
    Outcome::Done
}

fn check(call: &mut Call<'_>) -> Result<Option<String>, CommandError> {
    let bytes: usize = call.args.iter().map(<[u8]>::len).sum();
    if let Some(transaction) = &call.session.transaction
        && (transaction.bytes() + bytes > MAX_QUEUED_BYTES || transaction.len() >= MAX_QUEUED)
    {
        return Err(CommandError::Other("ERR transaction is too large"));
    }
    match handler(call.spec.id) {
        Handler::Keyed(_) | Handler::Each(_) => {
            let slot = slot_of(call.spec, call.args)?;
            let node = call.worker.node();
            let Err(Outcome::Elsewhere(slot)) = admit(node, slot, Effect::Reads).map(drop) else {
                return Ok(None);
            };
            let departed_requests = &mut call.session.departed_requests;
            match redirect::decide(node, slot, departed_requests, 0) {
                Redirect::Moved(error) => Ok(Some(error)),
                Redirect::Forward(_) | Redirect::Wait => Ok(None),
            }
        }
        Handler::Plain(_) if is_allowed(call.spec.id) => Ok(None),
        Handler::Plain(_) => {
            let name = call.spec.name;
            let text = format!("ERR Command '{name}' is not allowed in a transaction");
            Err(CommandError::Quoting(text))
        }
    }
}

/// Runs what was queued, under the lock of its slot.
pub(super) fn exec(call: &mut Call<'_>) -> Result<Outcome, CommandError> {
    let transaction = call.session.transaction.take();
    let transaction = transaction.ok_or(CommandError::Other("ERR EXEC without MULTI"))?;
    if transaction.is_broken() {
        call.session.end_transaction();
        return Err(CommandError::Other(
            "EXECABORT Transaction discarded because of previous errors.",
        ));
    }
    let watched_slot = call.session.watch.as_ref().map(|watch| watch.slot);
    let slot = match slot(&transaction, watched_slot) {
        Ok(slot) => slot,
        Err(error) => {
            call.session.end_transaction();
            return Err(error);
        }
    };
    let effects = transaction.commands().map(|(spec, _)| Effect::of(spec));
    let effect = effects.max().unwrap_or(Effect::Reads);
    call.session.effect = slot.map(|_| effect);
    let worker = call.worker;
    let mut guard = match slot.map(|slot| admit(worker.node(), slot, effect)).transpose() {
        Ok(guard) => guard,
        // What is watched may have changed at another node: the client begins anew there.
        Err(Outcome::Elsewhere(_)) if watched_slot.is_some() => {
            call.session.end_transaction();
            call.reply().null_array();
            return Ok(Outcome::Done);
        }
        Err(outcome) => {
            call.session.transaction = Some(transaction);
            return Ok(outcome);
        }
    };
    let is_changed = call.session.watch.as_ref().is_some_and(|watch| watch.is_changed(call.now));
    let bytes = most_reply_bytes(&transaction, guard.as_mut(), call.now);
    let most = worker.max_message_bytes();
    let done = if is_changed {
        call.reply().null_array();
        Ok(Outcome::Done)
    } else if bytes > most {
        Err(CommandError::Quoting(format!(
            "EXECABORT Transaction discarded because its replies would be longer than {most} bytes."
        )))
    } else if !call.out.reserve(bytes) {
        call.session.transaction = Some(transaction);
        return Ok(Outcome::NoRoom(bytes));
    } else {
        run_all(call, &transaction, guard.as_mut())
    };
    drop(guard);
    call.session.end_transaction();
    settle(worker.node(), effect, call.now);
    done
}

/// The one slot of all keys; `None` if there are none.
fn slot(transaction: &Transaction, watched: Option<u16>) -> Result<Option<u16>, CommandError> {
    let keyed = transaction.commands().filter(|(spec, _)| spec.keys.first > 0);
    let slots = keyed.map(|(spec, args)| slot_of(spec, args)).chain(watched.map(Ok));
    let mut one = None;
    for slot in slots {
        let slot = slot?;
        if *one.get_or_insert(slot) != slot {
            return Err(CommandError::CrossSlot);
        }
    }
    Ok(one)
}

/// The most bytes that the replies can take. Known before anything runs: given up half way, a transaction would be half
/// executed. A key's value is as long as it is now, or as an argument of a command of the transaction that writes the key.
fn most_reply_bytes(
    transaction: &Transaction,
    mut slot: Option<&mut SlotGuard<'_>>,
    now: Millis,
) -> usize {
    /// A number, a status, an error, or the header of a value and a counter's digits.
    const SHORT: usize = 256;
    /// Digits of the largest number that `INCRBYFLOAT` writes and answers with.
    const FLOAT: usize = 512;
    let mut written: HashMap<&[u8], usize> = HashMap::new();
    let mut bytes = SHORT;
    for (spec, args) in transaction.commands() {
        let mut longest = args.iter().map(<[u8]>::len).max().unwrap_or(0);
        if spec.id == Command::Incrbyfloat {
            longest = longest.max(FLOAT);
            bytes += FLOAT;
        }
        bytes += SHORT + if spec.keys.first > 0 { 0 } else { longest };
        let Some(slot) = slot.as_deref_mut() else { continue };
        for key in spec.key_positions(args.len()).filter_map(|position| args.get(position)) {
            if returns_values(spec, args) {
                let found = slot.peek(key, now).map_or(0, |entry| entry.value.len());
                bytes += SHORT + written.get(key).map_or(found, |own| found.max(*own));
            }
            if Effect::of(spec) == Effect::Stores {
                let own = written.entry(key).or_default();
                *own = longest.max(*own);
            }
        }
    }
    bytes
}

/// Writes one reply for each command. One that fails does not stop the others.
fn run_all(
    call: &mut Call<'_>,
    transaction: &Transaction,
    mut slot: Option<&mut SlotGuard<'_>>,
) -> Result<Outcome, CommandError> {
    call.reply().array(transaction.len());
    for (spec, args) in transaction.commands() {
        let mut each = Call { spec, args, ..call.reborrow() };
        let mark = each.out.len();
        match (handler(spec.id), slot.as_deref_mut()) {
            (Handler::Keyed(run), Some(slot)) => {
                if let Err(error) = run_locked(&mut each, slot, run) {
                    refuse(&mut each, mark, &error);
                }
            }
            (Handler::Each(of_each), Some(slot)) => parts::run_locked(&mut each, slot, of_each),
            _ => {
                run(&mut each);
            }
        }
    }
    Ok(Outcome::Done)
}
