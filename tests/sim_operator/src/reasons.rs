//! Every reason that the page about troubles explains, provoked in the operator as it runs.

use std::collections::BTreeSet;
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::PostParams;
use ringcache_api::admin::{KnownSettings, NodeState};
use ringcache_fake_apiserver::{ApiServer, Verb};
use ringcache_sim_nodes::Load;
use serde_json::json;

use crate::actions::{create, edit_in, perform};
use crate::hands::lock;
use crate::run::simulate;
use crate::scenarios::foreign_service;
use crate::sim::{NAMESPACE, Sim};
use crate::workload::{Action, IMAGE, Workload};

/// The operator's own check refuses no plan of its own, as long as neither has a fault.
const NEVER: [&str; 1] = ["PlanRefused"];

const PAGE: &str = include_str!("../../../docs/troubleshooting.md");

/// The reasons of a table of the page.
fn explained(heading: &str) -> BTreeSet<String> {
    let (_, section) = PAGE.split_once(&format!("\n## {heading}\n")).expect("the page has it");
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| row.split('`').next()).map(str::to_owned).collect()
}

/// The reasons that conditions and events have had.
#[derive(Default)]
struct Told {
    of_conditions: BTreeSet<String>,
    of_events: BTreeSet<String>,
}

impl Told {
    fn by(&mut self, api: &ApiServer) {
        for change in api.history(0) {
            let object = change.object.value();
            if object["kind"] == "Event" {
                self.of_events.extend(object["reason"].as_str().map(str::to_owned));
            }
            let conditions = object.pointer("/status/conditions").and_then(|list| list.as_array());
            if object["kind"] == "CacheCluster" {
                let reasons = conditions.into_iter().flatten().filter_map(|c| c["reason"].as_str());
                self.of_conditions.extend(reasons.map(str::to_owned));
            }
        }
    }

    /// A cluster of so many nodes, and what is done to it.
    fn of(&mut self, nodes: i32, story: impl AsyncFnOnce(&mut Sim)) {
        simulate(async {
            let mut sim = Sim::start(0, 1);
            create(&sim.api.client("user"), NAMESPACE, nodes, IMAGE).await;
            sim.settle(Duration::from_mins(5)).await.expect("nothing is in its way");
            story(&mut sim).await;
            self.by(&sim.api);
        });
    }

    /// A cluster that is scaled by its load, until its predictions fail.
    fn of_autoscaling(&mut self) {
        self.of(3, async |sim| {
            let user = sim.api.client("user");
            let autoscaling = async |change: serde_json::Value| {
                let edit = json!({"spec": {"autoscaling": change}});
                edit_in(&user, NAMESPACE, &edit).await;
            };
            let minutes = Duration::from_mins(4);
            let read = async |sim: &mut Sim, load: Option<Load>| {
                lock(&sim.plane).load = load;
                sim.run_for(minutes).await;
            };
            let (delay, target) = (30, 80);
            autoscaling(json!({
                "maxNodes": 6, "hitRatioPercent": target,
                "scaleOutDelaySeconds": delay, "scaleInDelaySeconds": delay,
            }))
            .await;
            read(sim, None).await;
            read(sim, Some(Load::of(5.0))).await;
            read(sim, Some(Load::of(2.4))).await;
            read(sim, Some(Load::of(20.0))).await;
            // One node is too many, and the others serve less than they say, twice.
            autoscaling(json!({"maxNodes": 4, "hitRatioPercent": 1})).await;
            for _ in 0..5 {
                read(sim, Some(Load { nodes: 1.0, served: 0.7 })).await;
            }
            autoscaling(serde_json::Value::Null).await;
            read(sim, Some(Load::of(1.0))).await;
        });
    }

    /// The actions of a workload, and so much time.
    fn of_workload(&mut self, workload: Workload, time: Duration) {
        self.of(workload.nodes_before().max(1), async |sim| {
            for (_, action) in workload.actions() {
                perform(sim, &action).await;
                sim.run_for(Duration::from_secs(20)).await;
            }
            sim.run_for(time).await;
        });
    }
}

/// What a node of another version says, which may not know all settings.
fn disguised(program: &'static str, knows_all: bool) -> impl Fn(&mut NodeState) {
    move |state| {
        program.clone_into(&mut state.program);
        if !knows_all {
            state.settings = KnownSettings { ttl_jitter_percent: None, ..state.settings };
        }
    }
}

#[test]
fn every_reason_that_the_page_about_troubles_explains_is_provoked() {
    let mut told = Told::default();
    let minute = Duration::from_mins(1);
    for workload in [
        Workload::Image,
        Workload::Pause,
        Workload::InvalidThenFix,
        Workload::ScaleDown,
        Workload::LosePod(1),
        Workload::LoseAll,
        Workload::Drift(crate::workload::Child::Port),
    ] {
        told.of_workload(workload, minute);
    }
    // Somebody else has still something to do with it.
    told.of(1, async |sim| {
        let held = json!({"metadata": {"finalizers": ["backup.example/hold"]}});
        edit_in(&sim.api.client("user"), NAMESPACE, &held).await;
        perform(sim, &Action::DeleteCluster).await;
        sim.run_for(minute).await;
    });
    // Nowhere to go for those that are wanted.
    told.of(3, async |sim| {
        perform(sim, &Action::Room(Some(3))).await;
        edit_in(&sim.api.client("user"), NAMESPACE, &json!({"spec": {"nodes": 4}})).await;
        sim.run_for(minute).await;
    });
    // A node that nobody reaches keeps its slots, and the operation its time.
    told.of(3, async |sim| {
        perform(sim, &Action::CutOff(2, Duration::from_mins(30))).await;
        edit_in(&sim.api.client("user"), NAMESPACE, &json!({"spec": {"nodes": 2}})).await;
        sim.run_for(Duration::from_mins(15)).await;
    });
    // Nobody answers.
    told.of(1, async |sim| {
        perform(sim, &Action::CutOff(0, minute)).await;
        sim.run_for(Duration::from_mins(6)).await;
    });
    // The only one is told to go, and no other can start.
    told.of(1, async |sim| {
        perform(sim, &Action::Room(Some(1))).await;
        perform(sim, &Action::DeletePod(0)).await;
        sim.run_for(minute).await;
    });
    told.of_autoscaling();
    for (program, knows_all) in [("0.0.1", false), ("0.0.1", true), ("99.0.0", true)] {
        told.of(1, async |sim| {
            lock(&sim.plane).disguise(disguised(program, knows_all));
            let ttl = json!({"spec": {"ttl": {"defaultSeconds": 60, "jitterPercent": 10}}});
            edit_in(&sim.api.client("user"), NAMESPACE, &ttl).await;
            sim.run_for(minute).await;
        });
    }
    for (verb, resource) in [(Verb::Create, "pods"), (Verb::List, "pods")] {
        told.of(1, async |sim| {
            lock(&sim.tape).forbid(verb, resource);
            edit_in(&sim.api.client("user"), NAMESPACE, &json!({"spec": {"nodes": 2}})).await;
            sim.run_for(minute).await;
        });
    }
    told.of(1, async |sim| {
        lock(&sim.tape).forbid(Verb::Create, "services");
        perform(sim, &Action::Damage(crate::workload::Child::ClientService)).await;
        sim.run_for(minute).await;
    });
    simulate(async {
        let mut sim = Sim::start(0, 1);
        let user = sim.api.client("user");
        foreign_service(&user).await;
        create(&user, NAMESPACE, 1, IMAGE).await;
        sim.run_for(minute).await;
        told.by(&sim.api);
    });
    // Nowhere to go for a first node.
    simulate(async {
        let mut sim = Sim::start(0, 1);
        perform(&mut sim, &Action::Room(Some(0))).await;
        create(&sim.api.client("user"), NAMESPACE, 1, IMAGE).await;
        sim.run_for(minute).await;
        told.by(&sim.api);
    });
    // Left to an operator that is not there.
    simulate(async {
        let mut sim = Sim::start(0, 1);
        let user = sim.api.client("user");
        let claims: Api<ConfigMap> = Api::namespaced(user.clone(), NAMESPACE);
        let claim = json!({
            "metadata": {"name": "ringcache-operator"}, "data": {"operator": "team/gone"},
        });
        claims
            .create(&PostParams::default(), &serde_json::from_value(claim).unwrap())
            .await
            .unwrap();
        create(&user, NAMESPACE, 1, IMAGE).await;
        sim.run_for(Duration::from_mins(10)).await;
        told.by(&sim.api);
    });
    let missing = |explained: BTreeSet<String>, told: &BTreeSet<String>| {
        let missing = explained.difference(told).filter(|reason| !NEVER.contains(&reason.as_str()));
        missing.cloned().collect::<Vec<_>>()
    };
    let of_conditions = missing(explained("By reason of a condition"), &told.of_conditions);
    let of_events = missing(explained("By reason of an event"), &told.of_events);
    assert_eq!((of_conditions, of_events), (Vec::new(), Vec::new()), "never told");
}
