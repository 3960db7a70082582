//! `FLUSHALL` and `FLUSHDB`: clears the slots of this node, each of them once.
//!
//! A client that flushes all nodes meets a slot on its way from one node to another at neither: the new owner was asked before
//! the slot arrived, the old one after it had gone. So a slot between two owners is waited for, and one that was handed over a
//! short while ago is cleared at its owner before this node says that it is done.

use ringcache_ring::{SLOTS, SlotSet};
use ringcache_store::{Access, Cleared};
use ringcache_wire::number::parse_i64;
use ringcache_wire::request::Args;

use crate::node::Node;
use crate::resp::dispatch::{Call, Outcome};
use crate::resp::error::CommandError;
use crate::resp::redirect;
use crate::resp::session::Flush;

/// Slots handed over no longer ago than this are cleared at their new owners: longer than any client takes to send its
/// command to all nodes.
const DEPARTED_MS: u64 = 60_000;
/// Before the ranges of slots, in a request of another node: `FLUSHALL RC.SLOTS <first> <last> ...`.
pub(in crate::resp) const NAMED: &[u8] = b"RC.SLOTS";

pub(super) fn flush(call: &mut Call<'_>) -> Result<Outcome, CommandError> {
    let is_mode =
        |mode: &[u8]| mode.eq_ignore_ascii_case(b"ASYNC") || mode.eq_ignore_ascii_case(b"SYNC");
    let passed = match (call.session.flush.take(), call.args.get(1), call.args.len()) {
        (Some(Flush { parked, away }), ..) => pass(call.node(), parked.union(&away).iter(), None),
        (None, Some(NAMED), _) if call.session.client.is_peer => {
            let slots = named(call.args).ok_or(CommandError::Syntax)?;
            pass(call.node(), slots.iter(), None)
        }
        (None, None, _) => everything(call),
        (None, Some(mode), 2) if is_mode(mode) => everything(call),
        _ => return Err(CommandError::Syntax),
    };
    let Passed { cleared, left } = passed;
    if !cleared.is_empty() {
        // Freeing millions of entries takes long enough to be noticed by the other clients of this thread.
        tokio::task::spawn_blocking(move || drop(cleared));
    }
    let next = (left.away.iter().next(), left.parked.iter().next());
    let outcome = match next {
        (Some(slot), _) => Outcome::FlushAtOwners(slot),
        (None, Some(slot)) => Outcome::Wait(slot),
        (None, None) => {
            call.reply().simple("OK");
            return Ok(Outcome::Done);
        }
    };
    call.session.flush = Some(left);
    Ok(outcome)
}

/// What came of going over some slots.
struct Passed {
    cleared: Vec<Cleared>,
    left: Flush,
}

/// Clears all open slots. Clients that track keys are told once, to forget all of them.
fn everything(call: &Call<'_>) -> Passed {
    let passed = pass(call.node(), 0..SLOTS, Some(DEPARTED_MS));
    call.worker.shared.clients.invalidate_all();
    passed
}

/// Clears the open ones of these slots. With `departed_ms` all slots are meant: those handed over longer ago are not followed,
/// and tracked keys are forgotten instead of told one by one.
fn pass(node: &Node, slots: impl Iterator<Item = u16>, departed_ms: Option<u64>) -> Passed {
    let mut passed = Passed { cleared: Vec::new(), left: Flush::default() };
    for slot in slots {
        let mut guard = node.store.lock(slot);
        match guard.access() {
            // An empty slot as well: what was evicted here may still be at the target of a handover.
            Access::Open => {
                if departed_ms.is_some() {
                    guard.forget_tracked();
                }
                passed.cleared.push(guard.clear());
            }
            Access::Parked => {
                passed.left.parked.insert(slot);
            }
            Access::Away => {
                let since = node.departed_for(slot).unwrap_or(u64::MAX);
                if departed_ms.is_none_or(|most| since <= most) {
                    passed.left.away.insert(slot);
                }
            }
            // Named by a node that takes this one for the owner: whoever is the owner must clear it.
            Access::Closed if departed_ms.is_none() && redirect::address(node, slot).is_some() => {
                passed.left.away.insert(slot);
            }
            // Somebody else's all the time, or nobody's and empty.
            Access::Closed => {}
        }
    }
    passed
}

fn named(args: Args<'_>) -> Option<SlotSet> {
    let numbers = args.iter().skip(2).map(|number| {
        parse_i64(number).and_then(|slot| u16::try_from(slot).ok()).filter(|slot| *slot < SLOTS)
    });
    let numbers = numbers.collect::<Option<Vec<u16>>>()?;
    let pairs = numbers.chunks(2).map(|pair| match pair {
        [first, last] if first <= last => Some(*first..=*last),
        _ => None,
    });
    Some(SlotSet::from_ranges(pairs.collect::<Option<Vec<_>>>()?))
}
