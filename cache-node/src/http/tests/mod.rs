//! The API over real sockets, compared byte for byte; only `date` is left out.

mod documented;
mod limits;
mod relayed;
mod served;
mod values;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use ringcache_api::{Incarnation, Ports};
use ringcache_ring::{SLOTS, key_slot};
use ringcache_store::Access;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::args::NodeArgs;
use crate::node::{Node, node_id};
use crate::requests::Request;
use crate::routes::{Peer, Routes};

/// No exchange of these tests takes longer, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    args: NodeArgs,
}

/// A node that serves HTTP and nothing else.
struct Server {
    node: Arc<Node>,
    addr: SocketAddr,
}

/// An answer: its head without `date`, and its body.
#[derive(Debug, PartialEq, Eq)]
struct Reply {
    head: String,
    body: String,
}

impl Reply {
    fn status(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// A node that owns every slot.
async fn serve_alone() -> Server {
    serve_alone_with(&[]).await
}

async fn serve_alone_with(flags: &[&str]) -> Server {
    let server = serve("oak-0", flags).await;
    own(&server, 0..SLOTS);
    server
}

async fn serve(name: &str, flags: &[&str]) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (control, _) = mpsc::channel(1);
    let node = node(name, flags, control);
    tokio::spawn(crate::http::serve(Arc::clone(&node), listener, std::future::pending()));
    Server { node, addr }
}

/// A node of cluster `oak` that nothing runs for yet.
pub(crate) fn node(name: &str, flags: &[&str], control: mpsc::Sender<Request>) -> Arc<Node> {
    let given = ["node", "--name", name, "--uid", name, "--cluster-uid", "oak"];
    let sized = ["--memory-bytes", "268435456"];
    let sized: &[&str] = if flags.contains(&sized[0]) { &[] } else { &sized };
    let given = given.iter().chain(sized).chain(flags);
    Node::new(Flags::parse_from(given).args, Incarnation::new(name, "1"), 7, control)
}

fn own(server: &Server, slots: impl Iterator<Item = u16>) {
    for slot in slots {
        server.node.store.lock(slot).set_access(Access::Open);
    }
}

fn peer(name: &str, http: u16) -> Peer {
    let incarnation = Incarnation::new(name, "1");
    Peer {
        name: name.to_owned(),
        node_id: node_id(&incarnation),
        incarnation,
        host: "127.0.0.1".to_owned(),
        ports: Ports { resp: 1, http, admin: 1, bus: 1 },
    }
}

/// Routes by which peer `owner(slot)` owns a slot, as node `me` sees them.
fn route(me: u16, peers: &[Peer], owner: impl Fn(u16) -> u16) -> Arc<Routes> {
    let mut routes = Routes::empty(peers.to_vec(), Some(me));
    for slot in 0..SLOTS {
        routes.set_owner(slot, Some(owner(slot)));
    }
    Arc::new(routes)
}

/// Two nodes that agree: the first owns the lower half of the slots, the second the upper.
async fn serve_two() -> [Server; 2] {
    let servers = [serve("oak-0", &[]).await, serve("oak-1", &[]).await];
    let peers = [peer("oak-0", servers[0].addr.port()), peer("oak-1", servers[1].addr.port())];
    for (me, server) in (0..).zip(&servers) {
        server.node.routes.store(route(me, &peers, |slot| u16::from(slot >= SLOTS / 2)));
        own(server, (0..SLOTS).filter(|slot| u16::from(*slot >= SLOTS / 2) == me));
    }
    servers
}

/// A key whose slot is in the lower (0) or upper (1) half.
fn key_of(half: u16) -> String {
    let keys = (0..).map(|n| format!("key-{n}"));
    keys.into_iter().find(|key| key_slot(key.as_bytes()) / (SLOTS / 2) == half).unwrap()
}

/// Sends bytes as they are and reads until the node closes.
async fn send_raw(addr: SocketAddr, request: &[u8]) -> Vec<u8> {
    let exchange = async {
        let mut socket = TcpStream::connect(addr).await.unwrap();
        socket.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).await.unwrap();
        answer
    };
    timeout(PATIENCE, exchange).await.expect("the node did not answer")
}

/// Sends a request of a head without blank line, and a body.
async fn send(addr: SocketAddr, head: &str, body: &[u8]) -> Reply {
    let mut request = head.trim_end().replace('\n', "\r\n").into_bytes();
    if !body.is_empty() {
        request.extend_from_slice(format!("\r\nContent-Length: {}", body.len()).as_bytes());
    }
    request.extend_from_slice(b"\r\nHost: oak\r\nConnection: close\r\n\r\n");
    request.extend_from_slice(body);
    let answer = String::from_utf8(send_raw(addr, &request).await).expect("answers are UTF-8");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let own = |line: &&str| !line.starts_with("date: ") && *line != "connection: close";
    let head: Vec<&str> = head.split("\r\n").filter(own).collect();
    Reply { head: head.join("\n"), body: body.to_owned() }
}

async fn get(server: &Server, key: &str) -> Reply {
    send(server.addr, &format!("GET /cache/{key} HTTP/1.1"), b"").await
}

async fn put(server: &Server, key: &str, body: &str) -> Reply {
    send(server.addr, &format!("PUT /cache/{key} HTTP/1.1"), body.as_bytes()).await
}

async fn batch_get(server: &Server, body: &str) -> Reply {
    send(server.addr, "POST /cache/batch-get HTTP/1.1", body.as_bytes()).await
}

fn entries(server: &Server) -> u64 {
    server.node.store.stats().entries
}
