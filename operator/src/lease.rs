//! One of several replicas works: the one that holds the lease.
//!
//! A lease is not a fence. Two replicas may work for a moment, and every write is made so that this does no harm; the lease
//! keeps them from working against each other all the time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::Method;
use kube::Client;
use kube_lease_manager::{LeaseManager, LeaseManagerBuilder, LeaseParams, Result};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval, sleep, timeout};
use tracing::{info, warn};

use crate::client;
use crate::config::Config;
use crate::metrics::Metrics;

/// A lease that is not renewed for so long may be taken by another replica.
const DURATION: Duration = Duration::from_secs(15);
/// A holder that could not renew for so long stops working, well before another may begin.
const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// The lease is renewed when so much of it is left: every two seconds.
const RENEW_WITH_LEFT: Duration = Duration::from_secs(13);
/// Between two attempts to get hold of it.
const RETRY: Duration = Duration::from_secs(2);
/// A call must fail early enough for another attempt before the deadline.
const CALL_TIMEOUT: Duration = Duration::from_secs(3);
/// Longest time for giving the lease back.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(5);

/// Which lease, and who asks for it.
#[derive(Clone, Debug)]
pub struct LeaseSettings {
    /// Name of the `Lease` object.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Who holds it: one that no other replica has.
    pub identity: String,
}

/// The lease, held.
pub struct Lease {
    held: watch::Receiver<bool>,
    renewals: JoinHandle<Result<LeaseManager>>,
    renewed: Renewed,
    metrics: Metrics,
    name: String,
}

impl Lease {
    /// Waits until this replica holds the lease, for as long as it takes.
    pub async fn acquire(
        client: &Client,
        settings: &LeaseSettings,
        config: &Config,
        metrics: &Metrics,
    ) -> Self {
        let LeaseSettings { name, namespace, identity } = settings;
        let config = Config { call_timeout: CALL_TIMEOUT, ..config.clone() };
        let renewed = Renewed::now();
        let client = renewed.noted(&client::bounded(client, &config, metrics));
        metrics.leader.with_label_values(&[name.as_str()]).set(0);
        info!(name, namespace, identity, "waiting for the lease");
        loop {
            let params = LeaseParams::new(identity, DURATION.as_secs(), RENEW_WITH_LEFT.as_secs());
            let manager = LeaseManagerBuilder::new(client.clone(), name)
                .with_namespace(namespace)
                .with_parameters(params);
            match manager.build().await {
                Ok(manager) => {
                    let (mut held, renewals) = manager.watch().await;
                    if held.wait_for(|held| *held).await.is_ok() {
                        info!(name, namespace, identity, "holding the lease");
                        metrics.leader.with_label_values(&[name.as_str()]).set(1);
                        let (metrics, name) = (metrics.clone(), name.clone());
                        return Self { held, renewals, renewed, metrics, name };
                    }
                }
                Err(error) => warn!(%error, "no lease yet"),
            }
            sleep(RETRY).await;
        }
    }

    /// Returns when this replica must no longer work: another holds the lease, or could soon.
    pub async fn lost(&mut self) {
        let mut look = interval(Duration::from_millis(500));
        loop {
            tokio::select! {
                changed = self.held.changed() => {
                    if changed.is_err() || !*self.held.borrow_and_update() {
                        warn!("the lease is lost: another replica holds it");
                        break;
                    }
                }
                // The library goes on trying and says nothing while the API server does not answer.
                _ = look.tick() => if self.renewed.since() > RENEW_DEADLINE {
                    warn!(deadline_s = RENEW_DEADLINE.as_secs(), "the lease is lost: not renewed");
                    break;
                }
            }
        }
        self.metrics.leader.with_label_values(&[self.name.as_str()]).set(0);
    }

    /// Gives the lease back, so that another replica need not wait until it expires.
    pub async fn release(self) {
        let Self { held, mut renewals, metrics, name, .. } = self;
        metrics.leader.with_label_values(&[name.as_str()]).set(0);
        drop(held);
        match timeout(RELEASE_TIMEOUT, &mut renewals).await {
            Ok(Ok(Ok(_))) => info!(name, "the lease is given back"),
            failed => {
                renewals.abort();
                warn!(
                    name,
                    ?failed,
                    "the lease is not given back: another replica waits until it expires"
                );
            }
        }
    }
}

/// When the lease was last renewed: taken from the calls, because the library does not tell.
#[derive(Clone)]
struct Renewed(Arc<Mutex<Instant>>);

impl Renewed {
    fn now() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    /// The same client, with each accepted write noted as of when it was sent.
    fn noted(&self, client: &Client) -> Client {
        let (renewed, through) = (self.clone(), client.clone());
        let service = tower::service_fn(move |request: http::Request<kube::client::Body>| {
            let (renewed, through) = (renewed.clone(), through.clone());
            async move {
                let (sent, is_write) = (Instant::now(), *request.method() == Method::PATCH);
                let answer = through.send(request).await?;
                if is_write && answer.status().is_success() {
                    *renewed.0.lock().unwrap_or_else(PoisonError::into_inner) = sent;
                }
                Ok::<_, kube::Error>(answer)
            }
        });
        Client::new(service, client.default_namespace())
    }

    fn since(&self) -> Duration {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }
}

#[cfg(test)]
mod tests;
