//! The operator judges specs as the schema does, in the same words.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use ringcache_api::CacheCluster;
use ringcache_api::admin::Settings;
use ringcache_api::cluster::parse_yaml;
use ringcache_operator_core::{Intent, validate};
use serde_json::{Value, json};

use crate::world::spec;

/// The table that the schema's rules are tested with.
fn table() -> Value {
    serde_saphyr::from_str(include_str!("../../../../api/tests/specs.yaml")).unwrap()
}

fn cluster(name: &Value, spec: &Value) -> CacheCluster {
    let name = name.as_str().unwrap_or("simple-web");
    let spec = if spec.is_null() { &json!({}) } else { spec };
    let value = json!({
        "apiVersion": "ringcache.dev/v1alpha1", "kind": "CacheCluster",
        "metadata": {"name": name}, "spec": spec,
    });
    serde_json::from_value(value).unwrap()
}

#[test]
fn good_specs_of_the_shared_table_are_valid() {
    let table = table();
    let specs = table["good"].as_array().unwrap().iter().map(|spec| cluster(&Value::Null, spec));
    let names =
        table["goodNames"].as_array().unwrap().iter().map(|name| cluster(name, &Value::Null));
    for cluster in specs.chain(names) {
        validate(&cluster).unwrap_or_else(|problems| panic!("{:?}: {problems:?}", cluster.spec));
    }
}

#[test]
fn bad_specs_of_the_shared_table_are_refused_with_all_their_problems() {
    let table = table();
    let bad = table["bad"].as_array().unwrap().iter();
    // What a spec may not become only the API server can judge: it knows what the spec was.
    for bad in bad.filter(|bad| bad["old"].is_null()) {
        let problems = validate(&cluster(&bad["name"], &bad["spec"])).unwrap_err();
        let found: BTreeSet<_> = problems.iter().map(|p| (p.field, p.message.as_str())).collect();
        let expected = bad["problems"].as_array().unwrap().iter();
        let text = |problem: &'_ Value, key: &str| problem[key].as_str().unwrap().to_owned();
        let expected: BTreeSet<_> =
            expected.map(|p| (text(p, "field"), text(p, "message"))).collect();
        let expected = expected.iter().map(|(field, message)| (field.as_str(), message.as_str()));
        assert_eq!(found, expected.collect(), "{bad}");
    }
}

#[test]
fn additions_that_would_not_fit_beside_the_ring_are_refused() {
    let with = |bytes: usize| {
        let spec = json!({"pod": {"env": [{"name": "A", "value": "x".repeat(bytes)}]}});
        cluster(&Value::Null, &spec)
    };
    let room = 32_768 - json!(with(0).spec.pod).to_string().len();
    assert!(validate(&with(room)).is_ok());
    let problems = validate(&with(room + 1)).unwrap_err();
    let texts: Vec<&str> = problems.iter().map(|problem| problem.message.as_str()).collect();
    assert_eq!(texts, ["`pod` must have at most 32768 bytes as JSON"]);
}

#[test]
fn every_field_reaches_the_intent() {
    let more = "  memory: 1Gi\n  ttl: {defaultSeconds: 300, jitterPercent: 20}\n  paused: true";
    let mut cluster = spec(5, more);
    let expected = Intent {
        nodes: 5,
        memory_bytes: 1 << 30,
        settings: Settings { ttl_default_seconds: 300, ttl_jitter_percent: 20 },
        paused: true,
        deleting: false,
    };
    assert_eq!(validate(&cluster), Ok(expected.clone()));
    cluster.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
    assert_eq!(validate(&cluster), Ok(Intent { deleting: true, ..expected }));
}

#[test]
fn every_example_of_a_cluster_is_valid() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        // What stands beside a cluster, such as a network policy, is the business of the schemas of Kubernetes.
        if !text.lines().any(|line| line == "kind: CacheCluster") {
            continue;
        }
        let cluster = parse_yaml(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        validate(&cluster).unwrap_or_else(|e| panic!("{}: {e:?}", path.display()));
        seen += 1;
    }
    assert!(seen >= 4, "{seen} examples in {folder}");
}

#[test]
fn every_spec_on_the_page_about_kubernetes_is_valid() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/kubernetes.md");
    let page = std::fs::read_to_string(page).unwrap();
    let blocks = page.split("```yaml\n").skip(1).filter_map(|block| block.split("```").next());
    let specs: Vec<&str> = blocks.filter(|block| block.starts_with("spec:")).collect();
    assert!(specs.len() >= 2, "{} specs", specs.len());
    for block in specs {
        let head = "apiVersion: ringcache.dev/v1alpha1\nkind: CacheCluster\nmetadata: {name: simple-web}\n";
        let cluster =
            parse_yaml(&format!("{head}{block}")).unwrap_or_else(|e| panic!("{block}: {e}"));
        validate(&cluster).unwrap_or_else(|e| panic!("{block}: {e:?}"));
    }
}
