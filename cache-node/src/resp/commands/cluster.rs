//! `CLUSTER`: who owns what. Everything but counts of keys comes from one snapshot, see [`crate::resp::topology`].

use ringcache_ring::SLOTS;
use ringcache_store::Access;
use ringcache_wire::number::parse_i64;
use ringcache_wire::table::Command;

use super::help::help;
use super::slice::Slice;
use super::subcommand;
use crate::resp::dispatch::{Call, Outcome};
use crate::resp::error::CommandError;

pub(super) fn cluster(call: &mut Call<'_>) -> Result<Outcome, CommandError> {
    let args = call.args;
    match subcommand(call)?.name {
        "cluster|countkeysinslot" => {
            let slot = slot(&args[2])?;
            let guard = call.node().store.lock(slot);
            let keys = if guard.access() == Access::Open { guard.len() } else { 0 };
            drop(guard);
            call.reply_count(keys);
        }
        "cluster|getkeysinslot" => get_keys_in_slot(call)?,
        "cluster|help" => return Ok(help(call)),
        "cluster|keyslot" => call.reply().integer(ringcache_ring::key_slot(&args[2]).into()),
        "cluster|myid" => {
            let id = call.node().node_id.clone();
            call.reply().bulk(id.as_bytes());
        }
        view => return Ok(show(call, view)),
    }
    Ok(Outcome::Done)
}

/// Replies with a view of the whole cluster, once every slot has an owner.
fn show(call: &mut Call<'_>, view: &str) -> Outcome {
    let Some(views) = call.worker.shared.topology.views(call.node()) else {
        return Outcome::Wait(0);
    };
    let mut reply = call.reply();
    let proto = reply.proto();
    match view {
        "cluster|slots" => reply.raw(views.slots(proto)),
        "cluster|shards" => reply.raw(views.shards(proto)),
        "cluster|nodes" => reply.verbatim("txt", &views.nodes),
        _ => reply.verbatim("txt", &views.info),
    }
    Outcome::Done
}

fn slot(text: &[u8]) -> Result<u16, CommandError> {
    let slot = parse_i64(text).and_then(|slot| u16::try_from(slot).ok());
    slot.filter(|slot| *slot < SLOTS).ok_or(CommandError::InvalidSlot)
}

/// Keys reported at a time, whatever the client asks for: it holds up the other clients of its thread.
const MAX_KEYS: usize = 10_000;

fn get_keys_in_slot(call: &mut Call<'_>) -> Result<(), CommandError> {
    let args = call.args;
    let slot = slot(&args[2])?;
    let max = parse_i64(&args[3]).and_then(|max| usize::try_from(max).ok());
    let max = max.ok_or(CommandError::Other("ERR Invalid number of keys"))?.min(MAX_KEYS);
    let mark = call.out.len();
    let (mut keys, mut after) = (0, None);
    while keys < max && !call.out.exceeds_room() {
        let slice = Slice::of(call.node(), slot, after, max - keys, call.now);
        let Some(slice) = slice else { break };
        for (_, key) in slice.keys().take(max - keys) {
            keys += 1;
            call.reply().bulk(key);
        }
        after = slice.next;
        if after.is_none() {
            break;
        }
    }
    // Only now is it known what stands before the keys.
    let end = call.out.len();
    call.reply().array(keys);
    call.out.bring_forward(end, mark);
    Ok(())
}

/// `READONLY`, `READWRITE`, `ASKING`: accepted, because clients send them; the owner answers in any mode.
pub(super) fn mode(call: &mut Call<'_>) -> Result<Outcome, CommandError> {
    let is_readonly = match call.spec.id {
        Command::Readonly => Some(true),
        Command::Readwrite => Some(false),
        _ => None,
    };
    if let Some(is_readonly) = is_readonly {
        call.session.client.shown(|shown| shown.readonly = is_readonly);
    }
    call.reply().simple("OK");
    Ok(Outcome::Done)
}
