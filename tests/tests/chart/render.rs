//! Helm, and what it makes of the chart.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use ringcache_tests::tool;
use serde_json::Value;

/// Namespace of every rendering.
pub(crate) const NAMESPACE: &str = "ringcache-system";

pub(crate) fn chart() -> PathBuf {
    tool::workspace().join("charts/ringcache")
}

/// Helm (`RINGCACHE_HELM`) with `arguments`.
pub(crate) fn helm(arguments: &[&str]) -> Result<Command> {
    let helm = std::env::var_os("RINGCACHE_HELM")
        .context("RINGCACHE_HELM is not set: run these tests with `cargo xtask test`")?;
    let mut command = Command::new(helm);
    command.args(arguments);
    Ok(command)
}

/// The chart rendered as a release `ringcache`, as text; `arguments` go to `helm template`.
pub(crate) fn text(arguments: &[&str]) -> Result<String> {
    let mut helm = helm(&["template", "ringcache", "--namespace", NAMESPACE])?;
    tool::output(helm.arg(chart()).args(arguments))
}

/// The same as objects.
pub(crate) fn objects(arguments: &[&str]) -> Result<Vec<Value>> {
    let text = text(arguments)?;
    let objects: Vec<Value> = serde_saphyr::from_multiple(&text)?;
    ensure!(objects.iter().all(|object| object["kind"].is_string()), "not an object: {text}");
    Ok(objects)
}

/// With `--set` for each of `values`.
pub(crate) fn set(values: &[&str]) -> Result<Vec<Value>> {
    let arguments: Vec<&str> = values.iter().flat_map(|value| ["--set", value]).collect();
    objects(&arguments)
}

/// What Helm says when it refuses these arguments.
pub(crate) fn refused(arguments: &[&str]) -> Result<String> {
    match text(arguments) {
        Ok(_) => anyhow::bail!("rendered with {arguments:?}"),
        Err(error) => Ok(error.to_string()),
    }
}

/// All of one kind.
pub(crate) fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| object["kind"] == kind).collect()
}

/// The only one of its kind.
pub(crate) fn only<'a>(objects: &'a [Value], kind: &str) -> &'a Value {
    let found = of_kind(objects, kind);
    assert_eq!(found.len(), 1, "objects of kind {kind}");
    found[0]
}

/// The operator's container.
pub(crate) fn operator(objects: &[Value]) -> &Value {
    let pod = &only(objects, "Deployment")["spec"]["template"]["spec"];
    assert_eq!(pod["containers"].as_array().map(Vec::len), Some(1), "one container");
    assert!(pod["initContainers"].is_null(), "no other container");
    &pod["containers"][0]
}

/// Files with values that are rendered by the tests beside the default ones.
pub(crate) fn value_files() -> Result<Vec<String>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(chart().join("ci"))? {
        files.push(entry?.path().to_string_lossy().into_owned());
    }
    files.sort();
    ensure!(files.len() >= 2, "{files:?}");
    Ok(files)
}

/// The arguments of every rendering that must be right: the default one, and one for each file.
pub(crate) fn variants() -> Result<Vec<Vec<String>>> {
    let files = value_files()?.into_iter().map(|file| vec!["--values".to_owned(), file]);
    Ok(std::iter::once(Vec::new()).chain(files).collect())
}

/// Borrowed arguments.
pub(crate) fn borrowed(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}
