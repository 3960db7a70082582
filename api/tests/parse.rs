//! A `CacheCluster` is read strictly: what the reader does not understand it refuses, by name.
#![expect(clippy::unwrap_used, reason = "a test's helpers fail like the test itself")]

use ringcache_api::cluster::parse_yaml;
use serde_json::json;

fn check(text: &str, expected: &str) {
    assert_eq!(parse_yaml(text).unwrap_err().to_string(), expected, "{text}");
}

fn resource(rest: &str) -> String {
    format!(
        "apiVersion: ringcache.dev/v1alpha1\nkind: CacheCluster\nmetadata: {{name: simple-web}}\n{rest}\n"
    )
}

#[test]
fn the_shortest_resource_gets_all_defaults() {
    let cluster = parse_yaml(&resource("spec: {}")).unwrap();
    assert_eq!(cluster.spec, ringcache_api::CacheClusterSpec::default());
    assert_eq!(cluster.metadata.name.as_deref(), Some("simple-web"));
}

#[test]
fn every_field_is_read() {
    let text = "spec: {nodes: 5, memory: 1Gi, ttl: {defaultSeconds: 300, jitterPercent: 20}, paused: true}";
    let spec = parse_yaml(&resource(text)).unwrap().spec;
    assert_eq!((spec.nodes, spec.memory.0.as_str(), spec.paused), (5, "1Gi", true));
    assert_eq!((spec.ttl.default_seconds, spec.ttl.jitter_percent), (300, 20));
}

#[test]
fn a_typo_is_refused_with_its_path() {
    check(
        &resource("spec: {node: 5}"),
        "`spec.node` is unknown; known are `autoscaling`, `disruption`, `image`, `imagePullSecretNames`, `inherit`, `memory`, `nodes`, `paused`, `pod`, \
         `resources`, `scheduling`, `service`, `ttl`",
    );
    check(
        &resource("spec: {ttl: {seconds: 5}}"),
        "`spec.ttl.seconds` is unknown; known are `defaultSeconds`, `jitterPercent`",
    );
    check(&resource("spec: {}\nspecs: {}"), "`specs` is unknown; known are `spec`, `status`");
}

#[test]
fn what_is_kubernetes_own_is_read_as_it_stands() {
    let text = "spec: {pod: {affinity: {podAffinity: {}}, env: [{name: A, value: b}]}}";
    let pod = parse_yaml(&resource(text)).unwrap().spec.pod;
    assert_eq!(pod.affinity.unwrap(), json!({"podAffinity": {}}));
    assert_eq!(pod.env, [json!({"name": "A", "value": "b"})]);
    check(&resource("spec: {pod: {env: [{value: b}]}}"), "`spec.pod.env[].name` is missing");
    check(
        &resource("spec: {pod: {hostNetwork: true}}"),
        "`spec.pod.hostNetwork` is unknown; known are `affinity`, `containers`, `dnsConfig`, `dnsPolicy`, `env`, `hostAliases`, \
         `initContainers`, `runtimeClassName`, `schedulerName`, `serviceAccountName`, `volumeMounts`, `volumes`",
    );
}

#[test]
fn another_type_is_refused_with_its_path() {
    check(
        &resource("spec: {nodes: three}"),
        "`spec.nodes` must be a whole number, but is \"three\"",
    );
    check(&resource("spec: {nodes: 2.5}"), "`spec.nodes` must be a whole number, but is 2.5");
    check(&resource("spec: {nodes: null}"), "`spec.nodes` must be a whole number, but is null");
    check(
        &resource("spec: {memory: [1]}"),
        "`spec.memory` must be text or a whole number, but is [1]",
    );
    check(&resource("spec: {paused: 1}"), "`spec.paused` must be true or false, but is 1");
    check(&resource("spec: {ttl: 300}"), "`spec.ttl` must be an object, but is 300");
    check(&resource("spec: [3]"), "`spec` must be an object, but is [3]");
}

#[test]
fn lists_and_maps_are_read_as_strictly() {
    let text = "spec: {scheduling: {nodeSelector: {disk: ssd}, tolerations: [{key: a}, {operator: Exists}]}}";
    let scheduling = parse_yaml(&resource(text)).unwrap().spec.scheduling;
    assert_eq!(scheduling.node_selector["disk"], "ssd");
    assert_eq!(scheduling.tolerations.len(), 2);
    check(
        &resource("spec: {scheduling: {nodeSelector: {fast: true}}}"),
        "`spec.scheduling.nodeSelector.fast` must be text, but is true",
    );
    check(
        &resource("spec: {scheduling: {tolerations: [{operator: Exists}, {efect: NoSchedule}]}}"),
        "`spec.scheduling.tolerations[].efect` is unknown; \
         known are `effect`, `key`, `operator`, `tolerationSeconds`, `value`",
    );
    check(
        &resource("spec: {inherit: {labels: [5]}}"),
        "`spec.inherit.labels[]` must be text, but is 5",
    );
}

#[test]
fn all_problems_are_said_at_once() {
    check(
        &resource("spec: {node: 5, nodes: x}"),
        "`spec.node` is unknown; known are `autoscaling`, `disruption`, `image`, `imagePullSecretNames`, `inherit`, `memory`, `nodes`, `paused`, `pod`, \
         `resources`, `scheduling`, `service`, `ttl`; \
         `spec.nodes` must be a whole number, but is \"x\"",
    );
}

#[test]
fn another_resource_is_refused() {
    let other = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\nspec: {}";
    check(other, "`apiVersion` must be `ringcache.dev/v1alpha1`, but is \"v1\"");
    let kind = "apiVersion: ringcache.dev/v1alpha1\nkind: Cache\nmetadata: {name: a}\nspec: {}";
    check(kind, "`kind` must be `CacheCluster`, but is \"Cache\"");
    check("just text", "`apiVersion` must be `ringcache.dev/v1alpha1`, but is null");
}

#[test]
fn what_every_resource_needs_must_be_there() {
    let head = "apiVersion: ringcache.dev/v1alpha1\nkind: CacheCluster\n";
    check(&format!("{head}spec: {{}}"), "`metadata.name` is missing: give the cluster a name");
    check(&format!("{head}metadata: {{name: a}}"), "`spec` is missing");
}

#[test]
fn what_is_not_yaml_is_refused() {
    let error = parse_yaml("spec: {nodes: 3").unwrap_err().to_string();
    assert!(error.starts_with("not valid YAML: "), "{error}");
    assert!(parse_yaml("").is_err());
}

#[test]
fn a_number_that_no_node_count_can_be_is_refused() {
    check(
        &resource("spec: {nodes: 99999999999}"),
        "not a CacheCluster: invalid value: integer `99999999999`, expected i32",
    );
}
