//! A plan as data: which workload, and what goes wrong at which call. Printed by a failure, replayed from the environment.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::workload::Workload;

/// One run: the same plan gives the same history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) workload: Workload,
    #[serde(default)]
    pub(crate) seed: u64,
    /// In the order of their indices.
    #[serde(default)]
    pub(crate) faults: Vec<Fault>,
    /// Operators that act at once, without a lease.
    #[serde(default = "one")]
    pub(crate) operators: usize,
}

fn one() -> usize {
    1
}

impl Plan {
    pub(crate) fn undisturbed(workload: Workload) -> Self {
        Self { workload, seed: 0, faults: Vec::new(), operators: 1 }
    }

    /// Whether how much is created and deleted depends on how far things have come when the user acts again.
    pub(crate) fn counts_depend_on_time(&self) -> bool {
        let waits = |fault: &Fault| matches!(fault, Fault::Slow(_) | Fault::Outage(_));
        let acts_again = self.workload.actions().iter().any(|(after, _)| !after.is_zero());
        self.workload.counts_depend_on_time() || (acts_again && self.faults.iter().any(waits))
    }

    /// Whether every node that runs answers the operator whenever it asks.
    pub(crate) fn is_in_touch(&self) -> bool {
        !matches!(self.workload, Workload::CutOff(_) | Workload::NeverReady)
    }

    pub(crate) fn with(workload: Workload, fault: Fault) -> Self {
        Self { faults: vec![fault], ..Self::undisturbed(workload) }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).unwrap_or_default())
    }
}

/// One perturbation. Calls are numbered from zero, from the moment on when the workload begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Fault {
    /// The operator ends before its n-th write reaches the server.
    CrashBefore(usize),
    /// The operator ends when its n-th write was applied, before it hears of it.
    CrashAfter(usize),
    /// The n-th document or settings that a node is given: the operator ends before or after.
    CrashBeforePush(usize),
    CrashAfterPush(usize),
    /// The node refuses the connection of the n-th push.
    PushFails(usize),
    /// The n-th call is answered with an error, or not at all.
    Call(usize, ApiError),
    /// From the n-th call on the operator's watches tell nothing new for a while.
    Freeze(usize),
    /// From the n-th call on the server takes a second for every answer, for a while.
    Slow(usize),
    /// From the n-th call on the server serves nobody, for a while.
    Outage(usize),
    /// The operator ends when its n-th write was applied, and the clock of the next one goes so many hours before or after.
    WrongClock(usize, i8),
    /// The n-th question for the state of a node is answered like this.
    Ask(usize, Lie),
    /// At the n-th call the server forgets what watches would go on from: all of them end with 410 Gone.
    Compact(usize),
}

/// What comes of a question to a node besides its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Lie {
    /// The connection is refused.
    Refused,
    /// Nothing.
    Silence,
    /// Something that is no state.
    Garbage,
}

impl Lie {
    pub(crate) const ALL: [Self; 3] = [Self::Refused, Self::Silence, Self::Garbage];
}

/// What the server does instead of answering.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ApiError {
    Conflict,
    NotFound,
    Forbidden,
    Invalid,
    /// With `Retry-After: 1`.
    TooManyRequests,
    Internal,
    Unavailable,
    /// No answer, and nothing was done.
    TimeoutNotApplied,
    /// No answer, although it was done.
    TimeoutApplied,
}

impl ApiError {
    pub(crate) const ALL: [Self; 9] = [
        Self::Conflict,
        Self::NotFound,
        Self::Forbidden,
        Self::Invalid,
        Self::TooManyRequests,
        Self::Internal,
        Self::Unavailable,
        Self::TimeoutNotApplied,
        Self::TimeoutApplied,
    ];
}
