//! What other threads ask of the control thread, and why it refuses.

use std::sync::Arc;

use ringcache_api::Document;
use ringcache_api::admin::{Heard, Ownership};
use tokio::sync::oneshot;

/// A question to the control thread.
pub enum Request {
    /// A ring document from the admin API. Answers with the epoch in force afterwards.
    Push(Arc<Document>, oneshot::Sender<Result<u64, Refusal>>),
    /// What the control thread knows of the cluster now.
    Knowledge(oneshot::Sender<Knowledge>),
}

/// What the control thread knows of the cluster, as of one moment.
#[derive(Clone, Debug, Default)]
pub struct Knowledge {
    /// Epoch of the document in force; 0 = none.
    pub epoch: u64,
    /// Its checksum; empty = none.
    pub checksum: String,
    /// Whether that document names this process.
    pub is_member: bool,
    /// What this node owns.
    pub ownership: Ownership,
    /// When this node last heard of each other member.
    pub heard: Vec<Heard>,
}

/// Why a document was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not newer than the one in force.
    #[error(
        "the ring document has epoch {offered}, which is not above {current}, the epoch in force"
    )]
    StaleEpoch {
        /// Epoch of the refused document.
        offered: u64,
        /// Epoch in force.
        current: u64,
    },
    /// Of another cluster.
    #[error(
        "the ring document belongs to the cluster with uid `{offered}`; this node belongs to `{own}`"
    )]
    OtherCluster {
        /// Uid in the refused document.
        offered: String,
        /// Uid that the node was started with.
        own: String,
    },
}
