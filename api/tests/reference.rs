//! `docs/api-reference.md` is written from the definition and from what `status.rs` says of conditions. `cargo xtask codegen`
//! has the first test write it.
#![expect(clippy::unwrap_used, reason = "a test's helpers fail like the test itself")]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use ringcache_api::status::{condition, reason};
use serde_json::Value;

const PAGE: &str = "docs/api-reference.md";
/// Set to write the committed page instead of looking at it.
const UPDATE: &str = "RINGCACHE_UPDATE";
/// The words about types and reasons of conditions: the comments of their constants.
const STATUS: &str = include_str!("../src/status.rs");

#[test]
fn the_committed_reference_is_up_to_date() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(PAGE);
    if std::env::var_os(UPDATE).is_some() {
        fs::write(&file, page()).unwrap();
    }
    let committed = fs::read_to_string(&file).unwrap_or_default();
    assert!(committed == page(), "{PAGE} is out of date: run `cargo xtask codegen`");
}

#[test]
fn the_reference_has_every_type_and_reason_of_a_condition() {
    let page = page();
    for name in condition::ALL {
        assert!(page.contains(&format!("| `{name}` |")), "{name}");
    }
    for name in reason::ALL {
        assert!(page.contains(&format!("| `{name}` |")), "{name}");
    }
    let rows = constants("pub mod reason").len();
    assert_eq!(rows, reason::ALL.len(), "a reason is not in the list of all, or has no comment");
}

#[test]
fn every_field_of_the_reference_has_a_meaning() {
    let page = page();
    for field in
        ["`nodes`", "`ttl.jitterPercent`", "`scheduling.tolerations[].key`", "`ring.epoch`"]
    {
        assert!(page.contains(&format!("\n| {field} |")), "{field}");
    }
    for line in page.lines().filter(|line| line.starts_with("| ")) {
        let meaning = line.trim_end_matches(" |").rsplit("| ").next().unwrap();
        assert!(meaning.trim().len() > 2, "{line}");
    }
}

fn page() -> String {
    let crd: Value = serde_saphyr::from_str(&ringcache_api::crd_yaml()).unwrap();
    let version = &crd["spec"]["versions"][0];
    let schema = &version["schema"]["openAPIV3Schema"];
    let (spec, status) = (&schema["properties"]["spec"], &schema["properties"]["status"]);
    let mut page = format!(
        "<!-- Written by `cargo xtask codegen` from the `ringcache-api` crate. Do not edit. -->\n\n\
         # API reference\n\n\
         `CacheCluster`, `{}/{}`, namespaced; short name `{}`. {} `kubectl explain cachecluster.spec` says the same.\n\n",
        text(&crd["spec"]["group"]),
        text(&version["name"]),
        text(&crd["spec"]["names"]["shortNames"][0]),
        text(&schema["description"]),
    );
    page += "## Spec\n\nNo field is required. What a change of each does: [Kubernetes](kubernetes.md#fields).\n\n";
    page += "| field of `spec` | type | default | allowed | meaning |\n| --- | --- | --- | --- | --- |\n";
    each_field(spec, "", &mut |path, schema| {
        let cells =
            [type_of(schema), default_of(schema), allowed(schema), text(&schema["description"])];
        writeln!(page, "| `{path}` | {} |", cells.join(" | ")).unwrap();
    });
    page += "\nRules beside these. The server refuses what breaks one, with these words, and so does the operator:\n\n";
    for rule in messages(schema) {
        writeln!(page, "- {rule}").unwrap();
    }
    page +=
        "\n## Status\n\nWritten by the operator. A field that has nothing to say is absent.\n\n";
    page += "| field of `status` | type | meaning |\n| --- | --- | --- |\n";
    each_field(status, "", &mut |path, schema| {
        // What a condition consists of is the convention of Kubernetes.
        if !path.starts_with("conditions[]") {
            let cells = [type_of(schema), text(&schema["description"])];
            writeln!(page, "| `{path}` | {} |", cells.join(" | ")).unwrap();
        }
    });
    page += "\n## Conditions\n\n| type | True means |\n| --- | --- |\n";
    for (name, meaning) in constants("pub mod condition") {
        writeln!(page, "| `{name}` | {meaning} |").unwrap();
    }
    page += "\nTheir reasons. What to do about each: [troubleshooting](troubleshooting.md).\n\n";
    page += "| reason | of | meaning |\n| --- | --- | --- |\n";
    for (name, meaning) in constants("pub mod reason") {
        let (of, meaning) = meaning.split_once(": ").unwrap();
        writeln!(page, "| `{name}` | {of} | {} |", sentence(meaning)).unwrap();
    }
    page += "\n## Columns\n\nOf `kubectl get cacheclusters`; those marked wide with `--output wide`.\n\n";
    page += "| column | wide | field | meaning |\n| --- | --- | --- | --- |\n";
    for column in version["additionalPrinterColumns"].as_array().unwrap() {
        let wide = if column["priority"].as_i64().unwrap_or_default() > 0 { "yes" } else { "" };
        let path = text(&column["jsonPath"]).replace('|', "\\|");
        let meaning = match &column["description"] {
            Value::Null => "Time since the resource was created".into(),
            description => text(description),
        };
        writeln!(page, "| {} | {wide} | `{path}` | {meaning} |", text(&column["name"])).unwrap();
    }
    page
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().replace('\n', " ")
}

/// Fields by path, those of objects and lists behind them.
fn each_field(schema: &Value, path: &str, see: &mut impl FnMut(&str, &Value)) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        see(&path, property);
        each_field(property, &path, see);
        if let Some(items) = property.get("items") {
            each_field(items, &format!("{path}[]"), see);
        }
    }
}

fn type_of(schema: &Value) -> String {
    if schema["x-kubernetes-int-or-string"] == true {
        return "quantity".into();
    }
    if let Some(words) = schema["enum"].as_array() {
        return words.iter().map(|word| format!("`{}`", text(word))).collect::<Vec<_>>().join(", ");
    }
    match schema["type"].as_str().unwrap_or_default() {
        "array" => format!("list of {}s", schema["items"]["type"].as_str().unwrap_or_default()),
        "object" if schema.get("additionalProperties").is_some() => "map of strings".into(),
        kind => kind.into(),
    }
}

/// The default of a field. That of an object is made of its fields'.
fn default_of(schema: &Value) -> String {
    match &schema["default"] {
        Value::Null => "none".into(),
        Value::Object(fields) if !fields.is_empty() => "see below".into(),
        Value::String(word) => format!("`{word}`"),
        other => format!("`{other}`"),
    }
}

fn allowed(schema: &Value) -> String {
    let mut parts = Vec::new();
    if schema["x-kubernetes-int-or-string"] == true {
        // How long the text of a quantity may be says nothing of what it may be.
        return String::new();
    }
    if let (Some(least), Some(most)) = (schema["minimum"].as_i64(), schema["maximum"].as_i64()) {
        parts.push(format!("{least} to {most}"));
    }
    for (bound, unit) in
        [("maxItems", "entries"), ("maxProperties", "entries"), ("maxLength", "characters")]
    {
        if let Some(most) = schema[bound].as_u64() {
            parts.push(format!("at most {most} {unit}"));
        }
    }
    if let Some(most) = schema["items"]["maxLength"].as_u64() {
        parts.push(format!("of at most {most} characters"));
    }
    parts.join(", ")
}

/// The words of every rule.
fn messages(schema: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut add = |schema: &Value| {
        for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
            let message = text(&rule["message"]);
            if !found.contains(&message) {
                found.push(message);
            }
        }
    };
    add(schema);
    each_field(schema, "", &mut |_, field| {
        add(field);
        add(&field["items"]);
    });
    found
}

/// The constants of a module of `status.rs` with their comments.
fn constants(module: &str) -> Vec<(String, String)> {
    let (_, rest) = STATUS.split_once(module).unwrap();
    let body = rest.split("\n}").next().unwrap();
    let (mut found, mut comment) = (Vec::new(), Vec::new());
    for line in body.lines().map(str::trim) {
        if let Some(more) = line.strip_prefix("/// ") {
            comment.push(more);
        } else if line.starts_with("pub const") && line.contains(": &str") {
            found.push((line.split('"').nth(1).unwrap().to_owned(), comment.join(" ")));
            comment.clear();
        } else {
            comment.clear();
        }
    }
    found
}

/// With a capital in front.
fn sentence(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
