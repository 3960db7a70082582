//! What other threads ask of the control thread, and why it refuses.

use std::sync::Arc;

use ringcache_api::Document;
use ringcache_api::admin::Ownership;
use tokio::sync::oneshot;

/// A question to the control thread.
pub enum Request {
    /// A ring document from the admin API. Answers with the epoch in force afterwards.
    Push(Arc<Document>, oneshot::Sender<Result<u64, Refusal>>),
    /// What the node owns, and the epoch and checksum of its document.
    Ownership(oneshot::Sender<(u64, String, Ownership)>),
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
