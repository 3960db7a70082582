//! What other threads ask of the control thread.

use std::sync::Arc;

use ringcache_api::Document;
use ringcache_cluster::{Knowledge, Refusal};
use tokio::sync::oneshot;

/// A question to the control thread.
pub enum Request {
    /// A ring document from the admin API. Answers with the epoch in force afterwards.
    Push(Arc<Document>, oneshot::Sender<Result<u64, Refusal>>),
    /// What the control thread knows of the cluster now.
    Knowledge(oneshot::Sender<Knowledge>),
}
