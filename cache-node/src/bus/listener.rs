//! The receiving side: peers that speak, and forwarded client connections that go to the workers.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use ringcache_api::{Document, Incarnation};
use ringcache_wire::reply::Proto;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::{debug, warn};

use super::frame::Frame;
use super::{FORWARD_VERSION, Inbound, VERSION, WRITE_TIMEOUT};
use crate::counters::count;
use crate::node::Node;
use crate::resp::{Origin, Workers};

/// A handshake is one line of at most this many bytes.
const MAX_HANDSHAKE_BYTES: usize = 512;
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// Accepts on the bus port for ever.
pub async fn listen(
    node: Arc<Node>,
    listener: TcpListener,
    workers: Arc<Workers>,
    inbox: mpsc::Sender<Inbound>,
) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let (node, workers, inbox) =
                    (Arc::clone(&node), Arc::clone(&workers), inbox.clone());
                tokio::spawn(async move {
                    match serve(&node, stream, &workers, inbox).await {
                        // What the other side may not send: it will come again and again, so people must see it.
                        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                            count(&node.counters.bus_refused);
                            warn!(%error, "a frame of another node was refused");
                        }
                        Err(error) => debug!(%error, "bus connection ended"),
                        Ok(()) => {}
                    }
                });
            }
            Err(error) => {
                // Out of descriptors, most likely: accepting again at once would spin.
                warn!(%error, "cannot accept on the bus port");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn serve(
    node: &Node,
    mut stream: TcpStream,
    workers: &Workers,
    inbox: mpsc::Sender<Inbound>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let line = timeout(HANDSHAKE_TIMEOUT, handshake(&mut stream)).await??;
    let version = VERSION.to_string();
    let words: Vec<&str> = line.split(' ').collect();
    match words.as_slice() {
        ["ringcache-bus", v, from, to] if *v == version => {
            if *to != node.incarnation.0 {
                return Err(io::Error::other(format!(
                    "{from} wants {to}, this is {}",
                    node.incarnation
                )));
            }
            messages(stream, Incarnation((*from).to_owned()), inbox).await
        }
        ["ringcache-forward", v, proto] if *v == FORWARD_VERSION.to_string() => {
            let proto = match *proto {
                "resp2" => Proto::Resp2,
                "resp3" => Proto::Resp3,
                other => return Err(io::Error::other(format!("unknown protocol `{other}`"))),
            };
            workers.adopt(stream.into_std()?, Origin::Peer { proto });
            Ok(())
        }
        _ => Err(io::Error::other(format!("not a handshake of bus version {VERSION}: `{line}`"))),
    }
}

/// Reads one line and not a byte more: what follows may belong to a worker.
async fn handshake(stream: &mut TcpStream) -> io::Result<String> {
    let mut line = Vec::new();
    loop {
        match stream.read_u8().await? {
            b'\n' => return String::from_utf8(line).map_err(io::Error::other),
            byte if line.len() < MAX_HANDSHAKE_BYTES => line.push(byte),
            _ => return Err(io::Error::other("the handshake is too long")),
        }
    }
}

/// Reads what a peer says. What it must be told goes back over the same connection.
async fn messages(
    stream: TcpStream,
    from: Incarnation,
    inbox: mpsc::Sender<Inbound>,
) -> io::Result<()> {
    let (mut reading, writing) = stream.into_split();
    let (news, to_tell) = mpsc::channel(1);
    tokio::spawn(tell(writing, to_tell)); // ends with the last sender
    let (mut buffer, mut document) = (Vec::new(), None);
    loop {
        match Frame::read(&mut reading, &mut buffer).await? {
            Frame::Document(json) => {
                document =
                    Some(Arc::new(Document::parse(json.as_bytes()).map_err(io::Error::other)?));
            }
            Frame::Messages(messages) if messages.is_empty() => {}
            Frame::Messages(messages) => {
                let document = document
                    .clone()
                    .ok_or_else(|| io::Error::other("a message without a document"))?;
                let (from, news) = (from.clone(), news.clone());
                let inbound = Inbound::Messages { from, document, messages, news };
                if inbox.send(inbound).await.is_err() {
                    return Ok(()); // the node is stopping
                }
            }
        }
    }
}

/// Tells a sender of the documents that it takes no part in, each once.
async fn tell(mut stream: OwnedWriteHalf, mut to_tell: mpsc::Receiver<Arc<Document>>) {
    let mut epoch = 0;
    while let Some(document) = to_tell.recv().await {
        if document.epoch <= epoch {
            continue;
        }
        epoch = document.epoch;
        let Ok(frame) = Frame::Document(document.to_json()).encode(Vec::new()) else { continue };
        if !matches!(timeout(WRITE_TIMEOUT, stream.write_all(&frame)).await, Ok(Ok(()))) {
            return;
        }
    }
}
