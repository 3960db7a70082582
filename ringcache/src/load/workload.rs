//! What is asked for: a function of seed, number of the request and time, with no state.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::phases::Phases;
use super::zipf::Zipf;
use crate::random::Random;

/// 2^64 divided by the golden ratio: multiples of it fall into any share of all numbers as evenly as can be.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// How often a part of the keys is replaced, and how large it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shift {
    /// Time between two replacements.
    pub(super) every: Duration,
    /// Percent of the keys, 1 to 100.
    pub(super) percent: u64,
}

impl Shift {
    /// How often the key of this rank has been replaced so long after the start. The ranks take turns: none is replaced again
    /// before all others were, so that popular and rare keys change alike.
    fn generation(self, rank: u64, at: Duration) -> u64 {
        let rounds = at.as_nanos() / self.every.as_nanos().max(1);
        let replaced = rounds.saturating_mul(u128::from(self.percent)).min(u128::from(u64::MAX));
        ((((replaced << 64) / 100) + u128::from(rank.wrapping_mul(GOLDEN))) >> 64) as u64
    }
}

/// What one request reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    /// A key of the working set, and how often it has been replaced.
    Member { rank: u64, generation: u64 },
    /// A key that nobody else asks for, by the number of the request.
    Once(u64),
}

/// All requests of a run.
#[derive(Clone, Debug)]
pub(super) struct Workload {
    /// The number that everything follows from; part of every key.
    pub(super) seed: u64,
    /// Size of the working set.
    pub(super) phases: Phases,
    /// How popular its keys are.
    pub(super) zipf: Zipf,
    /// How it changes.
    pub(super) shift: Option<Shift>,
    /// Percent of the requests for keys that are asked for once.
    pub(super) scan_percent: u64,
    /// Sizes of values in bytes.
    pub(super) sizes: RangeInclusive<usize>,
}

impl Workload {
    /// What the request of this number asks for when it is made so long after the start.
    pub(super) fn request(&self, number: u64, at: Duration) -> Key {
        let mut random = Random::of(&[self.seed, number]);
        if random.below(100) < self.scan_percent {
            return Key::Once(number);
        }
        let rank = self.zipf.rank(self.phases.keys(at), &mut random);
        Key::Member { rank, generation: self.shift.map_or(0, |shift| shift.generation(rank, at)) }
    }

    /// The key's name in the cache.
    pub(super) fn name(&self, key: Key) -> String {
        let Self { seed, .. } = self;
        match key {
            Key::Member { rank, generation } => format!("load:{seed}:{rank}:{generation}"),
            Key::Once(number) => format!("load:{seed}:once:{number}"),
        }
    }

    /// What the origin has for this key: the same bytes each time.
    pub(super) fn value(&self, key: Key) -> Vec<u8> {
        let parts = match key {
            Key::Member { rank, generation } => [self.seed, 0, rank, generation],
            Key::Once(number) => [self.seed, 1, number, 0],
        };
        let (from, to) = (*self.sizes.start(), *self.sizes.end());
        let size = from + Random::of(&parts).below((to - from + 1) as u64) as usize;
        self.name(key).into_bytes().into_iter().cycle().take(size).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn workload(seed: u64, keys: u64) -> Workload {
        Workload {
            seed,
            phases: Phases::constant(keys),
            zipf: Zipf::new(1.0),
            shift: None,
            scan_percent: 0,
            sizes: 100..=1000,
        }
    }

    fn generations(shift: Shift, keys: u64, at: Duration) -> Vec<u64> {
        (0..keys).map(|rank| shift.generation(rank, at)).collect()
    }

    #[test]
    fn no_name_is_that_of_another_key_or_run() {
        let keys = [
            Key::Member { rank: 1, generation: 11 },
            Key::Member { rank: 11, generation: 1 },
            Key::Member { rank: 1, generation: 1 },
            Key::Once(1),
            Key::Once(11),
        ];
        let names: HashSet<String> =
            [5, 51].iter().flat_map(|&seed| keys.map(|key| workload(seed, 1).name(key))).collect();
        assert_eq!(names.len(), 2 * keys.len(), "{names:?}");
    }

    proptest! {
        #[test]
        fn a_request_follows_from_seed_number_and_time(seed: u64, number: u64, seconds in 0_u64..1_000_000) {
            let shift = Some(Shift { every: 30 * SECOND, percent: 7 });
            let load = Workload { shift, scan_percent: 20, ..workload(seed, 1000) };
            let at = Duration::from_secs(seconds);
            let key = load.request(number, at);
            prop_assert_eq!(key, load.clone().request(number, at));
            prop_assert_eq!(load.value(key), load.value(key));
            prop_assert!((100..=1000).contains(&load.value(key).len()));
        }

        #[test]
        fn ranks_stay_within_the_working_set_of_the_moment(seed: u64, before in 1_u64..500, after in 1_u64..500) {
            let phases = Phases::new(vec![(10 * SECOND, before), (10 * SECOND, after)]).unwrap();
            let load = Workload { phases, zipf: Zipf::new(0.0), ..workload(seed, 1) };
            for (at, keys) in [(0, before), (9, before), (10, after), (1000, after)] {
                let asked: HashSet<u64> = (0..keys * 20)
                    .map(|number| match load.request(number, at * SECOND) {
                        Key::Member { rank, generation: 0 } => rank,
                        other => panic!("{other:?}"),
                    })
                    .collect();
                prop_assert!(asked.iter().all(|rank| *rank < keys));
                prop_assert!(asked.len() as u64 >= keys * 9 / 10, "{} of {keys}", asked.len());
            }
        }

        #[test]
        fn the_share_of_one_time_keys_is_as_told_and_none_comes_twice(seed: u64, percent in 0_u64..=100) {
            let load = Workload { scan_percent: percent, ..workload(seed, 100) };
            let keys: Vec<Key> = (0..20_000).map(|number| load.request(number, SECOND)).collect();
            let once: Vec<&Key> = keys.iter().filter(|key| matches!(key, Key::Once(_))).collect();
            let share = once.len() as f64 / keys.len() as f64;
            // 6 standard deviations of a share of one half.
            prop_assert!((share - percent as f64 / 100.0).abs() < 0.022, "{share}");
            prop_assert_eq!(once.iter().collect::<HashSet<_>>().len(), once.len());
        }

        #[test]
        fn each_shift_replaces_its_part_of_the_keys_each_at_most_once(
            keys in 100_u64..2000,
            percent in 1_u64..=100,
            round in 0_u32..1000,
        ) {
            let shift = Shift { every: 10 * SECOND, percent };
            let before = generations(shift, keys, round * shift.every);
            let until = generations(shift, keys, round * shift.every + 9 * SECOND);
            prop_assert_eq!(&before, &until, "nothing changes in between");
            let after = generations(shift, keys, (round + 1) * shift.every);
            let steps: Vec<u64> = before.iter().zip(&after).map(|(b, a)| a - b).collect();
            prop_assert!(steps.iter().all(|step| *step <= 1));
            let replaced = steps.iter().sum::<u64>() as f64 / keys as f64;
            prop_assert!((replaced - percent as f64 / 100.0).abs() < 0.03, "{replaced}");
        }
    }
}
