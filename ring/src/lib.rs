//! Hash slots: which slot a key has, and which node should hold which slot.
//!
//! Everything here is a pure function of its arguments, because operator, nodes and tools of
//! different versions must come to the same answer. Who holds a slot *now* is not this crate's
//! business: the nodes know that.

mod assign;
mod place;
mod preference;
mod quota;
mod set;
mod slot;

pub use assign::{AssignError, Assignment, Holders, Target, assign};
pub use preference::{preference, rendezvous_weight};
pub use quota::optimal_moves;
pub use set::SlotSet;
pub use slot::{SLOTS, key_slot};
