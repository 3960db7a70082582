//! The sending side: a task for each peer, which connects, sends what is queued, and connects again.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use ringcache_api::{Document, Incarnation, Member};
use ringcache_cluster::Message;
use tokio::io::{AsyncRead, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::{debug, warn};

use super::frame::{BATCH_BYTES, Frame};
use super::{Inbound, VERSION, WRITE_TIMEOUT};
use crate::counters::count;
use crate::node::Node;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// Messages taken off the queue at once.
const BATCH: usize = 64;
/// Bytes of messages that wait for one peer at most: twice what the windows of all slots in handover let out, so that only a
/// peer that takes nothing while everything is repeated gets there.
const MAX_QUEUED_BYTES: usize = 8 << 20;

type Queued = (Arc<Document>, Message);

/// The links to all peers of the document in force, and to those that it declares gone: one of them may live on behind a
/// partition, and must be told.
pub struct Links {
    node: Arc<Node>,
    inbox: mpsc::Sender<Inbound>,
    peers: HashMap<Incarnation, Link>,
}

struct Link {
    // Its bytes are bounded, by `backlog`.
    queue: mpsc::UnboundedSender<Queued>,
    backlog: Arc<Backlog>,
    task: JoinHandle<()>,
}

/// What waits for one peer.
#[derive(Default)]
struct Backlog {
    bytes: AtomicUsize,
    /// Something was dropped since the peer was last told everything.
    overflowed: AtomicBool,
}

impl Backlog {
    /// Whether a message of so many bytes may wait as well.
    fn admit(&self, bytes: usize) -> bool {
        let admitted = self.bytes.load(Ordering::Relaxed) + bytes <= MAX_QUEUED_BYTES;
        if admitted {
            self.bytes.fetch_add(bytes, Ordering::Relaxed);
        } else {
            self.overflowed.store(true, Ordering::Relaxed);
        }
        admitted
    }

    fn taken(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Links {
    /// No links yet. `inbox` is told when one comes up.
    pub fn new(node: Arc<Node>, inbox: mpsc::Sender<Inbound>) -> Self {
        Self { node, inbox, peers: HashMap::new() }
    }

    /// Starts links to new members and ends those to whoever the document does not name.
    pub fn follow(&mut self, document: &Document) {
        self.peers.retain(|peer, link| {
            let stays = document.incarnation(peer).is_some() || document.gone.contains(peer);
            if !stays {
                link.task.abort();
            }
            stays
        });
        for member in &document.members {
            let wanted =
                member.uid != self.node.incarnation && !document.gone.contains(&member.uid);
            if wanted && !self.peers.contains_key(&member.uid) {
                let (queue, queued) = mpsc::unbounded_channel();
                let backlog = Arc::<Backlog>::default();
                let sender = Sender {
                    me: self.node.incarnation.clone(),
                    peer: member.clone(),
                    queued,
                    backlog: Arc::clone(&backlog),
                    in_hand: 0,
                    inbox: self.inbox.clone(),
                };
                let task = tokio::spawn(sender.run());
                self.peers.insert(member.uid.clone(), Link { queue, backlog, task });
            }
        }
    }

    /// Queues a message under the document in force. Whoever has no link is not reached.
    pub fn send(&self, to: &Incarnation, document: &Arc<Document>, message: Message) {
        let Some(link) = self.peers.get(to) else { return };
        if link.backlog.admit(message.size()) {
            // Fails only while the task is ending: then the peer is no member any more.
            let _ = link.queue.send((Arc::clone(document), message));
        } else {
            count(&self.node.counters.bus_dropped);
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

/// The task behind a link.
struct Sender {
    me: Incarnation,
    peer: Member,
    queued: mpsc::UnboundedReceiver<Queued>,
    backlog: Arc<Backlog>,
    /// Bytes of messages that were taken off the queue and not written yet.
    in_hand: usize,
    inbox: mpsc::Sender<Inbound>,
}

impl Sender {
    async fn run(mut self) {
        let mut pause = FIRST_PAUSE;
        loop {
            match timeout(CONNECT_TIMEOUT, connect(&self.me, &self.peer)).await {
                Ok(Ok(stream)) => {
                    pause = FIRST_PAUSE;
                    // What was queued meanwhile would arrive twice: the state machine repeats everything now.
                    self.forget_queued();
                    if !self.is_up().await {
                        return;
                    }
                    match self.serve(stream).await {
                        Ok(()) => return,
                        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                            warn!(peer = %self.peer.uid, %error, "a frame was refused");
                        }
                        Err(error) => debug!(peer = %self.peer.uid, %error, "bus connection lost"),
                    }
                }
                Ok(Err(error)) => debug!(peer = %self.peer.uid, %error, "peer cannot be reached"),
                Err(_) => debug!(peer = %self.peer.uid, "peer does not answer"),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            self.forget_queued();
        }
    }

    fn forget_queued(&mut self) {
        // What was in hand when the connection was lost waits no more either.
        self.backlog.taken(std::mem::take(&mut self.in_hand));
        while let Ok((_, message)) = self.queued.try_recv() {
            self.backlog.taken(message.size());
        }
        self.backlog.overflowed.store(false, Ordering::Relaxed);
    }

    /// Says that the peer knows nothing of what was sent before; false if the node is stopping.
    async fn is_up(&self) -> bool {
        self.inbox.send(Inbound::Connected(self.peer.uid.clone())).await.is_ok()
    }

    /// Sends until the connection fails, or returns when the link is no longer wanted.
    async fn serve(&mut self, stream: TcpStream) -> io::Result<()> {
        let (reading, mut writing) = stream.into_split();
        let (peer, inbox) = (self.peer.uid.clone(), self.inbox.clone());
        let mut told = pin!(listen(reading, peer, inbox));
        let (mut out, mut epoch, mut taken) = (Vec::new(), 0, Vec::new());
        loop {
            tokio::select! {
                count = self.queued.recv_many(&mut taken, BATCH) => if count == 0 { return Ok(()) },
                lost = &mut told => return lost,
            }
            let mut batch: VecDeque<Queued> = taken.drain(..).collect();
            self.in_hand = batch.iter().map(|(_, message)| message.size()).sum();
            while let Some(frame) = next_frame(&mut batch, &mut epoch) {
                out = frame.encode(out)?;
                timeout(WRITE_TIMEOUT, writing.write_all(&out)).await??;
                if let Frame::Messages(messages) = frame {
                    let written = messages.iter().map(Message::size).sum();
                    self.in_hand -= written;
                    self.backlog.taken(written);
                }
            }
            let is_empty = self.queued.is_empty();
            if is_empty && self.backlog.overflowed.swap(false, Ordering::Relaxed) {
                self.is_up().await; // the state machine repeats what was dropped
            }
        }
    }
}

/// The next frame of what was queued: the document if it has changed, else as many messages as a frame takes.
fn next_frame(batch: &mut VecDeque<Queued>, epoch: &mut u64) -> Option<Frame> {
    let (document, _) = batch.front()?;
    if document.epoch != *epoch {
        *epoch = document.epoch;
        return Some(Frame::Document(document.to_json()));
    }
    let (mut messages, mut bytes) = (Vec::new(), 0);
    while bytes < BATCH_BYTES
        && let Some((_, message)) = batch.pop_front_if(|(document, _)| document.epoch == *epoch)
    {
        bytes += message.size();
        messages.push(message);
    }
    Some(Frame::Messages(messages))
}

async fn connect(me: &Incarnation, peer: &Member) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect((peer.host.as_str(), peer.ports.bus)).await?;
    stream.set_nodelay(true)?;
    let handshake = format!("ringcache-bus {VERSION} {me} {}\n", peer.uid);
    stream.write_all(handshake.as_bytes()).await?;
    Ok(stream)
}

/// Takes in what the peer answers: a document in which this node takes no part. Ends with the connection.
async fn listen(
    mut stream: impl AsyncRead + Unpin,
    peer: Incarnation,
    inbox: mpsc::Sender<Inbound>,
) -> io::Result<()> {
    let mut buffer = Vec::new();
    loop {
        if let Frame::Document(json) = Frame::read(&mut stream, &mut buffer).await? {
            let document = Document::parse(json.as_bytes()).map_err(io::Error::other)?;
            if inbox.send(Inbound::Document(peer.clone(), Arc::new(document))).await.is_err() {
                return Ok(()); // the node is stopping
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ringcache_store::{MAX_KEY_BYTES, MAX_VALUE_BYTES};

    use super::super::frame::MAX_FRAME_BYTES;
    use super::*;

    fn document(epoch: u64) -> Document {
        use ringcache_api::document::{ClusterRef, FORMAT_VERSION, HashRule};
        Document {
            version: FORMAT_VERSION,
            cluster: ClusterRef::default(),
            epoch,
            hash: HashRule::default(),
            members: Vec::new(),
            gone: std::collections::BTreeSet::new(),
            slots: Vec::new(),
            checksum: String::new(),
        }
    }

    fn data(bytes: usize) -> Message {
        Message::Data { slot: 1, attempt: 1, seq: 1, records: vec![7; bytes] }
    }

    #[test]
    fn any_batch_of_the_largest_records_fits_into_frames_that_the_other_side_takes() {
        let document = Arc::new(document(3));
        let largest = MAX_VALUE_BYTES + MAX_KEY_BYTES + 64;
        let sizes = [largest, 100, largest, largest, BATCH_BYTES - 100, largest, 1];
        let mut batch: VecDeque<Queued> =
            (0..BATCH).map(|n| (Arc::clone(&document), data(sizes[n % sizes.len()]))).collect();
        let (mut epoch, mut records) = (0, 0);
        while let Some(frame) = next_frame(&mut batch, &mut epoch) {
            let bytes = frame.encode(Vec::new()).expect("a frame that is allowed").len();
            assert!(bytes <= MAX_FRAME_BYTES + 4);
            if let Frame::Messages(messages) = frame {
                records += messages.len();
            }
        }
        assert_eq!((records, epoch), (BATCH, 3));
    }

    #[test]
    fn a_backlog_takes_messages_up_to_its_bound_and_remembers_that_it_dropped_one() {
        let backlog = Backlog::default();
        assert!(backlog.admit(MAX_QUEUED_BYTES));
        assert!(!backlog.overflowed.load(Ordering::Relaxed));
        assert!(!backlog.admit(1));
        assert!(backlog.overflowed.load(Ordering::Relaxed));
        backlog.taken(1);
        assert!(backlog.admit(1));
    }

    /// A peer that takes nothing, and whose connections are lost while a frame is written to it.
    #[tokio::test(flavor = "current_thread")]
    async fn what_is_lost_with_a_connection_waits_no_more() {
        use ringcache_api::document::{MemberState, Ports};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (queue, queued) = mpsc::unbounded_channel();
        let (inbox, mut inbound) = mpsc::channel(64);
        let backlog = Arc::<Backlog>::default();
        let ports = Ports { resp: 1, http: 2, admin: 3, bus: port };
        let peer = Member {
            name: "b".into(),
            uid: Incarnation("b-1".into()),
            host: "127.0.0.1".into(),
            ports,
            state: MemberState::Active,
        };
        let sender = Sender {
            me: Incarnation("a-1".into()),
            peer,
            queued,
            backlog: Arc::clone(&backlog),
            in_hand: 0,
            inbox,
        };
        let task = tokio::spawn(sender.run());
        let document = Arc::new(document(3));
        for _ in 0..3 {
            let (stream, _) = listener.accept().await.expect("a connection");
            let up = inbound.recv().await;
            assert!(matches!(up, Some(Inbound::Connected(_))));
            // As after every connect, the state machine repeats what the peer does not have.
            while backlog.admit(data(1 << 20).size()) {
                let _ = queue.send((Arc::clone(&document), data(1 << 20)));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            drop(stream); // unread bytes make it a reset
        }
        let (_stream, _) = listener.accept().await.expect("a connection");
        let _ = inbound.recv().await;
        let waiting = backlog.bytes.load(Ordering::Relaxed);
        assert_eq!(waiting, 0, "nothing waits, and yet there is no room for {waiting} bytes");
        task.abort();
    }
}
