//! A node that seems lost from where the operator is, and is not: its host does not report, it does not answer the operator, and
//! everybody else hears it.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use ringcache_api::Document;
use ringcache_api::document::Incarnation;
use ringcache_e2e::cluster::LIMIT;
use ringcache_e2e::cut_off::CutOff;
use ringcache_e2e::load::CHECKER_HOST;
use ringcache_e2e::view::{host, host_number};
use ringcache_e2e::{Cluster, Loads, Namespace, Steps, Turn, View, kubelet};
use ringcache_ring::{SLOTS, SlotSet};
use ringcache_tests::clock::{now, wait_for};

const KEYS: u32 = 5_000;
/// How long the operator must bear it: twice what it would take to give up a node that nobody hears.
const PERIOD: Duration = Duration::from_secs(25);

#[test]
fn a_node_that_others_hear_is_not_given_up_though_its_host_and_the_operator_lost_touch()
-> Result<()> {
    let namespace = Namespace::create("touch", Turn::Alone)?;
    let world = namespace.world();
    let cluster = namespace.serving("web", 3, "{nodes: 3, memory: 64Mi}")?;
    let mut steps = Steps::default();
    let loads = steps.take("write all keys", || Loads::start(cluster, KEYS))?;
    let before = cluster.view()?;
    let members = members(&cluster.document()?);
    let pod = before.pods.iter().find(|pod| host(pod) != CHECKER_HOST);
    let pod = pod.context("all pods are on one host")?;
    println!("nothing is heard of {} on {} any more", pod.name_any(), host(pod));

    let lost = steps.take("lose touch", || {
        let lost = (CutOff::of(world, pod)?, kubelet::Stopped::of(world, host_number(pod)?)?);
        let not_ready = format!("node/{}", host(pod));
        world.lab.kubectl(&[
            "wait",
            "--for=condition=Ready=Unknown",
            &not_ready,
            "--timeout=2m",
        ])?;
        cluster.wait("the operator misses the node", LIMIT, |view| {
            if answers(view, pod) { Err("it answers".into()) } else { Ok(()) }
        })?;
        Ok(lost)
    })?;
    steps.take("without touch", || {
        let start = now();
        wait_for("the time is over", PERIOD + LIMIT, || {
            nothing_has_changed(cluster, pod, &members)?;
            Ok(if start.elapsed() < PERIOD { Err("it is not".into()) } else { Ok(()) })
        })
    })?;
    let after = steps.take("in touch again", || {
        drop(lost);
        let ready = format!("node/{}", host(pod));
        world.lab.kubectl(&["wait", "--for=condition=Ready", &ready, "--timeout=2m"])?;
        cluster.wait_settled(3)
    })?;
    ensure!(after.uids() == before.uids(), "a pod was replaced");
    ensure!(self::members(&cluster.document()?) == members, "a node was replaced");

    loads.stop_clean(&steps)?;
    namespace.finish()
}

/// Whether the operator says that the node answers it.
fn answers(view: &View, pod: &Pod) -> bool {
    let members = view.cluster.status.iter().flat_map(|status| &status.members);
    members.filter(|member| member.name == pod.name_any()).any(|member| member.ready)
}

fn members(document: &Document) -> BTreeSet<Incarnation> {
    document.members.iter().map(|member| member.uid.clone()).collect()
}

/// An error unless the operator misses the node and yet keeps it, and each slot has one owner.
fn nothing_has_changed(
    cluster: Cluster<'_>,
    pod: &Pod,
    members: &BTreeSet<Incarnation>,
) -> Result<()> {
    ensure!(!answers(&cluster.view()?, pod), "the operator reaches the node");
    let document = cluster.document()?;
    ensure!(document.gone.is_empty(), "given up: {:?}", document.gone);
    ensure!(self::members(&document) == *members, "the members are others: {document:?}");
    let owned = wait_for("every node says what it owns", LIMIT, || {
        let owned = cluster.owned()?;
        Ok(if owned.len() == members.len() { Ok(owned) } else { Err(format!("{owned:?}")) })
    })?;
    let mut all = SlotSet::new();
    for (name, slots) in &owned {
        if let Some(slot) = all.intersection(slots).iter().next() {
            bail!("slot {slot} of {name} has another owner too");
        }
        all = all.union(slots);
    }
    ensure!(all.len() == usize::from(SLOTS), "{} slots have an owner", all.len());
    Ok(())
}
