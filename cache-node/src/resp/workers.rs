//! The threads: one accepts and hands sockets out, the others serve them.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::Mutex;
use ringcache_store::Tracking;
use ringcache_wire::reply::Proto;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::client::Clients;
use super::connection;
use super::forward::Forwarder;
use super::topology::Topology;
use super::tracking::MEMORY_SHARE;
use crate::counters::count;
use crate::node::Node;
use crate::served::Tally;

/// Connections may take so long to finish the request at hand and to flush when the node stops.
const DRAIN: Duration = Duration::from_secs(2);
/// Pause after a failed accept: without it, a node out of file descriptors would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A client.
    Client,
    /// Another node that forwards its clients' requests, each with a count of hops before it.
    Peer {
        /// The protocol version of those clients.
        proto: Proto,
    },
}

/// What all workers share.
pub(super) struct Shared {
    pub(super) node: Arc<Node>,
    pub(super) clients: Arc<Clients>,
    pub(super) topology: Topology,
    pub(super) stop: watch::Sender<bool>,
}

/// One worker's state: what is shared, and its own connections to other nodes.
pub(super) struct Worker {
    pub(super) shared: Arc<Shared>,
    pub(super) forwarder: Forwarder,
    /// What it has served.
    pub(super) tally: Arc<Mutex<Tally>>,
}

impl Worker {
    pub(super) fn node(&self) -> &Arc<Node> {
        &self.shared.node
    }

    /// Bytes of the largest request, and of the largest reply.
    pub(super) fn max_message_bytes(&self) -> usize {
        self.node().account.max_message_bytes()
    }
}

/// The running threads.
pub struct Workers {
    shared: Arc<Shared>,
    inboxes: Arc<Inboxes>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// Starts `node.args.threads` workers (0: one per core) and the acceptor for `listener`.
pub fn spawn(node: Arc<Node>, listener: TcpListener) -> io::Result<Workers> {
    let workers = match node.args.threads {
        0 => thread::available_parallelism().map_or(1, std::num::NonZero::get),
        workers => workers,
    };
    let clients = Arc::new(Clients::default());
    node.store.enable_tracking(Tracking {
        max_bytes: node.args.memory_bytes as usize / MEMORY_SHARE,
        observer: Arc::<Clients>::clone(&clients),
    });
    let shared = Arc::new(Shared {
        clients,
        topology: Topology::default(),
        stop: watch::Sender::new(false),
        node,
    });
    let mut threads = Vec::new();
    let mut inboxes = Vec::new();
    for number in 0..workers {
        let (inbox, arrivals) = mpsc::unbounded_channel();
        let load = Arc::new(AtomicUsize::new(0));
        inboxes.push(Inbox { sockets: inbox, load: Arc::clone(&load) });
        let worker = Arc::new(Worker {
            shared: Arc::clone(&shared),
            forwarder: Forwarder::default(),
            tally: shared.node.served.of_thread(),
        });
        let runtime = runtime()?;
        threads.push(
            thread::Builder::new()
                .name(format!("resp-{number}"))
                .spawn(move || runtime.block_on(work(worker, arrivals, load)))?,
        );
    }
    let inboxes = Arc::new(Inboxes { inboxes, turn: AtomicUsize::new(0) });
    listener.set_nonblocking(true)?;
    let runtime = runtime()?;
    let listener = {
        let _entered = runtime.enter();
        tokio::net::TcpListener::from_std(listener)?
    };
    let (acceptor_shared, acceptor_inboxes) = (Arc::clone(&shared), Arc::clone(&inboxes));
    threads.push(
        thread::Builder::new()
            .name("resp-accept".into())
            .spawn(move || runtime.block_on(accept(acceptor_shared, listener, acceptor_inboxes)))?,
    );
    Ok(Workers { shared, inboxes, threads: Mutex::new(threads) })
}

impl Workers {
    /// Gives an accepted socket to a worker. The socket may be blocking or not.
    pub fn adopt(&self, socket: TcpStream, origin: Origin) {
        match socket.set_nonblocking(true) {
            Ok(()) => self.inboxes.put(Arrival { socket, origin, permit: None }),
            Err(error) => tracing::warn!(%error, "a connection from another node was dropped"),
        }
    }

    /// Ends gracefully: no socket is accepted any more, connections finish the request at hand, flush and close. Blocks
    /// until the threads have ended, about 2 s at most.
    pub fn stop(&self) {
        self.shared.stop.send_replace(true);
        self.shared.clients.close_all();
        for thread in self.threads.lock().drain(..) {
            if thread.join().is_err() {
                tracing::error!("a RESP thread had panicked");
            }
        }
    }
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// An accepted socket on its way to a worker.
struct Arrival {
    socket: TcpStream,
    origin: Origin,
    permit: Option<Permit>,
}

/// Counts one open client connection, while it lives.
struct Permit(Arc<Node>);

impl Permit {
    /// `None` if as many clients are connected as may be.
    fn take(node: &Arc<Node>) -> Option<Self> {
        let open = node.counters.connections.fetch_add(1, Ordering::Relaxed);
        let permit = Self(Arc::clone(node));
        (open < node.args.max_clients as u64).then_some(permit)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.counters.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The way to one worker. As many sockets may wait in it as are accepted: `--max-clients` bounds those of clients, and other
/// nodes open one for each of their workers. A shorter queue would drop clients of a burst that the node has room for.
struct Inbox {
    sockets: mpsc::UnboundedSender<Arrival>,
    /// Connections that the worker has, those that wait in its inbox included.
    load: Arc<AtomicUsize>,
}

/// The ways to the workers.
struct Inboxes {
    inboxes: Vec<Inbox>,
    turn: AtomicUsize,
}

impl Inboxes {
    /// Gives the socket to the less loaded of two workers. Which two, goes round: a hash of the address would load
    /// workers unevenly when there are few connections.
    fn put(&self, arrival: Arrival) {
        let workers = self.inboxes.len();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let first = turn % workers;
        let second = (first + 1 + turn / workers % workers.max(2).saturating_sub(1)) % workers;
        let less_loaded = [first, second]
            .into_iter()
            .filter_map(|index| self.inboxes.get(index))
            .min_by_key(|inbox| inbox.load.load(Ordering::Relaxed));
        if let Some(inbox) = less_loaded {
            inbox.load.fetch_add(1, Ordering::Relaxed);
            let _ = inbox.sockets.send(arrival); // fails only when the worker has ended, because the node stops
        }
    }
}

async fn accept(shared: Arc<Shared>, listener: tokio::net::TcpListener, inboxes: Arc<Inboxes>) {
    let mut stop = shared.stop.subscribe();
    loop {
        let accepted = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            accepted = listener.accept() => accepted,
        };
        let node = &shared.node;
        match accepted {
            Ok((socket, _)) => welcome(node, socket, &inboxes),
            Err(error) => {
                tracing::warn!(%error, "accepting a client failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn welcome(node: &Arc<Node>, socket: tokio::net::TcpStream, inboxes: &Inboxes) {
    let Some(permit) = Permit::take(node) else {
        count(&node.counters.connections_rejected);
        // A socket just accepted takes a few bytes at once; if not, the client sees the close.
        let _ = socket.try_write(b"-ERR max number of clients reached\r\n");
        return;
    };
    count(&node.counters.connections_total);
    match socket.into_std() {
        Ok(socket) => {
            inboxes.put(Arrival { socket, origin: Origin::Client, permit: Some(permit) });
        }
        Err(error) => tracing::warn!(%error, "an accepted connection was lost"),
    }
}

/// One worker: serves what arrives until the node stops.
async fn work(
    worker: Arc<Worker>,
    mut arrivals: mpsc::UnboundedReceiver<Arrival>,
    load: Arc<AtomicUsize>,
) {
    let mut stop = worker.shared.stop.subscribe();
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            Some(ended) = connections.join_next(), if !connections.is_empty() => {
                load.fetch_sub(1, Ordering::Relaxed);
                if let Err(error) = ended {
                    tracing::error!(%error, "a connection ended by a panic");
                }
            }
            Some(arrival) = arrivals.recv() => {
                connections.spawn(serve(Arc::clone(&worker), arrival));
            }
        }
    }
    let drained = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(DRAIN, drained).await;
}

async fn serve(worker: Arc<Worker>, arrival: Arrival) {
    let Arrival { socket, origin, permit } = arrival;
    match tokio::net::TcpStream::from_std(socket) {
        Ok(socket) => connection::serve(&worker, socket, origin).await,
        Err(error) => tracing::warn!(%error, "a connection could not be registered"),
    }
    drop(permit);
}
