//! The seed of the hash of keys.

use sha2::{Digest as _, Sha256};

/// The seed that all nodes of a cluster have, after every restart: what one has measured of a key means the same to another one.
///
/// It follows from the cluster's uid, which is random (122 bits of a version 4 UUID) and is told to no client of the data APIs: one that
/// knew the seed could choose keys that collide.
pub(crate) fn hash_seed(cluster_uid: &str) -> u64 {
    let digest = Sha256::new().chain_update("ringcache key hash\0").chain_update(cluster_uid);
    digest.finalize().iter().take(8).fold(0, |seed, byte| seed << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::hash_seed;

    #[test]
    fn the_seed_stays_what_it_is_and_is_another_one_in_each_cluster() {
        let uid = "0c8b2f0e-6c1e-4b8f-9d5a-3d3f2a1b4c5d";
        assert_eq!(hash_seed(uid), 0x26e8_eda3_6298_bfeb);
        assert_ne!(hash_seed(uid), hash_seed("0c8b2f0e-6c1e-4b8f-9d5a-3d3f2a1b4c5e"));
    }
}
