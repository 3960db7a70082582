//! Numbers that follow from a seed, which is printed so that a failure can be replayed.

use anyhow::{Context, Result};

/// The variable that holds the seed. `cargo xtask test` sets it to a number of the commit.
const VARIABLE: &str = "RINGCACHE_SEED";

/// The seed of this run, 0 without the variable; printed as it has to be given again.
///
/// # Errors
///
/// If the variable is not a number.
pub fn seed() -> Result<u64> {
    let seed = match std::env::var(VARIABLE) {
        Ok(text) => text.parse().with_context(|| format!("{VARIABLE}={text}: not a number"))?,
        Err(_) => 0,
    };
    println!("{VARIABLE}={seed}");
    Ok(seed)
}

/// A generator of numbers (`SplitMix64`, Steele et al., 2014).
#[derive(Debug)]
pub struct Random(pub u64);

impl Random {
    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}
