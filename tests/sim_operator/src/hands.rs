//! The operator's line to the simulated nodes.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ringcache_api::Document;
use ringcache_api::admin::{NodeCurve, NodeState, SettingsFor};
use ringcache_operator::nodes::{NodeError, Nodes};

use crate::plan::Lie;
use crate::plane::{Plane, Refusal};
use crate::tape::{PushFate, Tape};

/// A round trip inside the cluster.
const ROUND_TRIP: Duration = Duration::from_millis(1);
/// How long the operator waits for an address that nobody has.
const PATIENCE: Duration = Duration::from_secs(1);

/// Locks; a test that has already failed while it held the lock must not hide why.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What one run of an operator uses to talk to nodes.
#[derive(Clone)]
pub(crate) struct Hands {
    pub(crate) operator: String,
    pub(crate) plane: Arc<Mutex<Plane>>,
    pub(crate) tape: Arc<Mutex<Tape>>,
}

impl Hands {
    /// Sends something that changes the node, through the faults of the plan.
    async fn send(
        &self,
        deliver: impl FnOnce(&mut Plane) -> Option<Result<(), Refusal>>,
    ) -> Result<(), NodeError> {
        tokio::time::sleep(ROUND_TRIP).await;
        let fate = lock(&self.tape).push(&self.operator);
        match fate {
            PushFate::Lost => std::future::pending().await,
            PushFate::Refused => Err(refused()),
            PushFate::DeliveredUnheard => {
                let _ = deliver(&mut lock(&self.plane));
                std::future::pending().await
            }
            PushFate::Delivered => {
                let answer = deliver(&mut lock(&self.plane));
                match answer {
                    Some(answer) => answer.map_err(|Refusal { code, message }| {
                        NodeError::Refused { code: code.into(), message }
                    }),
                    None => nobody().await,
                }
            }
        }
    }
}

fn refused() -> NodeError {
    NodeError::Transport("connection refused".into())
}

async fn nobody<T>() -> Result<T, NodeError> {
    tokio::time::sleep(PATIENCE).await;
    Err(NodeError::Timeout(PATIENCE))
}

impl Nodes for Hands {
    async fn state(&self, host: &str, _port: u16) -> Result<NodeState, NodeError> {
        tokio::time::sleep(ROUND_TRIP).await;
        let lie = lock(&self.tape).ask();
        match lie {
            Some(Lie::Refused) => return Err(refused()),
            Some(Lie::Silence) => return nobody().await,
            Some(Lie::Garbage) => return Err(NodeError::Malformed("expected value".into())),
            None => {}
        }
        let state = lock(&self.plane).state(host);
        match state {
            Some(state) => Ok(state),
            None => nobody().await,
        }
    }

    async fn curve(&self, host: &str, _port: u16) -> Result<NodeCurve, NodeError> {
        tokio::time::sleep(ROUND_TRIP).await;
        let curve = lock(&self.plane).curve(host);
        match curve {
            Some(curve) => Ok(curve),
            None => nobody().await,
        }
    }

    async fn push(&self, host: &str, _port: u16, document: &Document) -> Result<(), NodeError> {
        self.send(|plane| plane.push(host, document)).await
    }

    async fn configure(
        &self,
        host: &str,
        _port: u16,
        settings: &SettingsFor,
    ) -> Result<(), NodeError> {
        self.send(|plane| plane.configure(host, settings)).await
    }
}
