//! Any JSON value, any key, any time to live.

use super::*;
use ringcache_api::admin::Settings;

#[tokio::test]
async fn any_json_value_comes_back_as_its_compact_text() {
    let server = serve_alone().await;
    let deep = format!("{}1{}", "[".repeat(50_000), "]".repeat(50_000));
    let values = [
        "null",
        "true",
        "false",
        "0",
        "-0",
        "1.0",
        "1e400",
        "-12.340e-05",
        "\"\"",
        "[]",
        "{}",
        "123456789012345678901234567890.000",
        r#""\u0000\ud83d\ude00 \" \\ \/""#,
        "\"é😀\"",
        r#"{"a":{"b":[1,{"c":null}]},"a":2}"#,
        r#"" spaces  stay ""#,
        &deep,
    ];
    for value in values {
        let reply = put(&server, "k", &format!("{{\"value\":{value}}}")).await;
        assert_eq!(reply.body, r#"{"key":"k","ttlSeconds":null}"#);
        let reply = get(&server, "k").await;
        assert_eq!(reply.body, format!(r#"{{"key":"k","value":{value},"ttlSeconds":null}}"#));
    }
}

#[tokio::test]
async fn any_percent_encoded_byte_may_be_in_a_key() {
    let server = serve_alone().await;
    for byte in 0..=255_u8 {
        let name = format!("k%{byte:02x}");
        assert_eq!(put(&server, &name, &format!("{{\"value\":{byte}}}")).await.status(), "200");
    }
    assert_eq!(entries(&server), 256);
    for byte in 0..=255_u8 {
        let stored = server
            .node
            .store
            .lock(key_slot(&[b'k', byte]))
            .get(&[b'k', byte], 1)
            .map(|entry| entry.value.to_vec());
        assert_eq!(stored, Some(byte.to_string().into_bytes()));
        let reply = get(&server, &format!("%6B%{byte:02X}")).await;
        let expected = if byte >= 0x80 {
            format!(r#"{{"key":"k%{byte:02X}","keyEncoding":"percent","value":{byte},"#)
        } else {
            let key = serde_json::to_string(&format!("k{}", char::from(byte))).unwrap();
            format!(r#"{{"key":{key},"value":{byte},"#)
        };
        assert_eq!(reply.body, expected + r#""ttlSeconds":null}"#);
    }
}

#[tokio::test]
async fn a_batch_reads_keys_that_are_no_text_when_it_says_so() {
    let server = serve_alone().await;
    put(&server, "%FF%00", r#"{"value":1}"#).await;
    put(&server, "100%25", r#"{"value":2}"#).await;
    let reply =
        batch_get(&server, r#"{"keys":["%ff%00","100%25","%fe"],"keyEncoding":"percent"}"#).await;
    assert_eq!(
        reply.body,
        concat!(
            r#"{"keyEncoding":"percent","entries":[{"key":"%ff%00","value":1,"ttlSeconds":null},"#,
            r#"{"key":"100%25","value":2,"ttlSeconds":null}],"missing":["%fe"]}"#
        )
    );
    let reply = batch_get(&server, r#"{"keys":["100%25","100%"]}"#).await;
    assert_eq!(
        reply.body,
        r#"{"entries":[{"key":"100%","value":2,"ttlSeconds":null}],"missing":["100%25"]}"#
    );
}

#[tokio::test]
async fn head_answers_like_get_without_the_body() {
    let server = serve_alone().await;
    put(&server, "k", r#"{"value":[1,2]}"#).await;
    for key in ["k", "absent", "k?"] {
        let of_get = send(server.addr, &format!("GET /cache/{key} HTTP/1.1"), b"").await;
        let of_head = send(server.addr, &format!("HEAD /cache/{key} HTTP/1.1"), b"").await;
        assert_eq!((of_head.head, of_head.body), (of_get.head, String::new()));
    }
}

#[tokio::test]
async fn a_curl_form_header_is_taken_and_other_types_are_not() {
    let server = serve_alone().await;
    let as_type = async |header: &str| {
        let head = format!("PUT /cache/k HTTP/1.1\n{header}");
        send(server.addr, &head, br#"{"value":1}"#).await.status().to_owned()
    };
    for taken in [
        "Content-Type: application/x-www-form-urlencoded",
        "Content-Type: application/json",
        "content-type: Application/JSON; charset=utf-8",
        "Content-Type: application/vnd.oak+json",
        "Content-Encoding: identity",
    ] {
        assert_eq!(as_type(taken).await, "200", "{taken}");
    }
    let _ = server.node.store.lock(key_slot(b"k")).clear();
    for refused in [
        "Content-Type: text/plain",
        "Content-Type: multipart/form-data; boundary=x",
        "Content-Type: image/svg+xml",
        "Content-Type: ",
        "Content-Encoding: gzip",
    ] {
        assert_eq!(as_type(refused).await, "415", "{refused}");
    }
    assert_eq!(entries(&server), 0);
}

#[tokio::test]
async fn times_to_live_are_exact_when_given_and_the_default_when_not() {
    let server = serve_alone().await;
    let settings = Settings { ttl_default_seconds: 1000, ttl_jitter_percent: 10 };
    server.node.settings.store(Arc::new(settings));
    let deadline = |key: &str| {
        let now = server.node.clock.unix_ms();
        let mut guard = server.node.store.lock(key_slot(key.as_bytes()));
        guard.peek(key.as_bytes(), now).and_then(|entry| entry.deadline)
    };
    for seconds in [1_u64, 31_536_000] {
        let before = server.node.clock.unix_ms();
        let reply = put(&server, "k", &format!(r#"{{"value":1,"ttlSeconds":{seconds}}}"#)).await;
        let after = server.node.clock.unix_ms();
        assert_eq!(reply.body, format!(r#"{{"key":"k","ttlSeconds":{seconds}}}"#));
        let deadline = deadline("k").unwrap();
        assert!((before + seconds * 1000..=after + seconds * 1000).contains(&deadline));
    }
    let before = server.node.clock.unix_ms();
    put(&server, "d", r#"{"value":1}"#).await;
    let ttl = deadline("d").unwrap() - before;
    assert!((900_000..=1_000_100 + PATIENCE.as_millis() as u64).contains(&ttl), "{ttl}");
}

#[tokio::test]
async fn an_entry_past_its_deadline_is_absent_and_max_age_never_promises_more_than_is_left() {
    let server = serve_alone().await;
    let now = server.node.clock.unix_ms();
    server.node.store.lock(key_slot(b"k")).set(b"k", b"1", Some(now + 900), now);
    let reply = get(&server, "k").await;
    if reply.status() == "200" {
        assert_eq!(reply.header("cache-control"), Some("max-age=0"));
        assert_eq!(reply.body, r#"{"key":"k","value":1,"ttlSeconds":1}"#);
    }
    tokio::time::sleep(Duration::from_millis(901)).await;
    assert_eq!(get(&server, "k").await.status(), "404");
}

#[tokio::test]
async fn each_malformed_request_is_refused_and_changes_nothing() {
    let server = serve_alone().await;
    put(&server, "k", r#"{"value":"old"}"#).await;
    let refused = [
        ("", "400"),
        ("{", "400"),
        (r#"{"value":}"#, "400"),
        (r#"{"value":1}x"#, "400"),
        (r#"{"value":01}"#, "400"),
        ("\u{feff}{\"value\":1}", "400"),
        (r#"{"value":1,}"#, "400"),
        ("[1,60]", "422"),
        ("1", "422"),
        ("{}", "422"),
        (r#"{"value":1,"x":2}"#, "422"),
        (r#"{"value":1,"value":2}"#, "422"),
        (r#"{"value":1,"ttl":2}"#, "422"),
        (r#"{"value":1,"ttlSeconds":0}"#, "422"),
        (r#"{"value":1,"ttlSeconds":-1}"#, "422"),
        (r#"{"value":1,"ttlSeconds":1.5}"#, "422"),
        (r#"{"value":1,"ttlSeconds":"60"}"#, "422"),
        (r#"{"value":1,"ttlSeconds":null}"#, "422"),
        (r#"{"value":1,"ttlSeconds":31536001}"#, "422"),
        (r#"{"value":1,"ttlSeconds":99999999999999999999}"#, "422"),
    ];
    for (body, status) in refused {
        assert_eq!(put(&server, "k", body).await.status(), status, "{body}");
    }
    let invalid_utf8 = send(server.addr, "PUT /cache/k HTTP/1.1", b"{\"value\":\"\xff\"}").await;
    assert_eq!(invalid_utf8.status(), "400");
    let batches = [
        (r#"{"keys":["a",1]}"#, "422"),
        (r#"{"keys":"a"}"#, "422"),
        ("{}", "422"),
        (r#"{"keys":[""]}"#, "400"),
        (r#"{"keys":["%"],"keyEncoding":"percent"}"#, "400"),
        (r#"{"keys":[],"keyEncoding":"hex"}"#, "422"),
        (r#"{"keys":["\ud800"]}"#, "422"),
    ];
    for (body, status) in batches {
        assert_eq!(batch_get(&server, body).await.status(), status, "{body}");
    }
    assert_eq!(get(&server, "k").await.body, r#"{"key":"k","value":"old","ttlSeconds":null}"#);
    assert_eq!(entries(&server), 1);
}
