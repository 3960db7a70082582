//! The API server of this crate's tests: the one in memory, with objects and calls by their paths.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::StatusCode;
use kube::Client;
use kube::core::Status;
use kube::core::response::{StatusCause, StatusDetails};
use ringcache_fake_apiserver::{self as fake, ApiServer, Kind, Options, Verb, failure};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::Instant;

/// Who has made what a test begins with.
const OPERATOR: &str = "ringcache-operator";
/// The time that the server's clock shows at first.
pub(crate) const START: &str = "2026-01-01T00:00:00Z";

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Pass,
    /// Refused with that code.
    Refuse(u16),
    /// Refused, for the namespace is being deleted.
    Terminating,
    /// Carried out, and answered so much later.
    Delay(Duration),
    /// Never answered.
    Hang,
}

/// A call that was made.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Call {
    /// Method and path, and the query that follows.
    pub(crate) what: String,
    pub(crate) body: Value,
}

/// A call as rules see it: `METHOD path`, of a watch `WATCH path`.
type Rule = Arc<dyn Fn(&str) -> Verdict + Send + Sync>;

#[derive(Default)]
struct State {
    /// As rules see them, and as they were made.
    calls: Vec<(String, Call)>,
    rule: Option<Rule>,
    refusals: HashMap<String, (u16, &'static str)>,
    /// When delayed calls were made and answered.
    delayed: Vec<(Instant, Instant)>,
}

/// The server, without hosts and without a platform that would do anything by itself; clones are the same one.
#[derive(Clone)]
pub(crate) struct FakeApi {
    pub(crate) server: ApiServer,
    state: Arc<Mutex<State>>,
}

impl Default for FakeApi {
    fn default() -> Self {
        let server = ApiServer::new(Options {
            epoch: START.parse().unwrap(),
            latency: Duration::ZERO,
            namespaces: ["shop", "office", "system"].map(str::to_owned).into(),
            hosts: Vec::new(),
            ..Options::default()
        });
        let state = Arc::new(Mutex::new(State::default()));
        let noted = Arc::clone(&state);
        server.set_hook(move |_, call| State::note(&noted, call));
        Self { server, state }
    }
}

impl FakeApi {
    /// A client. What it writes under no other name is the writer's and not the operator's.
    pub(crate) fn client(&self) -> Client {
        self.server.client("client")
    }

    /// What becomes of each call from now on.
    pub(crate) fn rule(&self, rule: impl Fn(&str) -> Verdict + Send + Sync + 'static) {
        self.state.lock().unwrap().rule = Some(Arc::new(rule));
    }

    /// Lets every `method` call of that path fail.
    pub(crate) fn refuse(&self, method: &str, path: &str, code: u16, reason: &'static str) {
        let call = format!("{method} {}", full(path));
        self.state.lock().unwrap().refusals.insert(call, (code, reason));
    }

    /// Puts an object at a path, as the operator would have left it. A path that does not begin with `/` is one below
    /// `/api/v1/namespaces/shop/`.
    pub(crate) fn put(&self, path: &str, object: impl Serialize) {
        self.put_as(OPERATOR, path, &object);
    }

    /// Changes an object, as anybody else.
    pub(crate) fn edit(&self, path: &str, change: impl FnOnce(&mut Value)) {
        let mut object = self.get(path).expect("the object exists");
        change(&mut object);
        self.put_as("somebody", path, &object);
    }

    fn put_as(&self, manager: &str, path: &str, object: &impl Serialize) {
        let (object, path) = (json!(object), full(path));
        let (kind, namespace, name) = place(&path);
        let metadata = &object["metadata"];
        assert_eq!(object["kind"], kind.name(), "at {path}");
        assert_eq!((&metadata["namespace"], &metadata["name"]), (&namespace, &json!(name)));
        self.server.restore(manager, object);
    }

    pub(crate) fn remove(&self, path: &str) {
        let path = full(path);
        let (kind, namespace, name) = place(&path);
        self.server.remove(kind, namespace.as_str().unwrap_or_default(), name);
    }

    pub(crate) fn get(&self, path: &str) -> Option<Value> {
        let path = full(path);
        let (kind, namespace, name) = place(&path);
        self.server.get(kind, namespace.as_str().unwrap_or_default(), name)
    }

    /// The resourceVersion of an object.
    pub(crate) fn version(&self, path: &str) -> Value {
        self.get(path).expect("the object exists")["metadata"]["resourceVersion"].take()
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.state.lock().unwrap().calls.iter().map(|(_, call)| call.clone()).collect()
    }

    /// The calls that are no reads.
    pub(crate) fn writes(&self) -> Vec<Call> {
        self.calls().into_iter().filter(|call| !call.what.starts_with("GET ")).collect()
    }

    /// The events that were told.
    pub(crate) fn events(&self) -> Vec<Value> {
        self.server.of_kind(Kind::Event)
    }

    /// How many calls there were that begin like this.
    pub(crate) fn count(&self, beginning: &str) -> usize {
        let state = self.state.lock().unwrap();
        state.calls.iter().filter(|(call, _)| call.starts_with(beginning)).count()
    }

    /// How often there was this call.
    pub(crate) fn exactly(&self, call: &str) -> usize {
        self.state.lock().unwrap().calls.iter().filter(|(made, _)| *made == call).count()
    }

    /// How many delayed calls waited for their answers at once, at most.
    pub(crate) fn most_running(&self) -> usize {
        let state = self.state.lock().unwrap();
        let waiting = |at| state.delayed.iter().filter(move |(from, to)| (from..to).contains(&at));
        state.delayed.iter().map(|(from, _)| waiting(from).count()).max().unwrap_or_default()
    }
}

impl State {
    fn note(state: &Mutex<Self>, call: &fake::Call) -> fake::Verdict {
        let (method, address) = call.line.split_once(' ').unwrap();
        let method = if call.verb == Verb::Watch { "WATCH" } else { method };
        let seen = format!("{method} {}", address.split('?').next().unwrap());
        let (rule, refusal) = {
            let mut state = state.lock().unwrap();
            let made = Call { what: call.line.clone(), body: call.body.clone() };
            state.calls.push((seen.clone(), made));
            (state.rule.clone(), state.refusals.get(&seen).copied())
        };
        if let Some((code, reason)) = refusal {
            return fake::Verdict::Refuse(Box::new(failure(code, reason, "")));
        }
        match rule.map_or(Verdict::Pass, |rule| rule(&seen)) {
            Verdict::Pass => fake::Verdict::Pass,
            Verdict::Refuse(code) => fake::Verdict::Refuse(Box::new(refusal_of(code))),
            Verdict::Terminating => fake::Verdict::Refuse(Box::new(terminating())),
            Verdict::Delay(pause) => {
                let now = Instant::now();
                state.lock().unwrap().delayed.push((now, now + pause));
                fake::Verdict::Late(pause)
            }
            Verdict::Hang => fake::Verdict::DropBefore,
        }
    }
}

fn refusal_of(code: u16) -> kube::core::Status {
    let reason = StatusCode::from_u16(code).unwrap().canonical_reason().unwrap_or_default();
    failure(code, &reason.replace(' ', ""), reason)
}

/// How a real server refuses whatever is new in a namespace that is about to go.
fn terminating() -> Status {
    let text = "unable to create new content in namespace shop because it is being terminated";
    let cause = StatusCause {
        reason: "NamespaceTerminating".to_owned(),
        message: "namespace shop is being terminated".to_owned(),
        field: "metadata.namespace".to_owned(),
    };
    let details = StatusDetails {
        name: "web-0".to_owned(),
        group: String::new(),
        kind: "pods".to_owned(),
        uid: String::new(),
        causes: vec![cause],
        retry_after_seconds: 0,
    };
    failure(403, "Forbidden", text).with_details(details)
}

fn full(path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("/api/v1/namespaces/shop/{path}") }
}

/// What the path of an object leads to: its kind, its namespace (null if it has none) and its name.
fn place(path: &str) -> (Kind, Value, &str) {
    let (collection, name) = path.rsplit_once('/').expect("a path");
    let (parent, plural) = collection.rsplit_once('/').expect("a path of an object");
    let kind = Kind::ALL.into_iter().find(|kind| kind.plural() == plural).expect("a kind");
    let namespace = parent.split_once("/namespaces/").map(|(_, namespace)| namespace);
    (kind, json!(namespace), name)
}

/// The path of a cluster in the namespace `shop`.
pub(crate) fn path(name: &str) -> String {
    format!("/apis/ringcache.dev/v1alpha1/namespaces/shop/cacheclusters/{name}")
}

/// A cluster whose spec the schema lets pass without its rules, and which is invalid: a reconcile of it reads, and writes a
/// status, and that is all.
pub(crate) fn invalid(name: &str) -> Value {
    json!({
        "apiVersion": "ringcache.dev/v1alpha1", "kind": "CacheCluster",
        "metadata": { "name": name, "namespace": "shop", "uid": format!("uid-{name}"), "generation": 1 },
        "spec": { "nodes": 1, "memory": "lots" },
    })
}

/// A pod of that cluster, running at that address.
pub(crate) fn pod(cluster: &str, name: &str, address: &str) -> (String, Value) {
    let owner = json!({
        "apiVersion": "ringcache.dev/v1alpha1", "kind": "CacheCluster", "name": cluster,
        "uid": format!("uid-{cluster}"), "controller": true,
    });
    let labels = json!({
        "ringcache.dev/cluster": cluster, "app.kubernetes.io/managed-by": "ringcache-operator",
    });
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": name, "namespace": "shop", "uid": format!("uid-{name}"),
            "labels": labels, "ownerReferences": [owner],
        },
        "spec": { "nodeName": "host-1", "containers": [{ "name": "cache-node", "image": "cache:1" }] },
        "status": { "phase": "Running", "podIP": address },
    });
    (format!("/api/v1/namespaces/shop/pods/{name}"), pod)
}
