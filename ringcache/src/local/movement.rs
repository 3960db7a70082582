//! Measures how slots move: from the first document of an operation until everything has settled.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use ringcache_api::{Document, Incarnation, MemberState};
use ringcache_operator_core::Observed;
use ringcache_ring::{Holders, SLOTS, Target, optimal_moves};

/// Least time between two lines of progress.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// Slots that nodes have received since they started, as last heard of each: a node that is gone has received them all the same.
#[derive(Clone, Debug, Default)]
struct Received(HashMap<Incarnation, (u64, u64)>);

impl Received {
    fn note(&mut self, observed: &Observed) {
        for state in observed.states() {
            let counts = (state.ownership.handed_in, state.ownership.adopted);
            self.0.insert(state.incarnation.clone(), counts);
        }
    }

    /// Slots handed over and slots adopted since `earlier`.
    fn since(&self, earlier: &Self) -> (u64, u64) {
        self.0.iter().fold((0, 0), |(moved, adopted), (node, counts)| {
            let before = earlier.0.get(node).copied().unwrap_or_default();
            (moved + counts.0.saturating_sub(before.0), adopted + counts.1.saturating_sub(before.1))
        })
    }
}

/// One operation, from its first document on.
#[derive(Debug)]
struct Operation {
    began: Instant,
    at_first: Received,
    /// The least number of slots that had to move, summed over its documents.
    optimum: u64,
    /// Slots that will have moved when the last document is carried out.
    goal: u64,
    said: (Instant, u64),
}

/// The operation under way, if there is one.
#[derive(Debug, Default)]
pub(super) struct Movement {
    received: Received,
    operation: Option<Operation>,
}

impl Movement {
    /// Notes that `document` is written, which `observed` led to; what it will take.
    pub(super) fn document(
        &mut self,
        observed: &Observed,
        document: &Document,
        now: Instant,
    ) -> String {
        self.received.note(observed);
        let unowned = usize::from(SLOTS) - observed.served().len();
        let to_move = observed.slots_to_go(document).saturating_sub(unowned) as u64;
        let optimum = (optimum(observed, document).saturating_sub(unowned) as u64).min(to_move);
        let operation = self.operation.get_or_insert_with(|| Operation {
            began: now,
            at_first: self.received.clone(),
            optimum: 0,
            goal: 0,
            said: (now, 0),
        });
        let moved = self.received.since(&operation.at_first).0;
        // Slots on their way now are counted again by the new document if they still have to go anywhere.
        operation.optimum = operation.optimum.min(moved) + optimum;
        operation.goal = moved + to_move;
        let adopt = (unowned > 0).then(|| format!("{unowned} slots to adopt"));
        let exchange = match to_move {
            0 => None,
            n if n == optimum => Some(format!("{n} slots to move (the optimum)")),
            n => Some(format!("{n} slots to move (the optimum is {optimum})")),
        };
        let parts: Vec<_> = adopt.into_iter().chain(exchange).collect();
        if parts.is_empty() { "no slot moves".to_owned() } else { parts.join(", ") }
    }

    /// Notes an observation; a line when there is progress to tell, and one when everything has `settled`.
    pub(super) fn observe(
        &mut self,
        observed: &Observed,
        settled: bool,
        now: Instant,
    ) -> Option<String> {
        self.received.note(observed);
        let operation = self.operation.as_mut()?;
        let (moved, adopted) = self.received.since(&operation.at_first);
        let Operation { began, optimum, goal, said, .. } = operation;
        if !settled {
            let due = now - said.0 >= PROGRESS_EVERY && moved != said.1 && moved < *goal;
            return due.then(|| {
                *said = (now, moved);
                format!("… {moved}/{goal} slots moved")
            });
        }
        let epoch = observed.stored().map_or(0, |document| document.epoch);
        let took = (now - *began).as_secs_f64();
        let adopted = if adopted > 0 { format!(", {adopted} adopted") } else { String::new() };
        let line = format!(
            "converged at epoch {epoch} in {took:.1} s: {moved} slots moved, optimum {optimum}{adopted}"
        );
        self.operation = None;
        Some(line)
    }
}

/// The least number of slots that must change hands from where they are to a balanced assignment over the document's members.
#[expect(clippy::large_stack_arrays, reason = "64 KiB, once, in a call chain without recursion")]
fn optimum(observed: &Observed, document: &Document) -> usize {
    let staying: Vec<_> =
        document.members.iter().filter(|m| m.state != MemberState::Leaving).collect();
    let mut holders: Holders = [None; SLOTS as usize];
    for (index, member) in staying.iter().enumerate() {
        let owned = observed.state_of(&member.uid).into_iter().flat_map(|s| &s.ownership.owned);
        for slot in owned.flat_map(|&(first, last)| first..=last) {
            if let Some(holder) = holders.get_mut(usize::from(slot)) {
                *holder = Some(index as u16);
            }
        }
    }
    let targets: Vec<_> = staying.iter().map(|m| Target { name: &m.name, weight: 1 }).collect();
    optimal_moves(&holders, &targets)
}
