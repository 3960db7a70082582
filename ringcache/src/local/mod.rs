//! A cluster on this machine: `ringcache up`, and what shows it.

mod adopt;
mod autoscale;
mod curve;
mod dir;
mod execute;
mod look;
mod movement;
mod observe;
mod page;
mod plan;
mod ports;
mod process;
mod report;
mod resource;
mod ring;
mod run;
mod screen;
mod seeds;
mod spec;
mod status;
mod stop;
mod up;
mod watch;

pub(crate) use curve::{CurveArgs, curve};
pub(crate) use look::LookArgs;
pub(crate) use plan::{PlanArgs, plan};
pub(crate) use ring::{hot_keys, ring};
pub(crate) use seeds::seeds;
pub(crate) use status::status;
pub(crate) use up::{UpArgs, up};
