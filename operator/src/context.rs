//! What every part of a reconcile works with.

use kube::Client;

use crate::clock::Clock;
use crate::config::Config;
use crate::events::Events;
use crate::hosts::Hosts;
use crate::metrics::Metrics;
use crate::nodes::Nodes;
use crate::reach::Reach;

/// The operator's hands and eyes. No part of it is a source of truth: every reconcile reads again what it acts on.
pub struct Context<N: Nodes> {
    /// The API server.
    pub client: Client,
    /// The cache nodes' admin API.
    pub nodes: N,
    /// Settings.
    pub config: Config,
    /// The time of day.
    pub clock: Clock,
    /// The Kubernetes nodes as last seen.
    pub hosts: Hosts,
    /// Which cache nodes have been reached lately.
    pub reach: Reach,
    /// Metrics.
    pub metrics: Metrics,
    /// Events for people.
    pub events: Events,
}
