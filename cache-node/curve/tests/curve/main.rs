//! Curves against slow and exact twins.

#[cfg(test)]
mod exact;
#[cfg(test)]
mod handover;
#[cfg(test)]
mod merging;
#[cfg(test)]
mod sampling;
#[cfg(test)]
mod traces;
