//! The operator's rights are exactly what it uses, in this test and in whatever ran before.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};
use ringcache_e2e::World;
use ringcache_e2e::audit::{self, Access};
use ringcache_e2e::world::{RELEASE, SYSTEM};
use serde::Deserialize;

use crate::calls;

/// A document of the rendered chart, with what matters here.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Document {
    kind: String,
    metadata: Metadata,
    rules: Vec<Rule>,
    role_ref: Metadata,
    subjects: Vec<Metadata>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Metadata {
    kind: String,
    name: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Rule {
    api_groups: Vec<String>,
    resources: Vec<String>,
    verbs: Vec<String>,
}

#[test]
fn every_right_is_used_and_no_call_is_denied() -> Result<()> {
    let calls = calls::all()?;
    let granted = granted(World::get()?)?;
    let used = audit::counted(calls);
    print(&granted, &used);

    let denied: Vec<_> = calls.iter().filter(|call| call.denied).collect();
    ensure!(denied.is_empty(), "denied: {denied:?}");
    let texts =
        |access: &Access| [access.group.clone(), access.resource.clone(), access.verb.clone()];
    let wildcards: Vec<_> = granted
        .iter()
        .filter(|access| texts(access).iter().any(|text| text.contains('*')))
        .collect();
    ensure!(wildcards.is_empty(), "wildcards: {wildcards:?}");
    let unused: Vec<_> = granted.iter().filter(|access| !used.contains_key(access)).collect();
    ensure!(unused.is_empty(), "granted and never used: {unused:?}");
    Ok(())
}

fn print(granted: &BTreeSet<Access>, used: &BTreeMap<Access, usize>) {
    println!("{:22} {:28} {:18} calls", "group", "resource", "verb");
    let all: BTreeSet<&Access> = granted.iter().chain(used.keys()).collect();
    for access in all {
        let calls = used.get(access).copied().unwrap_or_default();
        let note = if granted.contains(access) { "" } else { "  not granted by the chart" };
        println!("{:70} {calls:6}{note}", access.to_string());
    }
}

/// What the roles that are bound to the operator's service account allow.
fn granted(world: &World) -> Result<BTreeSet<Access>> {
    let manifest = world.lab.helm(&["get", "manifest", RELEASE, "--namespace", SYSTEM])?;
    let documents: Vec<Document> = serde_saphyr::from_multiple(&manifest)?;
    let is_operator = |document: &&Document| {
        document
            .subjects
            .iter()
            .any(|s| s.kind == "ServiceAccount" && s.name == "ringcache-operator")
    };
    let bound: BTreeSet<(&str, &str)> = documents
        .iter()
        .filter(is_operator)
        .map(|binding| (binding.role_ref.kind.as_str(), binding.role_ref.name.as_str()))
        .collect();
    ensure!(bound.len() >= 2, "{bound:?}");
    let roles =
        documents.iter().filter(|d| bound.contains(&(d.kind.as_str(), d.metadata.name.as_str())));
    let mut granted = BTreeSet::new();
    for rule in roles.flat_map(|role| &role.rules) {
        for (group, resource) in
            rule.api_groups.iter().flat_map(|g| rule.resources.iter().map(move |r| (g, r)))
        {
            let access = |verb: &String| Access {
                group: group.clone(),
                resource: resource.clone(),
                verb: verb.clone(),
            };
            granted.extend(rule.verbs.iter().map(access));
        }
    }
    Ok(granted)
}
