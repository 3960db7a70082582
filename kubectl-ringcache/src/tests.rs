//! The verbs over an API server in memory, with nodes that say what a test makes them say. What is shown of real nodes is tested on a
//! real server.

mod clusters;
mod refusals;
mod report;
mod server;
mod top;

use clap::{CommandFactory as _, Parser as _};
use ringcache_operator::Clock;
use serde_json::Value;

use crate::args::Args;
use crate::look_once;
use crate::proxy::Proxy;
use server::{NAMESPACE, Server};

/// What is shown, and whether that is good; or the error.
async fn shown(server: &Server, command: &[&str]) -> Result<(String, bool), String> {
    told(server, command).await.0
}

/// The same, and what is said beside it.
async fn told(
    server: &Server,
    command: &[&str],
) -> (Result<(String, bool), String>, Option<String>) {
    let args = match parsed(command) {
        Ok(args) => args,
        Err(error) => return (Err(error), None),
    };
    let namespace = args.namespace.as_deref().unwrap_or(NAMESPACE);
    let proxy = Proxy::new(server.client(), namespace);
    let answer = Box::pin(look_once(&args, &proxy, &Clock::system())).await;
    let answer = answer.map(|answer| (answer.text, answer.is_good));
    (answer.map_err(|error| format!("{error:#}")), proxy.refusal())
}

fn parsed(command: &[&str]) -> Result<Args, String> {
    let words = [&["kubectl-ringcache"], command].concat();
    let args = Args::try_parse_from(words).map_err(|error| error.to_string())?;
    args.check().map_err(str::to_owned)?;
    Ok(args)
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_nobody_operates_yet_can_be_looked_at_and_planned() {
    let server = Server::new();
    server.cluster(NAMESPACE, "web", 2);
    let (status, is_good) = shown(&server, &["status"]).await.expect("shown");
    assert!(status.starts_with("web: Unknown, 0 of 2 nodes ready"), "{status}");
    assert!(!is_good, "it is not Ready");
    let (ring, _) = shown(&server, &["ring", "web"]).await.expect("shown");
    assert_eq!(ring, "There is no ring yet.\n");
    let (plan, _) = shown(&server, &["plan", "web"]).await.expect("shown");
    assert!(plan.contains("Create: a ring of 2 nodes\n- start web-0"), "{plan}");
    let (plan, _) = shown(&server, &["plan", "--nodes=4", "-o", "json"]).await.expect("shown");
    let plan: Value = serde_json::from_str(&plan).expect("JSON");
    assert_eq!(plan["members"].as_array().map(Vec::len), Some(4));
    let (why, _) = shown(&server, &["why"]).await.expect("shown");
    assert!(why.contains("Nothing was told lately"), "{why}");
    for verb in ["hotkeys", "curve"] {
        let error = shown(&server, &[verb]).await.expect_err("no node");
        assert!(error.contains("answer"), "{error}");
    }
    server.was_only_read();
}

#[tokio::test(start_paused = true)]
async fn which_cluster_is_meant_is_asked_where_there_are_several() {
    let server = Server::new();
    let error = shown(&server, &["nodes"]).await.expect_err("there is none");
    assert!(error.contains("no CacheCluster in the namespace `shop`"), "{error}");
    for name in ["web", "api"] {
        server.cluster(NAMESPACE, name, 2);
    }
    for verb in ["nodes", "report"] {
        let error = shown(&server, &[verb]).await.expect_err("which?");
        assert_eq!(error, "which one? In the namespace `shop` are api, web");
    }
    let error = shown(&server, &["nodes", "wep"]).await.expect_err("a slip");
    assert!(error.contains("no CacheCluster `wep` in the namespace `shop`"), "{error}");
    let (nodes, _) = shown(&server, &["nodes", "web", "-o", "wide"]).await.expect("shown");
    assert!(nodes.starts_with("NODE  STATE  SLOTS"), "{nodes}");
}

#[tokio::test(start_paused = true)]
async fn a_wish_that_no_spec_may_have_is_refused_with_what_is_allowed() {
    let server = Server::new();
    server.cluster(NAMESPACE, "web", 2);
    let error = shown(&server, &["plan", "--nodes", "0"]).await.expect_err("none");
    assert!(error.contains("from 1 to 100"), "{error}");
    let error = shown(&server, &["plan", "--memory", "lots"]).await.expect_err("no quantity");
    assert!(error.contains("`memory`"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn yaml_says_the_same_as_json_wherever_there_is_json() {
    let server = Server::new();
    server.cluster(NAMESPACE, "web", 1);
    server.pod("web", "web-0");
    server.node("web", "web-0", "a key");
    for verb in ["status", "nodes", "ring", "plan", "why", "hotkeys"] {
        let (json, _) = shown(&server, &[verb, "-o", "json"]).await.expect(verb);
        let (yaml, _) = shown(&server, &[verb, "-o", "yaml"]).await.expect(verb);
        let json: Value = serde_json::from_str(&json).expect(verb);
        let yaml: Value = serde_saphyr::from_str(&yaml).expect(verb);
        assert_eq!(yaml, json, "{verb}");
    }
    server.was_only_read();
}

#[test]
fn what_does_not_fit_together_is_refused_with_what_does() {
    let refused = |command: &[&str]| parsed(command).err().expect("refused");
    assert!(refused(&["nodes", "-A"]).contains("is for `status`"));
    assert!(refused(&["-n", "shop", "status", "-A"]).contains("either --namespace or"));
    assert!(refused(&["-A", "status", "web"]).contains("shows all clusters"));
    assert!(refused(&["ring", "-o", "wide"]).contains("json, yaml"));
    assert!(refused(&["top", "--interval", "0"]).contains("1..=3600"));
}

#[test]
fn the_command_line_is_sound() {
    Args::command().debug_assert();
}
