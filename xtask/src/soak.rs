//! `cargo xtask soak`: all tests with the long counts, and a page that says how the last such run of each tier ended.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result};
use clap::ValueEnum as _;

use crate::cargo::{Workspace, output};
use crate::counts::{Counts, commit, seed_of_the_commit};
use crate::test::{self, Tier};

/// The page, from the root of the workspace.
const PAGE: &str = "docs/soak.md";
/// What begins the part of a tier.
const HEADING: &str = "## ";

/// Runs all tiers, or `only` that one, with the long counts, and writes how each ended as soon as it has; true if nothing failed or was
/// skipped.
pub(crate) fn run(workspace: &Workspace, only: Option<Tier>, seed: Option<u32>) -> Result<bool> {
    let counts = Counts::long(seed.unwrap_or_else(|| seed_of_the_commit(workspace)));
    let tested = commit(workspace)?;
    let path = workspace.root.join(PAGE);
    let mut complete = true;
    for tier in Tier::value_variants().iter().filter(|tier| only.is_none_or(|only| only == **tier))
    {
        let date = output(Command::new("date").args(["-u", "+%Y-%m-%d"]))?;
        let report = test::run(workspace, Some(*tier), &counts);
        let part = part(&format!("{tier:?}"), &tested, date.trim(), &counts.line(), &report.text());
        let before = fs::read_to_string(&path).unwrap_or_default();
        fs::write(&path, page(&before, &part)).with_context(|| path.display().to_string())?;
        println!("written to {PAGE}");
        complete &= report.complete();
    }
    Ok(complete)
}

/// What the page says of a tier.
fn part(tier: &str, commit: &str, date: &str, counts: &str, result: &str) -> String {
    let mut part = format!("{HEADING}{tier}\n\nCommit {commit}, {date}:\n\n");
    for line in [counts].into_iter().chain(result.lines()) {
        _ = writeln!(part, "    {line}");
    }
    part
}

/// The page with that part in place of what it said of the same tier.
fn page(before: &str, part: &str) -> String {
    let mut page = String::from(
        "# The last long runs\n\n    cargo xtask soak\n\nruns every tier of [the tests](testing.md) with the long counts, \
         takes hours, and writes this page; `--tier t1` runs one of them.\n",
    );
    let heading = |part: &str| part.lines().next().map(str::to_owned);
    let parts = before.split(HEADING).skip(1).map(|part| format!("{HEADING}{}\n", part.trim_end()));
    let others = parts.filter(|other| heading(other) != heading(part));
    let mut all: Vec<String> = others.chain([part.to_owned()]).collect();
    all.sort();
    for part in all {
        _ = write!(page, "\n{part}");
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_says_of_each_tier_what_ran_when_and_how_it_ended() {
        let part = |tier, commit| {
            super::part(tier, commit, "2026-01-02", "RINGCACHE_SEED=7", "passed  9 s\n1 passed")
        };
        let first = page("", &part("T1", "0123456789ab"));
        let end = "\n## T1\n\nCommit 0123456789ab, 2026-01-02:\n\n    RINGCACHE_SEED=7\n    passed  9 s\n    1 passed\n";
        assert!(first.ends_with(end), "{first}");
        let both = page(&first, &part("T0", "aaaaaaaaaaaa"));
        assert!(both.ends_with(end) && both.contains("## T0\n\nCommit aaaaaaaaaaaa"), "{both}");
        let anew = page(&both, &part("T1", "bbbbbbbbbbbb"));
        assert_eq!((anew.matches("## T").count(), anew.contains("0123456789ab")), (2, false));
        assert_eq!(page(&anew, &part("T1", "bbbbbbbbbbbb")), anew, "the same again");
    }
}
