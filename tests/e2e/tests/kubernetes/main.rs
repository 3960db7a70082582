//! The tests, in the order of their names: the last one reads what all others have made the operator ask for.

mod faults;
mod idle;
mod operator_crashes;
mod packaging;
mod repair;
mod story;
mod zz_rbac;
