//! The schema of cacheclusters at work: pruning, defaults and validation. Its CEL rules are not evaluated.

use std::sync::{Arc, OnceLock};

use serde_json::{Map, Value};

/// A field that breaks the schema: its path and why.
pub(crate) type Violation = (String, String);

/// The schema of cacheclusters, from the custom resource definition.
pub(crate) fn cache_cluster() -> &'static Arc<Value> {
    static SCHEMA: OnceLock<Arc<Value>> = OnceLock::new();
    SCHEMA.get_or_init(|| {
        let definition: Value =
            serde_saphyr::from_str(&ringcache_api::crd_yaml()).unwrap_or_default();
        Arc::new(definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone())
    })
}

/// Takes the declaration of a field away, such as `status.lostEntries.askedAt`; `[]` is an item. False if there was none.
pub(crate) fn undeclare(schema: &mut Value, field: &str) -> bool {
    let (parents, name) = field.rsplit_once('.').unwrap_or(("", field));
    let mut parents = parents.split('.').filter(|step| !step.is_empty());
    let parent = parents.try_fold(schema, |schema, step| match step {
        "[]" => schema.get_mut("items"),
        name => schema.get_mut("properties")?.get_mut(name),
    });
    let Some(parent) = parent else { return false };
    if let Some(required) = parent.get_mut("required").and_then(Value::as_array_mut) {
        required.retain(|required| required != name);
    }
    let properties = parent.get_mut("properties").and_then(Value::as_object_mut);
    properties.is_some_and(|properties| properties.remove(name).is_some())
}

/// Removes every field that the schema does not know and returns their paths.
pub(crate) fn prune(schema: &Value, object: &mut Value) -> Vec<String> {
    let mut unknown = Vec::new();
    let members = object.as_object_mut().into_iter().flatten();
    for (name, member) in members.filter(|(name, _)| matches!(name.as_str(), "spec" | "status")) {
        prune_value(
            member,
            &schema["properties"][name.as_str()],
            &format!(".{name}"),
            &mut unknown,
        );
    }
    unknown
}

fn prune_value(value: &mut Value, schema: &Value, path: &str, unknown: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            let open = schema["additionalProperties"].is_object()
                || schema["x-kubernetes-preserve-unknown-fields"] == true;
            members.retain(|name, member| {
                let path = format!("{path}.{name}");
                match schema["properties"].get(name) {
                    Some(schema) => prune_value(member, schema, &path, unknown),
                    None if open => {}
                    None => {
                        unknown.push(path);
                        return false;
                    }
                }
                true
            });
        }
        Value::Array(items) => {
            for item in items {
                prune_value(item, &schema["items"], &format!("{path}[]"), unknown);
            }
        }
        _ => {}
    }
}

/// Fills in the defaults of missing fields, and of null ones that may not be null.
pub(crate) fn default(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(members) => {
            if let Some(properties) = schema["properties"].as_object() {
                default_members(properties, members);
            }
            if schema["additionalProperties"].is_object() {
                members
                    .values_mut()
                    .for_each(|member| default(&schema["additionalProperties"], member));
            }
        }
        Value::Array(items) => {
            for item in items {
                default(&schema["items"], item);
            }
        }
        _ => {}
    }
}

fn default_members(properties: &Map<String, Value>, members: &mut Map<String, Value>) {
    for (name, schema) in properties {
        let nullable = schema["nullable"] == true;
        if let Some(value) = schema.get("default")
            && members.get(name).is_none_or(|value| value.is_null() && !nullable)
        {
            members.insert(name.clone(), value.clone());
        }
        if members.get(name).is_some_and(Value::is_null) && !nullable {
            members.remove(name);
        }
        if let Some(member) = members.get_mut(name) {
            default(schema, member);
        }
    }
}

/// The first field that breaks the schema.
pub(crate) fn validate(schema: &Value, object: &Value) -> Result<(), Violation> {
    for name in ["spec", "status"] {
        match object.get(name) {
            Some(value) => check(value, &schema["properties"][name], name)?,
            None if required(schema).any(|required| required == name) => {
                return Err((name.to_owned(), "Required value".to_owned()));
            }
            None => {}
        }
    }
    Ok(())
}

fn required(schema: &Value) -> impl Iterator<Item = &str> {
    schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn check(value: &Value, schema: &Value, path: &str) -> Result<(), Violation> {
    let refuse = |why: String| Err((path.to_owned(), why));
    if value.is_null() && schema["nullable"] == true {
        return Ok(());
    }
    if !is_of_type(value, schema) {
        return refuse(format!("Invalid value: {value}: must be of type {}", schema["type"]));
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        return refuse(format!("Unsupported value: {value}: supported values: {allowed:?}"));
    }
    if let Some(number) = value.as_f64() {
        if schema["minimum"].as_f64().is_some_and(|minimum| number < minimum) {
            let minimum = &schema["minimum"];
            return refuse(format!(
                "Invalid value: {value}: should be greater than or equal to {minimum}"
            ));
        }
        if schema["maximum"].as_f64().is_some_and(|maximum| number > maximum) {
            return refuse(format!(
                "Invalid value: {value}: should be less than or equal to {}",
                schema["maximum"]
            ));
        }
    }
    check_size(value, schema, path)?;
    if let Some(name) = required(schema).find(|name| value.get(name).is_none()) {
        return Err((format!("{path}.{name}"), "Required value".to_owned()));
    }
    check_children(value, schema, path)
}

fn is_of_type(value: &Value, schema: &Value) -> bool {
    if schema["x-kubernetes-int-or-string"] == true {
        return value.is_string() || value.is_i64() || value.is_u64();
    }
    match schema["type"].as_str() {
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("boolean") => value.is_boolean(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        _ => true,
    }
}

fn check_size(value: &Value, schema: &Value, path: &str) -> Result<(), Violation> {
    let (size, least, most) = match value {
        Value::String(text) => (text.chars().count(), "minLength", "maxLength"),
        Value::Array(items) => (items.len(), "minItems", "maxItems"),
        Value::Object(members) => (members.len(), "minProperties", "maxProperties"),
        _ => return Ok(()),
    };
    let size = size as u64;
    if schema[most].as_u64().is_some_and(|most| size > most) {
        return Err((
            path.to_owned(),
            format!("Too long: may not be more than {} ({most})", schema[most]),
        ));
    }
    if schema[least].as_u64().is_some_and(|least| size < least) {
        return Err((
            path.to_owned(),
            format!("Invalid value: must be at least {} ({least})", schema[least]),
        ));
    }
    Ok(())
}

fn check_children(value: &Value, schema: &Value, path: &str) -> Result<(), Violation> {
    match value {
        Value::Object(members) => members.iter().try_for_each(|(name, member)| {
            let schema = schema["properties"].get(name).unwrap_or(&schema["additionalProperties"]);
            check(member, schema, &format!("{path}.{name}"))
        }),
        Value::Array(items) => {
            let mut items = items.iter().enumerate();
            items.try_for_each(|(index, item)| {
                check(item, &schema["items"], &format!("{path}[{index}]"))
            })
        }
        _ => Ok(()),
    }
}
