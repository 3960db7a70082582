//! What the operator reads of a node's state, by what real nodes say under real changes. A field that only a double fills would
//! let the operator decide by something that never happens.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ringcache_api::admin::{Heard, KnownSettings, NodeState, NodeStats, Ownership};
use ringcache_tests::clock::wait_for;
use ringcache_tests::cluster::state;
use ringcache_tests::resp::Connection;
use ringcache_tests::{Cluster, NodeRecord, http, layout};
use rustix::process::Signal;

const LIMIT: Duration = Duration::from_secs(30);

#[test]
fn every_field_of_a_nodes_state_follows_what_happens() -> Result<()> {
    let mut cluster = Cluster::start(&Cluster::spec(2, "128Mi"), 2)?;
    let nodes = cluster.nodes()?;
    let (first, second) = (&nodes[0], &nodes[1]);
    let mut client = Connection::open(first.ports.resp)?;
    let document = cluster.document()?;
    let tag = layout::tag_of(&document.intended(&first.name)).context("a key of the first node")?;

    for (words, reply) in [
        (&["SET", &tag, "1"][..], "+OK"),
        (&["SET", &format!("{{{tag}}}dies"), "1", "PX", "1"], "+OK"),
        (&["GET", &tag], "1"),
        (&["GET", &format!("{{{tag}}}absent")], "_"),
    ] {
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        let answer = client.ask(&words)?;
        ensure!(reply == "_" || answer.ends_with(reply), "{words:?}: {answer}");
    }
    settled(first, "an entry has expired", |state| state.stats.expired > 0)?;
    let settings = r#"{"ttlDefaultSeconds":77,"ttlJitterPercent":3}"#;
    http::request(first.ports.admin, "PUT", "/admin/v1/settings", settings)?;

    // No `..`: whoever adds a field says here what fills it.
    let said = state(first)?;
    let NodeState {
        version,
        name,
        incarnation,
        cluster_uid,
        program,
        epoch,
        checksum,
        ownership,
        settings,
        stats,
        heard,
        draining,
    } = said.clone();
    let member = document.member(&first.name).context("the first node is a member")?;
    ensure!(version == ringcache_api::admin::ADMIN_VERSION && name == first.name, "{said:?}");
    ensure!(incarnation == member.uid && incarnation.uid() == first.uid, "{incarnation}");
    ensure!(cluster_uid == document.cluster.uid && !program.is_empty(), "{said:?}");
    ensure!(epoch == document.epoch && checksum == document.checksum, "{said:?}");
    let Ownership { owned, sealed, handed_in, handed_out, adopted } = ownership;
    ensure!(owned == ranges(&document, first) && sealed.is_empty(), "{owned:?}, {sealed:?}");
    ensure!(handed_in == 0 && handed_out == 0 && adopted == 8192, "{said:?}");
    let KnownSettings { ttl_default_seconds, ttl_jitter_percent } = settings;
    ensure!((ttl_default_seconds, ttl_jitter_percent) == (Some(77), Some(3)), "{settings:?}");
    let NodeStats {
        entries,
        used_bytes,
        limit_bytes,
        resident_bytes,
        hits,
        misses,
        evicted,
        expired,
        forwarded,
        connections,
        idle_ms,
    } = stats;
    ensure!(entries == 1 && used_bytes > 0 && limit_bytes == 128 << 20, "{stats:?}");
    ensure!(resident_bytes > 1 << 20 && hits == 1 && misses == 1, "{stats:?}");
    ensure!(evicted == 0 && expired == 1 && forwarded == 0, "{stats:?}");
    ensure!(connections >= 1 && idle_ms.is_some(), "{stats:?}");
    ensure!(!draining, "nobody has told it to end");
    let [Heard { incarnation, ms_ago }] = &heard[..] else { anyhow::bail!("{heard:?}") };
    ensure!(incarnation.uid() == second.uid && *ms_ago < 5000, "{heard:?}");

    // One that is stopped is not heard any more, and heard again when it goes on.
    cluster.signal_node(second, Signal::STOP)?;
    let silence = |state: &NodeState| state.heard.first().map_or(0, |heard| heard.ms_ago);
    let silent = settled(first, "the other one is silent", |state| silence(state) > 1500);
    cluster.signal_node(second, Signal::CONT)?;
    silent?;
    settled(first, "the other one is heard", |state| silence(state) < 1000)?;

    // Slots move: counted at both ends.
    cluster.edit(&Cluster::spec(3, "128Mi"))?;
    cluster.wait_converged(3, LIMIT)?;
    let out = state(first)?.ownership.handed_out + state(second)?.ownership.handed_out;
    let third = cluster.nodes()?.into_iter().find(|n| !nodes.contains(n)).context("a third")?;
    ensure!(out == 5461 && state(&third)?.ownership.handed_in == out, "{out} handed out");
    ensure!(state(&third)?.heard.len() == 2, "{:?}", state(&third)?.heard);

    cluster.signal_node(first, Signal::TERM)?;
    settled(first, "it says that it was told to end", |state| state.draining)
}

fn ranges(document: &ringcache_api::Document, node: &NodeRecord) -> Vec<(u16, u16)> {
    document.intended(&node.name).ranges().map(std::ops::RangeInclusive::into_inner).collect()
}

fn settled(node: &NodeRecord, what: &str, is_so: impl Fn(&NodeState) -> bool) -> Result<()> {
    wait_for(what, LIMIT, || {
        let state = state(node)?;
        Ok(if is_so(&state) { Ok(()) } else { Err(format!("{state:?}")) })
    })
}

#[test]
fn a_node_told_to_end_by_its_host_hands_everything_over() -> Result<()> {
    let mut cluster = Cluster::start(&Cluster::spec(3, "256Mi"), 3)?;
    let load = ringcache_tests::Load::redis_py(cluster.dir(), &cluster.seeds()?, 20_000, &[])?;
    let verify = ringcache_tests::Load::verify(cluster.dir(), &cluster.seeds()?, 20_000, &[])?;
    let before: BTreeSet<u32> = cluster.nodes()?.iter().map(|node| node.pid).collect();
    let victim = cluster.nodes()?.remove(1);
    cluster.signal_node(&victim, Signal::TERM)?;
    // A kubelet that was restarted says it once more.
    settled(&victim, "it says that it was told to end", |state| state.draining)?;
    cluster.signal_node(&victim, Signal::TERM)?;
    wait_for("another node has taken its place", LIMIT, || {
        let now: BTreeSet<u32> = cluster.nodes()?.iter().map(|node| node.pid).collect();
        let replaced = now.len() == 3 && !now.contains(&victim.pid);
        Ok(if replaced { Ok(()) } else { Err(format!("{before:?}, now {now:?}")) })
    })
    .with_context(|| cluster.diagnosis())?;
    cluster.wait_converged(3, LIMIT)?;
    verify.stop()?.clean()?;
    load.stop()?.clean()
}
