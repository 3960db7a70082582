//! Real nodes on every address of the host: clients and nodes reach them by IPv4 as well as by IPv6.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test's helpers fail like the test itself"
)]

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ringcache_api::admin::NodeState;
use ringcache_api::document::{ClusterRef, FORMAT_VERSION, HashRule, slot_ranges};
use ringcache_api::{Document, Member, MemberState, Ports};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);
const CLUSTER_UID: &str = "c1";
/// Attempts, 50 ms apart: a minute.
const ATTEMPTS: usize = 1200;

/// A node that listens on every address; it ends with the test.
struct Node {
    name: &'static str,
    ports: Ports,
    process: Child,
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Node {
    fn start(name: &'static str) -> Self {
        // All are held until the last is found: they are four different ones.
        let held = [(); 4].map(|()| TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0)).unwrap());
        let [resp, http, admin, bus] = held.map(|port| port.local_addr().unwrap().port());
        let process = Command::new(env!("CARGO_BIN_EXE_cache-node"))
            .args(["--name", name, "--uid", name, "--cluster-uid", CLUSTER_UID])
            .args(["--memory-bytes", "67108864", "--threads", "1", "--bind", "::"])
            .args(["--resp-port", &resp.to_string(), "--http-port", &http.to_string()])
            .args(["--admin-port", &admin.to_string(), "--bus-port", &bus.to_string()])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { name, ports: Ports { resp, http, admin, bus }, process }
    }

    fn state(&self, ip: IpAddr) -> io::Result<NodeState> {
        let answer = http(ip, self.ports.admin, "GET", "/admin/v1/state", "")?;
        serde_json::from_str(&answer).map_err(io::Error::from)
    }

    fn resp(&self, ip: IpAddr, request: &str) -> String {
        let mut stream = TcpStream::connect((ip, self.ports.resp)).unwrap();
        stream.write_all(format!("{request}\r\nQUIT\r\n").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

/// The body of a successful answer.
fn http(ip: IpAddr, port: u16, method: &str, path: &str, body: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect((ip, port))?;
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    if head.starts_with("HTTP/1.1 2") { Ok(body.to_owned()) } else { Err(io::Error::other(answer)) }
}

fn wait_for<T>(what: &str, mut attempt: impl FnMut() -> Result<T, String>) -> T {
    let mut last = String::new();
    for _ in 0..ATTEMPTS {
        match attempt() {
            Ok(found) => return found,
            Err(why) => last = why,
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("{what}: {last}");
}

/// Two nodes that know each other by their IPv6 address, each with half of the slots.
fn cluster() -> [Node; 2] {
    let nodes = ["web-0", "web-1"].map(Node::start);
    let members = nodes.iter().map(|node| {
        let state = wait_for("a node answers", || node.state(V6).map_err(|e| e.to_string()));
        Member {
            name: node.name.into(),
            uid: state.incarnation,
            host: V6.to_string(),
            ports: node.ports,
            state: MemberState::Active,
        }
    });
    let document = Document {
        version: FORMAT_VERSION,
        cluster: ClusterRef { uid: CLUSTER_UID.into(), ..ClusterRef::default() },
        epoch: 1,
        hash: HashRule::default(),
        members: members.collect(),
        gone: [].into(),
        slots: slot_ranges(|slot| if slot < 8192 { "web-0" } else { "web-1" }),
        checksum: String::new(),
    };
    let document = document.sealed().to_json();
    for node in &nodes {
        http(V6, node.ports.admin, "PUT", "/admin/v1/ring", &document).unwrap();
    }
    // A slot is adopted once every other node has said that it is not its own: they have spoken with each other.
    for node in &nodes {
        wait_for("it owns its half", || {
            let owned = node.state(V4).map_err(|e| e.to_string())?.ownership.owned;
            let slots: u32 = owned.iter().map(|(first, last)| u32::from(last - first) + 1).sum();
            if slots == 8192 { Ok(()) } else { Err(format!("{owned:?}")) }
        });
    }
    nodes
}

fn has_ipv6() -> bool {
    TcpListener::bind((V6, 0)).is_ok()
}

#[test]
fn nodes_and_clients_speak_ipv6_and_ipv4_on_the_same_ports() {
    if !has_ipv6() {
        return; // what such a host does instead is shown where sockets are made
    }
    let [low, high] = cluster();
    // In the upper half.
    let key = "foo";
    assert_eq!(ringcache_ring::key_slot(key.as_bytes()), 12182);
    for ip in [V4, V6] {
        assert!(high.resp(ip, "SET foo bar").starts_with("+OK\r\n"));
        let moved = format!("-MOVED 12182 ::1:{}\r\n", high.ports.resp);
        let answer = low.resp(ip, "GET foo");
        assert!(answer.starts_with(&moved), "{answer}");

        // Over another node, which asks the owner by its IPv6 address.
        let path = format!("/cache/{key}");
        http(ip, low.ports.http, "PUT", &path, r#"{"value":"over-http"}"#).unwrap();
        let answer = http(ip, low.ports.http, "GET", &path, "").unwrap();
        assert!(answer.contains("over-http"), "{answer}");
    }
    // By the address that the client has, not by the one that an IPv6 socket sees.
    let (v4, v6) = (low.resp(V4, "CLIENT INFO"), low.resp(V6, "CLIENT INFO"));
    let local = low.ports.resp;
    assert!(v4.contains(" addr=127.0.0.1:"), "{v4}");
    assert!(v4.contains(&format!(" laddr=127.0.0.1:{local} ")), "{v4}");
    assert!(v6.contains(&format!(" laddr=[::1]:{local} ")), "{v6}");
}
