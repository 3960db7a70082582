//! Health, readiness and metrics as a kubelet and Prometheus see them.

use http_body_util::BodyExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::advance;

use super::*;

fn server() -> Server {
    let watch_stall = Duration::from_mins(1);
    let metrics = Metrics::new();
    metrics.progress.start();
    Server { metrics, watch_stall, stopping: CancellationToken::new() }
}

async fn read(answer: Response) -> (u16, String) {
    let (head, body) = answer.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    (head.status.as_u16(), String::from_utf8(bytes.to_vec()).unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_stands_by_is_healthy_and_ready() {
    let server = server();
    assert_eq!(read(server.health()).await, (200, "ok\n".into()));
    assert_eq!(read(server.readiness()).await, (200, "ready\n".into()));
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_does_not_know_who_holds_the_lease_is_not_ready() {
    let server = Server { metrics: Metrics::new(), ..server() };
    let why = "waiting for an answer about the lease\n";
    assert_eq!(read(server.readiness()).await, (503, why.into()));
    assert_eq!(read(server.health()).await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn a_dead_watch_makes_it_unhealthy() {
    let server = server();
    server.metrics.progress.expect("/pods", "Pod", true);
    assert_eq!(read(server.readiness()).await, (503, "waiting for the watch of Pod\n".into()));
    server.metrics.progress.alive("/pods");
    assert_eq!(read(server.readiness()).await.0, 200);
    advance(Duration::from_secs(61)).await;
    let dead = "the watch of Pod has shown no life for more than 60 s\n";
    assert_eq!(read(server.health()).await, (503, dead.into()));
}

#[tokio::test(start_paused = true)]
async fn it_is_not_ready_while_it_stops() {
    let server = server();
    server.stopping.cancel();
    assert_eq!(read(server.readiness()).await, (503, "stopping\n".into()));
    assert_eq!(read(server.health()).await.0, 200);
}

#[tokio::test]
async fn each_path_is_served() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(server().serve(listener));
    let info =
        format!("ringcache_operator_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"));
    for (path, status, content) in [
        ("/healthz", 200, "ok"),
        ("/readyz", 200, "ready"),
        ("/metrics", 200, info.as_str()),
        ("/metrics", 200, "process_resident_memory_bytes"),
        ("/", 404, "no such page"),
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: operator\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer}");
        assert!(answer.contains(content), "{path}: {answer}");
    }
    serving.abort();
}
