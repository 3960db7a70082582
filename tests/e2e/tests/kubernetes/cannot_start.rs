//! Nodes that cannot start: a person is told why, and needs to correct it and nothing else.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ringcache_api::status::{condition, reason};
use ringcache_e2e::{Namespace, Turn};
use ringcache_tests::clock::now;
use serde_json::{Value, json};

/// How soon a cluster must be as its spec wants it, once that has been corrected.
const CORRECTED: Duration = Duration::from_mins(1);
/// How soon those that run serve, on a busy machine: others are waited for, for half a minute.
const SHORT: Duration = Duration::from_mins(2);

/// A mistake in a spec, its correction, and what is to be read of it.
struct Mistake {
    name: &'static str,
    spec: Value,
    corrected: Value,
    said: &'static str,
}

fn mistakes() -> [Mistake; 3] {
    [
        Mistake {
            name: "image",
            spec: json!({"image": "localhost/cache-node:wrong"}),
            corrected: json!({"image": null}),
            said: "ImagePullBackOff",
        },
        Mistake {
            name: "memory",
            spec: json!({"memory": "1Ti"}),
            corrected: json!({"memory": "64Mi"}),
            said: "Insufficient memory",
        },
        Mistake {
            name: "selector",
            spec: json!({"scheduling": {"nodeSelector": {"example.com/disk": "none"}}}),
            corrected: json!({"scheduling": null}),
            said: "didn't match Pod's node affinity/selector",
        },
    ]
}

#[test]
fn a_first_spec_that_cannot_start_says_why_and_serves_once_it_is_corrected() -> Result<()> {
    let namespace = Namespace::create("first-spec", Turn::Shared)?;
    for mistake in &mistakes() {
        let mut spec = json!({"nodes": 2, "memory": "64Mi"});
        merge(&mut spec, &mistake.spec);
        let cluster = namespace.applied(mistake.name, &spec.to_string())?;
        cluster.shows(&[reason::NODES_CANNOT_START, mistake.said])?;
        cluster.patch(&mistake.corrected)?;
        cluster.settled_within(CORRECTED, 2)?;
    }
    namespace.finish()
}

#[test]
fn an_edit_that_cannot_start_says_why_and_restarts_nobody_once_it_is_taken_back() -> Result<()> {
    let namespace = Namespace::create("edit", Turn::Shared)?;
    let cluster = namespace.serving("web", 2, "{nodes: 2, memory: 64Mi}")?;
    let before = cluster.view()?;
    for mistake in mistakes() {
        cluster.patch(&mistake.spec)?;
        cluster.shows(&[reason::SERVING, mistake.said])?;
        cluster.patch(&mistake.corrected)?;
        let after = cluster.settled_within(CORRECTED, 2)?;
        ensure!(after.uids() == before.uids(), "{}: pods were replaced", mistake.name);
    }
    namespace.finish()
}

#[test]
fn nodes_that_fit_serve_after_a_short_wait_and_the_status_says_why_others_do_not() -> Result<()> {
    let namespace = Namespace::create("room", Turn::Shared)?;
    // Of these four fit on a host.
    let spec = |host: u8, nodes: usize| -> Result<Value> {
        let hostname = format!("node-{host}");
        let memory = memory_of_a_quarter(&namespace, &hostname)?;
        let selector = json!({"kubernetes.io/hostname": hostname});
        Ok(json!({"nodes": nodes, "memory": memory, "scheduling": {"nodeSelector": selector}}))
    };
    let grown = namespace.serving("grown", 3, &spec(2, 3)?.to_string())?;
    let three = grown.view()?;
    let (start, founded) = (now(), namespace.applied("founded", &spec(3, 6)?.to_string())?);
    grown.patch(&json!({"nodes": 6}))?;
    for (cluster, state) in [(founded, reason::NODES_CANNOT_START), (grown, reason::SERVING)] {
        cluster.shows(&[state, "Insufficient memory"])?;
    }
    for cluster in [founded, grown] {
        let name = cluster.name();
        cluster.wait(&format!("four nodes of {name} serve"), SHORT, |view| {
            view.has(condition::READY, "True", reason::SERVING)?;
            view.has(condition::DEGRADED, "True", reason::NODES_MISSING)?;
            let owners = cluster.owned().map_err(|error| format!("{error:#}"))?;
            let owners = owners.values().filter(|slots| !slots.is_empty()).count();
            if owners == 4 { Ok(()) } else { Err(format!("{owners} nodes own slots")) }
        })?;
        println!("four of six nodes of {name} serve after {:.1?}", start.elapsed());
        cluster.shows(&[reason::NODES_MISSING, "Insufficient memory"])?;
    }
    for cluster in [founded, grown] {
        cluster.scale(4)?;
    }
    for cluster in [founded, grown] {
        cluster.settled_within(CORRECTED, 4)?;
    }
    let kept = grown.view()?.uids().intersection(&three.uids()).count();
    ensure!(kept == 3, "{kept} of 3 nodes were kept");
    namespace.finish()
}

/// `memory` of a node of which four fit on a host, and not a fifth; what is left is enough for the pods of other tests.
fn memory_of_a_quarter(namespace: &Namespace, host: &str) -> Result<String> {
    let path = "--output=jsonpath={.status.allocatable.memory}";
    let memory = namespace.kubectl(&["get", "node", host, path])?;
    let memory = memory.strip_suffix("Ki").with_context(|| format!("{memory} on {host}"))?;
    let mebibytes = memory.parse::<u64>()? / 1024;
    // A pod asks for 10 % and 32 MiB more.
    Ok(format!("{}Mi", (mebibytes * 22 / 100 - 32) * 10 / 11))
}

fn merge(spec: &mut Value, more: &Value) {
    for (field, value) in more.as_object().into_iter().flatten() {
        spec[field] = value.clone();
    }
}
