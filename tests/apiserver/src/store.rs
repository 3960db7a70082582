//! The objects, every version that there ever was of them, and the one counter that orders them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::fields::Managers;
use crate::kind::Kind;
use crate::object::{Object, metadata_mut};
use crate::schema;

/// The first resourceVersion is above this one: older ones count as compacted, as on a server that has run for a while.
const FIRST: u64 = 100;

/// Where an object is. The namespace of one without is empty.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl Key {
    pub(crate) fn new(kind: Kind, namespace: &str, name: &str) -> Self {
        let namespace = if kind.namespaced() { namespace } else { "" };
        Self { kind, namespace: namespace.to_owned(), name: name.to_owned() }
    }
}

/// What became of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "The names are those of watch events")]
pub enum ChangeKind {
    Added,
    Modified,
    Deleted,
}

/// One step of the history.
#[derive(Clone, Debug)]
pub struct Change {
    /// The resourceVersion that it made.
    pub revision: u64,
    /// Time since the server began.
    pub at: Duration,
    /// Who made it.
    pub writer: Arc<str>,
    /// Which object.
    pub key: Key,
    /// What became of it.
    pub kind: ChangeKind,
    /// The version that it made; of a deletion, the last one, with the revision of the deletion.
    pub object: Arc<Object>,
    /// The version before.
    pub prior: Option<Arc<Object>>,
}

/// The state of the server's database.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    pub revision: u64,
    /// Versions up to here are forgotten: no watch or list can start from them.
    pub compacted: u64,
    pub history: Vec<Change>,
    /// The schema of cacheclusters.
    pub schema: Arc<Value>,
    objects: BTreeMap<Key, Arc<Object>>,
    uids: u64,
    seed: u64,
    epoch: Timestamp,
    /// The time and the writer of what is written next.
    now: Duration,
    writer: Arc<str>,
}

impl Store {
    pub(crate) fn new(seed: u64, epoch: Timestamp) -> Self {
        Self {
            revision: FIRST,
            compacted: FIRST,
            history: Vec::new(),
            schema: Arc::clone(schema::cache_cluster()),
            objects: BTreeMap::new(),
            uids: 0,
            seed,
            epoch,
            now: Duration::ZERO,
            writer: Arc::from(""),
        }
    }

    /// Takes the declaration of a field of cacheclusters away: whatever is stored of it is not read any more. False if there was none.
    pub(crate) fn undeclare(&mut self, field: &str) -> bool {
        let was_declared = schema::undeclare(Arc::make_mut(&mut self.schema), field);
        let objects = self.objects.iter_mut().filter(|(key, _)| key.kind == Kind::CacheCluster);
        for (_, object) in objects {
            let mut value = object.value().clone();
            schema::prune(&self.schema, &mut value);
            *object = Arc::new(Object::new(value, object.managers.clone()));
        }
        was_declared
    }

    /// Sets the time and the writer of what is written next.
    pub(crate) fn begin(&mut self, now: Duration, writer: &Arc<str>) {
        self.now = now;
        self.writer = Arc::clone(writer);
    }

    /// The wall clock at a time since the beginning.
    pub(crate) fn clock(&self, at: Duration) -> Timestamp {
        let passed = SignedDuration::try_from(at).unwrap_or_default();
        self.epoch.checked_add(passed).unwrap_or(self.epoch)
    }

    pub(crate) fn now(&self) -> Duration {
        self.now
    }

    /// The wall clock, in whole seconds as the API has it, so much later than now.
    pub(crate) fn timestamp(&self, later: Duration) -> String {
        let seconds = self.epoch.as_second() + (self.now + later).as_secs().cast_signed();
        Timestamp::from_second(seconds).unwrap_or(self.epoch).to_string()
    }

    pub(crate) fn next_uid(&mut self) -> String {
        self.uids += 1;
        let (seed, count) = (self.seed, self.uids);
        format!("{:08x}-0000-4000-8000-{count:012x}", seed & 0xffff_ffff)
    }

    pub(crate) fn get(&self, key: &Key) -> Option<&Arc<Object>> {
        self.objects.get(key)
    }

    pub(crate) fn objects(&self) -> &BTreeMap<Key, Arc<Object>> {
        &self.objects
    }

    /// The objects of a kind, in one namespace or in all.
    pub(crate) fn of_kind(
        &self,
        kind: Kind,
        namespace: Option<&str>,
    ) -> impl Iterator<Item = (&Key, &Arc<Object>)> {
        select(&self.objects, kind, namespace)
    }

    /// The objects as they were at a revision.
    pub(crate) fn at(&self, revision: u64) -> BTreeMap<Key, Arc<Object>> {
        let mut objects = BTreeMap::new();
        for change in self.history.iter().take_while(|change| change.revision <= revision) {
            match change.kind {
                ChangeKind::Deleted => objects.remove(&change.key),
                _ => objects.insert(change.key.clone(), Arc::clone(&change.object)),
            };
        }
        objects
    }

    /// The changes after a revision.
    pub(crate) fn after(&self, revision: u64) -> &[Change] {
        let start = self.history.partition_point(|change| change.revision <= revision);
        &self.history[start..]
    }

    /// Stores a version.
    pub(crate) fn put(&mut self, key: &Key, mut value: Value, managers: Managers) -> Arc<Object> {
        self.revision += 1;
        metadata_mut(&mut value)
            .insert("resourceVersion".to_owned(), self.revision.to_string().into());
        let object = Arc::new(Object::new(value, managers));
        let prior = self.objects.insert(key.clone(), Arc::clone(&object));
        let kind = if prior.is_some() { ChangeKind::Modified } else { ChangeKind::Added };
        self.record(key, kind, Arc::clone(&object), prior);
        object
    }

    /// Removes an object for good; its last version carries the revision of the removal.
    pub(crate) fn remove(&mut self, key: &Key) -> Option<Arc<Object>> {
        let prior = self.objects.remove(key)?;
        self.revision += 1;
        let mut value = prior.value().clone();
        metadata_mut(&mut value)
            .insert("resourceVersion".to_owned(), self.revision.to_string().into());
        let object = Arc::new(Object::new(value, prior.managers.clone()));
        self.record(key, ChangeKind::Deleted, Arc::clone(&object), Some(prior));
        Some(object)
    }

    fn record(
        &mut self,
        key: &Key,
        kind: ChangeKind,
        object: Arc<Object>,
        prior: Option<Arc<Object>>,
    ) {
        self.history.push(Change {
            revision: self.revision,
            at: self.now,
            writer: Arc::clone(&self.writer),
            key: key.clone(),
            kind,
            object,
            prior,
        });
    }
}

/// The objects of a kind, in one namespace or in all.
pub(crate) fn select<'a>(
    objects: &'a BTreeMap<Key, Arc<Object>>,
    kind: Kind,
    namespace: Option<&str>,
) -> impl Iterator<Item = (&'a Key, &'a Arc<Object>)> {
    let first =
        Key { kind, namespace: namespace.unwrap_or_default().to_owned(), name: String::new() };
    let namespace = namespace.map(str::to_owned);
    objects.range(first..).take_while(move |(key, _)| {
        key.kind == kind && namespace.as_ref().is_none_or(|namespace| key.namespace == *namespace)
    })
}
