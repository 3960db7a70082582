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
            let counts = (state.handed_in, state.adopted);
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

impl Operation {
    fn new(received: &Received, to_move: u64, now: Instant) -> Self {
        let at_first = received.clone();
        Self { began: now, at_first, optimum: to_move, goal: to_move, said: (now, 0) }
    }
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
        let holders = holders(observed);
        let names: Vec<_> = holders.iter().map(|holder| holder.map(|(name, _)| name)).collect();
        let unowned = names.iter().filter(|name| name.is_none()).count();
        let on_their_way = holders.iter().flatten().filter(|(_, arrived)| !arrived).count() as u64;
        let stay = document.slots.iter().map(|range| {
            let (first, last) = range.range;
            let held = names.get(usize::from(first)..=usize::from(last)).unwrap_or_default();
            held.iter().filter(|name| **name == Some(range.owner.as_str())).count()
        });
        let to_move = (names.len() - unowned - stay.sum::<usize>()) as u64;
        let optimum = (optimum(&names, document).saturating_sub(unowned) as u64).min(to_move);
        let operation =
            self.operation.get_or_insert_with(|| Operation::new(&self.received, 0, now));
        let moved = self.received.since(&operation.at_first).0 + on_their_way;
        // What an earlier document of this operation still wanted moved, and this one does not, was no move.
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
        if self.operation.is_none()
            && let Some(to_move) = left_by_another(observed)
        {
            self.operation = Some(Operation::new(&self.received, to_move, now));
        }
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

/// Slots that are on their way although this process has written no document: an `up` before it has. While a member does
/// not answer nobody knows.
fn left_by_another(observed: &Observed) -> Option<u64> {
    let document = observed.stored()?;
    let all_answer = document.members.iter().all(|m| observed.state_of(&m.uid).is_some());
    let to_move = observed.slots_to_go(document) as u64;
    (all_answer && to_move > 0).then_some(to_move)
}

/// Who holds each slot, and whether it is known to: a slot that nobody is known to own is on its way to where the ring
/// wants it, unless that node is dead.
fn holders(observed: &Observed) -> Vec<Option<(&str, bool)>> {
    let mut holders = vec![None; usize::from(SLOTS)];
    let mut set = |ranges: &[(u16, u16)], holder| {
        for &(first, last) in ranges {
            if let Some(slots) = holders.get_mut(usize::from(first)..=usize::from(last)) {
                slots.fill(Some(holder));
            }
        }
    };
    if let Some(document) = observed.stored() {
        for range in &document.slots {
            let owner = document.member(&range.owner);
            if let Some(owner) = owner.filter(|owner| !observed.is_gone(&owner.uid)) {
                set(&[range.range], (owner.name.as_str(), false));
            }
        }
    }
    for state in observed.states() {
        set(state.owned, (state.name, true));
    }
    holders
}

/// The least number of slots that must change hands from where they are to a balanced assignment over the document's members.
#[expect(clippy::large_stack_arrays, reason = "64 KiB, once, in a call chain without recursion")]
fn optimum(names: &[Option<&str>], document: &Document) -> usize {
    let staying = document.members.iter().filter(|m| m.state != MemberState::Leaving);
    let targets: Vec<_> = staying.map(|m| Target { name: &m.name, weight: 1 }).collect();
    let index: HashMap<_, _> = targets.iter().map(|target| target.name).zip(0..).collect();
    let mut holders: Holders = [None; SLOTS as usize];
    for (holder, name) in holders.iter_mut().zip(names) {
        *holder = name.and_then(|name| index.get(name).copied());
    }
    optimal_moves(&holders, &targets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use ringcache_show::fixture::{document, node, observed};

    const HALF: u16 = SLOTS / 2;

    #[test]
    fn a_scaling_is_measured_from_its_document_to_rest() {
        let alone = document(&[(0, SLOTS - 1, "a")]);
        let two = document(&[(0, HALF - 1, "a"), (HALF, SLOTS - 1, "b")]);
        let now = clock::now();
        let mut movement = Movement::default();
        let before =
            observed(Some(alone), vec![node("a", &[(0, SLOTS - 1)], 9), node("b", &[], 0)]);
        assert_eq!(movement.document(&before, &two, now), "8192 slots to move (the optimum)");

        let half =
            vec![node("a", &[(0, SLOTS - 101)], 9), node("b", &[(SLOTS - 100, SLOTS - 1)], 100)];
        let half = observed(Some(two.clone()), half);
        assert_eq!(movement.observe(&half, false, now), None, "too early for a line");
        let later = now + PROGRESS_EVERY;
        let line = movement.observe(&half, false, later).expect("a line");
        assert_eq!(line, "… 100/8192 slots moved");
        assert_eq!(movement.observe(&half, false, later + PROGRESS_EVERY), None, "nothing new");

        let nodes = vec![node("a", &[(0, HALF - 1)], 9), node("b", &[(HALF, SLOTS - 1)], 8192)];
        let after = observed(Some(two), nodes);
        let line = movement.observe(&after, true, now + Duration::from_millis(3200));
        let wanted = "converged at epoch 7 in 3.2 s: 8192 slots moved, optimum 8192";
        assert_eq!(line.as_deref(), Some(wanted));
        assert_eq!(movement.observe(&after, true, later), None, "said once");
    }

    #[test]
    fn a_scaling_that_another_process_began_is_measured_from_where_it_was_found() {
        let two = document(&[(0, HALF - 1, "a"), (HALF, SLOTS - 1, "b")]);
        let nodes = |seam: u16, received| {
            vec![node("a", &[(0, seam - 1)], 0), node("b", &[(seam, SLOTS - 1)], received)]
        };
        let now = clock::now();
        let mut movement = Movement::default();
        let found = observed(Some(two.clone()), nodes(SLOTS - 192, 192));
        assert_eq!(movement.observe(&found, false, now), None);
        let after = observed(Some(two), nodes(HALF, 8192));
        let line = movement.observe(&after, true, now).expect("it has converged");
        assert_eq!(line, "converged at epoch 7 in 0.0 s: 8000 slots moved, optimum 8000");
    }

    #[test]
    fn a_node_that_is_silent_for_a_moment_is_no_movement() {
        let two = document(&[(0, HALF - 1, "a"), (HALF, SLOTS - 1, "b")]);
        let mut nodes = vec![node("a", &[(0, HALF - 1)], 0), node("b", &[(HALF, SLOTS - 1)], 0)];
        let now = clock::now();
        let mut movement = Movement::default();
        let whole = observed(Some(two.clone()), nodes.clone());
        nodes[1].state = None;
        assert_eq!(movement.observe(&observed(Some(two), nodes), false, now), None);
        assert_eq!(movement.observe(&whole, true, now), None);
    }

    #[test]
    fn slots_between_two_nodes_are_on_their_way_and_not_lost() {
        let two = document(&[(0, HALF - 1, "a"), (HALF, SLOTS - 1, "b")]);
        let now = clock::now();
        let mut movement = Movement::default();
        let nodes = vec![node("a", &[(0, HALF - 1)], 0), node("b", &[(HALF + 10, SLOTS - 1)], 0)];
        let between = observed(Some(two.clone()), nodes);
        assert_eq!(movement.document(&between, &two, now), "no slot moves");
    }

    #[test]
    fn slots_of_a_dead_node_are_adopted() {
        let two = document(&[(0, HALF - 1, "a"), (HALF, SLOTS - 1, "b")]);
        let alone = document(&[(0, SLOTS - 1, "a")]);
        let mut movement = Movement::default();
        let left = observed(Some(two), vec![node("a", &[(0, HALF - 1)], 0)]);
        assert_eq!(movement.document(&left, &alone, clock::now()), "8192 slots to adopt");
    }

    #[test]
    fn more_moves_than_the_optimum_are_told() {
        let two = document(&[(0, HALF - 1, "a"), (HALF, SLOTS - 1, "b")]);
        let swapped = document(&[(0, HALF - 1, "b"), (HALF, SLOTS - 1, "a")]);
        let nodes = vec![node("a", &[(0, HALF - 1)], 0), node("b", &[(HALF, SLOTS - 1)], 0)];
        let text =
            Movement::default().document(&observed(Some(two), nodes), &swapped, clock::now());
        assert_eq!(text, "16384 slots to move (the optimum is 0)");
    }
}
