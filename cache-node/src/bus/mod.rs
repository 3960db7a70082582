//! The bus: what nodes say to each other, over one TCP connection for each direction of each pair.

mod frame;
mod link;
mod listener;

pub use link::Links;
pub use listener::listen;

use std::sync::Arc;
use std::time::Duration;

use ringcache_api::{Document, Incarnation};
use ringcache_cluster::Message;
use tokio::sync::mpsc;

/// A peer that does not take bytes for this long is given up.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);

/// Version of the bus protocol: the first word after the protocol's name in every handshake.
pub const VERSION: u32 = 1;
/// Version of what is said about forwarded requests, which have connections of their own: see `resp::forward`.
pub const FORWARD_VERSION: u32 = 3;

/// What the bus brings to the control thread.
pub enum Inbound {
    /// Messages of one peer, in order.
    Messages {
        /// The peer.
        from: Incarnation,
        /// The document that it sent them under.
        document: Arc<Document>,
        /// What it says.
        messages: Vec<Message>,
        /// Takes the document in force if the sender takes no part in it; goes back over the same connection, so that it
        /// reaches a sender whose address nobody knows any more.
        news: mpsc::Sender<Arc<Document>>,
    },
    /// What a peer says that this node sends to: a document in which this node takes no part.
    Document(Incarnation, Arc<Document>),
    /// The connection to a peer is up (again): what was sent before may be lost.
    Connected(Incarnation),
}
