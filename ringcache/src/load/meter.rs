//! Counts and latencies: of the running second, of the whole load, and for Prometheus.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::metrics::Metrics;
use crate::latency::{self, Latency, histogram};

/// How many of what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Counts {
    /// Requests that got their value, from wherever.
    pub(super) requests: u64,
    /// Reads of the cache that found it.
    pub(super) hits: u64,
    /// Reads that did not.
    pub(super) misses: u64,
    /// Connections, reads and writes of the cache that failed.
    pub(super) errors: u64,
    /// Values read from the origin.
    pub(super) origin_reads: u64,
}

impl Counts {
    /// Hits as a share of all answered reads; nothing if there were none.
    pub(super) fn hit_ratio(self) -> Option<f64> {
        let reads = self.hits + self.misses;
        (reads > 0).then(|| self.hits as f64 / reads as f64)
    }

    fn add(&mut self, other: Self) {
        let Self { requests, hits, misses, errors, origin_reads } = other;
        self.requests += requests;
        self.hits += hits;
        self.misses += misses;
        self.errors += errors;
        self.origin_reads += origin_reads;
    }
}

/// What some requests came to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Figures {
    /// Counts.
    #[serde(flatten)]
    pub(super) counts: Counts,
    /// Hits as a share of all answered reads.
    pub(super) hit_ratio: Option<f64>,
    /// Reads of the cache, hits and misses.
    pub(super) read: Latency,
    /// Whole requests: with the origin and the write after a miss.
    pub(super) request: Latency,
}

/// How a read of the cache ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// With a value.
    Hit,
    /// With none.
    Miss,
}

#[derive(Debug)]
struct Tally {
    counts: Counts,
    reads: Histogram<u64>,
    requests: Histogram<u64>,
}

impl Tally {
    fn new() -> Self {
        Self { counts: Counts::default(), reads: histogram(), requests: histogram() }
    }

    fn figures(&self) -> Figures {
        Figures {
            counts: self.counts,
            hit_ratio: self.counts.hit_ratio(),
            read: Latency::of(&self.reads),
            request: Latency::of(&self.requests),
        }
    }

    fn add(&mut self, other: &Self) {
        self.counts.add(other.counts);
        latency::add(&mut self.reads, &other.reads);
        latency::add(&mut self.requests, &other.requests);
    }
}

#[derive(Debug)]
struct Record {
    second: Tally,
    all: Tally,
    first_error: Option<String>,
}

/// Everything recorded of a load.
#[derive(Debug)]
pub(super) struct Recorded {
    /// The whole load.
    pub(super) figures: Figures,
    /// The first error's text.
    pub(super) first_error: Option<String>,
}

/// Where all connections record what they see.
#[derive(Debug)]
pub(super) struct Meter {
    metrics: Metrics,
    record: Mutex<Record>,
}

impl Meter {
    /// Nothing yet.
    pub(super) fn new(metrics: Metrics) -> Self {
        let (second, all) = (Tally::new(), Tally::new());
        let record = Record { second, all, first_error: None };
        Self { metrics, record: Mutex::new(record) }
    }

    /// The cache has answered a read.
    pub(super) fn read(&self, found: Found, took: Duration) {
        self.metrics.get_seconds.observe(took.as_secs_f64());
        match found {
            Found::Hit => self.metrics.hits.inc(),
            Found::Miss => self.metrics.misses.inc(),
        }
        self.with(|record| {
            let Tally { counts, reads, .. } = &mut record.second;
            *match found {
                Found::Hit => &mut counts.hits,
                Found::Miss => &mut counts.misses,
            } += 1;
            reads.saturating_record(micros(took));
        });
    }

    /// The cache has failed to answer a read: the origin is asked.
    pub(super) fn unread(&self, error: &str) {
        self.metrics.fallbacks.inc();
        self.error(error);
    }

    /// The cache has answered a write.
    pub(super) fn written(&self, took: Duration) {
        self.metrics.set_seconds.observe(took.as_secs_f64());
    }

    /// The origin has answered.
    pub(super) fn loaded(&self, took: Duration) {
        self.metrics.loads.inc();
        self.metrics.load_seconds.observe(took.as_secs_f64());
        self.with(|record| record.second.counts.origin_reads += 1);
    }

    /// A key is being read from the origin by a second connection.
    pub(super) fn stampede(&self) {
        self.metrics.stampedes.inc();
    }

    /// A connection or an operation has failed.
    pub(super) fn error(&self, error: &str) {
        self.with(|record| {
            record.second.counts.errors += 1;
            record.first_error.get_or_insert_with(|| error.to_owned());
        });
    }

    /// A request has its value.
    pub(super) fn request(&self, took: Duration) {
        self.with(|record| {
            record.second.counts.requests += 1;
            record.second.requests.saturating_record(micros(took));
        });
    }

    /// Ends the running second and returns it.
    pub(super) fn tick(&self) -> Figures {
        self.with(|record| {
            let second = std::mem::replace(&mut record.second, Tally::new());
            record.all.add(&second);
            second.figures()
        })
    }

    /// Ends the load, also in the middle of a second.
    pub(super) fn finish(&self) -> Recorded {
        self.with(|record| {
            let begun = std::mem::replace(&mut record.second, Tally::new());
            record.all.add(&begun);
            Recorded { figures: record.all.figures(), first_error: record.first_error.take() }
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut Record) -> T) -> T {
        act(&mut self.record.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn micros(time: Duration) -> u64 {
    time.as_micros() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn seconds_and_the_whole_have_what_ended_in_them() {
        let meter = Meter::new(Metrics::new().unwrap());
        meter.read(Found::Hit, MS);
        meter.request(MS);
        meter.read(Found::Miss, 3 * MS);
        meter.unread("lost");
        let first = meter.tick();
        meter.loaded(20 * MS);
        meter.written(MS);
        meter.error("later");
        meter.request(24 * MS);
        let second = meter.tick();
        meter.read(Found::Hit, MS);
        let recorded = meter.finish();

        let counts = Counts { requests: 1, hits: 1, misses: 1, errors: 1, origin_reads: 0 };
        assert_eq!((first.counts, first.hit_ratio), (counts, Some(0.5)));
        assert_eq!((first.read.max_us / 100, first.request.max_us / 100), (30, 10));
        let counts = Counts { requests: 1, errors: 1, origin_reads: 1, ..Counts::default() };
        assert_eq!((second.counts, second.hit_ratio), (counts, None));
        let counts = Counts { requests: 2, hits: 2, misses: 1, errors: 2, origin_reads: 1 };
        assert_eq!(recorded.figures.counts, counts);
        assert_eq!(recorded.figures.request.max_us / 100, 240);
        assert_eq!(recorded.first_error.as_deref(), Some("lost"));
    }

    #[test]
    fn the_metrics_count_the_same() {
        let metrics = Metrics::new().unwrap();
        let meter = Meter::new(metrics.clone());
        meter.read(Found::Hit, MS);
        meter.read(Found::Miss, MS);
        meter.read(Found::Miss, MS);
        meter.unread("lost");
        meter.stampede();
        for _ in 0..3 {
            meter.loaded(20 * MS);
        }
        meter.written(2 * MS);
        let Metrics { hits, misses, loads, fallbacks, stampedes, .. } = &metrics;
        let counters = [hits, misses, loads, fallbacks, stampedes];
        assert_eq!(counters.map(prometheus::IntCounter::get), [1, 2, 3, 1, 1]);
        let Metrics { get_seconds, set_seconds, load_seconds, .. } = &metrics;
        let histograms = [get_seconds, set_seconds, load_seconds];
        assert_eq!(histograms.map(prometheus::Histogram::get_sample_count), [3, 1, 3]);
    }
}
