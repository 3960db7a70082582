//! The API server in memory with what it does not model: nodes behind `pods/proxy`, and logs.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use http::{Method, Request, Response};
use kube::Client;
use kube::client::Body;
use ringcache_fake_apiserver::{ApiServer, Options};
use serde_json::{Value, json};
use tower::service_fn;

pub(super) const NAMESPACE: &str = "shop";
/// Where the operator is.
pub(super) const SYSTEM: &str = "system";

/// The slot of the hot key of most tests, `customer:4711:cart`.
pub(super) const SLOT: u16 = 15_582;

/// In place of a status: no answer.
const HANGS: u16 = 0;

/// What is answered to a path, its query left out: a status and a body.
type Answers = HashMap<String, (u16, String)>;

/// The server. Clones are the same one.
#[derive(Clone)]
pub(super) struct Server {
    api: ApiServer,
    answers: Arc<Mutex<Answers>>,
    calls: Arc<Mutex<Vec<(Method, String)>>>,
}

impl Server {
    /// One with two namespaces and nothing in them.
    pub(super) fn new() -> Self {
        let namespaces = [NAMESPACE, SYSTEM].map(str::to_owned).into();
        let api = ApiServer::new(Options { namespaces, ..Options::default() });
        Self { api, answers: Arc::default(), calls: Arc::default() }
    }

    pub(super) fn client(&self) -> Client {
        let (server, inner) = (self.clone(), self.api.client("somebody"));
        let serve = move |request: Request<Body>| {
            let (server, inner) = (server.clone(), inner.clone());
            async move {
                let path = request.uri().path().to_owned();
                let call = (request.method().clone(), request.uri().to_string());
                server.calls.lock().unwrap().push(call);
                let answer = server.answers.lock().unwrap().get(&path).cloned();
                let answer = match answer {
                    // Nobody listens there.
                    None if path.contains("/proxy/") => Some((503, failure(503, "nobody"))),
                    answer => answer,
                };
                match answer {
                    None => inner.send(request).await,
                    Some((HANGS, _)) => std::future::pending().await,
                    Some((code, body)) => {
                        let body = Body::from(body.into_bytes());
                        Ok(Response::builder().status(code).body(body).expect("a response"))
                    }
                }
            }
        };
        Client::new(service_fn(serve), "default")
    }

    /// From now on that path is answered like this.
    pub(super) fn answers(&self, path: &str, code: u16, body: &(impl ToString + ?Sized)) {
        self.answers.lock().unwrap().insert(path.to_owned(), (code, body.to_string()));
    }

    /// From now on that path is not answered at all.
    pub(super) fn hangs(&self, path: &str) {
        self.answers(path, HANGS, "");
    }

    /// From now on nobody may do that.
    pub(super) fn forbids(&self, path: &str, why: &str) {
        self.answers(path, 403, &failure(403, why));
    }

    /// How often there was a call whose path and query contain this.
    pub(super) fn calls(&self, part: &str) -> usize {
        self.calls.lock().unwrap().iter().filter(|(_, path)| path.contains(part)).count()
    }

    /// The rights that the calls took, such as "`get` of `pods/log`".
    pub(super) fn rights(&self) -> BTreeSet<String> {
        self.calls.lock().unwrap().iter().map(|(_, call)| right(call)).collect()
    }

    /// Nobody has written anything, nor looked at a Secret.
    pub(super) fn was_only_read(&self) {
        let calls = self.calls.lock().unwrap();
        assert!(!calls.is_empty());
        let others: Vec<_> = calls.iter().filter(|(method, _)| method != Method::GET).collect();
        assert!(others.is_empty(), "{others:?}");
        assert!(calls.iter().all(|(_, path)| !path.contains("secrets")), "{calls:?}");
    }

    pub(super) fn put(&self, object: Value) {
        self.api.restore("somebody", object);
    }

    pub(super) fn cluster(&self, namespace: &str, name: &str, nodes: i32) {
        self.put(json!({
            "apiVersion": "ringcache.dev/v1alpha1", "kind": "CacheCluster",
            "metadata": { "name": name, "namespace": namespace, "uid": format!("uid-{name}") },
            "spec": { "nodes": nodes },
        }));
    }

    /// A pod of the cluster, ready, whose address ends in the last character of its name.
    pub(super) fn pod(&self, cluster: &str, name: &str) {
        self.put(pod(cluster, name));
    }

    /// What the node in that pod answers, one hot key among it.
    pub(super) fn node(&self, cluster: &str, pod: &str, hot_key: &str) {
        let incarnation = format!("uid-{pod}.1");
        let state = json!({
            "version": 1, "name": pod, "incarnation": incarnation, "clusterUid": format!("uid-{cluster}"),
            "program": "0.1.0", "epoch": 0, "checksum": "",
            "ownership": {
                "owned": [], "sealed": [], "handedIn": 0, "handedOut": 0, "adopted": 0,
            },
            "stats": {
                "entries": 7, "usedBytes": 1_048_576, "limitBytes": 0, "residentBytes": 2_097_152,
                "hits": 3, "misses": 1, "evicted": 0, "expired": 0, "forwarded": 0, "connections": 5,
            },
        });
        let curve = json!({
            "version": 1, "incarnation": incarnation, "budgetBytes": 1, "busy": 0.25,
            "halfLifeSeconds": 5.0, "depths": [[1, 75.0]], "absent": 25.0, "expired": 0.0,
            "reads": 100.0, "hits": 75.0,
        });
        let quantiles = json!({"count": 6500, "p50": 80, "p95": 90, "p99": 120, "p999": 200});
        let heat = json!({
            "version": 1, "incarnation": incarnation,
            "busiestSlots": [{"slot": SLOT, "operations": 9.5, "bytesIn": 0.0, "bytesOut": 1.0}],
            "hotKeys": [{"key": hot_key, "keyBytes": hot_key.len(), "share": 0.5}],
            "threads": [{"name": "resp-0", "busy": 0.5}], "readMicroseconds": quantiles,
            "writeMicroseconds": null, "evictedUnusedMilliseconds": null,
            "expiredUnusedMilliseconds": null, "stampedes": 0, "lastKeys": [hot_key],
        });
        let path = |path: &str| format!("{}{path}", proxy(pod));
        self.answers(&path("/admin/v1/state"), 200, &state);
        self.answers(&path("/admin/v1/curve"), 200, &curve);
        self.answers(&path("/admin/v1/heat"), 200, &heat);
        self.answers(&path("/metrics"), 200, "ringcache_db_keys 7\n");
    }
}

fn right(call: &str) -> String {
    let path = call.split('?').next().unwrap_or_default();
    let mut parts = path.split('/').filter(|part| !part.is_empty()).peekable();
    let group = match parts.next() {
        Some("apis") => parts.next().map(|group| format!(".{group}")),
        _ => None,
    };
    let _version = parts.next();
    if parts.next_if_eq(&"namespaces").is_some() {
        let _namespace = parts.next();
    }
    let kind = format!("{}{}", parts.next().expect("a kind"), group.unwrap_or_default());
    match (parts.next(), parts.next()) {
        (None, _) => format!("`list` of `{kind}`"),
        (Some(_), None) => format!("`get` of `{kind}`"),
        (Some(_), Some(part)) => format!("`get` of `{kind}/{part}`"),
    }
}

/// Where a node is asked.
pub(super) fn proxy(pod: &str) -> String {
    format!("/api/v1/namespaces/{NAMESPACE}/pods/{pod}:9400/proxy")
}

pub(super) fn pod(cluster: &str, name: &str) -> Value {
    let owner = json!({
        "apiVersion": "ringcache.dev/v1alpha1", "kind": "CacheCluster", "name": cluster,
        "uid": format!("uid-{cluster}"), "controller": true,
    });
    let labels = json!({
        "ringcache.dev/cluster": cluster, "app.kubernetes.io/managed-by": "ringcache-operator",
    });
    let last = name.chars().last().expect("a name");
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": name, "namespace": NAMESPACE, "uid": format!("uid-{name}"),
            "labels": labels, "ownerReferences": [owner],
        },
        "spec": { "nodeName": "host-1", "containers": [{"name": "cache-node", "image": "cache:1"}] },
        "status": {
            "phase": "Running", "podIP": format!("10.0.0.{last}"),
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    })
}

fn failure(code: u16, message: &str) -> String {
    let reason = match code {
        401 => "Unauthorized",
        403 => "Forbidden",
        _ => "ServiceUnavailable",
    };
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code,
    });
    status.to_string()
}
