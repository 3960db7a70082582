//! `cargo xtask dist`: plain manifests for those who install without Helm.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::cargo::{Workspace, output};
use crate::codegen::DEFINITION;
use crate::packages::find;

/// Namespace of the manifests, and the release's name within the chart.
const NAMESPACE: &str = "ringcache-system";
const RELEASE: &str = "ringcache";

/// Writes `dist/ringcache.yaml` (everything, with the chart's default values) and `dist/crds.yaml`.
pub(crate) fn run(workspace: &Workspace) -> Result<bool> {
    let rendered = output(
        Command::new(helm()?)
            // A definition that `kubectl` applied is deleted by nobody else: nothing to keep it from.
            .args(["template", RELEASE, "--namespace", NAMESPACE, "--set", "crds.keep=false"])
            // Without the pod of `helm test`, which would run at once.
            .arg("--skip-tests")
            .arg(workspace.root.join("charts/ringcache")),
    )?;
    let folder = workspace.root.join("dist");
    fs::create_dir_all(&folder)?;
    write(&folder.join("ringcache.yaml"), &plain(&rendered))?;
    let definition = workspace.root.join(DEFINITION);
    let definition = fs::read_to_string(&definition).context(definition.display().to_string())?;
    write(&folder.join("crds.yaml"), &definition)?;
    Ok(true)
}

/// The helm that `RINGCACHE_HELM` names, or the one of the path, or else one that is built.
fn helm() -> Result<PathBuf> {
    let named = std::env::var_os("RINGCACHE_HELM").map(PathBuf::from);
    named.or_else(|| find("helm")).map_or_else(ringcache_lab::helm, Ok)
}

fn write(path: &Path, content: &str) -> Result<()> {
    fs::write(path, content).with_context(|| path.display().to_string())?;
    println!("wrote {}", path.display());
    Ok(())
}

/// What Helm rendered without a word of Helm, and with the namespace that Helm would have made.
fn plain(rendered: &str) -> String {
    let namespace = format!(
        "apiVersion: v1\n\
         kind: Namespace\n\
         metadata:\n  \
           name: {NAMESPACE}\n  \
           labels:\n    \
             pod-security.kubernetes.io/enforce: restricted\n"
    );
    let helms = ["app.kubernetes.io/managed-by: Helm", "helm.sh/chart:", "# Source:"];
    let resources: String = rendered
        .lines()
        .filter(|line| !helms.iter().any(|word| line.trim_start().starts_with(word)))
        .flat_map(|line| [line, "\n"])
        .collect();
    format!("{namespace}{resources}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_manifests_begin_with_their_namespace_and_do_not_claim_to_be_helms() {
        let rendered = "---\n# Source: ringcache/templates/a.yaml\nkind: A\nmetadata:\n  labels:\n    \
                        app.kubernetes.io/managed-by: Helm\n    helm.sh/chart: ringcache-1\n    a: b\n";
        assert_eq!(
            plain(rendered),
            "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: ringcache-system\n  labels:\n    \
             pod-security.kubernetes.io/enforce: restricted\n\
             ---\nkind: A\nmetadata:\n  labels:\n    a: b\n"
        );
    }
}
