//! A cache node: RESP, HTTP/JSON, bus and admin servers around the pure crates `store`, `wire` and `cluster`.

pub mod account;
pub mod admin;
pub mod args;
pub mod bus;
pub mod busy;
pub mod clock;
pub mod control;
pub mod counters;
mod draining;
mod hash_seed;
pub mod housekeeping;
pub mod http;
pub mod measure;
pub mod memory;
pub mod metrics;
pub mod node;
pub mod requests;
pub mod resp;
pub mod routes;
pub mod served;
pub mod slots;
mod start;
mod ttl;

pub use args::NodeArgs;
pub use start::{RunError, abort_on_panic, run};
