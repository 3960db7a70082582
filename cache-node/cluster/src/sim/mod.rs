//! The cluster in a simulated network: random schedules of delays, losses, duplicates, reordering, deaths and newcomers.
//!
//! After every step two things are checked: no slot has two owners, and a read at the owner gives the last acknowledged
//! write or nothing. After the faults the cluster must settle as its document wants. A failure prints its seed;
//! `RINGCACHE_SIM_SEED=<seed> cargo test -p ringcache-cluster one_seed -- --nocapture` replays it with a trace.

mod store;
mod tests;
mod world;

pub(crate) use store::SimStore;

/// Rules that can be switched off, one at a time, to see that the simulation notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Only the successor under its own document accepts a copy.
    OnlyTheSuccessor,
    /// A leaving member is removed only when it has accepted that document, owns nothing, and nobody waits for its answer.
    RemovedOnlyWhenDrained,
    /// Attempts are numbered and never reused.
    AttemptsNotReused,
    /// Whoever answers "not mine" to a question about an attempt refuses that attempt for ever.
    RefusedForEver,
    /// A sealed slot whose target is gone is dropped, and adopted by whoever succeeds to it.
    SealedIsNobodys,
    /// Frames of a copy are applied once, in order, without a gap.
    FramesInOrder,
    /// Writes during a copy enter the same ordered stream.
    WritesAreStreamed,
}
