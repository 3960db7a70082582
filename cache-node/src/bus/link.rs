//! The sending side: a task for each peer, which connects, sends what is queued, and connects again.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use ringcache_api::{Document, Incarnation, Member};
use ringcache_cluster::Message;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::debug;

use super::frame::Frame;
use super::{Inbound, VERSION};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// A peer that does not take bytes for this long is given up and dialled again.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// Messages written at once.
const BATCH: usize = 64;

type Queued = (Arc<Document>, Message);

/// The links to all peers of the document in force.
pub struct Links {
    me: Incarnation,
    inbox: mpsc::Sender<Inbound>,
    peers: HashMap<Incarnation, Link>,
}

struct Link {
    // Unbounded, but what may be in it is not: the state machine has a window for each slot in handover, and repeats
    // itself only after a pause. A disconnected link empties its queue.
    queue: mpsc::UnboundedSender<Queued>,
    task: JoinHandle<()>,
}

impl Links {
    /// No links yet. `inbox` is told when one comes up.
    pub fn new(me: Incarnation, inbox: mpsc::Sender<Inbound>) -> Self {
        Self { me, inbox, peers: HashMap::new() }
    }

    /// Starts links to new members and ends those to former ones.
    pub fn follow(&mut self, document: &Document) {
        self.peers.retain(|peer, link| {
            let stays = document.incarnation(peer).is_some() && !document.gone.contains(peer);
            if !stays {
                link.task.abort();
            }
            stays
        });
        for member in &document.members {
            let wanted = member.uid != self.me && !document.gone.contains(&member.uid);
            if wanted && !self.peers.contains_key(&member.uid) {
                let (queue, queued) = mpsc::unbounded_channel();
                let task =
                    tokio::spawn(run(self.me.clone(), member.clone(), queued, self.inbox.clone()));
                self.peers.insert(member.uid.clone(), Link { queue, task });
            }
        }
    }

    /// Queues a message under the document in force. Whoever is no member is not reached.
    pub fn send(&self, to: &Incarnation, document: &Arc<Document>, message: Message) {
        if let Some(link) = self.peers.get(to) {
            // Fails only while the task is ending: then the peer is no member any more.
            let _ = link.queue.send((Arc::clone(document), message));
        }
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        for link in self.peers.values() {
            link.task.abort();
        }
    }
}

async fn run(
    me: Incarnation,
    peer: Member,
    mut queued: mpsc::UnboundedReceiver<Queued>,
    inbox: mpsc::Sender<Inbound>,
) {
    let mut pause = FIRST_PAUSE;
    loop {
        match tokio::time::timeout(CONNECT_TIMEOUT, connect(&me, &peer)).await {
            Ok(Ok(stream)) => {
                pause = FIRST_PAUSE;
                // What was queued meanwhile would arrive twice: the state machine repeats everything now.
                while queued.try_recv().is_ok() {}
                if inbox.send(Inbound::Connected(peer.uid.clone())).await.is_err() {
                    return;
                }
                match pump(stream, &mut queued).await {
                    Ok(()) => return,
                    Err(error) => debug!(peer = %peer.uid, %error, "bus connection lost"),
                }
            }
            Ok(Err(error)) => debug!(peer = %peer.uid, %error, "peer cannot be reached"),
            Err(_) => debug!(peer = %peer.uid, "peer does not answer"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
        while queued.try_recv().is_ok() {}
    }
}

async fn connect(me: &Incarnation, peer: &Member) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect((peer.host.as_str(), peer.ports.bus)).await?;
    stream.set_nodelay(true)?;
    let handshake = format!("ringcache-bus {VERSION} {me} {}\n", peer.uid);
    stream.write_all(handshake.as_bytes()).await?;
    Ok(stream)
}

/// Sends until the connection fails, or returns when the link is no longer wanted.
async fn pump(
    mut stream: TcpStream,
    queued: &mut mpsc::UnboundedReceiver<Queued>,
) -> io::Result<()> {
    let (mut out, mut batch, mut epoch) = (Vec::new(), Vec::new(), 0);
    while queued.recv_many(&mut batch, BATCH).await > 0 {
        out.clear();
        let mut messages = Vec::new();
        for (document, message) in batch.drain(..) {
            if document.epoch != epoch {
                epoch = document.epoch;
                Frame::Messages(std::mem::take(&mut messages)).encode(&mut out)?;
                Frame::Document(document.to_json()).encode(&mut out)?;
            }
            messages.push(message);
        }
        Frame::Messages(messages).encode(&mut out)?;
        tokio::time::timeout(WRITE_TIMEOUT, stream.write_all(&out)).await??;
    }
    Ok(())
}
