//! The bus: what nodes say to each other, over one TCP connection for each direction of each pair.

mod frame;
mod link;
mod listener;

pub use link::Links;
pub use listener::listen;

use std::sync::Arc;

use ringcache_api::{Document, Incarnation};
use ringcache_cluster::Message;

/// Version of the bus protocol: the first word after the protocol's name in every handshake.
pub const VERSION: u32 = 1;

/// What the bus brings to the control thread.
pub enum Inbound {
    /// Messages of one peer, in order, sent under this document.
    Messages(Incarnation, Arc<Document>, Vec<Message>),
    /// The connection to a peer is up (again): what was sent before may be lost.
    Connected(Incarnation),
}
