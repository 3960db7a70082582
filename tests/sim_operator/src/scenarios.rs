//! Runs besides the matrix: rest, restarts at random, two operators at once, two clusters of one name.

use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service};
use kube::api::{DeleteParams, EvictParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use ringcache_api::CacheCluster;
use ringcache_api::status::condition;
use ringcache_fake_apiserver::Kind;
use serde_json::json;

use crate::actions::{create, edit_in, perform};
use crate::outcome::{Outcome, compare};
use crate::plan::{Fault, Plan};
use crate::run::{REST, rest, run, simulate};
use crate::sim::{ELSEWHERE, NAME, NAMESPACE, Sim};
use crate::workload::{Action, Child, IMAGE, Workload};

/// Restarts of the operator in the middle of each operation.
const RESTARTS: u64 = 20;

fn good(plan: &Plan) -> Outcome {
    run(plan).unwrap_or_else(|breaches| panic!("{plan}\n{}", breaches.join("\n")))
}

fn as_good_as_undisturbed(plan: &Plan) {
    let breaches = compare(plan, &good(plan), &good(&Plan::undisturbed(plan.workload)));
    assert!(breaches.is_empty(), "{plan}\n{}", breaches.join("\n"));
}

/// A small generator (xorshift): the seeds of a failure are in its plan.
fn random(seed: u64, below: usize) -> usize {
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    for (left, right) in [(13, 7), (17, 5), (11, 9)] {
        x ^= x << left;
        x ^= x >> right;
    }
    (x % below.max(1) as u64) as usize
}

#[test]
fn idle_for_ten_minutes_writes_nothing() {
    // The run itself rests for ten minutes and fails if anything is written; here nothing happens before, either.
    let idle = good(&Plan::undisturbed(Workload::Idle));
    assert_eq!((idle.writes, idle.pushes), (0, 0));
}

#[test]
fn the_platforms_and_other_peoples_misdeeds_are_repaired() {
    let rest = [
        Workload::Exit(1),
        Workload::Terminate(0),
        Workload::Pause,
        Workload::Recreate,
        Workload::Drift(Child::Port),
    ];
    for workload in rest {
        good(&Plan::undisturbed(workload));
    }
}

#[test]
fn an_operator_that_restarts_twice_in_the_middle_of_an_operation_finishes_it() {
    let operations = [
        Workload::Create,
        Workload::ScaleUp,
        Workload::ScaleDown,
        Workload::Image,
        Workload::Memory,
        Workload::Cordon,
        Workload::LosePod(1),
    ];
    for workload in operations {
        let undisturbed = good(&Plan::undisturbed(workload));
        for seed in 1..=RESTARTS {
            let first = random(seed, undisturbed.writes);
            let second = first + 1 + random(seed + 1000, 6);
            let faults = vec![Fault::CrashAfter(first), Fault::CrashBefore(second)];
            let plan = Plan { seed, faults, ..Plan::undisturbed(workload) };
            let breaches = match run(&plan) {
                Ok(outcome) => compare(&plan, &outcome, &undisturbed),
                Err(breaches) => breaches,
            };
            assert!(breaches.is_empty(), "{plan}\n{}", breaches.join("\n"));
        }
    }
}

#[test]
fn an_operator_that_comes_after_version_0_1_replaces_no_node_and_goes_on() {
    let counts = good(&Plan::undisturbed(Workload::Upgrade)).counts;
    assert_eq!(counts.get("create pods"), Some(&1), "the fourth: {counts:?}");
    assert_eq!(counts.get("delete pods"), None);
}

#[test]
fn two_operators_at_once_do_what_one_does() {
    for workload in [Workload::ScaleUp, Workload::ScaleDown, Workload::Image, Workload::LosePod(1)]
    {
        as_good_as_undisturbed(&Plan { operators: 2, ..Plan::undisturbed(workload) });
    }
}

#[test]
fn two_clusters_of_one_name_in_two_namespaces_do_not_disturb_each_other() {
    simulate(async {
        let mut sim = Sim::start(0, 1);
        let user = sim.api.client("user");
        create(&user, NAMESPACE, 3, IMAGE).await;
        create(&user, ELSEWHERE, 2, IMAGE).await;
        sim.settle(Duration::from_mins(5)).await.unwrap();
        sim.arm(&Plan::undisturbed(Workload::ScaleDown));
        edit_in(&user, NAMESPACE, &json!({"spec": {"nodes": 2}})).await;
        edit_in(&user, ELSEWHERE, &json!({"spec": {"nodes": 3}})).await;
        sim.settle(Duration::from_mins(5)).await.unwrap();
        perform(&mut sim, &Action::DeleteCluster).await;
        sim.settle(Duration::from_mins(5)).await.unwrap();
        rest(&mut sim, REST).await.unwrap();
        assert_eq!(sim.breaches(), Vec::<String>::new());
    });
}

#[test]
fn a_cluster_whose_spec_is_invalid_or_paused_is_repaired_as_before() {
    for (spec, reason) in [
        (json!({"memory": "lots", "nodes": 5}), "InvalidSpec"),
        (json!({"paused": true, "nodes": 5}), "Paused"),
    ] {
        simulate(async {
            let mut sim = Sim::start(0, 1);
            let user = sim.api.client("user");
            create(&user, NAMESPACE, 3, IMAGE).await;
            sim.settle(Duration::from_mins(5)).await.unwrap();
            edit_in(&user, NAMESPACE, &json!({ "spec": spec })).await;
            sim.run_for(Duration::from_mins(1)).await;
            perform(&mut sim, &Action::KillPod(1)).await;
            sim.run_for(Duration::from_mins(2)).await;
            let status = cluster(&user).await.status.unwrap();
            assert_eq!((status.nodes, status.ready_nodes), (3, 3), "{reason}");
            let says = |type_: &str| {
                let condition = status.conditions.iter().find(|c| c.type_ == type_).unwrap();
                (condition.status.clone(), condition.reason.clone())
            };
            assert_eq!(says(condition::READY).0, "True");
            assert_eq!(says(condition::RECONCILING), ("False".into(), reason.into()));
            let is_stalled = if reason == "Paused" { "False" } else { "True" };
            assert_eq!(says(condition::STALLED).0, is_stalled);
            let fixed = json!({"spec": {"memory": "256Mi", "paused": false}});
            edit_in(&user, NAMESPACE, &fixed).await;
            sim.settle(Duration::from_mins(5)).await.unwrap();
            assert_eq!(cluster(&user).await.status.unwrap().ready_nodes, 5);
        });
    }
}

#[test]
fn a_service_of_somebody_else_is_told_for_as_long_as_it_has_the_name() {
    simulate(async {
        let mut sim = Sim::start(0, 1);
        let user = sim.api.client("user");
        let services = foreign_service(&user).await;
        create(&user, NAMESPACE, 2, IMAGE).await;
        for _ in 0..3 {
            sim.run_for(Duration::from_mins(10)).await;
            let status = cluster(&user).await.status.unwrap();
            let stalled = status.conditions.iter().find(|c| c.type_ == condition::STALLED).unwrap();
            assert_eq!(
                (stalled.status.as_str(), stalled.reason.as_str()),
                ("True", "NameConflict")
            );
            assert_eq!((status.ready_nodes, status.endpoints), (2, None));
            let ready = status.conditions.iter().find(|c| c.type_ == condition::READY).unwrap();
            assert_eq!((ready.status.as_str(), ready.reason.as_str()), ("False", "NoEndpoint"));
            assert_eq!(told(&sim, "OperationCompleted"), 0, "it has no address yet");
        }
        let kept = services.get(NAME).await.unwrap();
        assert_eq!(kept.spec.unwrap().selector.unwrap()["app"], "other", "it is not touched");
        services.delete(NAME, &DeleteParams::default()).await.unwrap();
        sim.settle(Duration::from_mins(5)).await.unwrap();
        let endpoints = cluster(&user).await.status.unwrap().endpoints;
        assert!(endpoints.is_some(), "told once the Service is ours");
        assert_eq!(told(&sim, "OperationCompleted"), 1);
    });
}

/// How many events there are with that reason.
fn told(sim: &Sim, reason: &str) -> usize {
    sim.api.of_kind(Kind::Event).iter().filter(|event| event["reason"] == reason).count()
}

#[test]
fn whoever_scales_in_sees_no_error_in_the_metrics() {
    simulate(async {
        let mut sim = Sim::start(0, 1);
        let user = sim.api.client("user");
        create(&user, NAMESPACE, 4, IMAGE).await;
        sim.settle(Duration::from_mins(5)).await.unwrap();
        edit_in(&user, NAMESPACE, &json!({"spec": {"nodes": 2}})).await;
        sim.settle(Duration::from_mins(5)).await.unwrap();
        let metrics = sim.metrics();
        let none = "controller_runtime_reconcile_errors_total{controller=\"cachecluster\"} 0\n";
        assert!(metrics.contains(none), "{metrics}");
        assert!(!metrics.contains("\"conflict\""), "the operator is in nobody's way: {metrics}");
    });
}

#[test]
fn a_ring_that_cannot_be_written_is_told_with_a_remedy_that_helps() {
    simulate(async {
        let mut sim = Sim::start(0, 1);
        let user = sim.api.client("user");
        create(&user, NAMESPACE, 3, IMAGE).await;
        sim.settle(Duration::from_mins(5)).await.unwrap();
        let rings: Api<ConfigMap> = Api::namespaced(user.clone(), NAMESPACE);
        let ring = format!("{NAME}-ring");
        let frozen = Patch::Merge(json!({"immutable": true}));
        rings.patch(&ring, &PatchParams::default(), &frozen).await.unwrap();
        perform(&mut sim, &Action::KillPod(1)).await;
        sim.run_for(Duration::from_mins(2)).await;
        let status = cluster(&user).await.status.unwrap();
        let summary = status.summary.unwrap();
        assert_eq!(summary.state, "Failing");
        let remedy = format!("kubectl --namespace {NAMESPACE} delete configmap {ring}");
        assert!(summary.message.contains(&remedy), "{}", summary.message);
        rings.delete(&ring, &DeleteParams::default()).await.unwrap();
        sim.settle(Duration::from_mins(5)).await.unwrap();
        assert_eq!(cluster(&user).await.status.unwrap().ready_nodes, 3);
    });
}

/// A Service of somebody else that has the name of the cluster.
pub(crate) async fn foreign_service(user: &Client) -> Api<Service> {
    let services: Api<Service> = Api::namespaced(user.clone(), NAMESPACE);
    let foreign = serde_json::from_value(json!({
        "metadata": {"name": NAME},
        "spec": {"selector": {"app": "other"}, "ports": [{"name": "http", "port": 80}]},
    }));
    services.create(&PostParams::default(), &foreign.unwrap()).await.unwrap();
    services
}

#[test]
fn what_is_lost_with_a_node_is_told_and_one_that_hands_over_loses_nothing() {
    simulate(async {
        let mut sim = Sim::start(0, 1);
        create(&sim.api.client("user"), NAMESPACE, 3, IMAGE).await;
        sim.settle(Duration::from_mins(5)).await.unwrap();
        perform(&mut sim, &Action::DeletePod(1)).await;
        sim.settle(Duration::from_mins(5)).await.unwrap();
        assert_eq!(losses(&sim), Vec::<String>::new());
        let name = sim.pod(1);
        perform(&mut sim, &Action::ExitContainer(1)).await;
        sim.settle(Duration::from_mins(5)).await.unwrap();
        let told = losses(&sim);
        let [note] = told.as_slice() else { panic!("{told:?}") };
        assert!(note.starts_with(&format!("{name} ended with 546")), "{note}");
        assert!(note.contains(" entries when asked "), "{note}");
        let status = cluster(&sim.api.client("user")).await.status.unwrap();
        let lost = status.conditions.iter().find(|c| c.type_ == condition::ENTRIES_LOST).unwrap();
        assert_eq!(lost.status, "True");
        assert!(lost.message.ends_with(&format!("{note}.")), "{}", lost.message);
    });
}

/// Where slots go is recorded before any node is told: without the API server nobody may take them.
#[test]
fn a_node_whose_grace_ends_while_the_api_server_is_down_loses_its_entries_and_that_is_told() {
    simulate(async {
        let mut sim = Sim::start(0, 1);
        create(&sim.api.client("user"), NAMESPACE, 3, IMAGE).await;
        sim.settle(Duration::from_mins(5)).await.unwrap();
        let name = sim.pod(1);
        sim.arm(&Plan::with(Workload::Terminate(1), Fault::Outage(0)));
        perform(&mut sim, &Action::DeletePod(1)).await;
        sim.settle(Duration::from_mins(5)).await.unwrap();
        assert!(sim.world.cut_short);
        let told = losses(&sim);
        let [note] = told.as_slice() else { panic!("{told:?}") };
        assert!(note.starts_with(&format!("{name} ended with 546")), "{note}");
    });
}

fn losses(sim: &Sim) -> Vec<String> {
    let events = sim.api.of_kind(Kind::Event).into_iter();
    let losses = events.filter(|event| event["reason"] == "EntriesLost");
    losses.map(|event| event["note"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn no_second_node_is_evicted_while_the_first_is_on_its_way_out() {
    simulate(async {
        let mut sim = Sim::start(0, 1);
        let user = sim.api.client("user");
        create(&user, NAMESPACE, 3, IMAGE).await;
        sim.settle(Duration::from_mins(5)).await.unwrap();
        let pods: Api<Pod> = Api::namespaced(user, NAMESPACE);
        let (first, second) = (sim.pod(0), sim.pod(1));
        pods.evict(&first, &EvictParams::default()).await.unwrap();
        sim.stir();
        let mut refused = 0;
        while pods.get_opt(&first).await.unwrap().is_some() {
            let answer = pods.evict(&second, &EvictParams::default()).await;
            assert!(
                matches!(&answer, Err(kube::Error::Api(status)) if status.code == 429),
                "{answer:?}"
            );
            refused += 1;
            sim.run_for(Duration::from_millis(300)).await;
        }
        assert!(refused > 1, "the first was gone at once");
        sim.settle(Duration::from_mins(5)).await.unwrap();
        pods.evict(&second, &EvictParams::default()).await.unwrap();
        sim.stir();
        sim.settle(Duration::from_mins(5)).await.unwrap();
        assert_eq!(losses(&sim), Vec::<String>::new());
    });
}

async fn cluster(user: &Client) -> CacheCluster {
    Api::<CacheCluster>::namespaced(user.clone(), NAMESPACE).get(NAME).await.unwrap()
}
