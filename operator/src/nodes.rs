//! How the operator talks to cache nodes: a seam, so that a simulation can bring nodes of its own.

use std::future::Future;

use ringcache_admin_client::AdminClient;
use ringcache_api::Document;
use ringcache_api::admin::{NodeCurve, NodeState, SettingsFor};

/// Why a cache node did not do what it was asked.
pub use ringcache_admin_client::AdminError as NodeError;

/// The admin API of all cache nodes. Every call ends within seconds, whatever the node does.
pub trait Nodes: Clone + Send + Sync + 'static {
    /// The node's own account of itself; an error if it does not answer in time, which proves nothing.
    fn state(
        &self,
        host: &str,
        port: u16,
    ) -> impl Future<Output = Result<NodeState, NodeError>> + Send;

    /// What the node has measured of its clients' reads; an error also where it is too old to measure anything.
    fn curve(
        &self,
        host: &str,
        port: u16,
    ) -> impl Future<Output = Result<NodeCurve, NodeError>> + Send;

    /// Gives the node a ring document.
    fn push(
        &self,
        host: &str,
        port: u16,
        document: &Document,
    ) -> impl Future<Output = Result<(), NodeError>> + Send;

    /// Gives the node settings, if it is the one that they are for.
    fn configure(
        &self,
        host: &str,
        port: u16,
        settings: &SettingsFor,
    ) -> impl Future<Output = Result<(), NodeError>> + Send;
}

impl Nodes for AdminClient {
    async fn state(&self, host: &str, port: u16) -> Result<NodeState, NodeError> {
        self.state(host, port).await
    }

    async fn curve(&self, host: &str, port: u16) -> Result<NodeCurve, NodeError> {
        self.curve(host, port).await
    }

    async fn push(&self, host: &str, port: u16, document: &Document) -> Result<(), NodeError> {
        self.push(host, port, document).await
    }

    async fn configure(
        &self,
        host: &str,
        port: u16,
        settings: &SettingsFor,
    ) -> Result<(), NodeError> {
        self.configure(host, port, settings).await
    }
}
