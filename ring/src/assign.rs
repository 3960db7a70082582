//! The assignment of slots to nodes: balanced by weight, with as few moves as possible.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use crate::place::{place, runs};
use crate::quota::{held, quotas};
use crate::{SLOTS, SlotSet};

/// Who holds each slot now: `holders[slot]` is an index into the targets, `None` for a slot that
/// nobody holds or whose holder is no target (it is leaving).
pub type Holders = [Option<u16>; SLOTS as usize];

/// A node that shall hold slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    /// Unique among the targets; decides ties, so that the result does not depend on their order.
    pub name: &'a str,
    /// Its share of the slots is its weight by the sum of all weights; at least 1.
    pub weight: u32,
}

/// Why there is no assignment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AssignError {
    /// Nobody is there to hold the slots.
    #[error("no targets: at least one node must be able to hold slots")]
    NoTargets,
    /// Some target would remain without a slot.
    #[error("{0} targets: at most {SLOTS}, one for each slot")]
    TooManyTargets(usize),
    /// A target that shall hold nothing is not a target.
    #[error("target `{0}` has weight 0: at least 1")]
    ZeroWeight(String),
    /// Names decide ties, so they must differ.
    #[error("two targets are named `{0}`")]
    DuplicateName(String),
    /// The slot's holder is an index beyond the targets.
    #[error("slot {slot} is held by target {index} of {targets}")]
    UnknownHolder {
        /// The slot.
        slot: u16,
        /// Its holder's index.
        index: u16,
        /// Number of targets.
        targets: usize,
    },
}

/// Who should hold each slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// By slot, the index of a target.
    owners: Box<[u16]>,
}

impl Assignment {
    /// Index of the target that should hold `slot`; `None` from [`SLOTS`] on.
    pub fn owner(&self, slot: u16) -> Option<u16> {
        self.owners.get(usize::from(slot)).copied()
    }

    /// By slot, the index of the target that should hold it; always [`SLOTS`] long.
    pub fn owners(&self) -> &[u16] {
        &self.owners
    }

    /// Ranges as long as possible, ascending, each with the index of the target that should hold
    /// it.
    pub fn ranges(&self) -> impl Iterator<Item = (RangeInclusive<u16>, u16)> + '_ {
        runs(&self.owners).map(|(range, &owner)| (range, owner))
    }

    /// The slots that target `index` should hold.
    pub fn slots_of(&self, index: u16) -> SlotSet {
        self.ranges().filter(|&(_, owner)| owner == index).map(|(range, _)| range).collect()
    }

    /// Number of slots that have another holder, or none, in `current`.
    pub fn moves(&self, current: &Holders) -> usize {
        self.owners.iter().zip(current).filter(|&(&owner, &holder)| holder != Some(owner)).count()
    }
}

/// Assigns every slot to a target: by weight with the largest remainders (equal weights differ by
/// at most one slot), moving only what has to move.
///
/// A target above its quota gives away its surplus, one below receives; no other slot changes
/// hands, so nodes that stay exchange nothing. The number of moves is
/// [`optimal_moves`](crate::optimal_moves). *Which* slots move is chosen so that ranges stay long.
/// The result depends on names, weights and holders only, not on the order of the targets.
pub fn assign(current: &Holders, targets: &[Target<'_>]) -> Result<Assignment, AssignError> {
    validate(current, targets)?;
    let quotas = quotas(targets, &held(current, targets.len()));
    Ok(Assignment { owners: place(current, targets, &quotas) })
}

fn validate(current: &Holders, targets: &[Target<'_>]) -> Result<(), AssignError> {
    if targets.is_empty() {
        return Err(AssignError::NoTargets);
    }
    if targets.len() > usize::from(SLOTS) {
        return Err(AssignError::TooManyTargets(targets.len()));
    }
    let mut names = BTreeSet::new();
    for target in targets {
        if target.weight == 0 {
            return Err(AssignError::ZeroWeight(target.name.to_owned()));
        }
        if !names.insert(target.name) {
            return Err(AssignError::DuplicateName(target.name.to_owned()));
        }
    }
    for (slot, holder) in (0..SLOTS).zip(current) {
        if let Some(index) = holder.filter(|&index| usize::from(index) >= targets.len()) {
            return Err(AssignError::UnknownHolder { slot, index, targets: targets.len() });
        }
    }
    Ok(())
}
