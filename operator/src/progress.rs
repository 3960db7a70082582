//! When each watch of the API server last showed life: a watch that has silently died looks like a cluster where nothing
//! happens, and only this tells the two apart.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Life signs of all watches, shared by clones. A watch shows life when the server accepts it and with every frame it sends,
/// bookmarks included; the lists that a watch begins with do not count, because a list proves nothing about what follows.
///
/// A refusal is an answer: the operator may not see that namespace, or it is gone, and no restart would change that. So a
/// refused watch is neither dead nor waited for, and costs the clusters of its own namespace only.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress {
    watches: Arc<Mutex<BTreeMap<String, Watch>>>,
    /// This replica stands by or watches: it has been told which.
    started: Arc<AtomicBool>,
}

#[derive(Clone, Copy, Debug)]
struct Watch {
    kind: &'static str,
    essential: bool,
    last: Instant,
    begun: bool,
    /// When the server last refused it, if it has shown no life since.
    refused: Option<Instant>,
}

impl Progress {
    /// This replica knows whether it stands by, or all of its watches are expected.
    pub(crate) fn start(&self) {
        self.started.store(true, Ordering::Release);
    }

    /// From now on the watch of that path is expected to show life.
    pub(crate) fn expect(&self, path: &str, kind: &'static str, essential: bool) {
        let watch = Watch { kind, essential, last: Instant::now(), begun: false, refused: None };
        self.watches(|watches| watches.insert(path.to_owned(), watch));
    }

    /// The watch of that path shows life.
    pub(crate) fn alive(&self, path: &str) {
        self.watches(|watches| {
            if let Some(watch) = watches.get_mut(path) {
                watch.last = Instant::now();
                watch.begun = true;
                watch.refused = None;
            }
        });
    }

    /// The server refuses the watch of that path, or the list that it begins with.
    pub(crate) fn refused(&self, path: &str) {
        self.watches(|watches| {
            if let Some(watch) = watches.get_mut(path) {
                watch.refused = Some(Instant::now());
            }
        });
    }

    /// How long ago each kind showed life, the longest of its watches.
    pub(crate) fn ages(&self) -> BTreeMap<&'static str, Duration> {
        let mut ages = BTreeMap::new();
        self.watches(|watches| {
            for watch in watches.values() {
                let age = ages.entry(watch.kind).or_insert(Duration::ZERO);
                *age = watch.last.elapsed().max(*age);
            }
        });
        ages
    }

    /// How many watches of each kind the server refuses now.
    pub(crate) fn refusals(&self) -> BTreeMap<&'static str, i64> {
        let mut refusals = BTreeMap::new();
        self.watches(|watches| {
            for watch in watches.values() {
                *refusals.entry(watch.kind).or_default() += i64::from(watch.refused.is_some());
            }
        });
        refusals
    }

    /// A kind that the operator cannot work without and that has had no answer for longer than `bound`.
    pub(crate) fn stalled(&self, bound: Duration) -> Option<&'static str> {
        let answered = |watch: &Watch| watch.refused.unwrap_or(watch.last).max(watch.last);
        self.first(|_, watch| answered(watch).elapsed() > bound)
    }

    /// What this replica waits for before it is ready: to know whether it holds the lease, or a kind that the operator cannot
    /// work without and one of whose watches has neither begun nor been refused, or all of them refused: an operator that may
    /// see nothing is not ready.
    pub(crate) fn missing(&self) -> Option<String> {
        if !self.started.load(Ordering::Acquire) {
            return Some("an answer about the lease".into());
        }
        let kind = self.first(|watches, watch| {
            let mut of_kind = watches.values().filter(|other| other.kind == watch.kind);
            !watch.begun && (watch.refused.is_none() || !of_kind.any(|other| other.begun))
        });
        kind.map(|kind| format!("the watch of {kind}"))
    }

    fn first(
        &self,
        is_it: impl Fn(&BTreeMap<String, Watch>, &Watch) -> bool,
    ) -> Option<&'static str> {
        self.watches(|watches| {
            let mut essential = watches.values().filter(|watch| watch.essential);
            essential.find(|watch| is_it(watches, watch)).map(|watch| watch.kind)
        })
    }

    fn watches<T>(&self, work: impl FnOnce(&mut BTreeMap<String, Watch>) -> T) -> T {
        work(&mut self.watches.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn started() -> Progress {
        let progress = Progress::default();
        progress.start();
        progress
    }

    const PODS: Option<&str> = Some("the watch of Pod");

    #[tokio::test(start_paused = true)]
    async fn an_essential_watch_without_life_stalls_after_the_bound() {
        let progress = started();
        progress.expect("/pods", "Pod", true);
        progress.expect("/nodes", "Node", false);
        advance(Duration::from_mins(1)).await;
        assert_eq!(progress.stalled(Duration::from_mins(1)), None);
        advance(Duration::from_secs(1)).await;
        assert_eq!(progress.stalled(Duration::from_mins(1)), Some("Pod"));
        progress.alive("/pods");
        assert_eq!(progress.stalled(Duration::from_mins(1)), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_is_missing_until_it_has_begun() {
        let progress = started();
        progress.expect("/pods", "Pod", true);
        progress.alive("/elsewhere");
        assert_eq!(progress.missing().as_deref(), PODS);
        progress.alive("/pods");
        assert_eq!(progress.missing(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_that_is_refused_is_not_dead_and_one_that_hangs_is() {
        let progress = started();
        for path in ["/a/pods", "/b/pods"] {
            progress.expect(path, "Pod", true);
        }
        progress.alive("/a/pods");
        assert_eq!(progress.missing().as_deref(), PODS, "the other may still be accepted");
        progress.refused("/b/pods");
        assert_eq!((progress.missing(), progress.refusals()), (None, [("Pod", 1)].into()));
        advance(Duration::from_secs(61)).await;
        progress.alive("/a/pods");
        assert_eq!(progress.stalled(Duration::from_mins(1)), Some("Pod"), "no answer any more");
        progress.refused("/b/pods");
        assert_eq!(progress.stalled(Duration::from_mins(1)), None);
        progress.alive("/b/pods");
        assert_eq!(progress.refusals(), [("Pod", 0)].into());
    }

    #[tokio::test(start_paused = true)]
    async fn who_may_see_nothing_of_a_kind_is_not_ready() {
        let progress = started();
        progress.expect("/a/pods", "Pod", true);
        progress.expect("/a/clusters", "CacheCluster", true);
        progress.alive("/a/clusters");
        progress.refused("/a/pods");
        assert_eq!(progress.missing().as_deref(), PODS);
    }

    #[tokio::test(start_paused = true)]
    async fn the_age_of_a_kind_is_that_of_its_worst_watch() {
        let progress = started();
        progress.expect("/a/pods", "Pod", true);
        progress.expect("/b/pods", "Pod", true);
        advance(Duration::from_secs(9)).await;
        progress.alive("/a/pods");
        assert_eq!(progress.ages(), [("Pod", Duration::from_secs(9))].into());
    }
}
