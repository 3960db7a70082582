//! A node in this process, on a free port of the loopback, and clients that compare its replies byte for byte.

mod bounds;
mod cluster;
mod commands;
mod connections;
mod documented;
mod forwarding;
mod help;
mod hostile;
mod large_requests;
mod memory;
mod parts;
mod served;
mod tracking;
mod transactions;
mod watch;

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use ringcache_api::Incarnation;
use ringcache_ring::SLOTS;
use ringcache_store::Access;
use ringcache_wire::encode_command;
use ringcache_wire::frame::FrameScanner;
use tokio::sync::{mpsc, oneshot};

use super::{Workers, spawn};
use crate::args::NodeArgs;
use crate::bus;
use crate::clock::Clock;
use crate::node::Node;
use crate::routes::{Peer, Routes};

/// Longer than anything here takes, shorter than anybody waits for a hanging test.
const PATIENCE: Duration = Duration::from_secs(10);

/// A node whose slots are all open, until a test says otherwise. It ends with the test.
struct Server {
    node: Arc<Node>,
    workers: Arc<Workers>,
    addr: SocketAddr,
    bus: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Server {
    fn start() -> Self {
        Self::start_with(|_| {})
    }

    fn start_with(change: impl FnOnce(&mut NodeArgs)) -> Self {
        let listen = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let (resp, bus) = (listen(), listen());
        let addr = resp.local_addr().unwrap();
        let mut args = NodeArgs {
            name: "web-0".into(),
            uid: format!("uid-{}", addr.port()),
            cluster_uid: "cluster".into(),
            memory_bytes: 256 << 20,
            bind: Ipv4Addr::LOCALHOST.into(),
            resp_port: addr.port(),
            http_port: 1,
            admin_port: 1,
            bus_port: bus.local_addr().unwrap().port(),
            threads: 2,
            max_clients: 100,
            ttl_default_seconds: 0,
            ttl_jitter_percent: 0,
            grace_seconds: 1,
        };
        change(&mut args);
        let incarnation = Incarnation::new(&args.uid, "nonce");
        let node = Node::new(args, incarnation, 1, mpsc::channel(1).0);
        node.routes.store(Arc::new(routes(&[&node], |_| Some(0))));
        for slot in 0..SLOTS {
            node.store.lock(slot).set_access(Access::Open);
        }
        let workers = Arc::new(spawn(Arc::clone(&node), resp).unwrap());
        let bus = Some(serve_bus(&node, &workers, bus));
        Self { node, workers, addr, bus }
    }

    fn connect(&self) -> Client {
        Client::connect(self.addr)
    }

    /// Sets who may be served, as the control thread does.
    fn set_access(&self, slot: u16, access: Access) {
        self.node.store.lock(slot).set_access(access);
        self.node.wake(slot);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.workers.stop();
        if let Some((stop, thread)) = self.bus.take() {
            let _ = stop.send(());
            thread.join().unwrap();
        }
    }
}

/// Takes forwarded requests, with the node's own bus listener.
fn serve_bus(
    node: &Arc<Node>,
    workers: &Arc<Workers>,
    listener: TcpListener,
) -> (oneshot::Sender<()>, JoinHandle<()>) {
    let (node, workers) = (Arc::clone(node), Arc::clone(workers));
    let (stop, stopped) = oneshot::channel();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            listener.set_nonblocking(true).unwrap();
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            tokio::select! {
                () = bus::listen(node, listener, workers, mpsc::channel(1).0) => {}
                _ = stopped => {}
            }
        });
    });
    (stop, thread)
}

/// Routes over these nodes; `owner` gives the index of each slot's owner. The first one is the one that uses them.
fn routes(nodes: &[&Arc<Node>], owner: impl Fn(u16) -> Option<u16>) -> Routes {
    let peers = nodes
        .iter()
        .map(|node| Peer {
            name: node.args.name.clone(),
            incarnation: node.incarnation.clone(),
            node_id: node.node_id.clone(),
            host: node.args.bind.to_string(),
            ports: node.args.ports(),
        })
        .collect();
    let mut routes = Routes::empty(peers, Some(0));
    routes.epoch = 7;
    routes.revision = nodes[0].routes.load().revision + 1;
    for slot in 0..SLOTS {
        routes.set_owner(slot, owner(slot));
    }
    routes
}

/// A client that reads no more than one reply at a time.
struct Client {
    socket: TcpStream,
    input: Vec<u8>,
}

impl Client {
    fn connect(addr: SocketAddr) -> Self {
        let socket = TcpStream::connect(addr).unwrap();
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, input: Vec::new() }
    }

    /// A connection that speaks RESP3.
    fn connect_resp3(addr: SocketAddr) -> Self {
        let mut client = Self::connect(addr);
        client.ask("HELLO 3");
        client
    }

    fn send(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).unwrap();
    }

    /// The next reply, or what came before the connection was closed.
    fn receive(&mut self) -> Vec<u8> {
        loop {
            if let Some(length) = FrameScanner::new(64 << 20).scan(&self.input).unwrap() {
                let rest = self.input.split_off(length);
                return std::mem::replace(&mut self.input, rest);
            }
            let mut chunk = [0; 16 << 10];
            let read = self.socket.read(&mut chunk).unwrap();
            if read == 0 {
                return std::mem::take(&mut self.input);
            }
            self.input.extend_from_slice(&chunk[..read]);
        }
    }

    /// Everything until the connection is closed.
    fn receive_all(&mut self) -> Vec<u8> {
        let mut all = std::mem::take(&mut self.input);
        // A reset after the last byte is a close as well.
        let _ = self.socket.read_to_end(&mut all);
        all
    }

    /// One command, its words separated by spaces, and its reply. `""` stands for an empty word.
    fn ask(&mut self, command: &str) -> String {
        let words: Vec<&[u8]> = command
            .split(' ')
            .map(|word| if word == "\"\"" { &b""[..] } else { word.as_bytes() })
            .collect();
        self.ask_words(&words)
    }

    fn ask_words(&mut self, words: &[&[u8]]) -> String {
        let mut request = Vec::new();
        encode_command(&mut request, words);
        self.send(&request);
        String::from_utf8_lossy(&self.receive()).into_owned()
    }

    fn check(&mut self, cases: &[(&str, &str)]) {
        for (command, reply) in cases {
            assert_eq!(self.ask(command), *reply, "{command}");
        }
    }
}

/// Runs the commands in order, on a fresh node for each protocol version. The replies are those of RESP2; in RESP3 nulls
/// look different.
fn check(cases: &[(&str, &str)]) {
    let server = Server::start();
    server.connect().check(cases);
    let server = Server::start();
    let cases: Vec<(&str, String)> = cases
        .iter()
        .map(|(command, reply)| {
            (*command, reply.replace("$-1\r\n", "_\r\n").replace("*-1\r\n", "_\r\n"))
        })
        .collect();
    let cases: Vec<(&str, &str)> =
        cases.iter().map(|(command, reply)| (*command, reply.as_str())).collect();
    Client::connect_resp3(server.addr).check(&cases);
}

impl Clock {
    fn elapsed(&self) -> Duration {
        Duration::from_millis(self.monotonic_ms())
    }
}

/// Waits until the condition holds.
fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let clock = Clock::start();
    while !condition() {
        assert!(clock.elapsed() < PATIENCE, "still not: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
