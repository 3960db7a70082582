//! Reads a `CacheCluster` from YAML as strictly as an API server with field validation: a typo must not pass silently.

use kube::Resource;
use serde_json::Value;

use super::{CacheCluster, definition};

/// Why a text is no `CacheCluster`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Not YAML.
    #[error("not valid YAML: {0}")]
    Yaml(String),
    /// Another resource.
    #[error("`{field}` must be `{expected}`, but is {found}")]
    Kind {
        /// `apiVersion` or `kind`.
        field: &'static str,
        /// What a `CacheCluster` has there.
        expected: String,
        /// What stands there.
        found: Value,
    },
    /// Unknown fields and values of another type, all at once.
    #[error("{}", .0.join("; "))]
    Fields(Vec<String>),
    /// Does not fit the types for another reason.
    #[error("not a CacheCluster: {0}")]
    Shape(String),
}

/// Reads one `CacheCluster` and fills in the defaults. Limits and rules are the business of the operator's `validate`.
pub fn parse_yaml(text: &str) -> Result<CacheCluster, ParseError> {
    let value: Value = serde_saphyr::from_str(text).map_err(|e| ParseError::Yaml(e.to_string()))?;
    let expected =
        [("apiVersion", CacheCluster::api_version(&())), ("kind", CacheCluster::kind(&()))];
    for (field, expected) in expected {
        let found = value.get(field).cloned().unwrap_or_default();
        if found != *expected {
            return Err(ParseError::Kind { field, expected: expected.into_owned(), found });
        }
    }
    let mut problems = Vec::new();
    if value.pointer("/metadata/name").and_then(Value::as_str).is_none() {
        problems.push("`metadata.name` is missing: give the cluster a name".to_owned());
    }
    let schema = definition()
        .pointer("/spec/versions/0/schema/openAPIV3Schema")
        .cloned()
        .unwrap_or_default();
    check(&schema, &value, "", &mut problems);
    if !problems.is_empty() {
        return Err(ParseError::Fields(problems));
    }
    serde_json::from_value(value).map_err(|e| ParseError::Shape(e.to_string()))
}

/// Compares `value` with `schema`: fields that the schema does not know, required ones that are absent, other types.
fn check(schema: &Value, value: &Value, path: &str, problems: &mut Vec<String>) {
    if let Some(expected) = mismatch(schema, value) {
        problems.push(format!("`{path}` must be {expected}, but is {value}"));
        return;
    }
    for item in value.as_array().into_iter().flatten() {
        check(&schema["items"], item, &format!("{path}[]"), problems);
    }
    let Some(fields) = value.as_object() else { return };
    if let Some(schema) = schema.get("additionalProperties") {
        fields.iter().for_each(|(name, value)| check(schema, value, &join(path, name), problems));
    }
    let Some(properties) = schema["properties"].as_object() else { return };
    for (name, value) in fields {
        let path = join(path, name);
        match properties.get(name) {
            Some(schema) => check(schema, value, &path, problems),
            None if ["apiVersion", "kind", "metadata"].contains(&path.as_str()) => {}
            None if schema["x-kubernetes-preserve-unknown-fields"] == true => {}
            None => {
                let known: Vec<_> = properties.keys().map(|k| format!("`{k}`")).collect();
                problems.push(format!("`{path}` is unknown; known are {}", known.join(", ")));
            }
        }
    }
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !fields.contains_key(name) {
            problems.push(format!("`{}` is missing", join(path, name)));
        }
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// What `schema` wants in words, if `value` is of another type.
fn mismatch(schema: &Value, value: &Value) -> Option<&'static str> {
    if schema["x-kubernetes-int-or-string"] == true {
        return (!value.is_string() && !value.is_i64()).then_some("text or a whole number");
    }
    match schema["type"].as_str() {
        Some("integer") => (!value.is_i64()).then_some("a whole number"),
        Some("boolean") => (!value.is_boolean()).then_some("true or false"),
        Some("string") => (!value.is_string()).then_some("text"),
        Some("object") => (!value.is_object()).then_some("an object"),
        Some("array") => (!value.is_array()).then_some("a list"),
        _ => None,
    }
}
