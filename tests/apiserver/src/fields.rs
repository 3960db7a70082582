//! Sets of fields and who owns them: the paths through an object as server-side apply counts them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::Value;

use crate::shape::{Merge, Shape};

/// One step into an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    /// A member of a map.
    Field(String),
    /// An item of a list of maps, by the JSON text of its keys.
    Item(Vec<(String, String)>),
    /// An element of a set, by its JSON text.
    Element(String),
}

pub(crate) type Path = Vec<Step>;
pub(crate) type FieldSet = BTreeSet<Path>;

/// How an owner came by its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Operation {
    Apply,
    Update,
}

impl Operation {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Apply => "Apply",
            Self::Update => "Update",
        }
    }
}

/// Who owns fields: the same name counts once for each operation and subresource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Owner {
    pub name: String,
    pub operation: Operation,
    pub subresource: Option<&'static str>,
}

pub(crate) type Managers = BTreeMap<Owner, FieldSet>;

/// Metadata that the server alone keeps: nobody owns it.
const SYSTEM: [&str; 11] = [
    "name",
    "generateName",
    "namespace",
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "generation",
    "managedFields",
    "selfLink",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
];

/// The fields of an object that can have an owner.
pub(crate) fn fields_of(object: &Value, shape: &Shape) -> FieldSet {
    let mut fields = FieldSet::new();
    let Some(members) = object.as_object() else { return fields };
    for (name, value) in
        members.iter().filter(|(name, _)| !matches!(name.as_str(), "apiVersion" | "kind"))
    {
        let mut path = vec![Step::Field(name.clone())];
        if name == "metadata" {
            let metadata = value.as_object().into_iter().flatten();
            for (name, value) in metadata.filter(|(name, _)| !SYSTEM.contains(&name.as_str())) {
                path.push(Step::Field(name.clone()));
                collect(value, shape.field("metadata").field(name), &mut path, &mut fields);
                path.pop();
            }
        } else {
            collect(value, shape.field(name), &mut path, &mut fields);
        }
    }
    fields
}

fn collect(value: &Value, shape: &Shape, path: &mut Path, fields: &mut FieldSet) {
    match (value, &shape.merge) {
        (Value::Object(members), merge) if *merge != Merge::Atomic && !members.is_empty() => {
            for (name, member) in members {
                path.push(Step::Field(name.clone()));
                collect(member, shape.field(name), path, fields);
                path.pop();
            }
        }
        (Value::Array(items), Merge::Keyed(keys)) => {
            for item in items {
                path.push(item_step(item, keys));
                fields.insert(path.clone());
                collect(item, shape.item(), path, fields);
                path.pop();
            }
        }
        (Value::Array(items), Merge::Set) => {
            for item in items {
                path.push(element(item));
                fields.insert(path.clone());
                path.pop();
            }
        }
        _ => {
            fields.insert(path.clone());
        }
    }
}

/// The step to an element of a set.
pub(crate) fn element(item: &Value) -> Step {
    Step::Element(item.to_string())
}

/// The step to an item. A missing `protocol` is the default of every list that has it among its keys.
pub(crate) fn item_step(item: &Value, keys: &[String]) -> Step {
    Step::Item(keys.iter().map(|key| (key.clone(), key_text(item, key))).collect())
}

fn key_text(item: &Value, key: &str) -> String {
    match &item[key] {
        Value::Null if key == "protocol" => "\"TCP\"".to_owned(),
        value => value.to_string(),
    }
}

/// The index of the item or element that a step leads to.
pub(crate) fn position(items: &[Value], step: &Step) -> Option<usize> {
    items.iter().position(|item| match step {
        Step::Item(keys) => keys.iter().all(|(key, text)| key_text(item, key) == *text),
        Step::Element(_) => element(item) == *step,
        Step::Field(_) => false,
    })
}

/// The value at a path.
pub(crate) fn lookup<'a>(object: &'a Value, path: &[Step]) -> Option<&'a Value> {
    path.iter().try_fold(object, |value, step| match step {
        Step::Field(name) => value.get(name),
        _ => value.as_array().and_then(|items| items.get(position(items, step)?)),
    })
}

/// Removes what is at a path, and the maps that are empty without it.
pub(crate) fn remove(value: &mut Value, path: &[Step]) {
    let Some((step, rest)) = path.split_first() else { return };
    match (value, step) {
        (Value::Object(members), Step::Field(name)) => {
            let Some(member) = members.get_mut(name) else { return };
            if !rest.is_empty() {
                remove(member, rest);
            }
            if rest.is_empty() || is_empty(member) {
                members.remove(name);
            }
        }
        (Value::Array(items), step) => {
            let Some(index) = position(items, step) else { return };
            if rest.is_empty() {
                items.remove(index);
            } else {
                remove(&mut items[index], rest);
            }
        }
        _ => {}
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Object(members) => members.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// A path as messages say it: `.spec.ports[port=80].name`.
pub(crate) fn display(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        // Writing into a String cannot fail.
        let _ = match step {
            Step::Field(name) => write!(text, ".{name}"),
            Step::Item(keys) => {
                let keys: Vec<String> =
                    keys.iter().map(|(key, value)| format!("{key}={value}")).collect();
                write!(text, "[{}]", keys.join(","))
            }
            Step::Element(value) => write!(text, "[={value}]"),
        };
    }
    text
}
