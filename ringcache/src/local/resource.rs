//! The `CacheCluster` as an API server would keep it: with a uid for ever, and a generation that counts specs.

use anyhow::{Result, bail};
use ringcache_api::CacheCluster;
use ringcache_api::cluster::message;
use serde_json::Value;
use uuid::Uuid;

/// Where a local cluster lives that says nothing else.
const DEFAULT_NAMESPACE: &str = "default";

/// The resource after the user wrote `wanted`, given what is kept of it so far.
pub(super) fn apply(
    stored: Option<&CacheCluster>,
    mut wanted: CacheCluster,
) -> Result<CacheCluster> {
    let metadata = &mut wanted.metadata;
    metadata.namespace.get_or_insert_with(|| DEFAULT_NAMESPACE.to_owned());
    let Some(stored) = stored else {
        metadata.uid = Some(Uuid::new_v4().to_string());
        metadata.generation = Some(1);
        return Ok(wanted);
    };
    let named = |cluster: &CacheCluster| cluster.metadata.name.clone().unwrap_or_default();
    if named(stored) != named(&wanted) {
        bail!(
            "`metadata.name` is `{}`, but this state directory belongs to the cluster `{}`: rename it back, or choose another directory with --state-dir",
            named(&wanted),
            named(stored)
        );
    }
    let is_scaled = stored.spec.autoscaling.is_some() && wanted.spec.autoscaling.is_some();
    if is_scaled && stored.spec.nodes != wanted.spec.nodes {
        bail!("{}", message::AUTOSCALING_NODES);
    }
    let generation = stored.metadata.generation.unwrap_or(1);
    let changed = i64::from(stored.spec != wanted.spec);
    wanted.metadata.uid.clone_from(&stored.metadata.uid);
    wanted.metadata.generation = Some(generation + changed);
    Ok(wanted)
}

/// The fields of the spec that differ, as `nodes 3 → 5`.
pub(super) fn difference(old: &CacheCluster, new: &CacheCluster) -> Vec<String> {
    let spec = |cluster: &CacheCluster| serde_json::to_value(&cluster.spec).unwrap_or_default();
    let mut found = Vec::new();
    compare("", &spec(old), &spec(new), &mut found);
    found
}

fn compare(path: &str, old: &Value, new: &Value, found: &mut Vec<String>) {
    if let (Value::Object(old), Value::Object(new)) = (old, new) {
        for (name, value) in new {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            compare(&path, old.get(name).unwrap_or(&Value::Null), value, found);
        }
    } else if old != new {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        found.push(format!("{path} {} → {}", text(old), text(new)));
    }
}

#[cfg(test)]
mod tests {
    use ringcache_api::cluster::parse_yaml;

    use super::*;

    fn cluster(name: &str, spec: &str) -> CacheCluster {
        let text = format!(
            "apiVersion: ringcache.dev/v1alpha1\nkind: CacheCluster\nmetadata: {{name: {name}}}\nspec: {spec}\n"
        );
        parse_yaml(&text).expect("a good spec")
    }

    #[test]
    fn uid_stays_and_generation_counts_changed_specs() {
        let first = apply(None, cluster("web", "{nodes: 3}")).expect("new");
        assert_eq!(first.metadata.generation, Some(1));
        let same = apply(Some(&first), cluster("web", "{nodes: 3}")).expect("the same");
        assert_eq!(same, first);
        let more = apply(Some(&first), cluster("web", "{nodes: 5}")).expect("another spec");
        assert_eq!(more.metadata.generation, Some(2));
        assert_eq!(more.metadata.uid, first.metadata.uid);
    }

    #[test]
    fn another_number_of_nodes_is_refused_while_autoscaling_decides_it() {
        let scaled =
            |nodes| format!("{{nodes: {nodes}, autoscaling: {{maxNodes: 9, cpuPercent: 50}}}}");
        let stored = apply(None, cluster("web", &scaled(3))).expect("it is new");
        let error =
            apply(Some(&stored), cluster("web", &scaled(5))).expect_err("it would do nothing");
        assert!(error.to_string().contains("remove `autoscaling`"), "{error}");
        apply(Some(&stored), cluster("web", "{nodes: 5}")).expect("it is removed");
    }

    #[test]
    fn another_name_is_refused() {
        let first = apply(None, cluster("web", "{}")).expect("new");
        let error = apply(Some(&first), cluster("shop", "{}")).expect_err("renamed").to_string();
        assert!(error.contains("`shop`") && error.contains("`web`"), "{error}");
    }

    #[test]
    fn a_difference_names_the_fields() {
        let old = cluster("web", "{nodes: 3, memory: 64Mi}");
        let new = cluster("web", "{nodes: 5, memory: 1Gi, ttl: {defaultSeconds: 60}}");
        let found = difference(&old, &new);
        assert_eq!(found, ["memory 64Mi → 1Gi", "nodes 3 → 5", "ttl.defaultSeconds 0 → 60"]);
        assert_eq!(difference(&new, &new), [""; 0]);
    }
}
