//! One plan from beginning to end: a settled cluster, the workload with its faults, the end, and minutes of rest.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic;
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::time::Instant;

use crate::actions::perform;
use crate::hands::lock;
use crate::normal::normalise;
use crate::outcome::Outcome;
use crate::plan::Plan;
use crate::sim::{Sim, Snapshot};
use crate::workload::{Action, IMAGE};

/// With nothing to do for so long the operator writes nothing.
pub(crate) const REST: Duration = Duration::from_mins(10);
/// After a fault: long enough for each cluster to be looked at again, which is when something forgotten would be done.
const REST_AFTER_FAULTS: Duration = Duration::from_secs(330);
/// Calls that a rest may cost: a few reconciles for the resync, and watches that are begun anew.
const CALLS_AT_REST: usize = 120;
/// The same where something scales the cluster: it is looked at four times a minute.
const CALLS_AT_REST_SCALED: usize = 480;
/// How long after the last action the desired state must be reached, faults included.
const PATIENCE: Duration = Duration::from_mins(10);
/// Longest virtual time until a cluster without faults is there.
const SETUP: Duration = Duration::from_mins(5);

thread_local! {
    /// Panics of this thread; the operator survives its own, but none is right.
    static PANICS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Keeps what panics say, besides printing it.
fn listen_to_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            PANICS.with_borrow_mut(|panics| panics.push(info.to_string()));
            before(info);
        }));
    });
}

/// A paused runtime of its own on this thread.
pub(crate) fn simulate<T>(body: impl Future<Output = T>) -> T {
    listen_to_panics();
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime without sockets can always be built").block_on(body)
}

/// Runs a plan; what it broke, if anything.
pub(crate) fn run(plan: &Plan) -> Result<Outcome, Vec<String>> {
    PANICS.with_borrow_mut(Vec::clear);
    let result = settled(plan).and_then(|before| simulate(execute(plan, before.as_deref())));
    let panics: Vec<String> =
        PANICS.with_borrow_mut(|panics| panics.drain(..).map(|p| format!("O9: {p}")).collect());
    if panics.is_empty() { result } else { Err(panics) }
}

/// The cluster that is there before the workload begins: settled once, and gone on from by every run.
fn settled(plan: &Plan) -> Result<Option<Arc<Snapshot>>, Vec<String>> {
    static SETTLED: Mutex<BTreeMap<(i32, u64), Arc<Snapshot>>> = Mutex::new(BTreeMap::new());
    let nodes = plan.workload.nodes_before();
    if nodes == 0 {
        return Ok(None);
    }
    let mut settled = lock(&SETTLED);
    if let Some(snapshot) = settled.get(&(nodes, plan.seed)) {
        return Ok(Some(snapshot.clone()));
    }
    let snapshot = simulate(async {
        let mut sim = Sim::start(plan.seed, 1);
        perform(&mut sim, &Action::Create { nodes, image: IMAGE }).await;
        sim.settle(SETUP).await.map_err(|lacks| told("set-up", lacks))?;
        Ok::<_, Vec<String>>(Arc::new(sim.snapshot()))
    })?;
    settled.insert((nodes, plan.seed), snapshot.clone());
    Ok(Some(snapshot))
}

async fn execute(plan: &Plan, before: Option<&Snapshot>) -> Result<Outcome, Vec<String>> {
    let mut sim = match before {
        None => Sim::start(plan.seed, plan.operators),
        Some(snapshot) => Sim::resume(snapshot, plan.operators),
    };
    sim.stir();
    sim.settle(SETUP).await.map_err(|lacks| told("set-up", lacks))?;
    let began = Instant::now();
    let revision = sim.api.revision();
    sim.arm(plan);
    for (after, action) in plan.workload.actions() {
        sim.run_for((began + after).saturating_duration_since(Instant::now())).await;
        perform(&mut sim, &action).await;
    }
    let settled = sim.settle(PATIENCE).await;
    settled.map_err(|lacks| [told("O1", lacks), sim.breaches(), sim.tail()].concat())?;
    let took = began.elapsed();
    let (calls, writes, pushes, asks) = {
        let tape = lock(&sim.tape);
        (tape.calls.clone(), tape.writes, tape.pushes, tape.asks)
    };
    let outcome = Outcome {
        end: normalise(&sim.api.objects()),
        counts: sim.came_and_went(revision),
        calls,
        writes,
        pushes,
        asks,
        took,
    };
    rest(&mut sim, if plan.faults.is_empty() { REST } else { REST_AFTER_FAULTS }).await?;
    let mut breaches = sim.breaches();
    breaches.extend(sim.doubts().await);
    // Where a second fault would strike depends on what the first has done.
    if let Some(fault) = plan.faults.first()
        && lock(&sim.tape).outstanding().len() == plan.faults.len()
    {
        breaches.push(format!("the plan's fault {fault:?} never struck"));
    }
    if breaches.is_empty() { Ok(outcome) } else { Err(breaches) }
}

/// O2, O11, O12: at rest nothing is written, hardly anything is asked, and nothing at all about a cluster that is gone.
pub(crate) async fn rest(sim: &mut Sim, time: Duration) -> Result<(), Vec<String>> {
    let (calls, pushes) = {
        let tape = lock(&sim.tape);
        (tape.calls.len(), tape.pushes)
    };
    sim.run_for(time).await;
    let mut breaches = told("at rest", sim.lacks());
    let deleted = sim.has_no_cluster();
    let tape = lock(&sim.tape);
    let calls = &tape.calls[calls..];
    for note in calls.iter().filter(|note| note.is_write) {
        breaches.push(format!("O2: at rest it wrote: {}", note.text()));
    }
    if tape.pushes > pushes {
        breaches.push(format!("O2: at rest {} messages to nodes", tape.pushes - pushes));
    }
    let is_scaled = lock(&sim.plane).load.is_some();
    if calls.len() > if is_scaled { CALLS_AT_REST_SCALED } else { CALLS_AT_REST } {
        breaches.push(format!("O11: {} calls at rest", calls.len()));
    }
    for note in calls.iter().filter(|note| deleted && !note.name.is_empty()) {
        breaches.push(format!("O12: after the deletion: {}", note.text()));
    }
    if breaches.is_empty() { Ok(()) } else { Err(breaches) }
}

fn told(oracle: &str, lacks: Vec<String>) -> Vec<String> {
    lacks.into_iter().map(|lack| format!("{oracle}: {lack}")).collect()
}
