//! Latencies: recorded one by one, told as percentiles.

use hdrhistogram::Histogram;
use serde::Serialize;

/// Longest latency that is told apart, in microseconds: longer ones count as this.
const MAX_LATENCY_US: u64 = 60_000_000;

/// An empty histogram of microseconds, with three digits of each.
#[expect(clippy::expect_used, reason = "Invariant: the bounds are constants that are allowed")]
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_max(MAX_LATENCY_US, 3).expect("constant bounds")
}

/// Adds a histogram to another, both made by [`histogram`].
#[expect(clippy::expect_used, reason = "Invariant: both have the same bounds")]
pub(crate) fn add(all: &mut Histogram<u64>, more: &Histogram<u64>) {
    all.add(more).expect("bounds are equal");
}

/// Microseconds as people read them.
pub(crate) fn millis(micros: u64) -> String {
    format!("{:.2} ms", micros as f64 / 1e3)
}

/// Latencies of some operations, in microseconds; all 0 if there were none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[expect(clippy::struct_field_names, reason = "the unit stands last in every name")]
#[serde(rename_all = "camelCase")]
pub(crate) struct Latency {
    /// Half of the operations took no longer.
    pub(crate) p50_us: u64,
    /// 99 of 100 took no longer.
    pub(crate) p99_us: u64,
    /// The longest.
    pub(crate) max_us: u64,
}

impl Latency {
    /// The percentiles of a histogram.
    pub(crate) fn of(histogram: &Histogram<u64>) -> Self {
        Self {
            p50_us: histogram.value_at_quantile(0.5),
            p99_us: histogram.value_at_quantile(0.99),
            max_us: histogram.max(),
        }
    }
}
