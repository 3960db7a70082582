//! Every fault at every call and every write of every workload: how many plans there are, and that all of them end well.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use tokio::time::Instant;

use crate::hands::lock;
use crate::outcome::{Outcome, compare};
use crate::plan::{ApiError, Fault, Lie, Plan};
use crate::run::run;
use crate::tape::Note;
use crate::workload::Workload;

/// Failures that are told in full.
const TOLD: usize = 8;
/// So many failures are enough to look into.
const ENOUGH: usize = 40;
/// Watches stand still or break off, and the server becomes slow or fails, at one call in so many: for calls in a row it is the same.
const VIEWS_EVERY: usize = 4;
/// Which part of what is sampled is run follows from this number. Every run of the same number runs the same plans.
const SEED: &str = "RINGCACHE_SEED";
/// How much is run: `most` or `all`; else a part that takes a minute.
const SHARE: &str = "RINGCACHE_SIM_PLANS";

/// How much of the matrix is run.
#[derive(Debug)]
struct Share {
    /// Of the workloads that are one of each operation, one plan in so many; of the sampled ones, likewise.
    one_in: (usize, usize),
    /// Fewer plans than this mean that a workload or a fault was lost.
    fewest: usize,
}

impl Share {
    fn wanted() -> Self {
        match std::env::var(SHARE).as_deref() {
            Ok("all") => Self { one_in: (1, 1), fewest: 50_000 },
            Ok("most") => Self { one_in: (3, 12), fewest: 9_000 },
            Ok(other) => panic!("{SHARE} is `most` or `all`, or not set; not `{other}`"),
            Err(_) => Self { one_in: (40, 200), fewest: 500 },
        }
    }
}

/// The plans of a workload: what went without faults decides where they can strike.
fn plans(workload: Workload, undisturbed: &Outcome) -> Vec<Plan> {
    let crashes = (0..undisturbed.writes).flat_map(|n| {
        let hours = if n % 2 == 0 { 1 } else { -1 };
        [Fault::CrashBefore(n), Fault::CrashAfter(n), Fault::WrongClock(n, hours)]
    });
    let pushes = (0..undisturbed.pushes)
        .flat_map(|n| [Fault::CrashBeforePush(n), Fault::CrashAfterPush(n), Fault::PushFails(n)]);
    let asks = (0..undisturbed.asks).flat_map(|n| Lie::ALL.map(|lie| Fault::Ask(n, lie)));
    let errors = undisturbed.calls.iter().enumerate().flat_map(|(n, note)| {
        let possible = ApiError::ALL.into_iter().filter(|error| !is_a_lie(*error, note));
        let errors = possible.map(move |error| Fault::Call(n, error));
        let views = [Fault::Freeze(n), Fault::Compact(n), Fault::Slow(n), Fault::Outage(n)];
        errors.chain(views.into_iter().filter(move |_| n % VIEWS_EVERY == 0))
    });
    crashes
        .chain(pushes)
        .chain(asks)
        .chain(errors)
        .map(|fault| Plan::with(workload, fault))
        .collect()
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

/// The plans of all workloads, or a share of them.
fn chosen(outcomes: &BTreeMap<String, Outcome>, share: &Share) -> Vec<Plan> {
    let seed = std::env::var(SEED).ok().and_then(|text| text.parse().ok()).unwrap_or(0_usize);
    let mut all = Vec::new();
    for workload in all_workloads() {
        let outcome = &outcomes[&name(workload)];
        let sampled = Workload::SAMPLED.contains(&workload);
        let one_in = if sampled { share.one_in.1 } else { share.one_in.0 };
        // It lasts a quarter of an hour, most of which is the same look again and again: all of it would take as long as all others.
        let one_in = if workload == Workload::Autoscale { 8 * one_in } else { one_in };
        let plans = plans(workload, outcome);
        let possible = plans.len();
        let part = seed % one_in;
        all.extend(plans.into_iter().skip(part).step_by(one_in));
        println!(
            "{:24} {:4} calls {:3} writes {:3} pushes {:3} asks {:5.1} s virtual: {possible} plans, part {part} of {one_in}",
            name(workload),
            outcome.calls.len(),
            outcome.writes,
            outcome.pushes,
            outcome.asks,
            outcome.took.as_secs_f64(),
        );
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
    let share = Share::wanted();
    let all = chosen(&outcomes, &share);
    let failures = run_all(&all, &outcomes);
    let seconds = began.elapsed().as_secs_f64();
    println!("{} plans in {seconds:.1} s, {:.0}/s", all.len(), all.len() as f64 / seconds);
    assert!(all.len() >= share.fewest, "only {} plans", all.len());
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
