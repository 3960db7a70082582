//! A short name for everything in a spec that only a new pod can take on, besides its memory and image.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use ringcache_api::CacheClusterSpec;
use ringcache_api::cluster::{PodAdditions, Resources, Scheduling};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// How the fingerprint names the most that a node may use of a CPU.
pub const CPU_LIMIT: &str = "resources.cpuLimit";
/// How the fingerprint names what a node asks for of a CPU.
pub const CPU_REQUEST: &str = "resources.cpuRequest";

/// Fields of a spec that differ from their defaults, each with a short name for its value.
pub type Fields = BTreeMap<String, String>;

/// The fingerprint of what `spec` wants of pods.
///
/// It is made from the spec, never from the rendered pod: an operator that renders pods differently after an upgrade would
/// otherwise restart every node of every cluster. For the same reason fields that have their default value are left out:
/// a field that a later version adds changes no fingerprint until somebody uses it.
pub fn fingerprint(spec: &CacheClusterSpec) -> String {
    let mut hash = Sha256::new();
    for (path, value) in leaves(spec).values().flatten() {
        hash.update(format!("{path}={value}\n"));
    }
    short(hash)
}

/// The same field by field, so that an operator of another version can leave out those that it does not know.
pub fn fields(spec: &CacheClusterSpec) -> Fields {
    let name = |leaves: &Leaves| {
        let hash = leaves.iter().fold(Sha256::new(), |hash, (path, value)| {
            hash.chain_update(format!("{path}={value}\n"))
        });
        short(hash)
    };
    let fields = leaves(spec);
    let used = fields.into_iter().filter(|(_, leaves)| !leaves.is_empty());
    used.map(|(field, leaves)| (field.to_owned(), name(&leaves))).collect()
}

/// Whether a pod with these fields is what `spec` wants, as far as this operator knows the fields. An older operator would
/// otherwise replace every pod that makes use of a newer field, and the newer one would put them back. Those in `same` are as
/// they are wanted, in whichever words: of a `cpuRequest` of `1000m` that becomes `1` no pod need know.
pub fn fits(fields: &Fields, spec: &CacheClusterSpec, same: &[&str]) -> bool {
    let judged = inputs(spec).map(|(field, _)| field).into_iter();
    let judged: Vec<&str> = judged.filter(|field| !same.contains(field)).collect();
    let judged = |(field, _): &(&String, &String)| judged.contains(&field.as_str());
    fields.iter().filter(judged).eq(self::fields(spec).iter().filter(judged))
}

/// What is fingerprinted, by field and in the order of their names.
fn inputs(spec: &CacheClusterSpec) -> [(&'static str, Value); 20] {
    // Without `..`: whoever adds a field must say here whether it takes a new pod.
    let CacheClusterSpec {
        nodes: _,
        autoscaling: _,
        memory: _,
        ttl: _,
        paused: _,
        image: _,
        image_pull_secret_names,
        resources: Resources { cpu_request, cpu_limit },
        scheduling:
            Scheduling { node_selector, tolerations, zone_spread, host_spread, priority_class_name },
        pod:
            PodAdditions {
                affinity,
                scheduler_name,
                runtime_class_name,
                service_account_name,
                dns_policy,
                dns_config,
                host_aliases,
                env,
                volumes,
                volume_mounts,
                init_containers,
                containers,
            },
        service: _,
        disruption: _,
        inherit: _,
    } = spec;
    [
        ("imagePullSecretNames", json!(image_pull_secret_names)),
        ("pod.affinity", exact(affinity.as_ref())),
        ("pod.containers", exact(some(containers))),
        ("pod.dnsConfig", exact(dns_config.as_ref())),
        ("pod.dnsPolicy", json!(dns_policy)),
        ("pod.env", exact(some(env))),
        ("pod.hostAliases", exact(some(host_aliases))),
        ("pod.initContainers", exact(some(init_containers))),
        ("pod.runtimeClassName", json!(runtime_class_name)),
        ("pod.schedulerName", json!(scheduler_name)),
        ("pod.serviceAccountName", json!(service_account_name)),
        ("pod.volumeMounts", exact(some(volume_mounts))),
        ("pod.volumes", exact(some(volumes))),
        (CPU_LIMIT, json!(cpu_limit)),
        (CPU_REQUEST, json!(cpu_request)),
        ("scheduling.hostSpread", json!(host_spread)),
        ("scheduling.nodeSelector", json!(node_selector)),
        ("scheduling.priorityClassName", json!(priority_class_name)),
        ("scheduling.tolerations", json!(tolerations)),
        ("scheduling.zoneSpread", json!(zone_spread)),
    ]
}

/// Content that is Kubernetes' own, as one text: an empty object there may say something, as a selector of everything does.
fn exact(content: Option<impl Serialize>) -> Value {
    json!(content.map(|content| json!(content).to_string()))
}

/// An empty list is as good as none.
fn some(list: &[Value]) -> Option<&[Value]> {
    Some(list).filter(|list| !list.is_empty())
}

/// A name of twelve hex characters.
pub(super) fn short(hash: Sha256) -> String {
    let digest = hash.finalize();
    digest.iter().take(6).fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// Values with their paths, in an order that does not depend on how maps are kept.
type Leaves = BTreeMap<String, String>;

/// The values of each field that are not the default ones.
fn leaves(spec: &CacheClusterSpec) -> BTreeMap<&'static str, Leaves> {
    fn all((field, value): (&'static str, Value)) -> (&'static str, Leaves) {
        let path = field.split('.').fold(String::new(), |path, name| format!("{path}/{name:?}"));
        let mut leaves = Leaves::new();
        collect(&path, &value, &mut leaves);
        (field, leaves)
    }
    static DEFAULT: LazyLock<BTreeMap<&str, Leaves>> =
        LazyLock::new(|| BTreeMap::from(inputs(&CacheClusterSpec::default()).map(all)));
    let mut fields = BTreeMap::from(inputs(spec).map(all));
    for (field, leaves) in &mut fields {
        let default = DEFAULT.get(field);
        leaves.retain(|path, value| default.and_then(|default| default.get(path)) != Some(value));
    }
    fields
}

fn collect(path: &str, value: &Value, leaves: &mut BTreeMap<String, String>) {
    match value {
        Value::Null => {}
        Value::Object(map) => {
            map.iter().for_each(|(key, value)| collect(&format!("{path}/{key:?}"), value, leaves));
        }
        Value::Array(items) => {
            let items = items.iter().enumerate();
            items.for_each(|(i, value)| collect(&format!("{path}/{i}"), value, leaves));
        }
        scalar => {
            leaves.insert(path.to_owned(), scalar.to_string());
        }
    }
}
