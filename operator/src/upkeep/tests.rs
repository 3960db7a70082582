//! What is missing is put back; what is right, or somebody else's, is not touched.

use k8s_openapi::api::core::v1::Service;
use serde_json::{Value, json};

use super::{Repaired, contains, upkeep};
use crate::Error;
use crate::objects::{pdb, ring, services};
use crate::observe::fixture::{
    CLUSTER_PATH, FakeApi, FakeNodes, PDB_PATH, cluster, context, document, hosts, running,
};
use crate::observe::observe;

/// A cluster in order, as an API server would show it: with fields that it has added.
fn in_order() -> FakeApi {
    let (api, web) = (FakeApi::default(), cluster("{nodes: 1}"));
    api.put(CLUSTER_PATH, &web);
    let live = |object: Value, uid: &str| {
        let mut object = object;
        object["metadata"]["uid"] = json!(uid);
        object["metadata"]["resourceVersion"] = json!("5");
        object
    };
    let mut client = live(json!(services::client(&web)), "u-client");
    client["spec"]["clusterIP"] = json!("10.96.0.7");
    client["spec"]["sessionAffinity"] = json!("None");
    for port in client["spec"]["ports"].as_array_mut().unwrap() {
        port["nodePort"] = json!(30_000);
    }
    api.put("services/web", client);
    api.put("services/web-nodes", live(json!(services::nodes(&web)), "u-nodes"));
    let mut budget = live(json!(pdb::pdb(&web, 1)), "u-pdb");
    budget["status"] = json!({"currentHealthy": 1, "desiredHealthy": 1, "disruptionsAllowed": 0, "expectedPods": 1});
    api.put(PDB_PATH, budget);
    api.put(
        "configmaps/web-ring",
        live(json!(ring::ring(&web, &document(1, &["web-0"]))), "u-ring"),
    );
    api.put("pods/web-0", running("web-0", "10.0.0.1"));
    api
}

/// Changes a stored object.
fn change(api: &FakeApi, path: &str, change: impl FnOnce(&mut Value)) {
    let mut object = api.get(path);
    change(&mut object);
    api.put(path, object);
}

async fn keep_up(api: &FakeApi) -> Result<Vec<Repaired>, Error> {
    let context = context(api, &FakeNodes::default(), hosts([]));
    let observation = observe(&context, "shop", "web").await?.unwrap();
    upkeep(&context, &observation).await
}

#[tokio::test]
async fn nothing_is_written_when_nothing_differs() {
    let api = in_order();
    assert_eq!(keep_up(&api).await.unwrap(), []);
    assert_eq!(api.writes(), []);
}

#[tokio::test]
async fn what_is_missing_is_created_and_nothing_overwritten() {
    let api = in_order();
    for path in ["services/web", "services/web-nodes", PDB_PATH] {
        api.remove(path);
    }
    let repaired = keep_up(&api).await.unwrap();
    let texts: Vec<String> = repaired.iter().map(ToString::to_string).collect();
    let expected =
        ["Service web-nodes created", "Service web created", "PodDisruptionBudget web created"];
    assert_eq!(texts, expected);
    assert!(api.writes().iter().all(|call| call.what.starts_with("POST ")), "{:?}", api.writes());
}

#[tokio::test]
async fn what_was_changed_by_hand_is_put_right() {
    type Change = fn(&mut Value);
    let changes: [(&str, Change); 7] = [
        ("services/web", |it| it["spec"]["type"] = json!("NodePort")),
        ("services/web", |it| it["spec"]["selector"]["more"] = json!("narrow")),
        ("services/web", |it| it["spec"]["ports"] = json!([])),
        ("services/web-nodes", |it| it["spec"]["publishNotReadyAddresses"] = json!(false)),
        ("services/web-nodes", |it| it["metadata"]["labels"] = json!({})),
        (PDB_PATH, |it| it["spec"]["minAvailable"] = json!(0)),
        (PDB_PATH, |it| it["metadata"]["ownerReferences"][0]["kind"] = json!("Other")),
    ];
    for (path, by_hand) in changes {
        let api = in_order();
        change(&api, path, by_hand);
        assert_eq!(keep_up(&api).await.unwrap().len(), 1, "{path}");
        let [call] = &api.writes()[..] else { panic!("{:?}", api.writes()) };
        assert!(call.what.starts_with("PATCH ") && call.what.contains("force=true"), "{call:?}");
        assert!(call.body["metadata"]["uid"].is_string(), "only this one is meant: {call:?}");
    }
}

#[tokio::test]
async fn lists_are_set_as_a_whole_where_an_item_that_somebody_changed_is_in_the_way() {
    let api = in_order();
    change(&api, "services/web", |it| it["spec"]["ports"][0]["port"] = json!(7000));
    // So the API server says when a second port of the same name is applied.
    api.refuse("PATCH", "services/web", 422, "Invalid");
    assert!(matches!(keep_up(&api).await, Err(Error::Api(_))));
    let [applied, merged] = &api.writes()[..] else { panic!("{:?}", api.writes()) };
    assert!(applied.what.contains("force=true") && !merged.what.contains("force=true"));
    assert_eq!(merged.body, applied.body);
    assert!(merged.body["metadata"]["uid"].is_string(), "only this one is meant: {merged:?}");
}

#[tokio::test]
async fn labels_of_pods_and_of_the_ring_are_put_back_by_a_merge_that_names_the_object() {
    for (path, uid) in [("pods/web-0", "uid-web-0"), ("configmaps/web-ring", "u-ring")] {
        let api = in_order();
        change(&api, path, |it| {
            it["metadata"]["labels"]["app.kubernetes.io/name"] = json!("other");
        });
        assert_eq!(keep_up(&api).await.unwrap().len(), 1);
        let labels = json!({"app.kubernetes.io/name": "ringcache"});
        assert_eq!(api.writes()[0].body, json!({"metadata": {"labels": labels, "uid": uid}}));
    }
}

#[tokio::test]
async fn a_pod_that_ends_is_left_alone() {
    let changes: [fn(&mut Value); 2] = [
        |it| it["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z"),
        |it| it["status"]["phase"] = json!("Succeeded"),
    ];
    for end in changes {
        let api = in_order();
        change(&api, "pods/web-0", |it| {
            it["metadata"]["labels"]["app.kubernetes.io/name"] = json!("other");
            end(it);
        });
        assert_eq!(keep_up(&api).await.unwrap(), []);
    }
}

#[tokio::test]
async fn an_object_of_somebody_else_is_named_and_the_rest_goes_on() {
    for (path, kind) in [
        ("services/web", "Service"),
        (PDB_PATH, "PodDisruptionBudget"),
        ("configmaps/web-ring", "ConfigMap"),
    ] {
        let api = in_order();
        change(&api, path, |it| {
            it["metadata"]["ownerReferences"][0]["uid"] = json!("an earlier cluster");
        });
        api.remove("services/web-nodes");
        change(&api, "pods/web-0", |it| {
            it["metadata"]["labels"]["app.kubernetes.io/name"] = json!("x");
        });
        let error = keep_up(&api).await.unwrap_err().to_string();
        assert!(error.starts_with(&format!("{kind} shop/web")), "{error}");
        assert!(error.contains("belongs to somebody else: delete it or rename"), "{error}");
        let writes: Vec<String> = api.writes().into_iter().map(|call| call.what).collect();
        assert_eq!(writes.len(), 2, "{writes:?}");
        assert!(writes[0].starts_with("POST /api/v1/namespaces/shop/services?"));
        assert!(writes[1].starts_with("PATCH /api/v1/namespaces/shop/pods/web-0?"));
    }
}

#[tokio::test]
async fn one_failure_does_not_keep_other_repairs_back() {
    let api = in_order();
    api.remove("services/web-nodes");
    api.remove(PDB_PATH);
    api.refuse("POST", "services", 403, "Forbidden");
    assert!(matches!(keep_up(&api).await, Err(Error::Api(_))));
    assert_eq!(api.writes().len(), 2);
}

#[test]
fn additions_of_others_are_contained_and_omissions_are_not() {
    let wanted = json!(services::client(&cluster("{}")));
    let mut live = wanted.clone();
    live["spec"]["ports"].as_array_mut().unwrap().insert(0, json!({"name": "theirs", "port": 1}));
    live["metadata"]["labels"]["theirs"] = json!("x");
    assert!(contains(&live, &wanted));
    assert!(!contains(&wanted, &live));
    let typed: Service = serde_json::from_value(live).unwrap();
    assert!(contains(&json!(typed), &wanted));
}
