//! The objects of a release.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::render::{
    NAMESPACE, borrowed, chart, helm, objects, of_kind, only, operator, refused, set, text,
    value_files, variants,
};

#[test]
fn the_default_release_is_the_one_that_was_reviewed() -> Result<()> {
    let rendered = text(&["--set", "crds.enabled=false"])?;
    // Where empty lines stand differs between versions of Helm.
    let lines: Vec<&str> = rendered.lines().filter(|line| !line.is_empty()).collect();
    insta::with_settings!({prepend_module_to_snapshot => false, omit_expression => true, snapshot_path => "."}, {
        insta::assert_snapshot!("default", lines.join("\n"));
    });
    Ok(())
}

#[test]
fn rendering_twice_gives_the_same() -> Result<()> {
    for arguments in variants()? {
        let arguments = borrowed(&arguments);
        ensure!(text(&arguments)? == text(&arguments)?, "{arguments:?}");
    }
    Ok(())
}

#[test]
fn helm_finds_nothing_to_complain_about() -> Result<()> {
    let chart = chart();
    ringcache_tests::tool::output(helm(&["lint", "--strict"])?.arg(&chart))?;
    for file in value_files()? {
        let mut lint = helm(&["lint", "--strict", "--values", &file])?;
        ringcache_tests::tool::output(lint.arg(&chart))?;
    }
    Ok(())
}

/// Checks manifests against the schemas of the oldest and the newest Kubernetes: the kinds that have none, or the problems.
pub(crate) fn against_schemas(manifests: &str) -> Result<std::result::Result<String, String>> {
    let python = std::env::var_os("RINGCACHE_PYTHON").context("RINGCACHE_PYTHON is not set")?;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/chart/validate.py");
    let mut validate = Command::new(python)
        .args([script, "1.33", "1.37"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    validate.stdin.take().context("stdin")?.write_all(manifests.as_bytes())?;
    let output = validate.wait_with_output()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    Ok(if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) })
}

#[test]
fn objects_match_the_schemas_of_the_oldest_and_the_newest_kubernetes() -> Result<()> {
    for arguments in variants()? {
        let checked = against_schemas(&text(&borrowed(&arguments))?)?;
        let unknown = checked.map_err(|problems| anyhow::anyhow!("{arguments:?}: {problems}"))?;
        let everything = arguments.iter().any(|file| file.ends_with("everything-values.yaml"));
        // Their schemas belong to the Prometheus operator.
        let expected = if everything { "PodMonitor ServiceMonitor" } else { "" };
        ensure!(unknown == format!("kinds without a schema: {expected}").trim(), "{unknown}");
    }
    let misspelt = text(&[])?.replace("revisionHistoryLimit", "revisionHistoryLimits");
    let problems = against_schemas(&misspelt)?.err().context("a misspelt field is not found")?;
    for version in ["1.33", "1.37"] {
        ensure!(
            problems.contains(&format!("{version} Deployment ringcache-operator")),
            "{problems}"
        );
    }
    Ok(())
}

#[test]
fn an_older_kubernetes_is_refused_and_the_oldest_supported_one_is_not() -> Result<()> {
    text(&["--kube-version", "1.33.0"])?;
    // Managed services append to the version.
    text(&["--kube-version", "1.33.4-gke.100"])?;
    let said = refused(&["--kube-version", "1.32.9"])?;
    ensure!(said.contains("kubeVersion: >=1.33.0-0"), "{said}");
    Ok(())
}

#[test]
fn the_custom_resource_definition_is_the_generated_one() -> Result<()> {
    let committed =
        ringcache_tests::tool::workspace().join("crds/cacheclusters.ringcache.dev.yaml");
    let mut committed: Value = serde_saphyr::from_str(&std::fs::read_to_string(committed)?)?;
    for (keep, annotations) in
        [("true", json!({"helm.sh/resource-policy": "keep"})), ("false", Value::Null)]
    {
        let objects = set(&[&format!("crds.keep={keep}")])?;
        let mut rendered = only(&objects, "CustomResourceDefinition").clone();
        let mut metadata = rendered["metadata"].take();
        ensure!(metadata["annotations"] == annotations, "crds.keep={keep}: {metadata}");
        ensure!(metadata["labels"]["app.kubernetes.io/part-of"] == "ringcache", "{metadata}");
        ensure!(metadata["name"].take() == "cacheclusters.ringcache.dev");
        committed["metadata"] = Value::Null;
        ensure!(
            rendered == committed,
            "the chart's copy is out of date: run `cargo xtask codegen`"
        );
    }
    ensure!(of_kind(&set(&["crds.enabled=false"])?, "CustomResourceDefinition").is_empty());
    Ok(())
}

#[test]
fn a_release_contains_no_cache_cluster() -> Result<()> {
    for arguments in variants()? {
        let objects = objects(&borrowed(&arguments))?;
        ensure!(of_kind(&objects, "CacheCluster").is_empty(), "{arguments:?}");
    }
    Ok(())
}

#[test]
fn images_are_named_by_registry_repository_and_tag_or_digest() -> Result<()> {
    let digest = format!("sha256:{}", "ab".repeat(32));
    let version = env!("CARGO_PKG_VERSION");
    let with_digest = format!("image.digest={digest}");
    let cases: [(&[&str], String); 7] = [
        (&[], format!("localhost/ringcache-operator:{version}")),
        (&["image.tag=9.8.7"], "localhost/ringcache-operator:9.8.7".into()),
        (&["image.tag=9.8.7", &with_digest], format!("localhost/ringcache-operator@{digest}")),
        (
            &["image.registry=a.example:5000"],
            format!("a.example:5000/ringcache-operator:{version}"),
        ),
        (&["image.registry="], format!("ringcache-operator:{version}")),
        (&["image.repository=team/op"], format!("localhost/team/op:{version}")),
        (
            &["image.registry=a.example", "global.imageRegistry=b.example/mirror"],
            format!("b.example/mirror/ringcache-operator:{version}"),
        ),
    ];
    for (values, image) in cases {
        let objects = set(values)?;
        ensure!(
            operator(&objects)["image"] == *image,
            "{values:?}: {}",
            operator(&objects)["image"]
        );
        // The nodes' image follows the same rules.
        let values: Vec<String> =
            values.iter().map(|value| value.replace("image.", "cacheImage.")).collect();
        let image = image.replace("ringcache-operator", "cache-node");
        let objects = set(&borrowed(&values))?;
        let flag = json!(format!("--cache-image={image}"));
        let arguments = &operator(&objects)["args"];
        ensure!(arguments.as_array().is_some_and(|all| all.contains(&flag)), "{arguments}");
    }
    Ok(())
}

#[test]
fn pull_secrets_of_chart_and_parent_are_joined_once_each() -> Result<()> {
    // As objects, the way in which parent charts pass them on.
    let objects = set(&[
        "global.imagePullSecrets[0].name=shared",
        "imagePullSecrets[0].name=own",
        "imagePullSecrets[1].name=shared",
    ])?;
    for pod in [&only(&objects, "Deployment")["spec"]["template"], only(&objects, "Pod")] {
        let secrets = &pod["spec"]["imagePullSecrets"];
        ensure!(*secrets == json!([{"name": "shared"}, {"name": "own"}]), "{secrets}");
    }
    Ok(())
}

#[test]
fn selectors_never_change_and_select_the_operators_pods_only() -> Result<()> {
    for arguments in variants()? {
        let objects = objects(&borrowed(&arguments))?;
        let deployment = only(&objects, "Deployment");
        let selector = &deployment["spec"]["selector"]["matchLabels"];
        // Cache pods are named `ringcache`, and an instance may be called like the release.
        let fixed = json!({
            "app.kubernetes.io/name": "ringcache-operator",
            "app.kubernetes.io/instance": "ringcache",
        });
        ensure!(*selector == fixed, "{selector}");
        let labels = &deployment["spec"]["template"]["metadata"]["labels"];
        for (key, value) in fixed.as_object().context("object")? {
            ensure!(labels[key] == *value, "{labels}");
        }
        for service in of_kind(&objects, "Service") {
            ensure!(service["spec"]["selector"] == fixed, "{service}");
        }
        for budget in of_kind(&objects, "PodDisruptionBudget") {
            ensure!(budget["spec"]["selector"]["matchLabels"] == fixed, "{budget}");
        }
        for policy in of_kind(&objects, "NetworkPolicy") {
            if policy["metadata"]["name"] == deployment["metadata"]["name"] {
                ensure!(policy["spec"]["podSelector"]["matchLabels"] == fixed, "{policy}");
            }
        }
        let test = &only(&objects, "Pod")["metadata"]["labels"];
        ensure!(test["app.kubernetes.io/name"] != fixed["app.kubernetes.io/name"], "{test}");
    }
    Ok(())
}

#[test]
fn every_object_carries_the_common_labels_and_a_name_that_fits() -> Result<()> {
    let long = format!("fullnameOverride={}", "a".repeat(46));
    for values in [&[][..], &[&*long, "metrics.serviceMonitor.enabled=true"]] {
        for object in set(values)? {
            let metadata = &object["metadata"];
            for label in ["name", "instance", "component", "part-of", "version", "managed-by"] {
                let label = format!("app.kubernetes.io/{label}");
                ensure!(metadata["labels"][&label].is_string(), "{label} of {metadata}");
            }
            let name = metadata["name"].as_str().context("name")?;
            let kind = object["kind"].as_str().context("kind")?;
            ensure!(name.len() <= 63 || kind.starts_with("Cluster"), "{kind} {name}");
            let cluster_wide = ["CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding"];
            let namespaced = !cluster_wide.contains(&kind);
            ensure!((metadata["namespace"] == NAMESPACE) == namespaced, "{kind} {name}");
        }
    }
    Ok(())
}

#[test]
fn two_releases_in_two_namespaces_share_no_object() -> Result<()> {
    let values = ["--set", "crds.enabled=false"];
    let names = |namespace: &str| -> Result<BTreeSet<String>> {
        let objects = objects(&[&values[..], &["--namespace", namespace]].concat())?;
        let name = |object: &Value| {
            let metadata = &object["metadata"];
            format!("{} {} {}", object["kind"], metadata["namespace"], metadata["name"])
        };
        Ok(objects.iter().map(name).collect())
    };
    let (one, other) = (names("one")?, names("other")?);
    ensure!(one.len() >= 8 && one.is_disjoint(&other), "{one:?}\n{other:?}");
    Ok(())
}

#[test]
fn a_release_of_chosen_namespaces_claims_each_under_a_name_that_no_second_one_can_have()
-> Result<()> {
    let claims = |arguments: &[&str]| -> Result<Vec<(String, String)>> {
        let objects = objects(arguments)?;
        let maps = of_kind(&objects, "ConfigMap");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        ensure!(maps.iter().all(|map| map["metadata"]["name"] == "ringcache-operator"));
        Ok(maps
            .iter()
            .map(|map| (text(&map["metadata"]["namespace"]), text(&map["data"]["operator"])))
            .collect())
    };
    let chosen = claims(&["--set", "watchNamespaces={shop,search}"])?;
    let claim = |namespace: &str| (namespace.to_owned(), format!("{NAMESPACE}/ringcache-operator"));
    ensure!(chosen == [claim("shop"), claim("search")], "{chosen:?}");
    ensure!(claims(&[])?.is_empty(), "one that serves all of them gives way");
    Ok(())
}

/// So many dashboards there are.
const DASHBOARDS: usize = 8;

/// The objects with dashboards that more values make.
fn dashboards(more: &[&str]) -> Result<Vec<Value>> {
    let objects = set(&[&["metrics.dashboards.enabled=true"], more].concat())?;
    Ok(objects.into_iter().filter(|object| object["kind"] == "ConfigMap").collect())
}

#[test]
fn grafanas_sidecar_finds_each_dashboard_as_it_is_in_the_chart() -> Result<()> {
    let elsewhere = "metrics.dashboards.namespace=monitoring";
    let folder = "metrics.dashboards.annotations.grafana_folder=Ringcache";
    for object in dashboards(&[elsewhere, folder])? {
        let metadata = &object["metadata"];
        ensure!(metadata["labels"]["grafana_dashboard"] == "1", "{metadata}");
        ensure!(metadata["annotations"]["grafana_folder"] == "Ringcache", "{metadata}");
        ensure!(metadata["namespace"] == "monitoring", "{metadata}");
        let data = object["data"].as_object().context("no data")?;
        let (file, text) = data.iter().next().context("no file")?;
        let source = std::fs::read_to_string(chart().join("dashboards").join(file))?;
        ensure!(data.len() == 1 && text.as_str().map(str::trim) == Some(source.trim()), "{file}");
    }
    Ok(())
}

#[test]
fn the_alert_about_the_leader_asks_for_the_release_s_own_lease() -> Result<()> {
    let rule = |values: &[&str]| -> Result<String> {
        let objects = set(&[&["metrics.prometheusRule.enabled=true"], values].concat())?;
        let rule = objects.into_iter().find(|object| object["kind"] == "PrometheusRule");
        Ok(rule.context("no rule")?["spec"].to_string())
    };
    let plain = rule(&[])?;
    ensure!(
        plain.contains("ringcache_slots_owned") && plain.contains("{{ $labels.pod }}"),
        "{plain}"
    );
    ensure!(plain.contains(r#"name=\"ringcache-operator\",namespace=\""#), "{plain}");
    let other = rule(&["fullnameOverride=caches"])?;
    ensure!(!other.contains(r#"name=\"ringcache-operator\""#), "{other}");
    ensure!(other.contains(r#"name=\"caches"#) && other.contains(r#""lease":"caches"#), "{other}");
    let without = rule(&["metrics.prometheusRule.disabled={RingcacheOperatorWithoutLeader}"])?;
    ensure!(!without.contains("WithoutLeader") && without.contains("NoNodeAnswers"), "{without}");
    Ok(())
}

#[test]
fn optional_objects_appear_only_when_asked_for() -> Result<()> {
    let kinds = |values: &[&str]| -> Result<BTreeSet<String>> {
        Ok(set(values)?.iter().filter_map(|o| o["kind"].as_str().map(str::to_owned)).collect())
    };
    let default = kinds(&[])?;
    for kind in ["NetworkPolicy", "PodMonitor", "PrometheusRule", "ServiceMonitor"] {
        ensure!(!default.contains(kind), "{kind} by default");
    }
    ensure!(kinds(&["networkPolicy.enabled=true"])?.contains("NetworkPolicy"));
    ensure!(kinds(&["metrics.serviceMonitor.enabled=true"])?.contains("ServiceMonitor"));
    ensure!(kinds(&["metrics.podMonitor.enabled=true"])?.contains("PodMonitor"));
    ensure!(!default.contains("ConfigMap") && dashboards(&[])?.len() == DASHBOARDS);
    for (value, kind) in [
        ("podDisruptionBudget.enabled=false", "PodDisruptionBudget"),
        ("metrics.service.enabled=false", "Service"),
        // Without a Service there is nothing to ask.
        ("metrics.service.enabled=false", "Pod"),
        ("rbac.create=false", "Role"),
    ] {
        ensure!(default.contains(kind) && !kinds(&[value])?.contains(kind), "{value}");
    }
    let own_account = ["serviceAccount.create=false", "serviceAccount.name=mine"];
    ensure!(!kinds(&own_account)?.contains("ServiceAccount"));
    let said = refused(&["--set", "serviceAccount.create=false"])?;
    ensure!(said.contains("serviceAccount.name is required"), "{said}");
    Ok(())
}
