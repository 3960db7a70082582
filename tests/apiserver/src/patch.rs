//! Merge patch and server-side apply.

use std::sync::Arc;

use serde_json::Value;

use crate::admission::refuse_unknown;
use crate::apply;
use crate::fields::{Managers, Operation, fields_of};
use crate::handle::owner;
use crate::kind::Kind;
use crate::object::{Object, as_map, metadata_mut, text, uid};
use crate::request::Request;
use crate::shape;
use crate::status::{Refusal, apply_conflict, bad_request, conflict, invalid_options, not_found};
use crate::store::Store;
use crate::write::{self, Claim};

/// A JSON merge patch: null removes, lists are replaced as a whole.
pub(crate) fn merge(store: &mut Store, request: &Request) -> Result<Arc<Object>, Refusal> {
    let key = request.key();
    let live = store.get(&key).ok_or_else(|| not_found(key.kind, &key.name))?;
    let mut new = live.value().clone();
    merge_into(&mut new, &request.call.body);
    let claim = Claim::Changes(owner(request, Operation::Update));
    write::update(store, &key, new, request.is_status().then_some("status"), claim)
}

/// Changes a value by a JSON merge patch.
pub fn merge_into(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        patch.clone_into(target);
        return;
    };
    let members = as_map(target);
    for (name, value) in patch {
        if value.is_null() {
            members.remove(name);
        } else {
            merge_into(members.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

/// Server-side apply; 201 if it creates the object.
pub(crate) fn apply(store: &mut Store, request: &Request) -> Result<(u16, Arc<Object>), Refusal> {
    let (key, status) = (request.key(), request.is_status());
    if request.parameter("fieldManager").is_none() {
        return Err(invalid_options("fieldManager", "Required value: is required for apply patch"));
    }
    let force = request.parameter("force") == Some("true");
    let mut applied = request.call.body.clone();
    if Kind::of(&applied) != Some(key.kind) {
        return Err(bad_request(
            "the kind or the API version of the applied object does not match the request",
        ));
    }
    if !applied["metadata"]["managedFields"].is_null() {
        return Err(bad_request("metadata.managedFields must be nil"));
    }
    if !matches!(text(&applied, "/metadata/name"), name if name.is_empty() || name == key.name) {
        return Err(bad_request("the name of the object does not match the name on the URL"));
    }
    metadata_mut(&mut applied).insert("name".to_owned(), key.name.clone().into());
    refuse_unknown(&store.schema, key.kind, &applied)?;
    // What the other part of the object owns cannot be claimed here.
    if status {
        as_map(&mut applied).remove("spec");
    } else if key.kind.has_status() {
        as_map(&mut applied).remove("status");
    }
    let (owner, shape) = (owner(request, Operation::Apply), shape::of(key.kind));
    let Some(live) = store.get(&key) else {
        return if status {
            Err(not_found(key.kind, &key.name))
        } else if uid(&applied).is_empty() {
            let managers = Managers::from([(owner, fields_of(&applied, shape))]);
            let claim = Claim::Applied(managers);
            let created = write::create(store, key.kind, request.namespace(), applied, claim)?;
            Ok((201, created))
        } else {
            let why = format!(
                "uid mismatch: the provided object specified uid {}, and no existing object was found",
                uid(&applied)
            );
            Err(conflict(key.kind, &key.name, &why))
        };
    };
    let (merged, managers) = apply::apply(live, &applied, &owner, force, shape)
        .map_err(|conflicts| apply_conflict(key.kind, &key.name, &conflicts))?;
    let claim = Claim::Applied(managers);
    let updated = write::update(store, &key, merged, status.then_some("status"), claim)?;
    Ok((200, updated))
}
