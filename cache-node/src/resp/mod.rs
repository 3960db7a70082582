//! The Redis protocol side of a node: accepts sockets, reads requests, runs them against the store, and sends those for
//! other owners on.
//!
//! One acceptor thread, some worker threads with a single-threaded runtime each. A connection stays with its worker; a
//! request runs to completion on the thread that read it. The compiler proves that no slot is locked across an `.await`:
//! connections are spawned as `Send` futures, and a slot's guard is not `Send`.

mod client;
mod commands;
mod connection;
mod dispatch;
mod elsewhere;
mod error;
mod executor;
mod forward;
mod link;
mod parts;
mod redirect;
mod session;
mod topology;
mod tracking;
mod watches;
mod workers;

#[cfg(test)]
mod tests;

pub use workers::{Origin, Workers, spawn};
