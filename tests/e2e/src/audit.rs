//! What the operator asked of the API server, as that wrote it down.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::world::{SYSTEM, World};

/// Part of the names of what binds the operator to its rights.
const BINDING: &str = "ringcache-operator";

/// One call of the operator.
#[derive(Clone, Debug)]
pub struct Call {
    /// What it asked for.
    pub access: Access,
    /// Namespace of the object; empty for those without, and for lists of all namespaces.
    pub namespace: String,
    /// Name of the object; empty for lists.
    pub name: String,
    /// Path and query of the request.
    pub uri: String,
    /// Whether no right allowed it although it was installed. Other refusals have the same status: what is created in a namespace
    /// that goes, for one.
    pub denied: bool,
}

/// What access rules are made of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Access {
    /// API group; empty = core.
    pub group: String,
    /// Resource, with `/` and subresource if there is one.
    pub resource: String,
    /// Verb.
    pub verb: String,
}

impl Access {
    /// Whether it changes anything.
    pub fn is_write(&self) -> bool {
        !["get", "list", "watch"].contains(&self.verb.as_str())
    }
}

impl std::fmt::Display for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let group = if self.group.is_empty() { "core" } else { &self.group };
        write!(f, "{group:22} {:28} {}", self.resource, self.verb)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    verb: String,
    #[serde(rename = "requestURI")]
    uri: String,
    user: User,
    #[serde(default)]
    object_ref: Object,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// Empty for a request whose connection broke before anybody knew whose it was.
#[derive(Default, Deserialize)]
#[serde(default)]
struct User {
    username: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Object {
    api_group: String,
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
}

/// The end of the log as it is now, to read from later.
pub fn now(world: &World) -> Result<u64> {
    Ok(fs::metadata(world.lab.audit_log())?.len())
}

/// All calls by the operator's service account that are in the log from there on; those that name no resource
/// (such as the server's version) are left out.
pub fn calls_since(world: &World, position: u64) -> Result<Vec<Call>> {
    let mut log = fs::File::open(world.lab.audit_log())?;
    log.seek(SeekFrom::Start(position))?;
    let operator = format!("system:serviceaccount:{SYSTEM}:");
    let mut calls = Vec::new();
    // Who is uninstalled loses its rights while it ends.
    let mut is_installed = true;
    for line in BufReader::new(log).lines() {
        let line = line?;
        let event: Event = serde_json::from_str(&line).context(line)?;
        let object = event.object_ref;
        if object.resource.ends_with("rolebindings") && object.name.contains(BINDING) {
            is_installed = event.verb != "delete";
        }
        if !event.user.username.starts_with(&operator) || object.resource.is_empty() {
            continue;
        }
        let slash = if object.subresource.is_empty() { "" } else { "/" };
        let resource = [object.resource.as_str(), slash, object.subresource.as_str()].concat();
        let access = Access { group: object.api_group, resource, verb: event.verb };
        let decision = event.annotations.get("authorization.k8s.io/decision");
        let denied = is_installed && decision.is_some_and(|decision| decision == "forbid");
        let (namespace, name, uri) = (object.namespace, object.name, event.uri);
        calls.push(Call { access, namespace, name, uri, denied });
    }
    Ok(calls)
}

/// How often each kind of call was made.
pub fn counted(calls: &[Call]) -> BTreeMap<Access, usize> {
    calls.iter().fold(BTreeMap::new(), |mut counts, call| {
        *counts.entry(call.access.clone()).or_default() += 1;
        counts
    })
}
