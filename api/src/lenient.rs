//! Reads what can be read of an object. A newer version may have written a word that this one does not know; all else that stands beside
//! it is still what was meant, and the defaults are not.

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::{Path, Segment};

/// What of an object can be read.
#[derive(Clone, Debug, PartialEq)]
pub struct Lenient<T> {
    /// The object, with defaults for what cannot be read.
    pub value: T,
    /// What cannot be read, and why: `disruption.evictions: unknown variant …`.
    pub unread: Vec<String>,
}

impl<T> Lenient<T> {
    /// Whether this field, or something in it, cannot be read.
    pub fn lacks(&self, field: &str) -> bool {
        let (whole, part) = (format!("`{field}`:"), format!("`{field}."));
        self.unread.iter().any(|why| why.starts_with(&whole) || why.starts_with(&part))
    }
}

/// Reads an object without the fields that cannot be read. A list is read whole or not at all: without some of its items it would say
/// something else.
pub fn read_leniently<T: Default + DeserializeOwned>(object: &Value) -> Lenient<T> {
    let (mut rest, mut unread) = (object.clone(), Vec::new());
    loop {
        let error = match serde_path_to_error::deserialize(&rest) {
            Ok(value) => return Lenient { value, unread },
            Err(error) => error,
        };
        let field = field(error.path());
        unread.push(match field.as_slice() {
            [] => error.inner().to_string(),
            names => format!("`{}`: {}", names.join("."), error.inner()),
        });
        if remove(&mut rest, &field).is_none() {
            return Lenient { value: T::default(), unread };
        }
    }
}

/// The names that lead to the innermost field on a path; what is in a list belongs to the list.
fn field(path: &Path) -> Vec<String> {
    let names = path.iter().map_while(|segment| match segment {
        Segment::Map { key } => Some(key.clone()),
        Segment::Seq { .. } | Segment::Enum { .. } | Segment::Unknown => None,
    });
    names.collect()
}

fn remove(object: &mut Value, field: &[String]) -> Option<Value> {
    let (name, parents) = field.split_last()?;
    let parent = parents.iter().try_fold(object, |object, name| object.get_mut(name))?;
    parent.as_object_mut()?.remove(name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::CacheClusterSpec;
    use crate::status::CacheClusterStatus;

    #[test]
    fn a_spec_that_can_be_read_is_read_as_it_is() {
        let spec = json!({"nodes": 7, "service": {"annotations": {"a/b": "c"}}});
        let Lenient { value, unread } = read_leniently::<CacheClusterSpec>(&spec);
        assert_eq!((value, unread), (serde_json::from_value(spec).unwrap(), vec![]));
    }

    #[test]
    fn one_word_that_is_not_known_costs_its_field_and_no_other() {
        let spec = json!({
            "nodes": 7, "memory": "512Mi", "paused": true,
            "disruption": {"evictions": "Negotiated"},
            "service": {"type": "Mesh", "annotations": {"example.com/a~b": "c"}},
            "scheduling": {"nodeSelector": {"disk": "none"}, "tolerations": [{"operator": "Gt"}]},
        });
        let Lenient { value, unread } = read_leniently::<CacheClusterSpec>(&spec);
        let expected = json!({
            "nodes": 7, "memory": "512Mi", "paused": true,
            "service": {"annotations": {"example.com/a~b": "c"}},
            "scheduling": {"nodeSelector": {"disk": "none"}},
        });
        assert_eq!(value, serde_json::from_value(expected).unwrap());
        let fields: Vec<&str> =
            unread.iter().filter_map(|text| text.split_once(':').map(|(field, _)| field)).collect();
        let expected = ["`disruption.evictions`", "`scheduling.tolerations`", "`service.type`"];
        assert_eq!(fields, expected, "{unread:?}");
        assert!(unread[0].contains("`Negotiated`"), "{unread:?}");
    }

    #[test]
    fn whatever_is_no_spec_is_the_default_one() {
        for spec in [json!("spec"), json!([1]), json!(null)] {
            let Lenient { value, unread } = read_leniently::<CacheClusterSpec>(&spec);
            assert_eq!((value, unread.len()), (CacheClusterSpec::default(), 1));
        }
    }

    #[test]
    fn an_object_is_read_without_what_it_may_lack_and_not_without_what_it_must_have() {
        let at = "2026-01-01T00:00:00Z";
        let status = json!({
            "observedGeneration": 3,
            "members": [{"name": "web-0", "state": "Parked", "ready": true, "slots": 16384}],
            "lostEntries": {"at": at, "nodes": ["web-1"], "slots": 7, "entries": "many", "askedAt": 9},
            "ring": {"epoch": "eight", "checksum": "c"},
        });
        let Lenient { value, unread } = read_leniently::<CacheClusterStatus>(&status);
        let expected = json!({
            "observedGeneration": 3, "lostEntries": {"at": at, "nodes": ["web-1"], "slots": 7},
        });
        assert_eq!(value, serde_json::from_value(expected).unwrap(), "{unread:?}");
    }
}
