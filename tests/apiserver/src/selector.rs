//! Label and field selectors.

use serde_json::Value;

use crate::object::text;
use crate::status::{Refusal, bad_request};

/// What a list or a watch is about: every requirement must hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selector {
    labels: Vec<Requirement>,
    fields: Vec<(String, bool, String)>,
}

#[derive(Clone, Debug)]
enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Absent(String),
}

impl Selector {
    /// Reads the selectors of a request; `None` selects everything.
    pub(crate) fn parse(labels: Option<&str>, fields: Option<&str>) -> Result<Self, Refusal> {
        let labels = split(labels.unwrap_or_default())
            .into_iter()
            .map(requirement)
            .collect::<Result<_, _>>()?;
        let fields =
            split(fields.unwrap_or_default()).into_iter().map(field).collect::<Result<_, _>>()?;
        Ok(Self { labels, fields })
    }

    /// The labels of an equality map, as a disruption budget or a service selects pods.
    pub(crate) fn of_labels(labels: &Value) -> Self {
        let labels = labels.as_object().into_iter().flatten();
        let equal = |(name, value): (&String, &Value)| {
            Requirement::In(name.clone(), vec![value.as_str().unwrap_or_default().to_owned()])
        };
        Self { labels: labels.map(equal).collect(), fields: Vec::new() }
    }

    pub(crate) fn matches(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        self.labels.iter().all(|requirement| requirement.holds(labels))
            && self
                .fields
                .iter()
                .all(|(pointer, equal, value)| (text(object, pointer) == value) == *equal)
    }
}

impl Requirement {
    fn holds(&self, labels: &Value) -> bool {
        let value = |name: &str| labels.get(name).and_then(Value::as_str);
        let among = |name: &str, values: &[String]| {
            value(name).is_some_and(|value| values.iter().any(|other| other == value))
        };
        match self {
            Self::In(name, values) => among(name, values),
            Self::NotIn(name, values) => !among(name, values),
            Self::Exists(name) => value(name).is_some(),
            Self::Absent(name) => value(name).is_none(),
        }
    }
}

/// Splits at the commas outside of parentheses.
fn split(text: &str) -> Vec<&str> {
    let mut depth = 0_i32;
    let parts = text.split(|letter| {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        letter == ',' && depth == 0
    });
    parts.map(str::trim).filter(|part| !part.is_empty()).collect()
}

fn requirement(text: &str) -> Result<Requirement, Refusal> {
    let values = |list: &str| -> Vec<String> {
        let list = list.trim().trim_start_matches('(').trim_end_matches(')');
        list.split(',').map(|value| value.trim().to_owned()).collect()
    };
    let single =
        |(name, value): (&str, &str)| (name.trim().to_owned(), vec![value.trim().to_owned()]);
    Ok(if let Some((name, list)) = text.split_once(" notin ") {
        Requirement::NotIn(name.trim().to_owned(), values(list))
    } else if let Some((name, list)) = text.split_once(" in ") {
        Requirement::In(name.trim().to_owned(), values(list))
    } else if let Some(pair) = text.split_once("!=") {
        let (name, values) = single(pair);
        Requirement::NotIn(name, values)
    } else if let Some(pair) = text.split_once("==").or_else(|| text.split_once('=')) {
        let (name, values) = single(pair);
        Requirement::In(name, values)
    } else if let Some(name) = text.strip_prefix('!') {
        Requirement::Absent(name.to_owned())
    } else if text.contains([' ', '(']) {
        return Err(bad_request(&format!("unable to parse requirement: {text}")));
    } else {
        Requirement::Exists(text.to_owned())
    })
}

/// Only the fields that the kinds here can be selected by.
fn field(text: &str) -> Result<(String, bool, String), Refusal> {
    let (name, equal, value) = if let Some((name, value)) = text.split_once("!=") {
        (name, false, value)
    } else if let Some((name, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        (name, true, value)
    } else {
        return Err(bad_request(&format!("invalid field selector: {text}")));
    };
    match name {
        "metadata.name" | "metadata.namespace" | "regarding.uid" | "spec.nodeName"
        | "status.phase" => Ok((format!("/{}", name.replace('.', "/")), equal, value.to_owned())),
        _ => Err(bad_request(&format!("field label not supported: {name}"))),
    }
}
