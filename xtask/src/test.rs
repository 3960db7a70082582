//! `cargo xtask test`: the tiers of tests, quick ones first, each step streaming what it prints.

mod failures;
mod kubernetes;
mod needs;

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::ValueEnum;

use crate::cargo::{Workspace, cargo};
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

/// Runs all tiers, or `only` that one; true if nothing failed, with `CI=true` also if nothing was
/// skipped.
pub(crate) fn run(workspace: &Workspace, only: Option<Tier>) -> bool {
    let a_skip_fails = std::env::var("CI").is_ok_and(|ci| ci == "true");
    let mut tally = Tally::default();
    let mut lines = Vec::new();
    let all = Tier::value_variants().iter().copied();
    for tier in all.filter(|&tier| only.is_none_or(|only| only == tier)) {
        let (outcome, took) = timed(|| match tier {
            Tier::T0 => t0(workspace, &mut tally),
            Tier::T1 => t1(workspace, &mut tally),
            Tier::T2 => kubernetes::run(workspace, &mut tally),
        });
        if a_skip_fails && matches!(outcome, Outcome::Skipped(_)) {
            tally.failed += 1;
        }
        lines.push(tier_line(tier, &outcome, took));
    }
    println!("\n{}\n{}", lines.join("\n"), tally.line());
    tally.failed == 0
}

fn t0(workspace: &Workspace, tally: &mut Tally) -> Outcome {
    // All targets are those that `cargo test` would run by itself: not the tests of the other tiers.
    let clippy = |targets: &[&str]| {
        let lint = [&["clippy", "--workspace"], targets, &["--", "-D", "warnings"]].concat();
        succeeds(cargo().args(lint))
    };
    let steps = [
        tally.step("T0  tidy", || tidy::run(workspace)),
        tally.step("T0  fmt", || succeeds(cargo().args(["fmt", "--all", "--check"]))),
        tally.step("T0  clippy", || Ok(clippy(&["--all-targets"])? && clippy(&["--test", "*"])?)),
        tally.test("T0  test", cargo().args(["test", "--workspace", "--no-fail-fast"])),
    ];
    if steps.contains(&false) { Outcome::Failed } else { Outcome::Passed }
}

fn t1(workspace: &Workspace, tally: &mut Tally) -> Outcome {
    let needs = match needs::prepare(workspace) {
        Ok(needs) => needs,
        Err(why) => return Outcome::Skipped(format!("{why:#}")),
    };
    let programs = workspace.target.join("release");
    let mut test = cargo();
    test.args(["test", "--no-fail-fast"])
        .args(workspace.tests_of("ringcache-tests"))
        .args(["--", "--nocapture"])
        .env("RINGCACHE_BIN", programs.join("ringcache"))
        .env("RINGCACHE_OPERATOR_BIN", programs.join("ringcache-operator"))
        .env("RINGCACHE_HELM", needs.helm)
        .env("RINGCACHE_PYTHON", needs.python)
        .env("RINGCACHE_REDIS_CLI", needs.redis_cli);
    let passed = tally.step("T1  build", images::build) && tally.test("T1  test", &mut test);
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
