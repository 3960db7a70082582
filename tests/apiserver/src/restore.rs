//! Objects put straight into the database, past every client: a test begins with what a server may hold, such as a pod that
//! runs and whose uid is known beforehand.

use std::sync::Arc;

use serde_json::Value;

use crate::admission;
use crate::apply::after_update;
use crate::fields::{Operation, Owner};
use crate::kind::Kind;
use crate::managed;
use crate::not_modelled;
use crate::object::{Object, metadata_mut, text, uid};
use crate::shape;
use crate::store::{Key, Store};
use crate::write::{fill_in, wanted};

/// Stores an object with the uid, the status and the times that it names. What else a stored object has it gets as by a create,
/// or keeps from the live one of its name; that one goes if it has another uid. Nothing is stored if nothing differs.
pub(crate) fn restore(store: &mut Store, manager: &str, mut object: Value) {
    let kind = Kind::of(&object)
        .unwrap_or_else(|| not_modelled(&format!("an object of kind {}", object["kind"])));
    let (namespace, name) = (text(&object, "/metadata/namespace"), text(&object, "/metadata/name"));
    let key = Key::new(kind, namespace, name);
    admission::complete(&store.schema, kind, &mut object);
    // A cluster may have been stored under another schema.
    if kind != Kind::CacheCluster
        && let Err(refusal) = admission::check(&store.schema, kind, &object, None)
    {
        not_modelled(&format!("an object that no server holds: {}", refusal.message));
    }
    let stated = managed::read(&object);
    let metadata = metadata_mut(&mut object);
    metadata.remove("managedFields");
    metadata.remove("resourceVersion");
    let owner = Owner { name: manager.to_owned(), operation: Operation::Update, subresource: None };
    let live = store.get(&key).filter(|live| is_same(live, &object)).cloned();
    if let Some(live) = &live {
        carry_over(kind, &mut object, live.value());
    } else {
        store.remove(&key);
    }
    // Before the server fills in what it decides itself: that is nobody's.
    let managers =
        stated.unwrap_or_else(|| after_update(live.as_deref(), &object, &owner, shape::of(kind)));
    match live {
        Some(live) if live.managers == managers && *live.value() == object => return,
        Some(_) => {}
        None => decide(store, kind, &mut object),
    }
    store.put(&key, object, managers);
}

fn is_same(live: &Arc<Object>, object: &Value) -> bool {
    matches!(uid(object), same if same.is_empty() || same == uid(live.value()))
}

/// What the server decides of a new object, as far as the object does not say it.
fn decide(store: &mut Store, kind: Kind, object: &mut Value) {
    let given = object["metadata"].clone();
    fill_in(store, kind, object);
    for name in ["uid", "creationTimestamp", "generation"] {
        if let Some(value) = given.get(name) {
            metadata_mut(object).insert(name.to_owned(), value.clone());
        }
    }
}

/// What of a live object stays. The generation counts, whatever the object says.
fn carry_over(kind: Kind, object: &mut Value, live: &Value) {
    let same_spec = wanted(object) == wanted(live);
    let generation = live["metadata"]["generation"].as_u64();
    let metadata = metadata_mut(object);
    if let Some(generation) = generation {
        let generation = if same_spec { generation } else { generation + 1 };
        metadata.insert("generation".to_owned(), generation.into());
    }
    for name in ["uid", "creationTimestamp", "resourceVersion"] {
        let before = live["metadata"][name].clone();
        metadata.entry(name).or_insert(before);
    }
    if kind == Kind::Service {
        for name in ["clusterIP", "clusterIPs"] {
            if object["spec"][name].is_null() {
                object["spec"][name] = live["spec"][name].clone();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::server::{ApiServer, Options};
    use crate::store::ChangeKind;

    fn pod(uid: &str, phase: &str) -> Value {
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "a", "namespace": "default", "uid": uid, "resourceVersion": "77"},
            "spec": {"containers": [{"name": "main", "image": "none:1"}]},
            "status": {"phase": phase},
        })
    }

    #[test]
    fn an_object_is_what_it_says_and_has_what_a_server_adds() {
        let api = ApiServer::new(Options::default());
        api.restore("one", pod("mine", "Running"));
        let stored = api.get(Kind::Pod, "default", "a").unwrap_or_default();
        assert_eq!((uid(&stored), text(&stored, "/status/phase")), ("mine", "Running"));
        assert_eq!(stored["spec"]["restartPolicy"], "Always");
        assert_eq!(stored["metadata"]["resourceVersion"], api.revision().to_string());
        assert!(stored["metadata"]["creationTimestamp"].is_string());
    }

    #[test]
    fn what_the_server_decides_is_nobodys() {
        let api = ApiServer::new(Options::default());
        api.restore("one", json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "a", "namespace": "default"},
            "spec": {"ports": [{"name": "resp", "port": 6379}]},
        }));
        let stored = api.read(|store| store.get(&Key::new(Kind::Service, "default", "a")).cloned());
        let stored = stored.map(|stored| String::from_utf8_lossy(&stored.json()).into_owned());
        let stored = stored.unwrap_or_default();
        assert!(stored.contains("\"clusterIP\":") && !stored.contains("f:clusterIP"), "{stored}");
    }

    #[test]
    fn the_same_again_is_no_version_and_another_uid_is_another_object() {
        let api = ApiServer::new(Options::default());
        api.restore("one", pod("mine", "Running"));
        let first = api.revision();
        api.restore("another", pod("mine", "Running"));
        assert_eq!(api.revision(), first);
        api.restore("one", pod("mine", "Failed"));
        api.restore("one", pod("theirs", "Failed"));
        let kinds: Vec<_> = api.history(first).into_iter().map(|change| change.kind).collect();
        assert_eq!(kinds, [ChangeKind::Modified, ChangeKind::Deleted, ChangeKind::Added]);
    }
}
