//! Zipf's law: of `n` keys the one of rank `k` is asked for in proportion to `1 / k^exponent`.

use crate::random::Random;

/// The law with one exponent; 0 asks for all keys equally often.
///
/// Ranks are drawn by rejection-inversion (Hörmann, Derflinger, "Rejection-inversion to generate variates from monotone
/// discrete distributions", 1996): no table, so that the number of keys may differ from request to request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Zipf {
    exponent: f64,
}

impl Zipf {
    /// The law with this exponent, which is not negative.
    pub(super) fn new(exponent: f64) -> Self {
        Self { exponent }
    }

    /// A rank below `keys`, which is not 0; the most popular key is 0.
    pub(super) fn rank(self, keys: u64, random: &mut Random) -> u64 {
        let first = self.integral(1.5) - 1.0;
        let last = self.integral(keys as f64 + 0.5);
        // Closer than this to its rank, a point is taken without another look.
        let sure = 2.0 - self.inverse(self.integral(2.5) - self.density(2.0));
        loop {
            let area = last + random.share() * (first - last);
            let x = self.inverse(area);
            let rank = ((x + 0.5) as u64).clamp(1, keys);
            let k = rank as f64;
            if k - x <= sure || area >= self.integral(k + 0.5) - self.density(k) {
                return rank - 1;
            }
        }
    }

    /// `x^-exponent`.
    fn density(self, x: f64) -> f64 {
        x.powf(-self.exponent)
    }

    /// Area below the density from 1 to `x`.
    fn integral(self, x: f64) -> f64 {
        let log = x.ln();
        log * exp_m1_ratio((1.0 - self.exponent) * log)
    }

    /// The `x` up to which the area is this.
    fn inverse(self, area: f64) -> f64 {
        // Rounding may take it a little below -1, where there is no logarithm.
        let t = (area * (1.0 - self.exponent)).max(-1.0);
        (area * ln_1p_ratio(t)).exp()
    }
}

/// `(e^x - 1) / x`, also where `x` is 0.
fn exp_m1_ratio(x: f64) -> f64 {
    if x.abs() > 1e-8 { x.exp_m1() / x } else { 1.0 + x / 2.0 }
}

/// `ln(1 + x) / x`, also where `x` is 0.
fn ln_1p_ratio(x: f64) -> f64 {
    if x.abs() > 1e-8 { x.ln_1p() / x } else { 1.0 - x / 2.0 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DRAWS: u32 = 20_000;

    /// The shares by definition.
    fn shares(keys: u64, exponent: f64) -> Vec<f64> {
        let weights: Vec<f64> = (1..=keys).map(|k| (k as f64).powf(-exponent)).collect();
        let all: f64 = weights.iter().sum();
        weights.iter().map(|weight| weight / all).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn each_rank_has_the_share_that_the_law_gives_it(
            seed: u64,
            keys in 1_u64..200,
            // 1 is where both integrals change their form.
            exponent in prop_oneof![Just(0.0), Just(1.0), 0.0..3.0],
        ) {
            let mut counts = vec![0_u32; keys as usize];
            for number in 0..u64::from(DRAWS) {
                let rank = Zipf::new(exponent).rank(keys, &mut Random::of(&[seed, number]));
                counts[rank as usize] += 1;
            }
            let mut cumulated = (0.0, 0.0);
            for (count, share) in counts.iter().zip(shares(keys, exponent)) {
                cumulated.0 += f64::from(*count) / f64::from(DRAWS);
                cumulated.1 += share;
                // 6 standard deviations of a share of one half.
                prop_assert!((cumulated.0 - cumulated.1).abs() < 0.022, "{cumulated:?}");
            }
        }

        #[test]
        fn the_most_keys_and_the_steepest_law_have_ranks(seed: u64, exponent in 0.0..=5.0) {
            let rank = Zipf::new(exponent).rank(100_000_000, &mut Random::of(&[seed]));
            prop_assert!(rank < 100_000_000);
        }
    }
}
