//! An API server in memory: the part of Kubernetes that the operator talks to, as a `tower` service for [`kube::Client`].
//!
//! It runs under paused time and is deterministic: the same seed and the same calls make the same history. What it says is
//! held against a real server by `tests/conformance`; whatever is not modelled panics instead of guessing.

mod admission;
mod apply;
mod call;
mod delete;
mod eviction;
mod fields;
mod handle;
mod kind;
mod list;
mod managed;
mod object;
mod patch;
mod platform;
mod request;
mod respond;
mod restore;
mod schema;
mod selector;
mod server;
mod service;
mod shape;
mod status;
mod store;
mod watch;
mod write;

pub use call::{Call, Verb, Verdict};
pub use kind::Kind;
pub use object::Object;
pub use patch::merge_into;
pub use platform::Paces;
pub use server::{ApiServer, Options, Probe, Snapshot};
pub use status::failure;
pub use store::{Change, ChangeKind, Key};

/// Ends the test: going on would be a guess.
#[expect(clippy::panic, reason = "what is not modelled must be noticed, not guessed")]
pub(crate) fn not_modelled(what: &str) -> ! {
    panic!("the API server in memory does not model this: {what}")
}
