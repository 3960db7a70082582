//! The database behind the cache: each read takes its time, and only so many go on at once.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::sleep;

use super::workload::Key;

/// An origin that has every key.
#[derive(Debug)]
pub(super) struct Origin {
    delay: Duration,
    places: Semaphore,
    /// Reads that were begun and not ended, by key.
    reading: Mutex<HashMap<Key, u64>>,
}

impl Origin {
    /// One whose reads take that long, so many at once.
    pub(super) fn new(delay: Duration, parallel: usize) -> Self {
        let places = Semaphore::new(parallel);
        Self { delay, places, reading: Mutex::new(HashMap::new()) }
    }

    /// Begins a read.
    pub(super) fn begin(&self, key: Key) -> Reading<'_> {
        let mut reading = self.reading();
        let number = reading.entry(key).or_default();
        *number += 1;
        Reading { number: *number, origin: self, key }
    }

    fn reading(&self) -> MutexGuard<'_, HashMap<Key, u64>> {
        self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A read that was begun; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Reading<'a> {
    origin: &'a Origin,
    key: Key,
    /// How many read this key now, with this one.
    number: u64,
}

impl Reading<'_> {
    /// Whether this read has made a stampede of one that went on alone.
    pub(super) fn is_second(&self) -> bool {
        self.number == 2
    }

    /// Waits for a place, and for the answer.
    pub(super) async fn answer(self) {
        // Nobody closes the semaphore, so that there is a place.
        let _place = self.origin.places.acquire().await;
        sleep(self.origin.delay).await;
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        let mut reading = self.origin.reading();
        if let Some(number) = reading.get_mut(&self.key) {
            *number -= 1;
            if *number == 0 {
                reading.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    const DELAY: Duration = Duration::from_millis(20);

    #[test]
    fn a_stampede_is_told_once_and_a_key_that_was_read_is_new_again() {
        let origin = Origin::new(DELAY, 1);
        let (one, other) = (Key::Once(1), Key::Once(2));
        let first = origin.begin(one);
        let told = [origin.begin(other), origin.begin(one), origin.begin(one)];
        assert_eq!(told.each_ref().map(Reading::is_second), [false, true, false]);
        drop((first, told));
        assert!(origin.reading().is_empty());
        assert!(!origin.begin(one).is_second());
    }

    #[tokio::test]
    async fn only_so_many_reads_go_on_at_once() {
        let origin = Origin::new(DELAY, 2);
        let began = clock::now();
        let read = |number| origin.begin(Key::Once(number)).answer();
        tokio::join!(read(1), read(2), read(3), read(4));
        assert!(clock::now() - began >= 2 * DELAY);
        assert!(origin.reading().is_empty());
    }
}
