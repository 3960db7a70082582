//! The binary as it runs in a pod: flags, lease, port, signals, exit codes; over HTTP to an API server in memory.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test's helpers fail like the test itself"
)]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kube::client::Body;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use testing::{FakeApi, Verdict, invalid, path};

#[path = "../src/testing.rs"]
#[expect(dead_code, reason = "the unit tests use the rest")]
mod testing;

const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/system/leases/ringcache-operator";

/// Serves the API on loopback until the test ends.
async fn serve(stub: FakeApi) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let client = stub.client();
            let service = service_fn(move |request: Request<Incoming>| {
                let client = client.clone();
                async move {
                    let (head, body) = request.into_parts();
                    let body = Body::from(body.collect().await.unwrap().to_bytes().to_vec());
                    let answer = client.send(Request::from_parts(head, body)).await.unwrap();
                    Ok::<_, Infallible>(answer)
                }
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    address
}

struct Operator {
    child: Child,
    port: u16,
    kubeconfig: PathBuf,
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.kubeconfig);
    }
}

async fn start(stub: &FakeApi) -> Operator {
    let api = serve(stub.clone()).await;
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let kubeconfig = std::env::temp_dir().join(format!("ringcache-operator-{}", api.port()));
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "stub",
        "clusters": [{ "name": "stub", "cluster": { "server": format!("http://{api}") } }],
        "contexts": [{ "name": "stub", "context": { "cluster": "stub", "user": "stub" } }],
        "users": [{ "name": "stub", "user": {} }],
    });
    std::fs::write(&kubeconfig, config.to_string()).unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_ringcache-operator"))
        .args(["--cache-image=cache:1", "--lease-namespace=system", "--pod-name=op-1"])
        .args([format!("--listen=[::]:{port}"), "--log-format=json".into()])
        .env("KUBECONFIG", &kubeconfig)
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    Operator { child, port, kubeconfig }
}

impl Operator {
    /// The answer of its own port; empty while nothing listens.
    async fn get(&self, page: &str) -> String {
        let mut answer = String::new();
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)).await {
            let request = format!("GET {page} HTTP/1.1\r\nHost: op\r\nConnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            stream.read_to_string(&mut answer).await.unwrap();
        }
        answer
    }

    async fn signal(&self, name: &str) {
        let pid = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().await.unwrap().success());
    }

    async fn exit(&mut self) -> ExitStatus {
        let ended = timeout(Duration::from_secs(20), self.child.wait()).await;
        ended.expect("the operator has not ended after 20 s").unwrap()
    }
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < Duration::from_secs(20), "after 20 s still not: {what}");
        sleep(Duration::from_millis(50)).await;
    }
}

fn holder(stub: &FakeApi) -> serde_json::Value {
    stub.get(LEASE).map_or_else(|| json!(null), |lease| lease["spec"]["holderIdentity"].clone())
}

fn is_reported(stub: &FakeApi, name: &str) -> bool {
    !stub.get(&path(name)).unwrap()["status"].is_null()
}

#[tokio::test]
async fn it_leads_works_and_gives_the_lease_back_when_told_to_stop() {
    let stub = FakeApi::default();
    stub.put(&path("web"), invalid("web"));
    let mut operator = start(&stub).await;
    until("the cluster has a status", async || is_reported(&stub, "web")).await;
    assert_eq!(holder(&stub), json!("op-1"));
    until("ready", async || operator.get("/readyz").await.starts_with("HTTP/1.1 200")).await;
    let metrics = operator.get("/metrics").await;
    for line in [
        "leader_election_master_status{name=\"ringcache-operator\"} 1",
        "controller_runtime_reconcile_total{controller=\"cachecluster\",result=\"success\"} 1",
        "controller_runtime_max_concurrent_reconciles{controller=\"cachecluster\"} 8",
        "ringcache_operator_clusters{controller=\"cachecluster\"} 1",
        "rest_client_requests_total{code=\"200\",host=\"127.0.0.1\",method=\"PATCH\"}",
    ] {
        assert!(metrics.contains(line), "{line} is missing in {metrics}");
    }
    operator.signal("-TERM").await;
    assert_eq!(operator.exit().await.code(), Some(0));
    assert_eq!(holder(&stub), json!(null), "another replica need not wait");
}

/// The exit code of an operator that only asks this URL, and what it says.
async fn check(url: &str) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringcache-operator"));
    let output = command.arg(format!("--check={url}")).output().await.unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[tokio::test]
async fn it_tells_of_a_running_one_whether_that_is_ready() {
    let operator = start(&FakeApi::default()).await;
    until("ready", async || operator.get("/readyz").await.starts_with("HTTP/1.1 200")).await;
    let mut hosts = vec!["127.0.0.1"];
    // It listens on every address, also on those of a host without IPv6.
    if TcpListener::bind("[::1]:0").await.is_ok() {
        hosts.push("[::1]");
    }
    for host in hosts {
        let (code, said) = check(&format!("http://{host}:{}/readyz", operator.port)).await;
        assert_eq!((code, said.as_str()), (Some(0), ""), "{host}");
    }
    let (code, said) = check(&format!("http://127.0.0.1:{}/no-such-page", operator.port)).await;
    assert_eq!(code, Some(1));
    assert!(said.contains("answered 404 Not Found: no such page"), "{said}");

    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (code, said) = check(&format!("http://{nobody}/readyz")).await;
    assert_eq!(code, Some(1));
    assert!(said.contains(&format!("cannot ask http://{nobody}/readyz")), "{said}");
}

#[tokio::test]
async fn it_exits_with_an_error_when_another_takes_the_lease() {
    let stub = FakeApi::default();
    let mut operator = start(&stub).await;
    until("it leads", async || holder(&stub) == json!("op-1")).await;
    stub.edit(LEASE, |lease| lease["spec"]["holderIdentity"] = json!("op-2"));
    assert_eq!(operator.exit().await.code(), Some(1));
    assert_eq!(holder(&stub), json!("op-2"));
}

#[tokio::test]
async fn it_waits_without_an_answer_about_the_lease_and_stops_when_told() {
    let stub = FakeApi::default();
    stub.put(&path("web"), invalid("web"));
    stub.rule(
        |call| {
            if call == format!("GET {LEASE}") { Verdict::Refuse(503) } else { Verdict::Pass }
        },
    );
    let mut operator = start(&stub).await;
    until("it listens", async || operator.get("/healthz").await.starts_with("HTTP/1.1 200")).await;
    until("it has asked twice", async || stub.exactly(&format!("GET {LEASE}")) >= 2).await;
    assert!(!is_reported(&stub, "web"), "it works without the lease");
    let answer = operator.get("/readyz").await;
    assert!(answer.contains("waiting for an answer about the lease"), "{answer}");
    operator.signal("-TERM").await;
    assert_eq!(operator.exit().await.code(), Some(0));
}
