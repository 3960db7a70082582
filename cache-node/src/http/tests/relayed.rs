//! Any node answers for any key: requests passed on, waiting slots, dead owners.

use std::sync::atomic::Ordering;

use super::*;

#[tokio::test]
async fn a_node_that_does_not_own_the_key_answers_byte_for_byte_as_the_owner() {
    let servers = serve_two().await;
    let key = key_of(1);
    put(&servers[1], &key, r#"{"value":{"a":1}}"#).await;
    let requests = [
        format!("GET /cache/{key} HTTP/1.1"),
        format!("HEAD /cache/{key} HTTP/1.1"),
        format!("GET /cache/{key} HTTP/1.1\nIf-None-Match: *"),
        format!("PUT /cache/{key} HTTP/1.1"),
        format!("DELETE /cache/{key} HTTP/1.1"),
        format!("GET /cache/{key} HTTP/1.1"),
    ];
    for request in requests {
        let body: &[u8] = if request.starts_with("PUT") { br#"{"value":{"a":1}}"# } else { b"" };
        let relayed = send(servers[0].addr, &request, body).await;
        // Put again what was deleted through the other node.
        if request.starts_with("DELETE") {
            put(&servers[1], &key, r#"{"value":{"a":1}}"#).await;
        }
        assert_eq!(relayed, send(servers[1].addr, &request, body).await, "{request}");
    }
    assert_eq!(entries(&servers[0]), 0);
    assert_eq!(servers[0].node.counters.forwarded.load(Ordering::Relaxed), 6);
    assert_eq!(servers[1].node.counters.forwarded.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_value_at_the_limit_passes_through_another_node() {
    let servers = serve_two().await;
    let key = key_of(1);
    let body = format!("{{\"value\":\"{}\"}}", "x".repeat(ringcache_store::MAX_VALUE_BYTES - 2));
    assert_eq!(put(&servers[0], &key, &body).await.status(), "200");
    let reply = get(&servers[0], &key).await;
    assert_eq!(reply.status(), "200");
    assert_eq!(reply, get(&servers[1], &key).await);
}

#[tokio::test]
async fn a_batch_over_several_owners_is_answered_in_the_order_of_the_request() {
    let servers = serve_two().await;
    let keys: Vec<String> = (0..40).map(|n| format!("key-{n}")).collect();
    for key in &keys[..30] {
        put(&servers[0], key, &format!("{{\"value\":\"{key}\"}}")).await;
    }
    assert!(entries(&servers[0]) > 0 && entries(&servers[1]) > 0);
    let mut expected = keys[..30]
        .iter()
        .map(|key| format!(r#"{{"key":"{key}","value":"{key}","ttlSeconds":null}}"#))
        .collect::<Vec<_>>();
    expected.push(expected[0].clone());
    let asked: Vec<&String> = keys.iter().chain([&keys[0]]).collect();
    let body = serde_json::json!({ "keys": asked }).to_string();
    let missing = serde_json::to_string(&keys[30..]).unwrap();
    let expected = format!(r#"{{"entries":[{}],"missing":{missing}}}"#, expected.join(","));
    for server in &servers {
        assert_eq!(batch_get(server, &body).await.body, expected);
    }
}

#[tokio::test]
async fn a_large_batch_from_another_node_is_merged_and_a_too_large_one_is_refused() {
    let servers = serve_two().await;
    let keys: Vec<String> = (0..200).map(|n| format!("key-{n}")).collect();
    let value = "x".repeat(20_000);
    for key in &keys {
        put(&servers[0], key, &format!("{{\"value\":\"{value}\"}}")).await;
    }
    let body = serde_json::json!({ "keys": keys }).to_string();
    let reply = batch_get(&servers[0], &body).await;
    assert_eq!((reply.status(), reply.body.matches(&value).count()), ("200", 200));
    let twice: Vec<&String> = keys.iter().chain(&keys).collect();
    let body = serde_json::json!({ "keys": twice }).to_string();
    let reply = batch_get(&servers[0], &body).await;
    assert_eq!((reply.status(), reply.body.contains("BatchTooLarge")), ("413", true));
}

#[tokio::test]
async fn a_request_for_a_parked_slot_waits_and_is_served_when_it_opens() {
    let server = serve_alone().await;
    let slot = key_slot(b"k");
    server.node.store.lock(slot).set_access(Access::Parked);
    let node = Arc::clone(&server.node);
    let opening = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        node.store.lock(slot).set_access(Access::Open);
        node.wake(slot);
    };
    let (reply, ()) = tokio::join!(put(&server, "k", r#"{"value":1}"#), opening);
    assert_eq!(reply.status(), "200");
    assert_eq!(server.node.counters.waited.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_request_for_a_slot_handed_over_meanwhile_goes_to_the_new_owner() {
    let servers = serve_two().await;
    let key = key_of(0);
    let slot = key_slot(key.as_bytes());
    servers[0].node.store.lock(slot).set_access(Access::Parked);
    let handing_over = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let peers = servers[0].node.routes.load().peers.clone();
        let owner = |of: u16| u16::from(of >= SLOTS / 2 || of == slot);
        servers[1].node.store.lock(slot).set_access(Access::Open);
        servers[1].node.routes.store(route(1, &peers, owner));
        servers[0].node.routes.store(route(0, &peers, owner));
        servers[0].node.store.lock(slot).set_access(Access::Away);
        servers[0].node.wake(slot);
    };
    let (reply, ()) = tokio::join!(put(&servers[0], &key, r#"{"value":1}"#), handing_over);
    assert_eq!(reply.status(), "200");
    assert_eq!((entries(&servers[0]), entries(&servers[1])), (0, 1));
}

#[tokio::test]
async fn a_write_waits_while_the_handover_of_its_slot_is_behind() {
    let server = serve_alone().await;
    let slot = key_slot(b"k");
    let now = server.node.clock.unix_ms();
    {
        let mut guard = server.node.store.lock(slot);
        guard.journal_start();
        while guard.journal_len() <= 1 << 20 {
            guard.set(b"{k}", &vec![b'1'; 100_000], None, now);
        }
    }
    let draining = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(server.node.store.lock(slot).peek(b"k", now), None);
        while !server.node.store.lock(slot).journal_take(1 << 20).is_empty() {}
        server.node.wake(slot);
    };
    let (reply, ()) = tokio::join!(put(&server, "k", r#"{"value":1}"#), draining);
    assert_eq!(reply.status(), "200");
}

#[tokio::test]
async fn without_an_owner_the_answer_is_503_and_nothing_is_written() {
    let server = serve("oak-0", &[]).await;
    let reply = put(&server, "k", r#"{"value":1}"#).await;
    assert_eq!(
        reply.head,
        "HTTP/1.1 503 Service Unavailable\ncontent-type: application/json\n\
         cache-control: no-store\nretry-after: 1\ncontent-length: 98"
    );
    let message = "the owner of the key cannot be reached now; try again";
    assert_eq!(
        reply.body,
        format!(r#"{{"error":{{"code":"Unavailable","message":"{message}"}}}}"#)
    );
    assert_eq!(batch_get(&server, r#"{"keys":["k"]}"#).await.status(), "503");
    assert_eq!(entries(&server), 0);
}

#[tokio::test]
async fn an_owner_that_comes_up_within_the_patience_is_reached() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    drop(listener);
    let server = serve("oak-0", &[]).await;
    let late = serve("oak-1", &[]).await;
    own(&late, 0..SLOTS);
    let peers = [peer("oak-0", server.addr.port()), peer("oak-1", addr.port())];
    server.node.routes.store(route(0, &peers, |_| 1));
    let node = Arc::clone(&late.node);
    let coming_up = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let listener = TcpListener::bind(addr).await.unwrap();
        tokio::spawn(crate::http::serve(node, listener, std::future::pending()));
    };
    let (written, found, ()) = tokio::join!(
        put(&server, "k", r#"{"value":1}"#),
        batch_get(&server, r#"{"keys":["absent"]}"#),
        coming_up
    );
    assert_eq!((written.status(), found.status()), ("200", "200"));
    assert_eq!(entries(&late), 1);
}

#[tokio::test]
async fn nodes_that_each_think_the_other_owns_the_key_give_up_after_three_hops() {
    let servers = serve_two().await;
    for (me, server) in (0..).zip(&servers) {
        let peers = server.node.routes.load().peers.clone();
        server.node.routes.store(route(me, &peers, |_| 1 - me));
        for slot in 0..SLOTS {
            server.node.store.lock(slot).set_access(Access::Closed);
        }
    }
    assert_eq!(get(&servers[0], "k").await.status(), "503");
    let hops: u64 = servers.iter().map(|s| s.node.counters.forwarded.load(Ordering::Relaxed)).sum();
    assert_eq!(hops, 3);
}

#[tokio::test]
async fn what_a_client_says_of_hops_is_ignored() {
    let servers = serve_two().await;
    let far = key_of(1);
    for forged in ["3", "9", "3 somebody.1", "3 "] {
        let head = format!("GET /cache/{far} HTTP/1.1\nringcache-hops: {forged}");
        assert_eq!(send(servers[0].addr, &head, b"").await.status(), "404", "{forged}");
    }
}

#[tokio::test]
async fn a_stopping_node_finishes_what_it_has_begun() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let server = serve_alone().await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let stopped = async { stopped.await.unwrap_or(()) };
    let serving = tokio::spawn(crate::http::serve(Arc::clone(&server.node), listener, stopped));
    let slot = key_slot(b"k");
    server.node.store.lock(slot).set_access(Access::Parked);
    let stopping = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        stop.send(()).unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(TcpStream::connect(addr).await.is_err(), "no new connections");
        server.node.store.lock(slot).set_access(Access::Open);
        server.node.wake(slot);
    };
    let (reply, ()) = tokio::join!(send(addr, "GET /cache/k HTTP/1.1", b""), stopping);
    assert_eq!(reply.status(), "404");
    timeout(PATIENCE, serving).await.expect("the server ends").unwrap();
}

#[tokio::test]
async fn without_memory_only_what_stores_is_refused() {
    let server = serve_alone().await;
    assert_eq!(put(&server, "k", r#"{"value":1}"#).await.status(), "200");
    server.node.memory_is_tight.store(true, Ordering::Relaxed);
    assert_eq!(put(&server, "k", r#"{"value":2}"#).await.status(), "507");
    assert_eq!(server.node.counters.refused_for_memory.load(Ordering::Relaxed), 1);
    assert_eq!(get(&server, "k").await.status(), "200");
    assert_eq!(send(server.addr, "DELETE /cache/k HTTP/1.1", b"").await.status(), "200");
    server.node.memory_is_tight.store(false, Ordering::Relaxed);
    assert_eq!(put(&server, "k", r#"{"value":2}"#).await.status(), "200");
}

#[tokio::test]
async fn a_write_that_waited_for_memory_and_was_then_carried_out_elsewhere_says_so() {
    let servers = serve_two().await;
    let key = key_of(0);
    let slot = key_slot(key.as_bytes());
    servers[0].node.memory_is_tight.store(true, Ordering::Relaxed);
    let hand_over = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        for (me, server) in (0..).zip(&servers) {
            let peers = server.node.routes.load().peers.clone();
            let owner = |at| if at == slot { 1 } else { u16::from(at >= SLOTS / 2) };
            server.node.routes.store(route(me, &peers, owner));
        }
        servers[1].node.store.lock(slot).set_access(Access::Open);
        servers[0].node.store.lock(slot).set_access(Access::Away);
    };
    let (reply, ()) = tokio::join!(put(&servers[0], &key, r#"{"value":1}"#), hand_over);
    assert_eq!(reply.status(), "200");
    assert_eq!(servers[0].node.counters.refused_for_memory.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_write_whose_answer_has_no_room_is_not_passed_on() {
    let [first, second] = serve_two().await;
    let account = Arc::clone(&first.node.account);
    let body = format!("{{\"value\":\"{}\"}}", "x".repeat(100_000));
    let hog = account.open(false);
    let mut all = hog.lease();
    let free = 2 * body.len() - hog.allowance() + 20;
    assert!(all.grow_to(account.limit_bytes() + hog.allowance() - free));
    let reply = put(&first, &key_of(1), &body).await;
    assert_eq!((reply.status(), entries(&second)), ("503", 0));
    drop(all);
    assert_eq!(put(&first, &key_of(1), &body).await.status(), "200");
}
