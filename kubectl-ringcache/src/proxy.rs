//! The admin API of nodes, reached through the API server: whoever looks need not be in the cluster's network.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::client::{AuthError, Body};
use kube::core::Status;
use kube::{Api, Client, ResourceExt as _};
use ringcache_api::Document;
use ringcache_api::admin::{ErrorBody, NodeCurve, NodeHeat, NodeState, SettingsFor};
use ringcache_operator::nodes::{NodeError, Nodes};
use ringcache_operator_core::status::CLUSTER_LABEL;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::OnceCell;
use tokio::time::timeout;

/// Longest wait for an answer of a node by way of the API server.
const PATIENCE: Duration = Duration::from_secs(5);
/// Most bytes of an answer: whatever listens there may say more.
const MAX_ANSWER_BYTES: usize = 1 << 20;
/// Most characters that are told of an answer that is no answer.
const MAX_TOLD: usize = 200;

/// Asks pods of one namespace for what their nodes say, by `pods/proxy`. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Proxy(Arc<Inner>);

struct Inner {
    client: Client,
    namespace: String,
    names: Mutex<Arc<Names>>,
    refusals: Refusals,
}

/// The names of the pods by their addresses.
type Names = OnceCell<HashMap<String, String>>;
/// Why the API server does not let the user ask, by namespaces.
type Refusals = Arc<Mutex<BTreeMap<String, String>>>;

impl Proxy {
    pub(crate) fn new(client: Client, namespace: &str) -> Self {
        Self::with(client, namespace, Refusals::default())
    }

    fn with(client: Client, namespace: &str, refusals: Refusals) -> Self {
        let (namespace, names) = (namespace.to_owned(), Mutex::default());
        Self(Arc::new(Inner { client, namespace, names, refusals }))
    }

    /// The same for another namespace; refusals are remembered together.
    pub(crate) fn of_namespace(&self, namespace: &str) -> Self {
        Self::with(self.client(), namespace, Arc::clone(&self.0.refusals))
    }

    /// Whom it asks through.
    pub(crate) fn client(&self) -> Client {
        self.0.client.clone()
    }

    /// Where the pods are.
    pub(crate) fn namespace(&self) -> &str {
        &self.0.namespace
    }

    /// Forgets which pods there are and who was refused: others have come, and rights may have been given.
    pub(crate) fn forget(&self) {
        self.0.refusals.lock().unwrap_or_else(PoisonError::into_inner).clear();
        *self.0.names.lock().unwrap_or_else(PoisonError::into_inner) = Arc::default();
    }

    /// That somebody could not be asked because the API server refused it, and why.
    pub(crate) fn refusal(&self) -> Option<String> {
        let refusals = self.0.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        let (first, why) = refusals.first_key_value()?;
        let others = match refusals.len() - 1 {
            0 => String::new(),
            others => format!("; the same in {others} more namespaces"),
        };
        Some(format!(
            "what nodes say of themselves is missing in the namespace `{first}`: {why}{others}"
        ))
    }

    /// Why nobody may be asked in this namespace.
    fn refused(&self) -> Option<String> {
        let refusals = self.0.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        refusals.get(&self.0.namespace).cloned()
    }

    /// What the node in the pod says of itself.
    pub(crate) async fn state_of(&self, pod: &str, port: u16) -> Result<NodeState, NodeError> {
        read(&self.text(pod, port, "/admin/v1/state").await?)
    }

    /// What the node has measured of its clients' reads.
    pub(crate) async fn curve_of(&self, pod: &str, port: u16) -> Result<NodeCurve, NodeError> {
        read(&self.text(pod, port, "/admin/v1/curve").await?)
    }

    /// What the node's clients do.
    pub(crate) async fn heat_of(&self, pod: &str, port: u16) -> Result<NodeHeat, NodeError> {
        read(&self.text(pod, port, "/admin/v1/heat").await?)
    }

    /// The node's metrics.
    pub(crate) async fn metrics_of(&self, pod: &str, port: u16) -> Result<String, NodeError> {
        self.text(pod, port, "/metrics").await
    }

    async fn text(&self, pod: &str, port: u16, path: &str) -> Result<String, NodeError> {
        let answer = timeout(PATIENCE, self.ask(pod, port, path)).await;
        answer.unwrap_or(Err(NodeError::Timeout(PATIENCE)))
    }

    async fn ask(&self, pod: &str, port: u16, path: &str) -> Result<String, NodeError> {
        if let Some(refusal) = self.refused() {
            return Err(NodeError::Transport(refusal));
        }
        let namespace = &self.0.namespace;
        let uri = format!("/api/v1/namespaces/{namespace}/pods/{pod}:{port}/proxy{path}");
        let request = Request::get(uri).body(Body::empty());
        let request = request.map_err(|error| NodeError::Transport(error.to_string()))?;
        let answer = self.0.client.send(request).await;
        let answer = answer.map_err(|error| NodeError::Transport(words(&error)))?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect().await;
        let body = body.map_err(|error| NodeError::Transport(error.to_string()))?.to_bytes();
        if status.is_success() {
            let text = String::from_utf8(body.into());
            return text.map_err(|error| NodeError::Malformed(error.to_string()));
        }
        let error = failure(status, &body);
        if let Some(why) = refusal(status, &body) {
            let mut refusals = self.0.refusals.lock().unwrap_or_else(PoisonError::into_inner);
            refusals.entry(namespace.clone()).or_insert(why);
        }
        Err(error)
    }

    /// The name of the pod that has the address.
    async fn name(&self, host: &str) -> Result<String, NodeError> {
        let names = Arc::clone(&self.0.names.lock().unwrap_or_else(PoisonError::into_inner));
        let listed = names.get_or_try_init(|| self.names()).await;
        let listed = listed.map_err(|error| NodeError::Transport(words(&error)))?;
        let nobody = || NodeError::Transport(format!("no pod has the address {host}"));
        listed.get(host).cloned().ok_or_else(nobody)
    }

    async fn names(&self) -> Result<HashMap<String, String>, kube::Error> {
        let pods: Api<Pod> = Api::namespaced(self.client(), self.namespace());
        let listed = pods.list(&ListParams::default().labels(CLUSTER_LABEL)).await?;
        let named = |pod: Pod| Some((pod.status.as_ref()?.pod_ip.clone()?, pod.name_any()));
        Ok(listed.items.into_iter().filter_map(named).collect())
    }

    /// What the clients of the node at the address do.
    pub(crate) async fn heat(&self, host: &str, port: u16) -> Result<NodeHeat, NodeError> {
        self.heat_of(&self.name(host).await?, port).await
    }

    /// The metrics of the node at the address.
    pub(crate) async fn metrics(&self, host: &str, port: u16) -> Result<String, NodeError> {
        self.metrics_of(&self.name(host).await?, port).await
    }
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T, NodeError> {
    serde_json::from_str(text).map_err(|error| NodeError::Malformed(error.to_string()))
}

/// What the API server says, and in other words what else went wrong: errors quote the kubeconfig, with what its commands are told in
/// confidence.
pub(crate) fn words(error: &kube::Error) -> String {
    let is_of_credentials = match error {
        kube::Error::Api(status) => return status.message.clone(),
        kube::Error::SerdeError(_) | kube::Error::FromUtf8(_) => {
            return "the answer is not understood".to_owned();
        }
        kube::Error::Auth(_) => true,
        kube::Error::Service(inner) => inner.is::<AuthError>(),
        _ => false,
    };
    let words = if is_of_credentials {
        "the credentials of the kubeconfig could not be had"
    } else {
        "the API server could not be asked"
    };
    words.to_owned()
}

/// That the API server itself refuses, and why. A pod that refuses says so for itself only.
fn refusal(status: StatusCode, body: &[u8]) -> Option<String> {
    let refuses = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
    let said: Value = serde_json::from_slice(body).ok().filter(|_| refuses)?;
    let is_its_own = said["kind"] == "Status"
        && matches!(said["reason"].as_str(), Some("Forbidden" | "Unauthorized"));
    is_its_own.then(|| said["message"].as_str().unwrap_or("forbidden").to_owned())
}

/// The node's own words, or those of the API server.
fn failure(status: StatusCode, body: &[u8]) -> NodeError {
    if let Ok(ErrorBody { error }) = serde_json::from_slice(body) {
        return NodeError::Refused { code: error.code, message: error.message };
    }
    let said = serde_json::from_slice::<Status>(body).map(|status| status.message);
    let said = said.ok().filter(|message| !message.is_empty()).unwrap_or_else(|| {
        let text = String::from_utf8_lossy(body);
        format!("{status}: {}", text.trim().chars().take(MAX_TOLD).collect::<String>())
    });
    NodeError::Transport(said)
}

impl Nodes for Proxy {
    async fn state(&self, host: &str, port: u16) -> Result<NodeState, NodeError> {
        self.state_of(&self.name(host).await?, port).await
    }

    async fn curve(&self, host: &str, port: u16) -> Result<NodeCurve, NodeError> {
        self.curve_of(&self.name(host).await?, port).await
    }

    async fn push(&self, _: &str, _: u16, _: &Document) -> Result<(), NodeError> {
        Err(read_only())
    }

    async fn configure(&self, _: &str, _: u16, _: &SettingsFor) -> Result<(), NodeError> {
        Err(read_only())
    }
}

fn read_only() -> NodeError {
    NodeError::Refused { code: "ReadOnly".into(), message: "who looks changes nothing".into() }
}
