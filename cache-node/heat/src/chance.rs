//! Numbers that look random, made from a seed: the upper half of a linear congruential generator (Knuth, The Art of Computer Programming,
//! 3.3.4). A multiplication and an addition, since it is asked for often and nothing depends on its quality.

/// The state of the generator.
#[derive(Clone, Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    /// Numbers of their own for each seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    #[inline]
    pub(crate) fn next(&mut self) -> u32 {
        const FACTOR: u64 = 6_364_136_223_846_793_005;
        const STEP: u64 = 1_442_695_040_888_963_407;
        self.0 = self.0.wrapping_mul(FACTOR).wrapping_add(STEP);
        (self.0 >> 32) as u32
    }
}
