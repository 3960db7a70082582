//! Operations and bytes by slot.

use crate::decay::Decay;

/// Slots of a cluster.
const SLOTS: usize = 16_384;

/// What goes through a slot: counted, or in a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Traffic {
    /// Commands.
    pub operations: f32,
    /// Bytes that clients sent.
    pub bytes_in: f32,
    /// Bytes that clients got.
    pub bytes_out: f32,
}

impl Traffic {
    /// So many times this: an operation of a sample stands for several.
    #[must_use]
    pub fn times(self, factor: f32) -> Self {
        Self {
            operations: self.operations * factor,
            bytes_in: self.bytes_in * factor,
            bytes_out: self.bytes_out * factor,
        }
    }

    fn add(&mut self, other: Self) {
        self.operations += other.operations;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
    }
}

/// The traffic of each slot, in 12 bytes a slot.
///
/// Nothing is done as time passes but once in five minutes, when all slots are touched because weights begin anew.
#[derive(Clone, Debug)]
pub struct Slots {
    decay: Decay,
    /// Sums of weights.
    slots: Box<[Traffic]>,
}

impl Slots {
    /// Nothing was counted yet.
    pub fn new(now_ms: u64) -> Self {
        Self { decay: Decay::new(now_ms), slots: vec![Traffic::default(); SLOTS].into() }
    }

    /// Counts the traffic for a slot. There are no slots from 16384 on.
    #[inline]
    pub fn add(&mut self, slot: u16, traffic: Traffic, now_ms: u64) {
        if let Some(factor) = self.decay.advance(now_ms) {
            self.scale(factor);
        }
        if let Some(count) = self.slots.get_mut(usize::from(slot)) {
            count.add(traffic.times(self.decay.weight()));
        }
    }

    /// The traffic of each slot in a second.
    pub fn iter(&self, now_ms: u64) -> impl Iterator<Item = (u16, Traffic)> + '_ {
        let per_second = self.decay.per_second(now_ms);
        (0..).zip(&self.slots).map(move |(slot, count)| (slot, count.times(per_second as f32)))
    }

    /// The traffic of all slots in a second.
    pub fn total(&self, now_ms: u64) -> Traffic {
        let sum = |part: fn(&Traffic) -> f32| {
            let sum: f64 = self.slots.iter().map(|count| f64::from(part(count))).sum();
            (sum * self.decay.per_second(now_ms)) as f32
        };
        Traffic {
            operations: sum(|count| count.operations),
            bytes_in: sum(|count| count.bytes_in),
            bytes_out: sum(|count| count.bytes_out),
        }
    }

    /// At most so many slots with the most of what `by` says of the traffic in a second, the first one first. Those with nothing are left
    /// out.
    pub fn top(
        &self,
        most: usize,
        by: impl Fn(&Traffic) -> f32,
        now_ms: u64,
    ) -> Vec<(u16, Traffic)> {
        let mut slots: Vec<_> =
            self.iter(now_ms).filter(|(_, traffic)| by(traffic) > 0.0).collect();
        slots.sort_by(|(_, a), (_, b)| by(b).total_cmp(&by(a)));
        slots.truncate(most);
        slots
    }

    /// Takes in what another thread has counted.
    pub fn merge(&mut self, other: &Self) {
        let (here, there) = self.decay.join(&other.decay);
        for (count, other) in self.slots.iter_mut().zip(&other.slots) {
            *count = count.times(here);
            count.add(other.times(there));
        }
    }

    #[cold]
    fn scale(&mut self, factor: f32) {
        self.slots.iter_mut().for_each(|count| *count = count.times(factor));
    }
}
