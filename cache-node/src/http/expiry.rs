//! What is left of an entry's time to live, in the API's seconds.

use ringcache_store::Millis;

/// Seconds that are left, begun ones counted: an entry that lives never shows 0.
pub(super) fn seconds_left(deadline: Option<Millis>, now: Millis) -> Option<u64> {
    deadline.map(|deadline| deadline.saturating_sub(now).div_ceil(1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn begun_seconds_are_counted() {
        assert_eq!(seconds_left(Some(1001), 1000), Some(1));
        assert_eq!(seconds_left(Some(2000), 1000), Some(1));
        assert_eq!(seconds_left(Some(2001), 1000), Some(2));
        assert_eq!(seconds_left(None, 1000), None);
    }
}
