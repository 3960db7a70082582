//! Filters watch events: drops repeats, and adds the deletions that a new list hides.
//!
//! A watch repeats everything after each list, and says nothing of what was deleted while it was down. Readers of the filtered
//! events see changes and deletions only, so that several watches can be merged into one stream.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher::Event;

/// A digest of all in an object that matters: while it stays the same, nothing has happened.
pub(crate) type Digest<K> = fn(&K) -> u64;

/// One watch's memory of the objects that exist.
pub(crate) struct Seen<K: Resource<DynamicType = ()>> {
    digest: Digest<K>,
    prune: fn(&mut K),
    known: HashMap<ObjectRef<K>, (u64, K)>,
    /// While a list comes in: what has been in it.
    listed: Option<HashSet<ObjectRef<K>>>,
}

impl<K: Resource<DynamicType = ()> + Clone> Seen<K> {
    /// Nothing seen yet. Of each object is kept, and told, what `prune` leaves.
    pub(crate) fn new(digest: Digest<K>, prune: fn(&mut K)) -> Self {
        Self { digest, prune, known: HashMap::new(), listed: None }
    }

    /// What the watch's event means: `Apply` and `Delete` only.
    pub(crate) fn take(&mut self, event: Event<K>) -> Vec<Event<K>> {
        match event {
            Event::Init => {
                self.listed = Some(HashSet::new());
                Vec::new()
            }
            Event::InitApply(object) => {
                if let Some(listed) = &mut self.listed {
                    listed.insert(ObjectRef::from_obj(&object));
                }
                self.apply(object)
            }
            Event::InitDone => {
                self.listed.take().map_or_else(Vec::new, |listed| self.rest(&listed))
            }
            Event::Apply(object) => self.apply(object),
            Event::Delete(object) => self.delete(&ObjectRef::from_obj(&object)),
        }
    }

    fn apply(&mut self, mut object: K) -> Vec<Event<K>> {
        let digest = (self.digest)(&object);
        let key = ObjectRef::from_obj(&object);
        if self.known.get(&key).is_some_and(|(before, _)| *before == digest) {
            return Vec::new();
        }
        (self.prune)(&mut object);
        self.known.insert(key, (digest, object.clone()));
        vec![Event::Apply(object)]
    }

    fn delete(&mut self, key: &ObjectRef<K>) -> Vec<Event<K>> {
        self.known.remove(key).map(|(_, object)| Event::Delete(object)).into_iter().collect()
    }

    /// Deletes what a complete list does not have.
    fn rest(&mut self, listed: &HashSet<ObjectRef<K>>) -> Vec<Event<K>> {
        let gone = self.known.extract_if(|key, _| !listed.contains(key));
        gone.map(|(_, (_, object))| Event::Delete(object)).collect()
    }
}

/// A digest of anything.
pub(crate) fn digest(of: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

/// A digest of the metadata that users and owners set: the server's own bookkeeping left out.
pub(crate) fn metadata(meta: &ObjectMeta) -> u64 {
    let owners = meta.owner_references.iter().flatten().map(|owner| &owner.uid);
    digest((
        &meta.uid,
        meta.generation,
        &meta.labels,
        &meta.annotations,
        meta.deletion_timestamp.is_some(),
        owners.collect::<Vec<_>>(),
    ))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;

    use super::*;

    fn object(name: &str, version: &str) -> ConfigMap {
        let metadata = ObjectMeta {
            name: Some(name.into()),
            namespace: Some("shop".into()),
            resource_version: Some(version.into()),
            ..ObjectMeta::default()
        };
        ConfigMap { metadata, ..ConfigMap::default() }
    }

    fn seen() -> Seen<ConfigMap> {
        Seen::new(|object| digest(&object.metadata.resource_version), |_| ())
    }

    fn told(seen: &mut Seen<ConfigMap>, event: Event<ConfigMap>) -> Vec<String> {
        seen.take(event).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_list_repeats_nothing_that_is_known() {
        let mut seen = seen();
        assert!(told(&mut seen, Event::Init).is_empty());
        assert_eq!(told(&mut seen, Event::InitApply(object("a", "1"))), ["Apply(a)"]);
        assert!(told(&mut seen, Event::InitDone).is_empty());
        assert!(told(&mut seen, Event::Init).is_empty());
        assert!(told(&mut seen, Event::InitApply(object("a", "1"))).is_empty());
        assert_eq!(told(&mut seen, Event::InitApply(object("b", "2"))), ["Apply(b)"]);
        assert!(told(&mut seen, Event::InitDone).is_empty());
    }

    #[test]
    fn what_was_deleted_while_the_watch_was_down_is_told() {
        let mut seen = seen();
        for name in ["a", "b"] {
            seen.take(Event::Apply(object(name, "1")));
        }
        seen.take(Event::Init);
        seen.take(Event::InitApply(object("b", "1")));
        assert_eq!(told(&mut seen, Event::InitDone), ["Delete(a)"]);
        assert!(told(&mut seen, Event::Delete(object("a", "1"))).is_empty(), "only once");
    }

    #[test]
    fn a_list_that_breaks_off_deletes_nothing() {
        let mut seen = seen();
        seen.take(Event::Apply(object("a", "1")));
        seen.take(Event::Init);
        assert!(told(&mut seen, Event::Init).is_empty());
        assert!(told(&mut seen, Event::InitApply(object("a", "1"))).is_empty());
        assert!(told(&mut seen, Event::InitDone).is_empty());
    }

    #[test]
    fn what_does_not_matter_is_not_told() {
        let mut seen = Seen::<ConfigMap>::new(|object| metadata(&object.metadata), |_| ());
        assert_eq!(told(&mut seen, Event::Apply(object("a", "1"))).len(), 1);
        assert!(told(&mut seen, Event::Apply(object("a", "2"))).is_empty());
        let mut deleted = object("a", "3");
        deleted.metadata.labels = Some([("team".into(), "shop".into())].into());
        assert_eq!(told(&mut seen, Event::Apply(deleted)).len(), 1);
    }
}
