//! Deadlines: from the arguments of a command, or from the cluster's default.

use ringcache_api::admin::Settings;
use ringcache_store::Millis;
use ringcache_wire::number::parse_i64;

use crate::resp::error::CommandError;

/// How an argument states a point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unit {
    /// In seconds, not milliseconds.
    pub(super) seconds: bool,
    /// Since 1970, not from now on.
    pub(super) absolute: bool,
}

impl Unit {
    pub(super) const EX: Self = Self { seconds: true, absolute: false };
    pub(super) const PX: Self = Self { seconds: false, absolute: false };
    pub(super) const EXAT: Self = Self { seconds: true, absolute: true };
    pub(super) const PXAT: Self = Self { seconds: false, absolute: true };

    /// The point in time in milliseconds since 1970; negative if it is before that.
    pub(super) fn point(
        self,
        number: &[u8],
        now: Millis,
        command: &'static str,
    ) -> Result<i64, CommandError> {
        let number = parse_i64(number).ok_or(CommandError::NotAnInteger)?;
        let ms = if self.seconds { number.checked_mul(1000) } else { Some(number) };
        let start = if self.absolute { 0 } else { i64::try_from(now).unwrap_or(i64::MAX) };
        ms.and_then(|ms| start.checked_add(ms)).ok_or(CommandError::InvalidExpire(command))
    }

    /// The same for commands that refuse 0 and less, as all but the `EXPIRE` family do.
    pub(super) fn deadline(
        self,
        number: &[u8],
        now: Millis,
        command: &'static str,
    ) -> Result<Millis, CommandError> {
        let point = self.point(number, now, command)?;
        let is_positive = number.first().is_some_and(|digit| matches!(digit, b'1'..=b'9'));
        u64::try_from(point).ok().filter(|_| is_positive).ok_or(CommandError::InvalidExpire(command))
    }
}

/// The deadline of an entry written without one. Shortened by up to the configured share, so that entries written
/// together do not expire together: by how much comes from key and time.
pub(super) fn default_deadline(settings: Settings, key: &[u8], now: Millis) -> Option<Millis> {
    let ttl_ms = u64::from(settings.ttl_default_seconds) * 1000;
    if ttl_ms == 0 {
        return None;
    }
    let widest = ttl_ms * u64::from(settings.ttl_jitter_percent) / 100;
    // FNV-1a, then a multiplication to bring its upper bits into play; quality hardly matters for a spread.
    let hash = key.iter().fold(0xcbf2_9ce4_8422_2325_u64 ^ now, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let shortened = (hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) % (widest + 1);
    Some(now + ttl_ms - shortened)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_in_time_beyond_64_bits_is_refused_and_the_last_one_is_not() {
        let last_ms = i64::MAX.to_string();
        assert_eq!(Unit::PXAT.deadline(last_ms.as_bytes(), 5, "set"), Ok(i64::MAX as u64));
        let invalid = Err(CommandError::InvalidExpire("set"));
        assert_eq!(Unit::PX.deadline(last_ms.as_bytes(), 1, "set"), invalid);
        assert_eq!(Unit::EX.deadline(last_ms.as_bytes(), 1, "set"), invalid);
        assert_eq!(Unit::EX.deadline(b"0", 1, "set"), invalid);
        assert_eq!(Unit::EX.deadline(b"-1", 5000, "set"), invalid);
        assert_eq!(Unit::EX.deadline(b"2", 5000, "set"), Ok(7000));
        assert_eq!(Unit::EX.deadline(b"x", 5000, "set"), Err(CommandError::NotAnInteger));
    }

    #[test]
    fn the_default_is_shortened_by_no_more_than_its_share_and_spreads_over_it() {
        let settings = Settings { ttl_default_seconds: 100, ttl_jitter_percent: 20 };
        let now = 1_700_000_000_000;
        let ttls: Vec<u64> = (0..1000_u32)
            .filter_map(|key| default_deadline(settings, &key.to_le_bytes(), now))
            .map(|deadline| deadline - now)
            .collect();
        assert!(ttls.iter().all(|ttl| (80_000..=100_000).contains(ttl)));
        for eighth in 0..8 {
            let from = 80_000 + eighth * 2500;
            let share = ttls.iter().filter(|ttl| (from..from + 2500).contains(*ttl)).count();
            assert!((60..200).contains(&share), "{share} of 1000 from {from} ms");
        }
    }

    #[test]
    fn without_a_default_entries_stay_and_without_jitter_it_is_exact() {
        assert_eq!(default_deadline(Settings::default(), b"k", 7), None);
        let settings = Settings { ttl_default_seconds: 3, ttl_jitter_percent: 0 };
        assert_eq!(default_deadline(settings, b"k", 7), Some(3007));
    }
}
