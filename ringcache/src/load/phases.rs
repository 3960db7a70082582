//! The size of the working set over time.

use std::time::Duration;

/// One after the other, each with its length and number of keys. The last one goes on for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Phases(Vec<(Duration, u64)>);

impl Phases {
    /// A working set that keeps its size.
    pub(super) fn constant(keys: u64) -> Self {
        Self(vec![(Duration::MAX, keys)])
    }

    /// These phases; nothing if there are none.
    pub(super) fn new(phases: Vec<(Duration, u64)>) -> Option<Self> {
        (!phases.is_empty()).then_some(Self(phases))
    }

    /// Keys so long after the start.
    pub(super) fn keys(&self, at: Duration) -> u64 {
        let mut end = Duration::ZERO;
        let running = self.0.iter().find(|(length, _)| {
            end = end.saturating_add(*length);
            at < end
        });
        running.or(self.0.last()).map_or(1, |&(_, keys)| keys)
    }

    /// How long all phases take.
    pub(super) fn length(&self) -> Duration {
        self.0.iter().fold(Duration::ZERO, |sum, (length, _)| sum.saturating_add(*length))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_phase_begins_where_the_one_before_ends_and_the_last_one_stays() {
        let phases = Phases::new(vec![(2 * SECOND, 10), (SECOND, 40), (SECOND, 20)]).unwrap();
        let keys = [0, 1999, 2000, 2999, 3000, 3999, 4000, 1_000_000]
            .map(|ms| phases.keys(Duration::from_millis(ms)));
        assert_eq!(keys, [10, 10, 40, 40, 20, 20, 20, 20]);
        assert_eq!(phases.length(), 4 * SECOND);
        assert_eq!(Phases::constant(7).keys(Duration::MAX), 7);
        assert_eq!(Phases::new(Vec::new()), None);
    }

    proptest! {
        #[test]
        fn each_second_has_the_size_of_its_phase(
            lengths in proptest::collection::vec((1_u64..5, 1_u64..100), 1..6),
        ) {
            let seconds: Vec<u64> = lengths
                .iter()
                .flat_map(|&(length, keys)| std::iter::repeat_n(keys, length as usize))
                .collect();
            let phases = lengths.iter().map(|&(length, keys)| (Duration::from_secs(length), keys));
            let phases = Phases::new(phases.collect()).unwrap();
            for (second, keys) in (0..).zip(seconds) {
                prop_assert_eq!(phases.keys(Duration::from_secs(second)), keys);
            }
        }
    }
}
