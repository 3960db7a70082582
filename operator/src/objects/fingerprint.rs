//! A short name for everything in a spec that only a new pod can take on, besides its memory and image.

use std::collections::BTreeMap;

use ringcache_api::CacheClusterSpec;
use ringcache_api::cluster::{Resources, Scheduling};
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// What is fingerprinted.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Inputs<'a> {
    image_pull_secret_names: &'a [String],
    resources: Resources,
    scheduling: Scheduling,
}

/// The fingerprint of what `spec` wants of pods.
///
/// It is made from the spec, never from the rendered pod: an operator that renders pods differently after an upgrade would
/// otherwise restart every node of every cluster. For the same reason fields that have their default value are left out:
/// a field that a later version adds changes no fingerprint until somebody uses it.
pub fn fingerprint(spec: &CacheClusterSpec) -> String {
    // Without `..`: whoever adds a field must say here whether it takes a new pod.
    let CacheClusterSpec {
        nodes: _,
        memory: _,
        ttl: _,
        paused: _,
        image: _,
        image_pull_secret_names,
        resources,
        scheduling,
        inherit: _,
    } = spec;
    let inputs = Inputs {
        image_pull_secret_names,
        resources: resources.clone(),
        scheduling: scheduling.clone(),
    };
    let default = leaves(&Inputs::default());
    let mut leaves = leaves(&inputs);
    leaves.retain(|path, value| default.get(path) != Some(value));
    let mut hash = Sha256::new();
    for (path, value) in &leaves {
        hash.update(format!("{path}={value}\n"));
    }
    short(hash)
}

/// A name of twelve hex characters.
pub(super) fn short(hash: Sha256) -> String {
    let digest = hash.finalize();
    digest.iter().take(6).fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// Every value with its path, in an order that does not depend on how maps are kept.
fn leaves(inputs: &Inputs<'_>) -> BTreeMap<String, String> {
    let mut leaves = BTreeMap::new();
    collect("", &serde_json::to_value(inputs).unwrap_or_default(), &mut leaves);
    leaves
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
