//! What the operator remembers of a cluster between two reconciles: paces and what has been said, never facts. All of it may
//! be lost at any time, and is when the operator restarts.

use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ringcache_api::status::CacheClusterStatus;
use ringcache_operator_core::autoscaling::Trend;
use ringcache_operator_core::losses::Holdings;
use serde_json::{Value, json};
use tokio::time::Instant;

/// What lasts is told again after this time: Kubernetes forgets events after an hour.
const NEWS_AGE: Duration = Duration::from_hours(1);
/// A name that was somebody else's is tried again after this time.
const FOREIGN_AGE: Duration = Duration::from_mins(5);
/// Most texts remembered as told.
const MAX_NEWS: usize = 64;

/// A cluster's namespace and name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) namespace: String,
    pub(crate) name: String,
}

/// The notes on all clusters.
#[derive(Debug, Default)]
pub(crate) struct Memory(Mutex<HashMap<Key, Notes>>);

impl Memory {
    /// Works on a cluster's notes. They are not kept locked while anything is waited for.
    pub(crate) fn of<T>(&self, key: &Key, work: impl FnOnce(&mut Notes) -> T) -> T {
        let mut notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        work(notes.entry(key.clone()).or_default())
    }

    /// The cluster is gone.
    pub(crate) fn forget(&self, key: &Key) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

/// Notes on one cluster.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// Reconciles that failed since the last that did not.
    failures: u32,
    /// What people have been told lately, and when.
    told: HashMap<String, Instant>,
    /// A status that was written and not stored as it was, and what was stored.
    pruned: Option<(CacheClusterStatus, Value)>,
    /// What the last plan looked like, and since when.
    plan: Option<(u64, Instant)>,
    /// Whether the last warning of slots without an owner was not told, so that its end need not be told either.
    pub(crate) is_hushed: bool,
    /// Whether an operation has begun whose end has not been told; unknown before the first status.
    pub(crate) is_busy: Option<bool>,
    /// Whether the last start of a node failed.
    pub(crate) starts_fail: bool,
    /// Names of nodes that something of somebody else had, and when.
    foreign: HashMap<String, Instant>,
    /// Members that were dead at the last look.
    dead: BTreeSet<String>,
    /// What the nodes held when they answered last.
    pub(crate) holdings: Holdings,
    /// Since when the cluster has been at rest, and another number of nodes has been wanted, in seconds since the first of these.
    pub(crate) trend: Option<(Instant, Trend)>,
    /// The generation that another operator, which the cluster is left to, has yet to look at, and since when that is known.
    owed: Option<(i64, Instant)>,
}

impl Notes {
    /// A reconcile went well: the next failure is a first one.
    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// A reconcile failed. The pause until the next doubles with each failure, from `first` up to `longest`.
    pub(crate) fn failed(&mut self, first: Duration, longest: Duration) -> Duration {
        let doublings = self.failures.min(16);
        self.failures = self.failures.saturating_add(1);
        first.saturating_mul(1 << doublings).min(longest)
    }

    /// Whether the last reconcile failed too, so that a failure now is not a mere conflict or hiccup.
    pub(crate) fn is_failing(&self) -> bool {
        self.failures > 0
    }

    /// Whether this is to be told: it was not lately. Texts that differ each time are told up to a limit only.
    pub(crate) fn is_news(&mut self, text: &str) -> bool {
        self.told.retain(|_, at| at.elapsed() < NEWS_AGE);
        if self.told.len() >= MAX_NEWS || self.told.contains_key(text) {
            return false;
        }
        self.told.insert(text.to_owned(), Instant::now());
        true
    }

    /// For how long the other operator has owed a look at `generation`: an edit gives it a turn of its own.
    pub(crate) fn owed_for(&mut self, generation: i64) -> Duration {
        let owed = self.owed.filter(|(last, _)| *last == generation);
        self.owed.insert(owed.unwrap_or_else(|| (generation, Instant::now()))).1.elapsed()
    }

    /// The cluster is not left to another operator, or that one has looked at what there is.
    pub(crate) fn is_looked_after(&mut self) {
        self.owed = None;
    }

    /// Those of the dead members that were not dead at the last look.
    pub(crate) fn newly_dead(&mut self, dead: &[String]) -> Vec<String> {
        let before = std::mem::replace(&mut self.dead, dead.iter().cloned().collect());
        dead.iter().filter(|name| !before.contains(*name)).cloned().collect()
    }

    /// Something of somebody else has the name of a node.
    pub(crate) fn is_foreign(&mut self, name: &str) {
        self.foreign.insert(name.to_owned(), Instant::now());
    }

    /// Names of nodes that somebody else has, as far as that is known and not long ago: it may be free again.
    pub(crate) fn foreign(&mut self) -> BTreeSet<String> {
        self.foreign.retain(|_, at| at.elapsed() < FOREIGN_AGE);
        self.foreign.keys().cloned().collect()
    }

    /// The status that was last written, if this is what the API server made of it: one whose definition is older than this operator
    /// stores only what that declares. Without this it would be written again and again.
    pub(crate) fn written_as(&self, stored: &Value) -> Option<CacheClusterStatus> {
        let (written, _) = self.pruned.as_ref().filter(|(_, last)| last == stored)?;
        Some(written.clone())
    }

    /// The status was written, and this was stored.
    pub(crate) fn wrote(&mut self, status: CacheClusterStatus, stored: Value) {
        self.pruned = (json!(status) != stored).then_some((status, stored));
    }

    /// How long plans have looked like this one.
    pub(crate) fn unchanged_for(&mut self, plan: &str) -> Duration {
        let mut hasher = DefaultHasher::new();
        plan.hash(&mut hasher);
        let digest = hasher.finish();
        match self.plan {
            Some((last, since)) if last == digest => since.elapsed(),
            _ => {
                self.plan = Some((digest, Instant::now()));
                Duration::ZERO
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[test]
    fn the_pause_after_failures_doubles_up_to_the_limit_and_success_forgets_it() {
        let mut notes = Notes::default();
        let mut failed = || notes.failed(Duration::from_secs(1), Duration::from_mins(1)).as_secs();
        let pauses: Vec<u64> = (0..8).map(|_| failed()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        notes.succeeded();
        let first = notes.failed(Duration::from_secs(1), Duration::from_mins(1));
        assert_eq!(first.as_secs(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_lasts_is_told_again_when_kubernetes_has_forgotten_it() {
        let mut notes = Notes::default();
        assert!(notes.is_news("quota exceeded"));
        notes.succeeded();
        assert!(!notes.is_news("quota exceeded"), "it comes and goes");
        advance(NEWS_AGE).await;
        assert!(notes.is_news("quota exceeded"));
    }

    #[test]
    fn a_death_is_news_once_and_so_is_the_next_one_of_that_name() {
        let mut notes = Notes::default();
        let mut news = |dead: &[&str]| {
            let dead: Vec<String> = dead.iter().copied().map(str::to_owned).collect();
            notes.newly_dead(&dead)
        };
        assert_eq!(news(&["web-0"]), ["web-0"]);
        assert_eq!(news(&["web-0"]), [""; 0], "no document gives it up yet");
        assert_eq!(news(&["web-0", "web-1"]), ["web-1"]);
        assert_eq!(news(&[]), [""; 0], "both have been given up");
        assert_eq!(news(&["web-0"]), ["web-0"], "its successor");
    }

    #[tokio::test(start_paused = true)]
    async fn texts_that_differ_each_time_do_not_pile_up() {
        let mut notes = Notes::default();
        let told = (0..1000).filter(|n| notes.is_news(&n.to_string())).count();
        assert_eq!((told, notes.told.len()), (MAX_NEWS, MAX_NEWS));
    }

    #[test]
    fn a_status_is_remembered_where_it_is_not_stored_whole_and_until_somebody_else_writes() {
        let mut notes = Notes::default();
        let status = CacheClusterStatus { nodes: 3, ..CacheClusterStatus::default() };
        let (whole, part) = (json!(status), json!({"nodes": 3}));
        notes.wrote(status.clone(), whole.clone());
        assert_eq!(notes.written_as(&whole), None, "it can be read");
        notes.wrote(status.clone(), part.clone());
        assert_eq!(notes.written_as(&part), Some(status));
        assert_eq!(notes.written_as(&json!({"nodes": 4})), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_plan_is_unchanged_since_it_was_first_seen() {
        let mut notes = Notes::default();
        assert_eq!(notes.unchanged_for("wait"), Duration::ZERO);
        advance(Duration::from_secs(7)).await;
        assert_eq!(notes.unchanged_for("wait"), Duration::from_secs(7));
        assert_eq!(notes.unchanged_for("go"), Duration::ZERO);
    }
}
