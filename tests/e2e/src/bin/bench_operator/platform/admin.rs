//! The admin port of all cache nodes: one listener, which tells them apart by the address that was called.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use ringcache_api::Document;
use ringcache_api::admin::{ErrorBody, ErrorDetail, SettingsFor, code};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use super::cache_nodes::CacheNodes;

/// As in every pod.
const PORT: u16 = 9400;

/// Listens, and serves in the background.
pub(super) async fn start(nodes: Arc<CacheNodes>) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT))
        .await
        .with_context(|| format!("port {PORT} of the lab"))?;
    tokio::spawn(async move {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => drop(tokio::spawn(connection(stream, Arc::clone(&nodes)))),
                Err(error) => eprintln!("the admin port failed: {error}"),
            }
        }
    });
    Ok(())
}

async fn connection(stream: TcpStream, nodes: Arc<CacheNodes>) {
    let Ok(IpAddr::V4(address)) = stream.local_addr().map(|local| local.ip()) else { return };
    let service = service_fn(|request| answer(&nodes, address, request));
    // The caller sees a broken connection, too, and tries again.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(
    nodes: &CacheNodes,
    address: Ipv4Addr,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let (status, body) = match (head.method, head.uri.path()) {
        (Method::GET, "/admin/v1/state") => match nodes.state(address) {
            Some(state) => (StatusCode::OK, json!(state)),
            None => refusal(StatusCode::SERVICE_UNAVAILABLE, "Unavailable", "no such node".into()),
        },
        (Method::PUT, "/admin/v1/ring") => ring(nodes, address, &body),
        (Method::PUT, "/admin/v1/settings") => match serde_json::from_slice(&body) {
            Ok(SettingsFor { to: _, settings }) => {
                nodes.configure(address, settings);
                (StatusCode::OK, json!(settings))
            }
            Err(error) => {
                let status = StatusCode::UNPROCESSABLE_ENTITY;
                refusal(status, "InvalidSettings", error.to_string())
            }
        },
        (_, path) => refusal(StatusCode::NOT_FOUND, "UnknownPath", path.to_owned()),
    };
    let mut answer = Response::new(Full::from(body.to_string()));
    *answer.status_mut() = status;
    Ok(answer)
}

fn ring(nodes: &CacheNodes, address: Ipv4Addr, body: &[u8]) -> (StatusCode, Value) {
    match Document::parse(body) {
        Ok(document) => match nodes.accept(address, document) {
            Ok(epoch) => (StatusCode::OK, json!({"epoch": epoch})),
            Err((code, message)) => refusal(StatusCode::CONFLICT, code, message),
        },
        Err(error) => {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            refusal(status, code::INVALID_DOCUMENT, error.to_string())
        }
    }
}

fn refusal(status: StatusCode, code: &str, message: String) -> (StatusCode, Value) {
    let error = ErrorDetail { code: code.to_owned(), message };
    (status, json!(ErrorBody { error }))
}
