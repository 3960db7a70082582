//! The tests, in the order of their names: the last ones look at what all others have made the operator ask for, and left behind.

mod disruption;
mod faults;
mod idle;
mod lost_touch;
mod operator_crashes;
mod packaging;
mod repair;
mod story;
mod zz_rbac;
mod zz_rest;
