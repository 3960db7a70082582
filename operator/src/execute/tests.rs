//! The calls that steps are made of, and what they must say to be harmless.

use std::time::Duration;

use ringcache_api::Incarnation;
use ringcache_api::admin::{Settings, SettingsFor};
use ringcache_api::status::LostEntries;
use ringcache_operator_core::{Phase, Step};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{AT_ONCE, Execution};
use crate::Error;
use crate::objects::{meta, ring};
use crate::observe::Observation;
use crate::observe::fixture::{
    CLUSTER_PATH, FakeApi, FakeNodes, HANG, START, answer, cluster, context, document, ended, host,
    hosts, observe_web, off, pod, running, template, time,
};

/// A cluster of one node, after a look at it that is not among the calls.
struct World {
    api: FakeApi,
    nodes: FakeNodes,
}

impl World {
    fn new() -> Self {
        let (api, nodes) = (FakeApi::default(), FakeNodes::default());
        api.put(CLUSTER_PATH, cluster("{}"));
        api.put("pods/web-0", running("web-0", "10.0.0.1"));
        nodes.states.lock().unwrap().insert("10.0.0.1".to_owned(), answer("web-0"));
        Self { api, nodes }
    }

    /// With a stored ring.
    fn with_ring(epoch: u64) -> Self {
        let world = Self::new();
        let document = document(epoch, &["web-0"]);
        world.api.put("configmaps/web-ring", ring::ring(&cluster("{}"), &document));
        world
    }

    async fn look(&self) -> Observation {
        let context = context(&self.api, &self.nodes, hosts([]));
        observe_web(&context).await.unwrap().unwrap()
    }

    async fn execute(&self, step: &Step) -> Result<(), Error> {
        self.execute_all(std::slice::from_ref(step)).await.remove(0)
    }

    async fn execute_all(&self, steps: &[Step]) -> Vec<Result<(), Error>> {
        let observation = self.look().await;
        let context = context(&self.api, &self.nodes, hosts([]));
        Execution::new(&context, &observation, None).carry_out(steps).await
    }

    /// With so many nodes more, and the steps that give each of them the document of that epoch.
    fn with_nodes(&self, nodes: usize, epoch: u64) -> Vec<Step> {
        let more = (1..=nodes).map(|n| {
            let (name, address) = (format!("web-{n}"), format!("10.0.1.{n}"));
            self.api.put(&format!("pods/{name}"), running(&name, &address));
            self.nodes.states.lock().unwrap().insert(address, answer(&name));
            Step::PushDocument { uid: format!("uid-{name}"), name, epoch }
        });
        more.collect()
    }

    fn reads_of_the_ring(&self) -> usize {
        let calls = self.api.calls();
        calls
            .iter()
            .filter(|call| call.what.starts_with("GET") && call.what.contains("web-ring"))
            .count()
    }

    /// The only write of this step.
    async fn write(&self, step: &Step) -> (String, Value) {
        self.execute(step).await.unwrap();
        let [call] = &self.api.writes()[..] else { panic!("{:?}", self.api.writes()) };
        (call.what.clone(), call.body.clone())
    }
}

fn start(name: &str) -> Step {
    Step::StartNode {
        name: name.to_owned(),
        template: template("cache:1"),
        settings: Settings::default(),
    }
}

fn stop(name: &str) -> Step {
    Step::StopNode { name: name.to_owned(), uid: format!("uid-{name}"), reason: "test".to_owned() }
}

fn push(epoch: u64) -> Step {
    Step::PushDocument { name: "web-0".to_owned(), uid: "uid-web-0".to_owned(), epoch }
}

#[tokio::test]
async fn a_pod_is_posted_and_never_applied() {
    let (what, body) = World::new().write(&start("web-1")).await;
    let path = "POST /api/v1/namespaces/shop/pods";
    assert_eq!(what, format!("{path}?&fieldManager=ringcache-operator"));
    assert_eq!(body["metadata"]["name"], "web-1");
    assert_eq!(body["metadata"]["annotations"][meta::FAILURES], Value::Null);
}

#[tokio::test]
async fn a_pod_after_failed_ones_remembers_how_many() {
    let world = World::new();
    let mut failed = pod("web-1", ended(START, START));
    let annotations = failed.metadata.annotations.as_mut().unwrap();
    annotations.insert(meta::FAILURES.to_owned(), "2".to_owned());
    world.api.put("pods/web-1", failed);
    let (_, body) = world.write(&start("web-2")).await;
    assert_eq!(body["metadata"]["annotations"][meta::FAILURES], "3");
}

#[tokio::test]
async fn a_pod_of_somebody_else_is_not_touched_and_named() {
    let world = World::new();
    let mut theirs = running("web-1", "10.0.0.2");
    theirs.metadata.owner_references = None;
    world.api.put("pods/web-1", theirs);
    let error = world.execute(&start("web-1")).await.unwrap_err();
    let expected =
        "Pod shop/web-1 exists and belongs to somebody else: delete it or rename the cluster";
    assert_eq!(error.to_string(), expected);
    assert_eq!(world.api.writes().len(), 1, "the attempt and nothing more");
}

#[tokio::test]
async fn only_what_a_deleted_cluster_of_the_same_name_leaves_is_waited_for_and_not_for_longer_than_it_should_take()
 {
    // The grace of a large node; the clock shows START.
    let (just_told, overdue) = ("2026-01-01T00:29:00Z", "2026-01-01T00:28:30Z");
    for (owner, due, category) in [
        (Some("web"), None, "ending"),
        (Some("web"), Some(just_told), "ending"),
        (Some("web"), Some(overdue), "foreign"),
        (Some("other"), Some(just_told), "foreign"),
        (None, Some(just_told), "foreign"),
    ] {
        let world = World::new();
        let mut theirs = running("web-1", "10.0.0.2");
        theirs.metadata.deletion_timestamp = due.map(time);
        theirs.metadata.deletion_grace_period_seconds = due.map(|_| 1800);
        let owners = theirs.metadata.owner_references.as_mut().unwrap();
        match owner {
            Some(name) => (owners[0].name, owners[0].uid) = (name.to_owned(), "before".to_owned()),
            None => owners.clear(),
        }
        world.api.put("pods/web-1", theirs);
        let error = world.execute(&start("web-1")).await.unwrap_err();
        assert_eq!(error.category(), category, "of {owner:?}, to be gone at {due:?}");
        assert_eq!(error.is_taken_name(), category == "foreign");
    }
}

#[tokio::test]
async fn a_pod_of_ours_that_lost_its_label_gets_it_back_instead_of_blocking_its_name() {
    let world = World::new();
    let mut unlabelled = running("web-1", "10.0.0.2");
    unlabelled.metadata.labels.as_mut().unwrap().remove("ringcache.dev/cluster");
    world.api.put("pods/web-1", unlabelled);
    world.execute(&start("web-1")).await.unwrap();
    let patch =
        json!({"metadata": {"labels": {"ringcache.dev/cluster": "web"}, "uid": "uid-web-1"}});
    assert_eq!(world.api.writes()[1].body, patch);
    let labels = world.api.get("pods/web-1").unwrap()["metadata"]["labels"].take();
    assert_eq!(labels["ringcache.dev/cluster"], "web");
}

#[tokio::test]
async fn a_pod_whose_name_was_taken_for_a_moment_was_not_started() {
    let world = World::new();
    world.api.refuse("POST", "pods", 409, "AlreadyExists");
    let error = world.execute(&start("web-1")).await.unwrap_err();
    assert_eq!(error.api_code(), Some(409));
}

#[tokio::test]
async fn a_pod_is_deleted_only_if_it_is_the_one_that_is_meant() {
    let (what, body) = World::new().write(&stop("web-0")).await;
    assert_eq!(what, "DELETE /api/v1/namespaces/shop/pods/web-0?");
    assert_eq!(body, json!({"preconditions": {"uid": "uid-web-0"}}), "with its own grace period");
}

#[tokio::test]
async fn what_is_left_of_a_pod_that_has_ended_goes_at_once() {
    let world = World::new();
    world.api.put("pods/web-0", pod("web-0", ended(START, START)));
    let (_, body) = world.write(&stop("web-0")).await;
    assert_eq!(body, json!({"gracePeriodSeconds": 0, "preconditions": {"uid": "uid-web-0"}}));
    assert_eq!(world.api.get("pods/web-0"), None);
}

#[tokio::test]
async fn the_pod_of_a_lost_node_waits_for_its_kubelet_unless_its_host_was_declared_to_be_off() {
    for (host, grace) in
        [(host("host-1", "Unknown", false), None), (off("host-1", "Unknown"), Some(0))]
    {
        let world = World::new();
        let context = context(&world.api, &world.nodes, hosts([host]));
        let mut observation = observe_web(&context).await.unwrap().unwrap();
        observation.observed.nodes[0].phase = Phase::Lost;
        let mut execution = Execution::new(&context, &observation, None);
        execution.carry_out(&[stop("web-0")]).await.remove(0).unwrap();
        assert_eq!(world.api.writes()[0].body["gracePeriodSeconds"], json!(grace));
        assert_eq!(world.api.get("pods/web-0").is_none(), grace == Some(0));
    }
}

#[tokio::test]
async fn a_pod_that_is_gone_or_another_one_by_now_needs_no_deletion() {
    let changes: [fn(&FakeApi); 2] = [
        |api| api.remove("pods/web-0"),
        |api| api.edit("pods/web-0", |pod| pod["metadata"]["uid"] = json!("another")),
    ];
    for happens_meanwhile in changes {
        let world = World::new();
        let (observation, context) =
            (world.look().await, context(&world.api, &world.nodes, hosts([])));
        happens_meanwhile(&world.api);
        let revision = world.api.server.revision();
        let mut execution = Execution::new(&context, &observation, None);
        execution.carry_out(&[stop("web-0")]).await.remove(0).unwrap();
        assert_eq!(world.api.writes().len(), 1, "it was asked for");
        assert_eq!(world.api.server.revision(), revision, "and nothing was deleted");
    }
    let world = World::new();
    world.api.refuse("DELETE", "pods/web-0", 500, "InternalError");
    assert!(world.execute(&stop("web-0")).await.is_err());
}

#[tokio::test]
async fn a_deletion_under_way_is_not_asked_for_again() {
    for (status, grace, writes) in [
        (json!({"phase": "Running", "podIP": "10.0.0.1"}), 30, 0),
        (ended(START, START), 30, 1),
        (ended(START, START), 0, 0),
    ] {
        let world = World::new();
        let mut stopping = pod("web-0", status);
        stopping.metadata.deletion_timestamp = Some(time(START));
        stopping.metadata.deletion_grace_period_seconds = Some(grace);
        world.api.put("pods/web-0", stopping);
        world.execute(&stop("web-0")).await.unwrap();
        assert_eq!(world.api.writes().len(), writes, "grace {grace}");
    }
}

#[tokio::test]
async fn the_first_document_is_posted() {
    let document = document(1, &["web-0"]);
    let (what, body) =
        World::new().write(&Step::WriteDocument { document: document.clone() }).await;
    assert!(what.starts_with("POST /api/v1/namespaces/shop/configmaps?"), "{what}");
    assert_eq!(body["metadata"]["resourceVersion"], Value::Null);
    assert_eq!(body["data"]["ring.json"], document.to_json());
}

#[tokio::test]
async fn the_next_document_replaces_only_the_one_that_was_observed() {
    let step = Step::WriteDocument { document: document(4, &["web-0"]) };
    let world = World::with_ring(3);
    let version = world.api.version("configmaps/web-ring");
    let (what, body) = world.write(&step).await;
    let path = "PATCH /api/v1/namespaces/shop/configmaps/web-ring";
    assert_eq!(what, format!("{path}?&force=true&fieldManager=ringcache-operator"));
    assert_eq!(body["metadata"]["resourceVersion"], version);
    assert_eq!(body["metadata"]["uid"], Value::Null);
    // Another operator was first.
    let world = World::with_ring(3);
    let (observation, context) = (world.look().await, context(&world.api, &world.nodes, hosts([])));
    world.api.put("configmaps/web-ring", ring::ring(&cluster("{}"), &document(5, &["web-0"])));
    let version = world.api.version("configmaps/web-ring");
    let mut execution = Execution::new(&context, &observation, None);
    let error = execution.carry_out(&[step]).await.remove(0).unwrap_err();
    assert_eq!((error.api_code(), world.api.version("configmaps/web-ring")), (Some(409), version));
}

#[tokio::test]
async fn what_is_lost_with_a_node_is_recorded_with_the_document_that_gives_it_up_and_kept_by_the_next()
 {
    let world = World::with_ring(3);
    let lost = LostEntries {
        at: serde_json::from_value(json!(START)).unwrap(),
        nodes: vec!["web-1".to_owned()],
        slots: 7,
        entries: Some(1234),
        asked_at: Some(serde_json::from_value(json!(START)).unwrap()),
    };
    let context = context(&world.api, &world.nodes, hosts([]));
    let step = Step::WriteDocument { document: document(4, &["web-0"]) };
    for lost_now in [Some(&lost), None] {
        let observation = world.look().await;
        let mut execution = Execution::new(&context, &observation, lost_now.cloned());
        execution.carry_out(std::slice::from_ref(&step)).await.remove(0).unwrap();
        let body = world.api.writes().last().unwrap().body.clone();
        let recorded = body["metadata"]["annotations"]["ringcache.dev/lost"].as_str().unwrap();
        assert_eq!(serde_json::from_str::<LostEntries>(recorded).unwrap(), lost);
        assert_eq!(world.look().await.observed.lost, Some(lost.clone()));
    }
}

/// A newer operator recorded it, and is away.
#[tokio::test]
async fn a_document_is_written_without_a_change_of_a_record_that_can_only_be_read_in_part() {
    let world = World::with_ring(3);
    let spec = json!({"nodes": 1, "memory": "256Mi", "disruption": {"evictions": "Negotiated"}});
    let record = |body: &Value| body["metadata"]["annotations"]["ringcache.dev/spec"].clone();
    world.api.edit("configmaps/web-ring", |ring| {
        ring["metadata"]["annotations"]["ringcache.dev/spec"] = spec.to_string().into();
    });
    world.api.edit(CLUSTER_PATH, |cluster| cluster["spec"] = spec.clone());
    let step = Step::WriteDocument { document: document(4, &["web-0"]) };
    let (_, body) = world.write(&step).await;
    assert_eq!(record(&body), spec.to_string());
    assert_eq!(record(&world.api.get("configmaps/web-ring").unwrap()), spec.to_string());
}

#[tokio::test]
async fn a_config_map_of_somebody_else_is_not_overwritten() {
    let world = World::new();
    let theirs = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "web-ring", "namespace": "shop"},
    });
    world.api.put("configmaps/web-ring", theirs);
    let step = Step::WriteDocument { document: document(1, &["web-0"]) };
    let error = world.execute(&step).await.unwrap_err().to_string();
    assert!(error.starts_with("ConfigMap shop/web-ring exists and belongs"), "{error}");
    assert_eq!(world.api.writes(), []);
}

#[tokio::test]
async fn a_node_is_given_what_is_stored() {
    let world = World::with_ring(3);
    world.execute(&push(3)).await.unwrap();
    assert_eq!(*world.nodes.pushed.lock().unwrap(), [("10.0.0.1".to_owned(), 3)]);
    // Planned and not written, or already replaced by another operator's.
    assert!(world.execute(&push(4)).await.is_err());
    assert_eq!(world.nodes.pushed.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn all_nodes_are_given_what_was_just_stored_without_reading_it_again() {
    let world = World::with_ring(3);
    let pushes = world.with_nodes(40, 4);
    let observation = world.look().await;
    let context = context(&world.api, &world.nodes, hosts([]));
    let mut execution = Execution::new(&context, &observation, None);
    let next = document(4, &["web-0"]);
    let reads = world.reads_of_the_ring();
    execution.carry_out(&[Step::WriteDocument { document: next }]).await.remove(0).unwrap();
    assert!(execution.carry_out(&pushes).await.iter().all(Result::is_ok));
    assert_eq!(world.reads_of_the_ring(), reads);
    let given = world.nodes.pushed.lock().unwrap();
    assert!(given.len() == 40 && given.iter().all(|(_, epoch)| *epoch == 4), "{given:?}");
}

#[tokio::test(start_paused = true)]
async fn nodes_that_hang_hold_up_no_other() {
    let world = World::with_ring(3);
    let pushes = world.with_nodes(60, 3);
    world.nodes.hanging.lock().unwrap().extend((1..=5).map(|n| format!("10.0.1.{n}")));
    let others_have_it = async {
        while world.nodes.pushed.lock().unwrap().len() < 55 {
            sleep(Duration::from_millis(1)).await;
        }
        Instant::now()
    };
    let began = Instant::now();
    let (results, others) = tokio::join!(world.execute_all(&pushes), others_have_it);
    assert!(others - began < Duration::from_millis(100), "{:?}", others - began);
    assert!(began.elapsed() < HANG * 2, "they are waited for at once: {:?}", began.elapsed());
    let failed: Vec<bool> = results.iter().map(Result::is_err).collect();
    assert_eq!(failed, [vec![true; 5], vec![false; 55]].concat(), "each result is of its step");
    assert_eq!(world.nodes.busy.lock().unwrap().1, AT_ONCE);
}

#[tokio::test]
async fn settings_are_addressed_to_the_run_of_the_node_that_was_observed() {
    let settings = Settings { ttl_default_seconds: 60, ttl_jitter_percent: 0 };
    let step = Step::Configure { name: "web-0".into(), uid: "uid-web-0".into(), settings };
    let world = World::with_ring(3);
    world.execute(&step).await.unwrap();
    let expected =
        SettingsFor { to: Some(Incarnation::new("uid-web-0", "1")), settings: settings.into() };
    assert_eq!(*world.nodes.configured.lock().unwrap(), [expected]);
}

#[tokio::test]
async fn a_node_that_was_not_observed_is_not_meant() {
    let world = World::with_ring(3);
    let step = Step::PushDocument { name: "web-0".into(), uid: "another".into(), epoch: 3 };
    assert!(world.execute(&step).await.is_err());
    let observation = world.look().await;
    assert_eq!(observation.observed.nodes[0].phase, Phase::Running);
}

#[tokio::test]
async fn a_document_that_cannot_be_written_fails_with_the_remedy() {
    let world = World::with_ring(3);
    world.api.edit("configmaps/web-ring", |ring| ring["immutable"] = json!(true));
    let step = Step::WriteDocument { document: document(4, &["web-0"]) };
    let told = world.execute(&step).await.unwrap_err().to_string();
    assert!(told.contains("kubectl --namespace shop delete configmap web-ring"), "{told}");
}
