//! The status on an API server that does not keep it as it is, or where others write it too.

use ringcache_api::status::LostEntries;
use serde_json::Value;

use super::told::{ERRORS, counted, notes};
use super::*;
use crate::objects::ring;
use crate::observe::fixture;
use crate::testing::START;

fn status_path() -> String {
    format!("PATCH {}/status", path("web"))
}

/// The cluster `shop/web`, which has lost a node, is to have two nodes more, and gets none that answers.
fn bereft() -> FakeApi {
    let stub = FakeApi::default();
    stub.put(&path("web"), fixture::cluster("{nodes: 3}"));
    stub.put("pods/web-0", fixture::running("web-0", "10.0.0.1"));
    let lost = LostEntries {
        at: fixture::time(START),
        nodes: vec!["web-7".to_owned()],
        slots: 7,
        entries: Some(70),
        asked_at: Some(fixture::time(START)),
    };
    let document = fixture::document(1, &["web-0"]);
    let ring = ring::ring(&fixture::cluster("{nodes: 3}"), &document);
    stub.put("configmaps/web-ring", ring::with_loss(ring, Some(&lost)));
    stub
}

#[tokio::test(start_paused = true)]
async fn a_definition_that_lacks_a_field_of_the_status_costs_that_field_and_nothing_else() {
    for field in [
        "lostEntries",
        "lostEntries.askedAt",
        "members",
        "members.[].slots",
        "operation",
        "operation.progressedAt",
        "operation.startedAt",
        "summary",
    ] {
        let stub = bereft();
        stub.server.undeclare(&format!("status.{field}"));
        let running = start(&stub, Config::default());
        seconds(1500).await;
        let status = running.status("web");
        let pointer = format!("/{}", field.replace("[]", "0").replace('.', "/"));
        assert_eq!(status.pointer(&pointer), None, "{status}");
        for (type_, reason) in [("EntriesLost", "NodesEnded: "), ("Degraded", "NoProgress: ")] {
            let told = running.condition("web", type_).unwrap();
            assert!(told.starts_with(reason), "{field}: {told}");
        }
        assert_eq!(notes(&stub, "OperationInitiated").len(), 1, "{field}");
        assert_eq!(
            notes(&stub, "Degraded").len(),
            2,
            "{field}: nodes are missing, and then it is stuck"
        );
        assert!(counted(&running, &format!("{ERRORS} 0")), "{}", running.metrics.render());
        let (writes, reconciles) = (stub.writes().len(), running.reconciles("web"));
        seconds(3600).await;
        assert!(running.reconciles("web") > reconciles + 10);
        assert_eq!(stub.writes()[writes..], [], "{field}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_status_that_somebody_else_wrote_is_put_right_at_the_next_look() {
    let stub = bereft();
    stub.server.undeclare("status.lostEntries.askedAt");
    let running = start(&stub, Config::default());
    seconds(1500).await;
    let before = running.status("web");
    stub.edit(&path("web"), |web| web["status"] = json!({"nodes": 9, "image": "other:1"}));
    seconds(15).await;
    let status = running.status("web");
    assert_eq!(
        (&status["nodes"], &status["lostEntries"]),
        (&before["nodes"], &before["lostEntries"])
    );
    assert_eq!(status["members"], before["members"]);
}

#[tokio::test(start_paused = true)]
async fn a_pass_that_is_late_does_not_change_what_another_one_wrote_meanwhile() {
    let stub = bereft();
    let is_first = AtomicBool::new(true);
    let other = stub.clone();
    stub.rule(move |call| {
        let is_pods = call.starts_with("GET /api/v1/namespaces/shop/pods");
        if is_pods && is_first.swap(false, Ordering::Relaxed) {
            other.edit(&path("web"), |web| {
                web["status"] = json!({"observedGeneration": 4, "operation": {
                    "type": "Roll", "message": "1 to be replaced of 3", "startedAt": START,
                }});
            });
        }
        Verdict::Pass
    });
    let running = start(&stub, Config::default());
    sleep(Duration::from_millis(500)).await;
    let first = stub.writes().into_iter().find(|call| call.what.starts_with(&status_path()));
    assert_eq!(first.unwrap().body["status"]["operation"]["type"], "ScaleOut");
    let versions = stub.server.history(0).into_iter().map(|change| change.object);
    let operations: Vec<Value> = versions
        .filter(|object| object.value()["kind"] == "CacheCluster")
        .map(|object| object.value()["status"].clone())
        .filter(|status| !status.is_null())
        .collect();
    assert_eq!(operations[0]["operation"]["type"], "Roll");
    assert!(operations[1..].iter().all(|status| status["ring"]["epoch"] == 1), "{operations:?}");
    seconds(10).await;
    assert_eq!(running.status("web")["operation"]["type"], "ScaleOut");
    let conflict =
        r#"controller_runtime_reconcile_total{controller="cachecluster",result="conflict"} 1"#;
    assert!(counted(&running, conflict), "{}", running.metrics.render());
    assert!(counted(&running, &format!("{ERRORS} 0")), "{}", running.metrics.render());
}

#[tokio::test(start_paused = true)]
async fn a_word_of_a_newer_operator_begins_no_condition_anew_and_repeats_no_event() {
    let stub = bereft();
    let running = start(&stub, Config::default());
    seconds(1500).await;
    let before = running.status("web");
    drop(running);
    stub.edit(&path("web"), |web| web["status"]["members"][0]["state"] = json!("Parked"));
    let running = start(&stub, Config::default());
    seconds(60).await;
    let status = running.status("web");
    assert_eq!(status["members"], before["members"], "its own word again");
    let since = |status: &Value| {
        let mut conditions = status["conditions"].as_array().unwrap().clone();
        // A member in another state is progress.
        conditions.retain(|condition| condition["type"] != "Degraded");
        conditions.into_iter().map(|mut c| c["lastTransitionTime"].take()).collect::<Vec<_>>()
    };
    assert_eq!(since(&status), since(&before));
    assert_eq!(notes(&stub, "OperationInitiated").len(), 1);
}
