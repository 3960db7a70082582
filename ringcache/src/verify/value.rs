//! Values that say who wrote them, for which key and as which version, and that follow from that to the last byte.

use std::ops::RangeInclusive;

use super::random::Random;

/// Fewest bytes of a value: what it says about itself with the longest numbers.
pub(crate) const MIN_VALUE_BYTES: usize = 100;

/// What is the same for all values of one run.
#[derive(Clone, Debug)]
pub(super) struct Values {
    /// Distinguishes this run's keys and values from those of any other.
    pub(super) seed: u64,
    /// Number of writers; key `k` belongs to writer `k % writers`.
    pub(super) writers: u64,
    /// Sizes in bytes.
    pub(super) sizes: RangeInclusive<usize>,
}

impl Values {
    /// The key's name. Keys `2n` and `2n + 1` share a hash tag and with it their slot.
    pub(super) fn key(&self, key: u64) -> String {
        let Self { seed, .. } = self;
        format!("verify:{seed}:{{{}}}:{}", key / 2, key % 2)
    }

    /// The bytes of `version` of `key`.
    pub(super) fn value(&self, key: u64, version: u64) -> Vec<u8> {
        let mut random = Random::of(&[self.seed, key, version]);
        let span = self.sizes.end() - self.sizes.start() + 1;
        let size = self.sizes.start() + random.below(span as u64) as usize;
        let mut bytes = format!("{}{version} ", self.heading(key)).into_bytes();
        while bytes.len() < size {
            bytes.extend(random.next().to_le_bytes().map(|byte| b'a' + (byte & 15)));
        }
        bytes.truncate(size);
        bytes
    }

    /// The version of `key` that `bytes` is, or nothing if any byte is not as it was written.
    pub(super) fn version(&self, key: u64, bytes: &[u8]) -> Option<u64> {
        let rest = bytes.strip_prefix(self.heading(key).as_bytes())?;
        let digits = rest.split(|&byte| byte == b' ').next()?;
        let version = str::from_utf8(digits).ok()?.parse().ok()?;
        (self.value(key, version) == bytes).then_some(version)
    }

    fn heading(&self, key: u64) -> String {
        let Self { seed, writers, .. } = self;
        format!("seed={seed} key={key} writer={} version=", key % writers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> Values {
        Values { seed: 5, writers: 4, sizes: 100..=200 }
    }

    #[test]
    fn a_value_tells_its_version_and_has_a_size_in_the_range() {
        for version in 1..200 {
            let bytes = values().value(9, version);
            assert!((100..=200).contains(&bytes.len()));
            assert_eq!(values().version(9, &bytes), Some(version));
        }
    }

    #[test]
    fn a_value_of_another_key_run_or_with_any_byte_changed_is_foreign() {
        let bytes = values().value(9, 3);
        assert_eq!(values().version(13, &bytes), None);
        assert_eq!(Values { seed: 6, ..values() }.version(9, &bytes), None);
        assert_eq!(values().version(9, &bytes[..bytes.len() - 1]), None);
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert_eq!(values().version(9, &changed), None, "byte {at}");
        }
    }

    #[test]
    fn the_longest_numbers_fit_the_smallest_value() {
        let values =
            Values { seed: u64::MAX, writers: u64::MAX, sizes: MIN_VALUE_BYTES..=MIN_VALUE_BYTES };
        let bytes = values.value(99_999_999, 9_999_999_999_999);
        assert_eq!(values.version(99_999_999, &bytes), Some(9_999_999_999_999));
        assert!(bytes.len() == MIN_VALUE_BYTES);
    }

    #[test]
    fn neighbours_share_a_slot() {
        let slot = |key| ringcache_ring::key_slot(values().key(key).as_bytes());
        assert_eq!(slot(6), slot(7));
        assert_ne!(slot(6), slot(8));
    }
}
