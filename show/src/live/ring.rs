//! The ring as arcs to draw: who owns the slots, and who should.

use ringcache_api::Document;
use ringcache_operator_core::Observed;
use ringcache_ring::SLOTS;
use serde_json::{Value, json};

/// Slots that are drawn as one: finer than a pixel of any ring, and a bound on the arcs however scattered slots are.
const CELL: usize = 16;
/// Members that are told from each other: there may be no more.
type Owner = Option<u16>;

/// An arc of the ring: first and last slot, and the member by its place; `None` = nobody is known to.
type Arc = (u16, u16, Owner);

/// The members by name, and arcs of what they own and of what they should; `null` = there is no ring yet.
pub(super) fn json(observed: &Observed) -> Value {
    let Some(document) = observed.stored() else { return Value::Null };
    json!({
        "epoch": document.epoch,
        "slots": SLOTS,
        "slotsToGo": observed.slots_to_go(document),
        "members": document.members.iter().map(|member| &member.name).collect::<Vec<_>>(),
        "owned": arcs(&owned(document, observed)),
        "wanted": arcs(&wanted(document)),
    })
}

fn owned(document: &Document, observed: &Observed) -> Vec<Owner> {
    let mut owners = vec![None; usize::from(SLOTS)];
    for (member, place) in document.members.iter().zip(0..) {
        let said = observed.state_of(&member.uid);
        for &range in said.iter().flat_map(|said| said.owned) {
            fill(&mut owners, range, place);
        }
    }
    owners
}

fn wanted(document: &Document) -> Vec<Owner> {
    let mut owners = vec![None; usize::from(SLOTS)];
    for range in &document.slots {
        let place = document.members.iter().position(|member| member.name == range.owner);
        if let Some(place) = place.and_then(|place| u16::try_from(place).ok()) {
            fill(&mut owners, range.range, place);
        }
    }
    owners
}

fn fill(owners: &mut [Owner], (first, last): (u16, u16), place: u16) {
    if let Some(slots) = owners.get_mut(usize::from(first)..=usize::from(last)) {
        slots.fill(Some(place));
    }
}

/// Neighbouring cells of one owner are one arc.
fn arcs(owners: &[Owner]) -> Vec<Arc> {
    let mut arcs: Vec<Arc> = Vec::new();
    for (cell, first) in owners.chunks(CELL).zip((0..SLOTS).step_by(CELL)) {
        let (last, owner) = (first + cell.len() as u16 - 1, most(cell));
        match arcs.last_mut() {
            Some(arc) if arc.2 == owner => arc.1 = last,
            _ => arcs.push((first, last, owner)),
        }
    }
    arcs
}

/// Who has most slots of a cell, the first of those that have as many.
fn most(cell: &[Owner]) -> Owner {
    let count = |owner: Owner| cell.iter().filter(|other| **other == owner).count();
    cell.iter().copied().rev().max_by_key(|owner| count(*owner)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{document, node, observed};

    #[test]
    fn what_is_owned_and_what_should_be_are_told_apart_while_slots_move() {
        let ring = document(&[(0, 8191, "web-0"), (8192, 16383, "web-1")]);
        let nodes = vec![node("web-0", &[(0, 8191)], 0), node("web-1", &[(12288, 16383)], 0)];
        let ring = json(&observed(Some(ring), nodes));
        assert_eq!(ring["wanted"], json!([[0, 8191, 0], [8192, 16383, 1]]));
        assert_eq!(ring["owned"], json!([[0, 8191, 0], [8192, 12287, null], [12288, 16383, 1]]));
        assert_eq!(
            (&ring["slotsToGo"], &ring["members"]),
            (&json!(4096), &json!(["web-0", "web-1"]))
        );
    }

    #[test]
    fn however_scattered_the_slots_are_the_arcs_have_a_bound() {
        let every_second: Vec<Owner> =
            (0..SLOTS).map(|slot| slot.is_multiple_of(2).then_some(0)).collect();
        assert_eq!(arcs(&every_second), [(0, SLOTS - 1, Some(0))]);
        let by_cell: Vec<Owner> = (0..SLOTS).map(|slot| Some(slot / CELL as u16 % 2)).collect();
        assert_eq!(arcs(&by_cell).len(), usize::from(SLOTS) / CELL);
    }

    #[test]
    fn a_cell_is_drawn_as_that_of_whoever_has_most_of_it() {
        assert_eq!(most(&[Some(1), Some(2), Some(2)]), Some(2));
        assert_eq!(most(&[Some(3), None, None]), None);
        assert_eq!(most(&[Some(3), None]), Some(3));
    }

    #[test]
    fn without_a_document_there_is_no_ring() {
        assert_eq!(json(&observed(None, Vec::new())), Value::Null);
    }
}
