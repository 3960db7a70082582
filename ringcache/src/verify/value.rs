//! Values that say who wrote them, for which key and as which version, and that follow from that to the last byte.

use std::ops::RangeInclusive;

use crate::random::Random;

/// Fewest bytes of a value that says everything about itself, with the longest numbers. A shorter one is recognised by
/// comparing it with what was written to its key.
const SELF_DESCRIBING_BYTES: usize = 100;

/// What is the same for all values of one run.
#[derive(Clone, Debug)]
pub(super) struct Values {
    /// Distinguishes this run's keys and values from those of any other.
    pub(super) seed: u64,
    /// Number of writers; key `k` belongs to writer `k % writers`.
    pub(super) writers: u64,
    /// Sizes in bytes.
    pub(super) sizes: RangeInclusive<usize>,
    /// Whether most of them are small: from 1 B to 1 MiB half are below 20 B, the mean is 2.4 KiB, one in 8000 is above
    /// 512 KiB. Otherwise all sizes are equally frequent.
    pub(super) mostly_small: bool,
}

impl Values {
    /// The key's name. Keys `2n` and `2n + 1` share a hash tag and with it their slot.
    pub(super) fn key(&self, key: u64) -> String {
        let Self { seed, .. } = self;
        format!("verify:{seed}:{{{}}}:{}", key / 2, key % 2)
    }

    /// The bytes of `version` of `key`.
    pub(super) fn value(&self, key: u64, version: u64) -> Vec<u8> {
        let size = self.size(key, version);
        let mut bytes = if size < SELF_DESCRIBING_BYTES {
            // However short, it differs from that of the 255 versions before.
            Random::of(&[self.seed, key]).next().wrapping_add(version).to_le_bytes().to_vec()
        } else {
            format!("{}{version} ", self.heading(key)).into_bytes()
        };
        let mut random = Random::of(&[self.seed, key, version]);
        while bytes.len() < size {
            bytes.extend(random.next().to_le_bytes().map(|byte| b'a' + (byte & 15)));
        }
        bytes.truncate(size);
        bytes
    }

    /// The version of `key` that `bytes` is, or nothing if any byte is not as it was written. A short value is the latest of
    /// `versions` that has these bytes.
    pub(super) fn version(
        &self,
        key: u64,
        bytes: &[u8],
        versions: RangeInclusive<u64>,
    ) -> Option<u64> {
        let is_written = |version: &u64| {
            self.size(key, *version) == bytes.len() && self.value(key, *version) == bytes
        };
        if bytes.len() < SELF_DESCRIBING_BYTES {
            return versions.rev().find(is_written);
        }
        let rest = bytes.strip_prefix(self.heading(key).as_bytes())?;
        let digits = rest.split(|&byte| byte == b' ').next()?;
        str::from_utf8(digits).ok()?.parse().ok().filter(is_written)
    }

    fn size(&self, key: u64, version: u64) -> usize {
        let mut random = Random::of(&[self.seed, version, key]);
        let (from, to) = (*self.sizes.start(), *self.sizes.end());
        if !self.mostly_small {
            return from + random.below((to - from + 1) as u64) as usize;
        }
        let share = (0..3).map(|_| random.share()).fold(1.0, f64::min);
        let size = from as f64 * (to as f64 / from as f64).powf(share);
        (size.round() as usize).clamp(from, to)
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
        Values { seed: 5, writers: 4, sizes: 100..=200, mostly_small: false }
    }

    /// The version that the bytes themselves say.
    fn said(values: &Values, key: u64, bytes: &[u8]) -> Option<u64> {
        values.version(key, bytes, 0..=0)
    }

    #[test]
    fn a_value_tells_its_version_and_has_a_size_in_the_range() {
        for version in 1..200 {
            let bytes = values().value(9, version);
            assert!((100..=200).contains(&bytes.len()));
            assert_eq!(said(&values(), 9, &bytes), Some(version));
        }
    }

    #[test]
    fn a_value_of_another_key_run_or_with_any_byte_changed_is_foreign() {
        let bytes = values().value(9, 3);
        assert_eq!(said(&values(), 13, &bytes), None);
        assert_eq!(said(&Values { seed: 6, ..values() }, 9, &bytes), None);
        assert_eq!(said(&values(), 9, &bytes[..bytes.len() - 1]), None);
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert_eq!(said(&values(), 9, &changed), None, "byte {at}");
        }
    }

    #[test]
    fn a_value_of_one_byte_is_told_apart_from_the_255_versions_before_it() {
        let values = Values { sizes: 1..=1, ..values() };
        for version in 1..=256 {
            let bytes = values.value(9, version);
            assert_eq!(values.version(9, &bytes, 1..=256), Some(version));
        }
        assert_eq!(values.version(9, &values.value(9, 3), 4..=100), None);
    }

    #[test]
    fn a_short_value_is_compared_with_all_its_bytes() {
        let values = Values { sizes: 99..=99, ..values() };
        let bytes = values.value(9, 3);
        assert_eq!(values.version(9, &bytes, 1..=5), Some(3));
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert_eq!(values.version(9, &changed, 1..=5), None, "byte {at}");
        }
    }

    #[test]
    fn most_values_are_small_and_some_are_as_large_as_can_be() {
        let values = Values { sizes: 1..=1 << 20, mostly_small: true, ..values() };
        let mut sizes: Vec<usize> = (0..40_000).map(|version| values.size(9, version)).collect();
        sizes.sort_unstable();
        let mean = sizes.iter().sum::<usize>() / sizes.len();
        assert!((1500..3500).contains(&mean), "{mean}");
        assert_eq!(sizes[0], 1);
        assert!(sizes[sizes.len() / 2] < 20, "{}", sizes[sizes.len() / 2]);
        assert!(sizes[sizes.len() - 1] > 1 << 19, "{}", sizes[sizes.len() - 1]);
        assert!(sizes[sizes.len() - 1] <= 1 << 20);
    }

    #[test]
    fn the_longest_numbers_fit_the_shortest_value_that_describes_itself() {
        let sizes = SELF_DESCRIBING_BYTES..=SELF_DESCRIBING_BYTES;
        let values = Values { seed: u64::MAX, writers: u64::MAX, sizes, mostly_small: false };
        let bytes = values.value(99_999_999, 9_999_999_999_999);
        assert_eq!(said(&values, 99_999_999, &bytes), Some(9_999_999_999_999));
        assert!(bytes.len() == SELF_DESCRIBING_BYTES);
    }

    #[test]
    fn neighbours_share_a_slot() {
        let slot = |key| ringcache_ring::key_slot(values().key(key).as_bytes());
        assert_eq!(slot(6), slot(7));
        assert_ne!(slot(6), slot(8));
    }
}
