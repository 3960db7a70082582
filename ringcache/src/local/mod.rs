//! A cluster on this machine: `ringcache up` and `ringcache status`.

mod adopt;
mod autoscale;
mod curve;
mod dir;
mod execute;
#[cfg(test)]
mod fixture;
mod movement;
mod nodes;
mod observe;
mod ports;
mod process;
mod report;
mod resource;
mod run;
mod screen;
mod seeds;
mod spec;
mod status;
mod stop;
mod up;
mod watch;

pub(crate) use curve::{CurveArgs, curve};
pub(crate) use seeds::seeds;
pub(crate) use status::{StatusArgs, status};
pub(crate) use up::{UpArgs, up};
