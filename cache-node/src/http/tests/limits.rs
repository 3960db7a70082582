//! Limits, at the limit and one above; and what a hostile client may not do.

use super::*;

const MAX_VALUE: usize = ringcache_store::MAX_VALUE_BYTES;

fn string_body(value_bytes: usize) -> String {
    // The value is text in quotes.
    format!("{{\"value\":\"{}\"}}", "x".repeat(value_bytes - 2))
}

#[tokio::test]
async fn a_value_at_the_limit_is_stored_and_one_byte_more_is_refused() {
    let server = serve_alone().await;
    assert_eq!(put(&server, "full", &string_body(MAX_VALUE)).await.status(), "200");
    let reply = get(&server, "full").await;
    assert_eq!(reply.body.len(), MAX_VALUE + r#"{"key":"full","value":,"ttlSeconds":null}"#.len());
    let reply = put(&server, "more", &string_body(MAX_VALUE + 1)).await;
    assert_eq!(reply.status(), "413");
    let message = "the value has 1048577 bytes as compact JSON; at most 1048576 are allowed";
    assert_eq!(
        reply.body,
        format!(r#"{{"error":{{"code":"ValueTooLarge","message":"{message}"}}}}"#)
    );
    assert_eq!(entries(&server), 1);
}

#[tokio::test]
async fn white_space_in_a_body_does_not_count_as_value() {
    let server = serve_alone().await;
    let body = format!("{{\"value\":[{}1]}}", " ".repeat(MAX_VALUE));
    assert_eq!(put(&server, "k", &body).await.status(), "200");
    assert_eq!(get(&server, "k").await.body, r#"{"key":"k","value":[1],"ttlSeconds":null}"#);
}

#[tokio::test]
async fn a_body_at_the_limit_is_read_and_one_byte_more_is_refused() {
    let server = serve_alone().await;
    let limit = crate::http::body::MAX_BODY_BYTES;
    let fill = |bytes: usize| format!("{{\"value\":1{}}}", " ".repeat(bytes - 11));
    assert_eq!(put(&server, "k", &fill(limit)).await.status(), "200");
    let head =
        format!("PUT /cache/more HTTP/1.1\r\nHost: oak\r\nContent-Length: {}\r\n\r\n", limit + 1);
    let answer = String::from_utf8(send_raw(server.addr, head.as_bytes()).await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 Payload Too Large\r\n"), "{answer}");
    assert!(answer.contains(r#""code":"BodyTooLarge""#), "{answer}");
    assert_eq!(entries(&server), 1);
}

#[tokio::test]
async fn a_client_that_still_sends_can_read_why_it_was_refused() {
    let server = serve_alone().await;
    let bytes = 2 * crate::http::body::MAX_BODY_BYTES;
    let head = format!("PUT /cache/k HTTP/1.1\r\nHost: oak\r\nContent-Length: {bytes}\r\n\r\n");
    let exchange = async {
        let mut socket = TcpStream::connect(server.addr).await.unwrap();
        socket.write_all(head.as_bytes()).await.unwrap();
        for _ in 0..bytes >> 20 {
            socket.write_all(&vec![b' '; 1 << 20]).await.unwrap();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let answer = timeout(PATIENCE, exchange).await.expect("the node answers");
    assert!(answer.starts_with("HTTP/1.1 413 Payload Too Large\r\n"), "{answer}");
}

#[tokio::test]
async fn a_refused_client_that_never_stops_is_closed() {
    let server = serve_alone().await;
    let mut socket = TcpStream::connect(server.addr).await.unwrap();
    let head = "PUT /cache/k HTTP/1.1\r\nHost: oak\r\nContent-Length: 1000000000000\r\n\r\n";
    socket.write_all(head.as_bytes()).await.unwrap();
    let endless = async { while socket.write_all(&[b' '; 4096]).await.is_ok() {} };
    timeout(PATIENCE, endless).await.expect("it is closed");
}

#[tokio::test]
async fn a_chunked_body_is_read_and_is_bounded_as_well() {
    let server = serve_alone().await;
    let head = "PUT /cache/k HTTP/1.1\r\nHost: oak\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
    let small = format!("{head}5\r\n{{\"val\r\n6\r\nue\":1}}\r\n0\r\n\r\n");
    let answer = String::from_utf8(send_raw(server.addr, small.as_bytes()).await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    let bytes = crate::http::body::MAX_BODY_BYTES + 1;
    let large = format!("{head}{bytes:x}\r\n{}", " ".repeat(bytes));
    let answer =
        String::from_utf8_lossy(&send_raw(server.addr, large.as_bytes()).await).into_owned();
    assert!(answer.starts_with("HTTP/1.1 413 Payload Too Large\r\n"), "{answer}");
}

#[tokio::test]
async fn a_batch_of_1000_keys_is_answered_and_one_of_1001_is_refused() {
    let server = serve_alone().await;
    let body = |keys: usize| serde_json::json!({"keys": vec!["k"; keys]}).to_string();
    put(&server, "k", r#"{"value":1}"#).await;
    let reply = batch_get(&server, &body(1000)).await;
    assert_eq!(reply.body.matches(r#"{"key":"k","value":1,"ttlSeconds":null}"#).count(), 1000);
    let reply = batch_get(&server, &body(1001)).await;
    assert_eq!((reply.status(), reply.body.contains("TooManyKeys")), ("422", true));
}

#[tokio::test]
async fn a_batch_of_more_than_fits_one_answer_is_refused_and_of_less_is_answered() {
    let server = serve_alone().await;
    for n in 0..7 {
        assert_eq!(put(&server, &format!("k{n}"), &string_body(MAX_VALUE)).await.status(), "200");
    }
    let ask = |keys: usize| {
        let keys: Vec<String> = (0..keys).map(|n| format!("k{n}")).collect();
        serde_json::json!({ "keys": keys }).to_string()
    };
    let reply = batch_get(&server, &ask(5)).await;
    assert_eq!(reply.status(), "200");
    assert!(reply.body.len() > 5 * MAX_VALUE && reply.body.ends_with(r#""missing":[]}"#));
    let reply = batch_get(&server, &ask(7)).await;
    assert_eq!((reply.status(), reply.body.contains("BatchTooLarge")), ("413", true));
    // Whatever was refused, all memory has been given back.
    assert_eq!(batch_get(&server, &ask(5)).await.status(), "200");
}

#[tokio::test]
async fn one_connection_more_than_allowed_is_told_so_and_closed() {
    let server = serve_alone_with(&["--max-clients", "1"]).await;
    let mut first = TcpStream::connect(server.addr).await.unwrap();
    first.write_all(b"GET /cache/k HTTP/1.1\r\nHost: oak\r\n\r\n").await.unwrap();
    let mut answered = [0; 12];
    first.read_exact(&mut answered).await.unwrap();
    assert_eq!(&answered, b"HTTP/1.1 404");
    let answer = String::from_utf8(send_raw(server.addr, b"").await).unwrap();
    let body = concat!(
        r#"{"error":{"code":"TooManyConnections","#,
        r#""message":"the node has as many connections as it allows; try again"}}"#
    );
    let head = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-length: {}\r\ncontent-type: application/json\r\n\
         cache-control: no-store\r\nretry-after: 1\r\nconnection: close\r\n\r\n",
        body.len()
    );
    assert_eq!(answer, head + body);
    drop(first);
    let free = async {
        while server.node.counters.connections.load(std::sync::atomic::Ordering::Relaxed) > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, free).await.expect("the closed connection is counted off");
    assert_eq!(get(&server, "k").await.status(), "404");
}

#[tokio::test]
async fn a_body_that_ends_early_changes_nothing() {
    let server = serve_alone().await;
    let mut socket = TcpStream::connect(server.addr).await.unwrap();
    let head = b"PUT /cache/k HTTP/1.1\r\nHost: oak\r\nContent-Length: 12\r\n\r\n{\"value\":1";
    socket.write_all(head).await.unwrap();
    socket.shutdown().await.unwrap();
    let mut rest = Vec::new();
    let _ = timeout(PATIENCE, socket.read_to_end(&mut rest)).await.expect("closed");
    assert_eq!(entries(&server), 0);
}

/// Whether the answer to a request is 200.
async fn is_served(server: &Server, request: &[u8]) -> bool {
    let Ok(mut socket) = TcpStream::connect(server.addr).await else { return false };
    let mut status = [0; 12];
    let is_sent = socket.write_all(request).await.is_ok();
    is_sent && socket.read_exact(&mut status).await.is_ok() && status == *b"HTTP/1.1 200"
}

/// Large bodies and answers are served, whoever held the memory.
async fn others_are_served(server: &Server) {
    let exchanges = async {
        // On a slow machine one of these may wait too long for the node, or look to it like one that does not move.
        let put =
            format!("PUT /cache/other HTTP/1.1\r\nHost: oak\r\nContent-Length: {}", MAX_VALUE + 10);
        let put = format!("{put}\r\n\r\n{}", string_body(MAX_VALUE));
        while !is_served(server, put.as_bytes()).await {}
        while !is_served(server, b"GET /cache/other HTTP/1.1\r\nHost: oak\r\n\r\n").await {}
    };
    timeout(PATIENCE, exchanges).await.expect("others are served");
    assert!(server.node.account.closed() > 0);
}

#[tokio::test]
async fn bodies_that_are_never_finished_make_room_for_others() {
    let server = serve_alone_with(&["--memory-bytes", "67108864"]).await;
    let mut half =
        b"PUT /cache/h HTTP/1.1\r\nHost: oak\r\nContent-Length: 4194304\r\n\r\n".to_vec();
    half.resize(half.len() + (3 << 20), b' ');
    let mut held = Vec::new();
    for _ in 0..8 {
        let mut socket = TcpStream::connect(server.addr).await.unwrap();
        let _ = timeout(Duration::from_secs(1), socket.write_all(&half)).await;
        held.push(socket);
    }
    others_are_served(&server).await;
}

/// Sends all but the end of the largest head on so many connections, each behind a whole request.
async fn send_heads(server: &Server, connections: usize) -> Vec<TcpStream> {
    let whole = "GET /cache/absent HTTP/1.1\r\nHost: oak\r\n\r\n";
    let half = format!("GET /cache/absent HTTP/1.1\r\nHost: oak\r\nX: {}", "x".repeat(15 << 10));
    let mut held = Vec::new();
    for n in 0..connections {
        let mut socket = TcpStream::connect(server.addr).await.unwrap();
        let text = if n % 2 == 0 { half.clone() } else { format!("{whole}{half}") };
        // The node may have closed it for another one.
        let _ = socket.write_all(text.as_bytes()).await;
        held.push(socket);
    }
    held
}

#[tokio::test]
async fn heads_that_are_never_finished_are_on_the_account_and_make_room_for_others() {
    let server = serve_alone_with(&["--memory-bytes", "67108864"]).await;
    let account = Arc::clone(&server.node.account);
    // With so many connections little is free for each of them.
    let others: Vec<_> = (0..1100).map(|_| account.open(true)).collect();
    let held = send_heads(&server, 200).await;
    wait_until("the heads are on the account", || account.used_bytes() > 200 * (10 << 10)).await;
    let hog = account.open(false);
    let mut rest = hog.lease();
    let free = account.limit_bytes() - account.used_bytes();
    assert!(rest.grow_to(free + hog.allowance() - (2 << 20)));
    others_are_served(&server).await;
    drop((held, rest, hog));
    wait_until("all is given back", || account.used_bytes() == 0).await;
    drop(others);
}

#[tokio::test]
async fn a_connection_holds_nothing_between_its_requests() {
    let server = serve_alone_with(&["--memory-bytes", "67108864"]).await;
    let mut socket = TcpStream::connect(server.addr).await.unwrap();
    let head = format!("Host: oak\r\nX: {}\r\n", "x".repeat(15 << 10));
    let body = string_body(50_000);
    let len = body.len();
    for _ in 0..40 {
        let put = format!("PUT /cache/k HTTP/1.1\r\n{head}Content-Length: {len}\r\n\r\n{body}");
        exchange(&mut socket, &put).await;
        exchange(&mut socket, &format!("GET /cache/k HTTP/1.1\r\n{head}\r\n")).await;
    }
    // With so many others little is free for it, and what it held above that would be charged.
    let others: Vec<_> = (0..1100).map(|_| server.node.account.open(true)).collect();
    assert_eq!(server.node.account.used_bytes(), 0);
    drop(others);
}

/// Sends a request and reads the whole answer.
async fn exchange(socket: &mut TcpStream, request: &str) {
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    loop {
        timeout(PATIENCE, socket.read_buf(&mut answer)).await.expect("an answer").unwrap();
        let text = String::from_utf8_lossy(&answer);
        assert!(text.is_empty() || text.starts_with("HTTP/1.1 200"), "{text}");
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let announced = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if announced.and_then(|len| len.parse().ok()) == Some(body.len()) {
            return;
        }
    }
}

async fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let so = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, so).await.unwrap_or_else(|_| panic!("gave up waiting until {what}"));
}

#[tokio::test]
async fn answers_that_nobody_takes_make_room_for_others() {
    let server = serve_alone_with(&["--memory-bytes", "67108864"]).await;
    assert_eq!(put(&server, "large", &string_body(MAX_VALUE)).await.status(), "200");
    let requests = b"GET /cache/large HTTP/1.1\r\nHost: oak\r\n\r\n".repeat(16);
    let mut held = Vec::new();
    for _ in 0..24 {
        let mut socket = TcpStream::connect(server.addr).await.unwrap();
        socket.write_all(&requests).await.unwrap();
        held.push(socket);
    }
    let somebody_was_closed = async {
        while server.node.account.closed() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, somebody_was_closed).await.unwrap();
    others_are_served(&server).await;
}

#[tokio::test]
async fn requests_on_one_connection_are_answered_in_order() {
    let server = serve_alone().await;
    put(&server, "a", r#"{"value":1}"#).await;
    let two = b"GET /cache/a HTTP/1.1\r\nHost: oak\r\n\r\nGET /cache/b HTTP/1.1\r\nHost: oak\r\nConnection: close\r\n\r\n";
    let answer = String::from_utf8(send_raw(server.addr, two).await).unwrap();
    let statuses: Vec<&str> =
        answer.match_indices("HTTP/1.1 ").map(|(at, _)| &answer[at + 9..at + 12]).collect();
    assert_eq!(statuses, ["200", "404"]);
}

#[tokio::test]
async fn writing_three_times_the_budget_keeps_the_store_within_it() {
    let server = serve_alone().await;
    server.node.store.set_budget(4 << 20);
    let body = string_body(100_000);
    for n in 0..120 {
        assert_eq!(put(&server, &format!("k{n}"), &body).await.status(), "200");
        assert!(server.node.store.used_bytes() <= 4 << 20);
    }
    assert_eq!(get(&server, "k119").await.status(), "200");
    assert_eq!(get(&server, "k0").await.status(), "404");
}
