//! `cargo xtask soak`: all tests with the long counts, and a page that says how the last such run ended.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use crate::cargo::{Workspace, output};
use crate::counts::{Counts, commit, seed_of_the_commit};
use crate::test;

/// The page, from the root of the workspace.
const PAGE: &str = "docs/soak.md";

/// Runs all tiers with the long counts and writes the page; true if nothing failed or was skipped.
pub(crate) fn run(workspace: &Workspace, seed: Option<u32>) -> Result<bool> {
    let counts = Counts::long(seed.unwrap_or_else(|| seed_of_the_commit(workspace)));
    let tested = commit(workspace)?;
    let date = output(Command::new("date").args(["-u", "+%Y-%m-%d"]))?;
    let report = test::run(workspace, None, &counts);
    let text = page(&tested, date.trim(), &counts.line(), &report.text());
    let path = workspace.root.join(PAGE);
    fs::write(&path, text).with_context(|| path.display().to_string())?;
    println!("written to {PAGE}");
    Ok(report.complete())
}

fn page(commit: &str, date: &str, counts: &str, result: &str) -> String {
    let mut page = String::from(
        "# The last long run\n\n    cargo xtask soak\n\nruns every tier of [the tests](testing.md) with the long counts, \
         takes hours, and writes this page.\n\n",
    );
    _ = writeln!(page, "Commit {commit}, {date}:\n");
    for line in [counts].into_iter().chain(result.lines()) {
        _ = writeln!(page, "    {line}");
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_says_what_ran_when_and_how_it_ended() {
        let page =
            page("0123456789ab", "2026-01-02", "RINGCACHE_SEED=7", "T0  passed  9 s\n1 passed");
        assert!(page.ends_with(
            "Commit 0123456789ab, 2026-01-02:\n\n    RINGCACHE_SEED=7\n    T0  passed  9 s\n    1 passed\n"
        ));
    }
}
