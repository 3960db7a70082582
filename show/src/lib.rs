//! What people look at: a cluster as text, JSON or SVG, whether it runs on this machine or on Kubernetes.
//!
//! Plain functions of what was observed and measured. Where that comes from is the business of who shows it.

pub mod clusters;
pub mod curve;
pub mod hot_keys;
pub mod live;
pub mod nodes;
pub mod plan;
pub mod report;
pub mod ring;
pub mod status;
pub mod table;
pub mod top;
pub mod why;

#[cfg(any(test, feature = "fixture"))]
pub mod fixture;
