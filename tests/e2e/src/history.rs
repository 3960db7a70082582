//! All versions of some objects that the raw API told of, each with its moment: what holds "throughout" is judged by them.

use std::fmt::Debug;
use std::mem;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use futures_util::StreamExt as _;
use kube::Api;
use kube::runtime::watcher::{Config, Event, watcher};
use ringcache_tests::clock::{now, wait_for};
use serde::de::DeserializeOwned;
use tokio::task::JoinHandle;

use crate::World;

/// Longest time for a watch to begin.
const LIMIT: Duration = Duration::from_secs(30);

/// A watch that goes on until this is dropped.
pub struct History<K> {
    state: Arc<Mutex<State<K>>>,
    task: JoinHandle<()>,
}

struct State<K> {
    has_begun: bool,
    seen: Vec<(Instant, K)>,
    /// Why something may be missing.
    gap: Option<String>,
}

impl<K> History<K>
where
    K: kube::Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    /// Begins: all that is there now is in it, and whatever it becomes.
    pub fn begin(world: &World, api: Api<K>, config: Config) -> Result<Self> {
        let state = State { has_begun: false, seen: Vec::new(), gap: None };
        let state = Arc::new(Mutex::new(state));
        let task = world.spawn(follow(Arc::clone(&state), api, config));
        let history = Self { state, task };
        wait_for("a watch has begun", LIMIT, || {
            let state = lock(&history.state);
            Ok(if state.has_begun { Ok(()) } else { Err(format!("{:?}", state.gap)) })
        })?;
        Ok(history)
    }

    /// What was seen since it began, or since it was asked last.
    pub fn take(&self) -> Result<Vec<(Instant, K)>> {
        let mut state = lock(&self.state);
        if let Some(gap) = &state.gap {
            bail!("something may have been missed: {gap}");
        }
        Ok(mem::take(&mut state.seen))
    }
}

impl<K> Drop for History<K> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn follow<K>(state: Arc<Mutex<State<K>>>, api: Api<K>, config: Config)
where
    K: kube::Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let mut events = pin!(watcher(api, config));
    while let Some(event) = events.next().await {
        let mut state = lock(&state);
        match event {
            Ok(Event::Apply(object) | Event::InitApply(object)) => state.seen.push((now(), object)),
            Ok(Event::InitDone) => state.has_begun = true,
            Ok(Event::Delete(_)) => {}
            Ok(Event::Init) if !state.has_begun => {}
            Ok(Event::Init) => return state.gap = Some("it was listed anew".into()),
            Err(error) => return state.gap = Some(error.to_string()),
        }
    }
}

fn lock<K>(state: &Mutex<State<K>>) -> MutexGuard<'_, State<K>> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
