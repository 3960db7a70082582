//! How long the tests that draw lots go on, and which lots they draw.

use std::process::Command;

use anyhow::{Context, Result};

use crate::cargo::{Workspace, output};

/// Schedules of slot ownership, cases of a property and rounds of T1 in a long run.
const SCHEDULES: u32 = 300_000;
const CASES: u32 = 5_000;
const ROUNDS: u32 = 3;
/// How much of the matrix of faults the simulation of the operator runs.
const PLANS: &str = "RINGCACHE_SIM_PLANS";

/// What a run of the tests draws: the same every time it is given the same.
pub(crate) struct Counts {
    /// Which part of what is sampled, and where delays and schedules begin.
    pub(crate) seed: u32,
    /// How often T1 runs, each time with the next seed.
    pub(crate) rounds: u32,
    /// More variables of the tests, and their values.
    variables: Vec<(&'static str, String)>,
}

impl Counts {
    /// The counts of every day, with the part that `seed` chooses.
    pub(crate) fn of_a_day(seed: u32) -> Self {
        Self { seed, rounds: 1, variables: vec![(PLANS, "most".to_owned())] }
    }

    /// The long counts: all that is sampled elsewhere, and more of what has no end.
    pub(crate) fn long(seed: u32) -> Self {
        let variables = vec![
            (PLANS, "all".to_owned()),
            ("RINGCACHE_SIM_SEEDS", SCHEDULES.to_string()),
            ("PROPTEST_CASES", CASES.to_string()),
        ];
        Self { seed, rounds: ROUNDS, variables }
    }

    /// Tells a command that runs tests, in the given round of them.
    pub(crate) fn tell<'a>(&self, test: &'a mut Command, round: u32) -> &'a mut Command {
        test.env("RINGCACHE_SEED", self.seed.wrapping_add(round).to_string())
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
    }

    /// What is drawn, for people.
    pub(crate) fn line(&self) -> String {
        let seed = format!("RINGCACHE_SEED={}", self.seed);
        let variables = self.variables.iter().map(|(name, value)| format!(" {name}={value}"));
        let rounds =
            if self.rounds == 1 { String::new() } else { format!(", T1 {} times", self.rounds) };
        format!("{seed}{}{rounds}", variables.collect::<String>())
    }
}

/// A number that changes with every commit; 0 outside a repository.
pub(crate) fn seed_of_the_commit(workspace: &Workspace) -> u32 {
    commit(workspace)
        .ok()
        .and_then(|commit| u32::from_str_radix(commit.get(..8)?, 16).ok())
        .unwrap_or(0)
}

/// The name of the commit, with what stands in the folder beside it as `+changes`.
pub(crate) fn commit(workspace: &Workspace) -> Result<String> {
    let git = |arguments: &[&str]| {
        output(Command::new("git").arg("-C").arg(&workspace.root).args(arguments))
    };
    let name = git(&["rev-parse", "HEAD"]).context("the commit")?;
    let name = name.get(..12).context("the commit has no name")?;
    let changed = !git(&["status", "--porcelain"])?.is_empty();
    Ok(if changed { format!("{name}+changes") } else { name.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_run_draws_all_and_each_round_of_it_another_part() {
        let mut test = Command::new("true");
        let counts = Counts::long(7);
        counts.tell(&mut test, 2);
        let told: Vec<String> = test
            .get_envs()
            .map(|(name, value)| {
                format!("{}={}", name.display(), value.unwrap_or_default().display())
            })
            .collect();
        assert_eq!(
            told,
            [
                "PROPTEST_CASES=5000",
                "RINGCACHE_SEED=9",
                "RINGCACHE_SIM_PLANS=all",
                "RINGCACHE_SIM_SEEDS=300000"
            ]
        );
        assert_eq!(Counts::of_a_day(7).line(), "RINGCACHE_SEED=7 RINGCACHE_SIM_PLANS=most");
    }
}
