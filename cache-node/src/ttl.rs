//! The cluster's default time to live, for entries written without one over any protocol.

use ringcache_api::admin::Settings;
use ringcache_store::Millis;

/// Deadline of an entry that is written now without a time to live; `None`: it does not expire.
///
/// The default is shortened by up to the jitter, so that entries written together do not expire together. By how much
/// follows from key and time.
pub(crate) fn default_deadline(settings: Settings, key: &[u8], now: Millis) -> Option<Millis> {
    let ttl_ms = u64::from(settings.ttl_default_seconds) * 1000;
    if ttl_ms == 0 {
        return None;
    }
    let widest_ms = ttl_ms * u64::from(settings.ttl_jitter_percent.min(100)) / 100;
    // FNV-1a, then a multiplication to bring its upper bits into play; quality hardly matters for a spread.
    let hash = key.iter().fold(0xcbf2_9ce4_8422_2325_u64 ^ now, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let shortened_ms = (hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 24) % (widest_ms + 1);
    Some(now + (ttl_ms - shortened_ms).max(1))
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
}
