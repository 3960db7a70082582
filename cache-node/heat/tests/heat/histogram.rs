//! Histograms against a sorted list.

use proptest::prelude::*;
use ringcache_heat::Histogram;

fn of(values: &[u64]) -> Histogram {
    let mut histogram = Histogram::default();
    for value in values {
        histogram.record(*value);
    }
    histogram
}

#[test]
fn nothing_has_no_quantile() {
    let empty = Histogram::default();
    assert_eq!((empty.quantile(0.5), empty.count(), empty.sum()), (None, 0, 0));
}

#[test]
fn the_largest_value_counts_as_the_largest_that_is_told_apart() {
    let histogram = of(&[u64::MAX]);
    let found = histogram.quantile(1.0).unwrap();
    assert!(found > (1 << 36) / 32 * 31 && found < 1 << 36, "{found}");
    assert_eq!((histogram.count(), histogram.sum()), (1, u64::MAX));
}

#[test]
fn a_batch_is_as_many_values_as_it_has_commands() {
    let mut batch = Histogram::default();
    batch.record_many(250, 3);
    assert_eq!(batch, of(&[250; 3]));
}

#[test]
fn what_was_seen_since_a_copy_is_the_difference() {
    let mut histogram = of(&[1, 300, 70_000]);
    let copy = histogram.clone();
    assert_eq!(histogram.since(&copy), Histogram::default());
    histogram.record(5_000);
    assert_eq!(histogram.since(&copy), of(&[5_000]));
}

fn values() -> impl Strategy<Value = Vec<u64>> {
    // As many small as large ones.
    prop::collection::vec(
        (any::<u64>(), 28_u32..64).prop_map(|(bits, shift)| bits >> shift),
        1..200,
    )
}

proptest! {
    #[test]
    fn a_quantile_is_within_a_twentieth_of_the_exact_one(mut values in values(), q in 0.0..=1.0) {
        let found = of(&values).quantile(q).unwrap();
        values.sort_unstable();
        let rank = (values.len() as f64 * q).ceil() as usize;
        let exact = values[rank.max(1) - 1];
        prop_assert!(found.abs_diff(exact) as f64 <= exact as f64 / 20.0, "{found}, {exact}");
    }

    #[test]
    fn counts_below_powers_of_two_are_exact(values in values()) {
        let below = |power: u64| values.iter().filter(|value| **value < power).count() as u64;
        let exact: Vec<_> = (0..36).map(|power| (1 << power, below(1 << power))).collect();
        let histogram = of(&values);
        prop_assert_eq!(histogram.below_powers().collect::<Vec<_>>(), exact);
        prop_assert_eq!(histogram.count(), values.len() as u64);
        prop_assert_eq!(histogram.sum(), values.iter().sum::<u64>());
    }

    #[test]
    fn merged_histograms_are_the_histogram_of_all_values(one in values(), other in values()) {
        let mut merged = of(&one);
        merged.merge(&of(&other));
        prop_assert_eq!(merged, of(&[one, other].concat()));
    }
}
