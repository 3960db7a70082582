//! Every rule of the schema, with the message that a user sees, off-cluster.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test's helpers fail like the test itself"
)]

use std::collections::BTreeSet;

use kube::CustomResourceExt;
use kube::core::cel::{ValidationErrors, validate_cel, validate_cel_update};
use ringcache_api::CacheCluster;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Table {
    good: Vec<Value>,
    good_names: Vec<String>,
    bad: Vec<Bad>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bad {
    name: Option<String>,
    /// The spec that this one takes the place of, where that matters.
    old: Option<Value>,
    #[serde(default = "empty")]
    spec: Value,
    problems: Vec<Problem>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Problem {
    by: By,
    field: String,
    message: String,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
enum By {
    Schema,
    Cel,
    /// What no rule of a schema can say: only the operator does.
    Operator,
}

fn empty() -> Value {
    json!({})
}

fn table() -> Table {
    serde_saphyr::from_str(include_str!("specs.yaml")).unwrap()
}

fn cluster(name: &str, spec: &Value) -> CacheCluster {
    let value = json!({
        "apiVersion": "ringcache.dev/v1alpha1", "kind": "CacheCluster",
        "metadata": {"name": name}, "spec": spec,
    });
    serde_json::from_value(value).unwrap_or_else(|e| panic!("{name} {spec}: {e}"))
}

/// The messages of the CEL rules that `cluster` breaks, where it takes the place of `old`.
fn cel(cluster: &CacheCluster, old: Option<&CacheCluster>) -> BTreeSet<String> {
    let judged = match old {
        Some(old) => validate_cel_update(cluster, old),
        None => validate_cel(cluster),
    };
    let errors = judged.err().map(ValidationErrors::into_vec).unwrap_or_default();
    errors.into_iter().map(|error| error.message).collect()
}

/// Fields whose bounds (of numbers, lengths and counts) the value breaks; what is in a list or a map counts as the list or map.
fn out_of_bounds(schema: &Value, value: &Value, path: &str, found: &mut BTreeSet<String>) {
    let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
    let number = value.as_f64();
    let length = value.as_str().map(|text| text.len() as f64);
    let items = value.as_array().map(|items| items.len() as f64);
    let entries = value.as_object().map(|entries| entries.len() as f64);
    let below = matches!((number, bound("minimum")), (Some(n), Some(min)) if n < min);
    let above = matches!((number, bound("maximum")), (Some(n), Some(max)) if n > max);
    let exceeds =
        |n: Option<f64>, name| matches!((n, bound(name)), (Some(n), Some(max)) if n > max);
    let long = exceeds(length, "maxLength");
    let many = exceeds(items, "maxItems") || exceeds(entries, "maxProperties");
    let twice = match schema["x-kubernetes-list-type"].as_str() {
        Some("set") => has_doubles(value.as_array().into_iter().flatten()),
        Some("map") => {
            let key = schema["x-kubernetes-list-map-keys"][0].as_str().unwrap();
            has_doubles(value.as_array().into_iter().flatten().map(|item| &item[key]))
        }
        _ => false,
    };
    if below || above || long || many || twice {
        found.insert(path.to_owned());
    }
    for item in value.as_array().into_iter().flatten() {
        let mut inner = BTreeSet::new();
        out_of_bounds(&schema["items"], item, path, &mut inner);
        found.extend((!inner.is_empty()).then(|| path.to_owned()));
    }
    for (name, value) in value.as_object().into_iter().flatten() {
        match schema.get("additionalProperties") {
            Some(schema) => out_of_bounds(schema, value, path, found),
            None => {
                out_of_bounds(&schema["properties"][name], value, &format!("{path}.{name}"), found);
            }
        }
    }
}

fn has_doubles<'a>(items: impl Iterator<Item = &'a Value>) -> bool {
    let items: Vec<String> = items.map(Value::to_string).collect();
    items.iter().collect::<BTreeSet<_>>().len() < items.len()
}

fn schema_fields(cluster: &CacheCluster) -> BTreeSet<String> {
    let crd = serde_json::to_value(CacheCluster::crd()).unwrap();
    let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    let mut found = BTreeSet::new();
    let spec = serde_json::to_value(&cluster.spec).unwrap();
    out_of_bounds(schema, &spec, "spec", &mut found);
    found
}

#[test]
fn good_specs_pass_schema_and_rules() {
    let Table { good, good_names, bad: _ } = table();
    let specs = good.iter().map(|spec| cluster("simple-web", spec));
    let names = good_names.iter().map(|name| cluster(name, &empty()));
    for cluster in specs.chain(names) {
        assert_eq!(cel(&cluster, None), BTreeSet::new(), "{:?}", cluster.spec);
        assert_eq!(schema_fields(&cluster), BTreeSet::new(), "{:?}", cluster.spec);
    }
}

#[test]
fn bad_specs_are_refused_by_the_rule_and_with_the_message_of_the_table() {
    for Bad { name, old, spec, problems } in table().bad {
        let name = name.as_deref().unwrap_or("simple-web");
        let old = old.map(|old| cluster(name, &old));
        let cluster = cluster(name, &spec);
        let by_cel = problems.iter().filter(|p| p.by == By::Cel).map(|p| p.message.clone());
        assert_eq!(cel(&cluster, old.as_ref()), by_cel.collect(), "{name:?} {spec}");
        let by_schema = problems.iter().filter(|p| p.by == By::Schema).map(|p| p.field.clone());
        assert_eq!(schema_fields(&cluster), by_schema.collect(), "{name:?} {spec}");
    }
}

#[test]
fn a_service_may_change_in_every_other_way() {
    let load_balancer = json!({"type": "LoadBalancer", "loadBalancerClass": "example.com/a"});
    let allowed = [
        json!({"type": "LoadBalancer", "loadBalancerClass": "example.com/a", "externalTrafficPolicy": "Local"}),
        json!({"type": "NodePort", "annotations": {"a": "b"}}),
        json!({}),
    ];
    for service in allowed {
        let old = cluster("simple-web", &json!({"service": load_balancer}));
        let new = cluster("simple-web", &json!({"service": service}));
        assert_eq!(cel(&new, Some(&old)), BTreeSet::new(), "{service}");
        assert_eq!(cel(&old, Some(&new)), BTreeSet::new(), "{service}, and back");
    }
}

#[test]
fn every_rule_of_the_schema_is_in_the_table() {
    let used: BTreeSet<String> =
        table().bad.into_iter().flat_map(|bad| bad.problems).map(|p| p.message).collect();
    let crd = serde_json::to_value(CacheCluster::crd()).unwrap();
    let mut rules = 0;
    visit(&crd, &mut |value| {
        for rule in value["x-kubernetes-validations"].as_array().into_iter().flatten() {
            rules += 1;
            let message = rule["message"].as_str().expect("every rule has a message");
            assert!(used.contains(message), "no bad spec shows: {message}");
            assert!(message.starts_with('`'), "names no field: {message}");
        }
    });
    assert!(rules >= 24, "only {rules} rules found");
}

fn visit(value: &Value, see: &mut impl FnMut(&Value)) {
    see(value);
    match value {
        Value::Object(map) => map.values().for_each(|value| visit(value, see)),
        Value::Array(items) => items.iter().for_each(|value| visit(value, see)),
        _ => {}
    }
}
