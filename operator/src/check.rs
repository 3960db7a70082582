//! Whether an operator is ready, asked from outside: what the pod of `helm test` does.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use http::{StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of an answer that are read at most.
const MAX_BYTES: usize = 4096;

/// Asks `uri`, such as the `/readyz` of an operator.
///
/// # Errors
/// There is no answer within 10 s, or one that does not say 200.
pub async fn check(uri: &Uri) -> anyhow::Result<()> {
    let answer = tokio::time::timeout(TIMEOUT, get(uri)).await;
    let timed_out = || format!("no answer from {uri} within {} s", TIMEOUT.as_secs());
    let (status, body) = answer.with_context(timed_out)??;
    ensure!(status == StatusCode::OK, "{uri} answered {status}: {}", body.trim());
    Ok(())
}

async fn get(uri: &Uri) -> anyhow::Result<(StatusCode, String)> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let answer = client.get(uri.clone()).await.with_context(|| format!("cannot ask {uri}"))?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), MAX_BYTES).collect().await;
    let body = body.map_err(anyhow::Error::from_boxed).context("the answer broke off")?;
    Ok((status, String::from_utf8_lossy(&body.to_bytes()).into_owned()))
}
