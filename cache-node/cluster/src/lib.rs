//! Who owns which slot, as a pure state machine: messages, documents and time in; messages and calls on the store out.
//!
//! The one rule: the ring document says where slots *should* be, the nodes say where they *are*. A slot changes owner in
//! exactly two ways, each with a higher slot version: by *handover* from its live owner ([`export`](self) and import), or by
//! *adoption* when every other member has said "not mine" or is gone. ARCHITECTURE.md lists the rules; the simulation in
//! `sim` runs them through random schedules and shows that each of them is needed.

mod accessors;
mod claims;
mod document;
mod ending;
mod export;
mod gossip;
mod import;
mod knowledge;
mod listening;
mod machine;
mod message;
mod pump;
mod push;
mod seal;
#[cfg(test)]
mod sim;
mod slots;
#[cfg(test)]
mod tests;
mod view;

pub use ending::{Look, Patience};
pub use knowledge::{Knowledge, Process};
pub use machine::{Cluster, Config, Moves};
pub use message::{Message, Run};
pub use push::Refusal;
pub use slots::Slots;
