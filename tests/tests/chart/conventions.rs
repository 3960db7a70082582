//! Values by the names that charts of operators share: each has its effect, and no other.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::render::{NAMESPACE, objects, of_kind, only, operator, refused, set};

fn deployment(values: &[&str]) -> Result<Value> {
    Ok(only(&set(values)?, "Deployment").clone())
}

#[test]
fn a_value_of_the_deployment_or_its_pods_is_found_where_it_belongs() -> Result<()> {
    let cases: [(&[&str], &str, Value); 12] = [
        (&["replicaCount=5"], "/spec/replicas", json!(5)),
        (&["deploymentAnnotations.a=b"], "/metadata/annotations/a", json!("b")),
        (&["strategy.type=Recreate"], "/spec/strategy/type", json!("Recreate")),
        (&["podLabels.a=b"], "/spec/template/metadata/labels/a", json!("b")),
        (&["podAnnotations.a=b"], "/spec/template/metadata/annotations/a", json!("b")),
        (&["commonLabels.a=b"], "/spec/template/metadata/labels/a", json!("b")),
        (&["commonLabels.a=b", "podLabels.a=c"], "/spec/template/metadata/labels/a", json!("c")),
        (&["dnsPolicy=Default"], "/spec/template/spec/dnsPolicy", json!("Default")),
        (&["hostNetwork=true"], "/spec/template/spec/hostNetwork", json!(true)),
        (&["hostNetwork=true"], "/spec/template/spec/dnsPolicy", json!("ClusterFirstWithHostNet")),
        (
            &["hostNetwork=true", "dnsPolicy=Default"],
            "/spec/template/spec/dnsPolicy",
            json!("Default"),
        ),
        (
            &["containerPort=9000"],
            "/spec/template/spec/containers/0/ports/0/containerPort",
            json!(9000),
        ),
    ];
    let default = deployment(&[])?;
    for (values, path, expected) in cases {
        let found = deployment(values)?;
        ensure!(found.pointer(path) == Some(&expected), "{values:?}: {:?}", found.pointer(path));
        ensure!(default.pointer(path) != Some(&expected), "{path} is so by default");
    }
    Ok(())
}

#[test]
fn what_the_operator_is_told_follows_the_values() -> Result<()> {
    for (values, flag) in [
        (&["workers=16"][..], "--workers=16"),
        // Every address of either family.
        (&["containerPort=9000"], "--listen=[::]:9000"),
        (&[], "--listen=[::]:8080"),
        // What the operator would do by itself.
        (&[], "--log=info,kube_client=off,kube_runtime=off"),
    ] {
        let objects = set(values)?;
        let arguments = operator(&objects)["args"].as_array().context("args")?;
        ensure!(arguments.contains(&json!(flag)), "{arguments:?}");
    }
    Ok(())
}

#[test]
fn further_volumes_are_mounted() -> Result<()> {
    let objects = set(&[
        "extraVolumes[0].name=authority",
        "extraVolumes[0].configMap.name=authority",
        "extraVolumeMounts[0].name=authority",
        "extraVolumeMounts[0].mountPath=/etc/ssl/certs",
    ])?;
    let pod = &only(&objects, "Deployment")["spec"]["template"]["spec"];
    let volume = json!([{"name": "authority", "configMap": {"name": "authority"}}]);
    ensure!(pod["volumes"] == volume, "{}", pod["volumes"]);
    let mount = json!([{"name": "authority", "mountPath": "/etc/ssl/certs"}]);
    ensure!(operator(&objects)["volumeMounts"] == mount, "{}", operator(&objects));
    Ok(())
}

#[test]
fn common_labels_are_on_every_object_and_in_no_selector() -> Result<()> {
    let all = [
        "commonLabels.team=platform",
        "metrics.serviceMonitor.enabled=true",
        "metrics.podMonitor.enabled=true",
        "metrics.dashboards.enabled=true",
        "metrics.prometheusRule.enabled=true",
        "networkPolicy.enabled=true",
        "cacheNetworkPolicy.enabled=true",
        "cacheNetworkPolicy.namespaces={shop}",
    ];
    let objects = set(&all)?;
    ensure!(objects.len() > 12, "{}", objects.len());
    for object in objects {
        ensure!(object["metadata"]["labels"]["team"] == "platform", "{}", object["metadata"]);
        let spec = &object["spec"];
        for selector in ["selector", "podSelector"] {
            ensure!(!spec[selector].to_string().contains("platform"), "{spec}");
        }
    }
    Ok(())
}

/// The values of a monitor, and what they make of its only endpoint.
const SCRAPING: [(&str, &str, &str); 5] = [
    ("interval=15s", "interval", "15s"),
    ("scrapeTimeout=5s", "scrapeTimeout", "5s"),
    ("honorLabels=true", "honorLabels", "true"),
    ("relabelings[0].action=keep", "relabelings", r#"[{"action":"keep"}]"#),
    ("metricRelabelings[0].action=drop", "metricRelabelings", r#"[{"action":"drop"}]"#),
];

#[test]
fn monitors_scrape_as_they_are_told() -> Result<()> {
    for (value, kind, endpoints, port) in [
        ("serviceMonitor", "ServiceMonitor", "endpoints", "http"),
        ("podMonitor", "PodMonitor", "podMetricsEndpoints", "admin"),
    ] {
        let monitor = |settings: &[String]| -> Result<Value> {
            let settings = settings.iter().map(|it| format!("metrics.{value}.{it}"));
            let settings: Vec<String> =
                settings.chain([format!("metrics.{value}.enabled=true")]).collect();
            let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
            Ok(only(&set(&settings)?, kind).clone())
        };
        let default = monitor(&[])?;
        ensure!(default["metadata"]["namespace"] == NAMESPACE, "{default}");
        ensure!(default["spec"][endpoints] == json!([{"port": port, "interval": "30s"}]));
        for (setting, field, expected) in SCRAPING {
            let found = &monitor(&[setting.to_owned()])?["spec"][endpoints][0][field];
            let expected = serde_json::from_str(expected).unwrap_or_else(|_| json!(expected));
            ensure!(*found == expected, "{value}.{setting}: {found}");
        }
        let other = monitor(&[
            "namespace=monitoring".to_owned(),
            "labels.release=prometheus".to_owned(),
            "annotations.a=b".to_owned(),
        ])?;
        ensure!(other["metadata"]["namespace"] == "monitoring", "{other}");
        ensure!(other["metadata"]["labels"]["release"] == "prometheus", "{other}");
        ensure!(other["metadata"]["annotations"] == json!({"a": "b"}), "{other}");
        ensure!(other["spec"] == default["spec"], "it finds the same pods: {other}");
    }
    Ok(())
}

#[test]
fn the_pod_monitor_finds_the_nodes_of_the_clusters_that_are_served() -> Result<()> {
    for (values, namespaces) in [
        (&[][..], json!({"any": true})),
        (&["watchNamespaces={shop,search}"], json!({"matchNames": ["shop", "search"]})),
    ] {
        let values = [values, &["metrics.podMonitor.enabled=true"]].concat();
        let objects = set(&values)?;
        let spec = &only(&objects, "PodMonitor")["spec"];
        ensure!(spec["namespaceSelector"] == namespaces, "{spec}");
        for (label, value) in spec["selector"]["matchLabels"].as_object().context("labels")? {
            let pods = include_str!("../../../operator/src/objects/tests/golden/pod_default.snap");
            let written = format!("\"{label}\": {value}");
            ensure!(pods.contains(&written), "no cache pod has {written}");
        }
        ensure!(spec["podTargetLabels"] == json!(["ringcache.dev/cluster"]), "{spec}");
    }
    Ok(())
}

#[test]
fn a_service_for_both_families_is_asked_for_where_there_are_both() -> Result<()> {
    ensure!(only(&set(&[])?, "Service")["spec"]["ipFamilyPolicy"] == "PreferDualStack");
    Ok(())
}

#[test]
fn helm_test_asks_the_operators_service_whether_it_is_ready() -> Result<()> {
    let objects = set(&["metrics.service.port=9090", "fullnameOverride=caches"])?;
    let (pod, service) = (only(&objects, "Pod"), only(&objects, "Service"));
    ensure!(pod["metadata"]["annotations"]["helm.sh/hook"] == "test", "{pod}");
    let name = service["metadata"]["name"].as_str().context("name")?;
    let url = format!("--check=http://{name}.{NAMESPACE}.svc:9090/readyz");
    let container = &pod["spec"]["containers"][0];
    ensure!(container["args"] == json!([url]), "{container}");
    ensure!(container["image"] == operator(&objects)["image"], "{container}");
    ensure!(service["spec"]["ports"][0]["port"] == 9090, "{service}");
    // Plain manifests would start it at once.
    ensure!(of_kind(&objects_without_tests()?, "Pod").is_empty());
    Ok(())
}

fn objects_without_tests() -> Result<Vec<Value>> {
    objects(&["--skip-tests"])
}

#[test]
fn settings_that_exclude_each_other_are_refused() -> Result<()> {
    for (values, expected) in [
        ("hostNetwork=true,networkPolicy.enabled=true", "has no effect on pods with hostNetwork"),
        (
            "hostNetwork=true,cacheNetworkPolicy.enabled=true,watchNamespaces={shop}",
            "would lock out an operator with hostNetwork",
        ),
        ("cacheNetworkPolicy.enabled=true", "cacheNetworkPolicy.namespaces is required"),
    ] {
        let said = refused(&["--set", values])?;
        ensure!(said.contains(expected), "{values}: {said}");
    }
    Ok(())
}
