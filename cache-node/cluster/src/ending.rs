//! When a node ends that was told to: as soon as it holds nothing, and not before it has handed over all that it can.

use std::time::Duration;

/// A node that holds nothing leaves when no client has asked it for a key for this long.
const QUIET: Duration = Duration::from_secs(1);
/// A node that holds nothing waits so long, at most, for clients that do not turn elsewhere, and for the document that names it no
/// more. One that ends before would be taken for one that died.
const LINGER: Duration = Duration::from_secs(20);
/// A node whose slots nobody takes for so long has nobody to hand them over to: the last node of a cluster, or one that is deleted.
const STALLED: Duration = Duration::from_secs(55);

/// What is seen of a node that was told to end.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// Since it was told.
    pub since: Duration,
    /// Slots that it owns, or has sealed for another.
    pub slots: usize,
    /// Whether the ring document still names it.
    pub is_member: bool,
    /// Since a client asked it for a key.
    pub quiet: Duration,
}

/// What a node that was told to end waits for.
#[derive(Clone, Debug)]
pub struct Patience {
    grace: Duration,
    /// The fewest slots that it held so far.
    fewest: usize,
    /// When it came to hold so few.
    fewest_since: Duration,
}

impl Patience {
    /// Of a node that was told to end, and is killed after `grace`.
    pub fn new(grace: Duration) -> Self {
        Self { grace, fewest: usize::MAX, fewest_since: Duration::ZERO }
    }

    /// Why the node ends now, if it does.
    pub fn ends(&mut self, look: Look) -> Option<&'static str> {
        if look.slots < self.fewest {
            (self.fewest, self.fewest_since) = (look.slots, look.since);
        }
        let unchanged = look.since.saturating_sub(self.fewest_since);
        match look.slots {
            0 if look.quiet >= QUIET && !look.is_member => {
                Some("it holds nothing and clients have turned elsewhere")
            }
            0 if unchanged >= LINGER => Some("it holds nothing and clients had time to turn"),
            1.. if unchanged >= STALLED => Some("nobody takes its slots"),
            _ if look.since >= self.grace => Some("its grace is over"),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_mins(10);

    /// When, in seconds, and why a node ends that holds `slots` after so many seconds, was asked for a key `quiet` ago, and is a
    /// member as long as it holds any.
    fn end(slots: impl Fn(u64) -> usize, quiet: impl Fn(u64) -> u64) -> (u64, &'static str) {
        let mut patience = Patience::new(GRACE);
        let look = |s| Look {
            since: Duration::from_secs(s),
            slots: slots(s),
            is_member: slots(s) > 0,
            quiet: Duration::from_secs(quiet(s)),
        };
        (0..).find_map(|s| patience.ends(look(s)).map(|why| (s, why))).unwrap()
    }

    #[test]
    fn a_node_ends_as_soon_as_it_is_empty_and_clients_have_turned_elsewhere() {
        let why = "it holds nothing and clients have turned elsewhere";
        assert_eq!(end(|_| 0, |_| 1), (0, why));
        assert_eq!(
            end(|s| 300_usize.saturating_sub(s as usize), |s| u64::from(s > 303)),
            (304, why)
        );
    }

    #[test]
    fn a_node_that_is_empty_does_not_wait_for_ever_for_clients() {
        let (seconds, why) = end(|s| 100_usize.saturating_sub(s as usize), |_| 0);
        assert_eq!((seconds, why), (120, "it holds nothing and clients had time to turn"));
    }

    #[test]
    fn a_node_that_is_empty_is_named_by_no_document_before_it_ends() {
        let mut patience = Patience::new(GRACE);
        let mut ends = |seconds, is_member| {
            let (since, quiet) = (Duration::from_secs(seconds), Duration::from_secs(9));
            patience.ends(Look { since, slots: 0, is_member, quiet }).is_some()
        };
        assert_eq!(
            [ends(0, true), ends(19, true), ends(19, false), ends(20, true)],
            [false, false, true, true]
        );
    }

    #[test]
    fn a_node_hands_over_for_as_long_as_slots_are_taken_and_its_grace_lasts() {
        assert_eq!(end(|s| 10_000 - s as usize / 50, |_| 9), (600, "its grace is over"));
    }

    #[test]
    fn a_node_whose_slots_nobody_takes_ends_within_a_minute() {
        assert_eq!(end(|_| 16384, |_| 0), (55, "nobody takes its slots"));
        // Taken back and given again is no progress.
        assert_eq!(end(|s| 100 + s as usize % 3, |_| 0), (55, "nobody takes its slots"));
        assert_eq!(end(|s| if s < 30 { 8 } else { 4 }, |_| 0), (85, "nobody takes its slots"));
    }
}
