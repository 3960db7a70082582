//! Chart, examples and the schema, as the real API server takes them.

use std::fs;

use anyhow::{Context, Result, ensure};
use hyper::Request;
use kube::Resource as _;
use ringcache_api::CacheCluster;
use ringcache_e2e::world::{SYSTEM, workspace};
use ringcache_e2e::{Namespace, Turn, View, World, operator};
use ringcache_lab::{output, output_with_input};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Table {
    good: Vec<Value>,
    bad: Vec<Bad>,
}

#[derive(Deserialize)]
struct Bad {
    name: Option<String>,
    /// What the spec is changed from, if only the change is bad.
    old: Option<Value>,
    #[serde(default)]
    spec: Value,
    problems: Vec<Problem>,
}

#[derive(Debug, Deserialize)]
struct Problem {
    by: String,
    field: String,
    message: String,
}

fn table() -> Result<Table> {
    let file = workspace().join("api/tests/specs.yaml");
    Ok(serde_saphyr::from_str(&fs::read_to_string(file)?)?)
}

#[test]
fn good_specs_are_accepted() -> Result<()> {
    let namespace = Namespace::create("good-specs", Turn::Shared)?;
    let specs = table()?.good;
    let resources: Vec<Value> =
        specs.iter().enumerate().map(|(n, spec)| resource(&format!("good-{n}"), spec)).collect();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": resources});
    let mut kubectl = namespace.world().lab.command("kubectl");
    let create = ["create", "--dry-run=server", "--filename=-", "--namespace", namespace.name()];
    let answer = output_with_input(kubectl.args(create), &list.to_string())?;
    ensure!(answer.lines().count() == specs.len(), "{answer}");
    namespace.finish()
}

#[test]
fn bad_specs_are_refused_in_the_words_of_the_table() -> Result<()> {
    let namespace = Namespace::create("bad-specs", Turn::Shared)?;
    for (n, Bad { name, old, spec, problems }) in table()?.bad.into_iter().enumerate() {
        let refused: Vec<&Problem> = problems.iter().filter(|p| p.by != "operator").collect();
        let name = name.unwrap_or_else(|| format!("bad-{n}"));
        let answer = match &old {
            None => create(&namespace, &name, &spec),
            Some(old) => change(&namespace, &name, old, &spec),
        };
        if refused.is_empty() {
            ensure!(answer.is_ok(), "{name} {spec}: {answer:?}");
            continue;
        }
        let Err(error) = answer else { anyhow::bail!("{name} {spec} was accepted") };
        let error = error.to_string();
        for Problem { by, field, message } in refused {
            // What a bound of the schema says is up to the server.
            let words = if by == "cel" { message } else { field };
            ensure!(error.contains(words.as_str()), "{name} {spec}: no `{words}` in {error}");
        }
    }
    ensure!(namespace.kubectl(&["get", "cacheclusters", "-o", "name"])?.is_empty());
    namespace.finish()
}

/// What `kubectl replace --dry-run=server` asks for, of a cluster that is there for a moment.
fn change(namespace: &Namespace, name: &str, old: &Value, spec: &Value) -> Result<()> {
    let clusters = CacheCluster::url_path(&(), Some(namespace.name()));
    let world = namespace.world();
    let send = |method: &str, path: &str, body: &Value| -> Result<Value> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{clusters}{path}"))
            .header("Content-Type", "application/json")
            .body(body.to_string().into_bytes())?;
        Ok(world.block_on(world.client.request(request))?)
    };
    let mut cluster = send("POST", "", &resource(name, old))?;
    for (field, value) in spec.as_object().into_iter().flatten() {
        cluster["spec"][field] = value.clone();
    }
    let answer = send("PUT", &format!("/{name}?dryRun=All"), &cluster);
    send("DELETE", &format!("/{name}"), &json!({}))?;
    answer.map(drop)
}

/// What `kubectl create --dry-run=server` asks for, without starting it dozens of times.
fn create(namespace: &Namespace, name: &str, spec: &Value) -> Result<()> {
    let clusters = CacheCluster::url_path(&(), Some(namespace.name()));
    let request = Request::post(format!("{clusters}?dryRun=All&fieldValidation=Strict"))
        .header("Content-Type", "application/json")
        .body(resource(name, spec).to_string().into_bytes())?;
    let world = namespace.world();
    let _created: Value = world.block_on(world.client.request(request))?;
    Ok(())
}

fn resource(name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "ringcache.dev/v1alpha1",
        "kind": "CacheCluster",
        "metadata": {"name": name},
        "spec": if spec.is_null() { json!({}) } else { spec.clone() },
    })
}

#[test]
fn every_example_passes_a_dry_run_of_the_server() -> Result<()> {
    let namespace = Namespace::create("examples", Turn::Shared)?;
    let mut examples = 0;
    for entry in fs::read_dir(workspace().join("examples"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let file = path.display().to_string();
            namespace.kubectl(&["apply", "--dry-run=server", "--filename", &file])?;
            examples += 1;
        }
    }
    ensure!(examples >= 4, "{examples} examples");
    namespace.finish()
}

#[test]
fn the_manifests_for_those_without_helm_pass_a_dry_run_of_the_server() -> Result<()> {
    let _turn = Turn::Shared.take();
    let world = World::get()?;
    let mut dist = world.lab.command("cargo");
    println!("{}", output(dist.args(["xtask", "dist"]).current_dir(workspace()))?);
    let manifest = workspace().join("dist/ringcache.yaml").display().to_string();
    // Here they meet what Helm has installed: whose fields they are is not the question.
    let apply = ["apply", "--server-side", "--force-conflicts", "--dry-run=server"];
    let answer = world.lab.kubectl(&[&apply[..], &["--filename", &manifest]].concat())?;
    ensure!(answer.contains("deployment.apps/ringcache-operator serverside-applied"), "{answer}");
    Ok(())
}

#[test]
fn the_release_passes_its_own_test() -> Result<()> {
    let _turn = Turn::Shared.take();
    World::get()?.test_release()
}

#[test]
fn an_upgrade_of_the_chart_restarts_operators_and_no_cache() -> Result<()> {
    let namespace = Namespace::create("upgrade", Turn::Alone)?;
    let world = namespace.world();
    let cluster = namespace.serving("web", 2, "{nodes: 2, memory: 64Mi}")?;
    let before = cluster.view()?;
    let started = |world| -> Result<Vec<_>> {
        Ok(operator::wait_running(world, 2)?.into_iter().map(|pod| pod.metadata.uid).collect())
    };
    let operators = started(world)?;
    let changes = ["--set=cacheImage.tag=other", "--set=log.level=debug"];
    let upgraded = world.upgrade(&changes).and_then(|()| {
        ensure!(started(world)?.iter().all(|uid| !operators.contains(uid)), "no new operators");
        // The new operator has seen the cluster once it has done something to it.
        let leader = operator::leader(world)?;
        let image = cache_image(world)?;
        println!("{:?} leads, image of new clusters: {image}", leader.metadata.name);
        ensure!(image.ends_with(":other"), "{image}");
        cluster.patch(&json!({"ttl": {"defaultSeconds": 60}}))?;
        let after = cluster.wait_settled(2)?;
        ensure!(after.uids() == before.uids(), "pods were replaced");
        let (before, after) = (containers(&before), containers(&after));
        ensure!(after == before, "containers were restarted: {before:?}, then {after:?}");
        Ok(())
    });
    // Whatever became of it: other tests need an operator that starts nodes.
    world.upgrade(&["--reset-values"])?;
    upgraded?;
    namespace.finish()
}

/// Id of each container, which a restart changes, and how often it was restarted. The rest of their statuses is the kubelet's,
/// which completes it when it gets round to it.
fn containers(view: &View) -> Vec<(Option<String>, i32)> {
    let statuses = view.pods.iter().filter_map(|pod| pod.status.as_ref());
    let containers = statuses.flat_map(|status| status.container_statuses.iter().flatten());
    containers.map(|status| (status.container_id.clone(), status.restart_count)).collect()
}

/// The flag of the installed Deployment.
fn cache_image(world: &World) -> Result<String> {
    let what = ["get", "deployment", "ringcache-operator", "--namespace", SYSTEM];
    let path = "jsonpath={.spec.template.spec.containers[0].args}";
    let args = world.lab.kubectl(&[&what[..], &["--output", path]].concat())?;
    let args: Vec<String> = serde_json::from_str(&args)?;
    let image = args.iter().find_map(|arg| arg.strip_prefix("--cache-image="));
    Ok(image.with_context(|| format!("{args:?}"))?.to_owned())
}

#[test]
fn helm_finds_no_fault_with_the_chart() -> Result<()> {
    let chart = workspace().join("charts/ringcache");
    let _turn = Turn::Shared.take();
    let mut helm = World::get()?.lab.command("helm");
    println!("{}", output(helm.args(["lint", "--strict"]).arg(chart))?);
    Ok(())
}
