//! The lease over a small API server.

use k8s_openapi::jiff::Timestamp;
use serde_json::json;

use super::*;
use crate::testing::{Stub, Verdict};

const PATH: &str = "/apis/coordination.k8s.io/v1/namespaces/system/leases/ringcache-operator";

fn settings(identity: &str) -> LeaseSettings {
    LeaseSettings {
        name: "ringcache-operator".into(),
        namespace: "system".into(),
        identity: identity.into(),
    }
}

async fn acquire(stub: &Stub, metrics: &Metrics, identity: &str) -> Lease {
    Lease::acquire(&stub.client(), &settings(identity), &Config::default(), metrics).await
}

fn leader(metrics: &Metrics) -> i64 {
    metrics.leader.with_label_values(&["ringcache-operator"]).get()
}

fn holder(stub: &Stub) -> serde_json::Value {
    stub.get(PATH).unwrap()["spec"]["holderIdentity"].clone()
}

#[tokio::test(start_paused = true)]
async fn a_free_lease_is_taken_and_given_back_at_the_end() {
    let (stub, metrics) = (Stub::default(), Metrics::new());
    let lease = acquire(&stub, &metrics, "op-1").await;
    assert_eq!((holder(&stub), leader(&metrics)), (json!("op-1"), 1));
    lease.release().await;
    assert_eq!((holder(&stub), leader(&metrics)), (json!(null), 0));
}

#[tokio::test(start_paused = true)]
async fn a_held_lease_is_waited_for() {
    let (stub, metrics) = (Stub::default(), Metrics::new());
    let renewed = Timestamp::now();
    let spec = json!({
        "holderIdentity": "op-2", "leaseDurationSeconds": 3600,
        "renewTime": format!("{renewed:.6}"), "acquireTime": format!("{renewed:.6}"),
    });
    let metadata = json!({ "name": "ringcache-operator", "namespace": "system" });
    stub.put(PATH, json!({ "metadata": metadata, "spec": spec }));
    let acquired = timeout(Duration::from_mins(10), acquire(&stub, &metrics, "op-1")).await;
    assert!(acquired.is_err(), "it is held by another replica");
    assert_eq!((holder(&stub), leader(&metrics)), (json!("op-2"), 0));
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_refuses_is_asked_again() {
    let (stub, metrics) = (Stub::default(), Metrics::new());
    stub.rule(|_| Verdict::Refuse(403));
    let refused = timeout(Duration::from_secs(30), acquire(&stub, &metrics, "op-1")).await;
    assert!(refused.is_err());
    assert!(stub.count("GET") >= 10, "{} attempts", stub.count("GET"));
}

#[tokio::test]
async fn a_lease_that_cannot_be_renewed_is_lost_before_another_may_take_it() {
    let (stub, metrics) = (Stub::default(), Metrics::new());
    let mut lease = acquire(&stub, &metrics, "op-1").await;
    stub.rule(|_| Verdict::Hang);
    // The library reads the system's clock, which no test can move: the renewal is moved into the past instead.
    *lease.renewed.0.lock().unwrap() -= Duration::from_secs(8);
    assert!(
        timeout(Duration::from_millis(600), lease.lost()).await.is_err(),
        "within the deadline"
    );
    let lost = timeout(RENEW_DEADLINE, lease.lost()).await;
    assert!(lost.is_ok(), "not lost after {:?}", lease.renewed.since());
    assert_eq!(leader(&metrics), 0);
}

#[tokio::test]
async fn a_lease_is_renewed_before_the_deadline() {
    let (stub, metrics) = (Stub::default(), Metrics::new());
    let mut lease = acquire(&stub, &metrics, "op-1").await;
    let before = stub.count("PATCH");
    let renewal = async {
        while stub.count("PATCH") == before {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        biased;
        () = lease.lost() => panic!("the lease is lost"),
        renewed = timeout(RENEW_DEADLINE, renewal) => assert!(renewed.is_ok(), "not renewed"),
    }
    assert!(lease.renewed.since() < RENEW_DEADLINE, "{:?}", lease.renewed.since());
}
