//! Who owns which slots, and who should.

use ringcache_api::Document;
use ringcache_operator_core::Observed;
use ringcache_ring::{SLOTS, SlotSet};
use serde_json::{Value, json};

use crate::table;

/// Characters of the picture of all slots.
const WIDTH: u16 = 64;
/// What stands for a node there, by its place among the members.
const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/// What stands for slots that nobody who answers owns, and for nodes beyond the letters.
const NOBODY: char = '·';
const ANOTHER: char = '?';
/// Ranges of slots that are told of one node.
const RANGES: usize = 6;

/// One member of the ring document.
struct Row {
    letter: char,
    name: String,
    state: String,
    should_own: SlotSet,
    owns: Option<SlotSet>,
}

fn rows(document: &Document, observed: &Observed) -> Vec<Row> {
    let letters = LETTERS.chars().chain(std::iter::repeat(ANOTHER));
    let row = |(member, letter): (&ringcache_api::Member, char)| Row {
        letter,
        name: member.name.clone(),
        state: format!("{:?}", member.state),
        should_own: document.intended(&member.name),
        owns: observed
            .state_of(&member.uid)
            .map(|said| SlotSet::from_ranges(said.owned.iter().map(|&(first, last)| first..=last))),
    };
    document.members.iter().zip(letters).map(row).collect()
}

/// A picture of the slots by their owners, and a table of the members.
pub fn text(observed: &Observed) -> String {
    let Some(document) = observed.stored() else { return "There is no ring yet.\n".into() };
    let rows = rows(document, observed);
    let standing = match observed.slots_to_go(document) {
        0 => "every slot is with the node that should own it".to_owned(),
        slots => format!("{slots} slots are not known to be with the node that should own them"),
    };
    let cells = rows.iter().map(|row| {
        let owns = row.owns.as_ref().map_or_else(|| "-".to_owned(), |owns| owns.len().to_string());
        let ranges = row.owns.as_ref().map_or_else(|| "-".to_owned(), ranges);
        [
            row.letter.to_string(),
            row.name.clone(),
            row.state.clone(),
            ranges,
            row.should_own.len().to_string(),
            owns,
        ]
    });
    format!(
        "Epoch {}: {standing}.\n\n0 {} {}\n\n{}",
        document.epoch,
        picture(&rows),
        SLOTS - 1,
        table::plain(&["", "NODE", "STATE", "SLOTS", "SHOULD OWN", "OWNS"], 4, cells)
    )
}

/// The same as JSON: ranges of slots, first and last inclusive.
pub fn json(observed: &Observed) -> Value {
    let Some(document) = observed.stored() else { return Value::Null };
    let ranges = |slots: &SlotSet| -> Vec<(u16, u16)> {
        slots.ranges().map(|range| (*range.start(), *range.end())).collect()
    };
    let member = |row: &Row| {
        json!({
            "name": row.name,
            "state": row.state,
            "shouldOwn": ranges(&row.should_own),
            "owns": row.owns.as_ref().map(ranges),
        })
    };
    let rows = rows(document, observed);
    json!({
        "epoch": document.epoch,
        "slotsToGo": observed.slots_to_go(document),
        "members": rows.iter().map(member).collect::<Vec<_>>(),
    })
}

/// Each character stands for as many slots, and shows who owns most of them.
fn picture(rows: &[Row]) -> String {
    let step = SLOTS / WIDTH;
    let character = |n: u16| {
        let part = SlotSet::from_ranges([n * step..=(n + 1) * step - 1]);
        let owned = |row: &Row| row.owns.as_ref().map_or(0, |owns| owns.intersection(&part).len());
        let most = rows.iter().map(|row| (owned(row), row.letter)).max_by_key(|(slots, _)| *slots);
        let unowned = part.len() - rows.iter().map(owned).sum::<usize>().min(part.len());
        most.filter(|(slots, _)| *slots > 0 && *slots >= unowned)
            .map_or(NOBODY, |(_, letter)| letter)
    };
    (0..WIDTH).map(character).collect()
}

/// The ranges as text, those beyond the first few counted.
fn ranges(slots: &SlotSet) -> String {
    let all: Vec<_> = slots.ranges().collect();
    let text = |range: &std::ops::RangeInclusive<u16>| match (range.start(), range.end()) {
        (first, last) if first == last => first.to_string(),
        (first, last) => format!("{first}-{last}"),
    };
    let mut told: Vec<String> = all.iter().take(RANGES).map(text).collect();
    if all.len() > RANGES {
        told.push(format!("and {} more ranges", all.len() - RANGES));
    }
    if told.is_empty() { "none".to_owned() } else { told.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{document, node, observed};

    #[test]
    fn the_picture_shows_who_owns_the_slots_and_the_table_who_should() {
        let document = document(&[(0, 8191, "web-0"), (8192, 16383, "web-1")]);
        let nodes = vec![node("web-0", &[(0, 8191)], 0), node("web-1", &[(12288, 16383)], 0)];
        let text = text(&observed(Some(document), nodes));
        let wanted = [
            "Epoch 7: 4096 slots are not known to be with the node that should own them."
                .to_owned(),
            String::new(),
            format!("0 {}{}{} 16383", "A".repeat(32), "·".repeat(16), "B".repeat(16)),
            String::new(),
            "   NODE   STATE   SLOTS        SHOULD OWN  OWNS".to_owned(),
            "A  web-0  Active  0-8191             8192  8192".to_owned(),
            "B  web-1  Active  12288-16383        8192  4096".to_owned(),
        ];
        assert_eq!(text.lines().collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn a_silent_member_owns_nothing_that_is_known_and_many_ranges_are_counted() {
        let document = document(&[(0, 16382, "web-0"), (16383, 16383, "web-1")]);
        let scattered: Vec<(u16, u16)> = (0..10).map(|n| (n * 10, n * 10)).collect();
        let nodes = vec![node("web-0", &scattered, 0)];
        let seen = observed(Some(document), nodes);
        assert!(
            text(&seen).contains("0, 10, 20, 30, 40, 50, and 4 more ranges"),
            "{}",
            text(&seen)
        );
        let json = json(&seen);
        assert_eq!(
            (&json["slotsToGo"], &json["members"][1]["owns"]),
            (&16374.into(), &Value::Null)
        );
    }

    #[test]
    fn without_a_document_there_is_no_ring() {
        assert_eq!(text(&observed(None, Vec::new())), "There is no ring yet.\n");
        assert_eq!(json(&observed(None, Vec::new())), Value::Null);
    }
}
