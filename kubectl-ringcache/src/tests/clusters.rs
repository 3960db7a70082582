//! Tables of clusters.

use serde_json::Value;
use tokio::time::Instant;

use super::server::{NAMESPACE, SYSTEM, Server};
use super::{shown, told};

/// Clusters in two namespaces, one of which has a node that answers.
fn three_clusters() -> Server {
    let server = Server::new();
    server.cluster(NAMESPACE, "web", 1);
    server.cluster(NAMESPACE, "api", 2);
    server.cluster(SYSTEM, "own", 3);
    server.pod("web", "web-0");
    server.node("web", "web-0", "a key");
    server
}

fn rows(table: &str) -> Vec<Vec<&str>> {
    table.lines().map(|line| line.split_whitespace().collect()).collect()
}

#[tokio::test(start_paused = true)]
async fn status_of_several_clusters_is_a_table_of_those_in_the_namespace() {
    let server = three_clusters();
    let (text, is_good) = shown(&server, &["status"]).await.expect("shown");
    let wanted = [
        vec!["NAME", "NODES", "READY", "STATUS", "HIT%", "OPERATION"],
        vec!["api", "2", "0", "Unknown", "-", "-"],
        vec!["web", "1", "0", "Unknown", "75.0", "-"],
    ];
    assert_eq!(rows(&text), wanted);
    assert!(!is_good, "none is Ready");
    let (one, _) = shown(&server, &["status", "web"]).await.expect("shown");
    assert!(one.starts_with("web: Unknown"), "{one}");
    server.was_only_read();
}

#[tokio::test(start_paused = true)]
async fn status_of_all_namespaces_says_whose_each_cluster_is() {
    let server = three_clusters();
    let (text, _) = shown(&server, &["status", "-A"]).await.expect("shown");
    let first: Vec<_> = rows(&text).into_iter().map(|row| row[..2].to_vec()).collect();
    let wanted = [["NAMESPACE", "NAME"], [NAMESPACE, "api"], [NAMESPACE, "web"], [SYSTEM, "own"]];
    assert_eq!(first, wanted);
    let (json, _) = shown(&server, &["-A", "status", "-o", "json"]).await.expect("shown");
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["clusters"][1]["hitRatio"], 0.75);
    let (wide, _) = shown(&server, &["status", "-A", "-o", "wide"]).await.expect("shown");
    assert!(wide.lines().next().is_some_and(|line| line.ends_with("MESSAGE")), "{wide}");
}

#[tokio::test(start_paused = true)]
async fn clusters_are_listed_for_whoever_may_not_ask_their_nodes_or_see_their_pods() {
    let server = three_clusters();
    server.forbids(&format!("{}/admin/v1/state", super::server::proxy("web-0")), "no right");
    let (answer, refusal) = told(&server, &["status", "-A"]).await;
    assert!(answer.expect("shown").0.contains("web"));
    assert!(refusal.is_some_and(|refusal| refusal.ends_with("no right")));
    server.forbids("/api/v1/pods", "no pods");
    let (text, _) = shown(&server, &["status", "-A"]).await.expect("shown");
    assert!(text.contains("own"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn no_cluster_anywhere_is_an_error() {
    let error = shown(&Server::new(), &["status", "-A"]).await.expect_err("there is none");
    assert_eq!(error, "there is no CacheCluster in any namespace");
}

#[tokio::test(start_paused = true)]
async fn nodes_that_do_not_answer_are_not_waited_for_without_end() {
    let server = three_clusters();
    for n in 0..200 {
        let pod = format!("api-{n}");
        server.pod("api", &pod);
        server.hangs(&format!("{}/admin/v1/state", super::server::proxy(&pod)));
    }
    let begin = Instant::now();
    let (text, _) = shown(&server, &["status"]).await.expect("shown");
    assert_eq!(begin.elapsed().as_secs(), 10, "{text}");
    assert_eq!(rows(&text)[1][4], "-", "{text}");
}
