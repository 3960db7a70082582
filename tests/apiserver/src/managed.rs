//! `metadata.managedFields`: who owns which fields, as clients read it and may write it.

use serde_json::{Map, Value, json};

use crate::fields::{FieldSet, Managers, Operation, Owner, Path, Step};
use crate::not_modelled;
use crate::object::text;

/// The entries of an object of that API version.
pub(crate) fn render(managers: &Managers, api_version: &Value) -> Vec<Value> {
    let entry = |(owner, fields): (&Owner, &FieldSet)| {
        let mut entry = json!({
            "manager": owner.name,
            "operation": owner.operation.name(),
            "apiVersion": api_version,
            "fieldsType": "FieldsV1",
            "fieldsV1": tree(fields),
        });
        if let Some(part) = owner.subresource {
            entry["subresource"] = part.into();
        }
        entry
    };
    managers.iter().map(entry).collect()
}

/// A map of each step to what is below it; `.` is the step's own end where there is more below it.
fn tree(fields: &FieldSet) -> Value {
    let mut tree = Map::new();
    for path in fields {
        let mut at = &mut tree;
        for step in path {
            let below = at.entry(key(step)).or_insert_with(|| json!({}));
            let Value::Object(below) = below else { unreachable!("every step is a map") };
            at = below;
        }
        at.insert(".".to_owned(), json!({}));
    }
    let mut tree = Value::Object(tree);
    close(&mut tree);
    tree
}

/// An end with nothing else below it is written without the dot.
fn close(tree: &mut Value) {
    let Value::Object(steps) = tree else { return };
    if steps.len() == 1 {
        steps.remove(".");
    }
    steps.iter_mut().filter(|(step, _)| *step != ".").for_each(|(_, below)| close(below));
}

fn key(step: &Step) -> String {
    match step {
        Step::Field(name) => format!("f:{name}"),
        Step::Element(text) => format!("v:{text}"),
        Step::Item(keys) => {
            let keys: Vec<String> =
                keys.iter().map(|(key, text)| format!("{}:{text}", json!(key))).collect();
            format!("k:{{{}}}", keys.join(","))
        }
    }
}

/// What an update says about ownership; `None` if it says nothing, which leaves it as it was.
pub(crate) fn read(object: &Value) -> Option<Managers> {
    let entries = object["metadata"]["managedFields"].as_array().filter(|list| !list.is_empty())?;
    Some(entries.iter().map(owned).collect())
}

fn owned(entry: &Value) -> (Owner, FieldSet) {
    let operation = match text(entry, "/operation") {
        "Apply" => Operation::Apply,
        "Update" => Operation::Update,
        other => not_modelled(&format!("managed fields by the operation {other:?}")),
    };
    let subresource = match text(entry, "/subresource") {
        "" => None,
        "status" => Some("status"),
        other => not_modelled(&format!("managed fields of the subresource {other}")),
    };
    let mut fields = FieldSet::new();
    collect(&entry["fieldsV1"], &mut Path::new(), &mut fields);
    (Owner { name: text(entry, "/manager").to_owned(), operation, subresource }, fields)
}

fn collect(tree: &Value, path: &mut Path, fields: &mut FieldSet) {
    let steps = tree.as_object();
    if !path.is_empty() && steps.is_none_or(Map::is_empty) {
        fields.insert(path.clone());
    }
    for (name, below) in steps.into_iter().flatten() {
        if name == "." {
            fields.insert(path.clone());
        } else {
            path.push(step(name));
            collect(below, path, fields);
            path.pop();
        }
    }
}

fn step(name: &str) -> Step {
    match name.split_once(':') {
        Some(("f", field)) => Step::Field(field.to_owned()),
        Some(("v", element)) => Step::Element(element.to_owned()),
        Some(("k", keys)) => {
            let keys: Map<String, Value> = serde_json::from_str(keys).unwrap_or_default();
            Step::Item(keys.into_iter().map(|(key, value)| (key, value.to_string())).collect())
        }
        _ => not_modelled(&format!("the step {name:?} of managed fields")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::fields_of;
    use crate::kind::Kind;
    use crate::shape;

    #[test]
    fn what_is_written_is_read_again() {
        let service = json!({
            "metadata": {"name": "a", "labels": {"x": "1"}, "finalizers": ["held.dev/a"]},
            "spec": {"type": "ClusterIP", "selector": {"a": "b"}, "ports": [
                {"name": "resp", "port": 6379, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"},
            ]},
        });
        let fields = fields_of(&service, shape::of(Kind::Service));
        let owner = Owner { name: "one".into(), operation: Operation::Update, subresource: None };
        let managers = Managers::from([(owner, fields)]);
        let entries = render(&managers, &json!("v1"));
        let port =
            &entries[0]["fieldsV1"]["f:spec"]["f:ports"][r#"k:{"port":6379,"protocol":"TCP"}"#];
        assert_eq!(*port, json!({".": {}, "f:name": {}, "f:port": {}, "f:protocol": {}}));
        assert_eq!(entries[0]["fieldsV1"]["f:metadata"]["f:labels"], json!({"f:x": {}}));
        let read = read(&json!({"metadata": {"managedFields": entries}}));
        assert_eq!(read, Some(managers));
    }

    #[test]
    fn nothing_said_is_nothing_changed() {
        assert_eq!(read(&json!({"metadata": {}})), None);
        assert_eq!(read(&json!({"metadata": {"managedFields": []}})), None);
    }
}
