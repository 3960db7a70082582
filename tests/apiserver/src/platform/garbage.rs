//! The garbage collector: what is owned only by what is gone goes too, in the order that the deletion asked for.

use std::sync::Arc;

use serde_json::Value;

use super::{Platform, put};
use crate::delete::{DeleteOptions, FOREGROUND, ORPHAN, delete};
use crate::kind::Kind;
use crate::not_modelled;
use crate::object::{Object, finalizers, is_deleting, metadata_mut, text, uid};
use crate::store::{Key, Store};

/// One owner of an object.
struct Owner {
    key: Key,
    uid: String,
    blocks: bool,
}

fn owners(key: &Key, object: &Value) -> Vec<Owner> {
    let references = object.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    let owner = |reference: &Value| {
        let kind = Kind::of(reference)
            .unwrap_or_else(|| not_modelled(&format!("an owner of kind {}", reference["kind"])));
        Owner {
            key: Key::new(kind, &key.namespace, text(reference, "/name")),
            uid: text(reference, "/uid").to_owned(),
            blocks: reference["blockOwnerDeletion"] == true,
        }
    };
    references.into_iter().flatten().map(owner).collect()
}

fn lives(store: &Store, owner: &Owner) -> bool {
    store.get(&owner.key).is_some_and(|object| uid(object.value()) == owner.uid)
}

/// Whether the owner waits for the end of what it owns.
fn waits(store: &Store, owner: &Owner) -> bool {
    lives(store, owner)
        && store.get(&owner.key).is_some_and(|object| {
            is_deleting(object.value()) && finalizers(object.value()).contains(&FOREGROUND)
        })
}

impl Platform {
    pub(super) fn collect_garbage(&mut self, store: &mut Store) {
        let owned = store
            .objects()
            .iter()
            .filter(|(_, object)| object.value().pointer("/metadata/ownerReferences").is_some());
        let owned: Vec<(Key, Arc<Object>)> =
            owned.map(|(key, object)| (key.clone(), Arc::clone(object))).collect();
        for (key, object) in &owned {
            self.collect(store, key, object.value());
        }
        let_owners_go(store, &owned);
    }

    /// Deletes an object if none of its owners is there, or if one that waits for it is the last.
    fn collect(&mut self, store: &mut Store, key: &Key, object: &Value) {
        let owners = owners(key, object);
        if owners.is_empty() || is_deleting(object) {
            return;
        }
        let solid = owners.iter().any(|owner| lives(store, owner) && !waits(store, owner));
        if solid {
            self.forget("orphaned", uid(object));
            return;
        }
        if !self.has_lasted(store, "orphaned", uid(object), self.paces.collect) {
            return;
        }
        let waited_for = owners.iter().any(|owner| waits(store, owner));
        let options = DeleteOptions {
            propagation_policy: waited_for.then(|| "Foreground".to_owned()),
            ..DeleteOptions::default()
        };
        // It exists, and without preconditions nothing can stand against it.
        drop(delete(store, key, &options));
    }
}

/// Removes the garbage collector's own finalizers from owners whose dependents are gone or let go.
fn let_owners_go(store: &mut Store, owned: &[(Key, Arc<Object>)]) {
    let waiting = store.objects().iter().filter(|(_, object)| {
        let names = finalizers(object.value());
        is_deleting(object.value()) && (names.contains(&FOREGROUND) || names.contains(&ORPHAN))
    });
    let waiting: Vec<(Key, Value)> =
        waiting.map(|(key, object)| (key.clone(), object.value().clone())).collect();
    for (key, object) in waiting {
        let orphans = finalizers(&object).contains(&ORPHAN);
        let mine = |dependent: &Key, value: &Value| {
            let mut owners = owners(dependent, value).into_iter();
            owners.any(|owner| {
                owner.key == key && owner.uid == uid(&object) && (orphans || owner.blocks)
            })
        };
        let mut dependents = owned.iter().filter(|(key, value)| {
            store.get(key).is_some_and(|live| uid(live.value()) == uid(value.value()))
                && mine(key, value.value())
        });
        if orphans {
            let keys: Vec<Key> = dependents.map(|(key, _)| key.clone()).collect();
            for dependent in keys {
                put(store, &dependent, |value| disown(value, uid(&object)));
            }
        } else if dependents.next().is_some() {
            continue;
        }
        let name = if orphans { ORPHAN } else { FOREGROUND };
        remove_finalizer(store, &key, name);
    }
}

fn disown(object: &mut Value, owner: &str) {
    let references = object["metadata"]["ownerReferences"].as_array_mut();
    if let Some(references) = references {
        references.retain(|reference| reference["uid"] != owner);
        if references.is_empty() {
            metadata_mut(object).remove("ownerReferences");
        }
    }
}

/// Removes a finalizer, and the object if that was all that kept it.
fn remove_finalizer(store: &mut Store, key: &Key, name: &str) {
    let Some(live) = store.get(key).cloned() else { return };
    let rest: Vec<&str> =
        finalizers(live.value()).into_iter().filter(|other| *other != name).collect();
    if rest.is_empty() && crate::object::deletion_grace(live.value()) == 0 {
        store.remove(key);
    } else {
        put(store, key, |value| {
            metadata_mut(value).insert("finalizers".to_owned(), rest.into());
        });
    }
}
