//! The namespace controller: a namespace that is deleted goes when everything in it is gone.

use crate::delete::{DeleteOptions, delete};
use crate::kind::Kind;
use crate::object::is_deleting;
use crate::store::{Key, Store};

pub(super) fn end(store: &mut Store) {
    let ending = store
        .of_kind(Kind::Namespace, None)
        .filter(|(_, namespace)| is_deleting(namespace.value()));
    let ending: Vec<Key> = ending.map(|(key, _)| key.clone()).collect();
    for namespace in ending {
        let content: Vec<(Key, bool)> = store
            .objects()
            .iter()
            .filter(|(key, _)| key.kind.namespaced() && key.namespace == namespace.name)
            .map(|(key, object)| (key.clone(), is_deleting(object.value())))
            .collect();
        for (key, _) in content.iter().filter(|(_, deleting)| !deleting) {
            // It exists, and without preconditions nothing can stand against it.
            drop(delete(store, key, &DeleteOptions::default()));
        }
        if content.is_empty() {
            store.remove(&namespace);
        }
    }
}
