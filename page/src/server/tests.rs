//! The server over real sockets of loopback.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::*;

/// Longest wait for anything: reached only by what never comes.
const LIMIT: Duration = Duration::from_secs(30);
/// A large look.
const LOOK_BYTES: usize = 1 << 20;

/// A page that is served, and its port.
fn serving() -> Result<(Page, u16)> {
    let (page, listener) = (Page::new("1"), listen(0)?);
    let port = listener.local_addr()?.port();
    tokio::spawn(serve(page.clone(), listener));
    Ok((page, port))
}

async fn send(port: u16, method: &str, path: &str) -> Result<TcpStream> {
    let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    let head = format!("{method} {path} HTTP/1.1\r\nhost: localhost:{port}\r\n\r\n");
    socket.write_all(head.as_bytes()).await?;
    Ok(socket)
}

/// The whole answer, up to the end of the connection.
async fn ask(port: u16, method: &str, path: &str) -> Result<(String, String)> {
    let mut socket = send(port, method, path).await?;
    let mut bytes = Vec::new();
    timeout(LIMIT, socket.read_to_end(&mut bytes)).await??;
    let text = String::from_utf8(bytes)?;
    let (head, body) = text.split_once("\r\n\r\n").context("no answer")?;
    Ok((head.to_lowercase(), body.to_owned()))
}

/// Reads until all of that was there.
async fn read_until(socket: &mut TcpStream, wanted: &str) -> Result<String> {
    let mut text = String::new();
    while !text.contains(wanted) {
        let mut bytes = [0; 4096];
        let read = timeout(LIMIT, socket.read(&mut bytes)).await??;
        ensure!(read > 0, "it ended before {wanted:?}: {text}");
        text.push_str(&String::from_utf8_lossy(&bytes[..read]));
    }
    Ok(text)
}

async fn until(what: &str, is_so: impl Fn() -> bool) -> Result<()> {
    let waits = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(LIMIT, waits).await.context(what.to_owned())
}

#[tokio::test]
async fn the_page_and_its_files_let_browsers_load_nothing_from_elsewhere() -> Result<()> {
    let (_, port) = serving()?;
    for (path, kind) in
        [("/", "text/html"), ("/page.css", "text/css"), ("/page.js", "text/javascript")]
    {
        let (head, body) = ask(port, "GET", path).await?;
        ensure!(head.starts_with("http/1.1 200 ") && !body.is_empty(), "{path}: {head}");
        ensure!(head.contains(&format!("content-type: {kind}; charset=utf-8")), "{path}: {head}");
        for header in [
            "content-security-policy: default-src 'none'; script-src 'self';",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "frame-ancestors 'none'",
            "cross-origin-resource-policy: same-origin",
            "cache-control: no-store",
        ] {
            ensure!(head.contains(header), "{path}: {header}: {head}");
        }
        ensure!(!head.contains("unsafe") && !head.contains("access-control"), "{path}: {head}");
        let (only_head, nothing) = ask(port, "HEAD", path).await?;
        ensure!(
            only_head.starts_with("http/1.1 200 ") && nothing.is_empty(),
            "{path}: {only_head}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn what_is_refused_says_why_and_has_the_same_headers() -> Result<()> {
    let (page, port) = serving()?;
    let (head, body) = ask(port, "DELETE", "/").await?;
    ensure!(head.starts_with("http/1.1 405 ") && head.contains("allow: get, head"), "{head}");
    ensure!(
        head.contains("content-security-policy:") && body == "GET and HEAD only\n",
        "{head}{body}"
    );
    let (head, _) = ask(port, "GET", "/etc/passwd").await?;
    ensure!(head.starts_with("http/1.1 404 "), "{head}");
    let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    socket.write_all(b"GET /events HTTP/1.1\r\nhost: evil.example\r\n\r\n").await?;
    let text = read_until(&mut socket, "\r\n\r\n").await?;
    ensure!(text.starts_with("HTTP/1.1 421 ") && page.streams() == 0, "{text}");
    let (head, body) = ask(port, "HEAD", "/events").await?;
    ensure!(head.contains("content-type: text/event-stream") && body.is_empty(), "{head}{body}");
    ensure!(page.streams() == 0, "who asks for a head gets no stream");
    Ok(())
}

#[tokio::test]
async fn a_head_without_an_end_is_refused() -> Result<()> {
    let (_, port) = serving()?;
    let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    // It may be refused, and the connection closed, before all of it is written.
    let long = format!("GET / HTTP/1.1\r\nhost: localhost:{port}\r\nx: {}", "x".repeat(MOST_BYTES));
    let _ = socket.write_all(long.as_bytes()).await;
    let mut bytes = Vec::new();
    let _ = timeout(LIMIT, socket.read_to_end(&mut bytes)).await?;
    let text = String::from_utf8_lossy(&bytes);
    ensure!(text.is_empty() || text.starts_with("HTTP/1.1 431 "), "{text}");
    Ok(())
}

#[tokio::test]
async fn a_stream_has_what_was_told_before_and_what_is_told_then() -> Result<()> {
    let (page, port) = serving()?;
    page.log(1, "web-0 started");
    let mut stream = send(port, "GET", "/events").await?;
    let first = read_until(&mut stream, "web-0 started").await?;
    ensure!(first.to_lowercase().contains("content-type: text/event-stream"), "{first}");
    page.publish(&json!({"name": "shop"}));
    let then = read_until(&mut stream, "\"shop\"").await?;
    ensure!(then.contains("event: state\ndata: {\"name\":\"shop\"}\n\n"), "{then}");
    drop(stream);
    until("who has gone listens no more", || page.streams() == 0).await
}

#[tokio::test]
async fn sixteen_browsers_listen_and_one_more_is_told_to_come_again() -> Result<()> {
    let (page, port) = serving()?;
    let mut streams = Vec::new();
    for number in 1..=MOST_STREAMS {
        let mut stream = send(port, "GET", "/events").await?;
        read_until(&mut stream, "event: begin").await?;
        streams.push(stream);
        ensure!(page.streams() == number, "{}", page.streams());
    }
    let (head, body) = ask(port, "GET", "/events").await?;
    ensure!(head.starts_with("http/1.1 503 ") && head.contains("retry-after: 5"), "{head}{body}");
    ensure!(ask(port, "GET", "/").await?.0.starts_with("http/1.1 200 "), "there is room for files");
    streams.pop();
    until("one has gone", || page.streams() < MOST_STREAMS).await?;
    let mut stream = send(port, "GET", "/events").await?;
    read_until(&mut stream, "event: begin").await?;
    Ok(())
}

#[tokio::test]
async fn a_browser_that_takes_nothing_is_dropped_and_the_others_go_on() -> Result<()> {
    let (page, port) = serving()?;
    let slow = send(port, "GET", "/events").await?;
    let mut quick = send(port, "GET", "/events").await?;
    until("both listen", || page.streams() == 2).await?;
    // As much as the sockets of both ends buffer, again and again.
    let look = json!({ "text": "x".repeat(LOOK_BYTES) });
    let taken = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&taken);
    let reads = tokio::spawn(async move {
        let mut bytes = vec![0; 1 << 16];
        while let Ok(read @ 1..) = quick.read(&mut bytes).await {
            counted.fetch_add(read, Ordering::Relaxed);
        }
    });
    let tells = async {
        for looks in 1.. {
            if page.streams() < 2 {
                break;
            }
            page.publish(&look);
            // However slow the machine is, the quick one is never behind.
            let all = looks * LOOK_BYTES;
            until("it takes the look", || taken.load(Ordering::Relaxed) >= all).await?;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok::<_, anyhow::Error>(())
    };
    timeout(LIMIT * 4, tells).await.context("the slow one is dropped")??;
    ensure!(page.streams() == 1 && !reads.is_finished(), "the other one listens");
    reads.abort();
    drop(slow);
    Ok(())
}

#[tokio::test]
async fn connections_beyond_the_bound_are_closed_at_once() -> Result<()> {
    let (_, port) = serving()?;
    let mut idle = Vec::new();
    for _ in 0..MOST_CONNECTIONS {
        idle.push(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?);
    }
    let mut more = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    let read = timeout(LIMIT, more.read(&mut [0; 1])).await?;
    ensure!(!matches!(read, Ok(1..)), "{read:?}");
    for (number, socket) in idle.iter().enumerate() {
        let read = socket.try_read(&mut [0; 1]);
        let is_open = read.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
        ensure!(is_open, "connection {number} has ended, which came before: {read:?}");
    }
    drop(idle);
    // The server learns of it a moment later.
    let again = async {
        while ask(port, "GET", "/").await.is_err() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(LIMIT, again).await.context("there is room again")
}
