//! Checking loads beside a test: `ringcache verify` and the stock redis-py cluster client, with one report for both.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use serde::Deserialize;

use crate::clock::wait_for;
use crate::process::Running;
use crate::tool;

/// Longest time to write all keys once.
const FILL: Duration = Duration::from_mins(2);
/// Longest time from the signal to the report.
const STOP: Duration = Duration::from_secs(30);
/// Longer than any test runs: loads are ended by signal.
const SECONDS: &str = "3600";

/// A load in progress; killed when dropped.
pub struct Load {
    name: &'static str,
    running: Running,
    /// Whether it tells by its exit code if every count was zero.
    exit_code_counts: bool,
}

/// What a load saw, in the words of `ringcache verify --json`. The counts are zero when the promise held.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Requests.
    pub operations: u64,
    /// Errors that the client handed to its user.
    pub errors: u64,
    /// Keys that were acknowledged, not deleted, and not there.
    pub unexpected_misses: u64,
    /// Answers older than an acknowledged write.
    pub old_values: u64,
    /// Answers that nobody wrote to that key.
    pub wrong_values: u64,
    /// When the mixed load began, in milliseconds since 1970.
    pub began_unix_ms: u64,
    /// The mixed load, one row a second.
    pub seconds: Vec<Second>,
    /// Some of the violations, in words.
    pub problems: Vec<String>,
    /// Slots of the keys that had errors; `ringcache verify` does not say.
    #[serde(default)]
    pub error_slots: Vec<u16>,
    /// Slots of the keys that were missing; `ringcache verify` does not say.
    #[serde(default)]
    pub miss_slots: Vec<u16>,
    /// Violations by kind; only `ringcache verify` tells them apart.
    #[serde(default)]
    pub faults: BTreeMap<String, serde_json::Value>,
    /// What a raw load has judged.
    pub judged: Option<Judged>,
}

/// How much a raw load has judged, by what.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Judged {
    /// Reads of values.
    pub reads: u64,
    /// Reads that found nothing because of a deadline.
    pub expiries: u64,
    /// Acknowledged increments.
    pub increments: u64,
    /// Reads of two keys that are only written together.
    pub pairs: u64,
    /// Guarded transfers that were carried out.
    pub transfers: u64,
    /// `MOVED` replies that were followed.
    pub moved: u64,
}

/// One second of a load.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Second {
    /// The first is 1.
    pub second: u64,
    /// Requests that ended in it.
    pub operations: u64,
    /// The longest wait for an answer that came in it, in microseconds.
    pub max_us: u64,
}

impl Load {
    /// A stock redis-py cluster client at full speed, after all keys are written once.
    pub fn redis_py(dir: &Path, seeds: &str, keys: u32, more: &[&str]) -> Result<Self> {
        let mut command = tool::python("redis_py_load.py")?;
        command
            .args(["--seeds", seeds, "--seconds", SECONDS, "--keys", &keys.to_string()])
            .args(more);
        let running = Running::spawn(command, dir, "redis-py")?;
        Self { name: "redis-py", running, exit_code_counts: false }.filled()
    }

    /// `ringcache verify` at full speed, after all keys are written once.
    pub fn verify(dir: &Path, seeds: &str, keys: u32, more: &[&str]) -> Result<Self> {
        Self::checking("ringcache verify", "verify", dir, seeds, keys, more)
    }

    /// `ringcache verify --raw`: clients that report what stock clients repeat, on keys of their own.
    pub fn raw(dir: &Path, seeds: &str, keys: u32, more: &[&str]) -> Result<Self> {
        let more = [&["--raw"], more].concat();
        Self::checking("ringcache verify --raw", "raw", dir, seeds, keys, &more)
    }

    fn checking(
        name: &'static str,
        file: &str,
        dir: &Path,
        seeds: &str,
        keys: u32,
        more: &[&str],
    ) -> Result<Self> {
        let mut command = tool::ringcache()?;
        command.args(["verify", "--json", "--seeds", seeds, "--seconds", SECONDS]);
        command.args(["--keys", &keys.to_string()]).args(more);
        let running = Running::spawn(command, dir, file)?;
        Self { name, running, exit_code_counts: true }.filled()
    }

    fn filled(mut self) -> Result<Self> {
        let Self { name, running, .. } = &mut self;
        wait_for(&format!("{name} has written all keys"), FILL, || {
            let progress = running.stderr();
            ensure!(running.ended()?.is_none(), "{name} ended: {progress}");
            Ok(if progress.contains("wrote ") { Ok(()) } else { Err(progress) })
        })?;
        Ok(self)
    }

    /// Ends the load and returns its report.
    pub fn stop(mut self) -> Result<Report> {
        self.running.signal(Signal::INT)?;
        let status = self.running.wait(STOP)?;
        let (name, out, err) = (self.name, self.running.stdout(), self.running.stderr());
        let report: Report =
            serde_json::from_str(&out).with_context(|| format!("{name}: {out}{err}"))?;
        println!("{name}: {}", report.counts());
        if let Some(judged) = &report.judged {
            println!("{name}: {judged:?}");
        }
        let says_clean = self.exit_code_counts.then(|| status.success());
        ensure!(
            says_clean.is_none_or(|clean| clean == report.is_clean()),
            "{name} ended with {status}"
        );
        Ok(report)
    }
}

impl Report {
    /// An error that quotes the violations, unless every count is zero.
    pub fn clean(&self) -> Result<()> {
        ensure!(self.operations > 0, "the load asked for nothing");
        ensure!(self.is_clean(), "{}:\n{}", self.counts(), self.problems.join("\n"));
        Ok(())
    }

    /// The same, and an error also if a raw load has not judged something of everything.
    pub fn clean_and_judged(&self) -> Result<()> {
        self.clean()?;
        let judged = self.judged.clone().unwrap_or_default();
        let Judged { reads, expiries, increments, pairs, transfers, moved: _ } = judged;
        let all = [reads, expiries, increments, pairs, transfers];
        ensure!(!all.contains(&0), "the load has judged too little: {:?}", self.judged);
        Ok(())
    }

    fn is_clean(&self) -> bool {
        self.errors + self.unexpected_misses + self.old_values + self.wrong_values == 0
    }

    fn counts(&self) -> String {
        let Self { operations, errors, unexpected_misses, old_values, wrong_values, .. } = self;
        format!(
            "{operations} operations, {errors} errors, {unexpected_misses} unexpected misses, {old_values} old values, {wrong_values} wrong values"
        )
    }

    /// Longest wait in milliseconds in that period, in seconds since 1970.
    pub fn longest_wait(&self, period: std::ops::Range<f64>) -> f64 {
        let began = self.began_unix_ms as f64 / 1e3;
        let within = |row: &&Second| {
            let end = began + row.second as f64;
            end > period.start && end - 1.0 < period.end
        };
        self.seconds.iter().filter(within).map(|row| row.max_us as f64 / 1e3).fold(0.0, f64::max)
    }

    /// Requests a second in that period.
    pub fn rate(&self, period: std::ops::Range<f64>) -> f64 {
        let began = self.began_unix_ms as f64 / 1e3;
        let within = |row: &&Second| period.contains(&(began + row.second as f64));
        let (rows, operations) = self
            .seconds
            .iter()
            .filter(within)
            .fold((0, 0), |(rows, sum), row| (rows + 1, sum + row.operations));
        operations as f64 / f64::from(rows.max(1))
    }
}
