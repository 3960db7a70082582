//! The admin API of nodes, reached through the API server: whoever looks need not be in the cluster's network.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::Request;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt as _};
use ringcache_api::Document;
use ringcache_api::admin::{NodeCurve, NodeHeat, NodeState, SettingsFor};
use ringcache_operator::nodes::{NodeError, Nodes};
use ringcache_operator_core::status::CLUSTER_LABEL;
use serde::de::DeserializeOwned;
use tokio::sync::OnceCell;
use tokio::time::timeout;

/// Longest wait for an answer of a node by way of the API server.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks pods of one namespace for what their nodes say, by `pods/proxy`.
#[derive(Clone)]
pub(crate) struct Proxy(Arc<Inner>);

struct Inner {
    client: Client,
    namespace: String,
    /// The names of the pods by their addresses.
    names: OnceCell<HashMap<String, String>>,
    /// Why the API server does not let the user ask.
    refusal: Mutex<Option<String>>,
}

/// Who can be asked for what the clients of a node do, besides what the operator asks.
pub(crate) trait Heat: Nodes {
    /// What the node's clients do.
    async fn heat(&self, host: &str, port: u16) -> Result<NodeHeat, NodeError>;
}

impl Proxy {
    pub(crate) fn new(client: Client, namespace: &str) -> Self {
        let (names, refusal) = (OnceCell::new(), Mutex::default());
        Self(Arc::new(Inner { client, namespace: namespace.to_owned(), names, refusal }))
    }

    /// Why nobody could be asked, if the API server refused that.
    pub(crate) fn refusal(&self) -> Option<String> {
        self.0.refusal.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        host: &str,
        port: u16,
        path: &str,
    ) -> Result<T, NodeError> {
        let answer = timeout(PATIENCE, self.read(host, port, path)).await;
        let text = answer.unwrap_or(Err(NodeError::Timeout(PATIENCE)))?;
        serde_json::from_str(&text).map_err(|error| NodeError::Malformed(error.to_string()))
    }

    async fn read(&self, host: &str, port: u16, path: &str) -> Result<String, NodeError> {
        if let Some(refusal) = self.refusal() {
            return Err(NodeError::Transport(refusal));
        }
        let unreachable = |error: kube::Error| NodeError::Transport(error.to_string());
        let names = self.0.names.get_or_try_init(|| self.names()).await.map_err(unreachable)?;
        let Some(name) = names.get(host) else {
            return Err(NodeError::Transport(format!("no pod has the address {host}")));
        };
        let namespace = &self.0.namespace;
        let uri = format!("/api/v1/namespaces/{namespace}/pods/{name}:{port}/proxy{path}");
        let request = Request::get(uri).body(Vec::new());
        let request = request.map_err(|error| NodeError::Transport(error.to_string()))?;
        self.0.client.request_text(request).await.map_err(|error| {
            if let kube::Error::Api(status) = &error
                && matches!(status.code, 401 | 403)
            {
                let mut refusal = self.0.refusal.lock().unwrap_or_else(PoisonError::into_inner);
                refusal.get_or_insert_with(|| status.message.clone());
            }
            unreachable(error)
        })
    }

    async fn names(&self) -> Result<HashMap<String, String>, kube::Error> {
        let pods: Api<Pod> = Api::namespaced(self.0.client.clone(), &self.0.namespace);
        let listed = pods.list(&ListParams::default().labels(CLUSTER_LABEL)).await?;
        let named = |pod: Pod| Some((pod.status.as_ref()?.pod_ip.clone()?, pod.name_any()));
        Ok(listed.items.into_iter().filter_map(named).collect())
    }
}

impl Heat for Proxy {
    async fn heat(&self, host: &str, port: u16) -> Result<NodeHeat, NodeError> {
        self.ask(host, port, "/admin/v1/heat").await
    }
}

impl Nodes for Proxy {
    async fn state(&self, host: &str, port: u16) -> Result<NodeState, NodeError> {
        self.ask(host, port, "/admin/v1/state").await
    }

    async fn curve(&self, host: &str, port: u16) -> Result<NodeCurve, NodeError> {
        self.ask(host, port, "/admin/v1/curve").await
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
