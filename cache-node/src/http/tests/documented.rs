//! The API's page is the test: each request in it gets the answer that follows it, byte for byte.

use super::*;
use crate::http::problem::Problem;
use crate::served::ERRORS;

const PAGE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/http-api.md"));

/// The fenced `http` blocks of the page.
fn blocks() -> Vec<&'static str> {
    let fenced = PAGE.split("```http\n").skip(1);
    fenced.map(|rest| rest.split("```").next().unwrap().trim_end()).collect()
}

/// Times to live run while the test does: an hour of which some seconds are gone counts as the page's hour.
fn settle(text: &str) -> String {
    let mut text = text.to_owned();
    for gone in 0..30 {
        let left = |name: &str, seconds: i32| format!("{name}{}", seconds - gone);
        text = text.replace(&left("max-age=", 3600), "max-age=3599");
        text = text.replace(&left("\"ttlSeconds\":", 3600), "\"ttlSeconds\":3600");
    }
    text
}

#[tokio::test]
async fn each_request_of_the_page_gets_the_answer_of_the_page() {
    let server = serve_alone().await;
    server.node.store.lock(key_slot(b"written-as-bytes")).set(
        b"written-as-bytes",
        b"\xff\xfe\x00",
        None,
        1,
    );
    server.node.store.lock(key_slot(b"written-as-text")).set(
        b"written-as-text",
        b"plain text",
        None,
        1,
    );
    let blocks = blocks();
    assert!(blocks.len() >= 40 && blocks.len().is_multiple_of(2), "{} blocks", blocks.len());
    for pair in blocks.chunks(2) {
        let (head, body) = pair[0].split_once("\n\n").unwrap_or((pair[0], ""));
        let reply = send(server.addr, head, body.as_bytes()).await;
        let separator = if reply.body.is_empty() { "" } else { "\n\n" };
        let answer = format!("{}{separator}{}", reply.head, reply.body);
        assert_eq!(settle(&answer), settle(pair[1]), "to the request\n{}", pair[0]);
    }
}

#[test]
fn each_error_is_on_the_page_with_its_status_and_sentence() {
    let all = [
        Problem::InvalidJson(String::new()),
        Problem::InvalidKey(""),
        Problem::KeyTooLong(1025),
        Problem::BodyIncomplete,
        Problem::NotFound,
        Problem::UnknownPath,
        Problem::MethodNotAllowed("GET, HEAD, PUT, DELETE"),
        Problem::RequestTimeout,
        Problem::BodyTooLarge,
        Problem::ValueTooLarge(1_048_577),
        Problem::BatchTooLarge,
        Problem::UnsupportedMediaType,
        Problem::InvalidBody(String::new()),
        Problem::TooManyKeys(1001),
        Problem::Unavailable,
        Problem::OutOfMemory,
        Problem::Busy,
        Problem::TooManyConnections,
    ];
    for problem in all {
        let (status, code) = problem.kind();
        let row = format!("| {} | `{code}` | {problem}", status.as_str());
        assert!(PAGE.contains(&row), "not on the page: {row}");
        assert!(ERRORS.contains(&code) != (code == "NotFound"), "{code} is counted by its code");
    }
}
