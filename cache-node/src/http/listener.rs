//! Accepting HTTP connections, within bounds, and letting them end when the node stops.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};

use super::Api;
use super::exchange::Exchange;
use super::moving::{Moving, Unparsed, sent_bytes};
use super::problem::Problem;
use crate::counters::count;
use crate::node::Node;

/// The largest request line and headers: a key of 1024 bytes, each written as three, and usual headers.
pub(super) const MAX_HEAD_BYTES: usize = 16 << 10;
/// A connection is closed that sends no request, or only part of its head, for so long.
const HEAD_TIME: Duration = Duration::from_mins(1);
/// A client that takes nothing of its answer for so long is gone.
const STALL_TIME: Duration = Duration::from_secs(30);
/// Requests that run when the node stops may take so long to end.
const STOP_TIME: Duration = Duration::from_secs(5);
/// Pause when a connection cannot be accepted, for want of file descriptors usually.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves the API on `listener` until `stop` resolves; requests that run then are finished.
pub async fn serve(
    node: Arc<Node>,
    listener: TcpListener,
    stop: impl Future<Output = ()> + Send + 'static,
) {
    let api = Arc::new(Api::new(node));
    let connections = GracefulShutdown::new();
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, _)) => accept(&api, socket, &connections),
            Err(error) => {
                tracing::warn!(%error, "accepting an HTTP client failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(STOP_TIME, connections.shutdown()).await.is_err() {
        tracing::warn!("HTTP requests were cut off by the end of the node");
    }
}

/// Counts one open client connection, while it lives.
struct Permit(Arc<Api>);

impl Permit {
    /// `None` if as many clients are connected as may be.
    fn take(api: &Arc<Api>) -> Option<Self> {
        let open = api.node.counters.connections.fetch_add(1, Ordering::Relaxed);
        let permit = Self(Arc::clone(api));
        (open < api.node.args.max_clients as u64).then_some(permit)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.node.counters.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

fn accept(api: &Arc<Api>, socket: TcpStream, connections: &GracefulShutdown) {
    let Some(permit) = Permit::take(api) else {
        count(&api.node.counters.connections_rejected);
        tokio::spawn(refuse(socket));
        return;
    };
    count(&api.node.counters.connections_total);
    if let Err(error) = tune(&socket) {
        tracing::debug!(%error, "an HTTP connection ended at once");
        return;
    }
    let api = Arc::clone(api);
    let holding = api.node.account.open(true);
    // It is for the client to send a request.
    holding.set_idle();
    let unparsed = Arc::new(Unparsed::default());
    let exchange = Arc::new(Exchange::new(&api));
    let socket = Moving::new(socket, &holding, &unparsed, &exchange);
    let of_service = Arc::clone(&holding);
    let service = service_fn(move |request| {
        let (api, holding) = (Arc::clone(&api), Arc::clone(&of_service));
        let (unparsed, exchange) = (Arc::clone(&unparsed), Arc::clone(&exchange));
        async move {
            unparsed.answering();
            exchange.begin();
            let bytes = sent_bytes(&request);
            let answer = api.answer(request, &holding, &exchange).await;
            exchange.end();
            unparsed.answered(bytes);
            Ok::<_, Infallible>(answer)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(socket), service);
    let connection = connections.watch(connection);
    tokio::spawn(async move {
        let mut connection = pin!(connection);
        let mut has_yielded = false;
        loop {
            has_yielded &= holding.is_asked();
            tokio::select! {
                biased;
                ended = &mut connection => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "an HTTP connection ended in an error");
                    }
                    break;
                }
                () = tokio::task::yield_now(), if holding.is_asked() && !has_yielded => {
                    // The kernel was asked: if the client is ready, the connection goes on.
                    has_yielded = true;
                }
                () = std::future::ready(()), if holding.is_asked() || holding.is_closing() => {
                    // One that was to be closed while it waited has been counted.
                    if !holding.is_closing() {
                        holding.ended_for_others();
                    }
                    tracing::debug!("closed an HTTP connection whose memory others needed");
                    break;
                }
                () = holding.woken() => {}
            }
        }
        drop(permit);
    });
}

fn tune(socket: &TcpStream) -> std::io::Result<()> {
    socket.set_nodelay(true)?;
    #[cfg(target_os = "linux")]
    SockRef::from(socket).set_tcp_user_timeout(Some(STALL_TIME))?;
    Ok(())
}

/// Tells a client that there are too many. The answer fits into the empty socket; what the client sent is not read.
async fn refuse(socket: TcpStream) {
    let (head, body) = Problem::TooManyConnections.into_answer().into_parts();
    let Ok(body) = body.collect().await;
    let body = body.to_bytes();
    let mut text = format!("HTTP/1.1 {}\r\ncontent-length: {}\r\n", head.status, body.len());
    for (name, value) in &head.headers {
        text.extend([name.as_str(), ": ", value.to_str().unwrap_or_default(), "\r\n"]);
    }
    let _ = socket.try_write(&[text.as_bytes(), b"\r\n", &body].concat());
}
