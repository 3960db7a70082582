//! What a running node refuses of ring documents, and that a refusal changes nothing.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use ringcache_api::admin::{ErrorBody, NodeState, NodeStats, code};
use ringcache_api::{Document, Incarnation};
use ringcache_tests::{Cluster, NodeRecord, cluster, http};

#[test]
fn a_node_refuses_stale_foreign_and_broken_documents_and_stays_as_it_is() -> Result<()> {
    let mut cluster = Cluster::start(&Cluster::spec(1, "128Mi"), 1)?;
    cluster.edit(&Cluster::spec(2, "128Mi"))?;
    let current = cluster.wait_converged(2, std::time::Duration::from_secs(30))?;
    ensure!(current.epoch >= 2, "a scaling must have raised the epoch: {}", current.epoch);
    let node = &cluster.nodes()?[0];

    let lower = Document { epoch: current.epoch - 1, ..current.clone() }.sealed();
    refused(node, &lower.to_json(), 409, code::STALE_EPOCH, "epoch")?;

    let same_epoch =
        Document { gone: BTreeSet::from([Incarnation::new("uid", "nonce")]), ..current.clone() }
            .sealed();
    refused(node, &same_epoch.to_json(), 409, code::STALE_EPOCH, "epoch")?;

    let mut foreign = Document { epoch: current.epoch + 1, ..current.clone() };
    foreign.cluster.uid = "another-cluster".into();
    refused(node, &foreign.sealed().to_json(), 409, code::OTHER_CLUSTER, "another-cluster")?;

    let forged = Document { epoch: current.epoch + 1, ..current.clone() };
    refused(node, &forged.to_json(), 422, code::INVALID_DOCUMENT, "checksum")?;

    let mut gap = Document { epoch: current.epoch + 1, ..current.clone() };
    gap.slots.pop();
    refused(node, &gap.sealed().to_json(), 422, code::INVALID_DOCUMENT, "slots")?;

    refused(node, "{\"version\": 1", 422, code::INVALID_DOCUMENT, "read")?;
    let newer_format = current.to_json().replace("\"version\": 1", "\"version\": 2");
    refused(node, &newer_format, 422, code::INVALID_DOCUMENT, "version 2")?;

    let again = http::request(node.ports.admin, "PUT", "/admin/v1/ring", &current.to_json())?;
    ensure!(again.status == 200, "the document in force, sent again: {again:?}");
    Ok(())
}

/// Pushes a document that must be refused with that status, code and word, and leave the node as it was.
fn refused(node: &NodeRecord, document: &str, status: u16, code: &str, word: &str) -> Result<()> {
    let before = lasting(cluster::state(node)?);
    let answer = http::request(node.ports.admin, "PUT", "/admin/v1/ring", document)?;
    let ErrorBody { error } = serde_json::from_str(&answer.body)?;
    println!("{} {}: {}", answer.status, error.code, error.message);
    ensure!(answer.status == status && error.code == code, "wanted {status} {code}");
    ensure!(error.message.contains(word), "the message does not say {word:?}");
    let after = lasting(cluster::state(node)?);
    ensure!(after == before, "the refused document changed the node: {before:?} -> {after:?}");
    Ok(())
}

/// A node's state without its counters, and without the time since it heard of the others.
fn lasting(state: NodeState) -> NodeState {
    NodeState { stats: NodeStats::default(), heard: Vec::new(), ..state }
}
