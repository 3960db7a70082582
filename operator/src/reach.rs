//! Who cannot be reached, and since when: the part of "proven lost" that no API object tells.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Since when each pod has been silent, by cluster and pod uid.
///
/// In memory only, on purpose: an operator that has just started has not listened to anybody yet, so its wait begins anew,
/// and it cannot declare a pod lost because of what an earlier one thought.
#[derive(Clone, Debug, Default)]
pub struct Reach(Arc<Mutex<HashMap<String, HashMap<String, Instant>>>>);

impl Reach {
    /// Nobody has been asked yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in the result of asking every pod of a cluster: the uids of those that did not answer. Returns how long each of
    /// them has been silent. Whoever is not named has answered or is gone, and is forgotten.
    pub fn note<'a>(
        &self,
        cluster: &str,
        silent: impl IntoIterator<Item = &'a str>,
    ) -> HashMap<String, Duration> {
        let now = Instant::now();
        // A poisoned lock means that another reconcile panicked; the map is whole, its entries are replaced as one.
        let mut clusters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = clusters.remove(cluster).unwrap_or_default();
        let since: HashMap<String, Instant> = silent
            .into_iter()
            .map(|uid| (uid.to_owned(), before.get(uid).copied().unwrap_or(now)))
            .collect();
        let silences = since.iter().map(|(uid, &since)| (uid.clone(), now - since)).collect();
        if !since.is_empty() {
            clusters.insert(cluster.to_owned(), since);
        }
        silences
    }

    /// The cluster is gone.
    pub fn forget(&self, cluster: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(cluster);
    }

    /// Whether the pod did not answer when its cluster was looked at last.
    pub fn is_silent(&self, cluster: &str, uid: &str) -> bool {
        let clusters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        clusters.get(cluster).is_some_and(|silent| silent.contains_key(uid))
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn seconds(silences: &HashMap<String, Duration>, uid: &str) -> Option<u64> {
        silences.get(uid).map(Duration::as_secs)
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_counted_from_the_first_question_without_an_answer() {
        let reach = Reach::new();
        assert_eq!(seconds(&reach.note("shop/web", ["a"]), "a"), Some(0));
        advance(Duration::from_secs(7)).await;
        let silences = reach.note("shop/web", ["a", "b"]);
        assert_eq!((seconds(&silences, "a"), seconds(&silences, "b")), (Some(7), Some(0)));
        reach.note("shop/web", ["b"]);
        assert!(reach.is_silent("shop/web", "b"));
        assert!(!reach.is_silent("shop/web", "a"), "it has answered meanwhile");
        assert!(!reach.is_silent("shop/api", "b"), "one of another cluster");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_in_between_starts_the_count_anew() {
        let reach = Reach::new();
        reach.note("shop/web", ["a"]);
        advance(Duration::from_secs(7)).await;
        assert!(reach.note("shop/web", []).is_empty());
        assert!(reach.0.lock().unwrap().is_empty(), "nothing is kept of pods that answer");
        assert_eq!(seconds(&reach.note("shop/web", ["a"]), "a"), Some(0));
    }

    #[tokio::test(start_paused = true)]
    async fn clusters_do_not_disturb_each_other() {
        let reach = Reach::new();
        reach.note("shop/web", ["a"]);
        advance(Duration::from_secs(3)).await;
        reach.note("shop/api", ["b"]);
        assert_eq!(seconds(&reach.note("shop/web", ["a"]), "a"), Some(3));
    }

    #[tokio::test(start_paused = true)]
    async fn a_restarted_operator_listens_anew() {
        let before = Reach::new();
        before.note("shop/web", ["a"]);
        advance(Duration::from_mins(1)).await;
        assert_eq!(seconds(&Reach::new().note("shop/web", ["a"]), "a"), Some(0));
    }
}
