//! Deadlines, counts and life signs of calls.

use futures_util::{StreamExt as _, TryStreamExt as _, future};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{ListParams, WatchParams};

use super::*;
use crate::testing::{FakeApi, Verdict, pod};

fn client(stub: &FakeApi, metrics: &Metrics) -> Client {
    let config = Config { api_host: "api".into(), ..Config::default() };
    bounded(&stub.client(), &config, metrics)
}

fn count(metrics: &Metrics, code: &str) -> u64 {
    metrics.requests.with_label_values(&[code, "GET", "api"]).get()
}

#[tokio::test(start_paused = true)]
async fn calls_are_counted_by_their_outcome() {
    let (stub, metrics) = (FakeApi::default(), Metrics::new());
    let pods: Api<Pod> = Api::namespaced(client(&stub, &metrics), "shop");
    pods.list(&ListParams::default()).await.unwrap();
    assert!(pods.get_opt("none").await.unwrap().is_none());
    stub.rule(|_| Verdict::Refuse(429));
    pods.get_opt("none").await.unwrap_err();
    assert_eq!((count(&metrics, "200"), count(&metrics, "404"), count(&metrics, "429")), (1, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_call_without_an_answer_ends_in_time_and_says_what_it_was() {
    let (stub, metrics) = (FakeApi::default(), Metrics::new());
    stub.rule(|_| Verdict::Hang);
    let pods: Api<Pod> = Api::namespaced(client(&stub, &metrics), "shop");
    let error = pods.get("web-0").await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("no answer to GET /api/v1/namespaces/shop/pods/web-0 within 10 s"),
        "{error}"
    );
    assert_eq!(count(&metrics, "<error>"), 1);
    let watch = pods.watch(&WatchParams::default(), "0").await;
    assert!(watch.is_err(), "a watch must begin in that time, too");
}

#[tokio::test(start_paused = true)]
async fn a_watch_lives_on_and_each_frame_is_a_sign_of_life() {
    let (stub, metrics) = (FakeApi::default(), Metrics::new());
    metrics.progress.expect("/api/v1/namespaces/shop/pods", "Pod", true);
    let age = || metrics.progress.ages()["Pod"].as_secs();
    let pods: Api<Pod> = Api::namespaced(client(&stub, &metrics), "shop");
    tokio::time::sleep(Duration::from_secs(5)).await;
    let listed = pods.list(&ListParams::default()).await.unwrap();
    assert_eq!(age(), 5, "a list proves nothing about the watch");
    let version = listed.metadata.resource_version.unwrap();
    let mut watch = pods.watch(&WatchParams::default(), &version).await.unwrap().boxed();
    assert_eq!(age(), 0);
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert_eq!(age(), 100);
    let (path, pod) = pod("web", "web-0", "10.0.0.1");
    stub.put(&path, pod);
    watch.try_next().await.unwrap().unwrap();
    assert_eq!(age(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_slow_call_does_not_hold_up_another() {
    let (stub, metrics) = (FakeApi::default(), Metrics::new());
    stub.rule(|call| if call.ends_with("slow") { Verdict::Hang } else { Verdict::Pass });
    let pods: Api<Pod> = Api::namespaced(client(&stub, &metrics), "shop");
    let quick = async {
        pods.get_opt("quick").await.unwrap();
        tokio::time::Instant::now()
    };
    let began = tokio::time::Instant::now();
    let (slow, quick) = future::join(pods.get_opt("slow"), quick).await;
    assert!(slow.is_err());
    assert_eq!(quick, began);
}
