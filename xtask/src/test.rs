//! `cargo xtask test`: the tiers of tests, quick ones first, each step streaming what it prints.

mod browser;
mod failures;
mod kubernetes;
mod needs;

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::ValueEnum;

use crate::cargo::{Workspace, cargo};
use crate::counts::{Counts, seed_of_the_commit};
use crate::{images, tidy};

/// How much of the world a test needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Tier {
    /// Nothing but Rust: tidiness, lints, unit and property tests, simulations.
    T0,
    /// Real processes on loopback, with stock clients.
    T1,
    /// A real Kubernetes, with the operator installed by its chart.
    T2,
}

enum Outcome {
    Passed,
    Failed,
    Skipped(String),
}

/// Counts steps over all tiers, and knows the tests that failed.
#[derive(Default)]
struct Tally {
    passed: usize,
    failed: usize,
    failures: Vec<String>,
}

/// How a run ended.
pub(crate) struct Report {
    /// One line a tier.
    tiers: Vec<String>,
    tally: Tally,
    skipped: usize,
}

/// Runs all tiers, or `only` that one, with the counts of every day; true if nothing failed, with `CI=true` also if nothing
/// was skipped.
pub(crate) fn daily(workspace: &Workspace, only: Option<Tier>, seed: Option<u32>) -> bool {
    let a_skip_fails = std::env::var("CI").is_ok_and(|ci| ci == "true");
    let seed = seed.unwrap_or_else(|| seed_of_the_commit(workspace));
    let report = run(workspace, only, &Counts::of_a_day(seed));
    if a_skip_fails { report.complete() } else { report.tally.failed == 0 }
}

/// Runs all tiers, or `only` that one.
pub(crate) fn run(workspace: &Workspace, only: Option<Tier>, counts: &Counts) -> Report {
    println!("{}", counts.line());
    let mut report = Report { tiers: Vec::new(), tally: Tally::default(), skipped: 0 };
    let all = Tier::value_variants().iter().copied();
    for tier in all.filter(|&tier| only.is_none_or(|only| only == tier)) {
        let (outcome, took) = timed(|| match tier {
            Tier::T0 => t0(workspace, counts, &mut report.tally),
            Tier::T1 => t1(workspace, counts, &mut report.tally),
            Tier::T2 => kubernetes::run(workspace, counts, &mut report.tally),
        });
        report.skipped += usize::from(matches!(outcome, Outcome::Skipped(_)));
        report.tiers.push(tier_line(tier, &outcome, took));
    }
    println!("\n{}", report.text());
    report
}

impl Report {
    /// Whether all that was to run ran and passed.
    pub(crate) fn complete(&self) -> bool {
        self.tally.failed + self.skipped == 0
    }

    /// One line a tier, the tests that failed, and how many steps passed.
    pub(crate) fn text(&self) -> String {
        format!("{}\n{}", self.tiers.join("\n"), self.tally.line())
    }
}

fn t0(workspace: &Workspace, counts: &Counts, tally: &mut Tally) -> Outcome {
    // All targets are those that `cargo test` would run by itself: not the tests of the other tiers.
    let clippy = |targets: &[&str]| {
        let lint = [&["clippy", "--workspace"], targets, &["--", "-D", "warnings"]].concat();
        succeeds(cargo().args(lint))
    };
    let steps = [
        tally.step("T0  tidy", || tidy::run(workspace)),
        tally.step("T0  fmt", || succeeds(cargo().args(["fmt", "--all", "--check"]))),
        tally.step("T0  clippy", || Ok(clippy(&["--all-targets"])? && clippy(&["--test", "*"])?)),
        tally.test(
            "T0  test",
            counts.tell(cargo().args(["test", "--workspace", "--no-fail-fast"]), 0),
        ),
    ];
    if steps.contains(&false) { Outcome::Failed } else { Outcome::Passed }
}

fn t1(workspace: &Workspace, counts: &Counts, tally: &mut Tally) -> Outcome {
    let prepared =
        needs::prepare(workspace).and_then(|needs| Ok((needs, browser::prepare(workspace)?)));
    let (needs, browser) = match prepared {
        Ok(prepared) => prepared,
        Err(why) => return Outcome::Skipped(format!("{why:#}")),
    };
    let programs = workspace.target.join("release");
    let mut test = cargo();
    test.args(["test", "--no-fail-fast"])
        .args(workspace.tests_of("ringcache-tests"))
        .args(["--", "--show-output"])
        .env("RINGCACHE_BIN", programs.join("ringcache"))
        .env("RINGCACHE_OPERATOR_BIN", programs.join("ringcache-operator"))
        .env("RINGCACHE_HELM", needs.helm)
        .env("RINGCACHE_PYTHON", needs.python)
        .env("RINGCACHE_REDIS_CLI", needs.redis_cli)
        .env("RINGCACHE_PROMETHEUS", needs.prometheus)
        .env("RINGCACHE_CHROMIUM", browser.chromium)
        .env("RINGCACHE_NODE", browser.node)
        .env("RINGCACHE_NODE_MODULES", browser.modules);
    let built = tally.step("T1  build", images::build);
    let fails = |round: &u32| !tally.test("T1  test", counts.tell(&mut test, *round));
    let passed = built && (0..counts.rounds).filter(fails).count() == 0;
    if passed { Outcome::Passed } else { Outcome::Failed }
}

impl Tally {
    /// Runs a step between two lines that name it; an error is a failure.
    fn step(&mut self, name: &str, run: impl FnOnce() -> Result<bool>) -> bool {
        println!("{name}  running");
        let (result, took) = timed(run);
        let passed = result.unwrap_or_else(|error| {
            eprintln!("{error:#}");
            false
        });
        *(if passed { &mut self.passed } else { &mut self.failed }) += 1;
        println!("{name}  {}  {}", verdict(passed), seconds(took));
        passed
    }

    /// A step that runs tests: those that failed are named in the end.
    fn test(&mut self, name: &str, test: &mut Command) -> bool {
        let mut failures = Vec::new();
        let passed = self.step(name, || {
            failures = failures::of(test)?;
            Ok(failures.is_empty())
        });
        self.failures.extend(failures.iter().map(|failure| format!("{name}  {failure}")));
        passed
    }

    /// The tests that failed, then how many steps passed and how many did not.
    fn line(&self) -> String {
        let failures: String = self.failures.iter().flat_map(|line| [line, "\n"]).collect();
        format!("{failures}{} passed, {} failed", self.passed, self.failed)
    }
}

fn tier_line(tier: Tier, outcome: &Outcome, took: Duration) -> String {
    match outcome {
        Outcome::Skipped(why) => format!("{tier:?}  skipped  {why}"),
        ran => format!("{tier:?}  {}  {}", verdict(matches!(ran, Outcome::Passed)), seconds(took)),
    }
}

fn verdict(passed: bool) -> &'static str {
    if passed { "passed" } else { "failed" }
}

fn seconds(duration: Duration) -> String {
    format!("{:.0} s", duration.as_secs_f64())
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests last as long as they last: no time to pass in"
)]
fn timed<T>(run: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let result = run();
    (result, start.elapsed())
}

/// Runs `command` with our own output; whether it succeeded.
fn succeeds(command: &mut Command) -> Result<bool> {
    let status = command.status().with_context(|| format!("cannot run {command:?}"))?;
    Ok(status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_counted_by_their_result_and_an_error_is_a_failure() {
        let mut tally = Tally::default();
        assert!(tally.step("a", || Ok(true)));
        assert!(!tally.step("b", || Ok(false)));
        assert!(!tally.step("c", || anyhow::bail!("no such program")));
        let failing = "printf 'failures:\\n    some::test\\n'; exit 101";
        assert!(!tally.test("d", Command::new("sh").args(["-c", failing])));
        assert_eq!(tally.line(), "d  some::test\n1 passed, 3 failed");
    }

    #[test]
    fn a_tier_has_one_line_with_its_time_or_the_reason_why_not() {
        let took = Duration::from_millis(62_700);
        assert_eq!(tier_line(Tier::T0, &Outcome::Passed, took), "T0  passed  63 s");
        assert_eq!(tier_line(Tier::T1, &Outcome::Failed, took), "T1  failed  63 s");
        let skipped = Outcome::Skipped("no network".to_owned());
        assert_eq!(tier_line(Tier::T1, &skipped, took), "T1  skipped  no network");
    }
}
