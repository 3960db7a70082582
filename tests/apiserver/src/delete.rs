//! Deletion: preconditions, grace for pods, finalizers, and how dependents are to go.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::kind::Kind;
use crate::object::{
    Object, deletion_grace, finalizers, is_deleting, metadata_mut, text, uid, version,
};
use crate::status::{Refusal, another_uid, modified, not_found};
use crate::store::{Key, Store};

pub(crate) const FOREGROUND: &str = "foregroundDeletion";
pub(crate) const ORPHAN: &str = "orphan";

/// The body of a DELETE.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct DeleteOptions {
    pub grace_period_seconds: Option<u64>,
    pub preconditions: Preconditions,
    pub propagation_policy: Option<String>,
}

impl DeleteOptions {
    /// What kube sends has null where nothing is said.
    pub(crate) fn read(body: &Value) -> serde_json::Result<Self> {
        let mut body = body.clone();
        if let Some(members) = body.as_object_mut() {
            members.retain(|_, value| !value.is_null());
        }
        Self::deserialize(body)
    }
}

/// What must still be so when the deletion happens.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Preconditions {
    pub uid: Option<String>,
    pub resource_version: Option<String>,
}

/// What a deletion came to.
pub(crate) enum Deleted {
    /// The object is there until its grace is over or its finalizers are gone.
    Begun(Arc<Object>),
    /// It is gone.
    Gone,
}

/// Begins or completes a deletion.
pub(crate) fn delete(
    store: &mut Store,
    key: &Key,
    options: &DeleteOptions,
) -> Result<Deleted, Refusal> {
    let live = Arc::clone(store.get(key).ok_or_else(|| not_found(key.kind, &key.name))?);
    check(key, live.value(), &options.preconditions)?;
    let mut new = live.value().clone();
    if !is_deleting(&new) {
        add_finalizer(&mut new, options.propagation_policy.as_deref());
    }
    let grace = grace(key.kind, &new, options.grace_period_seconds);
    let waits = grace > 0 || !finalizers(&new).is_empty() || key.kind == Kind::Namespace;
    if !waits {
        store.remove(key);
        return Ok(Deleted::Gone);
    }
    if is_deleting(&new) && deletion_grace(&new) <= grace {
        return Ok(Deleted::Begun(live));
    }
    let timestamp = store.timestamp(Duration::from_secs(grace));
    if !is_deleting(&new)
        && let Some(generation) = new["metadata"]["generation"].as_u64()
    {
        metadata_mut(&mut new).insert("generation".to_owned(), (generation + 1).into());
    }
    let metadata = metadata_mut(&mut new);
    metadata.insert("deletionTimestamp".to_owned(), timestamp.into());
    metadata.insert("deletionGracePeriodSeconds".to_owned(), grace.into());
    if key.kind == Kind::Namespace {
        new["status"] = json!({"phase": "Terminating"});
    }
    Ok(Deleted::Begun(store.put(key, new, live.managers.clone())))
}

fn check(key: &Key, live: &Value, preconditions: &Preconditions) -> Result<(), Refusal> {
    if let Some(wanted) = preconditions.uid.as_deref().filter(|wanted| *wanted != uid(live)) {
        return Err(another_uid(key.kind, &key.name, wanted, uid(live)));
    }
    match preconditions.resource_version.as_deref() {
        Some(wanted) if wanted != version(live) => Err(modified(key.kind, &key.name)),
        _ => Ok(()),
    }
}

fn add_finalizer(object: &mut Value, policy: Option<&str>) {
    let finalizer = match policy {
        Some("Foreground") => FOREGROUND,
        Some("Orphan") => ORPHAN,
        _ => return,
    };
    let mut all: Vec<String> = finalizers(object).into_iter().map(str::to_owned).collect();
    all.push(finalizer.to_owned());
    metadata_mut(object).insert("finalizers".to_owned(), all.into());
}

/// Seconds that a deletion waits for. Only pods are deleted gracefully, and only those that may be running somewhere.
fn grace(kind: Kind, object: &Value, asked: Option<u64>) -> u64 {
    let ended = matches!(text(object, "/status/phase"), "Succeeded" | "Failed");
    if kind != Kind::Pod || ended || text(object, "/spec/nodeName").is_empty() {
        return 0;
    }
    asked.unwrap_or_else(|| object["spec"]["terminationGracePeriodSeconds"].as_u64().unwrap_or(30))
}
