//! How much of its time a thread works.

use crate::decay::left_after;

/// Microseconds after which a part of the time is taken into the mean: what a batch adds stays two additions.
const PART_US: u64 = 100_000;

/// The share of the time that was spent in batches.
#[derive(Clone, Debug)]
pub struct Busy {
    /// The mean of the parts that are over, each with the weight that is left of it, and the sum of these weights.
    share: f64,
    weight: f64,
    /// When the present part began, and what was spent in batches since.
    part_us: u64,
    spent_us: u64,
    /// When the batch began that is not over.
    batch_us: Option<u64>,
}

impl Busy {
    /// The thread begins.
    pub fn new(now_us: u64) -> Self {
        Self { share: 0.0, weight: 0.0, part_us: now_us, spent_us: 0, batch_us: None }
    }

    /// A batch of requests begins.
    #[inline]
    pub fn begin(&mut self, now_us: u64) {
        self.pass(now_us);
        self.batch_us = Some(now_us);
    }

    /// The batch is over.
    #[inline]
    pub fn end(&mut self, now_us: u64) {
        self.spend(now_us);
        self.batch_us = None;
        self.pass(now_us);
    }

    /// The share of the time, from 0 to 1, up to now: a batch that is not over counts too, or a thread that hangs would seem idle.
    pub fn share(&self, now_us: u64) -> f64 {
        let mut now = self.clone();
        now.spend(now_us);
        now.end_part(now_us);
        if now.weight > 0.0 { now.share / now.weight } else { 0.0 }
    }

    #[inline]
    fn spend(&mut self, now_us: u64) {
        if let Some(begun_us) = self.batch_us {
            self.spent_us += now_us.saturating_sub(begun_us);
        }
    }

    /// Ends the part if it is long enough.
    #[inline]
    fn pass(&mut self, now_us: u64) {
        if now_us.saturating_sub(self.part_us) >= PART_US {
            self.end_part(now_us);
        }
    }

    #[cold]
    fn end_part(&mut self, now_us: u64) {
        let part_us = now_us.saturating_sub(self.part_us);
        let left = left_after(part_us as f64 / 1000.0);
        let spent = (self.spent_us as f64 / part_us.max(1) as f64).min(1.0);
        self.share = self.share * left + spent * (1.0 - left);
        self.weight = self.weight * left + (1.0 - left);
        (self.part_us, self.spent_us) = (now_us.max(self.part_us), 0);
    }
}
