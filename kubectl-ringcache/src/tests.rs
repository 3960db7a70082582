//! The verbs over an API server in memory. What they show of real nodes is tested on a real one.

use clap::{CommandFactory as _, Parser as _};
use kube::api::PostParams;
use kube::{Api, Client};
use ringcache_api::admin::{NodeCurve, NodeHeat, NodeState, SettingsFor};
use ringcache_api::{CacheCluster, CacheClusterSpec, Document};
use ringcache_fake_apiserver::{ApiServer, Options};
use ringcache_operator::nodes::{NodeError, Nodes};
use serde_json::Value;

use crate::args::Args;
use crate::proxy::Heat;
use crate::verbs;

const NAMESPACE: &str = "shop";

/// Nobody answers.
#[derive(Clone)]
struct Silence;

fn silence<T>() -> Result<T, NodeError> {
    Err(NodeError::Transport("nobody is there".into()))
}

impl Nodes for Silence {
    async fn state(&self, _: &str, _: u16) -> Result<NodeState, NodeError> {
        silence()
    }

    async fn curve(&self, _: &str, _: u16) -> Result<NodeCurve, NodeError> {
        silence()
    }

    async fn push(&self, _: &str, _: u16, _: &Document) -> Result<(), NodeError> {
        silence()
    }

    async fn configure(&self, _: &str, _: u16, _: &SettingsFor) -> Result<(), NodeError> {
        silence()
    }
}

impl Heat for Silence {
    async fn heat(&self, _: &str, _: u16) -> Result<NodeHeat, NodeError> {
        silence()
    }
}

fn server() -> ApiServer {
    ApiServer::new(Options { namespaces: vec![NAMESPACE.to_owned()], ..Options::default() })
}

async fn create(client: &Client, name: &str) {
    let clusters: Api<CacheCluster> = Api::namespaced(client.clone(), NAMESPACE);
    let cluster = CacheCluster::new(name, CacheClusterSpec { nodes: 2, ..Default::default() });
    clusters.create(&PostParams::default(), &cluster).await.expect("a user may create");
}

/// What is shown, and whether that is good; or the error.
async fn shown(server: &ApiServer, command: &[&str]) -> Result<(String, bool), String> {
    let words = [&["kubectl-ringcache"], command].concat();
    let args = Args::try_parse_from(words).map_err(|error| error.to_string())?;
    let client = server.client("somebody");
    let answer = Box::pin(verbs::answer(&args.verb, client, Silence, NAMESPACE)).await;
    answer.map(|answer| (answer.text, answer.is_good)).map_err(|error| format!("{error:#}"))
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_nobody_operates_yet_can_be_looked_at_and_planned() {
    let server = server();
    create(&server.client("somebody"), "web").await;
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
}

#[tokio::test(start_paused = true)]
async fn which_cluster_is_meant_is_asked_where_there_are_several() {
    let server = server();
    let error = shown(&server, &["nodes"]).await.expect_err("there is none");
    assert!(error.contains("no CacheCluster in the namespace `shop`"), "{error}");
    for name in ["web", "api"] {
        create(&server.client("somebody"), name).await;
    }
    let error = shown(&server, &["nodes"]).await.expect_err("which?");
    assert_eq!(error, "which one? In the namespace `shop` are api, web");
    let error = shown(&server, &["nodes", "wep"]).await.expect_err("a slip");
    assert!(error.contains("no CacheCluster `wep` in the namespace `shop`"), "{error}");
    let (nodes, _) = shown(&server, &["nodes", "web", "-o", "wide"]).await.expect("shown");
    assert!(nodes.starts_with("NODE  STATE  SLOTS"), "{nodes}");
}

#[tokio::test(start_paused = true)]
async fn a_wish_that_no_spec_may_have_is_refused_with_what_is_allowed() {
    let server = server();
    create(&server.client("somebody"), "web").await;
    let error = shown(&server, &["plan", "--nodes", "0"]).await.expect_err("none");
    assert!(error.contains("from 1 to 100"), "{error}");
    let error = shown(&server, &["plan", "--memory", "lots"]).await.expect_err("no quantity");
    assert!(error.contains("`memory`"), "{error}");
}

#[test]
fn the_command_line_is_sound() {
    Args::command().debug_assert();
}
