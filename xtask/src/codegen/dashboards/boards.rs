//! What is on each dashboard.

use super::Look::{Lines, Now};
use super::{Board, Panel, Unit};

/// The sum of the rates of a counter, of all or by labels.
macro_rules! rates {
    ($metric:literal) => {
        concat!("sum(rate(", $metric, "{{}}[$__rate_interval]))")
    };
    ($metric:literal by $labels:literal) => {
        concat!("sum by (", $labels, ") (rate(", $metric, "{{}}[$__rate_interval]))")
    };
}

/// The same of a metric that other operators have, too.
macro_rules! own_rates {
    ($metric:literal by $labels:literal) => {
        concat!(
            "sum by (",
            $labels,
            ") (rate(",
            $metric,
            "{{}}[$__rate_interval]) and on (job, instance) ringcache_operator_build_info{{}})"
        )
    };
}

/// What a part of the values of a histogram is not above, those with other labels left out.
macro_rules! quantile {
    ($part:literal of $metric:literal) => {
        quantile!($part of $metric, "", "")
    };
    ($part:literal of $metric:literal, $only:literal, $by:literal) => {
        concat!(
            "histogram_quantile(", $part, ", sum by (le", $by, ") (rate(", $metric, "_bucket{{}", $only, "}[$__rate_interval])))"
        )
    };
}

/// The part of the reads that were hits, of all or by labels.
macro_rules! hit_ratio {
    ($sum:literal) => {
        concat!(
            $sum,
            " (rate(ringcache_keyspace_hits_total{{}}[$__rate_interval])) / (",
            $sum,
            " (rate(ringcache_keyspace_hits_total{{}}[$__rate_interval])) + ",
            $sum,
            " (rate(ringcache_keyspace_misses_total{{}}[$__rate_interval])))"
        )
    };
}

// After the macros that they are written with.
mod cluster;
mod entries;
mod others;

use cluster::{CLUSTER, LATENCY};
use entries::{EVICTIONS, HITS, HOT_KEYS, MEMORY};
use others::{DATABASE, OPERATOR};

type Queries = &'static [(&'static str, &'static str)];

const fn lines(title: &'static str, about: &'static str, unit: Unit, queries: Queries) -> Panel {
    Panel { title, about, unit, look: Lines, queries }
}

const fn now(title: &'static str, about: &'static str, unit: Unit, queries: Queries) -> Panel {
    Panel { title, about, unit, look: Now, queries }
}

/// All dashboards.
pub(super) const BOARDS: &[Board] =
    &[CLUSTER, MEMORY, HITS, HOT_KEYS, EVICTIONS, DATABASE, LATENCY, OPERATOR];
