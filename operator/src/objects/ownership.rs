//! What goes from an object when a later operator does not render it any more.
//!
//! Objects are created by a POST, which never overwrites, and changed by server-side apply, which removes what its manager
//! applied before and applies no more. To the server these are two owners: a port or a label that came with the POST would stay
//! for ever. So before an object is applied all that the operator owns of it is made to count as applied; and a mark says what
//! it was last rendered as, because a surplus cannot be told from what the server or others have added.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry, ObjectMeta};
use kube::{Resource, ResourceExt as _};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::fingerprint::short;
use super::meta::FIELD_MANAGER;

/// Annotation of a Service or disruption budget: a short name for what it was rendered as.
pub const RENDERED: &str = "ringcache.dev/rendered";

/// The rendered object with its mark.
pub fn marked<K: Resource + Clone + Serialize>(mut object: K) -> K {
    // Of a rendering, whoever owns it: the uid says nothing about how an object looks.
    let mut anonymous = object.clone();
    for owner in anonymous.owner_references_mut() {
        owner.uid.clear();
    }
    // By way of a value, whose keys are sorted.
    let mark = short(Sha256::new().chain_update(json!(anonymous).to_string()));
    object.annotations_mut().insert(RENDERED.to_owned(), mark);
    object
}

/// Whether the live object was last written as what is wanted now: what differs then is somebody else's doing.
pub fn is_same_rendering(live: &ObjectMeta, wanted: &ObjectMeta) -> bool {
    let mark = |meta: &ObjectMeta| meta.annotations.as_ref()?.get(RENDERED).cloned();
    mark(live) == mark(wanted)
}

/// A merge patch after which everything that the operator owns of the object counts as applied; `None` if it does already.
pub fn claim(live: &ObjectMeta) -> Option<Value> {
    let is_ours = |entry: &ManagedFieldsEntry| {
        entry.manager.as_deref() == Some(FIELD_MANAGER) && entry.subresource.is_none()
    };
    let entries = live.managed_fields.iter().flatten().cloned();
    let (ours, mut entries): (Vec<_>, Vec<_>) = entries.partition(is_ours);
    let created = ours.iter().find(|entry| entry.operation.as_deref() == Some("Update"))?;
    let mut fields = json!({});
    for FieldsV1(more) in ours.iter().filter_map(|entry| entry.fields_v1.as_ref()) {
        unite(&mut fields, more);
    }
    entries.push(ManagedFieldsEntry {
        operation: Some("Apply".to_owned()),
        fields_v1: Some(FieldsV1(fields)),
        ..created.clone()
    });
    // The version too: what somebody writes in between would lose its owner.
    let ObjectMeta { uid, resource_version, .. } = live;
    let metadata =
        json!({ "uid": uid, "resourceVersion": resource_version, "managedFields": entries });
    Some(json!({ "metadata": metadata }))
}

/// Sets of fields are trees of maps.
fn unite(fields: &mut Value, more: &Value) {
    let (Value::Object(fields), Value::Object(more)) = (fields, more) else { return };
    for (step, below) in more {
        unite(fields.entry(step.clone()).or_insert_with(|| json!({})), below);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(manager: &str, operation: &str, fields: &Value) -> Value {
        json!({
            "manager": manager, "operation": operation, "apiVersion": "v1",
            "fieldsType": "FieldsV1", "fieldsV1": fields,
        })
    }

    fn live(entries: &[Value]) -> ObjectMeta {
        serde_json::from_value(json!({
            "uid": "u", "resourceVersion": "7", "managedFields": entries,
        }))
        .unwrap()
    }

    #[test]
    fn what_was_created_and_what_was_applied_become_one() {
        let theirs = entry("kubectl", "Update", &json!({"f:spec": {"f:c": {}}}));
        let live = live(&[
            entry(FIELD_MANAGER, "Apply", &json!({"f:spec": {"f:a": {}, "f:b": {".": {}}}})),
            theirs.clone(),
            entry(FIELD_MANAGER, "Update", &json!({"f:spec": {"f:b": {"f:x": {}}, "f:d": {}}})),
        ]);
        let fields = json!({"f:spec": {"f:a": {}, "f:b": {".": {}, "f:x": {}}, "f:d": {}}});
        let expected = json!({"metadata": {
            "uid": "u", "resourceVersion": "7",
            "managedFields": [theirs, entry(FIELD_MANAGER, "Apply", &fields)],
        }});
        assert_eq!(claim(&live), Some(expected));
    }

    #[test]
    fn who_has_only_applied_claims_nothing() {
        let mut status = entry(FIELD_MANAGER, "Update", &json!({"f:status": {}}));
        status["subresource"] = json!("status");
        let applied = entry(FIELD_MANAGER, "Apply", &json!({"f:spec": {}}));
        assert_eq!(claim(&live(&[applied, status])), None);
        assert_eq!(claim(&ObjectMeta::default()), None);
    }
}
