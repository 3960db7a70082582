//! Samples in the order of their last use, and how many bytes were used since each.
//!
//! Every use takes the next place; a Fenwick tree over the places holds the bytes (Fenwick, "A new data structure for cumulative
//! frequency tables", 1994). When no place is left, the samples are given new ones from the beginning on.

/// The order.
#[derive(Clone, Debug)]
pub(crate) struct Recency {
    /// Place `i` holds the sum of the bytes of the places `i - lowest bit of i` to `i - 1`; place 0 holds none.
    sums: Vec<u64>,
    /// The hash of the sample at each place; meaningless where its bytes are gone.
    hashes: Vec<u64>,
    total: u64,
}

impl Recency {
    /// An empty order of so many places.
    pub(crate) fn new(places: usize) -> Self {
        Self { sums: vec![0; places + 1], hashes: Vec::with_capacity(places), total: 0 }
    }

    /// Whether no place is left.
    pub(crate) fn is_full(&self) -> bool {
        self.hashes.len() + 1 == self.sums.len()
    }

    /// Forgets all, so that the samples can be pushed again, the one used first before the others.
    pub(crate) fn clear(&mut self) {
        self.sums.fill(0);
        self.hashes.clear();
        self.total = 0;
    }

    /// A sample of more than 0 bytes was used; its place. The order must not be full.
    pub(crate) fn push(&mut self, hash: u64, bytes: u32) -> u32 {
        let place = self.hashes.len();
        self.hashes.push(hash);
        self.add(place, u64::from(bytes));
        place as u32
    }

    /// The sample at that place is not there any more.
    pub(crate) fn remove(&mut self, place: u32, bytes: u32) {
        self.add(place as usize, u64::from(bytes).wrapping_neg());
    }

    /// Bytes of the samples that were used after the one at that place.
    pub(crate) fn newer(&self, place: u32) -> u64 {
        self.total - self.sum(place as usize + 1)
    }

    /// The sample whose last use is longest ago, and the bytes of all.
    pub(crate) fn oldest(&self) -> Option<(u64, u64)> {
        if self.total == 0 {
            return None;
        }
        // The way down the tree: the largest number of places that hold nothing.
        let (mut empty, mut step) = (0, self.sums.len().next_power_of_two() / 2);
        while step > 0 {
            if self.sums.get(empty + step) == Some(&0) {
                empty += step;
            }
            step /= 2;
        }
        self.hashes.get(empty).map(|hash| (*hash, self.total))
    }

    /// Wraps where bytes are taken away: the sums do not.
    fn add(&mut self, place: usize, bytes: u64) {
        self.total = self.total.wrapping_add(bytes);
        let mut node = place + 1;
        while let Some(sum) = self.sums.get_mut(node) {
            *sum = sum.wrapping_add(bytes);
            node += node & node.wrapping_neg();
        }
    }

    /// Bytes of the first so many places.
    fn sum(&self, places: usize) -> u64 {
        let (mut sum, mut node) = (0_u64, places);
        while node > 0 {
            sum = sum.wrapping_add(self.sums.get(node).copied().unwrap_or_default());
            node &= node - 1;
        }
        sum
    }
}
