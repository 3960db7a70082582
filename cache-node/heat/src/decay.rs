//! Decay by growing weights: nothing is touched as time passes but what is counted.

/// Milliseconds after which something counts 1/e of what it did at first.
const SPAN_MS: f64 = 10_000.0;
/// Spans after which weights begin at 1 again: e<sup>32</sup> times any count fits into a float of 32 bits.
const SPANS: f64 = 32.0;
/// The first second counts as a whole one: the rate of a single operation in its first millisecond would be a thousand.
const SHORTEST_MS: f64 = 1_000.0;

/// What is left of something after this time.
pub(crate) fn left_after(ms: f64) -> f64 {
    (-ms / SPAN_MS).exp()
}

/// What an operation counts at a time. Counts of several operations are sums of weights, and are comparable at any time.
#[derive(Clone, Debug)]
pub(crate) struct Decay {
    begun_ms: u64,
    /// When an operation counted 1.
    landmark_ms: u64,
    /// The latest time that was told.
    now_ms: u64,
    /// What an operation counts now.
    weight: f32,
}

impl Decay {
    /// Counting begins.
    pub(crate) fn new(now_ms: u64) -> Self {
        Self { begun_ms: now_ms, landmark_ms: now_ms, now_ms, weight: 1.0 }
    }

    /// What an operation counts at the latest time that was told.
    pub(crate) fn weight(&self) -> f32 {
        self.weight
    }

    /// Goes on to this time, and never back. `Some(factor)` = weights begin anew, and all counts have to be multiplied by it.
    #[inline]
    pub(crate) fn advance(&mut self, now_ms: u64) -> Option<f32> {
        if now_ms <= self.now_ms { None } else { self.go_on(now_ms) }
    }

    fn go_on(&mut self, now_ms: u64) -> Option<f32> {
        self.now_ms = now_ms;
        let left = left_after(ms(self.landmark_ms, now_ms));
        let spans = ms(self.landmark_ms, now_ms) / SPAN_MS;
        if spans <= SPANS {
            self.weight = left.recip() as f32;
            return None;
        }
        (self.landmark_ms, self.weight) = (now_ms, 1.0);
        Some(left as f32)
    }

    /// What a count is at this time in operations, per unit of the count.
    pub(crate) fn operations(&self, now_ms: u64) -> f64 {
        left_after(ms(self.landmark_ms, now_ms.max(self.now_ms)))
    }

    /// The same in operations a second.
    pub(crate) fn per_second(&self, now_ms: u64) -> f64 {
        let counted_ms = ms(self.begun_ms, now_ms.max(self.now_ms)).max(SHORTEST_MS);
        let seconds = SPAN_MS / 1000.0 * (1.0 - left_after(counted_ms));
        self.operations(now_ms) / seconds
    }

    /// Goes on to the time of the other. What was counted here, and what was counted there, have to be multiplied by these factors
    /// before they are added up.
    pub(crate) fn join(&mut self, other: &Self) -> (f32, f32) {
        let here = self.advance(other.now_ms).unwrap_or(1.0);
        self.begun_ms = self.begun_ms.min(other.begun_ms);
        // The other's landmark is not after this time, so that the factor is at most the present weight.
        let there = if other.landmark_ms < self.landmark_ms {
            left_after(ms(other.landmark_ms, self.landmark_ms))
        } else {
            left_after(ms(self.landmark_ms, other.landmark_ms)).recip()
        };
        (here, there as f32)
    }
}

fn ms(from: u64, to: u64) -> f64 {
    to.saturating_sub(from) as f64
}
