//! One simulated Kubernetes with cache nodes in its pods and operators at work, under paused time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use k8s_openapi::jiff::SignedDuration;
use ringcache_fake_apiserver::{ApiServer, Options, Verdict};
use ringcache_operator::{Clock, Config, Metrics};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::desired;
use crate::hands::{Hands, lock};
use crate::plan::Plan;
use crate::plane::{Plane, TICK};
use crate::safety::Judge;
use crate::tape::Tape;
use crate::workload::IMAGE;
use crate::world::World;

/// Where the cluster lives.
pub(crate) const NAMESPACE: &str = "shop";
/// What it is called.
pub(crate) const NAME: &str = "web";
/// Where a second cluster of the same name lives.
pub(crate) const ELSEWHERE: &str = "shop-2";
/// How the names of operators begin.
const OPERATOR: &str = "operator-";
/// Between the end of an operator and the start of the next.
const RESTART: Duration = Duration::from_secs(3);
/// Nothing has changed for so long: time to look whether all is done, and to take longer steps.
const QUIET: Duration = Duration::from_secs(2);
/// A step while nothing happens.
const LONG_STEP: Duration = Duration::from_secs(5);

/// A settled cluster, without its operator.
pub(crate) struct Snapshot {
    api: ringcache_fake_apiserver::Snapshot,
    plane: Plane,
}

/// The whole of it.
pub(crate) struct Sim {
    pub(crate) api: ApiServer,
    pub(crate) plane: Arc<Mutex<Plane>>,
    pub(crate) tape: Arc<Mutex<Tape>>,
    clock: Clock,
    operators: BTreeMap<String, (JoinHandle<()>, Metrics)>,
    started: usize,
    /// When operators that were struck down start again, and by how many hours their clocks are wrong.
    revivals: Vec<(Instant, i8)>,
    last_change: Instant,
    pub(crate) world: World,
    /// Nodes that must be ready at any time.
    floor: usize,
    /// Whether no slot may be without an owner.
    planned: bool,
    violations: BTreeSet<String>,
}

impl Sim {
    /// Starts `operators` operators over an empty API server.
    pub(crate) fn start(seed: u64, operators: usize) -> Self {
        let namespaces = [NAMESPACE, ELSEWHERE].map(str::to_owned).into();
        let api = ApiServer::new(Options { seed, namespaces, ..Options::default() });
        Self::over(api, Plane::default(), operators)
    }

    /// Everything but the operators, to begin other runs from.
    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot { api: self.api.snapshot(), plane: lock(&self.plane).clone() }
    }

    /// Starts operators over what was there.
    pub(crate) fn resume(snapshot: &Snapshot, operators: usize) -> Self {
        Self::over(ApiServer::resume(&snapshot.api), snapshot.plane.resumed(), operators)
    }

    fn over(api: ApiServer, plane: Plane, operators: usize) -> Self {
        let (plane, tape) = (Arc::new(Mutex::new(plane)), Arc::new(Mutex::new(Tape::default())));
        lock(&plane).single_writer = operators == 1;
        let judge = Judge::default();
        api.set_hook({
            let (plane, tape) = (plane.clone(), tape.clone());
            move |api, call| {
                if !call.writer.starts_with(OPERATOR) {
                    return Verdict::Pass;
                }
                let mut tape = lock(&tape);
                if tape.is_alive(&call.writer) {
                    let planned = tape.planned;
                    tape.violations.extend(judge.breaches(api, call, &lock(&plane), planned));
                }
                tape.call(api, call)
            }
        });
        let clock = Clock::virtual_from(api.now());
        let mut sim = Self {
            api,
            plane,
            tape,
            clock,
            operators: BTreeMap::new(),
            started: 0,
            revivals: Vec::new(),
            last_change: Instant::now(),
            world: World::default(),
            floor: 0,
            planned: false,
            violations: BTreeSet::new(),
        };
        for _ in 0..operators {
            sim.start_operator(0);
        }
        sim
    }

    /// Starts one whose clock goes so many hours before the server's, or after it.
    fn start_operator(&mut self, hours: i8) {
        self.started += 1;
        let name = format!("{OPERATOR}{}", self.started);
        lock(&self.tape).begin(&name);
        let hands =
            Hands { operator: name.clone(), plane: self.plane.clone(), tape: self.tape.clone() };
        let config =
            Config { cache_image: IMAGE.into(), instance: name.clone(), ..Config::default() };
        let clock = match hours {
            0 => self.clock.clone(),
            wrong => {
                let wrong = SignedDuration::from_hours(wrong.into());
                Clock::virtual_from(self.clock.now().saturating_add(wrong).unwrap_or_default())
            }
        };
        let metrics = Metrics::new();
        let run = ringcache_operator::run::run(
            self.api.client(&name),
            hands,
            config,
            clock,
            metrics.clone(),
            CancellationToken::new(),
        );
        self.operators.insert(name, (tokio::spawn(run), metrics));
    }

    /// From here on calls are numbered, the plan's faults strike, and what a planned operation must keep is watched.
    pub(crate) fn arm(&mut self, plan: &Plan) {
        lock(&self.tape).arm(plan.faults.clone());
        lock(&self.plane).take_adopted();
        self.planned = plan.workload.is_planned();
        lock(&self.tape).planned = self.planned && plan.is_in_touch();
        if self.planned {
            self.floor = plan.workload.fewest_nodes();
        }
    }

    /// Goes on for a step, or until an operator is struck down.
    async fn step(&mut self, step: Duration) {
        let crash = lock(&self.tape).crash.clone();
        tokio::select! {
            biased;
            () = crash.notified() => {}
            () = sleep(step) => {}
        }
        self.bury();
        let now = Instant::now();
        let due: Vec<_> = self.revivals.extract_if(.., |(at, _)| *at <= now).collect();
        for (_, hours) in due {
            self.start_operator(hours);
        }
        lock(&self.tape).thaw(&self.api);
        let is_out = lock(&self.tape).is_out();
        if self.world.step(&self.api, is_out, &mut lock(&self.plane)) {
            self.last_change = now;
        }
        self.watch();
    }

    fn bury(&mut self) {
        let Some((name, hours)) = lock(&self.tape).crashed.take() else { return };
        if let Some((handle, _)) = self.operators.remove(&name) {
            handle.abort();
            self.revivals.push((Instant::now() + RESTART, hours));
        }
    }

    /// All operators end, and others start a while later.
    pub(crate) fn replace_operators(&mut self) {
        for (name, (handle, _)) in std::mem::take(&mut self.operators) {
            lock(&self.tape).end(&name);
            handle.abort();
            self.revivals.push((Instant::now() + RESTART, 0));
        }
    }

    /// What must hold at every moment.
    fn watch(&mut self) {
        let mut plane = lock(&self.plane);
        let adopted = plane.take_adopted();
        if self.planned && adopted > 0 && !self.world.cut_short {
            let text = format!("O5: {adopted} slots had no owner in a planned operation");
            self.violations.insert(text);
        }
        let ready = plane.iter().filter(|node| node.is_ready()).count();
        if ready < self.floor {
            self.violations.insert(format!("O5: only {ready} nodes were ready"));
        }
        for (name, (handle, _)) in &self.operators {
            if handle.is_finished() {
                self.violations.insert(format!("O9: {name} has ended by itself"));
            }
        }
    }

    /// Runs for exactly so long.
    pub(crate) async fn run_for(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            let step = if self.is_quiet() { LONG_STEP } else { TICK };
            self.step(step.min(end.saturating_duration_since(Instant::now()))).await;
        }
    }

    /// Runs until everything is as it should be and nobody does anything, or tells what is lacking.
    pub(crate) async fn settle(&mut self, patience: Duration) -> Result<(), Vec<String>> {
        let end = Instant::now() + patience;
        loop {
            let quiet = self.is_quiet();
            if quiet && self.revivals.is_empty() {
                let lacks = self.lacks();
                if lacks.is_empty() {
                    return Ok(());
                }
                if Instant::now() > end {
                    return Err(lacks);
                }
            } else if Instant::now() > end {
                return Err(vec!["it does not come to rest".into()]);
            }
            self.step(if quiet { QUIET } else { TICK }).await;
        }
    }

    /// Something is about to happen: nothing is at rest before it has shown.
    pub(crate) fn stir(&mut self) {
        self.last_change = Instant::now();
    }

    fn is_quiet(&self) -> bool {
        self.last_change.elapsed() > QUIET && lock(&self.tape).is_quiet(QUIET)
    }

    pub(crate) fn lacks(&self) -> Vec<String> {
        let objects = self.api.objects();
        desired::Snapshot { objects: &objects, plane: &lock(&self.plane), dark: &self.world.dark }
            .lacks()
    }

    /// Everything that broke a rule.
    pub(crate) fn breaches(&self) -> Vec<String> {
        let (plane, tape) = (lock(&self.plane), lock(&self.tape));
        let own = self.violations.iter().chain(&tape.violations).cloned();
        own.chain(plane.violations()).collect()
    }

    /// The metrics of all operators, as text.
    pub(crate) fn metrics(&self) -> String {
        self.operators.values().map(|(_, metrics)| metrics.render()).collect()
    }

    /// The last calls, for whoever has to find out why.
    pub(crate) fn tail(&self) -> Vec<String> {
        let tape = lock(&self.tape);
        let from = tape.calls.len().saturating_sub(15);
        tape.calls[from..].iter().map(|note| format!("last calls: {}", note.text())).collect()
    }
}
