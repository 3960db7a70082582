//! One of several replicas works: the one that holds the lease.
//!
//! A lease is not a fence. Two replicas may work for a moment, and every write is made so that this does no harm; the lease
//! keeps them from working against each other all the time.

use std::time::Duration;

use kube::Client;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{debug, info, warn};

use crate::client;
use crate::clock::Clock;
use crate::config::Config;
use crate::metrics::Metrics;

mod candidate;
#[cfg(test)]
mod tests;

use candidate::Candidate;

/// A lease that has not changed for so long may be taken by another replica.
const DURATION: Duration = Duration::from_secs(15);
/// A holder that could not renew for so long stops working, well before another may begin.
const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// Between two renewals.
const RENEW_EVERY: Duration = Duration::from_secs(2);
/// Between two looks of a replica that stands by. It looks this often whatever time the lease has left, so that it notices at
/// once when the holder gives the lease back: nobody repairs a cluster until then.
const LOOK_EVERY: Duration = Duration::from_secs(1);
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

/// The lease, held. Dropped without a release it is renewed no more.
pub struct Lease {
    /// A task of its own: a reconcile that computes for long must not delay a renewal.
    renewals: JoinHandle<Candidate>,
    stop: DropGuard,
    lost: CancellationToken,
    metrics: Metrics,
    name: String,
}

impl Lease {
    /// Waits until this replica holds the lease, for as long as it takes.
    pub async fn acquire(
        client: &Client,
        settings: &LeaseSettings,
        config: &Config,
        clock: Clock,
        metrics: &Metrics,
    ) -> Self {
        let LeaseSettings { name, namespace, identity } = settings;
        let config = Config { call_timeout: CALL_TIMEOUT, ..config.clone() };
        let client = client::bounded(client, &config, metrics);
        metrics.leader.with_label_values(&[name.as_str()]).set(0);
        info!(name, namespace, identity, "waiting for the lease");
        let mut candidate = Candidate::new(client, settings, clock);
        let since = loop {
            let began = Instant::now();
            match candidate.claim().await {
                Ok(true) => break began,
                Ok(false) => metrics.progress.start(),
                Err(error) => warn!(%error, "no lease yet"),
            }
            sleep_until(began + LOOK_EVERY).await;
        };
        info!(name, namespace, identity, "holding the lease");
        metrics.leader.with_label_values(&[name.as_str()]).set(1);
        Self::hold(candidate, since, metrics.clone(), name.clone())
    }

    fn hold(mut candidate: Candidate, since: Instant, metrics: Metrics, name: String) -> Self {
        let (stop, lost) = (CancellationToken::new(), CancellationToken::new());
        let (stopped, over) = (stop.clone(), lost.clone());
        let renewals = tokio::spawn(async move {
            tokio::select! {
                () = stopped.cancelled() => (),
                () = renew(&mut candidate, since) => over.cancel(),
            }
            candidate
        });
        Self { renewals, stop: stop.drop_guard(), lost, metrics, name }
    }

    /// Returns when this replica must no longer work: another holds the lease, or could soon.
    pub async fn lost(&mut self) {
        self.lost.cancelled().await;
        self.metrics.leader.with_label_values(&[self.name.as_str()]).set(0);
    }

    /// Gives the lease back, so that another replica need not wait until it expires.
    pub async fn release(self) {
        let Self { renewals, stop, metrics, name, .. } = self;
        metrics.leader.with_label_values(&[name.as_str()]).set(0);
        drop(stop);
        let release = async { anyhow::Ok(renewals.await?.release().await?) };
        let why = match timeout(RELEASE_TIMEOUT, release).await {
            Ok(Ok(())) => return info!(name, "the lease is given back"),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {} s", RELEASE_TIMEOUT.as_secs()),
        };
        warn!(name, why, "the lease is not given back: another replica waits until it expires");
    }
}

/// Renews the lease until another holds it, or could soon.
async fn renew(candidate: &mut Candidate, mut renewed: Instant) {
    loop {
        sleep_until(renewed + RENEW_EVERY).await;
        match timeout_at(renewed + RENEW_DEADLINE, claim_again(candidate)).await {
            Ok(Some(sent)) => renewed = sent,
            Ok(None) => return warn!("the lease is lost: another replica holds it"),
            Err(_) => {
                let deadline_s = RENEW_DEADLINE.as_secs();
                return warn!(deadline_s, "the lease is lost: not renewed");
            }
        }
    }
}

/// When the claim was sent that was granted; `None` = another replica holds the lease.
async fn claim_again(candidate: &mut Candidate) -> Option<Instant> {
    loop {
        let sent = Instant::now();
        match candidate.claim().await {
            Ok(held) => return held.then_some(sent),
            Err(error) => debug!(%error, "the lease is not renewed yet"),
        }
        sleep(LOOK_EVERY).await;
    }
}
