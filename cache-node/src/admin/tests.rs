//! The admin port over real sockets, with a control task that knows what a control thread would.

use std::net::SocketAddr;
use std::time::Duration;

use ringcache_api::admin::{HotKeyShare, NodeCurve, NodeHeat, NodeState, Settings, SlotTraffic};
use ringcache_api::document::{
    ClusterRef, FORMAT_VERSION, HashRule, Member, MemberState, SlotRange,
};
use ringcache_api::{Document, Incarnation, Ports};
use ringcache_cluster::{Cluster, Config};
use ringcache_ring::SLOTS;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::*;
use crate::http::tests::node;
use crate::measure::Second;
use crate::requests::Request;
use crate::routes::Routes;
use crate::served::Batch;
use crate::slots::NodeSlots;

/// No exchange of these tests takes longer, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);

struct Admin {
    node: Arc<Node>,
    addr: SocketAddr,
}

/// An admin port of the cluster `oak`, with the state machine of a control thread that talks to no other node.
async fn serve_oak() -> Admin {
    let (control, mut requests) = mpsc::channel(8);
    let node = node("oak-0", &[], control);
    let answering = Arc::clone(&node);
    tokio::spawn(async move {
        let mut cluster = Cluster::new(&answering.incarnation, Config::default());
        while let Some(request) = requests.recv().await {
            let (mut slots, now) = (NodeSlots::new(&answering), answering.clock.monotonic_ms());
            match request {
                Request::Push(document, answer) => {
                    let admitted = cluster.admit("oak", &document);
                    if admitted.is_ok() {
                        cluster.learn(&document, &mut slots);
                        cluster.tick(now, &mut slots);
                    }
                    answer.send(admitted.map(|()| cluster.epoch())).unwrap();
                }
                Request::Knowledge(answer) => answer.send(cluster.knowledge(now)).unwrap(),
            }
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(crate::admin::serve(Arc::clone(&node), listener, std::future::pending()));
    Admin { node, addr }
}

/// Status and body of the answer.
async fn send(admin: &Admin, method: &str, path: &str, body: &str) -> (u16, String) {
    let length =
        if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    let request =
        format!("{method} {path} HTTP/1.1\r\nHost: oak\r\nConnection: close\r\n{length}\r\n{body}");
    let exchange = async {
        let mut socket = TcpStream::connect(admin.addr).await.unwrap();
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let answer = timeout(PATIENCE, exchange).await.expect("the node did not answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

fn document(epoch: u64, cluster_uid: &str) -> Document {
    let uid = cluster_uid.to_owned();
    let ports = Ports { resp: 1, http: 2, admin: 3, bus: 4 };
    let member = Member {
        name: "oak-0".into(),
        uid: Incarnation::new("oak-0", "1"),
        host: "127.0.0.1".into(),
        ports,
        state: MemberState::Active,
    };
    Document {
        version: FORMAT_VERSION,
        cluster: ClusterRef { namespace: "forest".into(), name: "oak".into(), uid },
        epoch,
        hash: HashRule::default(),
        members: vec![member],
        gone: std::collections::BTreeSet::new(),
        slots: vec![SlotRange { range: (0, SLOTS - 1), owner: "oak-0".into() }],
        checksum: String::new(),
    }
    .sealed()
}

async fn push(admin: &Admin, document: &str) -> (u16, Value) {
    let (status, body) = send(admin, "PUT", "/admin/v1/ring", document).await;
    (status, serde_json::from_str(&body).unwrap())
}

#[tokio::test]
async fn a_node_is_alive_at_once_and_ready_from_its_first_document_until_it_drains() {
    let admin = serve_oak().await;
    assert_eq!(send(&admin, "GET", "/healthz", "").await, (200, "ok\n".into()));
    let waiting = "waiting for the first ring document\n";
    assert_eq!(send(&admin, "GET", "/readyz", "").await, (503, waiting.into()));
    let mut routes = Routes::empty(Vec::new(), None);
    routes.epoch = 1;
    admin.node.routes.store(Arc::new(routes));
    assert_eq!(send(&admin, "GET", "/readyz", "").await, (200, "ready\n".into()));
    admin.node.draining.store(true, Ordering::Relaxed);
    let draining = "draining: the node is about to stop\n";
    assert_eq!(send(&admin, "GET", "/readyz", "").await, (503, draining.into()));
    assert_eq!(send(&admin, "GET", "/healthz", "").await.0, 200);
}

#[tokio::test]
async fn a_newer_document_is_accepted_and_the_same_one_again() {
    let admin = serve_oak().await;
    for _ in 0..2 {
        let pushed = push(&admin, &document(7, "oak").to_json()).await;
        assert_eq!(pushed, (200, json!({"epoch": 7})));
    }
    assert_eq!(push(&admin, &document(8, "oak").to_json()).await, (200, json!({"epoch": 8})));
}

#[tokio::test]
async fn a_lower_epoch_and_another_cluster_are_refused_with_the_reason() {
    let admin = serve_oak().await;
    push(&admin, &document(7, "oak").to_json()).await;
    let message = "the ring document has epoch 6, which is not above 7, the epoch in force";
    let stale = json!({"error": {"code": "StaleEpoch", "message": message}});
    assert_eq!(push(&admin, &document(6, "oak").to_json()).await, (409, stale));
    let message =
        "the ring document belongs to the cluster with uid `elm`; this node belongs to `oak`";
    let other = json!({"error": {"code": "OtherCluster", "message": message}});
    assert_eq!(push(&admin, &document(9, "elm").to_json()).await, (409, other));
}

#[tokio::test]
async fn a_document_with_a_wrong_checksum_shape_or_size_is_refused() {
    let admin = serve_oak().await;
    let forged = document(7, "oak").to_json().replace("\"epoch\": 7", "\"epoch\": 8");
    let too_large = " ".repeat(MAX_DOCUMENT_BYTES + 1);
    for bad in [&forged, "{}", "no JSON", &too_large] {
        let (status, body) = push(&admin, bad).await;
        assert_eq!((status, &body["error"]["code"]), (422, &json!("InvalidDocument")), "{body}");
    }
    let (status, body) = push(&admin, &" ".repeat(MAX_BODY_BYTES as usize + 1)).await;
    assert_eq!((status, &body["error"]["code"]), (413, &json!("BodyTooLarge")));
    let (_, state) = send(&admin, "GET", "/admin/v1/state", "").await;
    assert_eq!(serde_json::from_str::<NodeState>(&state).unwrap().epoch, 0);
}

#[tokio::test]
async fn the_state_says_who_the_node_is_what_it_owns_and_what_it_holds() {
    let admin = serve_oak().await;
    let pushed = document(7, "oak");
    push(&admin, &pushed.to_json()).await;
    let now = admin.node.clock.unix_ms();
    admin.node.store.lock(5).set(b"k", b"v", None, now);
    admin.node.store.lock(5).get(b"k", now);
    admin.node.store.lock(5).get(b"absent", now);
    let (answered, body) = send(&admin, "GET", "/admin/v1/state", "").await;
    let state: NodeState = serde_json::from_str(&body).unwrap();
    assert_eq!((answered, state.version, state.name.as_str()), (200, 1, "oak-0"));
    assert_eq!(
        (state.incarnation, state.cluster_uid),
        (Incarnation::new("oak-0", "1"), "oak".into())
    );
    assert_eq!((state.epoch, state.checksum), (7, pushed.checksum));
    assert_eq!(state.ownership.owned, [(0, SLOTS - 1)]);
    assert_eq!(state.settings, Settings::default().into());
    let held = state.stats;
    assert_eq!((held.entries, held.hits, held.misses), (1, 1, 1));
    assert_eq!((held.limit_bytes, held.idle_ms), (268_435_456, None));
    assert!(held.used_bytes > 0 && held.resident_bytes > 0);
}

#[tokio::test]
async fn the_curve_says_which_reads_a_cluster_of_any_size_would_serve() {
    let admin = serve_oak().await;
    push(&admin, &document(7, "oak").to_json()).await;
    let now = admin.node.clock.unix_ms();
    admin.node.store.lock(5).set(b"k", b"v", None, now);
    admin.node.store.lock(5).get(b"k", now);
    admin.node.store.lock(5).get(b"absent", now);
    let memory_bytes = admin.node.args.memory_bytes;
    let (monotonic_ms, slots) = (admin.node.clock.monotonic_ms(), SLOTS.into());
    let second = Second { now, monotonic_ms, reads: 2, hits: 1, slots, memory_bytes };
    admin.node.measures.settle(&second);
    let (answered, body) = send(&admin, "GET", "/admin/v1/curve", "").await;
    let NodeCurve { version, incarnation, curve, budget_bytes, busy, half_life_seconds } =
        serde_json::from_str(&body).unwrap();
    assert_eq!((answered, version, incarnation), (200, 1, Incarnation::new("oak-0", "1")));
    assert_eq!((budget_bytes, busy), (admin.node.store.budget() as u64, 0.0));
    assert!((300.0..=3600.0).contains(&half_life_seconds), "few reads: {half_life_seconds}");
    assert_eq!([0, 1 << 20].map(|bytes| curve.hit_ratio(bytes)), [Some(0.0), Some(0.5)], "{body}");
    assert_eq!(curve.measured(), Some(0.5), "{body}");
    assert!((0.2..0.3).contains(&curve.reads()), "reads a second, of the last seconds: {body}");
}

#[tokio::test]
async fn the_heat_names_hot_keys_busy_slots_stampedes_and_how_long_things_take() {
    let admin = serve_oak().await;
    let node = &admin.node;
    push(&admin, &document(7, "oak").to_json()).await;
    let now = node.clock.unix_ms();
    let mut slot = node.store.lock(5);
    slot.set(b"\xff", b"1234", None, now);
    for turn in 0..20_000_u32 {
        slot.get(b"\xff", now);
        slot.get(&(turn % 1000).to_le_bytes(), now);
    }
    for client in 0..8 {
        slot.set_client(client, true);
        slot.get(b"absent", now);
    }
    drop(slot);
    node.store.set_budget(0);
    node.store.reclaim(now + 6400, 1);
    let mut batch = Batch::default();
    batch.reads = 100;
    node.served.of_thread().lock().add(&batch, Some(1000));
    let (answered, body) = send(&admin, "GET", "/admin/v1/heat", "").await;
    let heat: NodeHeat = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (answered, heat.version, heat.incarnation),
        (200, 1, Incarnation::new("oak-0", "1"))
    );
    let [HotKeyShare { key, key_encoding, key_bytes, share }] = &heat.hot_keys[..] else {
        panic!("{body}")
    };
    assert_eq!((&key[..], key_encoding.as_deref(), *key_bytes), ("%FF", Some("percent"), 1));
    assert!((share - 0.5).abs() < 0.05, "{body}");
    let [SlotTraffic { slot: 5, operations, bytes_in: _, bytes_out }] = heat.busiest_slots[..]
    else {
        panic!("{body}")
    };
    assert!(operations > 1_000.0 && (1.5..2.5).contains(&(bytes_out / operations)), "{body}");
    // Keys that are missed again and again over one connection are no stampede.
    assert_eq!(heat.stampedes, 1);
    let reads = heat.read_microseconds.unwrap();
    assert_eq!(reads.count, 100);
    assert!((969..=1032).contains(&reads.p50) && reads.p50 == reads.p999, "{reads:?}");
    let unused = heat.evicted_unused_milliseconds.unwrap();
    assert!((6200..=6600).contains(&unused.p50), "{unused:?}");
    assert_eq!((heat.write_microseconds, heat.expired_unused_milliseconds), (None, None));
}

#[tokio::test]
async fn settings_are_changed_live_and_bad_ones_change_nothing() {
    let admin = serve_oak().await;
    let good = r#"{"ttlDefaultSeconds":300,"ttlJitterPercent":90}"#;
    assert_eq!(send(&admin, "PUT", "/admin/v1/settings", good).await, (200, good.into()));
    let expected = Settings { ttl_default_seconds: 300, ttl_jitter_percent: 90 };
    assert_eq!(**admin.node.settings.load(), expected);
    let bad =
        [r#"{"ttlDefaultSeconds":1,"ttlJitterPercent":91}"#, r#"{"ttlDefaultSeconds":-1}"#, "x"];
    for body in bad {
        let (status, answer) = send(&admin, "PUT", "/admin/v1/settings", body).await;
        assert_eq!((status, answer.contains("InvalidSettings")), (422, true), "{answer}");
    }
    assert_eq!(**admin.node.settings.load(), expected);
}

#[tokio::test]
async fn settings_that_an_older_operator_does_not_name_stay_and_those_of_a_newer_one_are_ignored() {
    let admin = serve_oak().await;
    let body = r#"{"ttlDefaultSeconds":300,"ttlJitterPercent":20}"#;
    assert_eq!(send(&admin, "PUT", "/admin/v1/settings", body).await.0, 200);
    let other = r#"{"ttlDefaultSeconds":60,"eviction":"LFU"}"#;
    let in_force = r#"{"ttlDefaultSeconds":60,"ttlJitterPercent":20}"#;
    assert_eq!(send(&admin, "PUT", "/admin/v1/settings", other).await, (200, in_force.into()));
}

#[tokio::test]
async fn settings_for_another_incarnation_change_nothing() {
    let admin = serve_oak().await;
    let put = async |to: &str, seconds: u32| {
        let body = json!({ "to": to, "ttlDefaultSeconds": seconds, "ttlJitterPercent": 0 });
        send(&admin, "PUT", "/admin/v1/settings", &body.to_string()).await
    };
    let in_force = || admin.node.settings.load().ttl_default_seconds;
    for other in ["elm-0.1", "oak-0.2"] {
        let (status, answer) = put(other, 60).await;
        let message = format!("the settings are for {other}: `to` must be oak-0.1 here, or absent");
        let expected = json!({ "error": { "code": "OtherIncarnation", "message": message } });
        assert_eq!((status, serde_json::from_str(&answer).unwrap()), (409, expected));
        assert_eq!(in_force(), 0);
    }
    assert_eq!(put("oak-0.1", 60).await.0, 200);
    assert_eq!(in_force(), 60);
}

#[tokio::test]
async fn what_no_handler_takes_is_answered_in_json() {
    let admin = serve_oak().await;
    for (method, path, status, code) in [
        ("GET", "/", 404, "UnknownPath"),
        ("GET", "/healthz/more", 404, "UnknownPath"),
        ("POST", "/healthz", 405, "MethodNotAllowed"),
        ("GET", "/admin/v1/ring", 405, "MethodNotAllowed"),
        ("PUT", "/admin/v1/ring", 411, "LengthRequired"),
    ] {
        let (answered, body) = send(&admin, method, path, "").await;
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((answered, &body["error"]["code"]), (status, &json!(code)), "{method} {path}");
    }
}

#[tokio::test]
async fn metrics_are_served_in_the_text_format_with_ownership() {
    let admin = serve_oak().await;
    push(&admin, &document(1, "oak").to_json()).await;
    let (status, body) = send(&admin, "GET", "/metrics", "").await;
    assert_eq!(status, 200);
    assert!(body.contains("\nringcache_slots_owned 16384\n"), "{body}");
}

#[tokio::test]
async fn a_control_thread_that_is_gone_makes_the_state_unavailable_but_not_the_metrics() {
    let (control, _) = mpsc::channel(1);
    let node = node("oak-0", &[], control);
    assert_eq!(state::get(&node).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    let document = document(7, "oak").to_json();
    assert_eq!(
        ring::put(&node, document.as_bytes()).await.status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
    assert_eq!(metrics(&node).await.status(), StatusCode::OK);
}

#[test]
fn a_node_whose_control_loop_hangs_for_longer_than_five_seconds_is_not_alive() {
    assert_eq!(health(5000).status(), StatusCode::OK);
    assert_eq!(health(5001).status(), StatusCode::SERVICE_UNAVAILABLE);
}
