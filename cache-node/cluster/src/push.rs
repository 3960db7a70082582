//! Which documents a node takes from its operator.

use ringcache_api::Document;
use ringcache_api::admin::code;

use crate::machine::Cluster;

/// Why a pushed document was not accepted.
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

impl Refusal {
    /// The stable code that the admin API answers with.
    pub fn code(&self) -> &'static str {
        match self {
            Self::StaleEpoch { .. } => code::STALE_EPOCH,
            Self::OtherCluster { .. } => code::OTHER_CLUSTER,
        }
    }
}

impl Cluster {
    /// Whether a node of the cluster with uid `own` may [`learn`](Self::learn) a document that was pushed to it: a newer one of its
    /// cluster, or the one that it has.
    ///
    /// # Errors
    ///
    /// An older document, another one of the same epoch, or another cluster's.
    pub fn admit(&self, own: &str, document: &Document) -> Result<(), Refusal> {
        if document.cluster.uid != own {
            let offered = document.cluster.uid.clone();
            return Err(Refusal::OtherCluster { offered, own: own.to_owned() });
        }
        let current = self.epoch();
        let same = self.document.as_ref().is_some_and(|d| d.checksum == document.checksum);
        if document.epoch <= current && !same {
            return Err(Refusal::StaleEpoch { offered: document.epoch, current });
        }
        Ok(())
    }
}
