//! What is written beside the templates: versions, examples, the Dockerfile.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use ringcache_api::cluster::{MAX_NODES, MIN_NODES, parse_yaml};
use ringcache_tests::tool;
use serde_json::Value;

use crate::objects::against_schemas;
use crate::render::{NAMESPACE, chart, helm};

/// A file of the workspace.
pub(crate) fn read(path: &str) -> Result<String> {
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
fn images_run_as_a_user_whom_the_kubelet_can_tell_from_root() -> Result<()> {
    // Pods name none: they only insist that it is not root, which a name does not show.
    let dockerfile = read("Dockerfile")?;
    let users: Vec<&str> =
        dockerfile.lines().filter_map(|line| line.strip_prefix("USER ")).collect();
    ensure!(matches!(users[..], [user] if user.parse::<u32>()? > 0), "{users:?}");
    let of_archives = read("xtask/src/images/root.rs")?;
    ensure!(of_archives.contains(&format!("USER: &str = \"{}\";", users[0])), "{users:?}");
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
    for (value, namespace) in
        [("replicaCount=2", ""), ("watchNamespaces={shop}", " --namespace shop")]
    {
        let install = ["install", "ringcache", "--namespace", NAMESPACE, "--dry-run=client"];
        let said = tool::output(helm(&install)?.arg(chart()).args(["--set", value]))?;
        let notes = said.split_once("NOTES:").context("no notes")?.1;
        let example = notes.split_once("<<END\n").and_then(|(_, rest)| rest.split_once("\nEND\n"));
        let (example, _) = example.context("no example that a shell reads as it is printed")?;
        ensure!(example.lines().count() == 2, "{example}");
        valid(example, "the example in the notes")?;
        for command in ["kubectl apply", "kubectl wait", "kubectl scale"] {
            ensure!(notes.contains(&format!("{command}{namespace} ")), "{command}: {notes}");
        }
    }
    Ok(())
}

#[test]
fn who_installs_again_under_another_name_is_told_the_flag() -> Result<()> {
    let notes = |value: &str| -> Result<String> {
        let install = ["install", "ringcache", "--namespace", NAMESPACE, "--dry-run=client"];
        let said = tool::output(helm(&install)?.arg(chart()).args(["--set", value]))?;
        Ok(said.split_once("NOTES:").context("no notes")?.1.to_owned())
    };
    ensure!(notes("crds.keep=true")?.contains("--take-ownership"));
    for value in ["crds.keep=false", "crds.enabled=false"] {
        ensure!(
            !notes(value)?.contains("--take-ownership"),
            "{value}: no definition is left behind"
        );
    }
    let apply = "kubectl apply --server-side --filename crds/cacheclusters.ringcache.dev.yaml";
    ensure!(notes("crds.enabled=false")?.contains(apply), "without it nothing becomes ready");
    read("crds/cacheclusters.ringcache.dev.yaml")?;
    ensure!(notes("crds.keep=false")?.contains("every CacheCluster is deleted"));
    let help = tool::output(&mut helm(&["install", "--help"])?)?;
    ensure!(help.contains("--take-ownership"), "this Helm does not know the flag: {help}");
    for page in ["charts/ringcache/README.md", "docs/kubernetes.md"] {
        ensure!(read(page)?.contains("--take-ownership"), "{page}");
    }
    Ok(())
}

#[test]
fn the_first_screen_loads_every_image_before_it_installs() -> Result<()> {
    let readme = read("README.md")?;
    let block = readme.split("```sh\n").find(|block| block.starts_with("cargo xtask images"));
    let block = block.and_then(|block| block.split("```").next()).context("no such block")?;
    let (before, _) = block.split_once("helm install ").context("nothing is installed")?;
    ensure!(before.contains("kind load image-archive target/images/$image.tar"), "{block}");
    let images = before.split_once("for image in ").and_then(|(_, rest)| rest.split_once(';'));
    let images: BTreeSet<&str> = images.context("no loop over the images")?.0.split(' ').collect();
    let values: Value = serde_saphyr::from_str(&read("charts/ringcache/values.yaml")?)?;
    let wanted = ["image", "cacheImage"].map(|image| values[image]["repository"].as_str());
    ensure!(images.into_iter().map(Some).collect::<BTreeSet<_>>() == wanted.into(), "{before}");
    Ok(())
}

#[test]
fn no_sentence_goes_through_a_block_and_no_row_stands_alone() -> Result<()> {
    for page in pages()? {
        let text = read(&page)?;
        let (mut in_block, mut after_block, mut previous) = (false, false, "");
        for line in text.lines() {
            if line.trim_start().starts_with("```") {
                in_block = !in_block;
                after_block = !in_block;
            } else if !in_block && !line.is_empty() {
                let goes_on = line.starts_with(char::is_lowercase);
                ensure!(!(after_block && goes_on && previous.is_empty()), "{page}: {line}");
                let is_row = line.starts_with("| ");
                let begins = text.contains(&format!("{line}\n| ---"));
                ensure!(!is_row || previous.starts_with("| ") || begins, "{page}: {line}");
                after_block = false;
            }
            previous = line;
        }
    }
    Ok(())
}

/// Fails unless `text` is a `CacheCluster` that the operator would carry out.
pub(crate) fn valid(text: &str, place: &str) -> Result<()> {
    let cluster = parse_yaml(text).with_context(|| place.to_owned())?;
    if let Err(problems) = ringcache_operator_core::validate(&cluster) {
        anyhow::bail!("{place}: {problems:?}");
    }
    Ok(())
}

/// The manifests among the examples.
pub(crate) fn examples() -> Result<Vec<PathBuf>> {
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

/// The kind that a manifest states.
fn kind(text: &str) -> Result<String> {
    let manifest: Value = serde_saphyr::from_str(text)?;
    Ok(manifest["kind"].as_str().context("a kind")?.to_owned())
}

#[test]
fn every_example_is_valid_listed_and_named_like_its_file() -> Result<()> {
    let readme = read("examples/README.md")?;
    let mut kinds = BTreeSet::new();
    let mut clusters = 0;
    for path in examples()? {
        let text = std::fs::read_to_string(&path)?;
        let name = path.file_stem().context("stem")?.to_string_lossy().into_owned();
        ensure!(readme.contains(&format!("[{name}.yaml]({name}.yaml)")), "{name} is not listed");
        let kind = kind(&text)?;
        if kind == "CacheCluster" {
            valid(&text, &path.display().to_string())?;
            let cluster = parse_yaml(&text)?;
            ensure!(cluster.metadata.name.as_deref() == Some(&*name), "{name}");
            clusters += 1;
        } else {
            let checked = against_schemas(&text)?;
            let unknown = checked.map_err(|problems| anyhow::anyhow!("{name}: {problems}"))?;
            ensure!(unknown == "kinds without a schema:", "{name}: {unknown}");
        }
        kinds.insert(kind);
    }
    ensure!(clusters >= 4, "{clusters}");
    for kind in ["Deployment", "HorizontalPodAutoscaler", "NetworkPolicy"] {
        ensure!(kinds.contains(kind), "no example of a {kind}");
    }
    Ok(())
}

#[test]
fn what_stands_beside_a_cache_names_caches_and_ports_that_exist() -> Result<()> {
    let name = |file: &str| -> Result<String> {
        let cluster = parse_yaml(&read(file)?)?;
        cluster.metadata.name.context("a name")
    };
    let (sessions, api) = (name("examples/sessions.yaml")?, name("examples/api-cache.yaml")?);
    let application: Value = serde_saphyr::from_str(&read("examples/application.yaml")?)?;
    let container = &application["spec"]["template"]["spec"]["containers"][0];
    ensure!(container["env"][0]["value"] == format!("redis://{sessions}:6379"), "{container}");
    let autoscaler: Value = serde_saphyr::from_str(&read("examples/autoscaler.yaml")?)?;
    let target = &autoscaler["spec"]["scaleTargetRef"];
    ensure!(target["name"] == api && target["kind"] == "CacheCluster", "{target}");
    let cluster: Value = serde_saphyr::from_str(&read("examples/api-cache.yaml")?)?;
    ensure!(target["apiVersion"] == cluster["apiVersion"], "{target}");
    let bounds = ["minReplicas", "maxReplicas"].map(|bound| autoscaler["spec"][bound].as_i64());
    let [Some(least), Some(most)] = bounds else { anyhow::bail!("{bounds:?}") };
    let allowed = i64::from(MIN_NODES)..=i64::from(MAX_NODES);
    ensure!(allowed.contains(&least) && allowed.contains(&most), "{least} to {most}");
    Ok(())
}

/// Every page that people read, by its path in the workspace.
pub(crate) fn pages() -> Result<Vec<String>> {
    let mut pages: Vec<String> =
        ["README.md", "ARCHITECTURE.md", "charts/ringcache/README.md", "examples/README.md"]
            .map(str::to_owned)
            .into();
    for page in std::fs::read_dir(tool::workspace().join("docs"))? {
        let page = page?;
        // Pictures have a folder of their own.
        if page.file_type()?.is_file() {
            pages.push(format!("docs/{}", page.file_name().to_string_lossy()));
        }
    }
    pages.sort();
    Ok(pages)
}

/// The name by which a link reaches a heading, as forges make it.
fn anchor(heading: &str) -> String {
    let letters = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = letters.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn every_link_of_a_page_leads_to_a_file_and_a_heading_that_exist() -> Result<()> {
    let mut links = 0;
    for page in pages()? {
        let text = read(&page)?;
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.contains("://") || target.contains(char::is_whitespace) {
                continue;
            }
            let (path, heading) = target.split_once('#').unwrap_or((target, ""));
            let folder = std::path::Path::new(&page).parent().unwrap_or(std::path::Path::new(""));
            let file = if path.is_empty() { page.clone().into() } else { folder.join(path) };
            ensure!(tool::workspace().join(&file).exists(), "{page}: {target}");
            if !heading.is_empty() {
                let text = read(&file.to_string_lossy())?;
                let mut headings = text.lines().filter(|line| line.starts_with('#')).map(anchor);
                ensure!(headings.any(|name| name == heading), "{page}: no heading for {target}");
            }
            links += 1;
        }
    }
    ensure!(links > 50, "{links} links");
    Ok(())
}

#[test]
fn the_index_of_the_docs_has_every_page() -> Result<()> {
    let index = read("docs/README.md")?;
    for page in pages()? {
        // The index itself, and the page that a long run writes.
        let is_listed = |name: &&str| !["README.md", "soak.md"].contains(name);
        if let Some(name) = page.strip_prefix("docs/").filter(is_listed) {
            ensure!(index.contains(&format!("]({name})")), "docs/README.md has no link to {name}");
        }
    }
    Ok(())
}

#[test]
fn pages_about_monitoring_and_troubles_name_metrics_that_exist() -> Result<()> {
    const PAGES: [&str; 4] = [
        "charts/ringcache/alerts.yaml",
        "docs/monitoring.md",
        "docs/troubleshooting.md",
        "docs/sizing.md",
    ];
    // Both tables are compared with the code.
    let tables = format!("{}{}", read("docs/metrics.md")?, read("docs/operator.md")?);
    let families = ["ringcache_", "controller_runtime_", "leader_election_", "rest_client_"];
    let mut seen = BTreeSet::new();
    for page in PAGES {
        let text = read(page)?;
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        // A label that Prometheus makes of a pod's.
        for word in text.split(|c| !is_name(c)).filter(|word| *word != "ringcache_dev_cluster") {
            if families.iter().any(|family| word.starts_with(family)) {
                let word = word.strip_suffix("_bucket").unwrap_or(word);
                ensure!(tables.contains(&format!("| `{word}` |")), "{page}: {word}");
                seen.insert(word.to_owned());
            }
        }
    }
    ensure!(seen.len() >= 15, "{seen:?}");
    Ok(())
}

#[test]
fn alerts_ask_for_the_operators_own_series_of_names_that_others_have_too() -> Result<()> {
    let rules = read("charts/ringcache/alerts.yaml")?;
    let lines = rules.lines().filter(|line| !line.trim_start().starts_with('#'));
    let mut seen = 0;
    for line in lines {
        for family in ["controller_runtime_", "leader_election_"] {
            for (at, _) in line.match_indices(family) {
                let rest =
                    line[at..].trim_start_matches(|c: char| c.is_ascii_lowercase() || c == '_');
                ensure!(rest.starts_with('{'), "other controllers have it, too: {line}");
                seen += 1;
            }
        }
    }
    ensure!(seen >= 2, "{seen} of them");
    Ok(())
}

#[test]
fn every_block_of_yaml_on_a_page_can_be_read() -> Result<()> {
    let mut blocks = 0;
    for page in pages()? {
        for block in read(&page)?.split("```yaml\n").skip(1) {
            let block = block.split("```").next().unwrap_or_default();
            serde_saphyr::from_str::<Value>(block).with_context(|| format!("{page}:\n{block}"))?;
            blocks += 1;
        }
    }
    ensure!(blocks >= 8, "{blocks}");
    Ok(())
}
