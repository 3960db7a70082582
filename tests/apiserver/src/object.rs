//! One stored version of an object: its JSON, who owns its fields, and its bytes as they go out.

use std::sync::OnceLock;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::fields::Managers;
use crate::kind::Kind;
use crate::managed;

/// One version of an object. Never changes; the next version is another one.
#[derive(Debug)]
pub struct Object {
    value: Value,
    pub(crate) managers: Managers,
    json: OnceLock<Bytes>,
    partial: OnceLock<Bytes>,
}

impl Object {
    pub(crate) fn new(value: Value, managers: Managers) -> Self {
        Self { value, managers, json: OnceLock::new(), partial: OnceLock::new() }
    }

    /// The same with another resourceVersion.
    pub(crate) fn at_version(&self, revision: u64) -> Self {
        let mut value = self.value.clone();
        metadata_mut(&mut value).insert("resourceVersion".to_owned(), revision.to_string().into());
        Self::new(value, self.managers.clone())
    }

    /// The object, without `metadata.managedFields`.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The object as clients read it.
    pub(crate) fn json(&self) -> Bytes {
        self.json.get_or_init(|| self.render(self.value.clone())).clone()
    }

    /// Its metadata as clients read it that ask for nothing else.
    pub(crate) fn partial(&self) -> Bytes {
        let metadata = || {
            json!({
                "kind": "PartialObjectMetadata",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": self.value["metadata"],
            })
        };
        self.partial.get_or_init(|| self.render(metadata())).clone()
    }

    fn render(&self, mut value: Value) -> Bytes {
        let entries = managed::render(&self.managers, &self.value["apiVersion"]);
        if !entries.is_empty() {
            value["metadata"]["managedFields"] = entries.into();
        }
        Bytes::from(value.to_string())
    }
}

/// Text at a JSON pointer; empty if there is none.
pub(crate) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

pub(crate) fn uid(object: &Value) -> &str {
    text(object, "/metadata/uid")
}

pub(crate) fn version(object: &Value) -> &str {
    text(object, "/metadata/resourceVersion")
}

pub(crate) fn is_deleting(object: &Value) -> bool {
    !object["metadata"]["deletionTimestamp"].is_null()
}

pub(crate) fn finalizers(object: &Value) -> Vec<&str> {
    let list = object.pointer("/metadata/finalizers").and_then(Value::as_array);
    list.map(|list| list.iter().filter_map(Value::as_str).collect()).unwrap_or_default()
}

/// Seconds that a deletion still waits for, once it has begun.
pub(crate) fn deletion_grace(object: &Value) -> u64 {
    object.pointer("/metadata/deletionGracePeriodSeconds").and_then(Value::as_u64).unwrap_or(0)
}

/// The metadata as a map; made if it is missing.
pub(crate) fn metadata_mut(object: &mut Value) -> &mut Map<String, Value> {
    as_map(&mut object["metadata"])
}

/// The value as a map; whatever else it was is forgotten.
pub(crate) fn as_map(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    match value {
        Value::Object(map) => map,
        _ => unreachable!("it was just made a map"),
    }
}

/// Takes over a member of another object: set if it is there, removed if it is not.
pub(crate) fn copy_member(to: &mut Map<String, Value>, from: &Value, name: &str) {
    match from.get(name) {
        Some(value) => to.insert(name.to_owned(), value.clone()),
        None => to.remove(name),
    };
}

/// Sets kind and apiVersion, as every stored object has them.
pub(crate) fn set_type(object: &mut Value, kind: Kind) {
    object["apiVersion"] = kind.api_version().into();
    object["kind"] = kind.name().into();
}
