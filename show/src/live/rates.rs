//! What nodes do in a second, by what they had counted at earlier looks.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use ringcache_api::Incarnation;
use ringcache_api::admin::NodeStats;
use ringcache_operator_core::{Observed, ObservedNode};

/// Rates are those of so long a time: what happens in a single second jumps.
const WINDOW: Duration = Duration::from_secs(4);
/// An earlier look than that says nothing about now: nobody has looked meanwhile.
const LONGEST: Duration = Duration::from_secs(30);

/// What a node has done in each second lately.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Rate {
    /// Reads that found an entry.
    pub(super) hits: f64,
    /// Reads that found none.
    pub(super) misses: f64,
    /// Entries that went for want of memory.
    pub(super) evicted: f64,
    /// Entries whose time was over.
    pub(super) expired: f64,
    /// Requests that were passed on to another node.
    pub(super) forwarded: f64,
}

impl Rate {
    /// All reads.
    pub(super) fn reads(&self) -> f64 {
        self.hits + self.misses
    }

    /// The part of the reads that found an entry; `None` = nothing was read.
    pub(super) fn hit_ratio(&self) -> Option<f64> {
        (self.reads() > 0.0).then(|| self.hits / self.reads())
    }

    /// Both together.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            hits: self.hits + other.hits,
            misses: self.misses + other.misses,
            evicted: self.evicted + other.evicted,
            expired: self.expired + other.expired,
            forwarded: self.forwarded + other.forwarded,
        }
    }

    /// From what a node had counted to what it has, so many seconds later.
    fn between(before: &NodeStats, after: &NodeStats, seconds: f64) -> Self {
        let rate =
            |of: fn(&NodeStats) -> u64| of(after).saturating_sub(of(before)) as f64 / seconds;
        Self {
            hits: rate(|stats| stats.hits),
            misses: rate(|stats| stats.misses),
            evicted: rate(|stats| stats.evicted),
            expired: rate(|stats| stats.expired),
            forwarded: rate(|stats| stats.forwarded),
        }
    }
}

/// What each node had counted at the last looks, the earliest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Rates(HashMap<Incarnation, VecDeque<(Duration, NodeStats)>>);

impl Rates {
    /// Notes a look. What is known of nodes that are gone is forgotten.
    pub(super) fn note(&mut self, observed: &Observed, now: Duration) {
        self.0.retain(|node, _| observed.state_of(node).is_some());
        for (node, stats) in observed.nodes.iter().filter_map(|node| counted(observed, node)) {
            let looks = self.0.entry(node.clone()).or_default();
            if looks.back().is_some_and(|(at, _)| now.saturating_sub(*at) > LONGEST) {
                looks.clear();
            }
            looks.push_back((now, *stats));
            // One that is as old as the window stays: rates are counted from it.
            while looks.get(1).is_some_and(|(at, _)| now.saturating_sub(*at) >= WINDOW) {
                looks.pop_front();
            }
        }
    }

    /// The rates of a node; `None` = it was not looked at twice.
    pub(super) fn of(&self, observed: &Observed, node: &ObservedNode) -> Option<Rate> {
        let looks = self.0.get(counted(observed, node)?.0)?;
        let ((from, before), (to, after)) = looks.front().zip(looks.back())?;
        let seconds = to.saturating_sub(*from).as_secs_f64();
        (seconds > 0.0).then(|| Rate::between(before, after, seconds))
    }
}

/// What the node has counted, if it answers as itself.
pub(super) fn counted<'a>(
    observed: &Observed,
    node: &'a ObservedNode,
) -> Option<(&'a Incarnation, &'a NodeStats)> {
    observed.state(node)?;
    node.state.as_ref().map(|state| (&state.incarnation, &state.stats))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{node, observed};

    fn second(rates: &mut Rates, at: u64, hits: u64, misses: u64) -> Option<Rate> {
        let mut web = node("web-0", &[], 0);
        if let Some(state) = &mut web.state {
            (state.stats.hits, state.stats.misses) = (hits, misses);
        }
        let seen = observed(None, vec![web]);
        rates.note(&seen, Duration::from_secs(at));
        rates.of(&seen, &seen.nodes[0])
    }

    #[test]
    fn a_rate_is_that_of_the_last_seconds_and_of_at_least_two_looks() {
        let mut rates = Rates::default();
        assert_eq!(second(&mut rates, 10, 0, 0), None, "one look has no rate");
        let rate = second(&mut rates, 11, 30, 10).expect("two looks");
        assert_eq!((rate.reads(), rate.hit_ratio()), (40.0, Some(0.75)));
        for at in 12..20 {
            second(&mut rates, at, 30, 10);
        }
        let rate = second(&mut rates, 20, 30, 10).expect("many looks");
        assert_eq!((rate.reads(), rate.hit_ratio()), (0.0, None), "what was before is forgotten");
        let slow = second(&mut rates, 28, 110, 10).expect("a slow look");
        assert_eq!(
            (slow.reads(), slow.misses),
            (10.0, 0.0),
            "it goes by the look before, however long ago that was"
        );
    }

    #[test]
    fn who_looks_again_after_a_pause_begins_anew_and_so_does_a_node_that_was_silent() {
        let mut rates = Rates::default();
        second(&mut rates, 0, 0, 0);
        assert_eq!(second(&mut rates, 31, 900, 0), None);
        rates.note(&observed(None, Vec::new()), Duration::from_secs(32));
        assert_eq!(second(&mut rates, 33, 900, 0), None);
    }

    #[test]
    fn counters_that_went_back_are_no_negative_rate() {
        let mut rates = Rates::default();
        second(&mut rates, 0, 100, 100);
        assert_eq!(second(&mut rates, 1, 50, 50), Some(Rate::default()));
    }
}
