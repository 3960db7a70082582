//! Odd things that happen to a cluster, alone or together, and what the operator must do and say all the same.

use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{Patch, PatchParams};
use ringcache_api::CacheCluster;
use ringcache_fake_apiserver::{Kind, Verb};
use serde_json::{Value, json};

use crate::actions::{create, edit_in, perform};
use crate::desired::text;
use crate::hands::lock;
use crate::run::simulate;
use crate::sim::{NAME, NAMESPACE, Sim};
use crate::workload::{Action, Child, IMAGE};

const MINUTES: fn(u64) -> Duration = Duration::from_mins;

async fn settled(nodes: i32) -> Sim {
    let mut sim = Sim::start(0, 1);
    create(&sim.api.client("user"), NAMESPACE, nodes, IMAGE).await;
    sim.settle(MINUTES(5)).await.unwrap();
    sim
}

async fn edit(sim: &mut Sim, spec: Value) {
    sim.stir();
    edit_in(&sim.api.client("user"), NAMESPACE, &json!({ "spec": spec })).await;
}

async fn cluster(sim: &Sim) -> CacheCluster {
    let user = sim.api.client("user");
    Api::<CacheCluster>::namespaced(user, NAMESPACE).get(NAME).await.unwrap()
}

async fn patch_ring(sim: &mut Sim, patch: Value) {
    sim.stir();
    let maps: Api<ConfigMap> = Api::namespaced(sim.api.client("user"), NAMESPACE);
    let params = PatchParams::default();
    maps.patch(&format!("{NAME}-ring"), &params, &Patch::Merge(patch)).await.unwrap();
}

/// `status reason` of the condition in each version of the cluster that differs from the one before.
fn story_of(sim: &Sim, since: u64, type_: &str) -> Vec<String> {
    let mut story: Vec<String> = Vec::new();
    for change in sim.api.history(since) {
        let object = change.object.value();
        if object["kind"] != "CacheCluster" {
            continue;
        }
        let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
        let Some(found) = conditions.into_iter().flatten().find(|c| c["type"] == type_) else {
            continue;
        };
        let told = format!("{} {}", text(found, "/status"), text(found, "/reason"));
        if story.last() != Some(&told) {
            story.push(told);
        }
    }
    story
}

fn events(sim: &Sim, reason: &str) -> Vec<String> {
    let events = sim.api.of_kind(Kind::Event).into_iter();
    let events = events.filter(|event| event["reason"] == reason);
    events.map(|event| text(&event, "/note").to_owned()).collect()
}

/// For so long every pod that `fails` says ends before its program has answered anybody.
async fn crash_loop(sim: &mut Sim, time: Duration, fails: impl Fn(&Value) -> bool) {
    let mut left = time;
    let step = Duration::from_millis(500);
    while !left.is_zero() {
        for pod in sim.api.of_kind(Kind::Pod) {
            let is_new = matches!(text(&pod, "/status/phase"), "Pending");
            if is_new && !text(&pod, "/spec/nodeName").is_empty() && fails(&pod) {
                sim.api.exit(NAMESPACE, text(&pod, "/metadata/name"), 1);
            }
        }
        sim.run_for(step).await;
        left = left.saturating_sub(step);
    }
}

/// "An operation that gets no further for ten minutes" is `Degraded`, `NoProgress`.
#[test]
fn a_roll_whose_image_ends_at_once_is_degraded_within_the_hour() {
    simulate(async {
        let mut sim = settled(3).await;
        let since = sim.api.revision();
        edit(&mut sim, json!({"image": "registry.example/cache-node:crashes"})).await;
        crash_loop(&mut sim, MINUTES(60), |pod| {
            text(pod, "/spec/containers/0/image").ends_with("crashes")
        })
        .await;
        let status = cluster(&sim).await.status.unwrap();
        println!("{:#?}", status.operation);
        let story = story_of(&sim, since, "Degraded");
        assert!(story.iter().any(|told| told == "True NoProgress"), "{story:?}");
    });
}

/// "For a cause that lasts the operator sends one event, and another one after an hour."
#[test]
fn a_new_node_that_ends_at_once_is_told_once_an_hour() {
    simulate(async {
        let mut sim = settled(3).await;
        let since = sim.api.revision();
        edit(&mut sim, json!({"nodes": 4})).await;
        crash_loop(&mut sim, MINUTES(60), |pod| {
            !["web-0", "web-1", "web-2"].contains(&text(pod, "/metadata/name"))
        })
        .await;
        let story = story_of(&sim, since, "Degraded");
        // That nodes are missing, again after an hour, and that nothing gets on.
        let told = events(&sim, "Degraded");
        assert!(told.len() <= 3, "{} events, {story:?}", told.len());
        let lasting = ["True NodesMissing", "True NoProgress"];
        assert!(story.ends_with(&lasting.map(str::to_owned)), "it comes and goes: {story:?}");
    });
}

/// A new operator waits for the missing nodes anew, and they are missing meanwhile as well.
#[test]
fn a_restarted_operator_does_not_take_back_what_lasts() {
    simulate(async {
        let mut sim = settled(3).await;
        perform(&mut sim, &Action::Room(Some(3))).await;
        let since = sim.api.revision();
        edit(&mut sim, json!({"nodes": 4})).await;
        sim.run_for(MINUTES(3)).await;
        for _ in 0..3 {
            sim.replace_operators();
            sim.run_for(MINUTES(3)).await;
        }
        let (story, told) = (story_of(&sim, since, "Degraded"), events(&sim, "Degraded"));
        assert_eq!(story, ["False AsExpected", "True NodesMissing", "True NoProgress"]);
        assert_eq!(told.len(), 2, "{told:?}");
    });
}

/// The same for a node that answers now and then.
#[test]
fn a_node_that_answers_now_and_then_makes_no_flood_of_events() {
    simulate(async {
        let mut sim = settled(3).await;
        perform(&mut sim, &Action::Room(Some(3))).await;
        edit(&mut sim, json!({"nodes": 4})).await;
        for _ in 0..60 {
            perform(&mut sim, &Action::CutOff(1, Duration::from_secs(5))).await;
            sim.run_for(Duration::from_secs(20)).await;
        }
        let (bad, good) = (events(&sim, "SlotsWithoutOwner"), events(&sim, "Serving"));
        assert!(
            bad.len() <= 2,
            "{} warnings and {} all-clears in 20 minutes",
            bad.len(),
            good.len()
        );
    });
}

/// "Nodes that die are replaced all the same": also when the ring was deleted by hand, which is repaired without a pause.
#[test]
fn a_paused_cluster_whose_ring_was_deleted_is_repaired() {
    simulate(async {
        let mut sim = settled(3).await;
        edit(&mut sim, json!({"paused": true})).await;
        sim.run_for(MINUTES(1)).await;
        perform(&mut sim, &Action::Damage(Child::Ring)).await;
        sim.run_for(MINUTES(1)).await;
        perform(&mut sim, &Action::KillPod(1)).await;
        sim.run_for(MINUTES(10)).await;
        let status = cluster(&sim).await.status.unwrap();
        assert_eq!((status.nodes, status.ready_nodes), (3, 3), "{:#?}", status.summary);
    });
}

/// The same in the other order, as after an upgrade from version 0.1, which recorded no spec.
#[test]
fn a_cluster_that_was_paused_under_version_0_1_is_repaired() {
    simulate(async {
        let mut sim = settled(3).await;
        edit(&mut sim, json!({"paused": true})).await;
        sim.run_for(MINUTES(1)).await;
        perform(&mut sim, &Action::ComeFromVersion01).await;
        sim.run_for(MINUTES(1)).await;
        perform(&mut sim, &Action::KillPod(1)).await;
        sim.run_for(MINUTES(10)).await;
        let status = cluster(&sim).await.status.unwrap();
        assert_eq!((status.nodes, status.ready_nodes), (3, 3), "{:#?}", status.summary);
    });
}

/// What is recorded of a loss can be read, and is not what a status may say.
#[test]
fn a_damaged_record_of_a_loss_does_not_silence_the_status() {
    simulate(async {
        let mut sim = settled(3).await;
        let lost = json!({"at": "2026-01-01T00:00:00Z", "nodes": ["x".repeat(64)], "slots": 1});
        let annotations = json!({"ringcache.dev/lost": lost.to_string()});
        patch_ring(&mut sim, json!({"metadata": {"annotations": annotations}})).await;
        edit(&mut sim, json!({"nodes": 4})).await;
        sim.run_for(MINUTES(10)).await;
        let status = cluster(&sim).await.status.unwrap();
        assert_eq!(status.ready_nodes, 4, "{:#?}", status.summary);
    });
}

/// One failing kind of call costs one repair: pods that have ended are cleared away although none can be created.
#[test]
fn what_has_ended_is_cleared_away_while_no_pod_can_be_created() {
    simulate(async {
        let mut sim = settled(3).await;
        lock(&sim.tape).forbid(Verb::Create, "pods");
        perform(&mut sim, &Action::ExitContainer(1)).await;
        sim.run_for(MINUTES(10)).await;
        let pods = sim.api.of_kind(Kind::Pod);
        let phases: Vec<&str> = pods.iter().map(|pod| text(pod, "/status/phase")).collect();
        assert_eq!(phases, ["Running", "Running"], "a quota of pods would never let another in");
    });
}

/// While both hold, both are told: the one who paused it must see that it is paused.
#[test]
fn a_paused_cluster_with_a_mistake_in_its_spec_says_both() {
    simulate(async {
        let mut sim = settled(3).await;
        edit(&mut sim, json!({"paused": true})).await;
        sim.run_for(MINUTES(1)).await;
        edit(&mut sim, json!({"memory": "lots"})).await;
        sim.run_for(MINUTES(1)).await;
        let status = cluster(&sim).await.status.unwrap();
        let texts: Vec<&str> = status.conditions.iter().map(|c| c.message.as_str()).collect();
        assert!(texts.iter().any(|text| text.contains("`paused` is true")), "{texts:#?}");
    });
}

/// The ring was lost, and every node answers: the status counts none, and says that nobody answers.
#[test]
fn nodes_that_answer_are_not_said_to_be_silent_because_the_ring_is_lost() {
    simulate(async {
        let mut sim = settled(3).await;
        edit(&mut sim, json!({"paused": true})).await;
        sim.run_for(MINUTES(1)).await;
        perform(&mut sim, &Action::Damage(Child::Ring)).await;
        sim.run_for(MINUTES(1)).await;
        let status = cluster(&sim).await.status.unwrap();
        let says = status.conditions.iter().find(|c| c.type_ == "UpToDate").unwrap();
        assert_ne!(says.message, "No node answers, so that its version is unknown.");
    });
}

/// A pod of somebody else has the name of the next node: any other number would do.
#[test]
fn a_pod_of_somebody_else_holds_no_drain_back() {
    simulate(async {
        let mut sim = settled(3).await;
        let pods: Api<k8s_openapi::api::core::v1::Pod> =
            Api::namespaced(sim.api.client("user"), NAMESPACE);
        let foreign = serde_json::from_value(json!({
            "metadata": {"name": "web-3"},
            "spec": {"containers": [{"name": "other", "image": "other:1"}]},
        }))
        .unwrap();
        pods.create(&kube::api::PostParams::default(), &foreign).await.unwrap();
        sim.stir();
        perform(&mut sim, &Action::Cordon(1)).await;
        let host = sim.host_of(1);
        sim.run_for(MINUTES(10)).await;
        let on_it: Vec<Value> = sim
            .api
            .of_kind(Kind::Pod)
            .into_iter()
            .filter(|pod| {
                text(pod, "/spec/nodeName") == host
                    && pod.pointer("/metadata/labels/ringcache.dev~1cluster").is_some()
            })
            .collect();
        let status = cluster(&sim).await.status.unwrap();
        assert!(on_it.is_empty(), "{:#?}", status.summary);
    });
}

/// A pod of the deleted cluster stays on a dead host, and has the name of the first node.
#[test]
fn a_cluster_that_is_made_again_while_a_host_is_dead_gets_all_its_nodes_and_is_founded_with_them() {
    simulate(async {
        let mut sim = settled(3).await;
        perform(&mut sim, &Action::PowerLoss(0)).await;
        perform(&mut sim, &Action::DeleteCluster).await;
        sim.run_for(Duration::from_secs(3)).await;
        let since = sim.api.revision();
        create(&sim.api.client("user"), NAMESPACE, 3, IMAGE).await;
        sim.stir();
        sim.run_for(MINUTES(5)).await;
        let status = cluster(&sim).await.status.unwrap();
        assert_eq!(status.ready_nodes, 3, "{:#?}", status.summary);
        assert_eq!(story_of(&sim, since, "Degraded"), ["False AsExpected"]);
        assert_eq!(status.ring.unwrap().epoch, 1, "each slot has its owner from the beginning");
    });
}
