//! A histogram of sizes over all orders of magnitude: 16 buckets between a power of two and the next.

use serde::{Deserialize, Serialize};

/// Bits that tell the buckets of one power of two apart.
const BITS: u32 = 4;
/// Sizes below this have a bucket each.
const EXACT: u64 = 1 << BITS;
/// Buckets of all sizes.
const BUCKETS: usize = ((u64::BITS - BITS + 1) as usize) << BITS;

/// How often each size was seen, to a sixteenth of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Vec<Seen>", into = "Vec<Seen>")]
pub(crate) struct Depths(Vec<f64>);

/// One bucket that is not empty, as it is written: the largest size in it, and how often one was seen.
type Seen = (u64, f64);

impl From<Vec<Seen>> for Depths {
    fn from(seen: Vec<Seen>) -> Self {
        let mut depths = Self::new();
        for (size, times) in seen {
            depths.add(size, times);
        }
        depths
    }
}

impl From<Depths> for Vec<Seen> {
    fn from(depths: Depths) -> Self {
        let counts = depths.0.iter().enumerate().filter(|(_, count)| **count != 0.0);
        counts.map(|(at, count)| (bounds(at).1, *count)).collect()
    }
}

impl Depths {
    /// Nothing was seen.
    pub(crate) fn new() -> Self {
        Self(vec![0.0; BUCKETS])
    }

    /// The size was seen so many times.
    pub(crate) fn add(&mut self, size: u64, times: f64) {
        if let Some(count) = self.0.get_mut(bucket(size)) {
            *count += times;
        }
    }

    /// Everything that was seen there was seen here too.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (count, other) in self.0.iter_mut().zip(&other.0) {
            *count += other;
        }
    }

    /// All counts times this.
    pub(crate) fn scale(&mut self, factor: f64) {
        self.0.iter_mut().for_each(|count| *count *= factor);
    }

    /// How many were seen.
    pub(crate) fn total(&self) -> f64 {
        self.0.iter().sum()
    }

    /// How many were seen up to this size. Within a bucket the sizes count as spread evenly.
    pub(crate) fn up_to(&self, size: u64) -> f64 {
        let at = bucket(size);
        let below: f64 = self.0.iter().take(at).sum();
        let (first, last) = bounds(at);
        let part = ((size - first) as f64 + 1.0) / ((last - first) as f64 + 1.0);
        below + self.0.get(at).map_or(0.0, |count| count * part)
    }

    /// The first of the buckets, by their last sizes, up to which so many were seen.
    pub(crate) fn reaching(&self, times: f64) -> Option<u64> {
        let mut sum = 0.0;
        let reaches = |(at, count): (usize, &f64)| {
            sum += count;
            (sum >= times).then(|| bounds(at).1)
        };
        self.0.iter().enumerate().find_map(reaches)
    }
}

fn bucket(size: u64) -> usize {
    if size < EXACT {
        return size as usize;
    }
    let power = u64::BITS - 1 - size.leading_zeros();
    let part = (size >> (power - BITS)) & (EXACT - 1);
    ((power - BITS + 1) as usize) << BITS | part as usize
}

/// The first and the last size of a bucket.
fn bounds(bucket: usize) -> (u64, u64) {
    let (row, part) = (bucket >> BITS, bucket as u64 & (EXACT - 1));
    if row == 0 {
        return (part, part);
    }
    let width = 1 << (row - 1);
    let first = (EXACT + part) * width;
    (first, first + (width - 1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_buckets_follow_each_other_without_a_gap() {
        let mut next = 0;
        for at in 0..BUCKETS {
            let (first, last) = bounds(at);
            assert_eq!((first, bucket(first), bucket(last)), (next, at, at));
            next = last.wrapping_add(1);
        }
        assert_eq!(next, 0, "the last one ends with the largest size");
    }

    proptest! {
        #[test]
        fn a_bucket_is_at_most_a_sixteenth_wide(size in 16_u64..) {
            let (first, last) = bounds(bucket(size));
            prop_assert!((first..=last).contains(&size));
            prop_assert!(last - first < first / 16 + 1);
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let mut depths = Depths::new();
        for (size, times) in [(0, 1.0), (17, 0.25), (1 << 40, 3.0), (u64::MAX, 9.5)] {
            depths.add(size, times);
        }
        let written = Vec::from(depths.clone());
        assert_eq!(written.len(), 4);
        assert_eq!(Depths::from(written), depths);
    }

    #[test]
    fn counts_are_found_by_size() {
        let mut depths = Depths::new();
        depths.add(3, 2.0);
        depths.add(1 << 20, 5.0);
        assert_eq!((depths.up_to(2), depths.up_to(3), depths.up_to(1 << 19)), (0.0, 2.0, 2.0));
        assert_eq!((depths.up_to(1 << 21), depths.total()), (7.0, 7.0));
        assert_eq!((depths.reaching(2.0), depths.reaching(7.5)), (Some(3), None));
        assert_eq!(depths.reaching(2.5), Some((1 << 20) + (1 << 16) - 1));
    }
}
