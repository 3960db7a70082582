//! Commands about the node's whole data, and the time.

use ringcache_ring::SLOTS;
use ringcache_store::Access;

use crate::node::Node;
use crate::resp::dispatch::{Call, Outcome};
use crate::resp::error::CommandError;

pub(super) fn time(call: &mut Call<'_>) -> Result<Outcome, CommandError> {
    let now = call.now;
    let mut reply = call.reply();
    reply.array(2);
    reply.bulk((now / 1000).to_string().as_bytes());
    reply.bulk((now % 1000 * 1000).to_string().as_bytes());
    Ok(Outcome::Done)
}

pub(super) fn dbsize(call: &mut Call<'_>) -> Result<Outcome, CommandError> {
    let keys = owned_keys(call.node());
    call.reply_count(keys);
    Ok(Outcome::Done)
}

/// Keys of the slots that this node owns. Copies on their way in or out would be counted twice over the cluster.
pub(super) fn owned_keys(node: &Node) -> usize {
    let keys_in = |slot| {
        let slot = node.store.lock(slot);
        matches!(slot.access(), Access::Open | Access::Parked)
            .then(|| slot.len())
            .unwrap_or_default()
    };
    (0..SLOTS).map(keys_in).sum()
}

/// `FLUSHALL` and `FLUSHDB`: clears the slots that this node owns. A parked one is waited for; then all of it is done
/// again, which is as good as once.
pub(super) fn flush(call: &mut Call<'_>) -> Result<Outcome, CommandError> {
    let is_mode =
        |mode: &[u8]| mode.eq_ignore_ascii_case(b"ASYNC") || mode.eq_ignore_ascii_case(b"SYNC");
    match (call.args.get(1), call.args.len()) {
        (None, _) => {}
        (Some(mode), 2) if is_mode(mode) => {}
        _ => return Err(CommandError::Syntax),
    }
    let mut cleared = Vec::new();
    let mut parked = None;
    for slot in 0..SLOTS {
        let mut guard = call.node().store.lock(slot);
        match guard.access() {
            // An empty slot as well: what was evicted here may still be at the target of a handover.
            Access::Open => {
                guard.forget_tracked();
                cleared.push(guard.clear());
            }
            Access::Parked => parked = Some(slot),
            Access::Closed | Access::Away => {}
        }
    }
    call.worker.shared.clients.invalidate_all();
    // Freeing millions of entries takes long enough to be noticed by the other clients of this thread.
    tokio::task::spawn_blocking(move || drop(cleared));
    if let Some(slot) = parked {
        return Ok(Outcome::Wait(slot));
    }
    call.reply().simple("OK");
    Ok(Outcome::Done)
}
