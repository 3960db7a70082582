//! Every fault at every call and every write of every workload: how many plans there are, and that all of them end well.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use tokio::time::Instant;

use crate::hands::lock;
use crate::outcome::{Outcome, compare};
use crate::plan::{ApiError, Fault, Plan};
use crate::run::run;
use crate::tape::Note;
use crate::workload::Workload;

/// Fewer plans than this mean that a workload or a fault was lost.
const FEWEST_PLANS: usize = 8000;
/// Failures that are told in full.
const TOLD: usize = 8;
/// So many failures are enough to look into.
const ENOUGH: usize = 40;
/// Watches stand still or break off at one call in so many: what they tell is the same for calls in a row.
const VIEWS_EVERY: usize = 4;
/// Of the sampled workloads, one plan in so many.
const ONE_IN: usize = 8;
/// Which of them follows from this number. Every run of the same number runs the same plans.
const SEED: &str = "RINGCACHE_SEED";
/// Set to run every plan of the sampled workloads, too.
const ALL: &str = "RINGCACHE_SIM_ALL";

/// The plans of a workload: what went without faults decides where they can strike.
fn plans(workload: Workload, undisturbed: &Outcome) -> Vec<Plan> {
    let crashes =
        (0..undisturbed.writes).flat_map(|n| [Fault::CrashBefore(n), Fault::CrashAfter(n)]);
    let pushes = (0..undisturbed.pushes)
        .flat_map(|n| [Fault::CrashBeforePush(n), Fault::CrashAfterPush(n), Fault::PushFails(n)]);
    let errors = undisturbed.calls.iter().enumerate().flat_map(|(n, note)| {
        let possible = ApiError::ALL.into_iter().filter(|error| !is_a_lie(*error, note));
        let errors = possible.map(move |error| Fault::Call(n, error));
        let views = [Fault::Freeze(n), Fault::Compact(n)];
        errors.chain(views.into_iter().filter(move |_| n % VIEWS_EVERY == 0))
    });
    crashes.chain(pushes).chain(errors).map(|fault| Plan::with(workload, fault)).collect()
}

/// "No such pod" is the proof that a node is dead for ever: a server that says so of a live one cannot be survived.
fn is_a_lie(error: ApiError, note: &Note) -> bool {
    error == ApiError::NotFound && note.verb == "get" && note.resource == "pods"
}

fn undisturbed(workload: Workload) -> Outcome {
    run(&Plan::undisturbed(workload))
        .unwrap_or_else(|breaches| panic!("{workload:?} without faults: {}", breaches.join("\n")))
}

/// Runs the plans on all cores; the breaches of each that failed.
fn run_all(plans: &[Plan], outcomes: &BTreeMap<String, Outcome>) -> Vec<(Plan, Vec<String>)> {
    let next = AtomicUsize::new(0);
    let failures: Mutex<Vec<(Plan, Vec<String>)>> = Mutex::new(Vec::new());
    let threads = thread::available_parallelism().map_or(2, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(plan) = plans.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if lock(&failures).len() >= ENOUGH {
                        break;
                    }
                    let breaches = match run(plan) {
                        Ok(outcome) => compare(plan, &outcome, &outcomes[&name(plan.workload)]),
                        Err(breaches) => breaches,
                    };
                    if !breaches.is_empty() {
                        eprintln!("{}", tell(&[(plan.clone(), breaches.clone())]));
                        lock(&failures).push((plan.clone(), breaches));
                    }
                }
            });
        }
    });
    failures.into_inner().unwrap_or_default()
}

fn name(workload: Workload) -> String {
    format!("{workload:?}")
}

fn tell(failures: &[(Plan, Vec<String>)]) -> String {
    let one = |(plan, breaches): &(Plan, Vec<String>)| {
        format!(
            "{}\n  replay: RINGCACHE_SIM_PLAN='{plan}' cargo test -p ringcache-sim-operator replay -- --nocapture",
            breaches.iter().map(|breach| format!("  {breach}")).collect::<Vec<_>>().join("\n")
        )
    };
    failures.iter().take(TOLD).map(one).collect::<Vec<_>>().join("\n")
}

/// The plans of all workloads: all of them, or one in [`ONE_IN`].
fn chosen(outcomes: &BTreeMap<String, Outcome>) -> Vec<Plan> {
    let seed = std::env::var(SEED).ok().and_then(|text| text.parse().ok()).unwrap_or(0_usize);
    let thinned = std::env::var_os(ALL).is_none();
    let sample = seed % ONE_IN;
    if thinned {
        println!("of sampled workloads: part {sample} of {ONE_IN}");
    }
    let mut all = Vec::new();
    for workload in all_workloads() {
        let outcome = &outcomes[&name(workload)];
        let mut plans = plans(workload, outcome);
        let possible = plans.len();
        if thinned && Workload::SAMPLED.contains(&workload) {
            plans = plans.into_iter().skip(sample).step_by(ONE_IN).collect();
        }
        println!(
            "{:24} {:4} calls {:3} writes {:3} pushes {:5.1} s virtual: {} of {possible} plans",
            name(workload),
            outcome.calls.len(),
            outcome.writes,
            outcome.pushes,
            outcome.took.as_secs_f64(),
            plans.len()
        );
        all.extend(plans);
    }
    all
}

fn all_workloads() -> impl Iterator<Item = Workload> {
    Workload::EXHAUSTIVE.into_iter().chain(Workload::SAMPLED)
}

#[test]
fn every_fault_at_every_call_of_every_workload_ends_as_without_it() {
    let began = Instant::now();
    let outcomes: BTreeMap<String, Outcome> =
        all_workloads().map(|workload| (name(workload), undisturbed(workload))).collect();
    let all = chosen(&outcomes);
    let failures = run_all(&all, &outcomes);
    let seconds = began.elapsed().as_secs_f64();
    println!("{} plans in {seconds:.1} s, {:.0}/s", all.len(), all.len() as f64 / seconds);
    assert!(all.len() >= FEWEST_PLANS, "only {} plans", all.len());
    assert!(
        failures.is_empty(),
        "{} of {} plans failed:\n{}",
        failures.len(),
        all.len(),
        tell(&failures)
    );
}

#[test]
fn an_undisturbed_run_has_the_same_history_twice() {
    for workload in all_workloads() {
        let texts = |outcome: &Outcome| outcome.calls.iter().map(Note::text).collect::<Vec<_>>();
        let (first, second) = (undisturbed(workload), undisturbed(workload));
        assert_eq!(texts(&first), texts(&second), "{workload:?}");
        assert_eq!(first.end, second.end, "{workload:?}");
    }
}

/// Runs the plan of `RINGCACHE_SIM_PLAN`, and tells every call; without one, that of an idle cluster.
#[test]
fn replay() {
    let plan = std::env::var("RINGCACHE_SIM_PLAN").map_or_else(
        |_| Plan::undisturbed(Workload::Idle),
        |text| serde_json::from_str(&text).expect("RINGCACHE_SIM_PLAN is a plan"),
    );
    let wanted = undisturbed(plan.workload);
    let breaches = match run(&plan) {
        Ok(outcome) => {
            for note in &outcome.calls {
                let since = note.at.duration_since(outcome.calls[0].at);
                println!("{:9.3} s  {}", since.as_secs_f64(), note.text());
            }
            compare(&plan, &outcome, &wanted)
        }
        Err(breaches) => breaches,
    };
    assert!(breaches.is_empty(), "{plan}\n{}", breaches.join("\n"));
}
