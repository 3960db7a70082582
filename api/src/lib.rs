//! What the operator, the nodes, the clients and the tools agree on: the `CacheCluster` resource, the ring document and
//! the admin messages. Types and their checks only: no client, no runtime, no clock.

pub mod admin;
pub mod cluster;
pub mod document;
pub mod status;

mod canonical;
mod lenient;
mod settings;

pub use cluster::{CacheCluster, CacheClusterSpec, Ttl, crd_yaml};
pub use document::{Document, DocumentError, Incarnation, Member, MemberState, Ports};
pub use lenient::{Lenient, read_leniently};
