//! What a load came to: for people as text, for machines as one JSON object.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use super::meter::{Counts, Figures, Recorded};
use crate::latency::{Latency, millis};

/// One second of load.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Second {
    /// The first is 1.
    #[serde(rename = "second")]
    pub(super) number: u64,
    /// Keys of the working set.
    pub(super) keys: u64,
    /// What ended in it.
    #[serde(flatten)]
    pub(super) figures: Figures,
}

/// The result of a load.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    /// The number that all requests followed from.
    seed: u64,
    /// How long it took, in milliseconds.
    elapsed_ms: u64,
    /// Requests in a second, on average.
    requests_per_second: f64,
    /// The whole load.
    #[serde(flatten)]
    figures: Figures,
    /// The first error's text.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_error: Option<String>,
    /// Second by second.
    seconds: Vec<Second>,
}

impl Report {
    /// What was recorded in this time.
    pub(super) fn of(
        seed: u64,
        elapsed: Duration,
        recorded: Recorded,
        seconds: Vec<Second>,
    ) -> Self {
        let Recorded { figures, first_error } = recorded;
        Self {
            seed,
            elapsed_ms: elapsed.as_millis() as u64,
            requests_per_second: figures.counts.requests as f64 / elapsed.as_secs_f64(),
            figures,
            first_error,
            seconds,
        }
    }

    /// What it comes to, in a few lines.
    pub(super) fn text(&self) -> String {
        let Self { seed, elapsed_ms, requests_per_second, figures, first_error, .. } = self;
        let Figures { counts, hit_ratio, read, request } = figures;
        let Counts { requests, errors, origin_reads, .. } = counts;
        let mut text = format!(
            "{requests} requests in {:.1} s, {requests_per_second:.0} a second (seed {seed})\n\
             hit ratio {}, {origin_reads} origin reads, {errors} errors\n\
             reads of the cache: {}\nwhole requests: {}\n",
            *elapsed_ms as f64 / 1e3,
            percent(*hit_ratio).trim_start(),
            percentiles(read),
            percentiles(request),
        );
        if let Some(error) = first_error {
            let _ = writeln!(text, "first error: {error}");
        }
        text
    }
}

/// One line on a second, for the live progress.
pub(super) fn progress(second: &Second) -> String {
    let Second { number, keys, figures } = second;
    let Figures { counts, hit_ratio, read, request } = figures;
    let Counts { requests, errors, origin_reads, .. } = counts;
    format!(
        "{number:>4} s  {requests:>6} requests/s  hits {}  {origin_reads:>5} origin reads/s  \
         reads p50 {}  p99 {}  requests p99 {}  {errors} errors  {keys} keys",
        percent(*hit_ratio),
        millis(read.p50_us),
        millis(read.p99_us),
        millis(request.p99_us),
    )
}

/// In a width of its own; a dash if nothing was read.
fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "     -".to_owned(), |share| format!("{:>5.1} %", share * 100.0))
}

fn percentiles(latency: &Latency) -> String {
    let Latency { p50_us, p99_us, max_us } = latency;
    format!("p50 {}  p99 {}  max {}", millis(*p50_us), millis(*p99_us), millis(*max_us))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(hits: u64, misses: u64) -> Figures {
        let counts =
            Counts { requests: hits + misses, hits, misses, errors: 1, origin_reads: misses };
        Figures {
            counts,
            hit_ratio: counts.hit_ratio(),
            read: Latency { p50_us: 200, p99_us: 900, max_us: 1500 },
            request: Latency { p50_us: 220, p99_us: 21_000, max_us: 60_000 },
        }
    }

    #[test]
    fn a_second_is_a_line() {
        let second = |figures| progress(&Second { number: 7, keys: 10_000, figures });
        assert_eq!(
            second(figures(915, 85)),
            "   7 s    1000 requests/s  hits  91.5 %     85 origin reads/s  reads p50 0.20 ms  \
             p99 0.90 ms  requests p99 21.00 ms  1 errors  10000 keys"
        );
        assert!(second(figures(0, 0)).contains("hits      -  "), "{}", second(figures(0, 0)));
    }

    #[test]
    fn the_whole_is_told_with_the_first_error() {
        let recorded =
            Recorded { figures: figures(3, 1), first_error: Some("connection lost".into()) };
        let report = Report::of(5, Duration::from_secs(2), recorded, Vec::new());
        assert_eq!(
            report.text(),
            "4 requests in 2.0 s, 2 a second (seed 5)\n\
             hit ratio 75.0 %, 1 origin reads, 1 errors\n\
             reads of the cache: p50 0.20 ms  p99 0.90 ms  max 1.50 ms\n\
             whole requests: p50 0.22 ms  p99 21.00 ms  max 60.00 ms\n\
             first error: connection lost\n"
        );
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!((&json["hits"], &json["hitRatio"]), (&3.into(), &0.75.into()));
        assert_eq!(json["read"]["p99Us"], 900);
    }
}
