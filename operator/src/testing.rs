//! A small API server for the tests of this crate: it keeps what it is given, lists, watches, and fails on demand.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Bytes, Frame};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tower::BoxError;

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Pass,
    /// Refused with that code.
    Refuse(u16),
    /// Answered so much later.
    Delay(Duration),
    /// Never answered.
    Hang,
}

type Answer = Response<UnsyncBoxBody<Bytes, BoxError>>;
type Rule = Arc<dyn Fn(&str) -> Verdict + Send + Sync>;

#[derive(Default)]
struct State {
    /// By path.
    objects: BTreeMap<String, Value>,
    version: u64,
    watches: Vec<(String, mpsc::UnboundedSender<Value>)>,
    /// As `METHOD path`, watches as `WATCH path`.
    calls: Vec<String>,
    running: BTreeMap<String, usize>,
    most_running: usize,
    rule: Option<Rule>,
}

/// The server; clones are the same one.
#[derive(Clone, Default)]
pub(crate) struct Stub(Arc<Mutex<State>>);

impl Stub {
    pub(crate) fn client(&self) -> Client {
        let stub = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let stub = stub.clone();
            async move { stub.call(request).await }
        });
        Client::new(service, "shop")
    }

    /// What becomes of each call from now on.
    pub(crate) fn rule(&self, rule: impl Fn(&str) -> Verdict + Send + Sync + 'static) {
        self.0.lock().unwrap().rule = Some(Arc::new(rule));
    }

    /// Creates or replaces an object, and tells the watches.
    pub(crate) fn put(&self, path: &str, mut object: Value) {
        let mut state = self.0.lock().unwrap();
        state.version += 1;
        object["metadata"]["resourceVersion"] = json!(state.version.to_string());
        let known = state.objects.insert(path.to_owned(), object.clone()).is_some();
        let event = json!({ "type": if known { "MODIFIED" } else { "ADDED" }, "object": object });
        state.tell(path, &event);
    }

    /// Changes an object.
    pub(crate) fn edit(&self, path: &str, change: impl FnOnce(&mut Value)) {
        let mut object = self.get(path).expect("the object exists");
        change(&mut object);
        self.put(path, object);
    }

    pub(crate) fn remove(&self, path: &str) {
        let mut state = self.0.lock().unwrap();
        state.version += 1;
        if let Some(mut object) = state.objects.remove(path) {
            object["metadata"]["resourceVersion"] = json!(state.version.to_string());
            state.tell(path, &json!({ "type": "DELETED", "object": object }));
        }
    }

    pub(crate) fn get(&self, path: &str) -> Option<Value> {
        self.0.lock().unwrap().objects.get(path).cloned()
    }

    /// How many calls there were that begin like this.
    pub(crate) fn count(&self, beginning: &str) -> usize {
        let state = self.0.lock().unwrap();
        state.calls.iter().filter(|call| call.starts_with(beginning)).count()
    }

    /// How often there was this call.
    pub(crate) fn exactly(&self, call: &str) -> usize {
        self.0.lock().unwrap().calls.iter().filter(|made| *made == call).count()
    }

    /// How many objects were being read at once at most, counted between a delayed call and its answer.
    pub(crate) fn most_running(&self) -> usize {
        self.0.lock().unwrap().most_running
    }

    pub(crate) async fn call(&self, request: Request<Body>) -> Result<Answer, BoxError> {
        let path = request.uri().path().to_owned();
        let query = request.uri().query().unwrap_or_default();
        let is_watch = query.split('&').any(|pair| pair == "watch=true");
        let verb = if is_watch { "WATCH" } else { request.method().as_str() };
        let call = format!("{verb} {path}");
        let rule = {
            let mut state = self.0.lock().unwrap();
            state.calls.push(call.clone());
            state.rule.clone()
        };
        match rule.map_or(Verdict::Pass, |rule| rule(&call)) {
            Verdict::Pass => (),
            Verdict::Refuse(code) => return Ok(status(code)),
            Verdict::Delay(pause) => {
                self.enter(&path, 1);
                tokio::time::sleep(pause).await;
                self.enter(&path, -1);
            }
            Verdict::Hang => std::future::pending().await,
        }
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(if is_watch { self.watch(&path) } else { self.answer(&head.method, &path, &body) })
    }

    fn enter(&self, path: &str, by: isize) {
        let mut state = self.0.lock().unwrap();
        let running = state.running.entry(path.to_owned()).or_default();
        *running = running.saturating_add_signed(by);
        let now = state.running.values().sum();
        state.most_running = state.most_running.max(now);
    }

    fn answer(&self, method: &Method, path: &str, body: &[u8]) -> Answer {
        let sent: Value = serde_json::from_slice(body).unwrap_or_default();
        match *method {
            Method::GET if is_collection(path) => self.list(path),
            Method::GET => self.get(path).map_or_else(|| status(404), |object| whole(200, &object)),
            Method::POST => {
                let name = sent["metadata"]["name"].as_str().unwrap_or_default().to_owned();
                let object = format!("{path}/{name}");
                self.put(&object, sent);
                self.get(&object).map_or_else(|| status(404), |object| whole(201, &object))
            }
            Method::PATCH => {
                let object = path.strip_suffix("/status").unwrap_or(path);
                let before = self.get(object).unwrap_or_else(|| json!({ "metadata": {} }));
                let version = &sent["metadata"]["resourceVersion"];
                if !version.is_null() && *version != before["metadata"]["resourceVersion"] {
                    return status(409);
                }
                self.put(object, merged(before, sent));
                self.get(object).map_or_else(|| status(404), |object| whole(200, &object))
            }
            _ => {
                self.remove(path);
                status(200)
            }
        }
    }

    fn list(&self, path: &str) -> Answer {
        let state = self.0.lock().unwrap();
        let items: Vec<_> = state
            .objects
            .iter()
            .filter(|(object, _)| is_in(object, path))
            .map(|(_, o)| o)
            .collect();
        let metadata = json!({ "resourceVersion": state.version.to_string() });
        whole(
            200,
            &json!({ "kind": "List", "apiVersion": "v1", "metadata": metadata, "items": items }),
        )
    }

    fn watch(&self, path: &str) -> Answer {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.0.lock().unwrap().watches.push((path.to_owned(), sender));
        let events =
            stream::unfold(receiver, |mut receiver: mpsc::UnboundedReceiver<Value>| async {
                receiver.recv().await.map(|event| (event, receiver))
            });
        let frames =
            events.map(|event| Ok::<_, BoxError>(Frame::data(Bytes::from(format!("{event}\n")))));
        Response::new(UnsyncBoxBody::new(StreamBody::new(frames)))
    }
}

impl State {
    fn tell(&mut self, path: &str, event: &Value) {
        self.watches.retain(|(collection, sender)| {
            !is_in(path, collection) || sender.send(event.clone()).is_ok()
        });
    }
}

/// Whether the object is in the collection: of its namespace, or of all.
fn is_in(object: &str, collection: &str) -> bool {
    let Some((parent, _)) = object.rsplit_once('/') else { return false };
    let everywhere = parent.split_once("/namespaces/").map(|(group, rest)| {
        let kind = rest.split_once('/').map_or("", |(_, kind)| kind);
        format!("{group}/{kind}")
    });
    parent == collection || everywhere.as_deref() == Some(collection)
}

fn is_collection(path: &str) -> bool {
    let kinds = [
        "cacheclusters",
        "pods",
        "services",
        "configmaps",
        "poddisruptionbudgets",
        "nodes",
        "leases",
    ];
    kinds.iter().any(|kind| path.ends_with(&format!("/{kind}")))
}

fn merged(mut before: Value, patch: Value) -> Value {
    if let Value::Object(patch) = patch {
        for (key, value) in patch {
            let old = before[&key].take();
            before[&key] =
                if value.is_object() && old.is_object() { merged(old, value) } else { value };
        }
    }
    before
}

fn status(code: u16) -> Answer {
    let reason = StatusCode::from_u16(code).unwrap().canonical_reason().unwrap_or_default();
    let outcome = if code < 400 { "Success" } else { "Failure" };
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": outcome,
        "code": code, "reason": reason.replace(' ', ""), "message": reason,
    });
    whole(code, &status)
}

fn whole(code: u16, body: &Value) -> Answer {
    let body = Full::new(Bytes::from(body.to_string())).map_err(|never| match never {});
    Response::builder().status(code).body(UnsyncBoxBody::new(body)).unwrap()
}

/// The path of a cluster in the namespace `shop`.
pub(crate) fn path(name: &str) -> String {
    format!("/apis/ringcache.dev/v1alpha1/namespaces/shop/cacheclusters/{name}")
}

/// A cluster of no nodes, which is invalid: a reconcile of it reads, and writes a status, and that is all.
pub(crate) fn invalid(name: &str) -> Value {
    json!({
        "apiVersion": "ringcache.dev/v1alpha1", "kind": "CacheCluster",
        "metadata": { "name": name, "namespace": "shop", "uid": format!("uid-{name}"), "generation": 1 },
        "spec": { "nodes": 0 },
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
        "spec": { "nodeName": "host-1", "containers": [] },
        "status": { "phase": "Running", "podIP": address },
    });
    (format!("/api/v1/namespaces/shop/pods/{name}"), pod)
}
