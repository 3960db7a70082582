//! Values that YAML reads as something else than text, and names that Kubernetes does not take.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::objects::against_schemas;
use crate::render::{NAMESPACE, chart, helm, of_kind, only, refused, set, text};

/// Paths of all values that may be any text, as `--set` takes them, maps of texts with a key `a`.
fn texts(schema: &Value, all: &Value, path: &str, found: &mut Vec<String>) {
    let of_definition = schema["$ref"].as_str().or(schema["allOf"][0]["$ref"].as_str());
    let schema = match of_definition.and_then(|path| path.strip_prefix('#')) {
        Some(path) => all.pointer(path).unwrap_or(schema),
        None => schema,
    };
    if schema["type"] == "string" {
        found.push(path.to_owned());
    }
    if schema["patternProperties"].is_object() {
        found.push(format!("{path}.a"));
    }
    if schema["items"].is_object() {
        texts(&schema["items"], all, &format!("{path}[0]"), found);
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let dot = if path.is_empty() { "" } else { "." };
        texts(property, all, &format!("{path}{dot}{name}"), found);
    }
}

/// The first value within metadata or a list of names that is no text. Kinds of the Prometheus operator have no schema here.
fn no_text(value: &Value, is_text: bool) -> Option<&Value> {
    match value {
        Value::Object(fields) => fields.iter().find_map(|(name, value)| {
            let texts = ["metadata", "matchNames", "matchLabels"].contains(&name.as_str());
            no_text(value, is_text || texts)
        }),
        Value::Array(items) => items.iter().find_map(|item| no_text(item, is_text)),
        other => (is_text && !other.is_string()).then_some(other),
    }
}

/// With all that is optional, and without the definition.
const EVERYTHING: [&str; 12] = [
    "--set",
    "crds.enabled=false,serviceAccount.annotations.x=y",
    "--set",
    "metrics.serviceMonitor.enabled=true,metrics.podMonitor.enabled=true",
    "--set",
    "metrics.prometheusRule.enabled=true",
    "--set",
    "networkPolicy.enabled=true,cacheNetworkPolicy.enabled=true",
    "--set",
    "networkPolicy.apiServerCidrs={10.0.0.0/8},watchNamespaces={shop}",
    "--set",
    "networkPolicy.metricsFrom[0].podSelector.matchLabels.x=y",
];

#[test]
fn a_text_that_looks_like_a_number_or_a_map_stays_a_text() -> Result<()> {
    let schema = std::fs::read_to_string(chart().join("values.schema.json"))?;
    let schema: Value = serde_json::from_str(&schema)?;
    let mut paths = Vec::new();
    texts(&schema, &schema, "", &mut paths);
    ensure!(paths.len() > 30, "{paths:?}");
    let mut renderings = vec![
        text(&[&EVERYTHING[..], &["--namespace", "1234"]].concat())?,
        text(&[&EVERYTHING[..], &["--set-string", "log.level=info: x"]].concat())?,
    ];
    for path in &paths {
        let value = format!("{path}=1234");
        let rendered = text(&[&EVERYTHING[..], &["--set-string", &value]].concat());
        // Refused for what it says would be as good.
        match rendered {
            Ok(rendered) => renderings.push(rendered),
            Err(why) => ensure!(why.to_string().contains("meet the specifications"), "{why}"),
        }
    }
    ensure!(renderings.len() > 30, "{}", renderings.len());
    let everything = renderings.join("\n---\n");
    let problems = against_schemas(&everything)?.err();
    ensure!(problems.is_none(), "{}", problems.unwrap_or_default());
    for object in serde_saphyr::from_multiple::<Value>(&everything)? {
        let wrong = no_text(&object, false);
        ensure!(wrong.is_none(), "{wrong:?} in {object}");
    }
    Ok(())
}

#[test]
fn what_cannot_be_a_name_a_label_or_an_image_is_refused_with_the_value_that_is_wrong() -> Result<()>
{
    let long = "a".repeat(64);
    for (value, place) in [
        ("nameOverride=Foo_Bar", "/nameOverride"),
        ("fullnameOverride=-a-", "/fullnameOverride"),
        ("fullnameOverride=1", "/fullnameOverride"),
        ("fullnameOverride=a.b", "/fullnameOverride"),
        ("serviceAccount.name=Cache Operator", "/serviceAccount/name"),
        ("priorityClassName=very_high", "/priorityClassName"),
        ("metrics.serviceMonitor.namespace=a.b", "/metrics/serviceMonitor/namespace"),
        ("metrics.podMonitor.namespace=Monitoring", "/metrics/podMonitor/namespace"),
        ("metrics.dashboards.namespace=Grafana", "/metrics/dashboards/namespace"),
        ("metrics.prometheusRule.namespace=a.b", "/metrics/prometheusRule/namespace"),
        (&format!("watchNamespaces={{{long}}}"), "/watchNamespaces/0"),
        ("imagePullSecrets[0].name=My Secret", "/imagePullSecrets/0/name"),
        ("commonLabels.team=a b", "/commonLabels/team"),
        (&format!("podLabels.team={long}"), "/podLabels/team"),
        ("podLabels.a b=x", "/podLabels"),
        ("podAnnotations.a b=x", "/podAnnotations"),
        ("deploymentAnnotations./a=x", "/deploymentAnnotations"),
        ("serviceAccount.annotations.a/b/c=x", "/serviceAccount/annotations"),
        ("nodeSelector.pool=a b", "/nodeSelector/pool"),
        ("metrics.podMonitor.labels.release=a b", "/metrics/podMonitor/labels/release"),
        ("metrics.serviceMonitor.annotations.a b=x", "/metrics/serviceMonitor/annotations"),
        ("image.registry=https://registry.example.com", "/image/registry"),
        ("global.imageRegistry=registry.example.com/", "/global/imageRegistry"),
        ("cacheImage.repository=cache node", "/cacheImage/repository"),
        ("image.tag=1:2", "/image/tag"),
        ("log.level= ", "/log/level"),
    ] {
        let said = refused(&["--set-string", value])?;
        ensure!(
            said.contains("values don't meet the specifications") && said.contains(place),
            "{value}: {said}"
        );
    }
    Ok(())
}

#[test]
fn what_must_be_a_text_within_what_kubernetes_defines_is_refused_as_a_number() -> Result<()> {
    for (value, place) in [
        ("podAnnotations.a=1", "/podAnnotations/a"),
        ("podLabels.a=true", "/podLabels/a"),
        ("extraEnv[0].name=A,extraEnv[0].value=1", "/extraEnv/0/value"),
        ("extraVolumes[0].name=1", "/extraVolumes/0/name"),
        (
            "extraVolumeMounts[0].name=1,extraVolumeMounts[0].mountPath=/a",
            "/extraVolumeMounts/0/name",
        ),
        ("tolerations[0].key=a,tolerations[0].value=true", "/tolerations/0/value"),
    ] {
        let said = refused(&["--set", value])?;
        ensure!(said.contains(place) && said.contains("want string"), "{value}: {said}");
    }
    Ok(())
}

#[test]
fn a_release_whose_name_no_service_can_have_is_told_of_the_value_that_helps() -> Result<()> {
    let render = |name: &str, value: &str| -> Result<String> {
        let mut helm = helm(&["template", name, "--namespace", NAMESPACE, "--set", value])?;
        ringcache_tests::tool::output(helm.arg(chart()))
    };
    for name in ["1234", "my.cache"] {
        let said = render(name, "workers=8").err().context(name)?.to_string();
        ensure!(said.contains("fullnameOverride") && said.contains(name), "{said}");
        let rendered = render(name, "fullnameOverride=caches")?;
        let problems = against_schemas(&rendered)?.err();
        ensure!(problems.is_none(), "{name}: {problems:?}");
    }
    for name in ["1234", "my.cache"] {
        let problems = against_schemas(&render(name, "metrics.service.enabled=false")?)?.err();
        ensure!(problems.is_none(), "{name}: {problems:?}");
    }
    // The longest name that Helm takes.
    let rendered: Vec<Value> =
        serde_saphyr::from_multiple(&render(&format!("a{}", "-b".repeat(26)), "workers=8")?)?;
    for service in of_kind(&rendered, "Service") {
        let name = service["metadata"]["name"].as_str().context("a name")?;
        ensure!(name.len() <= 63 && name.ends_with("-operator-metrics"), "{name}");
    }
    Ok(())
}

/// Kubernetes lowers the prefix before it looks at it.
#[test]
fn an_annotation_may_have_a_prefix_with_upper_case_letters() -> Result<()> {
    let objects = set(&["deploymentAnnotations.Example\\.COM/Team=cache"])?;
    let annotations = &only(&objects, "Deployment")["metadata"]["annotations"];
    ensure!(annotations["Example.COM/Team"] == "cache", "{annotations}");
    Ok(())
}

#[test]
fn an_annotation_of_the_pods_that_the_chart_sets_too_is_there_once() -> Result<()> {
    let objects = set(&["podAnnotations.kubectl\\.kubernetes\\.io/default-container=proxy"])?;
    let annotations = &only(&objects, "Deployment")["spec"]["template"]["metadata"]["annotations"];
    ensure!(annotations["kubectl.kubernetes.io/default-container"] == "proxy", "{annotations}");
    Ok(())
}
