//! What the operator may do.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use ringcache_tests::tool;
use serde_json::{Value, json};

use crate::render::{NAMESPACE, borrowed, objects, of_kind, only, set, variants};

/// `group/resource verb` of every rule.
fn grants(role: &Value) -> Result<BTreeSet<String>> {
    let words = |rule: &Value, key: &str| -> Result<Vec<String>> {
        let list = rule[key].as_array().with_context(|| format!("{key} of {rule}"))?;
        Ok(list.iter().filter_map(|word| word.as_str().map(str::to_owned)).collect())
    };
    let mut grants = BTreeSet::new();
    for rule in role["rules"].as_array().context("rules")? {
        for group in words(rule, "apiGroups")? {
            for resource in words(rule, "resources")? {
                for verb in words(rule, "verbs")? {
                    grants.insert(format!("{group}/{resource} {verb}"));
                }
            }
        }
    }
    Ok(grants)
}

fn named<'a>(roles: &[&'a Value], name: &str) -> Result<&'a Value> {
    let found = roles.iter().find(|role| role["metadata"]["name"] == name);
    found.copied().with_context(|| format!("no role {name}"))
}

#[test]
fn no_rule_has_a_wildcard_reads_a_secret_or_hands_rights_on() -> Result<()> {
    let forbidden = ["secrets", "escalate", "bind", "impersonate", "customresourcedefinitions"];
    let mut rules = 0;
    for arguments in variants()? {
        let objects = objects(&borrowed(&arguments))?;
        for role in of_kind(&objects, "Role").into_iter().chain(of_kind(&objects, "ClusterRole")) {
            for grant in grants(role)? {
                ensure!(!grant.contains('*'), "{grant}");
                let word = forbidden.iter().find(|word| grant.contains(**word));
                ensure!(word.is_none(), "{grant}");
                rules += 1;
            }
        }
    }
    ensure!(rules > 60, "only {rules} rules seen");
    Ok(())
}

#[test]
fn in_namespaced_mode_only_hosts_are_seen_beyond_the_namespaces() -> Result<()> {
    let everywhere = set(&["rbac.aggregate=false"])?;
    let everywhere = grants(only(&everywhere, "ClusterRole"))?;
    let objects = set(&["watchNamespaces={shop,search}", "rbac.aggregate=false"])?;
    let hosts = grants(only(&objects, "ClusterRole"))?;
    ensure!(hosts.iter().all(|grant| grant.starts_with("/nodes ")), "{hosts:?}");

    let mut namespaces = BTreeSet::new();
    for role in of_kind(&objects, "Role") {
        if role["metadata"]["namespace"] == NAMESPACE {
            continue;
        }
        namespaces.insert(role["metadata"]["namespace"].as_str().context("namespace")?.to_owned());
        let both: BTreeSet<String> = grants(role)?.union(&hosts).cloned().collect();
        ensure!(both == everywhere, "{both:?} instead of {everywhere:?}");
    }
    ensure!(namespaces == BTreeSet::from(["shop".into(), "search".into()]), "{namespaces:?}");
    for binding in of_kind(&objects, "RoleBinding") {
        let namespace = &binding["metadata"]["namespace"];
        let role = &binding["roleRef"]["name"];
        let roles = of_kind(&objects, "Role");
        ensure!(roles.iter().any(|r| {
            r["metadata"]["name"] == *role && r["metadata"]["namespace"] == *namespace
        }));
        ensure!(binding["subjects"][0]["namespace"] == NAMESPACE, "{binding}");
    }
    let flag = json!("--namespace=shop,search");
    let arguments = &crate::render::operator(&objects)["args"];
    ensure!(arguments.as_array().is_some_and(|all| all.contains(&flag)), "{arguments}");
    Ok(())
}

#[test]
fn the_lease_is_the_one_that_the_operator_is_told_of() -> Result<()> {
    let objects = set(&["fullnameOverride=caches"])?;
    let role = only(&objects, "Role");
    let rules = role["rules"].as_array().context("rules")?;
    let restricted: Vec<&Value> =
        rules.iter().filter(|rule| rule["verbs"] != json!(["create"])).collect();
    ensure!(restricted.len() == 1, "{rules:?}");
    ensure!(restricted[0]["resourceNames"] == json!(["caches-operator"]), "{rules:?}");
    let flag = json!("--lease-name=caches-operator");
    let arguments = &crate::render::operator(&objects)["args"];
    ensure!(arguments.as_array().is_some_and(|all| all.contains(&flag)), "{arguments}");
    Ok(())
}

#[test]
fn who_may_view_or_edit_a_namespace_may_do_so_with_its_caches() -> Result<()> {
    let objects = set(&[])?;
    let roles = of_kind(&objects, "ClusterRole");
    let view = named(&roles, "ringcache-system:ringcache-operator:view")?;
    let edit = named(&roles, "ringcache-system:ringcache-operator:edit")?;
    for (role, to) in [(view, &["view", "edit", "admin"][..]), (edit, &["edit", "admin"])] {
        for role_of_namespace in ["view", "edit", "admin"] {
            let label = format!("rbac.authorization.k8s.io/aggregate-to-{role_of_namespace}");
            let expected = to.contains(&role_of_namespace).then_some("true");
            ensure!(role["metadata"]["labels"][&label].as_str() == expected, "{label}");
        }
    }
    ensure!(
        grants(view)?
            .iter()
            .all(|grant| { ["get", "list", "watch"].iter().any(|verb| grant.ends_with(verb)) })
    );
    let edit = grants(edit)?;
    for grant in ["cacheclusters create", "cacheclusters delete", "cacheclusters/scale patch"] {
        ensure!(edit.contains(&format!("ringcache.dev/{grant}")), "{grant}");
    }
    // Only the operator says what is.
    ensure!(!edit.iter().any(|grant| grant.contains("/status")), "{edit:?}");
    Ok(())
}

#[test]
fn the_page_about_security_has_every_right_of_the_operator_and_no_other() -> Result<()> {
    let page = std::fs::read_to_string(tool::workspace().join("docs/security.md"))?;
    let (_, table) = page.split_once("| what | where | verbs |\n").context("no such table")?;
    let mut on_page = BTreeSet::new();
    for row in table.lines().skip(1).take_while(|line| line.starts_with('|')) {
        let cells: Vec<&str> = row.split('|').collect();
        let words = |cell: &str| -> Vec<String> {
            let words = cell.split([',', ';', ' ', '`']);
            words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
        };
        // Before its own lease there stand other words.
        let verbs: Vec<String> = words(cells[3])
            .into_iter()
            .filter(|w| !["of", "its", "own", "also"].contains(&&**w))
            .collect();
        for resource in words(cells[1]) {
            on_page.extend(verbs.iter().map(|verb| format!("{resource} {verb}")));
        }
    }
    let objects = set(&["rbac.aggregate=false"])?;
    let mut granted = BTreeSet::new();
    for role in [only(&objects, "ClusterRole"), only(&objects, "Role")] {
        let without_group = |grant: &String| grant.split_once('/').map(|(_, rest)| rest.to_owned());
        granted.extend(grants(role)?.iter().filter_map(without_group));
    }
    ensure!(on_page == granted, "{on_page:?} instead of {granted:?}");
    Ok(())
}
