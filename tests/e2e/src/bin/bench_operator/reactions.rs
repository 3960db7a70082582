//! How soon the operator reacts to an edit, while it looks after many clusters.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use futures_util::{StreamExt as _, pin_mut};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, ResourceExt as _};
use ringcache_api::CacheCluster;
use tokio::time::{Instant, interval};

use crate::objects::Clusters;
use crate::wait::wait_for;

/// Edits that are measured.
const EDITS: usize = 300;
/// Between two edits.
const PAUSE: Duration = Duration::from_millis(100);
/// Longest time until the status tells of the last one.
const LIMIT: Duration = Duration::from_mins(1);

/// Times from an edit to the status that tells of it, in ascending order.
pub(crate) struct Reactions(Vec<Duration>);

impl Reactions {
    /// Edits some of the clusters with those names one after the other: another time to live each, which their nodes are told.
    pub(crate) async fn measure(clusters: &Clusters, names: &[String]) -> Result<Self> {
        let told = Told::default();
        let watch = tokio::spawn(told.clone().follow(clusters.all()));
        let mut edits = Vec::new();
        let mut turns = interval(PAUSE);
        for number in 0..EDITS {
            turns.tick().await;
            // Neighbours were created together: a stride that meets all of them, if it is prime to their number.
            let name = &names[number * 7 % names.len()];
            let began = Instant::now();
            let generation = clusters.set_default_ttl(name, 1000 + number).await?;
            edits.push((name, generation, began));
        }
        wait_for("the status tells of every edit", LIMIT, async || {
            let open =
                edits.iter().filter(|(name, generation, _)| told.at(name, *generation).is_none());
            Ok(match open.count() {
                0 => Ok(()),
                open => Err(format!("not of {open} of {EDITS}")),
            })
        })
        .await?;
        watch.abort();
        let took = |(name, generation, began): &(&String, i64, Instant)| {
            told.at(name, *generation).map(|at| at.saturating_duration_since(*began))
        };
        let mut took: Vec<Duration> = edits.iter().filter_map(took).collect();
        took.sort_unstable();
        Ok(Self(took))
    }

    /// The time that so many percent of the reactions took at most.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0.get(rank - 1).copied().unwrap_or_default()
    }
}

/// When the status of each cluster first told of each generation.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<HashMap<String, Generations>>>);

type Generations = Vec<(i64, Instant)>;

impl Told {
    async fn follow(self, clusters: Api<CacheCluster>) -> Result<()> {
        let changes =
            watcher(clusters, watcher::Config::default()).default_backoff().applied_objects();
        pin_mut!(changes);
        while let Some(cluster) = changes.next().await {
            let cluster = cluster.context("the watch of clusters")?;
            if let Some(status) = &cluster.status {
                self.tell(cluster.name_any(), status.observed_generation, Instant::now());
            }
        }
        Ok(())
    }

    fn tell(&self, name: String, generation: i64, at: Instant) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let told = all.entry(name).or_default();
        if told.last().is_none_or(|(last, _)| *last < generation) {
            told.push((generation, at));
        }
    }

    /// When the status first told of this generation or a later one.
    fn at(&self, name: &str, generation: i64) -> Option<Instant> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut told = all.get(name)?.iter();
        told.find(|(told, _)| *told >= generation).map(|(_, at)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_time_that_was_measured() {
        let of = |count: u64| Reactions((1..=count).map(Duration::from_millis).collect());
        let percentile = |count, percent| of(count).percentile(percent).as_millis();
        assert_eq!([50, 99, 100].map(|percent| percentile(300, percent)), [150, 297, 300]);
        assert_eq!([50, 99, 100].map(|percent| percentile(1, percent)), [1, 1, 1]);
        assert_eq!(percentile(0, 99), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_status_that_skips_a_generation_tells_of_it() {
        let (told, now) = (Told::default(), Instant::now());
        told.tell("web".into(), 1, now);
        told.tell("web".into(), 3, now + PAUSE);
        told.tell("web".into(), 3, now + LIMIT);
        assert_eq!([1, 2, 3].map(|g| told.at("web", g)), [now, now + PAUSE, now + PAUSE].map(Some));
        assert_eq!((told.at("web", 4), told.at("api", 1)), (None, None));
    }
}
