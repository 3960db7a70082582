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
