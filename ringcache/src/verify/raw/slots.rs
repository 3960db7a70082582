//! Which node owns which slot, as far as one client knows.

use std::collections::BTreeSet;

use ringcache_ring::{SLOTS, key_slot};
use ringcache_wire::value::Value;

/// Index of nobody.
const NOBODY: u16 = u16::MAX;

/// The owners of all slots.
#[derive(Debug)]
pub(super) struct Slots {
    owners: Vec<u16>,
    addresses: Vec<String>,
    /// Ids of the nodes that own slots. An address tells less: a new node may listen where one that has left did.
    ids: BTreeSet<Vec<u8>>,
}

impl Slots {
    /// Nobody owns anything.
    pub(super) fn new() -> Self {
        let owners = vec![NOBODY; usize::from(SLOTS)];
        Self { owners, addresses: Vec::new(), ids: BTreeSet::new() }
    }

    /// Reads the reply to `CLUSTER SLOTS`; nothing if it is not one.
    pub(super) fn of(reply: &Value) -> Option<Self> {
        let mut slots = Self::new();
        for range in array(reply)? {
            let [Value::Integer(first), Value::Integer(last), owner, ..] = array(range)? else {
                return None;
            };
            let [Value::Bulk(host), Value::Integer(port), Value::Bulk(id), ..] = array(owner)?
            else {
                return None;
            };
            slots.ids.insert(id.clone());
            let node = slots.node(&format!("{}:{port}", str::from_utf8(host).ok()?));
            let range = usize::try_from(*first).ok()?..=usize::try_from(*last).ok()?;
            slots.owners.get_mut(range)?.fill(node);
        }
        Some(slots)
    }

    /// The owner of the key's slot.
    pub(super) fn owner(&self, key: &str) -> Option<&str> {
        let owner = self.owners.get(usize::from(key_slot(key.as_bytes())))?;
        self.addresses.get(usize::from(*owner)).map(String::as_str)
    }

    /// Notes that the key's slot is at another node.
    pub(super) fn follow(&mut self, key: &str, address: &str) {
        let node = self.node(address);
        if let Some(owner) = self.owners.get_mut(usize::from(key_slot(key.as_bytes()))) {
            *owner = node;
        }
    }

    /// Whether the node with this id owns any slot.
    pub(super) fn owns_any(&self, id: &[u8]) -> bool {
        self.ids.contains(id)
    }

    /// Whether a node with this address owns any slot.
    pub(super) fn has_owner_at(&self, address: &str) -> bool {
        let node = self.addresses.iter().position(|known| known == address);
        node.is_some_and(|node| self.owners.iter().any(|&owner| usize::from(owner) == node))
    }

    /// All nodes that are known.
    pub(super) fn addresses(&self) -> impl Iterator<Item = &str> {
        self.addresses.iter().map(String::as_str)
    }

    fn node(&mut self, address: &str) -> u16 {
        let known = self.addresses.iter().position(|known| known == address);
        known.unwrap_or_else(|| {
            self.addresses.push(address.to_owned());
            self.addresses.len() - 1
        }) as u16
    }
}

fn array(value: &Value) -> Option<&[Value]> {
    match value {
        Value::Array(values) => Some(values),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: i64, last: i64, port: i64) -> Value {
        let host = Value::Bulk(b"127.0.0.1".to_vec());
        let node = Value::Array(vec![
            host,
            Value::Integer(port),
            Value::Bulk(port.to_string().into_bytes()),
        ]);
        Value::Array(vec![Value::Integer(first), Value::Integer(last), node])
    }

    #[test]
    fn every_slot_has_the_owner_that_the_cluster_says_or_nobody() {
        let reply = Value::Array(vec![range(0, 12_181, 7000), range(12_183, 16_383, 7001)]);
        let slots = Slots::of(&reply).unwrap();
        // Slots 12182 and 5061, from the specification of Redis Cluster.
        assert_eq!(slots.owner("foo"), None);
        assert_eq!(slots.owner("bar"), Some("127.0.0.1:7000"));
        assert!(slots.has_owner_at("127.0.0.1:7001") && slots.owns_any(b"7001"));
        assert!(!slots.has_owner_at("127.0.0.1:7002") && !slots.owns_any(b"7002"));
    }

    #[test]
    fn a_slot_that_moved_is_at_its_new_owner_and_the_others_stay() {
        let mut slots = Slots::of(&Value::Array(vec![range(0, 16_383, 7000)])).unwrap();
        slots.follow("foo", "127.0.0.1:7002");
        assert_eq!(slots.owner("foo"), Some("127.0.0.1:7002"));
        assert_eq!(slots.owner("bar"), Some("127.0.0.1:7000"));
    }

    #[test]
    fn what_is_no_map_is_refused() {
        for reply in [Value::Null, Value::Array(vec![range(0, 16_384, 7000)])] {
            assert!(Slots::of(&reply).is_none(), "{reply:?}");
        }
    }
}
