//! The pure core of the operator: what was observed and what is wanted go in, a checked plan and a status come out.
//!
//! `in_force` (`validate`) → `plan` → `check` → (a shell executes) → `status`. Nothing here does I/O, reads a clock or remembers
//! anything between two runs: after a crash anywhere the next run observes and plans again. Steps and observations do not
//! know whether nodes are processes or pods.

pub mod autoscaling;
pub mod budget;
pub mod check;
pub mod cost;
pub mod in_force;
pub mod intent;
pub mod losses;
pub mod observed;
pub mod plan;
pub mod quantity;
pub mod said;
pub mod status;
pub mod validate;

mod additions;
mod document;
mod facts;
mod forecast;
mod lag;
mod membership;
mod operation;
mod planner;
mod troubles;

pub use additions::Additions;
pub use check::{Violation, check};
pub use cost::Cost;
pub use forecast::{Forecast, forecast};
pub use in_force::{Held, HeldBack, InForce, as_it_is, in_force, unread};
pub use intent::Intent;
pub use lag::Lag;
pub use observed::{Observed, ObservedNode, Phase, Place, Template};
pub use plan::{Checked, Draft, Note, Operation, Plan, Step};
pub use planner::plan;
pub use said::Said;
pub use status::{Outcome, Planned, Trouble, VERSION, status, unobserved};
pub use validate::{SpecProblem, validate};
