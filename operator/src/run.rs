//! The operator itself: watches, a queue, and reconciles. Nothing of it outlives the future: dropping that is a crash.

use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;

use futures_util::StreamExt as _;
use kube::Client;
use kube::ResourceExt as _;
use kube::runtime::Controller;
use kube::runtime::controller::{Action, Config as ControllerConfig, Error as ControllerError};
use kube::runtime::reflector::store;
use kube::runtime::watcher::{self, Event};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::client;
use crate::clock::Clock;
use crate::config::Config;
use crate::context::Context;
use crate::events::Events;
use crate::memory::{Key, Memory};
use crate::metrics::{CONTROLLER, Metrics};
use crate::nodes::Nodes;
use crate::observe::key as key_of;
use crate::reach::Reach;
use crate::reconcile::Reconciler;
use crate::watches::{ClusterMeta, Watches, merged};

/// Runs until `shutdown`, then lets running reconciles finish for a while. Deadlines and counts are put around every call of
/// `client` here, so it may be any client.
pub async fn run<N: Nodes>(
    client: Client,
    nodes: N,
    config: Config,
    clock: Clock,
    metrics: Metrics,
    shutdown: CancellationToken,
) {
    let client = client::bounded(&client, &config, &metrics);
    let (events, mut sender) =
        Events::new(client.clone(), &config.instance, clock.clone(), &metrics);
    let watches = Watches { client: &client, config: &config, metrics: &metrics };
    let noted = Noted::default();
    let (memory, reach) = (Arc::clone(&noted.memory), noted.reach.clone());
    let (clusters, writer) = store();
    let triggers = {
        let (noted, clusters, metrics) = (noted.clone(), clusters.clone(), metrics.clone());
        merged(writer, watches.clusters()).filter_map(move |event| {
            let count = clusters.len().try_into().unwrap_or(i64::MAX);
            metrics.clusters.with_label_values(&[CONTROLLER]).set(count);
            ready(changed(&noted, event))
        })
    };
    let (pods, pod_triggers) = watches.pods();
    let (hosts, host_triggers) = watches.hosts(pods);
    let other_triggers = watches.others();
    metrics.progress.start();
    let limit = config.shutdown_timeout;
    let settings =
        ControllerConfig::default().concurrency(config.workers).debounce(config.debounce);
    metrics.max_workers.with_label_values(&[CONTROLLER]).set(config.workers.into());
    let context = Context { client, nodes, config, clock, hosts, reach, metrics, events };
    let controller = Controller::for_stream(triggers, clusters)
        .with_config(settings)
        .reconcile_on(pod_triggers)
        .reconcile_on(other_triggers)
        .reconcile_on(host_triggers)
        .graceful_shutdown_on(shutdown.clone().cancelled_owned())
        .run(reconcile, |_, error, _| match *error {}, Arc::new(Reconciler { context, memory }))
        .for_each(move |done| {
            if let Err(ControllerError::ObjectNotFound(cluster)) = done {
                // A pass that was under way when the cluster went has noted things again.
                noted.forget(cluster.namespace, cluster.name);
            }
            ready(())
        });
    let overdue = async {
        shutdown.cancelled().await;
        info!("stopping: running reconciles finish");
        sleep(limit).await;
    };
    tokio::select! {
        biased;
        () = controller => (),
        () = sender.run() => (),
        () = overdue => warn!("stopping before all reconciles have finished"),
    }
    // What is still to be told; all who could tell more are gone.
    if timeout(limit, sender.run()).await.is_err() {
        warn!("not all events could be sent");
    }
}

async fn reconcile<N: Nodes>(
    cluster: Arc<ClusterMeta>,
    reconciler: Arc<Reconciler<N>>,
) -> Result<Action, Infallible> {
    Ok(reconciler.reconcile(&cluster).await)
}

/// What is noted of clusters, wherever.
#[derive(Clone, Default)]
struct Noted {
    memory: Arc<Memory>,
    reach: Reach,
}

impl Noted {
    fn forget(&self, namespace: Option<String>, name: String) {
        let key = Key { namespace: namespace.unwrap_or_default(), name };
        self.reach.forget(&key_of(&key.namespace, &key.name));
        self.memory.forget(&key);
    }
}

/// A cluster that exists and has changed; what was noted of one that is gone is forgotten.
fn changed(noted: &Noted, event: Event<ClusterMeta>) -> Option<watcher::Result<ClusterMeta>> {
    match event {
        Event::Apply(cluster) => Some(Ok(cluster)),
        Event::Delete(cluster) => {
            noted.forget(cluster.namespace(), cluster.name_any());
            None
        }
        Event::Init | Event::InitApply(_) | Event::InitDone => None,
    }
}

#[cfg(test)]
mod tests;
