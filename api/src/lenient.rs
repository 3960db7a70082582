//! Reads what can be read of a spec. A newer schema may have taken a word that this version does not know; all else that stands beside
//! it is still what the user wants, and the defaults are not.

use serde_json::{Map, Value};

use super::CacheClusterSpec;

/// What of a spec can be read.
#[derive(Clone, Debug, PartialEq)]
pub struct Lenient {
    /// The spec, with defaults for what cannot be read.
    pub spec: CacheClusterSpec,
    /// What cannot be read, and why: `disruption.evictions: unknown variant …`.
    pub unread: Vec<String>,
}

/// Reads a spec field by field where it cannot be read as a whole.
pub fn read_leniently(spec: &Value) -> Lenient {
    if let Ok(spec) = serde_json::from_value(spec.clone()) {
        return Lenient { spec, unread: Vec::new() };
    }
    let Some(fields) = spec.as_object() else {
        let unread = vec!["it is no object".to_owned()];
        return Lenient { spec: CacheClusterSpec::default(), unread };
    };
    let mut kept = Kept { spec: Value::Object(Map::new()), unread: Vec::new() };
    for (name, value) in fields {
        kept.take(&format!("/{}", escaped(name)), value);
    }
    let spec = serde_json::from_value(kept.spec).unwrap_or_default();
    Lenient { spec, unread: kept.unread }
}

/// Fields that can be read together.
struct Kept {
    spec: Value,
    unread: Vec<String>,
}

impl Kept {
    /// Takes a field in, or, if that is an object, as much of it as can be read.
    fn take(&mut self, path: &str, value: &Value) {
        let before = self.spec.clone();
        set(&mut self.spec, path, value.clone());
        let Err(error) = serde_json::from_value::<CacheClusterSpec>(self.spec.clone()) else {
            return;
        };
        self.spec = before;
        let Some(members) = value.as_object().filter(|members| !members.is_empty()) else {
            let field = path.trim_start_matches('/').replace('/', ".");
            return self.unread.push(format!("`{field}`: {error}"));
        };
        for (name, value) in members {
            self.take(&format!("{path}/{}", escaped(name)), value);
        }
    }
}

/// A name as a part of a JSON pointer.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// Sets the value at a JSON pointer, with the objects on the way.
fn set(object: &mut Value, path: &str, value: Value) {
    let mut at = object;
    for name in path.trim_start_matches('/').split('/') {
        if !at.is_object() {
            *at = Value::Object(Map::new());
        }
        at = &mut at[name.replace("~1", "/").replace("~0", "~")];
    }
    *at = value;
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_spec_that_can_be_read_is_read_as_it_is() {
        let spec = json!({"nodes": 7, "service": {"annotations": {"a/b": "c"}}});
        let Lenient { spec: read, unread } = read_leniently(&spec);
        assert_eq!((read, unread), (serde_json::from_value(spec).unwrap(), vec![]));
    }

    #[test]
    fn one_word_that_is_not_known_costs_its_field_and_no_other() {
        let spec = json!({
            "nodes": 7, "memory": "512Mi", "paused": true,
            "disruption": {"evictions": "Negotiated"},
            "service": {"type": "Mesh", "annotations": {"example.com/a~b": "c"}},
            "scheduling": {"nodeSelector": {"disk": "none"}, "tolerations": [{"operator": "Gt"}]},
        });
        let Lenient { spec, unread } = read_leniently(&spec);
        let expected = json!({
            "nodes": 7, "memory": "512Mi", "paused": true,
            "service": {"annotations": {"example.com/a~b": "c"}},
            "scheduling": {"nodeSelector": {"disk": "none"}},
        });
        assert_eq!(spec, serde_json::from_value(expected).unwrap());
        let fields: Vec<&str> =
            unread.iter().filter_map(|text| text.split_once(':').map(|(field, _)| field)).collect();
        let expected = ["`disruption.evictions`", "`scheduling.tolerations`", "`service.type`"];
        assert_eq!(fields, expected, "{unread:?}");
        assert!(unread[0].contains("`Negotiated`"), "{unread:?}");
    }

    #[test]
    fn whatever_is_no_spec_is_the_default_one() {
        for spec in [json!("spec"), json!([1]), json!(null)] {
            let Lenient { spec, unread } = read_leniently(&spec);
            assert_eq!((spec, unread.len()), (CacheClusterSpec::default(), 1));
        }
    }
}
