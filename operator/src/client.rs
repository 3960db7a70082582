//! The client of the API server: every call has a deadline, and every call is counted.

use std::time::Duration;

use anyhow::Context as _;
use http::header::{HeaderValue, USER_AGENT};
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use kube::Client;
use kube::client::Body;
use tower::BoxError;

use crate::config::Config;
use crate::metrics::Metrics;

/// How the operator calls itself.
const AGENT: &str = concat!("ringcache-operator/", env!("CARGO_PKG_VERSION"));

/// A call without a complete answer in time. Whether it was carried out is unknown.
#[derive(Debug, thiserror::Error)]
#[error("no answer to {method} {path} within {} s", .after.as_secs())]
pub struct NoAnswer {
    method: Method,
    path: String,
    after: Duration,
}

/// A client by the kubeconfig or the pod's service account, and the API server's host.
pub async fn connect(call_timeout: Duration) -> anyhow::Result<(Client, String)> {
    let mut config = kube::Config::infer().await.context("no way to reach an API server")?;
    // On by default: up to 15 silent retries with growing pauses. Here a failed call fails the reconcile, which has its own
    // back-off and reads everything again before it tries again.
    config.default_retry = false;
    config.connect_timeout = Some(call_timeout);
    let host = config.cluster_url.host().unwrap_or_default().to_owned();
    Ok((Client::try_from(config)?, host))
}

/// The same client, but a call is given up after `config.call_timeout` and counted. A watch must begin in that time and may
/// then go on; how long it may be silent is the watcher's business.
pub fn bounded(client: &Client, config: &Config, metrics: &Metrics) -> Client {
    let calls = Calls {
        client: client.clone(),
        timeout: config.call_timeout,
        host: config.api_host.clone(),
        metrics: metrics.clone(),
    };
    let service = tower::service_fn(move |request| {
        let calls = calls.clone();
        async move { calls.call(request).await }
    });
    Client::new(service, client.default_namespace())
}

#[derive(Clone)]
struct Calls {
    client: Client,
    timeout: Duration,
    host: String,
    metrics: Metrics,
}

type Answer = Response<UnsyncBoxBody<Bytes, BoxError>>;

impl Calls {
    async fn call(&self, mut request: Request<Body>) -> Result<Answer, BoxError> {
        let (method, uri) = (request.method().clone(), request.uri().clone());
        request.headers_mut().insert(USER_AGENT, HeaderValue::from_static(AGENT));
        let answer = tokio::time::timeout(self.timeout, self.answer(request, &uri)).await;
        let answer = answer.unwrap_or_else(|_| {
            let (path, after) = (uri.path().to_owned(), self.timeout);
            Err(Box::new(NoAnswer { method: method.clone(), path, after }))
        });
        let status = answer.as_ref().map(Response::status).ok();
        let code = status.as_ref().map_or("<error>", |status| status.as_str());
        let labels = [code, method.as_str(), self.host.as_str()];
        self.metrics.requests.with_label_values(&labels).inc();
        answer
    }

    /// The whole answer, or the beginning of a watch.
    async fn answer(&self, request: Request<Body>, uri: &Uri) -> Result<Answer, BoxError> {
        let is_read = request.method() == Method::GET;
        let (head, body) = self.client.send(request).await?.into_parts();
        // What may not be listed may not be watched, and the list comes first.
        if is_read && matches!(head.status, StatusCode::FORBIDDEN | StatusCode::NOT_FOUND) {
            self.metrics.progress.refused(uri.path());
        }
        let body = if head.status.is_success() && is_watch(uri) {
            let (progress, path) = (self.metrics.progress.clone(), uri.path().to_owned());
            progress.alive(&path);
            let body = body.map_frame(move |frame| {
                progress.alive(&path);
                frame
            });
            UnsyncBoxBody::new(body.map_err(BoxError::from))
        } else {
            let whole = Full::new(body.collect().await?.to_bytes());
            UnsyncBoxBody::new(whole.map_err(BoxError::from))
        };
        Ok(Response::from_parts(head, body))
    }
}

fn is_watch(uri: &Uri) -> bool {
    let is_watch = |pair: &str| matches!(pair, "watch=true" | "watch=1");
    uri.query().is_some_and(|query| query.split('&').any(is_watch))
}

#[cfg(test)]
mod tests;
