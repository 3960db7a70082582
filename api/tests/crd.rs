//! The committed definition is what the types say, and it keeps the conventions of Kubernetes.
//! `cargo xtask codegen` has the first test write it.
#![expect(clippy::unwrap_used, reason = "a test's helpers fail like the test itself")]

use std::fs;
use std::path::Path;

use ringcache_api::status::{condition, reason};
use serde_json::Value;

/// The definition, and the chart's copy of it: Helm reads nothing outside of a chart.
const COMMITTED: [&str; 2] = [
    "crds/cacheclusters.ringcache.dev.yaml",
    "charts/ringcache/files/cacheclusters.ringcache.dev.yaml",
];
/// Set to write the committed files instead of looking at them.
const UPDATE: &str = "RINGCACHE_UPDATE";
/// Client-side apply keeps the object in an annotation of at most 256 KiB.
const MAX_BYTES: usize = 200_000;

#[test]
fn the_committed_definition_is_up_to_date() {
    for name in COMMITTED {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
        if std::env::var_os(UPDATE).is_some() {
            fs::write(&file, ringcache_api::crd_yaml()).unwrap();
        }
        let committed = fs::read_to_string(&file).unwrap();
        let is_current = committed == ringcache_api::crd_yaml();
        assert!(is_current, "{name} is out of date: run `cargo xtask codegen`");
    }
}

#[test]
fn the_definition_stays_small_enough_for_client_side_apply() {
    assert!(ringcache_api::crd_yaml().len() < MAX_BYTES);
}

fn schema() -> Value {
    let crd: Value = serde_saphyr::from_str(&ringcache_api::crd_yaml()).unwrap();
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
}

fn each_schema(schema: &Value, path: &str, see: &mut impl FnMut(&str, &Value)) {
    see(path, schema);
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        each_schema(property, &format!("{path}.{name}"), see);
    }
    if let Some(items) = schema.get("items") {
        each_schema(items, &format!("{path}[]"), see);
    }
    if let Some(values) = schema.get("additionalProperties") {
        each_schema(values, &format!("{path}[]"), see);
    }
}

#[test]
fn every_schema_keeps_the_conventions() {
    let mut seen = 0;
    each_schema(&schema(), "", &mut |path, schema| {
        seen += 1;
        assert!(schema.get("nullable").is_none(), "{path} is nullable: null is not absent");
        let format = schema["format"].as_str().unwrap_or_default();
        assert!(!format.starts_with("uint"), "{path} has the unknown format {format}");
        let described = schema["description"].is_string();
        let plain_item = path.ends_with("[]") && schema["type"] == "string";
        assert!(described || path.is_empty() || plain_item, "{path} is not described");
        if schema["type"] == "array" {
            assert!(schema["maxItems"].is_u64(), "{path} is not bounded");
            // Lists of names are sets; tolerations have no key that tells them apart.
            let kind = match schema["items"]["type"].as_str() {
                Some("string") => "set",
                _ if path == ".spec.scheduling.tolerations" => "atomic",
                _ => "map",
            };
            assert_eq!(schema["x-kubernetes-list-type"], kind, "{path} cannot be merged");
        }
        if schema.get("additionalProperties").is_some() {
            assert!(schema["maxProperties"].is_u64(), "{path} is not bounded");
        }
    });
    assert!(seen > 25, "only {seen} schemas found");
}

#[test]
fn every_field_of_the_spec_has_an_explicit_default() {
    each_schema(&schema()["properties"]["spec"], "spec", &mut |path, schema| {
        let absence_says_something = [
            "spec.autoscaling",
            "spec.autoscaling.cpuPercent",
            "spec.autoscaling.hitRatioPercent",
            "spec.autoscaling.maxNodes",
            "spec.autoscaling.memoryPercent",
            "spec.image",
            "spec.pod.affinity",
            "spec.pod.dnsConfig",
            "spec.pod.dnsPolicy",
            "spec.pod.runtimeClassName",
            "spec.pod.schedulerName",
            "spec.pod.serviceAccountName",
            "spec.resources.cpuLimit",
            "spec.scheduling.priorityClassName",
            "spec.scheduling.tolerations[].effect",
            "spec.scheduling.tolerations[].key",
            "spec.scheduling.tolerations[].tolerationSeconds",
            "spec.scheduling.tolerations[].value",
            "spec.service.externalTrafficPolicy",
            "spec.service.loadBalancerClass",
            "spec.service.type",
        ];
        let is_key = path.starts_with("spec.pod.") && path.contains("[].");
        let exempt = path == "spec"
            || path.ends_with("[]")
            || is_key
            || absence_says_something.contains(&path);
        assert_ne!(exempt, schema.get("default").is_some(), "the default of {path}");
    });
}

/// Every string that a rule looks at is bounded: an API server refuses rules whose cost it cannot tell.
#[test]
fn every_string_of_the_spec_is_bounded() {
    each_schema(&schema()["properties"]["spec"], "spec", &mut |path, schema| {
        let text = schema["type"] == "string" || schema["x-kubernetes-int-or-string"] == true;
        let bounded = schema["maxLength"].is_u64() || schema["enum"].is_array();
        assert!(!text || bounded, "{path} is not bounded");
    });
}

#[test]
fn no_field_of_the_status_has_a_default() {
    each_schema(&schema()["properties"]["status"], "status", &mut |path, schema| {
        assert!(schema.get("default").is_none(), "{path} would appear without being reported");
    });
}

#[test]
fn columns_and_scale_point_to_fields_that_exist() {
    let crd: Value = serde_saphyr::from_str(&ringcache_api::crd_yaml()).unwrap();
    let version = &crd["spec"]["versions"][0];
    let columns = version["additionalPrinterColumns"].as_array().unwrap();
    let names: Vec<_> = columns.iter().map(|column| column["name"].as_str().unwrap()).collect();
    let is_wide = |column: &Value| column["priority"] == 1;
    let (short, wide) = names.split_at(names.len() - 5);
    assert_eq!(short, ["Nodes", "Ready", "Status", "Operation", "Memory", "Version", "Age"]);
    assert_eq!(wide, ["Ring", "Epoch", "Image", "Endpoint", "Message"]);
    assert_eq!(columns.iter().filter(|column| is_wide(column)).count(), wide.len());
    assert!(columns.iter().skip(short.len()).all(is_wide), "kubectl shows them in this order");
    let scale = &version["subresources"]["scale"];
    let paths =
        columns.iter().map(|column| &column["jsonPath"]).chain(scale.as_object().unwrap().values());
    for path in paths.map(|path| path.as_str().unwrap()) {
        if path == ".metadata.creationTimestamp" {
            continue;
        }
        let (fields, _) = path.split_once('[').unwrap_or((path, ""));
        let found =
            fields.split('.').skip(1).fold(schema(), |at, name| at["properties"][name].clone());
        assert!(!found.is_null(), "{path} does not exist");
    }
    let ring = columns[7]["jsonPath"].as_str().unwrap();
    assert!(ring.contains(condition::RING_CONVERGED));
}

#[test]
fn types_and_reasons_of_conditions_are_words_that_the_conventions_allow() {
    for word in condition::ALL.iter().chain(&reason::ALL) {
        assert!(word.starts_with(|c: char| c.is_ascii_uppercase()), "{word}");
        assert!(word.chars().all(|c| c.is_ascii_alphanumeric()), "{word}");
    }
}
