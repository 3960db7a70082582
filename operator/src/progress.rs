//! When each watch of the API server last showed life: a watch that has silently died looks like a cluster where nothing
//! happens, and only this tells the two apart.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Life signs of all watches, shared by clones. A watch shows life when the server accepts it and with every frame it sends,
/// bookmarks included; the lists that a watch begins with do not count, because a list proves nothing about what follows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress(Arc<Mutex<BTreeMap<String, Watch>>>);

#[derive(Clone, Copy, Debug)]
struct Watch {
    kind: &'static str,
    essential: bool,
    last: Instant,
    begun: bool,
}

impl Progress {
    /// From now on the watch of that path is expected to show life.
    pub(crate) fn expect(&self, path: &str, kind: &'static str, essential: bool) {
        let watch = Watch { kind, essential, last: Instant::now(), begun: false };
        self.watches(|watches| watches.insert(path.to_owned(), watch));
    }

    /// The watch of that path shows life.
    pub(crate) fn alive(&self, path: &str) {
        self.watches(|watches| {
            if let Some(watch) = watches.get_mut(path) {
                watch.last = Instant::now();
                watch.begun = true;
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

    /// A kind that the operator cannot work without and that has been silent for longer than `bound`.
    pub(crate) fn stalled(&self, bound: Duration) -> Option<&'static str> {
        self.first(|watch| watch.last.elapsed() > bound)
    }

    /// A kind that the operator cannot work without and whose watch has not begun.
    pub(crate) fn missing(&self) -> Option<&'static str> {
        self.first(|watch| !watch.begun)
    }

    fn first(&self, is_it: impl Fn(&Watch) -> bool) -> Option<&'static str> {
        self.watches(|watches| {
            watches.values().find(|watch| watch.essential && is_it(watch)).map(|watch| watch.kind)
        })
    }

    fn watches<T>(&self, work: impl FnOnce(&mut BTreeMap<String, Watch>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_essential_watch_without_life_stalls_after_the_bound() {
        let progress = Progress::default();
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
        let progress = Progress::default();
        progress.expect("/pods", "Pod", true);
        progress.alive("/elsewhere");
        assert_eq!(progress.missing(), Some("Pod"));
        progress.alive("/pods");
        assert_eq!(progress.missing(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn the_age_of_a_kind_is_that_of_its_worst_watch() {
        let progress = Progress::default();
        progress.expect("/a/pods", "Pod", true);
        progress.expect("/b/pods", "Pod", true);
        advance(Duration::from_secs(9)).await;
        progress.alive("/a/pods");
        assert_eq!(progress.ages(), [("Pod", Duration::from_secs(9))].into());
    }
}
