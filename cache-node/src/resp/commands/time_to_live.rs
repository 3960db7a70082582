//! Deadlines from the arguments of a command.

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
        u64::try_from(point)
            .ok()
            .filter(|_| is_positive)
            .ok_or(CommandError::InvalidExpire(command))
    }
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
}
