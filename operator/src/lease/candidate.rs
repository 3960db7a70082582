//! One replica's view of the `Lease` object: whether it may have it, and the calls that take it, renew it and give it back.
//!
//! Every change names the version that it was decided by, so that of two replicas that claim a free lease one is refused. How
//! long a holder has been silent is what this replica has seen itself: times in the object are another machine's, and a clock
//! that is wrong there must neither keep a dead holder in office nor depose one that is alive.

use k8s_openapi::api::coordination::v1::{Lease as LeaseObject, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{DURATION, LeaseSettings};
use crate::clock::Clock;
use crate::objects::meta::FIELD_MANAGER;

/// Who wants the lease, and what it knows of it.
pub(super) struct Candidate {
    api: Api<LeaseObject>,
    name: String,
    identity: String,
    clock: Clock,
    /// The version that this replica wrote last, while it holds the lease.
    held: Option<String>,
    /// What the lease said when last read, and since when it has.
    seen: Option<(LeaseSpec, Instant)>,
}

impl Candidate {
    /// Somebody who knows nothing of the lease yet.
    pub(super) fn new(client: Client, settings: &LeaseSettings, clock: Clock) -> Self {
        let LeaseSettings { name, namespace, identity } = settings.clone();
        let api = Api::namespaced(client, &namespace);
        Self { api, name, identity, clock, held: None, seen: None }
    }

    /// Takes the lease if it is free, renews it if this replica has it; false = another has it. After an error nothing is
    /// known: another replica may have been faster, or the answer was lost.
    pub(super) async fn claim(&mut self) -> Result<bool, kube::Error> {
        if let Some(version) = self.held.take() {
            match self.patch(Some(version), &json!({ "renewTime": self.time() })).await {
                // Changed by somebody, or gone: what it says now decides.
                Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => (),
                renewed => return renewed.map(|()| true),
            }
        }
        let Some(live) = self.api.get_opt(&self.name).await? else {
            self.create().await?;
            return Ok(true);
        };
        let spec = live.spec.unwrap_or_default();
        if !self.may_have(&spec) {
            return Ok(false);
        }
        let mut claim = json!({
            "holderIdentity": self.identity,
            "leaseDurationSeconds": DURATION.as_secs(),
            "renewTime": self.time(),
        });
        if holder(&spec) != Some(&self.identity) {
            claim["acquireTime"] = json!(self.time());
            claim["leaseTransitions"] =
                json!(spec.lease_transitions.unwrap_or(0).saturating_add(1));
        }
        self.patch(live.metadata.resource_version, &claim).await?;
        Ok(true)
    }

    /// Gives the lease back if this replica has it: the holder and what was said of its time go, the count of changes stays.
    pub(super) async fn release(mut self) -> Result<(), kube::Error> {
        let free = json!({
            "holderIdentity": null, "leaseDurationSeconds": null, "acquireTime": null, "renewTime": null,
        });
        loop {
            if self.held.is_none() {
                // A renewal that was given up half way may have been carried out.
                let live = self.api.get_opt(&self.name).await?.unwrap_or_default();
                if holder(&live.spec.unwrap_or_default()) != Some(&self.identity) {
                    return Ok(());
                }
                self.held = live.metadata.resource_version;
            }
            let version = self.held.take();
            match self.patch(version, &free).await {
                Err(kube::Error::Api(status)) if status.is_conflict() => (),
                released => return released,
            }
        }
    }

    /// Whether a lease that says so is free, this replica's own, or given up by its holder.
    fn may_have(&mut self, spec: &LeaseSpec) -> bool {
        let since = match self.seen.take() {
            Some((last, since)) if last == *spec => since,
            _ => Instant::now(),
        };
        self.seen = Some((spec.clone(), since));
        holder(spec).is_none_or(|holder| *holder == self.identity || since.elapsed() >= DURATION)
    }

    async fn create(&mut self) -> Result<(), kube::Error> {
        let spec = LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: DURATION.as_secs().try_into().ok(),
            acquire_time: Some(self.time()),
            renew_time: Some(self.time()),
            ..LeaseSpec::default()
        };
        let metadata = ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() };
        let lease = LeaseObject { metadata, spec: Some(spec) };
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), dry_run: false };
        self.held = self.api.create(&params, &lease).await?.metadata.resource_version;
        Ok(())
    }

    /// Changes the lease of that version.
    async fn patch(&mut self, version: Option<String>, spec: &Value) -> Result<(), kube::Error> {
        let patch = json!({ "metadata": { "resourceVersion": version }, "spec": spec });
        let params =
            PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let live = self.api.patch(&self.name, &params, &Patch::Merge(patch)).await?;
        self.held = live.metadata.resource_version;
        Ok(())
    }

    fn time(&self) -> MicroTime {
        MicroTime(self.clock.now())
    }
}

/// Who holds a lease that says so.
fn holder(spec: &LeaseSpec) -> Option<&String> {
    spec.holder_identity.as_ref().filter(|holder| !holder.is_empty())
}
