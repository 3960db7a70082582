//! The schedules.

use super::Rule;
use super::world::{Totals, World};

const STEPS: usize = 700;

fn run(seed: u64, broken: Option<Rule>, trace: bool) -> Result<Totals, String> {
    let mut world = World::new(seed, broken, trace);
    for step in 0..STEPS {
        world.step().map_err(|e| format!("seed {seed}, step {step}: {e}"))?;
    }
    world.settle().map_err(|e| format!("seed {seed}, after the faults: {e}"))?;
    Ok(world.totals)
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().and_then(|text| text.parse().ok())
}

/// How many seeds are run.
fn seeds() -> u64 {
    number("RINGCACHE_SIM_SEEDS").unwrap_or(10_000)
}

/// The first of them: other ones with every `RINGCACHE_SEED`.
fn first() -> u64 {
    (number("RINGCACHE_SEED").unwrap_or(0) % (1 << 32)) * 1_000_000
}

#[test]
fn ten_thousand_schedules_have_one_owner_a_slot_and_no_old_value() {
    let (first, seeds) = (first(), seeds());
    let half = first + seeds / 2;
    let (sums, failures): (Vec<_>, Vec<_>) = std::thread::scope(|scope| {
        let spawn = |range: std::ops::Range<u64>| {
            scope.spawn(move || {
                let mut sum = Totals::default();
                let mut failures = Vec::new();
                for seed in range {
                    match run(seed, None, false) {
                        Ok(t) => {
                            sum.handovers += t.handovers;
                            sum.adoptions += t.adoptions;
                            sum.reads += t.reads;
                            sum.misses += t.misses;
                            sum.writes += t.writes;
                            sum.deaths += t.deaths;
                            sum.declared += t.declared;
                        }
                        Err(failure) => failures.push(failure),
                    }
                }
                (sum, failures)
            })
        };
        let threads = [spawn(first..half), spawn(half..first + seeds)];
        threads.map(|t| t.join().expect("a schedule panicked")).into_iter().unzip()
    });
    println!("{seeds} schedules from seed {first}, of {STEPS} steps: {sums:?}");
    let failures: Vec<String> = failures.concat();
    assert!(
        failures.is_empty(),
        "{} schedules failed:\n{}",
        failures.len(),
        failures[..failures.len().min(8)].join("\n")
    );
    // A simulation in which nothing happens proves nothing.
    let handovers: u64 = sums.iter().map(|s| s.handovers).sum();
    let deaths: u64 = sums.iter().map(|s| s.deaths).sum();
    let declared: u64 = sums.iter().map(|s| s.declared).sum();
    assert!(handovers > 20 * seeds && deaths > seeds / 2, "too little happened: {sums:?}");
    assert!(declared > seeds / 20, "too few were declared gone behind a partition: {sums:?}");
}

/// Replays `RINGCACHE_SIM_SEED` with a trace, or seed 0 without.
#[test]
fn one_seed() {
    let seed = number("RINGCACHE_SIM_SEED");
    let outcome = run(seed.unwrap_or(0), None, seed.is_some());
    assert!(outcome.is_ok(), "{outcome:?}");
}

fn is_needed(rule: Rule) {
    let found = (0..seeds()).find_map(|seed| run(seed, Some(rule), false).err());
    let found = found.unwrap_or_else(|| panic!("without the rule {rule:?} nothing went wrong"));
    println!("without {rule:?}: {found}");
}

#[test]
fn without_only_the_successor_receives_the_simulation_fails() {
    is_needed(Rule::OnlyTheSuccessor);
}

#[test]
fn without_draining_before_removal_the_simulation_fails() {
    is_needed(Rule::RemovedOnlyWhenDrained);
}

#[test]
fn with_reused_attempt_numbers_the_simulation_fails() {
    is_needed(Rule::AttemptsNotReused);
}

#[test]
fn without_refusing_for_ever_the_simulation_fails() {
    is_needed(Rule::RefusedForEver);
}

#[test]
fn with_a_sealed_slot_taken_back_from_the_gone_the_simulation_fails() {
    is_needed(Rule::SealedIsNobodys);
}

#[test]
fn with_frames_applied_out_of_order_the_simulation_fails() {
    is_needed(Rule::FramesInOrder);
}

#[test]
fn with_writes_left_out_of_the_stream_the_simulation_fails() {
    is_needed(Rule::WritesAreStreamed);
}

#[test]
fn with_nodes_declared_gone_that_others_hear_the_simulation_fails() {
    is_needed(Rule::TheHeardLive);
}

#[test]
fn with_nodes_that_are_not_told_that_they_are_gone_the_simulation_fails() {
    is_needed(Rule::StrangersAreTold);
}

#[test]
fn with_nodes_that_serve_on_without_taking_part_the_simulation_fails() {
    is_needed(Rule::StrangersOwnNothing);
}

/// A copy that a document cancelled after its first frame was acknowledged, and that a repeated `Begin` of the same attempt
/// brought back: the source never sends that frame again.
#[test]
fn a_copy_that_was_cancelled_is_not_begun_again_under_the_same_attempt() {
    let outcome = run(42_076, None, false);
    assert!(outcome.is_ok(), "{outcome:?}");
}
