//! What the pages tell people to type, and the words that they then read.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use ringcache_operator_core::Operation;
use serde_json::Value;

use crate::documents::{examples, pages, read, valid};

/// An operation of the kind that is listed after that of `operation`: a new kind does not compile before it has a place here.
fn after(operation: Option<&Operation>) -> Option<Operation> {
    let Some(operation) = operation else { return Some(Operation::Create { nodes: 1 }) };
    match operation {
        Operation::Create { .. } => Some(Operation::ScaleOut { from: 1, to: 2 }),
        Operation::ScaleOut { .. } => Some(Operation::ScaleIn { from: 2, to: 1 }),
        Operation::ScaleIn { .. } => Some(Operation::Roll { outdated: 1, nodes: 1 }),
        Operation::Roll { .. } => Some(Operation::Repair { lost: Vec::new() }),
        Operation::Repair { .. } => Some(Operation::Replace { ending: Vec::new() }),
        Operation::Replace { .. } => Some(Operation::Restore),
        Operation::Restore => Some(Operation::Converge),
        Operation::Converge => Some(Operation::TidyUp),
        Operation::TidyUp => Some(Operation::Delete),
        Operation::Delete => Some(Operation::Steady),
        Operation::Steady => None,
    }
}

#[test]
fn the_page_of_the_operator_has_a_row_for_every_operation_and_none_besides() -> Result<()> {
    let page = read("docs/operator.md")?;
    let section = page.split_once("\n## Operations\n").context("no such heading")?.1;
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    let mut documented: Vec<&str> = rows.filter_map(|row| row.split('`').next()).collect();
    // The table of `kubectl get` is empty where there is nothing to do.
    ensure!(section.contains("\n| none |") && section.contains("`Steady`"), "{section}");
    documented.push("Steady");
    let all = std::iter::successors(after(None), |operation| after(Some(operation)));
    let kinds: Vec<&str> = all.map(|operation| operation.kind()).collect();
    ensure!(documented == kinds, "{documented:?} instead of {kinds:?}");
    Ok(())
}

#[test]
fn a_first_entry_is_written_to_the_service_of_the_quick_start() -> Result<()> {
    for page in ["README.md", "docs/kubernetes.md"] {
        let text = read(page)?;
        for line in [
            "-- redis-cli -c -h quickstart set greeting hello\n",
            "kubectl port-forward service/quickstart 8080 ",
            "curl -X PUT http://127.0.0.1:8080/cache/user:1 -d ",
        ] {
            ensure!(text.contains(line), "{page} has no {line}");
        }
    }
    let services = read("operator/src/objects/tests/golden/services.snap")?;
    for port in ["\"port\": 6379,", "\"port\": 8080,"] {
        ensure!(services.contains(port), "{services}");
    }
    Ok(())
}

/// Every word of a page after `before`.
fn words_after<'a>(text: &'a str, before: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(before).skip(1).filter_map(|rest| rest.split_whitespace().next())
}

#[test]
fn images_that_people_are_told_to_run_can_be_loaded_and_are_named_where_it_says_how() -> Result<()>
{
    let mut texts = Vec::new();
    for page in pages()? {
        texts.push(read(&page)?);
    }
    let mut images: BTreeSet<&str> =
        texts.iter().flat_map(|text| words_after(text, "--image=")).collect();
    let application: Value = serde_saphyr::from_str(&read("examples/application.yaml")?)?;
    let of_example = &application["spec"]["template"]["spec"]["containers"][0]["image"];
    images.insert(of_example.as_str().context("an image")?);
    let page = read("docs/kubernetes.md")?;
    for image in images.iter().filter(|image| !image.starts_with("localhost/")) {
        // Without a tag it would be pulled whatever the host has.
        let tag = image.rsplit_once(':').map(|(_, tag)| tag);
        ensure!(tag.is_some_and(|tag| tag != "latest"), "{image}");
        ensure!(page.contains(&format!("`{image}`")), "docs/kubernetes.md does not name {image}");
    }
    ensure!(images.len() >= 3, "{images:?}");
    for path in examples()? {
        let text = std::fs::read_to_string(&path)?;
        ensure!(!text.contains("image: docker.io") || text.contains("Images of others"), "{text}");
    }
    Ok(())
}

#[test]
fn every_patch_on_a_page_makes_a_spec_that_is_valid() -> Result<()> {
    let mut patches = 0;
    for page in pages()? {
        let text = read(&page)?;
        for patch in text.split("--type=merge --patch '").skip(1) {
            let patch = patch.split('\'').next().unwrap_or_default();
            let mut cluster: Value =
                serde_json::from_str(patch).with_context(|| format!("{page}: {patch}"))?;
            cluster["apiVersion"] = "ringcache.dev/v1alpha1".into();
            cluster["kind"] = "CacheCluster".into();
            cluster["metadata"]["name"] = "web".into();
            valid(&cluster.to_string(), &format!("{page}: {patch}"))?;
            patches += 1;
        }
    }
    ensure!(patches >= 4, "{patches} patches");
    Ok(())
}

#[test]
fn every_manifest_that_is_made_for_others_is_on_the_page_about_upgrades() -> Result<()> {
    let source = read("xtask/src/dist.rs")?;
    let page = read("docs/upgrading.md")?;
    let files: Vec<&str> =
        source.split("folder.join(\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    ensure!(files.len() == 2, "{files:?}");
    for file in files {
        ensure!(page.contains(&format!("| `{file}` |")), "{file}");
    }
    Ok(())
}
