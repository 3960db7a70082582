//! The operator: watches `CacheCluster`s and carries the planner's steps out over Kubernetes.
//!
//! The planner and its check are in `ringcache-operator-core`; here is what they need of a cluster: [`observe`] reads,
//! [`execute`] and [`upkeep`] write, [`report`] tells, [`reconcile`] puts them in order, [`run`] says when.

pub mod args;
pub mod autoscale;
pub mod check;
pub mod claim;
pub mod client;
pub mod clock;
pub mod config;
pub mod context;
pub mod error;
pub mod events;
pub mod execute;
pub mod hosts;
pub mod lease;
pub mod metrics;
pub mod nodes;
pub mod objects;
pub mod observe;
pub mod reach;
pub mod reconcile;
pub mod report;
pub mod run;
pub mod server;
pub mod upkeep;
pub mod watches;

mod memory;
mod progress;
mod seen;
#[cfg(test)]
mod testing;

pub use clock::Clock;
pub use config::Config;
pub use context::Context;
pub use error::Error;
pub use metrics::Metrics;
