//! Server-side apply, and what every other write means for the ownership of fields.

use serde_json::Value;

use crate::fields::{
    FieldSet, Managers, Owner, Step, display, element, fields_of, item_step, lookup, remove,
};
use crate::object::Object;
use crate::shape::{Merge, Shape};

/// Merges what a manager applies into the live object.
///
/// # Errors
/// The fields that other managers own with another value, as manager and path, unless `force`.
pub(crate) fn apply(
    live: &Object,
    applied: &Value,
    owner: &Owner,
    force: bool,
    shape: &Shape,
) -> Result<(Value, Managers), Vec<(String, String)>> {
    let wanted = fields_of(applied, shape);
    let mut merged = live.value().clone();
    merge(&mut merged, applied, shape);

    let mut managers = live.managers.clone();
    let before = managers.remove(owner).unwrap_or_default();
    let mut conflicts = Vec::new();
    for (other, fields) in &mut managers {
        let taken: Vec<_> = fields
            .intersection(&wanted)
            .filter(|path| {
                lookup(live.value(), path) != lookup(&merged, path) && !is_membership(path, &wanted)
            })
            .cloned()
            .collect();
        conflicts.extend(taken.iter().map(|path| (other.name.clone(), display(path))));
        for path in &taken {
            fields.remove(path);
        }
    }
    if !force && !conflicts.is_empty() {
        return Err(conflicts);
    }
    managers.retain(|_, fields| !fields.is_empty());
    give_up(&mut merged, &before, &wanted, &managers);
    managers.insert(owner.clone(), wanted);
    Ok((merged, managers))
}

/// Removes what the manager no longer applies and nobody else owns.
fn give_up(merged: &mut Value, before: &FieldSet, wanted: &FieldSet, others: &Managers) {
    for path in before.difference(wanted) {
        let owned_by_others =
            others.values().any(|fields| fields.iter().any(|field| field.starts_with(path)));
        let still_wanted = wanted.iter().any(|field| field.starts_with(path));
        if !owned_by_others && !still_wanted && !is_key(path) {
            remove(merged, path);
        }
    }
}

/// Whether the path is the membership of an item in a list, not its value.
fn is_membership(path: &[Step], fields: &FieldSet) -> bool {
    matches!(path.last(), Some(Step::Item(_)))
        && fields.iter().any(|field| field.len() > path.len() && field.starts_with(path))
}

/// Whether the path is a key of an item: it stays as long as the item does.
fn is_key(path: &[Step]) -> bool {
    match path {
        [.., Step::Item(keys), Step::Field(name)] => keys.iter().any(|(key, _)| key == name),
        _ => false,
    }
}

fn merge(live: &mut Value, applied: &Value, shape: &Shape) {
    match (live, applied, &shape.merge) {
        (Value::Object(live), Value::Object(applied), merge_as) if *merge_as != Merge::Atomic => {
            for (name, value) in applied {
                match live.get_mut(name) {
                    Some(member) => merge(member, value, shape.field(name)),
                    None => {
                        live.insert(name.clone(), value.clone());
                    }
                }
            }
        }
        (Value::Array(live), Value::Array(applied), Merge::Keyed(keys)) => {
            *live = merge_lists(live, applied, |item| item_step(item, keys), shape.item());
        }
        (Value::Array(live), Value::Array(applied), Merge::Set) => {
            *live = merge_lists(live, applied, element, shape.item());
        }
        (live, applied, _) => *live = applied.clone(),
    }
}

/// Items that both have come in the order of the applied list; those of the live one alone stay about where they were.
fn merge_lists(
    live: &[Value],
    applied: &[Value],
    step: impl Fn(&Value) -> Step,
    shape: &Shape,
) -> Vec<Value> {
    let (left, right): (Vec<Step>, Vec<Step>) =
        (live.iter().map(&step).collect(), applied.iter().map(&step).collect());
    let merged = |at: usize| {
        let before = left.iter().position(|step| *step == right[at]);
        let mut item = before.map_or(Value::Null, |index| live[index].clone());
        merge(&mut item, &applied[at], shape);
        item
    };
    let mut shared = right.iter().filter(|step| left.contains(step)).peekable();
    let (mut items, mut l, mut r) = (Vec::new(), 0, 0);
    while l < left.len() || r < right.len() {
        if l < left.len() && r < right.len() {
            if left[l] == right[r] {
                items.push(merged(r));
                (l, r) = (l + 1, r + 1);
                shared.next();
                continue;
            }
            if right.contains(&left[l]) && shared.peek().is_some_and(|next| **next != left[l]) {
                l += 1;
                continue;
            }
        }
        if l < left.len() {
            if !right.contains(&left[l]) {
                items.push(live[l].clone());
                l += 1;
                continue;
            }
            if right[..r].contains(&left[l]) {
                l += 1;
            }
        }
        if r < right.len() {
            items.push(merged(r));
            if shared.peek() == Some(&&right[r]) {
                shared.next();
            }
            r += 1;
        }
    }
    items
}

/// Ownership after a create or an update: whoever changes a field owns it alone; what is gone has no owner.
pub(crate) fn after_update(
    live: Option<&Object>,
    new: &Value,
    owner: &Owner,
    shape: &Shape,
) -> Managers {
    let after = fields_of(new, shape);
    let Some(live) = live else {
        return Managers::from([(owner.clone(), after)]);
    };
    let before = fields_of(live.value(), shape);
    let changed: FieldSet = after
        .iter()
        .filter(|path| {
            !before.contains(*path)
                || (!is_item(path) && lookup(live.value(), path) != lookup(new, path))
        })
        .cloned()
        .collect();
    let mut managers = live.managers.clone();
    for fields in managers.values_mut() {
        fields.retain(|path| after.contains(path) && !changed.contains(path));
    }
    if !changed.is_empty() {
        managers.entry(owner.clone()).or_default().extend(changed);
    }
    managers.retain(|_, fields| !fields.is_empty());
    managers
}

fn is_item(path: &[Step]) -> bool {
    matches!(path.last(), Some(Step::Item(_)))
}
