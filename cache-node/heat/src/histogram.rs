//! A histogram over ten orders of magnitude: 16 buckets between a power of two and the next.

/// Bits that tell the buckets of one power of two apart.
const BITS: u32 = 4;
/// Values from 2 to the power of this on share the last bucket: 19 hours in microseconds, two years in milliseconds.
const POWERS: u32 = 36;
/// Buckets of all values.
const BUCKETS: usize = ((POWERS - BITS + 1) as usize) << BITS;

/// How often each value was seen, to within a sixteenth of it: times in microseconds, ages in milliseconds.
///
/// Only sums are kept. What was seen lately is the difference of two copies: [`Histogram::since`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    counts: [u64; BUCKETS],
    count: u64,
    sum: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: [0; BUCKETS], count: 0, sum: 0 }
    }
}

impl Histogram {
    /// The value was seen.
    #[inline]
    pub fn record(&mut self, value: u64) {
        self.record_many(value, 1);
    }

    /// The value was seen so many times: the commands of a batch have one clock, and one latency.
    #[inline]
    pub fn record_many(&mut self, value: u64, times: u32) {
        let times = u64::from(times);
        if let Some(count) = self.counts.get_mut(bucket(value)) {
            *count += times;
        }
        self.count += times;
        self.sum = self.sum.saturating_add(value.saturating_mul(times));
    }

    /// How many values were seen.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their sum, exactly.
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// The value that a share `q` of all is not above, to within 1/32 of it: 0.5 = the median. `None` = nothing was seen.
    pub fn quantile(&self, q: f64) -> Option<u64> {
        let rank = ((self.count as f64 * q).ceil() as u64).clamp(1, self.count.max(1));
        let mut seen = 0;
        let reaches = |(at, count): (usize, &u64)| {
            seen += count;
            (seen >= rank).then(|| middle(at))
        };
        self.counts.iter().enumerate().find_map(reaches)
    }

    /// For each power of two how many values were below it: the buckets of a Prometheus histogram, exactly. Whether a value is below a whole
    /// number does not change when its fraction is cut off.
    pub fn below_powers(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        (0..POWERS).scan((0, 0), |(seen, at), power| {
            let end = bucket(1 << power);
            *seen += self.counts.get(*at..end).unwrap_or_default().iter().sum::<u64>();
            *at = end;
            Some((1 << power, *seen))
        })
    }

    /// Takes in what was seen elsewhere.
    pub fn merge(&mut self, other: &Self) {
        for (count, other) in self.counts.iter_mut().zip(&other.counts) {
            *count += other;
        }
        self.count += other.count;
        self.sum = self.sum.saturating_add(other.sum);
    }

    /// What was seen since an earlier copy of this one was made.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut since = self.clone();
        for (count, earlier) in since.counts.iter_mut().zip(&earlier.counts) {
            *count = count.saturating_sub(*earlier);
        }
        since.count = self.count.saturating_sub(earlier.count);
        since.sum = self.sum.saturating_sub(earlier.sum);
        since
    }
}

/// Values below 32 have a bucket each.
#[inline]
fn bucket(value: u64) -> usize {
    let value = value.min((1 << POWERS) - 1);
    let shift = (u64::BITS - 1 - BITS) - (value | ((2 << BITS) - 1)).leading_zeros();
    ((shift as usize) << BITS) + (value >> shift) as usize
}

/// The value that stands for all of a bucket.
fn middle(bucket: usize) -> u64 {
    let (first, last) = bounds(bucket);
    first + (last - first) / 2
}

/// The first and the last value of a bucket.
fn bounds(bucket: usize) -> (u64, u64) {
    let shift = (bucket >> BITS).saturating_sub(1);
    let first = ((bucket - (shift << BITS)) as u64) << shift;
    (first, first + ((1 << shift) - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_buckets_follow_each_other_without_a_gap() {
        let mut next = 0;
        for at in 0..BUCKETS {
            let (first, last) = bounds(at);
            assert_eq!((first, bucket(first), bucket(last)), (next, at, at));
            next = last + 1;
        }
        assert_eq!((next, bucket(next), bucket(u64::MAX)), (1 << POWERS, BUCKETS - 1, BUCKETS - 1));
    }

    #[test]
    fn a_value_is_known_to_within_a_thirty_second_at_every_edge_of_a_bucket() {
        for at in 0..BUCKETS {
            let (first, last) = bounds(at);
            for value in [first, last] {
                let mut histogram = Histogram::default();
                histogram.record(value);
                let error = histogram.quantile(0.5).unwrap().abs_diff(value) as f64;
                assert!(error <= value as f64 / 32.0, "{value}: {error}");
            }
        }
    }
}
