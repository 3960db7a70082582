//! What a spec adds to its pods, as Kubernetes understands it.
//!
//! The API server keeps it as it was written and judges none of it before a pod is created from it. Read here, a misspelt field is
//! named while the cluster goes on as before; left to the pods, it would be dropped without a word.

use k8s_openapi::api::core::v1::{
    Affinity, Container, EnvVar, HostAlias, PodDNSConfig, Volume, VolumeMount,
};
use ringcache_api::cluster::PodAdditions;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// The additions whose content is Kubernetes' own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Additions {
    /// Affinity and anti-affinity.
    pub affinity: Option<Affinity>,
    /// What the resolver is told.
    pub dns_config: Option<PodDNSConfig>,
    /// Lines of the hosts file.
    pub host_aliases: Vec<HostAlias>,
    /// Environment variables of the cache node's container.
    pub env: Vec<EnvVar>,
    /// Volumes.
    pub volumes: Vec<Volume>,
    /// Where they appear in the cache node's container.
    pub volume_mounts: Vec<VolumeMount>,
    /// Containers before the cache node's.
    pub init_containers: Vec<Container>,
    /// Containers beside it.
    pub containers: Vec<Container>,
}

/// What of the additions cannot be read.
pub(crate) struct Unreadable {
    /// The field.
    pub(crate) field: &'static str,
    /// Which element of it, if it is a list.
    pub(crate) index: Option<usize>,
    /// Why.
    pub(crate) why: String,
}

impl Additions {
    /// What a spec adds. What cannot be read is left out: a spec that is carried out has been judged, if need be by an operator that
    /// knew more.
    pub fn of(pod: &PodAdditions) -> Self {
        Self::read(pod).0
    }

    /// The same, and what cannot be read.
    pub(crate) fn read(pod: &PodAdditions) -> (Self, Vec<Unreadable>) {
        // Without `..`: a new addition that nobody reads does not compile. The others are plain words.
        let PodAdditions {
            affinity,
            scheduler_name: _,
            runtime_class_name: _,
            service_account_name: _,
            dns_policy: _,
            dns_config,
            host_aliases,
            env,
            volumes,
            volume_mounts,
            init_containers,
            containers,
        } = pod;
        let mut unreadable = Vec::new();
        let additions = Self {
            affinity: one("spec.pod.affinity", affinity.as_ref(), &mut unreadable),
            dns_config: one("spec.pod.dnsConfig", dns_config.as_ref(), &mut unreadable),
            host_aliases: all("spec.pod.hostAliases", host_aliases, &mut unreadable),
            env: all("spec.pod.env", env, &mut unreadable),
            volumes: all("spec.pod.volumes", volumes, &mut unreadable),
            volume_mounts: all("spec.pod.volumeMounts", volume_mounts, &mut unreadable),
            init_containers: all("spec.pod.initContainers", init_containers, &mut unreadable),
            containers: all("spec.pod.containers", containers, &mut unreadable),
        };
        (additions, unreadable)
    }
}

fn all<T: DeserializeOwned + Serialize>(
    field: &'static str,
    values: &[Value],
    unreadable: &mut Vec<Unreadable>,
) -> Vec<T> {
    let values = values.iter().enumerate();
    values.filter_map(|(index, value)| read(field, Some(index), value, unreadable)).collect()
}

fn one<T: DeserializeOwned + Serialize>(
    field: &'static str,
    value: Option<&Value>,
    unreadable: &mut Vec<Unreadable>,
) -> Option<T> {
    read(field, None, value?, unreadable)
}

fn read<T: DeserializeOwned + Serialize>(
    field: &'static str,
    index: Option<usize>,
    value: &Value,
    unreadable: &mut Vec<Unreadable>,
) -> Option<T> {
    let read = T::deserialize(value).map_err(|error| error.to_string());
    let read = read.and_then(|typed| match unknown(value, &json!(typed), "") {
        Some(path) => Err(format!("`{path}` is unknown")),
        None => Ok(typed),
    });
    read.map_err(|why| unreadable.push(Unreadable { field, index, why })).ok()
}

/// The first field of what was written that did not survive being read.
fn unknown(written: &Value, read: &Value, path: &str) -> Option<String> {
    match (written, read) {
        (Value::Object(written), Value::Object(read)) => {
            let said = written.iter().filter(|(_, value)| !value.is_null());
            said.map(|(name, value)| (join(path, name), value, read.get(name))).find_map(
                |(path, value, read)| match read {
                    Some(read) => unknown(value, read, &path),
                    None => Some(path),
                },
            )
        }
        (Value::Array(written), Value::Array(read)) => {
            let mut elements = written.iter().zip(read).enumerate();
            elements
                .find_map(|(i, (written, read))| unknown(written, read, &format!("{path}[{i}]")))
        }
        _ => None,
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
