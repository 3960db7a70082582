//! The cluster in a simulated network: random schedules of delays, losses, duplicates, reordering, deaths, newcomers, and
//! partitions: a node cut off from the operator, from some peers, in one direction, or from everybody.
//!
//! After every step it is checked that no slot has two owners, and that a read at the owner gives the last acknowledged write
//! or nothing. The operator declares a node gone that it cannot reach only by what the machines say that they have heard; the
//! world, which knows what was delivered, checks that nobody hears a node that is declared gone. Such a node is cut off from
//! clients as well until it is told, since without leases nothing else keeps it from serving; told it must be, and then own
//! nothing. After the faults the cluster must settle as its document wants. A failure prints its seed;
//! `RINGCACHE_SIM_SEED=<seed> cargo test -p ringcache-cluster one_seed -- --nocapture` replays it with a trace.

mod partition;
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
    /// Nobody is declared gone whom another node hears, or may hear.
    TheHeardLive,
    /// Whoever takes no part in the document is told so by any peer that it reaches.
    StrangersAreTold,
    /// Whoever takes no part in the document owns nothing.
    StrangersOwnNothing,
}
