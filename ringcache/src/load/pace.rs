//! The turns of all connections: when the next request may be made, and which one it is.

use std::time::Duration;

/// How far requests may be behind their rate and still catch up: timers wake late. What a slow cache or origin holds up for
/// longer is left out, or a burst of it would follow.
const CATCH_UP: Duration = Duration::from_millis(100);

/// Turns at a limited rate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    interval: Duration,
    next: Duration,
    number: u64,
}

/// A request that may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    /// The first is 0.
    pub(super) number: u64,
    /// When, counted from the start.
    pub(super) due: Duration,
}

impl Pace {
    /// So many turns a second; 0 = without pauses.
    pub(super) fn new(rate: u64) -> Self {
        let interval = if rate == 0 { 0.0 } else { 1.0 / rate as f64 };
        Self { interval: Duration::from_secs_f64(interval), next: Duration::ZERO, number: 0 }
    }

    /// The next turn, for who asks so long after the start.
    pub(super) fn turn(&mut self, now: Duration) -> Turn {
        let due =
            if self.interval.is_zero() { now } else { self.next.max(now.saturating_sub(CATCH_UP)) };
        let turn = Turn { number: self.number, due };
        self.number += 1;
        self.next = due + self.interval;
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn turns_keep_their_distance_and_small_delays_are_made_up_for() {
        let mut pace = Pace::new(100);
        let due = [0, 0, 0, 50, 50].map(|now| pace.turn(now * MS).due.as_millis());
        assert_eq!(due, [0, 10, 20, 30, 40]);
    }

    #[test]
    fn what_was_held_up_for_long_is_left_out() {
        let mut pace = Pace::new(100);
        assert_eq!(pace.turn(Duration::ZERO), Turn { number: 0, due: Duration::ZERO });
        assert_eq!(pace.turn(5000 * MS), Turn { number: 1, due: 4900 * MS });
        assert_eq!(pace.turn(5000 * MS), Turn { number: 2, due: 4910 * MS });
    }

    #[test]
    fn without_a_rate_every_turn_is_now() {
        let mut pace = Pace::new(0);
        let due = [3, 3, 9].map(|now| pace.turn(now * MS).due.as_millis());
        assert_eq!(due, [3, 3, 9]);
    }
}
