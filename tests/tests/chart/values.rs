//! The values of the chart: which are accepted, and that they are all described.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::render::{chart, refused};

fn read(file: &str) -> Result<String> {
    std::fs::read_to_string(chart().join(file)).with_context(|| file.to_owned())
}

#[test]
fn unknown_and_mistyped_values_are_refused_by_name() -> Result<()> {
    for (value, place) in [
        ("replicas=3", "replicas"),
        ("replicaCount=two", "/replicaCount"),
        ("replicaCount=-1", "/replicaCount"),
        ("workers=0", "/workers"),
        ("workers=257", "/workers"),
        ("imagePullSecrets={registry}", "/imagePullSecrets/0"),
        ("global.imagePullSecrets[0].secret=a", "/global/imagePullSecrets/0"),
        ("commonLabels.team=1", "/commonLabels/team"),
        ("commonLabels.app\\.kubernetes\\.io/name=x", "/commonLabels"),
        ("strategy=Recreate", "/strategy"),
        ("extraVolumes[0].emptyDir=x", "/extraVolumes/0"),
        ("extraVolumeMounts[0].name=x", "/extraVolumeMounts/0"),
        ("dnsPolicy=None", "/dnsPolicy"),
        ("containerPort=0", "/containerPort"),
        ("image.tga=1", "tga"),
        ("cacheImage.pullPolicy=Always", "pullPolicy"),
        ("image.pullPolicy=Sometimes", "/image/pullPolicy"),
        ("image.digest=sha256:12", "/image/digest"),
        ("log.format=xml", "/log/format"),
        ("crds.keep=maybe", "/crds/keep"),
        ("crds.upgrade=true", "upgrade"),
        ("rbac.enabled=true", "enabled"),
        ("serviceAccount.annotations=none", "/serviceAccount/annotations"),
        ("watchNamespaces=shop", "/watchNamespaces"),
        ("watchNamespaces={Not_A_Name}", "/watchNamespaces/0"),
        ("watchNamespaces={a,a}", "/watchNamespaces"),
        ("extraArgs={leader-elect=false}", "/extraArgs/0"),
        ("metrics.service.port=70000", "/metrics/service/port"),
        ("metrics.serviceMonitor.interval=30 s", "/metrics/serviceMonitor/interval"),
        ("metrics.podMonitor.scrapeTimeout=soon", "/metrics/podMonitor/scrapeTimeout"),
        ("metrics.podMonitor.intervalSeconds=30", "intervalSeconds"),
        ("cacheNetworkPolicy.namespaces={Not_A_Name}", "/cacheNetworkPolicy/namespaces/0"),
        ("networkPolicy.apiServerCidrs={everywhere}", "/networkPolicy/apiServerCidrs/0"),
        ("nodeSelector.pool=1", "/nodeSelector/pool"),
    ] {
        let said = refused(&["--set", value])?;
        ensure!(
            said.contains("values don't meet the specifications") && said.contains(place),
            "{value}: {said}"
        );
    }
    Ok(())
}

/// Whether every object of ours in the schema refuses what it does not name.
fn closed(schema: &Value, path: &str, open: &mut Vec<String>) {
    if schema["type"] == "object" && schema["additionalProperties"] != false {
        open.push(path.to_owned());
    }
    for parts in ["properties", "definitions"] {
        for (name, property) in schema[parts].as_object().into_iter().flatten() {
            closed(property, &format!("{path}/{name}"), open);
        }
    }
    if schema["items"].is_object() {
        closed(&schema["items"], &format!("{path}/*"), open);
    }
}

#[test]
fn only_what_kubernetes_defines_is_open_in_the_schema() -> Result<()> {
    let schema: Value = serde_json::from_str(&read("values.schema.json")?)?;
    let mut open = Vec::new();
    closed(&schema, "", &mut open);
    open.sort();
    let kubernetes_own = [
        "/affinity",
        "/cacheNetworkPolicy/clientsFrom/*",
        "/cacheNetworkPolicy/metricsFrom/*",
        "/containerSecurityContext",
        "/extraEnv/*",
        "/extraVolumeMounts/*",
        "/extraVolumes/*",
        "/global", // what a parent chart passes on
        "/metrics/podMonitor/metricRelabelings/*",
        "/metrics/podMonitor/relabelings/*",
        "/metrics/serviceMonitor/metricRelabelings/*",
        "/metrics/serviceMonitor/relabelings/*",
        "/networkPolicy/metricsFrom/*",
        "/podSecurityContext",
        "/resources",
        "/strategy",
        "/tolerations/*",
        "/topologySpreadConstraints/*",
    ];
    ensure!(open == kubernetes_own, "{open:?}");
    Ok(())
}

/// Path and default of every value: what is open in the schema counts as one value.
fn leaves(values: &Value, path: &str, found: &mut Vec<(String, String)>) {
    let one_value = ["resources", "podSecurityContext", "containerSecurityContext"].contains(&path);
    match values.as_object() {
        Some(fields) if !fields.is_empty() && !one_value => {
            for (name, value) in fields {
                let dot = if path.is_empty() { "" } else { "." };
                leaves(value, &format!("{path}{dot}{name}"), found);
            }
        }
        _ => found.push((path.to_owned(), values.to_string())),
    }
}

#[test]
fn the_readme_lists_every_value_with_its_default_and_no_other() -> Result<()> {
    let values: Value = serde_saphyr::from_str(&read("values.yaml")?)?;
    let mut expected = Vec::new();
    leaves(&values, "", &mut expected);
    expected.sort();
    let readme = read("README.md")?;
    let mut documented = Vec::new();
    for line in readme.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        ensure!(cells.len() == 5 && !cells[3].is_empty(), "not described: {line}");
        let default = cells[2].trim_matches('`');
        let default = if default == "see values.yaml" {
            let of_path = expected.iter().find(|(path, _)| *path == cells[1].trim_matches('`'));
            of_path.map_or_else(String::new, |(_, default)| default.clone())
        } else {
            let default: Value = serde_saphyr::from_str(default)?;
            default.to_string()
        };
        documented.push((cells[1].trim_matches('`').to_owned(), default));
    }
    documented.sort();
    ensure!(documented == expected, "{documented:#?}\ninstead of\n{expected:#?}");
    Ok(())
}
