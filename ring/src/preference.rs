//! The order in which nodes come into question for a slot: rendezvous hashing.

/// The nodes in the order in which they come into question for `slot`: highest
/// [`rendezvous_weight`] first, equal weights by name.
///
/// The order of two nodes does not depend on which others there are, so a node that comes or goes
/// leaves the rest of the order as it was. The order of `names` plays no part.
pub fn preference<'a>(slot: u16, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut weighted: Vec<_> = names.map(|name| (rendezvous_weight(slot, name), name)).collect();
    weighted.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
    weighted.into_iter().map(|(_, name)| name).collect()
}

/// The weight of node `name` for `slot` in rendezvous (highest random weight) hashing.
///
/// 64-bit FNV-1a over the bytes of the name and the slot's two bytes, big-endian, then the
/// finaliser of `MurmurHash3` (`fmix64`), without which FNV's last bytes would hardly reach the
/// upper bits. Written out here and not taken from a hashing library, because operator and nodes of
/// different versions must agree for ever; these vectors must never change:
///
/// ```
/// use ringcache_ring::rendezvous_weight;
/// assert_eq!(rendezvous_weight(0, ""), 0xdb01_c310_4e99_566d);
/// assert_eq!(rendezvous_weight(0, "web-0"), 0x0503_c735_8796_6056);
/// assert_eq!(rendezvous_weight(1, "web-0"), 0x736f_4cdf_9809_54a9);
/// assert_eq!(rendezvous_weight(0, "web-1"), 0xe544_8653_edec_c696);
/// assert_eq!(rendezvous_weight(16383, "web-1"), 0x2689_4953_7a01_1a7c);
/// assert_eq!(rendezvous_weight(12182, "cache-é"), 0xee19_8fd2_4b82_4300);
/// ```
pub fn rendezvous_weight(slot: u16, name: &str) -> u64 {
    let fnv1a =
        name.bytes().chain(slot.to_be_bytes()).fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
    fmix64(fnv1a)
}

fn fmix64(mut hash: u64) -> u64 {
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_the_names_plays_no_part() {
        let names = ["web-0", "web-1", "web-2", "web-3"];
        for slot in 0..200 {
            assert_eq!(
                preference(slot, names.into_iter()),
                preference(slot, names.into_iter().rev())
            );
        }
    }

    #[test]
    fn a_node_that_leaves_does_not_change_the_order_of_the_others() {
        let names = ["web-0", "web-1", "web-2", "web-3", "web-4"];
        for slot in 0..crate::SLOTS {
            let mut all = preference(slot, names.into_iter());
            all.retain(|&name| name != "web-3");
            let others = names.into_iter().filter(|&name| name != "web-3");
            assert_eq!(all, preference(slot, others), "slot {slot}");
        }
    }

    /// Share of the slots within 5 % of even at every place of the order, for names that differ in
    /// one character only: what a weak hash gets wrong.
    #[test]
    fn every_node_has_its_share_of_every_place() {
        let names = ["web-0", "web-1", "web-2", "web-3"];
        for place in 0..names.len() {
            for name in names {
                let slots = (0..crate::SLOTS)
                    .filter(|&slot| preference(slot, names.into_iter())[place] == name)
                    .count();
                assert!(
                    (3891..=4301).contains(&slots),
                    "{name} has place {place} in {slots} slots"
                );
            }
        }
    }
}
