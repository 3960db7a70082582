//! The nodes' admin API, from outside.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::{Method, Request};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use ringcache_api::Document;
use ringcache_api::admin::{ErrorBody, NodeState, Settings};
use tokio::time::timeout;

/// Longest wait for a node's state: one that takes longer counts as not answering.
const STATE_TIMEOUT: Duration = Duration::from_secs(1);
/// Longest wait for a node to accept something.
const PUSH_TIMEOUT: Duration = Duration::from_secs(5);
/// Most bytes of an answer. A state with every slot in a range of its own has far less.
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// A client of the admin APIs on this machine.
#[derive(Clone, Debug)]
pub(super) struct AdminClient(Client<HttpConnector, Full<Bytes>>);

impl AdminClient {
    pub(super) fn new() -> Self {
        Self(Client::builder(TokioExecutor::new()).build_http())
    }

    /// The node's state; an error if it does not answer in time.
    pub(super) async fn state(&self, port: u16) -> Result<NodeState> {
        let ask = self.ask(port, Method::GET, "/admin/v1/state", String::new());
        Ok(serde_json::from_slice(&timeout(STATE_TIMEOUT, ask).await??)?)
    }

    /// Gives the node a ring document.
    pub(super) async fn push(&self, port: u16, document: &Document) -> Result<()> {
        let ask = self.ask(port, Method::PUT, "/admin/v1/ring", document.to_json());
        timeout(PUSH_TIMEOUT, ask).await??;
        Ok(())
    }

    /// Gives the node settings.
    pub(super) async fn configure(&self, port: u16, settings: &Settings) -> Result<()> {
        let body = serde_json::to_string(settings)?;
        let ask = self.ask(port, Method::PUT, "/admin/v1/settings", body);
        timeout(PUSH_TIMEOUT, ask).await??;
        Ok(())
    }

    async fn ask(&self, port: u16, method: Method, path: &str, body: String) -> Result<Bytes> {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://127.0.0.1:{port}{path}"))
            .header(hyper::header::CONTENT_TYPE, "application/json")
            .body(Full::from(body))?;
        let answer = self.0.request(request).await?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect().await;
        let body =
            body.map_err(anyhow::Error::from_boxed).context("reading the answer")?.to_bytes();
        if status.is_success() {
            return Ok(body);
        }
        match serde_json::from_slice::<ErrorBody>(&body) {
            Ok(ErrorBody { error }) => bail!("{}: {}", error.code, error.message),
            Err(_) => bail!("{path} answered {status}"),
        }
    }
}
