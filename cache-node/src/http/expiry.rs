//! Times to live: the cluster's default for entries written without one.

use ringcache_api::admin::Settings;
use ringcache_store::Millis;

use super::hash::fnv1a;

/// Deadline of an entry that is written now without a time to live; `None`: it does not expire.
///
/// The default is shortened by up to the jitter. How much follows from key and time: entries written together expire apart.
pub(super) fn default_deadline(settings: Settings, key: &[u8], now: Millis) -> Option<Millis> {
    let ttl_ms = u64::from(settings.ttl_default_seconds) * 1000;
    if ttl_ms == 0 {
        return None;
    }
    let spread_ms = ttl_ms * u64::from(settings.ttl_jitter_percent.min(100)) / 100;
    let mut mixed = [0; 24];
    mixed[..16].copy_from_slice(&fnv1a(key).to_le_bytes());
    mixed[16..].copy_from_slice(&now.to_le_bytes());
    let shortened = (fnv1a(&mixed) % u128::from(spread_ms + 1)) as u64;
    Some(now + (ttl_ms - shortened).max(1))
}

/// Seconds that are left, begun ones counted: an entry that lives never shows 0.
pub(super) fn seconds_left(deadline: Option<Millis>, now: Millis) -> Option<u64> {
    deadline.map(|deadline| deadline.saturating_sub(now).div_ceil(1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(ttl_default_seconds: u32, ttl_jitter_percent: u8) -> Settings {
        Settings { ttl_default_seconds, ttl_jitter_percent }
    }

    #[test]
    fn no_default_means_no_deadline() {
        assert_eq!(default_deadline(settings(0, 50), b"k", 1000), None);
    }

    #[test]
    fn without_jitter_the_default_is_exact() {
        assert_eq!(default_deadline(settings(60, 0), b"k", 1000), Some(61_000));
    }

    #[test]
    fn jitter_spreads_deadlines_over_its_whole_share_and_not_beyond() {
        let ttls: Vec<u64> = (0..1000_u32)
            .filter_map(|n| default_deadline(settings(100, 20), &n.to_le_bytes(), 5000))
            .map(|deadline| deadline - 5000)
            .collect();
        assert_eq!(ttls.len(), 1000);
        assert!(ttls.iter().all(|ttl| (80_000..=100_000).contains(ttl)));
        for tenth in 0..10 {
            let from = 80_000 + tenth * 2000;
            let count = ttls.iter().filter(|ttl| (from..from + 2000).contains(*ttl)).count();
            assert!((50..=150).contains(&count), "{count} of 1000 in tenth {tenth}");
        }
    }

    #[test]
    fn begun_seconds_are_counted() {
        assert_eq!(seconds_left(Some(1001), 1000), Some(1));
        assert_eq!(seconds_left(Some(2000), 1000), Some(1));
        assert_eq!(seconds_left(Some(2001), 1000), Some(2));
        assert_eq!(seconds_left(None, 1000), None);
    }
}
