//! The whole operator over an API server in memory, in virtual time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ringcache_api::Document;
use ringcache_api::admin::{NodeCurve, NodeState, SettingsFor};
use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::*;
use crate::nodes::NodeError;
use crate::testing::{FakeApi, Verdict, invalid, path, pod};

mod status;
mod told;

/// Cache nodes of which some panic and some never answer.
#[derive(Clone, Debug, Default)]
struct FakeNodes;

/// Whoever asks a node at this address panics.
const PANICS: &str = "10.0.0.66";
/// A node at this address never answers.
const HANGS: &str = "10.0.0.99";

impl Nodes for FakeNodes {
    async fn state(&self, host: &str, _: u16) -> Result<NodeState, NodeError> {
        match host {
            PANICS => panic!("a bug that only {host} brings to light"),
            HANGS => std::future::pending().await,
            _ => Err(NodeError::Timeout(Duration::from_secs(1))),
        }
    }

    async fn curve(&self, _: &str, _: u16) -> Result<NodeCurve, NodeError> {
        Err(NodeError::Timeout(Duration::from_secs(1)))
    }

    async fn push(&self, _: &str, _: u16, _: &Document) -> Result<(), NodeError> {
        Ok(())
    }

    async fn configure(&self, _: &str, _: u16, _: &SettingsFor) -> Result<(), NodeError> {
        Ok(())
    }
}

struct Running {
    stub: FakeApi,
    metrics: Metrics,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

fn start(stub: &FakeApi, config: Config) -> Running {
    let (metrics, shutdown) = (Metrics::new(), CancellationToken::new());
    let clock = Clock::virtual_from(stub.server.now());
    let operator = run(stub.client(), FakeNodes, config, clock, metrics.clone(), shutdown.clone());
    Running { stub: stub.clone(), metrics, shutdown, task: tokio::spawn(operator) }
}

impl Running {
    /// How often the cluster was reconciled: each reconcile begins by reading it.
    fn reconciles(&self, name: &str) -> usize {
        self.stub.exactly(&format!("GET {}", path(name)))
    }

    fn status(&self, name: &str) -> serde_json::Value {
        self.stub.get(&path(name)).unwrap()["status"].take()
    }

    /// What the condition `Stalled` says: reason and message.
    fn stalled(&self, name: &str) -> Option<String> {
        self.condition(name, "Stalled")
    }

    fn condition(&self, name: &str, type_: &str) -> Option<String> {
        let status = self.status(name);
        let mut conditions = status["conditions"].as_array()?.iter();
        let found = conditions.find(|condition| condition["type"] == type_)?;
        Some(format!("{}: {}", found["reason"].as_str()?, found["message"].as_str()?))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[test]
fn what_was_noted_of_a_cluster_that_is_gone_is_forgotten() {
    let noted = Noted::default();
    let Noted { memory, reach } = &noted;
    let key = Key { namespace: "shop".into(), name: "web".into() };
    reach.note("shop/web", ["a pod that does not answer"]);
    memory.of(&key, |notes| notes.failed(Duration::ZERO, Duration::ZERO));
    let web: ClusterMeta = serde_json::from_value(invalid("web")).unwrap();
    assert!(changed(&noted, Event::Apply(web.clone())).is_some());
    assert!(memory.of(&key, |notes| notes.is_failing()));
    assert!(changed(&noted, Event::Delete(web)).is_none(), "there is nothing to look at");
    assert_eq!(memory.len(), 0);
    assert!(!reach.is_silent("shop/web", "a pod that does not answer"));
}

async fn seconds(n: u64) {
    sleep(Duration::from_secs(n)).await;
}

/// Where the namespace says who serves it.
const CLAIM: &str = "/api/v1/namespaces/shop/configmaps/ringcache-operator";

fn claim() -> serde_json::Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "ringcache-operator", "namespace": "shop"},
        "data": {"operator": "team/other-operator"},
    })
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_another_operator_serves_is_left_to_it_for_as_long_as_it_does() {
    let stub = FakeApi::default();
    stub.put(&path("web"), invalid("web"));
    stub.put(CLAIM, claim());
    let running = start(&stub, Config::default());
    seconds(60).await;
    assert_eq!(stub.writes(), []);
    stub.remove(CLAIM);
    seconds(300).await;
    assert!(running.stalled("web").is_some(), "within five minutes of the other one's removal");
}

#[tokio::test(start_paused = true)]
async fn an_operator_of_chosen_namespaces_leaves_them_to_nobody() {
    let stub = FakeApi::default();
    stub.put(&path("web"), invalid("web"));
    stub.put(CLAIM, claim());
    let config = Config { namespaces: vec!["shop".into()], ..Config::default() };
    let running = start(&stub, config);
    seconds(60).await;
    assert!(running.stalled("web").is_some());
}

#[tokio::test(start_paused = true)]
async fn an_invalid_spec_is_reported_once_and_looked_at_again_when_it_changes() {
    let stub = FakeApi::default();
    stub.put(&path("web"), invalid("web"));
    let running = start(&stub, Config::default());
    seconds(60).await;
    assert!(
        running.stalled("web").unwrap().starts_with("InvalidSpec: "),
        "{:?}",
        running.status("web")
    );
    assert_eq!(running.reconciles("web"), 1, "its own status wakes it again");
    assert_eq!(stub.count(&format!("PATCH {}/status", path("web"))), 1);
    stub.edit(&path("web"), |cluster| cluster["spec"]["nodes"] = json!(2));
    seconds(1).await;
    assert_eq!(running.reconciles("web"), 2);
    assert_eq!(stub.count("POST /apis/events.k8s.io/v1/namespaces/shop/events"), 1, "said once");
}

/// A cluster of one node.
fn single(name: &str) -> serde_json::Value {
    let mut cluster = invalid(name);
    cluster["spec"] = json!({ "nodes": 1 });
    cluster
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_is_forbidden_costs_its_own_repair_and_is_told() {
    let stub = FakeApi::default();
    stub.put(&path("web"), single("web"));
    let is_forbidden = |call: &str| call.contains("/poddisruptionbudgets");
    stub.rule(move |call| if is_forbidden(call) { Verdict::Refuse(403) } else { Verdict::Pass });
    let running = start(&stub, Config::default());
    seconds(30).await;
    assert_eq!(stub.count("POST /api/v1/namespaces/shop/pods"), 1);
    for service in ["web", "web-nodes"] {
        assert!(stub.get(&format!("/api/v1/namespaces/shop/services/{service}")).is_some());
    }
    let told = running.condition("web", "Reconciling").unwrap();
    assert!(told.starts_with("Failing: Kubernetes API: "), "{told}");
}

#[tokio::test(start_paused = true)]
async fn what_keeps_a_cluster_from_being_looked_at_is_told() {
    let stub = FakeApi::default();
    stub.put(&path("web"), single("web"));
    let is_list = |call: &str| call.starts_with("GET /api/v1/namespaces/shop/pods");
    stub.rule(move |call| if is_list(call) { Verdict::Refuse(403) } else { Verdict::Pass });
    let running = start(&stub, Config::default());
    seconds(10).await;
    let told = running.condition("web", "Reconciling").unwrap();
    assert!(told.starts_with("Failing: Kubernetes API: "), "{told}");
    let written = stub.count(&format!("PATCH {}/status", path("web")));
    seconds(120).await;
    assert_eq!(stub.count(&format!("PATCH {}/status", path("web"))), written, "said once");
}

/// The client Service of `web`, with that owner.
fn service(owner: &serde_json::Value) -> (&'static str, serde_json::Value) {
    let service = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "web", "namespace": "shop", "uid": "uid-service", "ownerReferences": owner},
        "spec": {"selector": {"app": "other"}, "ports": [{"port": 80}]},
    });
    ("/api/v1/namespaces/shop/services/web", service)
}

#[tokio::test(start_paused = true)]
async fn a_name_that_somebody_else_gives_up_is_taken_within_ten_seconds() {
    let stub = FakeApi::default();
    stub.put(&path("web"), single("web"));
    let (service_path, theirs) = service(&json!([]));
    stub.put(service_path, theirs);
    let running = start(&stub, Config::default());
    seconds(200).await;
    let told = running.stalled("web").unwrap();
    assert!(told.starts_with("NameConflict: Service shop/web exists"), "{told}");
    stub.remove(service_path);
    seconds(10).await;
    assert!(stub.get(service_path).is_some(), "no watch tells of what is not ours");
    assert_eq!(running.stalled("web").unwrap(), "AsExpected: ");
}

#[tokio::test(start_paused = true)]
async fn what_is_left_of_a_deleted_cluster_of_the_same_name_is_waited_for_without_a_warning() {
    let stub = FakeApi::default();
    stub.put(&path("web"), single("web"));
    let (service_path, theirs) = service(&json!([{
        "apiVersion": "ringcache.dev/v1alpha1", "kind": "CacheCluster", "name": "web",
        "uid": "uid-predecessor", "controller": true,
    }]));
    stub.put(service_path, theirs);
    let running = start(&stub, Config::default());
    seconds(30).await;
    assert_eq!(running.stalled("web").unwrap(), "AsExpected: ");
    let told = running.status("web")["summary"]["message"].to_string();
    assert!(told.contains("Service shop/web is still being deleted"), "{told}");
    // A call that fails in the end is the first that does.
    let is_first = AtomicBool::new(true);
    stub.rule(move |call| {
        let is_create = call == "POST /api/v1/namespaces/shop/services";
        let fails = is_create && is_first.swap(false, Ordering::Relaxed);
        if fails { Verdict::Refuse(409) } else { Verdict::Pass }
    });
    stub.remove(service_path);
    seconds(2).await;
    assert!(stub.get(service_path).is_some(), "its end wakes the operator");
    let warnings = stub.events().into_iter().filter(|event| event["type"] == "Warning");
    assert_eq!(warnings.collect::<Vec<_>>(), Vec::<serde_json::Value>::new());
}

#[tokio::test(start_paused = true)]
async fn an_operator_that_cannot_know_whose_the_namespace_is_says_so_at_once_and_does_nothing_else()
{
    let stub = FakeApi::default();
    stub.put(&path("web"), single("web"));
    let claim = format!("GET {CLAIM}");
    stub.rule(move |call| if call == claim { Verdict::Refuse(403) } else { Verdict::Pass });
    let running = start(&stub, Config::default());
    sleep(Duration::from_millis(500)).await;
    let told = running.condition("web", "Reconciling").unwrap();
    assert!(told.starts_with("Failing: Kubernetes API: "), "{told}");
    seconds(120).await;
    assert_eq!(stub.count(&format!("PATCH {}/status", path("web"))), 1, "said once");
    assert_eq!(stub.count("POST /api/v1/namespaces/shop/"), 0);
    stub.rule(|_| Verdict::Pass);
    seconds(60).await;
    assert_eq!(stub.count("POST /api/v1/namespaces/shop/pods"), 1, "it goes on when it is let");
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_is_being_deleted_says_so_for_as_long_as_it_is_there_and_nothing_is_repaired()
 {
    let stub = FakeApi::default();
    let mut web = single("web");
    web["metadata"]["deletionTimestamp"] = json!("1970-01-01T00:00:00Z");
    web["metadata"]["finalizers"] = json!(["foregroundDeletion"]);
    stub.put(&path("web"), web);
    let (web_0, pod) = pod("web", "web-0", "10.0.0.1");
    stub.put(&web_0, pod);
    let running = start(&stub, Config::default());
    seconds(1).await;
    let ready = running.condition("web", "Ready").unwrap();
    assert!(ready.starts_with("Deleting: "), "{ready}");
    let message = running.status("web")["operation"]["message"].clone();
    assert_eq!(message, "all nodes end; left are web-0");
    assert_eq!(running.status("web")["summary"]["state"], "Deleting");
    seconds(590).await;
    assert_eq!(stub.count("PATCH "), 1, "said once");
    stub.remove(&web_0);
    seconds(1).await;
    assert_eq!(running.status("web")["operation"]["message"], "all nodes end");
    seconds(1200).await;
    let degraded = running.condition("web", "Degraded").unwrap();
    assert!(degraded.starts_with("NoProgress: "), "{degraded}");
    let writes = ["PATCH ", "PUT ", "DELETE ", "POST /api/"].map(|verb| stub.count(verb));
    assert_eq!(writes, [3, 0, 0, 0], "three statuses and nothing else");
}

#[tokio::test(start_paused = true)]
async fn watches_that_are_forbidden_for_ever_delay_nothing() {
    let stub = FakeApi::default();
    stub.put(&path("web"), invalid("web"));
    let broken = ["services", "configmaps", "poddisruptionbudgets", "nodes"];
    stub.rule(move |call| {
        let is_broken = broken.iter().any(|kind| call.ends_with(&format!("/{kind}")));
        if is_broken { Verdict::Refuse(403) } else { Verdict::Pass }
    });
    let running = start(&stub, Config::default());
    seconds(600).await;
    for generation in 2..30 {
        let before = running.reconciles("web");
        stub.edit(&path("web"), |cluster| cluster["spec"]["nodes"] = json!(generation));
        sleep(Duration::from_millis(100)).await;
        assert_eq!(running.reconciles("web"), before + 1, "generation {generation}");
        seconds(7).await;
    }
    let errors = running.metrics.watch_errors.with_label_values(&["Service"]).get();
    assert!(
        (10..60).contains(&errors),
        "{errors} attempts in 13 min: backed off, and not given up"
    );
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_one_cluster_takes_no_other_down() {
    let stub = FakeApi::default();
    for name in ["bad", "good"] {
        stub.put(&path(name), invalid(name));
    }
    let (pod_path, pod) = pod("bad", "bad-0", PANICS);
    stub.put(&pod_path, pod);
    let running = start(&stub, Config::default());
    seconds(100).await;
    let panics = running.metrics.panics.with_label_values(&[CONTROLLER]).get();
    assert!((6..=8).contains(&panics), "{panics}: 1 s, 2 s, 4 s … apart");
    assert!(running.status("bad").is_null());
    stub.edit(&path("good"), |cluster| cluster["spec"]["nodes"] = json!(2));
    seconds(1).await;
    assert_eq!(running.reconciles("good"), 2);
    let active = running.metrics.active_workers.with_label_values(&[CONTROLLER]).get();
    assert_eq!(active, 0, "a panicking reconcile is still counted as running");
    stub.remove(&pod_path);
    seconds(1).await;
    assert!(running.stalled("bad").is_some(), "works again as soon as the cause is gone");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_never_answers_holds_up_its_own_cluster_only() {
    let stub = FakeApi::default();
    for name in ["bad", "good"] {
        stub.put(&path(name), invalid(name));
    }
    let (pod_path, pod) = pod("bad", "bad-0", HANGS);
    stub.put(&pod_path, pod);
    let config = Config { workers: 2, ..Config::default() };
    let running = start(&stub, config);
    seconds(30).await;
    for generation in 2..10 {
        stub.edit(&path("good"), |cluster| cluster["spec"]["nodes"] = json!(generation));
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(running.reconciles("good"), 9);
    seconds(31).await;
    let timeouts = running.metrics.errors.with_label_values(&["timeout"]).get();
    assert_eq!(timeouts, 1, "given up after a minute");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_hangs_ends_at_its_deadline_and_is_tried_again() {
    let stub = FakeApi::default();
    stub.put(&path("web"), invalid("web"));
    let web = format!("GET {}", path("web"));
    stub.rule(move |call| if call == web { Verdict::Hang } else { Verdict::Pass });
    let running = start(&stub, Config::default());
    seconds(30).await;
    assert_eq!(running.reconciles("web"), 3, "10 s each, 1 s and 2 s between");
    assert_eq!(running.metrics.errors.with_label_values(&["api_unreachable"]).get(), 2);
    stub.rule(|_| Verdict::Pass);
    seconds(10).await;
    assert!(running.stalled("web").is_some());
}

#[tokio::test(start_paused = true)]
async fn never_more_reconciles_at_once_than_workers() {
    let stub = FakeApi::default();
    for n in 0..20 {
        stub.put(&path(&format!("c{n}")), invalid(&format!("c{n}")));
    }
    stub.rule(|call| {
        let is_read = call.starts_with(&format!("GET {}", path("c")));
        if is_read { Verdict::Delay(Duration::from_secs(1)) } else { Verdict::Pass }
    });
    let running = start(&stub, Config { workers: 3, ..Config::default() });
    seconds(30).await;
    assert_eq!(stub.most_running(), 3);
    assert!((0..20).all(|n| running.reconciles(&format!("c{n}")) == 1));
}

#[tokio::test(start_paused = true)]
async fn an_idle_cluster_is_looked_at_again_within_five_minutes() {
    let stub = FakeApi::default();
    for n in 0..20 {
        stub.put(&path(&format!("c{n}")), invalid(&format!("c{n}")));
    }
    let running = start(&stub, Config::default());
    seconds(200).await;
    let early: usize = (0..20).map(|n| running.reconciles(&format!("c{n}")) - 1).sum();
    assert_eq!(early, 0);
    seconds(60).await;
    let some: usize = (0..20).map(|n| running.reconciles(&format!("c{n}")) - 1).sum();
    assert!((1..20).contains(&some), "{some} of 20: they come back spread");
    seconds(45).await;
    assert!((0..20).all(|n| running.reconciles(&format!("c{n}")) == 2));
    assert_eq!(stub.count("PATCH"), 20, "a status each, and nothing more");
}

#[tokio::test(start_paused = true)]
async fn several_namespaces_are_watched_as_one() {
    let stub = FakeApi::default();
    let other = path("api").replace("/shop/", "/office/");
    stub.put(&path("web"), invalid("web"));
    let mut api = invalid("api");
    api["metadata"]["namespace"] = json!("office");
    stub.put(&other, api);
    let namespaces = vec!["shop".into(), "office".into()];
    let running = start(&stub, Config { namespaces, ..Config::default() });
    seconds(1).await;
    assert_eq!((running.reconciles("web"), stub.count(&format!("GET {other}"))), (1, 1));
    stub.edit(&other, |cluster| cluster["spec"]["nodes"] = json!(2));
    stub.edit(&path("web"), |cluster| cluster["spec"]["nodes"] = json!(2));
    seconds(1).await;
    assert_eq!((running.reconciles("web"), stub.count(&format!("GET {other}"))), (2, 2));
    assert_eq!(stub.count("GET /api/v1/pods"), 0, "nothing is asked of other namespaces");
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_is_gone_costs_its_own_clusters_only() {
    let stub = FakeApi::default();
    stub.put(&path("web"), invalid("web"));
    stub.rule(|call| match call {
        call if call.contains("/namespaces/office/") => Verdict::Refuse(403),
        _ => Verdict::Pass,
    });
    let namespaces = vec!["shop".into(), "office".into()];
    let config = Config { namespaces, ..Config::default() };
    let running = start(&stub, config.clone());
    let progress = running.metrics.progress.clone();
    seconds(5).await;
    assert_eq!(progress.missing(), None, "not ready");
    for generation in 2..22 {
        seconds(60).await;
        stub.edit(&path("web"), |cluster| cluster["spec"]["nodes"] = json!(generation));
        assert_eq!(progress.stalled(config.watch_stall), None, "minute {generation}: not healthy");
    }
    assert!(running.reconciles("web") >= 20, "{}", running.reconciles("web"));
    let metrics = running.metrics.render();
    for kind in ["CacheCluster", "Pod", "Service"] {
        let refused = format!("ringcache_operator_watches_refused{{kind=\"{kind}\"}} 1\n");
        assert!(metrics.contains(&refused), "{metrics}");
    }
    stub.rule(|_| Verdict::Pass);
    seconds(31).await;
    let none = "ringcache_operator_watches_refused{kind=\"Pod\"} 0\n";
    assert!(running.metrics.render().contains(none), "{}", running.metrics.render());
}

#[tokio::test(start_paused = true)]
async fn a_change_of_a_pod_or_of_its_host_wakes_its_cluster() {
    let stub = FakeApi::default();
    for name in ["web", "api"] {
        stub.put(&path(name), invalid(name));
    }
    let (web_0, pod) = pod("web", "web-0", "10.0.0.1");
    stub.put(&web_0, pod);
    let host = |ready: &str, heartbeat: &str| {
        let condition = json!({ "type": "Ready", "status": ready, "lastHeartbeatTime": heartbeat });
        json!({
            "apiVersion": "v1", "kind": "Node", "metadata": { "name": "host-1", "uid": "h1" },
            "status": { "conditions": [condition] },
        })
    };
    stub.put("/api/v1/nodes/host-1", host("True", "2026-01-01T00:00:00Z"));
    let running = start(&stub, Config::default());
    seconds(5).await;
    let begin = running.reconciles("web");
    stub.edit(&web_0, |pod| pod["status"]["phase"] = json!("Failed"));
    sleep(Duration::from_millis(100)).await;
    assert_eq!(running.reconciles("web"), begin + 1, "the pod");
    stub.put("/api/v1/nodes/host-1", host("Unknown", "2026-01-01T00:00:00Z"));
    sleep(Duration::from_millis(100)).await;
    assert_eq!(running.reconciles("web"), begin + 2, "the host");
    stub.put("/api/v1/nodes/host-1", host("Unknown", "2026-01-01T00:00:10Z"));
    stub.edit(&web_0, |pod| pod["metadata"]["finalizers"] = json!(["held.dev/a"]));
    sleep(Duration::from_millis(100)).await;
    assert_eq!(running.reconciles("web"), begin + 2, "a heartbeat");
    stub.remove("/api/v1/nodes/host-1");
    sleep(Duration::from_millis(100)).await;
    assert_eq!(running.reconciles("web"), begin + 3, "the host's end");
    assert_eq!(running.reconciles("api"), 1, "the other cluster has nothing there");
}

#[tokio::test(start_paused = true)]
async fn told_to_stop_it_finishes_what_runs_and_begins_nothing() {
    let stub = FakeApi::default();
    stub.put(&path("web"), invalid("web"));
    let web = format!("GET {}", path("web"));
    stub.rule(
        move |call| {
            if call == web { Verdict::Delay(Duration::from_secs(4)) } else { Verdict::Pass }
        },
    );
    let mut running = start(&stub, Config::default());
    seconds(2).await;
    running.shutdown.cancel();
    stub.put(&path("api"), invalid("api"));
    let began = tokio::time::Instant::now();
    (&mut running.task).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    assert!(running.stalled("web").is_some(), "the running reconcile has reported");
    assert_eq!(running.reconciles("api"), 0);
    assert_eq!(stub.count("POST /apis/events.k8s.io/v1/namespaces/shop/events"), 1);
}

#[tokio::test(start_paused = true)]
async fn told_to_stop_it_waits_ten_seconds_at_most() {
    let stub = FakeApi::default();
    stub.put(&path("web"), invalid("web"));
    let (pod_path, pod) = pod("web", "web-0", HANGS);
    stub.put(&pod_path, pod);
    let mut running = start(&stub, Config::default());
    seconds(2).await;
    running.shutdown.cancel();
    let began = tokio::time::Instant::now();
    (&mut running.task).await.unwrap();
    assert_eq!(began.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn dropped_it_leaves_nothing_behind() {
    let stub = FakeApi::default();
    stub.put(&path("web"), invalid("web"));
    let running = start(&stub, Config::default());
    seconds(1).await;
    drop(running);
    seconds(1).await;
    let calls = stub.count("");
    stub.edit(&path("web"), |cluster| cluster["spec"]["nodes"] = json!(2));
    seconds(1000).await;
    assert_eq!(stub.count(""), calls);
}
