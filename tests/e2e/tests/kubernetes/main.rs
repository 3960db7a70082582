//! The tests, in any order: each says whether others may run meanwhile.

mod autoscaling;
mod cannot_start;
mod disruption;
mod faults;
mod held;
mod idle;
mod lost_touch;
mod many;
mod names;
mod operator_changes;
mod operator_crashes;
mod packaging;
mod repair;
mod sidecars;
mod story;
