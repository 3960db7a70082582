//! Create and update: what of a request's object is stored, and when that is nothing new.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::admission;
use crate::apply;
use crate::fields::{Managers, Owner};
use crate::kind::Kind;
use crate::managed;
use crate::object::{
    Object, as_map, copy_member, deletion_grace, finalizers, is_deleting, metadata_mut, set_type,
    text, uid, version,
};
use crate::shape;
use crate::status::{
    Refusal, already_exists, bad_request, forbidden, internal, invalid, modified, not_found,
};
use crate::store::{Key, Store};

/// Metadata that a write cannot change.
const CARRIED: [&str; 7] = [
    "name",
    "namespace",
    "uid",
    "creationTimestamp",
    "generation",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
];

/// How a write claims its fields.
pub(crate) enum Claim {
    /// Whatever changed is the owner's.
    Changes(Owner),
    /// Ownership as apply worked it out.
    Applied(Managers),
}

/// Stores a new object.
pub(crate) fn create(
    store: &mut Store,
    kind: Kind,
    namespace: &str,
    mut object: Value,
    claim: Claim,
) -> Result<Arc<Object>, Refusal> {
    match Kind::of(&object) {
        Some(of) if of == kind => {}
        _ => {
            return Err(bad_request(
                "the API version or kind in the data does not match the expected one",
            ));
        }
    }
    name(store, &mut object);
    let name = text(&object, "/metadata/name").to_owned();
    let stated = text(&object, "/metadata/namespace");
    if kind.namespaced() && !stated.is_empty() && stated != namespace {
        return Err(bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    if name.is_empty() {
        return Err(invalid(
            kind,
            "",
            "metadata.name",
            "Required value: name or generateName is required",
        ));
    }
    let key = Key::new(kind, namespace, &name);
    check_namespace(store, &key)?;
    if matches!(claim, Claim::Changes(_)) && !version(&object).is_empty() {
        return Err(internal("resourceVersion should not be set on objects to be created"));
    }

    set_type(&mut object, kind);
    if kind.has_status() {
        as_map(&mut object).remove("status");
    }
    let metadata = metadata_mut(&mut object);
    for system in [
        "managedFields",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
        "resourceVersion",
    ] {
        metadata.remove(system);
    }
    if kind.namespaced() {
        metadata.insert("namespace".to_owned(), namespace.into());
    }
    admission::complete(&store.schema, kind, &mut object);
    admission::check(&store.schema, kind, &object, None)?;
    if let Some(existing) = store.get(&key) {
        return Err(already_exists(kind, &name, is_deleting(existing.value())));
    }
    // Before the server fills in what it decides itself: that is nobody's. Its defaults are the creator's.
    let managers = match claim {
        Claim::Changes(owner) => apply::after_update(None, &object, &owner, shape::of(kind)),
        Claim::Applied(managers) => managers,
    };
    fill_in(store, kind, &mut object);
    Ok(store.put(&key, object, managers))
}

/// Makes a name from `generateName`.
fn name(store: &mut Store, object: &mut Value) {
    let prefix = text(object, "/metadata/generateName").to_owned();
    if text(object, "/metadata/name").is_empty() && !prefix.is_empty() {
        let uid = store.next_uid();
        let suffix: String = uid.chars().rev().take(5).collect();
        metadata_mut(object).insert("name".to_owned(), format!("{prefix}{suffix}").into());
    }
}

fn check_namespace(store: &Store, key: &Key) -> Result<(), Refusal> {
    if !key.kind.namespaced() {
        return Ok(());
    }
    match store.get(&Key::new(Kind::Namespace, "", &key.namespace)) {
        None => Err(not_found(Kind::Namespace, &key.namespace)),
        Some(namespace) if is_deleting(namespace.value()) => {
            let why = format!(
                "unable to create new content in namespace {} because it is being terminated",
                key.namespace
            );
            Err(forbidden(key.kind, &key.name, &why))
        }
        Some(_) => Ok(()),
    }
}

/// What the server itself gives a new object.
pub(crate) fn fill_in(store: &mut Store, kind: Kind, object: &mut Value) {
    let (uid, now) = (store.next_uid(), store.timestamp(std::time::Duration::ZERO));
    let metadata = metadata_mut(object);
    metadata.insert("uid".to_owned(), uid.clone().into());
    metadata.insert("creationTimestamp".to_owned(), now.into());
    if kind.has_generation() {
        metadata.insert("generation".to_owned(), 1.into());
    }
    match kind {
        Kind::Service => give_address(object, &uid),
        Kind::Namespace => object["status"] = json!({"phase": "Active"}),
        _ => {}
    }
}

/// Gives a Service an address, unless it has one or leads elsewhere.
fn give_address(service: &mut Value, uid: &str) {
    let spec = &mut service["spec"];
    if spec["type"] == "ExternalName" {
        return;
    }
    if spec["clusterIP"].as_str().is_none_or(str::is_empty) {
        // The last part of the uid is the counter that made it.
        let count = u64::from_str_radix(&uid[uid.len() - 12..], 16).unwrap_or_default();
        spec["clusterIP"] = format!("10.96.{}.{}", count / 250 % 250, count % 250 + 1).into();
    }
    spec["clusterIPs"] = json!([spec["clusterIP"]]);
}

/// A Service that leads elsewhere from now on gives up its address, also if it had none (`dropTypeDependentFields` of Kubernetes).
fn give_up_address(new: &mut Value, old: &Value) {
    let (new, old) = (&mut new["spec"], &old["spec"]);
    let leads_away = new["type"] == "ExternalName" && old["type"] != "ExternalName";
    if leads_away && new["clusterIP"] == old["clusterIP"] {
        for name in ["clusterIP", "clusterIPs"] {
            as_map(new).remove(name);
        }
    }
}

/// Stores what an update or a patch makes of a live object.
///
/// # Errors
/// 409 if the resourceVersion is another one; 422 if the object becomes invalid.
pub(crate) fn update(
    store: &mut Store,
    key: &Key,
    mut new: Value,
    subresource: Option<&'static str>,
    claim: Claim,
) -> Result<Arc<Object>, Refusal> {
    let live = Arc::clone(store.get(key).ok_or_else(|| not_found(key.kind, &key.name))?);
    let old = live.value();
    if !matches!(version(&new), "" | "0") && version(&new) != version(old) {
        return Err(modified(key.kind, &key.name));
    }
    // The status of a custom resource is taken and all else that comes with it forgotten, its uid too.
    let forgets_uid = key.kind == Kind::CacheCluster && subresource.is_some();
    if !uid(&new).is_empty() && uid(&new) != uid(old) && !forgets_uid {
        let why = format!("Invalid value: \"{}\": field is immutable", uid(&new));
        return Err(invalid(key.kind, &key.name, "metadata.uid", &why));
    }
    if Kind::of(&new) != Some(key.kind) || text(&new, "/metadata/name") != key.name {
        return Err(bad_request("the kind or the name of the object does not match the request"));
    }
    // Who writes a part of an object cannot say who owns the rest.
    let stated = managed::read(&new).filter(|_| subresource.is_none());
    isolate(key.kind, &mut new, old, subresource);
    admission::complete(&store.schema, key.kind, &mut new);
    if key.kind == Kind::Service {
        give_up_address(&mut new, old);
    }
    admission::check(&store.schema, key.kind, &new, Some(old))?;
    if key.kind.has_generation() && wanted(&new) != wanted(old) {
        let generation = old["metadata"]["generation"].as_u64().unwrap_or(0) + 1;
        metadata_mut(&mut new).insert("generation".to_owned(), generation.into());
    }
    let managers = match claim {
        Claim::Changes(owner) => {
            let before = Object::new(old.clone(), stated.unwrap_or_else(|| live.managers.clone()));
            apply::after_update(Some(&before), &new, &owner, shape::of(key.kind))
        }
        Claim::Applied(managers) => managers,
    };
    if key.kind == Kind::Service && new["spec"]["clusterIP"].is_null() {
        let uid = store.next_uid();
        give_address(&mut new, &uid);
    }
    if new == *old && managers == live.managers {
        return Ok(live);
    }
    let gone = is_deleting(&new) && finalizers(&new).is_empty() && deletion_grace(&new) == 0;
    if gone && key.kind != Kind::Namespace {
        return Ok(store.remove(key).unwrap_or(live));
    }
    Ok(store.put(key, new, managers))
}

/// Keeps what is out of reach of a request: the status of the main resource, everything else of `/status`.
fn isolate(kind: Kind, new: &mut Value, old: &Value, subresource: Option<&str>) {
    set_type(new, kind);
    if subresource == Some("status") {
        let status = new.get("status").cloned();
        *new = old.clone();
        match status {
            Some(status) => new["status"] = status,
            None => drop(new.as_object_mut().map(|members| members.remove("status"))),
        }
        return;
    }
    if kind.has_status() {
        copy_member(as_map(new), old, "status");
    }
    let metadata = metadata_mut(new);
    for name in CARRIED {
        copy_member(metadata, &old["metadata"], name);
    }
    copy_member(metadata, &old["metadata"], "resourceVersion");
    metadata.remove("managedFields");
    for map in ["labels", "annotations"] {
        if metadata
            .get(map)
            .is_some_and(|map| map.as_object().is_none_or(serde_json::Map::is_empty))
        {
            metadata.remove(map);
        }
    }
}

/// What a generation counts the changes of.
pub(crate) fn wanted(object: &Value) -> Vec<(&String, &Value)> {
    let members = object.as_object().into_iter().flatten();
    members.filter(|(name, _)| !matches!(name.as_str(), "metadata" | "status")).collect()
}
