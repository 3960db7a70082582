//! The lease over an API server in memory.

use std::sync::{Arc, Mutex};

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use ringcache_fake_apiserver::{ApiServer, Kind, Options, Verdict, failure};
use serde_json::{Value, json};

use super::*;

const LEASE: &str = "ringcache-operator";

fn server() -> ApiServer {
    ApiServer::new(Options { namespaces: vec!["system".into()], ..Options::default() })
}

/// A replica of its own: its calls are known by its name.
#[derive(Clone)]
struct Replica {
    api: ApiServer,
    name: String,
    metrics: Metrics,
}

impl Replica {
    fn new(api: &ApiServer, name: &str) -> Self {
        Self { api: api.clone(), name: name.to_owned(), metrics: Metrics::new() }
    }

    async fn acquire(self) -> Lease {
        let settings = LeaseSettings {
            name: LEASE.into(),
            namespace: "system".into(),
            identity: self.name.clone(),
        };
        let clock = Clock::virtual_from(self.api.now());
        let client = self.api.client(&self.name);
        Lease::acquire(&client, &settings, &Config::default(), clock, &self.metrics).await
    }

    fn leads(&self) -> i64 {
        self.metrics.leader.with_label_values(&[LEASE]).get()
    }
}

fn spec(api: &ApiServer) -> Value {
    api.get(Kind::Lease, "system", LEASE).unwrap()["spec"].take()
}

fn holder(api: &ApiServer) -> Value {
    spec(api)["holderIdentity"].take()
}

/// Notes who asks for anything, and when.
fn calls(api: &ApiServer) -> Arc<Mutex<Vec<(String, Instant)>>> {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&calls);
    api.set_hook(move |_, call| {
        noted.lock().unwrap().push((call.writer.clone(), Instant::now()));
        Verdict::Pass
    });
    calls
}

async fn seconds(n: u64) {
    sleep(Duration::from_secs(n)).await;
}

#[tokio::test(start_paused = true)]
async fn a_free_lease_is_taken_and_given_back_at_the_end() {
    let api = server();
    let replica = Replica::new(&api, "op-1");
    let lease = replica.clone().acquire().await;
    assert_eq!((holder(&api), replica.leads()), (json!("op-1"), 1));
    lease.release().await;
    assert_eq!((holder(&api), replica.leads()), (json!(null), 0));
    assert!(spec(&api)["renewTime"].is_null(), "{}", spec(&api));
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_given_back_is_asked_for_within_two_seconds() {
    let api = server();
    let calls = calls(&api);
    let mut lease = Replica::new(&api, "op-0").acquire().await;
    for n in 1_u32..=20 {
        let name = format!("op-{n}");
        let standby = tokio::spawn(Replica::new(&api, &name).acquire());
        sleep(Duration::from_millis(737) * n).await;
        lease.release().await;
        assert_eq!(holder(&api), json!(null));
        let free = Instant::now();
        lease = standby.await.unwrap();
        let next =
            calls.lock().unwrap().iter().find(|(who, at)| *who == name && *at >= free).unwrap().1;
        let (attempt, taken) = (next - free, free.elapsed());
        assert!(attempt <= Duration::from_secs(2), "release {n}: asked {attempt:?} later");
        assert!(taken <= Duration::from_secs(2), "release {n}: taken {taken:?} later");
        assert_eq!(spec(&api)["leaseTransitions"], json!(n));
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_renewed_is_waited_for() {
    let api = server();
    let (first, second) = (Replica::new(&api, "op-1"), Replica::new(&api, "op-2"));
    let _lease = first.clone().acquire().await;
    let second_leads = timeout(Duration::from_mins(10), second.clone().acquire()).await;
    assert!(second_leads.is_err(), "it is held by another replica");
    assert_eq!((holder(&api), first.leads(), second.leads()), (json!("op-1"), 1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_lease_whose_holder_is_dead_is_taken_when_it_has_expired() {
    let api = server();
    drop(Replica::new(&api, "op-1").acquire().await);
    let began = Instant::now();
    let _lease = Replica::new(&api, "op-2").acquire().await;
    let taken = began.elapsed();
    assert!((DURATION..DURATION + LOOK_EVERY * 2).contains(&taken), "{taken:?}");
}

#[tokio::test(start_paused = true)]
async fn a_holder_whose_clock_is_an_hour_slow_keeps_its_lease() {
    let api = server();
    let slow = api.now().checked_sub(SignedDuration::from_hours(1)).unwrap();
    let settings =
        LeaseSettings { name: LEASE.into(), namespace: "system".into(), identity: "op-1".into() };
    let (client, metrics) = (api.client("op-1"), Metrics::new());
    let clock = Clock::virtual_from(slow);
    let _lease = Lease::acquire(&client, &settings, &Config::default(), clock, &metrics).await;
    let renewed: Timestamp = spec(&api)["renewTime"].as_str().unwrap().parse().unwrap();
    assert!(renewed < api.now());
    let second = timeout(Duration::from_mins(5), Replica::new(&api, "op-2").acquire()).await;
    assert!(second.is_err(), "deposed while it renews");
}

#[tokio::test(start_paused = true)]
async fn of_two_who_claim_a_free_lease_one_gets_it() {
    let api = server();
    let lease = Replica::new(&api, "op-0").acquire().await;
    let (first, second) = (Replica::new(&api, "op-1"), Replica::new(&api, "op-2"));
    let (one, other) =
        (tokio::spawn(first.clone().acquire()), tokio::spawn(second.clone().acquire()));
    seconds(7).await;
    lease.release().await;
    seconds(10).await;
    assert_eq!(first.leads() + second.leads(), 1);
    assert_eq!(one.is_finished(), first.leads() == 1);
    assert_eq!(other.is_finished(), second.leads() == 1);
    one.abort();
    other.abort();
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_refuses_is_asked_again() {
    let api = server();
    let calls = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&calls);
    api.set_hook(move |_, _| {
        *counted.lock().unwrap() += 1;
        Verdict::Refuse(Box::new(failure(403, "Forbidden", "no")))
    });
    let refused = timeout(Duration::from_secs(30), Replica::new(&api, "op-1").acquire()).await;
    assert!(refused.is_err());
    let calls = *calls.lock().unwrap();
    assert!(calls >= 10, "{calls} attempts");
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_cannot_be_renewed_is_lost_before_another_may_take_it() {
    let api = server();
    let replica = Replica::new(&api, "op-1");
    let mut lease = replica.clone().acquire().await;
    seconds(60).await;
    api.set_hook(|_, _| Verdict::DropBefore);
    let began = Instant::now();
    lease.lost().await;
    let after = began.elapsed();
    assert!(after + RENEW_EVERY * 2 > RENEW_DEADLINE, "lost {after:?} after the last answer");
    assert!(after <= RENEW_DEADLINE, "still held {after:?} after the last answer");
    assert_eq!(replica.leads(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_lost_when_another_takes_it() {
    let api = server();
    let mut lease = Replica::new(&api, "op-1").acquire().await;
    let leases = kube::Api::<k8s_openapi::api::coordination::v1::Lease>::namespaced(
        api.client("somebody"),
        "system",
    );
    let taken = kube::api::Patch::Merge(json!({ "spec": { "holderIdentity": "op-2" } }));
    leases.patch(LEASE, &kube::api::PatchParams::default(), &taken).await.unwrap();
    let lost = timeout(RENEW_EVERY + Duration::from_secs(1), lease.lost()).await;
    assert!(lost.is_ok());
    lease.release().await;
    assert_eq!(holder(&api), json!("op-2"), "who has lost the lease gives nothing back");
}

#[tokio::test(start_paused = true)]
async fn a_label_that_somebody_sets_and_an_answer_that_is_lost_do_not_cost_the_lease() {
    let api = server();
    let replica = Replica::new(&api, "op-1");
    let mut lease = replica.clone().acquire().await;
    let leases = kube::Api::<k8s_openapi::api::coordination::v1::Lease>::namespaced(
        api.client("somebody"),
        "system",
    );
    let label = kube::api::Patch::Merge(json!({ "metadata": { "labels": { "a": "b" } } }));
    leases.patch(LEASE, &kube::api::PatchParams::default(), &label).await.unwrap();
    assert!(timeout(Duration::from_secs(30), lease.lost()).await.is_err());
    let dropped = Arc::new(Mutex::new(false));
    api.set_hook(move |_, call| {
        let is_first = call.is_write && !std::mem::replace(&mut *dropped.lock().unwrap(), true);
        if is_first { Verdict::DropAfter } else { Verdict::Pass }
    });
    assert!(timeout(Duration::from_secs(30), lease.lost()).await.is_err());
    assert_eq!((holder(&api), replica.leads()), (json!("op-1"), 1));
}
