//! What has to be written to turn what is stored into what is wanted.

use serde_json::Value;

/// The JSON merge patch that makes `to` of `from`; `None` if they are the same. What is to go is null in it, and lists stand whole.
pub(super) fn difference(from: &Value, to: &Value) -> Option<Value> {
    if from == to {
        return None;
    }
    let (Value::Object(from), Value::Object(to)) = (from, to) else { return Some(to.clone()) };
    let gone = from.keys().filter(|name| !to.contains_key(*name));
    let gone = gone.map(|name| (name.clone(), Value::Null));
    let changed = to.iter().filter_map(|(name, value)| {
        let change = difference(from.get(name).unwrap_or(&Value::Null), value)?;
        Some((name.clone(), change))
    });
    Some(gone.chain(changed).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_new_stands_in_the_patch_and_what_is_the_same_does_not() {
        let from = json!({"nodes": 2, "image": "a", "ring": {"epoch": 1, "checksum": "c"}});
        let to = json!({"nodes": 3, "image": "a", "ring": {"epoch": 2, "checksum": "c"}});
        let patch = json!({"nodes": 3, "ring": {"epoch": 2}});
        assert_eq!(difference(&from, &to), Some(patch));
        assert_eq!(difference(&to, &to), None);
    }

    #[test]
    fn what_is_to_go_is_null_wherever_it_is() {
        let from =
            json!({"operation": {"type": "Roll"}, "lostEntries": {"slots": 1, "entries": 2}});
        let to = json!({"lostEntries": {"slots": 1}});
        let patch = json!({"operation": null, "lostEntries": {"entries": null}});
        assert_eq!(difference(&from, &to), Some(patch));
    }

    #[test]
    fn lists_and_what_was_no_object_are_written_whole() {
        let from = json!({"members": [1, 2], "ring": "none"});
        let to = json!({"members": [1], "ring": {"epoch": 1}});
        assert_eq!(difference(&from, &to), Some(to.clone()));
        assert_eq!(difference(&Value::Null, &to), Some(to));
    }
}
