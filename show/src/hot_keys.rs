//! The keys that get far more of the operations than others.

use ringcache_api::admin::{HotKeyShare, NodeHeat};
use serde_json::{Value, json};

use crate::table;

/// A key is cut after so many characters in a table.
const KEY_CHARACTERS: usize = 60;

/// What each node says of its load, under its name: the hot keys of all nodes, the hottest first.
pub(crate) fn hottest(heats: &[(String, NodeHeat)]) -> Vec<(&str, &HotKeyShare)> {
    let mut keys: Vec<_> = heats
        .iter()
        .flat_map(|(name, heat)| heat.hot_keys.iter().map(move |key| (name.as_str(), key)))
        .collect();
    keys.sort_by(|(_, one), (_, other)| other.share.total_cmp(&one.share));
    keys
}

/// Which of the nodes of these names are not among those that answered.
///
/// # Errors
///
/// None has answered.
pub fn silent(nodes: &[String], heats: &[(String, NodeHeat)]) -> Result<Vec<String>, &'static str> {
    if heats.is_empty() {
        return Err("no node answers");
    }
    let has_answered = |name: &String| heats.iter().any(|(of, _)| of == name);
    Ok(nodes.iter().filter(|name| !has_answered(name)).cloned().collect())
}

/// A table of them, and which nodes did not answer.
pub fn text(heats: &[(String, NodeHeat)], silent: &[String]) -> String {
    let keys = hottest(heats);
    let silence = match silent {
        [] => String::new(),
        [one] => format!("{one} does not answer.\n"),
        many => format!("{} do not answer.\n", many.join(", ")),
    };
    if keys.is_empty() {
        return format!(
            "No key got far more of the operations of the last ten seconds than others.\n{silence}"
        );
    }
    let rows = keys.into_iter().map(|(node, hot)| {
        let cut: String = hot.key.chars().take(KEY_CHARACTERS).collect();
        let key = if cut.len() < hot.key.len() { format!("{cut}…") } else { cut };
        [key, node.to_owned(), format!("{:.1}", hot.share * 100.0), hot.key_bytes.to_string()]
    });
    table::plain(&["KEY", "NODE", "% OF NODE", "KEY BYTES"], 2, rows) + &silence
}

/// The same as JSON.
pub fn json(heats: &[(String, NodeHeat)], silent: &[String]) -> Value {
    let key = |(node, hot): (&str, &HotKeyShare)| {
        json!({
            "key": hot.key,
            "keyEncoding": hot.key_encoding,
            "keyBytes": hot.key_bytes,
            "node": node,
            "shareOfNode": hot.share,
        })
    };
    let keys: Vec<Value> = hottest(heats).into_iter().map(key).collect();
    json!({ "hotKeys": keys, "silent": silent })
}

#[cfg(test)]
mod tests {
    use ringcache_api::Incarnation;

    use super::*;

    fn heat(keys: &[(&str, f64)]) -> NodeHeat {
        let hot = |(key, share): &(&str, f64)| HotKeyShare {
            key: (*key).to_owned(),
            key_encoding: None,
            key_bytes: key.len() as u64,
            share: *share,
        };
        NodeHeat {
            version: 1,
            incarnation: Incarnation::new("u", "1"),
            hot_keys: keys.iter().map(hot).collect(),
            busiest_slots: Vec::new(),
            threads: Vec::new(),
            read_microseconds: None,
            write_microseconds: None,
            evicted_unused_milliseconds: None,
            expired_unused_milliseconds: None,
            stampedes: 0,
        }
    }

    #[test]
    fn the_hottest_of_all_nodes_comes_first_and_a_long_key_is_cut() {
        let long = "ü".repeat(KEY_CHARACTERS + 1);
        let heats = [
            ("web-0".to_owned(), heat(&[("home", 0.2)])),
            ("web-1".to_owned(), heat(&[(&long, 0.5), ("cart", 0.1)])),
        ];
        let text = text(&heats, &[]);
        let nodes: Vec<&str> =
            text.lines().skip(1).filter_map(|line| line.split_whitespace().nth(1)).collect();
        assert_eq!(nodes, ["web-1", "web-0", "web-1"], "{text}");
        assert!(
            text.contains(&format!("{}…  web-1       50.0", "ü".repeat(KEY_CHARACTERS))),
            "{text}"
        );
        assert_eq!(json(&heats, &[])["hotKeys"][0]["key"], long, "JSON has the whole key");
    }

    #[test]
    fn a_load_without_hot_keys_is_told_in_words() {
        let text = text(&[("web-0".to_owned(), heat(&[]))], &["web-1".to_owned()]);
        assert!(
            text.starts_with("No key got") && text.ends_with("web-1 does not answer.\n"),
            "{text}"
        );
    }
}
