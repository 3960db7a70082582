//! What a run came to: for people as text, for machines as one JSON object.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use super::meter::{Counts, Faults, LongestWait, Record, Second};
use super::raw::Judged;
use crate::latency::{Latency, millis};
use ringcache_show::table;

/// The result of a run. The counts are of both phases; seconds, latencies and the longest wait of the mixed load.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    /// The number that all choices followed from.
    pub(super) seed: u64,
    /// Operations and problems, of writing all keys and of the mixed load.
    #[serde(flatten)]
    pub(super) counts: Counts,
    /// Operations that wrote all keys before the mixed load.
    pub(super) filled: u64,
    /// When the mixed load began, in milliseconds since 1970.
    pub(super) began_unix_ms: u64,
    /// How long the mixed load took, in milliseconds.
    pub(super) elapsed_ms: u64,
    /// Operations of the mixed load in a second, on average.
    pub(super) operations_per_second: f64,
    /// Latencies of the mixed load.
    #[serde(flatten)]
    pub(super) latency: Latency,
    /// Its longest operation.
    pub(super) longest: LongestWait,
    /// Details of the first problems.
    pub(super) problems: Vec<String>,
    /// All problems by kind.
    pub(super) faults: Faults,
    /// What the raw clients have judged, beginning with the mixed load.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) judged: Option<Judged>,
    /// The mixed load, second by second.
    pub(super) seconds: Vec<Second>,
}

/// The mixed load, without what is read when it is over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mixed {
    /// When it began, since 1970.
    pub(super) began: Duration,
    /// How long it took.
    pub(super) elapsed: Duration,
    /// Operations.
    pub(super) operations: u64,
}

impl Report {
    /// Joins the records of both phases.
    pub(super) fn of(
        seed: u64,
        fill: Record,
        mix: Record,
        mixed: Mixed,
        judged: Option<Judged>,
    ) -> Self {
        let mut counts = fill.counts;
        counts.add(mix.counts);
        let latency = mix.latency();
        let mut faults = fill.faults;
        for (kind, fault) in mix.faults {
            faults.entry(kind).and_modify(|before| before.count += fault.count).or_insert(fault);
        }
        Self {
            seed,
            counts,
            filled: fill.counts.operations,
            began_unix_ms: mixed.began.as_millis() as u64,
            elapsed_ms: mixed.elapsed.as_millis() as u64,
            operations_per_second: mixed.operations as f64 / mixed.elapsed.as_secs_f64(),
            latency,
            longest: mix.longest,
            problems: fill.problems.into_iter().chain(mix.problems).collect(),
            faults,
            judged,
            seconds: mix.seconds,
        }
    }

    /// A table of the seconds, and what it comes to.
    pub(super) fn text(&self) -> String {
        let Self { counts, longest, latency, faults, judged, .. } = self;
        let mut text = table(&self.seconds);
        for problem in &self.problems {
            let _ = writeln!(text, "  {problem}");
        }
        let _ = writeln!(
            text,
            "{} operations, {:.0} a second under mixed load: {}",
            counts.operations,
            self.operations_per_second,
            if counts.clean() { "every reply was right" } else { "NOT every reply was right" }
        );
        let _ = writeln!(text, "{}", problems(counts));
        for (kind, fault) in faults {
            let _ = writeln!(text, "{} times {kind}, first: {}", fault.count, fault.first);
        }
        if let Some(judged) = judged {
            let _ = writeln!(text, "{judged}");
        }
        let _ = writeln!(
            text,
            "p50 {}  p99 {}  max {}; the longest wait began {:.1} s after the start (seed {})",
            millis(latency.p50_us),
            millis(latency.p99_us),
            millis(longest.wait_us),
            longest.sent_ms as f64 / 1e3,
            self.seed
        );
        text
    }
}

/// One line on a second, for the live progress.
pub(super) fn progress(second: &Second) -> String {
    let Second { number, counts, latency } = second;
    format!(
        "{number:>4} s  {:>8} op/s  {}  p50 {}  p99 {}  max {}",
        counts.operations,
        problems(counts),
        millis(latency.p50_us),
        millis(latency.p99_us),
        millis(latency.max_us)
    )
}

fn problems(counts: &Counts) -> String {
    let Counts { operations: _, errors, unexpected_misses, old_values, wrong_values } = counts;
    format!(
        "{errors} errors, {unexpected_misses} unexpected misses, {old_values} old values, {wrong_values} wrong values"
    )
}

fn table(seconds: &[Second]) -> String {
    let header =
        ["second", "operations", "errors", "misses", "old", "wrong", "p50 ms", "p99 ms", "max ms"];
    let rows = seconds.iter().map(|Second { number, counts, latency }| {
        let Counts { operations, errors, unexpected_misses, old_values, wrong_values } = counts;
        let whole = [number, operations, errors, unexpected_misses, old_values, wrong_values];
        let times = [latency.p50_us, latency.p99_us, latency.max_us];
        let times = times.map(|us| format!("{:.2}", us as f64 / 1e3));
        whole.map(u64::to_string).into_iter().chain(times)
    });
    table::plain(&header, 0, rows)
}
