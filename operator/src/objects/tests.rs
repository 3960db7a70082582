//! How objects look, and which changes of a spec take a new pod.

use insta::{assert_snapshot, with_settings};
use ringcache_api::CacheCluster;
use ringcache_api::admin::Settings;
use ringcache_operator_core::validate::MAX_SPEC_BYTES;
use serde_json::{Value, json};

use super::fingerprint::fingerprint;
use super::{pdb, pod, ring, services};
use crate::observe::fixture::{self, cluster, template};

mod pod_security;
mod repair;
mod versions;

/// `INSTA_UPDATE=always cargo test -p ringcache-operator` rewrites the files in `tests/golden/`; read their diff.
fn check(name: &str, object: impl serde::Serialize) {
    // Through a value: its keys are sorted.
    let text = serde_json::to_string_pretty(&json!(object)).unwrap();
    with_settings!({
        snapshot_path => "tests/golden",
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, {
        assert_snapshot!(name, text);
    });
}

/// A cluster that uses everything.
fn full() -> CacheCluster {
    let mut cluster = cluster(
        r#"
  nodes: 5
  memory: 1Gi
  ttl: {defaultSeconds: 300, jitterPercent: 20}
  image: registry.example/cache:2
  imagePullSecretNames: [registry]
  resources: {cpuRequest: 500m, cpuLimit: "2"}
  scheduling:
    nodeSelector: {disk: none}
    tolerations:
    - {key: dedicated, value: cache, effect: NoSchedule}
    - {operator: Exists, effect: NoExecute, tolerationSeconds: 60}
    zoneSpread: Required
    hostSpread: Disabled
    priorityClassName: high
  service:
    type: LoadBalancer
    annotations: {example.com/scheme: internal}
    loadBalancerClass: example.com/internal
    externalTrafficPolicy: Local
  inherit: {labels: [team, absent], annotations: [example.com/owner]}
"#,
    );
    let labels = [("team", "checkout"), ("other", "not listed")];
    cluster.metadata.labels =
        Some(labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
    cluster.metadata.annotations =
        Some([("example.com/owner".to_owned(), "ann@example.com".to_owned())].into());
    cluster
}

fn full_pod() -> Value {
    let settings = Settings { ttl_default_seconds: 300, ttl_jitter_percent: 20 };
    let mut template = template("registry.example/cache:2");
    template.memory_bytes = 1 << 30;
    template.pod = fingerprint(&full().spec);
    json!(pod::pod(&full(), "web-3", &template, settings, 2))
}

fn default_pod() -> Value {
    json!(rendered(&cluster("{}")))
}

fn rendered(cluster: &CacheCluster) -> k8s_openapi::api::core::v1::Pod {
    pod::pod(cluster, "web-0", &template("cache:1"), Settings::default(), 0)
}

/// A spec with every addition to the pods that there is.
const ADDITIONS: &str = r#"
  pod:
    affinity:
      podAffinity:
        preferredDuringSchedulingIgnoredDuringExecution:
        - weight: 1
          podAffinityTerm: {topologyKey: zone, labelSelector: {matchLabels: {app: shop}}}
    schedulerName: binpacker
    runtimeClassName: gvisor
    serviceAccountName: caches
    dnsPolicy: None
    dnsConfig: {nameservers: [10.0.0.10], options: [{name: ndots, value: "2"}]}
    hostAliases: [{ip: 10.0.0.1, hostnames: [registry.example]}]
    env: [{name: RUST_BACKTRACE, value: "1"}]
    volumes: [{name: ca, configMap: {name: ca}}]
    volumeMounts: [{name: ca, mountPath: /etc/ssl/ca, readOnly: true}]
    initContainers: [{name: proxy, image: proxy:1, restartPolicy: Always}]
    containers: [{name: exporter, image: exporter:1, ports: [{containerPort: 9121}]}]
"#;

#[test]
fn a_pod_of_the_default_spec() {
    check("pod_default", default_pod());
}

#[test]
fn a_pod_of_a_spec_that_says_everything() {
    check("pod_full", full_pod());
}

#[test]
fn a_pod_with_additions() {
    let cluster = cluster(ADDITIONS);
    check("pod_additions", rendered(&cluster));
}

#[test]
fn additions_change_nothing_of_what_the_operator_decides() {
    let (plain, mut added) = (default_pod(), json!(rendered(&cluster(ADDITIONS))));
    let spec = added["spec"].as_object_mut().unwrap();
    let more = [
        "affinity",
        "schedulerName",
        "runtimeClassName",
        "serviceAccountName",
        "dnsPolicy",
        "dnsConfig",
    ];
    for field in more.into_iter().chain(["hostAliases", "volumes", "initContainers"]) {
        assert!(spec.remove(field).is_some(), "{field} is not rendered");
    }
    let containers = spec["containers"].as_array_mut().unwrap();
    assert_eq!(containers.len(), 2);
    containers.truncate(1);
    assert!(containers[0].as_object_mut().unwrap().remove("volumeMounts").is_some());
    let env = containers[0]["env"].as_array_mut().unwrap();
    assert_eq!(env.pop().unwrap(), json!({"name": "RUST_BACKTRACE", "value": "1"}));
    added["metadata"]["annotations"] = plain["metadata"]["annotations"].clone();
    assert_eq!(added, plain);
}

#[test]
fn what_an_empty_object_says_in_an_addition_is_part_of_the_fingerprint() {
    // An empty selector selects everything, none selects nothing.
    let term = |selector: &str| {
        let affinity = format!("[{{topologyKey: zone{selector}}}]");
        fingerprint(&cluster(&format!(
            "{{pod: {{affinity: {{podAntiAffinity: {{requiredDuringSchedulingIgnoredDuringExecution: {affinity}}}}}}}}}"
        )).spec)
    };
    assert_ne!(term(", labelSelector: {}"), term(""));
}

#[test]
fn the_services() {
    check("services", [services::client(&cluster("{}")), services::nodes(&cluster("{}"))]);
    check("service_full", services::client(&full()));
    let endpoints = services::endpoints(&cluster("{}"));
    assert_eq!(endpoints.client, "web.shop.svc:6379");
    assert_eq!(endpoints.http, "web.shop.svc:8080");
}

#[test]
fn no_object_asks_for_the_right_to_block_the_deletion_of_its_owner() {
    // Where the API server enforces that right (OpenShift does), whoever lacks it may not create the object at all.
    let web = cluster("{}");
    let objects = [
        default_pod(),
        json!(services::client(&web)),
        json!(services::nodes(&web)),
        json!(pdb::pdb(&web, 3, false)),
        json!(ring::ring(&web, &fixture::document(7, &["web-0"]))),
    ];
    for object in objects {
        let owner = &object["metadata"]["ownerReferences"][0];
        assert_eq!(owner["controller"], true, "{object}");
        assert!(owner["blockOwnerDeletion"].is_null(), "{object}");
    }
}

#[test]
fn services_take_every_family_of_addresses_that_there_is() {
    for service in [services::client(&cluster("{}")), services::nodes(&cluster("{}"))] {
        let spec = service.spec.unwrap();
        assert_eq!(spec.ip_family_policy.as_deref(), Some("PreferDualStack"));
    }
}

#[test]
fn a_node_that_is_busy_for_some_seconds_stays_ready() {
    // One that is not ready may be evicted with everything in it.
    let probe = default_pod()["spec"]["containers"][0]["readinessProbe"].clone();
    assert_eq!(probe["timeoutSeconds"], 5, "{probe}");
}

#[test]
fn the_disruption_budget() {
    check("pdb", pdb::pdb(&cluster("{nodes: 3}"), 4, false));
}

#[test]
fn the_grace_of_a_pod_grows_with_its_memory_and_the_node_ends_before_it_is_killed() {
    for (memory_bytes, seconds) in
        [(64 << 20, 62), (256 << 20, 66), (64 << 30, 1435), (1 << 40, 22051)]
    {
        let template = ringcache_operator_core::Template { memory_bytes, ..template("x") };
        let pod = json!(pod::pod(&cluster("{}"), "web-0", &template, Settings::default(), 0));
        assert_eq!(pod["spec"]["terminationGracePeriodSeconds"], seconds);
        let env = pod["spec"]["containers"][0]["env"].as_array().unwrap();
        let grace = env.iter().find(|it| it["name"] == "RINGCACHE_GRACE_SECONDS").unwrap();
        assert_eq!(grace["value"], (seconds - 5).to_string());
    }
}

#[test]
fn the_ring_is_read_back_as_it_was_written() {
    let document = fixture::document(7, &["web-0"]);
    let ring = ring::ring(&cluster("{}"), &document);
    assert_eq!(ring.metadata.name.as_deref(), Some("web-ring"));
    assert_eq!(ring::document(&ring), Some(document));
}

#[test]
fn a_ring_that_cannot_be_read_is_no_ring() {
    let mut ring = ring::ring(&cluster("{}"), &fixture::document(7, &["web-0"]));
    for text in ring.data.iter_mut().flat_map(|data| data.values_mut()) {
        *text = text.replace("\"epoch\": 7", "\"epoch\": 8");
    }
    assert_eq!(ring::document(&ring), None, "the checksum does not fit");
    ring.data = None;
    assert_eq!(ring::document(&ring), None);
}

#[test]
fn a_ring_without_owner_is_ours_by_its_content() {
    let (web, document) = (cluster("{}"), fixture::document(7, &["web-0"]));
    let mut ring = ring::ring(&web, &document);
    assert!(ring::is_ours(&web, &ring));
    ring.metadata.owner_references = None;
    assert!(ring::is_ours(&web, &ring));
    let mut successor = web.clone();
    successor.metadata.uid = Some("another".to_owned());
    assert!(!ring::is_ours(&successor, &ring), "left by an earlier cluster of the same name");
}

#[test]
fn the_fingerprint_of_the_default_spec_never_changes() {
    // If this fails, an upgrade of the operator would restart the nodes of every cluster.
    assert_eq!(fingerprint(&cluster("{}").spec), "e3b0c44298fc");
    assert_eq!(fingerprint(&full().spec), "22adcce95f36");
}

#[test]
fn only_what_takes_a_new_pod_changes_the_fingerprint() {
    let default = fingerprint(&cluster("{}").spec);
    for (field, takes_a_new_pod) in [
        ("nodes: 5", false),
        ("memory: 1Gi", false),
        ("ttl: {defaultSeconds: 5}", false),
        ("paused: true", false),
        ("image: x", false),
        ("inherit: {labels: [a]}", false),
        ("disruption: {evictions: Blocked}", false),
        ("service: {type: LoadBalancer, annotations: {a: b}}", false),
        ("resources: {cpuRequest: 100m}", false),
        ("scheduling: {zoneSpread: Preferred, tolerations: []}", false),
        ("pod: {env: [], containers: []}", false),
        ("pod: {schedulerName: a}", true),
        ("pod: {runtimeClassName: a}", true),
        ("pod: {serviceAccountName: a}", true),
        ("pod: {dnsPolicy: Default}", true),
        ("pod: {dnsConfig: {searches: [a]}}", true),
        ("pod: {affinity: {}}", true),
        ("pod: {hostAliases: [{ip: 10.0.0.1, hostnames: [a]}]}", true),
        ("pod: {env: [{name: A}]}", true),
        ("pod: {volumes: [{name: a}]}", true),
        ("pod: {volumeMounts: [{name: a, mountPath: /a}]}", true),
        ("pod: {initContainers: [{name: a}]}", true),
        ("pod: {containers: [{name: a}]}", true),
        ("imagePullSecretNames: [a]", true),
        ("resources: {cpuRequest: 200m}", true),
        ("resources: {cpuLimit: 200m}", true),
        ("scheduling: {nodeSelector: {a: b}}", true),
        ("scheduling: {tolerations: [{key: a}]}", true),
        ("scheduling: {hostSpread: Required}", true),
        ("scheduling: {priorityClassName: a}", true),
    ] {
        let other = fingerprint(&cluster(&format!("{{{field}}}")).spec);
        assert_eq!(other != default, takes_a_new_pod, "{field}");
    }
}

#[test]
fn the_memory_of_a_pod_is_the_limit_and_what_the_kernel_adds() {
    for (memory, expected) in [("64Mi", "103Mi"), ("256Mi", "314Mi"), ("1Ti", "1153466Mi")] {
        let bytes = ringcache_operator_core::quantity::bytes(
            &k8s_openapi::apimachinery::pkg::api::resource::Quantity(memory.to_owned()),
        );
        let template =
            ringcache_operator_core::Template { memory_bytes: bytes.unwrap(), ..template("x") };
        let pod = json!(pod::pod(&cluster("{}"), "web-0", &template, Settings::default(), 0));
        let resources = &pod["spec"]["containers"][0]["resources"];
        assert_eq!(resources["limits"]["memory"], expected);
        assert_eq!(resources["requests"]["memory"], expected);
    }
}

/// Kubernetes takes 256 KiB of annotations of an object, and the record of the spec is one.
#[test]
fn the_largest_spec_that_is_valid_can_be_recorded() {
    let mut cluster = cluster("{nodes: 3}");
    let with = |cluster: &mut CacheCluster, bytes: usize| {
        let room = MAX_SPEC_BYTES - json!(cluster.spec).to_string().len();
        // Of characters that JSON writes as two.
        let value = |n: usize| "\"".repeat((room + bytes) / 64 - 12 + n);
        cluster.spec.service.annotations =
            (0..32).map(|n| (format!("example.com/{n:02}"), value(0))).collect();
        let left = (MAX_SPEC_BYTES + bytes) - json!(cluster.spec).to_string().len();
        let last = value(0) + &"x".repeat(left);
        cluster.spec.service.annotations.insert("example.com/31".to_owned(), last);
    };
    with(&mut cluster, 1);
    let problems = ringcache_operator_core::validate(&cluster).unwrap_err();
    assert_eq!(problems[0].field, "spec", "{problems:?}");
    cluster.spec.service.annotations.clear();
    with(&mut cluster, 0);
    ringcache_operator_core::validate(&cluster).unwrap();
    let document = fixture::document(1, &["web-0"]);
    let annotations = ring::ring(&cluster, &document).metadata.annotations.unwrap();
    let bytes: usize = annotations.iter().map(|(key, value)| key.len() + value.len()).sum();
    assert!(bytes <= 256 * 1024, "{bytes} bytes: the ring can never be written");
}
