//! Serves the page on loopback, within bounds.

use std::convert::Infallible;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::unfold;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Empty, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::answer::{Answer, answer};
use crate::news::{MOST_STREAMS, Page, Stream};

/// Most connections at once: beside the streams, some for files.
const MOST_CONNECTIONS: usize = MOST_STREAMS + 32;
/// The largest head of a request, and what is buffered for a client that reads slowly.
const MOST_BYTES: usize = 16 << 10;
/// A connection is closed that sends no request for so long.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// Pause when a connection cannot be accepted, for want of file descriptors usually.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What browsers may do with what comes from here: show it, ask here for more, and nothing else.
const HEADERS: [(&str, &str); 6] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
];

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Listens on loopback; 0 = any free port.
///
/// # Errors
/// The port is taken, or may not be used.
pub fn listen(port: u16) -> io::Result<TcpListener> {
    TcpListener::from_std(ringcache_listen::listen((Ipv4Addr::LOCALHOST, port).into())?)
}

/// Serves the page, until the task ends.
pub async fn serve(page: Page, listener: TcpListener) {
    let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let Ok((socket, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        // One too many is closed at once.
        if let Ok(permit) = Arc::clone(&room).try_acquire_owned() {
            tokio::spawn(connection(page.clone(), socket, permit));
        }
    }
}

/// One request: streams stay open, and files are few.
async fn connection(page: Page, socket: TcpStream, _permit: OwnedSemaphorePermit) {
    let gone = Arc::new(Notify::new());
    let of_service = Arc::clone(&gone);
    let service = service_fn(move |request: Request<Incoming>| {
        let response = respond(&page, &request, &of_service);
        async move { Ok::<_, Infallible>(response) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .keep_alive(false)
        .max_buf_size(MOST_BYTES)
        .serve_connection(TokioIo::new(socket), service);
    tokio::select! {
        // An error is the client's: there is nobody to tell it to.
        _ = connection => {}
        () = gone.notified() => {}
    }
}

fn respond<B>(page: &Page, request: &Request<B>, gone: &Arc<Notify>) -> Response<Body> {
    let is_head = *request.method() == Method::HEAD;
    match answer(request) {
        Answer::File(file) => response(StatusCode::OK, file.kind, full(file.text)),
        Answer::News if is_head => {
            response(StatusCode::OK, "text/event-stream", Empty::new().boxed_unsync())
        }
        Answer::News => match page.open(gone) {
            Some(stream) => response(StatusCode::OK, "text/event-stream", news(stream)),
            None => refusal(StatusCode::SERVICE_UNAVAILABLE, "as many look at this page as may\n"),
        },
        Answer::Refusal(status, why) => refusal(status, why),
    }
}

fn response(status: StatusCode, kind: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    // Another program may be here tomorrow.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn refusal(status: StatusCode, why: &'static str) -> Response<Body> {
    let mut response = response(status, "text/plain; charset=utf-8", full(why));
    let more = match status {
        StatusCode::METHOD_NOT_ALLOWED => Some((ALLOW, "GET, HEAD")),
        StatusCode::SERVICE_UNAVAILABLE => Some((RETRY_AFTER, "5")),
        _ => None,
    };
    if let Some((name, value)) = more {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn full(text: &'static str) -> Body {
    Full::new(Bytes::from_static(text.as_bytes())).boxed_unsync()
}

fn news(stream: Stream) -> Body {
    let frames = unfold(stream, |mut stream| async move {
        let frame = Frame::data(stream.next().await);
        Some((Ok::<_, Infallible>(frame), stream))
    });
    StreamBody::new(frames).boxed_unsync()
}

#[cfg(test)]
mod tests;
