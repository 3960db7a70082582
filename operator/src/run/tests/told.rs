//! What people are told of what the operator cannot do, or leaves to others.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::SignedDuration;

use super::*;
use crate::objects::ring;
use crate::observe::fixture::{self, START};

const PODS: &str = "POST /api/v1/namespaces/shop/pods";

pub(super) fn counted(running: &Running, sample: &str) -> bool {
    running.metrics.render().lines().any(|line| line == sample)
}

/// Whether a condition of a status has ever had that reason.
fn has_said(stub: &FakeApi, reason: &str) -> bool {
    let reason = json!(reason);
    let writes = stub.writes();
    let mut bodies = writes.iter().map(|call| &call.body["status"]["conditions"]);
    bodies.any(|it| it.as_array().is_some_and(|all| all.iter().any(|c| c["reason"] == reason)))
}

pub(super) const ERRORS: &str =
    r#"controller_runtime_reconcile_errors_total{controller="cachecluster"}"#;

#[tokio::test(start_paused = true)]
async fn a_conflict_that_is_over_when_it_is_tried_again_is_no_error() {
    let stub = FakeApi::default();
    stub.put(&path("web"), single("web"));
    let is_first = AtomicBool::new(true);
    stub.rule(move |call| {
        let fails = call == PODS && is_first.swap(false, Ordering::Relaxed);
        if fails { Verdict::Refuse(409) } else { Verdict::Pass }
    });
    let running = start(&stub, Config::default());
    seconds(10).await;
    assert_eq!(stub.count(PODS), 2, "it was tried again");
    assert!(!has_said(&stub, "NodesCannotStart"), "nobody refused it");
    assert!(counted(&running, &format!("{ERRORS} 0")), "{}", running.metrics.render());
    let conflict =
        r#"controller_runtime_reconcile_total{controller="cachecluster",result="conflict"} 1"#;
    assert!(counted(&running, conflict), "{}", running.metrics.render());
    let step = r#"ringcache_operator_steps_total{kind="StartNode",result="conflict"} 1"#;
    assert!(counted(&running, step), "{}", running.metrics.render());
}

#[tokio::test(start_paused = true)]
async fn a_conflict_that_lasts_is_an_error() {
    let stub = FakeApi::default();
    stub.put(&path("web"), single("web"));
    stub.rule(|call| if call == PODS { Verdict::Refuse(409) } else { Verdict::Pass });
    let running = start(&stub, Config::default());
    seconds(10).await;
    assert!(!counted(&running, &format!("{ERRORS} 0")), "{}", running.metrics.render());
    let told = running.condition("web", "Ready").unwrap();
    assert!(told.starts_with("NodesCannotStart: "), "nodes that run are to serve: {told}");
}

#[tokio::test(start_paused = true)]
async fn a_cluster_whose_namespace_is_being_deleted_is_being_deleted() {
    let stub = FakeApi::default();
    stub.put(&path("web"), single("web"));
    stub.rule(|call| if call == PODS { Verdict::Terminating } else { Verdict::Pass });
    let running = start(&stub, Config::default());
    seconds(120).await;
    for type_ in ["Ready", "Reconciling"] {
        let told = running.condition("web", type_).unwrap();
        assert!(told.starts_with("Deleting: "), "{told}");
    }
    assert_eq!(running.status("web")["summary"]["state"], "Deleting");
    assert!(counted(&running, &format!("{ERRORS} 0")), "{}", running.metrics.render());
    let warnings = stub.events().into_iter().filter(|event| event["type"] == "Warning");
    assert_eq!(warnings.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_no_scheduler_takes_names_the_scheduler() {
    let stub = FakeApi::default();
    let mut web = single("web");
    web["spec"]["pod"] = json!({"schedulerName": "nope"});
    stub.put(&path("web"), web);
    let running = start(&stub, Config::default());
    seconds(60).await;
    let told = running.condition("web", "Ready").unwrap();
    let cause = "no scheduler has taken the pod: its schedulerName is `nope`";
    assert!(told.starts_with("NodesCannotStart: ") && told.contains(cause), "{told}");
}

/// The notes of the events with that reason.
pub(super) fn notes(stub: &FakeApi, reason: &str) -> Vec<String> {
    let events = stub.events().into_iter().filter(|event| event["reason"] == reason);
    events.filter_map(|event| event["note"].as_str().map(str::to_owned)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_the_operator_of_its_namespace_does_not_look_after_says_so_in_an_event() {
    let stub = FakeApi::default();
    stub.put(&path("web"), invalid("web"));
    stub.put(CLAIM, claim());
    let _running = start(&stub, Config::default());
    seconds(110).await;
    assert_eq!(notes(&stub, "LeftToOther"), [""; 0], "it has two minutes");
    seconds(15).await;
    assert_eq!(notes(&stub, "LeftToOther").len(), 1);
    seconds(875).await;
    let notes = notes(&stub, "LeftToOther");
    let [note] = notes.as_slice() else { panic!("{notes:?}") };
    for word in [
        "ConfigMap shop/ringcache-operator",
        "team/other-operator",
        "kubectl --namespace shop delete configmap ringcache-operator",
    ] {
        assert!(note.contains(word), "{note}");
    }
    assert_eq!(stub.count("PATCH "), 0, "the status is the other operator's");
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_another_operator_looks_after_gets_no_event() {
    let stub = FakeApi::default();
    let mut web = invalid("web");
    // The other one may be newer and say what this one does not know.
    let parked = json!({"name": "web-0", "state": "Parked", "ready": true, "slots": 16384});
    web["status"] = json!({"observedGeneration": 1, "members": [parked]});
    stub.put(&path("web"), web);
    stub.put(CLAIM, claim());
    let _running = start(&stub, Config::default());
    seconds(1000).await;
    assert_eq!(notes(&stub, "LeftToOther"), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn an_edit_gives_the_other_operator_a_turn_of_its_own() {
    let stub = FakeApi::default();
    let mut web = invalid("web");
    web["status"] = json!({"observedGeneration": 1});
    stub.put(&path("web"), web);
    stub.put(CLAIM, claim());
    let _running = start(&stub, Config::default());
    seconds(1000).await;
    for nodes in 2..4 {
        stub.edit(&path("web"), |web| web["spec"]["nodes"] = json!(nodes));
        seconds(60).await;
        stub.edit(&path("web"), |web| {
            web["status"]["observedGeneration"] = web["metadata"]["generation"].clone();
        });
        seconds(300).await;
    }
    assert_eq!(notes(&stub, "LeftToOther"), Vec::<String>::new());
    stub.edit(&path("web"), |web| web["spec"]["nodes"] = json!(4));
    seconds(150).await;
    assert_eq!(notes(&stub, "LeftToOther").len(), 1, "nobody has looked at this one");
}

#[tokio::test(start_paused = true)]
async fn a_name_that_a_pod_of_somebody_else_has_is_passed_over_without_a_word() {
    let stub = FakeApi::default();
    stub.put(&path("web"), single("web"));
    let other = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "web-0", "namespace": "shop"},
        "spec": {"containers": [{"name": "other", "image": "other:1"}]},
    });
    stub.put("pods/web-0", other);
    let running = start(&stub, Config::default());
    let tries = || {
        let writes = stub.writes().into_iter();
        writes.filter(|call| call.body["metadata"]["name"] == "web-0").count()
    };
    seconds(1).await;
    assert!(stub.get("pods/web-1").is_some(), "the next name is free");
    seconds(600).await;
    assert_eq!(tries(), 1);
    stub.edit(&path("web"), |web| web["spec"]["nodes"] = json!(2));
    seconds(2).await;
    assert!(stub.get("pods/web-2").is_some(), "the next name is free");
    assert_eq!(tries(), 2, "it may have been free again");
    assert_eq!(notes(&stub, "NameConflict"), Vec::<String>::new());
    assert!(counted(&running, &format!("{ERRORS} 0")), "{}", running.metrics.render());
}

/// A pod of a deleted cluster of the name `web`, which was told to end this moment and has that grace.
fn predecessor(name: &str, grace: i64) -> serde_json::Value {
    let mut pod = fixture::running(name, "10.0.0.9");
    let due = fixture::time(START).0 + SignedDuration::from_secs(grace);
    pod.metadata.deletion_timestamp = Some(Time(due));
    pod.metadata.deletion_grace_period_seconds = Some(grace);
    pod.metadata.owner_references.as_mut().unwrap()[0].uid = "uid-predecessor".to_owned();
    json!(pod)
}

#[tokio::test(start_paused = true)]
async fn a_pod_of_a_deleted_cluster_that_ends_is_waited_for_and_nothing_is_wrong() {
    let stub = FakeApi::default();
    stub.put(&path("web"), single("web"));
    stub.put("pods/web-0", predecessor("web-0", 66));
    let running = start(&stub, Config::default());
    seconds(60).await;
    let told = running.condition("web", "Ready").unwrap();
    assert!(told.contains("Pod shop/web-0 is still being deleted"), "{told}");
    stub.remove("pods/web-0");
    seconds(6).await;
    let name = &stub.get("pods/web-0").unwrap()["metadata"]["ownerReferences"][0]["uid"];
    assert_eq!(*name, "uid-web");
    assert!(stub.get("pods/web-1").is_none(), "its name was worth the wait");
    assert!(!has_said(&stub, "NodesCannotStart"), "nobody refused anything");
    let errors = running.metrics.reconcile_errors.with_label_values(&[CONTROLLER]).get();
    assert_eq!(errors, 0, "and nothing failed");
}

#[tokio::test(start_paused = true)]
async fn pods_of_a_deleted_cluster_that_do_not_end_hold_no_start_back_for_long() {
    let stub = FakeApi::default();
    let mut web = single("web");
    web["spec"]["nodes"] = json!(3);
    stub.put(&path("web"), web);
    // Their host has died. They are large.
    for name in ["web-0", "web-2"] {
        stub.put(&format!("pods/{name}"), predecessor(name, 1800));
    }
    let running = start(&stub, Config::default());
    seconds(100).await;
    for name in ["web-1", "web-3", "web-4"] {
        assert!(stub.get(&format!("pods/{name}")).is_some(), "{name} can be started");
    }
    assert!(!has_said(&stub, "NameConflict"));
    assert_eq!(running.status("web")["nodes"], 3);
}

#[tokio::test(start_paused = true)]
async fn the_death_of_the_last_node_is_told_at_once_and_once() {
    let stub = FakeApi::default();
    stub.put(&path("web"), fixture::cluster("{nodes: 1}"));
    stub.put(
        "configmaps/web-ring",
        ring::ring(&fixture::cluster("{nodes: 1}"), &fixture::document(1, &["web-0"])),
    );
    // No successor answers, so that there is nobody to write a document for.
    let _running = start(&stub, Config::default());
    seconds(1).await;
    assert_eq!(notes(&stub, "NodeLost"), ["web-0 died"]);
    seconds(600).await;
    assert_eq!(notes(&stub, "NodeLost").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_repair_brings_the_spec_with_its_document_and_waits_for_no_other_record() {
    let stub = FakeApi::default();
    let mut web = serde_json::to_value(fixture::cluster("{nodes: 3}")).unwrap();
    // Another node has died before, and has no successor yet.
    web["status"] = json!({
        "observedGeneration": 1, "operation": {"type": "Repair", "message": "web-2 died"},
    });
    stub.put(&path("web"), web);
    stub.put("pods/web-0", fixture::running("web-0", "10.0.0.1"));
    let document = fixture::document(1, &["web-0", "web-1"]);
    stub.put("configmaps/web-ring", ring::ring(&fixture::cluster("{nodes: 2}"), &document));
    let _running = start(&stub, Config::default());
    seconds(1).await;
    let ring = "PATCH /api/v1/namespaces/shop/configmaps/web-ring";
    let writes = stub.writes().into_iter().filter(|call| call.what.starts_with(ring));
    let bodies: Vec<_> = writes.map(|call| call.body).collect();
    assert!(bodies[0]["data"].is_object(), "{bodies:?}");
    assert_eq!(notes(&stub, "NodeLost"), ["web-1 died"]);
    let recorded = bodies[0]["metadata"]["annotations"]["ringcache.dev/spec"].to_string();
    assert!(recorded.contains("nodes\\\":3"), "{recorded}");
}
