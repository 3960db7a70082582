//! What is written beside the templates: versions, examples, the Dockerfile.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use ringcache_api::cluster::parse_yaml;
use ringcache_tests::tool;
use serde_json::Value;

use crate::render::{NAMESPACE, chart, helm};

fn read(path: &str) -> Result<String> {
    std::fs::read_to_string(tool::workspace().join(path)).with_context(|| path.to_owned())
}

#[test]
fn chart_and_dockerfile_have_the_version_of_the_programs() -> Result<()> {
    let version = env!("CARGO_PKG_VERSION");
    let about: Value =
        serde_saphyr::from_str(&std::fs::read_to_string(chart().join("Chart.yaml"))?)?;
    ensure!(about["version"] == version && about["appVersion"] == version, "{about}");
    let dockerfile = read("Dockerfile")?;
    ensure!(dockerfile.contains(&format!("ARG VERSION={version}\n")), "{dockerfile}");
    for image in ["ringcache-operator", "cache-node", "ringcache"] {
        ensure!(dockerfile.contains(&format!("--tag localhost/{image}:{version} .")), "{image}");
    }
    Ok(())
}

#[test]
fn annotations_of_the_chart_are_lists_of_what_they_say() -> Result<()> {
    let about: Value =
        serde_saphyr::from_str(&std::fs::read_to_string(chart().join("Chart.yaml"))?)?;
    let annotation = |name: &str| -> Result<Value> {
        let text = about["annotations"][format!("artifacthub.io/{name}")].as_str();
        Ok(serde_saphyr::from_str(text.with_context(|| name.to_owned())?)?)
    };
    ensure!(annotation("crds")?[0]["name"] == "cacheclusters.ringcache.dev");
    ensure!(annotation("changes")?[0]["description"].is_string());
    let example = serde_json::to_string(&annotation("crdsExamples")?[0])?;
    valid(&example, "the example in Chart.yaml")
}

#[test]
fn the_notes_of_a_release_show_a_cluster_that_is_valid_in_a_namespace_that_is_served() -> Result<()>
{
    for (value, namespace) in [("replicas=2", ""), ("watchNamespaces={shop}", " --namespace shop")]
    {
        let install = ["install", "ringcache", "--namespace", NAMESPACE, "--dry-run=client"];
        let said = tool::output(helm(&install)?.arg(chart()).args(["--set", value]))?;
        let notes = said.split_once("NOTES:").context("no notes")?.1;
        let example = notes.split('\'').nth(1).context("no example")?;
        valid(example, "the example in the notes")?;
        for command in ["kubectl apply", "kubectl wait", "kubectl scale"] {
            ensure!(notes.contains(&format!("{command}{namespace} ")), "{command}: {notes}");
        }
    }
    Ok(())
}

/// Fails unless `text` is a `CacheCluster` that the operator would carry out.
fn valid(text: &str, place: &str) -> Result<()> {
    let cluster = parse_yaml(text).with_context(|| place.to_owned())?;
    if let Err(problems) = ringcache_operator_core::validate(&cluster) {
        anyhow::bail!("{place}: {problems:?}");
    }
    Ok(())
}

fn examples() -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(tool::workspace().join("examples"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

#[test]
fn every_example_is_valid_listed_and_named_like_its_file() -> Result<()> {
    let readme = read("examples/README.md")?;
    let mut names = BTreeSet::new();
    for path in examples()? {
        let text = std::fs::read_to_string(&path)?;
        valid(&text, &path.display().to_string())?;
        let name = path.file_stem().context("stem")?.to_string_lossy().into_owned();
        let cluster = parse_yaml(&text)?;
        ensure!(cluster.metadata.name.as_deref() == Some(&*name), "{name}");
        ensure!(readme.contains(&format!("[{name}.yaml]({name}.yaml)")), "{name} is not listed");
        names.insert(name);
    }
    ensure!(names.len() >= 4, "{names:?}");
    Ok(())
}
