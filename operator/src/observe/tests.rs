//! What an observation says, by what Kubernetes and the nodes say.

use std::time::Duration;

use k8s_openapi::api::core::v1::Toleration;
use kube::ResourceExt as _;
use ringcache_api::admin::{Heard, NodeState};
use ringcache_api::cluster::Disruption;
use ringcache_api::{CacheClusterSpec, Incarnation};
use ringcache_operator_core::Phase;
use serde_json::{Value, json};
use tokio::time::advance;

use super::fixture::{
    CLUSTER_PATH, CLUSTER_UID, FakeApi, FakeNodes, PDB_PATH, START, answer, cluster, context,
    document, ended, host, hosts, observe_web, off, pod, running, time,
};
use super::{Children, Observation};
use crate::hosts::HostTaint;
use crate::objects::{meta, ring};
use crate::{Context, Error};

mod life;

/// The cluster `shop/web` with two running nodes that are members.
fn two_nodes() -> (FakeApi, FakeNodes) {
    let (api, nodes) = (FakeApi::default(), FakeNodes::default());
    api.put(CLUSTER_PATH, cluster("{nodes: 2}"));
    api.put("configmaps/web-ring", ring_of(&["web-0", "web-1"]));
    for (name, ip) in [("web-0", "10.0.0.1"), ("web-1", "10.0.0.2")] {
        api.put(&format!("pods/{name}"), running(name, ip));
        nodes.states.lock().unwrap().insert(ip.to_owned(), answer(name));
    }
    (api, nodes)
}

/// The ring with these members.
fn ring_of(members: &[&str]) -> Value {
    json!(ring::ring(&cluster("{}"), &document(3, members)))
}

async fn look(context: &Context<FakeNodes>) -> Observation {
    observe_web(context).await.unwrap().unwrap()
}

fn names(observation: &Observation) -> Vec<&str> {
    observation.observed.nodes.iter().map(|node| node.name.as_str()).collect()
}

fn phase_of(observation: &Observation, name: &str) -> Phase {
    observation.observed.nodes.iter().find(|node| node.name == name).unwrap().phase
}

#[tokio::test(start_paused = true)]
async fn an_observation_is_complete() {
    let (api, nodes) = two_nodes();
    let context = context(&api, &nodes, hosts([host("host-1", "True", false)]));
    let seen = look(&context).await;
    assert_eq!(seen.observed.cluster.uid, CLUSTER_UID);
    assert_eq!(seen.observed.generation, 4);
    assert_eq!(seen.observed.document.as_ref().map(|document| document.epoch), Some(3));
    assert_eq!(json!(seen.ring_version), api.version("configmaps/web-ring"));
    assert_eq!(names(&seen), ["web-0", "web-1"]);
    for node in &seen.observed.nodes {
        assert_eq!(node.phase, Phase::Running);
        assert_eq!(node.state.as_ref().map(|state| &state.name), Some(&node.name));
        assert_eq!(node.template.pod, seen.observed.pod, "as the spec wants it");
        assert!(!node.draining && !node.stopping && !node.resting && node.trouble.is_none());
    }
    assert_eq!(seen.observed.endpoints.unwrap().client, "web.shop.svc:6379");
}

#[tokio::test]
async fn an_address_of_somebody_else_is_not_given_to_clients() {
    let (api, nodes) = two_nodes();
    let context = context(&api, &nodes, hosts([]));
    let mut service = crate::objects::services::client(&cluster("{}"));
    api.put("services/web", service.clone());
    let endpoints = look(&context).await.observed.endpoints;
    assert_eq!(endpoints.map(|endpoints| endpoints.client).as_deref(), Some("web.shop.svc:6379"));
    service.metadata.owner_references = None;
    api.put("services/web", service);
    assert_eq!(look(&context).await.observed.endpoints, None);
}

#[tokio::test]
async fn the_cluster_is_read_before_the_ring_and_the_ring_before_the_pods() {
    let (api, nodes) = two_nodes();
    look(&context(&api, &nodes, hosts([]))).await;
    let calls: Vec<String> = api.calls().into_iter().map(|call| call.what).collect();
    let position = |part: &str| calls.iter().position(|call| call.contains(part)).unwrap();
    let order = [position("cacheclusters"), position("configmaps"), position("/pods?")];
    assert!(order.is_sorted(), "{calls:?}");
    assert!(!calls.iter().any(|call| call.contains("resourceVersion")), "never from a cache");
}

#[tokio::test]
async fn a_cluster_that_does_not_exist_is_none() {
    let context = context(&FakeApi::default(), &FakeNodes::default(), hosts([]));
    assert!(observe_web(&context).await.unwrap().is_none());
}

#[tokio::test]
async fn whatever_cannot_be_read_is_an_error_and_never_an_absence() {
    for path in ["configmaps/web-ring", "pods", CLUSTER_PATH] {
        let (api, nodes) = two_nodes();
        api.refuse("GET", path, 403, "Forbidden");
        let result = observe_web(&context(&api, &nodes, hosts([]))).await;
        assert!(matches!(result, Err(Error::Api(_))), "{path}: {result:?}");
    }
    // What only a repair depends on costs that repair.
    for path in ["services/web", "services/web-nodes", PDB_PATH] {
        let (api, nodes) = two_nodes();
        api.refuse("GET", path, 403, "Forbidden");
        let Children { client, nodes, pdb, .. } =
            look(&context(&api, &nodes, hosts([]))).await.children;
        let failed = [client.is_err(), nodes.is_err(), pdb.is_err()];
        assert_eq!(failed.iter().filter(|failed| **failed).count(), 1, "{path}");
    }
}

#[tokio::test]
async fn a_member_without_our_label_is_looked_up_by_name() {
    let (api, nodes) = two_nodes();
    let mut unlabelled = running("web-1", "10.0.0.2");
    unlabelled.metadata.labels = None;
    unlabelled.metadata.owner_references = None;
    api.put("pods/web-1", &unlabelled);
    assert_eq!(names(&look(&context(&api, &nodes, hosts([]))).await), ["web-0", "web-1"]);
    // Under its name another pod: then the member is gone.
    unlabelled.metadata.uid = Some("uid-another".to_owned());
    api.put("pods/web-1", &unlabelled);
    assert_eq!(names(&look(&context(&api, &nodes, hosts([]))).await), ["web-0"]);
    // It cannot be looked up: then nothing is known.
    api.refuse("GET", "pods/web-1", 500, "InternalError");
    assert!(observe_web(&context(&api, &nodes, hosts([]))).await.is_err());
}

#[tokio::test]
async fn pods_of_others_are_not_seen() {
    let (api, nodes) = two_nodes();
    let mut of_predecessor = running("web-2", "10.0.0.3");
    let mut earlier = cluster("{}");
    earlier.metadata.uid = Some("an earlier web".to_owned());
    of_predecessor.metadata.owner_references = Some(vec![meta::owner(&earlier)]);
    api.put("pods/web-2", of_predecessor);
    let mut of_nobody = running("web-3", "10.0.0.4");
    of_nobody.metadata.owner_references = None;
    api.put("pods/web-3", of_nobody);
    assert_eq!(names(&look(&context(&api, &nodes, hosts([]))).await), ["web-0", "web-1"]);
}

#[tokio::test]
async fn the_ring_of_an_earlier_cluster_is_not_read() {
    let (api, nodes) = two_nodes();
    let mut successor = cluster("{}");
    successor.metadata.uid = Some("a later web".to_owned());
    api.put(CLUSTER_PATH, successor);
    let seen = look(&context(&api, &nodes, hosts([]))).await;
    assert_eq!(seen.observed.document, None);
    assert!(seen.children.ring.is_some(), "but it stands in the way");
    assert_eq!(names(&seen), [""; 0]);
}

#[tokio::test]
async fn an_answer_of_another_node_is_not_this_ones() {
    let (api, nodes) = two_nodes();
    nodes.states.lock().unwrap().insert("10.0.0.2".to_owned(), answer("web-9"));
    let seen = look(&context(&api, &nodes, hosts([]))).await;
    assert_eq!(seen.observed.nodes[1].state, None);
}

#[tokio::test]
async fn nodes_on_a_cordoned_host_are_draining() {
    let (api, nodes) = two_nodes();
    let seen = look(&context(&api, &nodes, hosts([host("host-1", "True", true)]))).await;
    assert!(seen.observed.nodes.iter().all(|node| node.draining));
}

#[tokio::test]
async fn nodes_on_a_host_that_is_about_to_be_removed_are_draining_unless_they_put_up_with_it() {
    let (api, nodes) = two_nodes();
    let mut tolerant = running("web-1", "10.0.0.2");
    let everything = Toleration { operator: Some("Exists".to_owned()), ..Toleration::default() };
    tolerant.spec.as_mut().unwrap().tolerations = Some(vec![everything]);
    api.put("pods/web-1", tolerant);
    let mut going = host("host-1", "True", false);
    going.spec.taints = vec![HostTaint {
        key: "karpenter.sh/disrupted".to_owned(),
        effect: "NoSchedule".to_owned(),
        ..HostTaint::default()
    }];
    let seen = look(&context(&api, &nodes, hosts([going]))).await;
    let draining: Vec<_> = seen.observed.nodes.iter().map(|node| node.draining).collect();
    assert_eq!(draining, [true, false]);
}

/// Two nodes on a host that is down, of which the second has stopped to answer; the first last heard of it so long ago, or
/// does not know it.
fn one_silent(heard_ms: Option<u64>) -> (FakeApi, FakeNodes) {
    let (api, nodes) = two_nodes();
    let mut states = nodes.states.lock().unwrap();
    states.remove("10.0.0.2");
    let incarnation = Incarnation::new("uid-web-1", "1");
    let first = states.get_mut("10.0.0.1").unwrap();
    let heard = heard_ms.map(|ms_ago| Heard { incarnation, ms_ago });
    *first = NodeState { epoch: 7, heard: heard.into_iter().collect(), ..first.clone() };
    drop(states);
    (api, nodes)
}

#[tokio::test(start_paused = true)]
async fn a_word_that_is_not_known_leaves_the_last_spec_in_force() {
    let (api, nodes) = two_nodes();
    let recorded = cluster("{nodes: 2, memory: 512Mi}");
    api.put("configmaps/web-ring", ring::ring(&recorded, &document(3, &["web-0", "web-1"])));
    api.edit(CLUSTER_PATH, |object| {
        object["spec"] =
            json!({"nodes": 7, "paused": true, "disruption": {"evictions": "Negotiated"}});
        object["status"] = json!({"observedGeneration": "three", "nodes": 2});
    });
    let seen = look(&context(&api, &nodes, hosts([]))).await;
    let intent = seen.intent.unwrap();
    assert_eq!((intent.nodes, intent.memory_bytes, intent.paused), (2, 512 << 20, true));
    let problems = seen.held.unwrap().problems().to_vec();
    assert!(problems[0].message.contains("`Negotiated`"), "{problems:?}");
    assert_eq!(seen.cluster.status.unwrap().nodes, 2);
}

/// An operator of before is back after a newer one has carried the word out, and recorded it.
#[tokio::test(start_paused = true)]
async fn a_record_that_can_be_read_in_part_costs_that_part_and_replaces_no_node() {
    let (api, nodes) = two_nodes();
    let spec = json!({
        "nodes": 2, "memory": "512Mi", "disruption": {"evictions": "Negotiated"},
        "service": {"type": "LoadBalancer"}, "scheduling": {"nodeSelector": {"disk": "none"}},
    });
    let newer = ring::ring(&cluster("{}"), &document(3, &["web-0", "web-1"]));
    api.put("configmaps/web-ring", &newer);
    api.edit("configmaps/web-ring", |ring| {
        ring["metadata"]["annotations"]["ringcache.dev/spec"] = spec.to_string().into();
    });
    api.edit(CLUSTER_PATH, |object| object["spec"] = spec.clone());
    let seen = look(&context(&api, &nodes, hosts([]))).await;
    let intent = seen.intent.unwrap();
    assert_eq!((intent.nodes, intent.memory_bytes, intent.paused), (2, 512 << 20, true));
    let CacheClusterSpec { service, scheduling, disruption, .. } = seen.cluster.spec;
    assert_eq!(json!(service)["type"], "LoadBalancer");
    assert_eq!(scheduling.node_selector["disk"], "none");
    assert_eq!(disruption, Disruption::default());
    // What is written next keeps the word for the operator that knows it.
    let live = seen.children.ring.unwrap();
    let written = ring::with_record_of(newer, &live);
    assert_eq!(written.annotations(), live.annotations());
}

#[tokio::test(start_paused = true)]
async fn nodes_are_kept_where_nobody_can_read_how_many_or_whether_to_wait() {
    let (api, nodes) = two_nodes();
    let newer = ring::ring(&cluster("{}"), &document(3, &["web-0", "web-1"]));
    for spec in [
        json!({"nodes": "many", "memory": "512Mi"}),
        json!({"nodes": 2, "memory": {"least": "1Gi"}}),
        json!({"nodes": 2, "memory": "512Mi", "paused": "Replacements"}),
    ] {
        api.put("configmaps/web-ring", &newer);
        api.edit("configmaps/web-ring", |ring| {
            ring["metadata"]["annotations"]["ringcache.dev/spec"] = spec.to_string().into();
        });
        api.edit(CLUSTER_PATH, |object| object["spec"] = spec.clone());
        let intent = look(&context(&api, &nodes, hosts([]))).await.intent.unwrap();
        assert_eq!((intent.nodes, intent.paused), (2, true), "{spec}");
    }
    // The record can be read, the spec cannot.
    api.put("configmaps/web-ring", &newer);
    let seen = look(&context(&api, &nodes, hosts([]))).await;
    assert!(seen.intent.unwrap().paused && seen.held.unwrap().is_paused());
}

#[tokio::test(start_paused = true)]
async fn a_node_is_silent_when_it_has_not_answered_twice() {
    let (api, nodes) = one_silent(None);
    let answers = two_nodes().1.states.lock().unwrap().clone();
    let context = context(&api, &nodes, hosts([]));
    let has_answered = |seen: &Observation| seen.observed.nodes[1].state.is_some();
    // One question was lost: the next is answered.
    nodes.next.lock().unwrap().insert("10.0.0.2".to_owned(), answers["10.0.0.2"].clone());
    assert!(has_answered(&look(&context).await));
    nodes.states.lock().unwrap().remove("10.0.0.2");
    assert!(!has_answered(&look(&context).await));
    // It is known to be silent now, and asked once at a time: nobody waits twice for it.
    nodes.next.lock().unwrap().insert("10.0.0.2".to_owned(), answers["10.0.0.2"].clone());
    assert!(!has_answered(&look(&context).await));
    assert!(has_answered(&look(&context).await));
}

/// The phase of the silent node at first, and after `silence_ms` more.
async fn after(context: &Context<FakeNodes>, silence_ms: u64) -> [Phase; 2] {
    let first = look(context).await;
    advance(Duration::from_millis(silence_ms)).await;
    let then = look(context).await;
    [phase_of(&first, "web-1"), phase_of(&then, "web-1")]
}

#[tokio::test(start_paused = true)]
async fn a_node_is_lost_when_its_host_is_down_and_nobody_has_heard_of_it_for_ten_seconds() {
    let lost = [Phase::Running, Phase::Lost];
    let (api, nodes) = one_silent(Some(10_000));
    for down in [
        hosts([host("host-1", "Unknown", false)]),
        hosts([host("host-1", "False", true)]),
        hosts([]),
    ] {
        assert_eq!(after(&context(&api, &nodes, down), 10_000).await, lost);
    }
}

#[tokio::test(start_paused = true)]
async fn none_of_the_three_signs_of_loss_is_enough_without_the_others() {
    let kept = [Phase::Running; 2];
    let down = || hosts([host("host-1", "Unknown", false)]);
    // Too soon for us.
    let (api, nodes) = one_silent(Some(60_000));
    assert_eq!(after(&context(&api, &nodes, down()), 9_999).await, kept);
    // The other node heard of it: it is we who are cut off.
    let (api, nodes) = one_silent(Some(9_999));
    assert_eq!(after(&context(&api, &nodes, down()), 60_000).await, kept);
    // The other node does not say when it heard of it.
    let (api, nodes) = one_silent(None);
    assert_eq!(after(&context(&api, &nodes, down()), 60_000).await, kept);
    // The other node does not answer either.
    let (api, nodes) = one_silent(Some(60_000));
    nodes.states.lock().unwrap().clear();
    assert_eq!(after(&context(&api, &nodes, down()), 60_000).await, kept);
    // Its host is well.
    let (api, nodes) = one_silent(Some(60_000));
    let ready = hosts([host("host-1", "True", false)]);
    assert_eq!(after(&context(&api, &nodes, ready), 60_000).await, kept);
    // The hosts are not known yet.
    let (reader, _writer) = kube::runtime::reflector::store();
    let unknown = crate::hosts::Hosts::new(reader);
    assert_eq!(after(&context(&api, &nodes, unknown), 60_000).await, kept);
}

#[tokio::test(start_paused = true)]
async fn a_silent_node_is_lost_without_any_witness_when_its_host_was_declared_to_be_off() {
    // The only witness does not know it.
    let (api, nodes) = one_silent(None);
    let declared = |ready| hosts([off("host-1", ready)]);
    let lost = [Phase::Running, Phase::Lost];
    assert_eq!(after(&context(&api, &nodes, declared("Unknown")), 10_000).await, lost);
    let too_soon = after(&context(&api, &nodes, declared("Unknown")), 9_999).await;
    assert_eq!(too_soon, [Phase::Running; 2], "one answer that came too late proves nothing");
    // There is no other node.
    nodes.states.lock().unwrap().clear();
    assert_eq!(after(&context(&api, &nodes, declared("Unknown")), 10_000).await, lost);
    let kept = after(&context(&api, &nodes, declared("True")), 10_000).await;
    assert_eq!(kept, [Phase::Running; 2], "its kubelet is heard of, and the taint was forgotten");
    nodes.states.lock().unwrap().insert("10.0.0.2".to_owned(), answer("web-1"));
    let answers = after(&context(&api, &nodes, declared("Unknown")), 10_000).await;
    assert_eq!(answers, [Phase::Running; 2], "it answers");
}

#[tokio::test(start_paused = true)]
async fn a_restarted_operator_waits_anew_before_it_declares_a_node_lost() {
    let (api, nodes) = one_silent(Some(60_000));
    let down = || hosts([host("host-1", "Unknown", false)]);
    assert_eq!(after(&context(&api, &nodes, down()), 9_000).await, [Phase::Running; 2]);
    assert_eq!(after(&context(&api, &nodes, down()), 9_000).await, [Phase::Running; 2]);
}

#[tokio::test(start_paused = true)]
async fn a_lost_node_that_is_being_deleted_says_so() {
    let (api, nodes) = one_silent(Some(60_000));
    let mut terminating = running("web-1", "10.0.0.2");
    terminating.metadata.deletion_timestamp = Some(time(START));
    api.put("pods/web-1", terminating);
    let context = context(&api, &nodes, hosts([]));
    assert_eq!(after(&context, 10_000).await, [Phase::Stopping, Phase::Lost]);
    let seen = look(&context).await;
    let flags: Vec<_> = seen.observed.nodes.iter().map(|node| node.stopping).collect();
    assert_eq!(flags, [false, true]);
}

#[tokio::test]
async fn new_nodes_get_the_image_that_most_nodes_run() {
    let image = |pods: &[(&str, &str)], spec: &str| {
        let (api, nodes) = (FakeApi::default(), FakeNodes::default());
        api.put(CLUSTER_PATH, cluster(spec));
        for (name, image) in pods {
            let mut pod = running(name, "10.0.0.1");
            let template = json!(super::fixture::template(image)).to_string();
            let annotations = pod.metadata.annotations.as_mut().unwrap();
            annotations.insert(meta::TEMPLATE.to_owned(), template);
            if *image == "lost" {
                annotations.remove(meta::TEMPLATE);
            }
            api.put(&format!("pods/{name}"), pod);
        }
        async move { look(&context(&api, &nodes, hosts([]))).await.observed.program }
    };
    let roll = [("web-0", "cache:1"), ("web-1", "cache:2"), ("web-2", "cache:2")];
    assert_eq!(image(&roll, "{}").await, "cache:2");
    assert_eq!(image(&roll, "{image: mine}").await, "mine");
    let tie = [("web-10", "cache:1"), ("web-9", "cache:2")];
    assert_eq!(image(&tie, "{}").await, "cache:2", "the lowest number, not the first name");
    assert_eq!(image(&[], "{}").await, "cache:default");
    assert_eq!(image(&[("web-0", "lost")], "{}").await, "cache:default");
}

#[tokio::test]
async fn a_pod_without_the_record_of_its_template_is_out_of_date() {
    let (api, nodes) = two_nodes();
    let mut pod = running("web-1", "10.0.0.2");
    pod.metadata.annotations = None;
    api.put("pods/web-1", pod);
    let seen = look(&context(&api, &nodes, hosts([]))).await;
    assert_eq!(seen.observed.nodes[0].template.pod, seen.observed.pod);
    assert_ne!(seen.observed.nodes[1].template.pod, seen.observed.pod);
}

#[tokio::test]
async fn the_same_share_of_a_cpu_in_other_words_makes_no_pod_out_of_date() {
    let (api, nodes) = two_nodes();
    for (request, limit, is_outdated) in
        [("100m", None, false), ("0.1", None, false), ("0.2", None, true), ("0.1", Some("1"), true)]
    {
        let resources = json!({"cpuRequest": request, "cpuLimit": limit});
        api.edit(CLUSTER_PATH, |object| object["spec"]["resources"] = resources.clone());
        let seen = look(&context(&api, &nodes, hosts([]))).await;
        let differs = seen.observed.nodes[0].template.pod != seen.observed.pod;
        assert_eq!(differs, is_outdated, "{resources}");
    }
}

#[tokio::test]
async fn trouble_of_a_pod_that_rests_is_told_and_of_one_that_is_replaced_at_once_is_not() {
    let failed = |failures: &str| {
        let mut failed = pod("web-2", ended(START, START));
        let annotations = failed.metadata.annotations.as_mut().unwrap();
        annotations.insert(meta::FAILURES.to_owned(), failures.to_owned());
        failed
    };
    let (api, nodes) = two_nodes();
    let mut told: Vec<Value> = Vec::new();
    for failures in ["0", "1"] {
        api.put("pods/web-2", failed(failures));
        let node = &look(&context(&api, &nodes, hosts([]))).await.observed.nodes[2];
        assert_eq!(node.phase, Phase::Exited);
        told.push(json!([node.resting, node.trouble]));
    }
    assert_eq!(told, [json!([false, null]), json!([true, "Error: exit code 1"])]);
}

#[tokio::test(start_paused = true)]
async fn addresses_lead_somewhere_as_soon_as_one_pod_is_ready() {
    let (api, nodes) = two_nodes();
    let context = context(&api, &nodes, hosts([host("host-1", "True", false)]));
    assert!(!look(&context).await.observed.open, "no pod says that it is ready");
    for (ready, open) in [("True", true), ("False", false)] {
        let conditions = json!([{"type": "Ready", "status": ready}]);
        let status = json!({"phase": "Running", "podIP": "10.0.0.1", "conditions": conditions});
        api.put("pods/web-0", pod("web-0", status));
        assert_eq!(look(&context).await.observed.open, open, "Ready={ready}");
    }
}

#[tokio::test]
async fn a_node_that_was_told_to_end_by_its_host_hands_over_like_one_whose_pod_is_deleted() {
    let (api, nodes) = two_nodes();
    nodes.states.lock().unwrap().get_mut("10.0.0.2").unwrap().draining = true;
    let seen = look(&context(&api, &nodes, hosts([host("host-1", "True", false)]))).await;
    let flags = seen.observed.nodes.iter().map(|node| (node.phase, node.stopping));
    assert_eq!(flags.collect::<Vec<_>>(), [(Phase::Running, false), (Phase::Stopping, true)]);
}

#[tokio::test]
async fn slots_that_change_hands_between_two_answers_are_not_missed() {
    let (api, nodes) = two_nodes();
    // Asked after it had handed everything over, while the other one was asked before.
    let mut owner = answer("web-1");
    owner.ownership.owned = vec![(0, 16383)];
    nodes.next.lock().unwrap().insert("10.0.0.2".to_owned(), owner);
    let context = context(&api, &nodes, hosts([host("host-1", "True", false)]));
    let seen = look(&context).await;
    assert_eq!(seen.observed.covered().len(), 16384);
    // And the other way round: who owned them in the first answer does not any more.
    nodes.next.lock().unwrap().insert("10.0.0.2".to_owned(), answer("web-1"));
    let seen = look(&context).await;
    assert_eq!(seen.observed.covered().len(), 16384);
    assert_eq!(look(&context).await.observed.covered().len(), 0, "nobody has them in two looks");
}

#[tokio::test(start_paused = true)]
async fn one_witness_that_does_not_answer_keeps_a_silent_node_and_a_newcomer_is_no_witness() {
    let third = |epoch: Option<u64>, member: bool| {
        let (api, nodes) = one_silent(Some(60_000));
        // On a host that is well.
        let mut pod = running("web-2", "10.0.0.3");
        pod.spec.as_mut().unwrap().node_name = Some("host-2".to_owned());
        api.put("pods/web-2", pod);
        let mut states = nodes.states.lock().unwrap();
        if let Some(epoch) = epoch {
            states.insert("10.0.0.3".to_owned(), NodeState { epoch, ..answer("web-2") });
        }
        drop(states);
        if member {
            api.put("configmaps/web-ring", ring_of(&["web-0", "web-1", "web-2"]));
        }
        (api, nodes)
    };
    let down = || hosts([host("host-1", "Unknown", false), host("host-2", "True", false)]);
    let (kept, lost) = ([Phase::Running; 2], [Phase::Running, Phase::Lost]);
    // Takes part and is silent; takes part and does not name the other one.
    for epoch in [None, Some(7)] {
        let (api, nodes) = third(epoch, true);
        assert_eq!(after(&context(&api, &nodes, down()), 60_000).await, kept, "{epoch:?}");
    }
    // No member yet: silent, or without a document.
    for epoch in [None, Some(0)] {
        let (api, nodes) = third(epoch, false);
        assert_eq!(after(&context(&api, &nodes, down()), 60_000).await, lost, "{epoch:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_minority_of_witnesses_proves_nothing_about_more_nodes_than_they_are() {
    let silent = |names: &[(&str, &str)]| {
        let (api, nodes) = one_silent(Some(60_000));
        let mut states = nodes.states.lock().unwrap();
        let first = states.get_mut("10.0.0.1").unwrap();
        for (name, ip) in names {
            api.put(&format!("pods/{name}"), running(name, ip));
            let incarnation = Incarnation::new(&format!("uid-{name}"), "1");
            first.heard.push(Heard { incarnation, ms_ago: 60_000 });
        }
        drop(states);
        let members: Vec<&str> =
            ["web-0", "web-1"].into_iter().chain(names.iter().map(|(name, _)| *name)).collect();
        api.put("configmaps/web-ring", ring_of(&members));
        (api, nodes)
    };
    let down = || hosts([host("host-1", "Unknown", false)]);
    let (api, nodes) = silent(&[]);
    let lost = [Phase::Running, Phase::Lost];
    assert_eq!(after(&context(&api, &nodes, down()), 60_000).await, lost, "one against one");
    let (api, nodes) = silent(&[("web-2", "10.0.0.3")]);
    let kept = [Phase::Running; 2];
    assert_eq!(after(&context(&api, &nodes, down()), 60_000).await, kept, "one against two");
}
