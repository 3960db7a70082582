//! What is counted of the requests of clients.

use super::*;
use crate::served::Tally;

/// What the node has served, once it has counted so many requests.
async fn served(server: &Server, requests: u64) -> Tally {
    let counted = async {
        loop {
            let total = server.node.served.total();
            if total.reads.count() + total.writes.count() >= requests {
                return total;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(PATIENCE, counted).await.expect("the requests are not counted")
}

#[tokio::test]
async fn requests_bytes_and_errors_of_a_client_are_counted() {
    let server = serve_alone().await;
    put(&server, "k", r#"{"value":1}"#).await;
    get(&server, "k").await;
    get(&server, "none").await;
    put(&server, "k", "no JSON").await;
    batch_get(&server, r#"{"keys":["k"]}"#).await;
    let total = served(&server, 5).await;
    assert_eq!((total.reads.count(), total.writes.count()), (3, 2));
    assert!(total.bytes_in > 5 * 40 && total.bytes_out > 5 * 40, "{total:?}");
    let errors: Vec<_> = total.errors().filter(|(_, count)| *count > 0).collect();
    assert_eq!(errors, [("InvalidJson", 1)], "an entry that is not there is a miss");
}

#[tokio::test]
async fn each_request_of_a_connection_takes_its_own_time() {
    let server = serve_alone().await;
    let one = "GET /cache/k HTTP/1.1\r\nHost: oak\r\n";
    let request = [format!("{one}\r\n").repeat(3), format!("{one}Connection: close\r\n\r\n")];
    let answers = send_raw(server.addr, request.concat().as_bytes()).await;
    let total = served(&server, 4).await;
    assert_eq!(total.reads.count(), 4);
    assert_eq!(total.bytes_out, answers.len() as u64);
    assert_eq!(total.bytes_in, request.concat().len() as u64);
}

#[tokio::test]
async fn a_request_that_another_node_answers_is_counted_where_its_client_is() {
    let [low, high] = serve_two().await;
    put(&low, &key_of(1), r#"{"value":1}"#).await;
    assert_eq!(served(&low, 1).await.writes.count(), 1);
    let at_owner = high.node.served.total();
    assert_eq!((at_owner.writes.count(), at_owner.bytes_in), (0, 0));
}
