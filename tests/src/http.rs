//! HTTP/1.1 by hand, one request a connection: the tests see the bytes that the node sent.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result};

/// Longest wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// An answer as it came.
#[derive(Debug)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Status line and headers.
    pub head: String,
    /// Everything after the head.
    pub body: String,
}

/// Sends one request to a port of this machine and reads the answer to its end.
pub fn request(port: u16, method: &str, path: &str, body: &str) -> Result<Response> {
    exchange("127.0.0.1", port, method, path, body)
}

/// The same without a body, by another name of the machine.
pub fn request_to(host: &str, port: u16, method: &str, path: &str) -> Result<Response> {
    exchange(host, port, method, path, "")
}

fn exchange(host: &str, port: u16, method: &str, path: &str, body: &str) -> Result<Response> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    let kind = if body.is_empty() { "" } else { "content-type: application/json\r\n" };
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: {host}:{port}\r\nconnection: close\r\n{kind}content-length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).with_context(|| format!("{method} {path} at port {port}"))?;
    parse(&String::from_utf8_lossy(&bytes))
        .with_context(|| format!("{method} {path} at port {port}: no HTTP answer in {bytes:?}"))
}

fn parse(text: &str) -> Option<Response> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    Some(Response { status, head: head.to_owned(), body: body.to_owned() })
}
