//! A client of the nodes' admin API: what an operator asks of a node and gives to it, with a deadline for everything.

use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::header::CONTENT_TYPE;
use hyper::{Method, Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use ringcache_api::Document;
use ringcache_api::admin::{ErrorBody, NodeCurve, NodeHeat, NodeState, SettingsFor};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

/// Longest wait for a node's state: one that takes longer counts as not answering.
const STATE_TIMEOUT: Duration = Duration::from_secs(1);
/// Longest wait for a node to accept something.
const PUSH_TIMEOUT: Duration = Duration::from_secs(5);
/// Most bytes of an answer. A state with every second slot in a range of its own has less than half of that.
const MAX_ANSWER_BYTES: usize = 256 << 10;

/// Why a node did not answer, or did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// No answer in time.
    #[error("no answer within {} s", .0.as_secs())]
    Timeout(Duration),
    /// No connection, or a broken one.
    #[error("the node cannot be reached: {0}")]
    Transport(String),
    /// The node says no.
    #[error("{code}: {message}")]
    Refused {
        /// Stable code, one of [`ringcache_api::admin::code`] or another one of the node's.
        code: String,
        /// What is wrong.
        message: String,
    },
    /// An answer that no node gives: something else listens there, or another version.
    #[error("the answer makes no sense: {0}")]
    Malformed(String),
}

/// A client of the admin APIs of any number of nodes.
#[derive(Clone, Debug)]
pub struct AdminClient(Client<HttpConnector, Full<Bytes>>);

impl Default for AdminClient {
    fn default() -> Self {
        Self::new()
    }
}

impl AdminClient {
    /// A client.
    pub fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(STATE_TIMEOUT));
        let mut client = Client::builder(TokioExecutor::new());
        // Each question has a connection of its own: at its start an operator asks all nodes of all clusters, and thousands of
        // connections that wait for another question would be most of what it has in memory.
        client.pool_max_idle_per_host(0);
        Self(client.build(connector))
    }

    /// What the node says of itself.
    pub async fn state(&self, host: &str, port: u16) -> Result<NodeState, AdminError> {
        self.read(host, port, "/admin/v1/state").await
    }

    /// What the node has measured of its clients' reads.
    pub async fn curve(&self, host: &str, port: u16) -> Result<NodeCurve, AdminError> {
        self.read(host, port, "/admin/v1/curve").await
    }

    /// What the node's clients do.
    pub async fn heat(&self, host: &str, port: u16) -> Result<NodeHeat, AdminError> {
        self.read(host, port, "/admin/v1/heat").await
    }

    async fn read<T: DeserializeOwned>(
        &self,
        host: &str,
        port: u16,
        path: &str,
    ) -> Result<T, AdminError> {
        let uri = uri(host, port, path);
        let answer = self.ask(STATE_TIMEOUT, Method::GET, &uri, String::new()).await?;
        serde_json::from_slice(&answer).map_err(|error| AdminError::Malformed(error.to_string()))
    }

    /// Gives the node a ring document.
    pub async fn push(&self, host: &str, port: u16, document: &Document) -> Result<(), AdminError> {
        let uri = uri(host, port, "/admin/v1/ring");
        self.ask(PUSH_TIMEOUT, Method::PUT, &uri, document.to_json()).await.map(drop)
    }

    /// Gives the node settings; one that they are not for refuses.
    pub async fn configure(
        &self,
        host: &str,
        port: u16,
        settings: &SettingsFor,
    ) -> Result<(), AdminError> {
        let uri = uri(host, port, "/admin/v1/settings");
        self.ask(PUSH_TIMEOUT, Method::PUT, &uri, json(settings)).await.map(drop)
    }

    async fn ask(
        &self,
        patience: Duration,
        method: Method,
        uri: &str,
        body: String,
    ) -> Result<Bytes, AdminError> {
        match timeout(patience, self.exchange(method, uri, body)).await {
            Ok(answer) => answer,
            Err(_) => Err(AdminError::Timeout(patience)),
        }
    }

    async fn exchange(&self, method: Method, uri: &str, body: String) -> Result<Bytes, AdminError> {
        let request = Request::builder()
            .method(method)
            .uri(uri)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::from(body))
            .map_err(|error| AdminError::Transport(format!("{uri}: {error}")))?;
        let answer = self.0.request(request).await.map_err(|error| transport(&error))?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect().await;
        let body = body.map_err(|error| AdminError::Transport(error.to_string()))?.to_bytes();
        if status.is_success() { Ok(body) } else { Err(refusal(status, &body)) }
    }
}

/// An IPv6 address needs brackets before a port.
fn uri(host: &str, port: u16, path: &str) -> String {
    if host.contains(':') {
        format!("http://[{host}]:{port}{path}")
    } else {
        format!("http://{host}:{port}{path}")
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// The cause, too: the client's own words are only "client error (Connect)".
fn transport(error: &hyper_util::client::legacy::Error) -> AdminError {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    AdminError::Transport(text)
}

fn refusal(status: StatusCode, body: &[u8]) -> AdminError {
    match serde_json::from_slice::<ErrorBody>(body) {
        Ok(ErrorBody { error }) => AdminError::Refused { code: error.code, message: error.message },
        Err(_) => AdminError::Malformed(format!("status {status}")),
    }
}
