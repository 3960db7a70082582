//! What a support archive holds and lacks, for those who are about to send it to somebody.

use serde_json::{Value, json};

use crate::table;

/// A file of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its path in the archive.
    pub path: String,
    /// What it is.
    pub what: String,
    /// Its size.
    pub bytes: usize,
    /// Whether only a part of it is there.
    pub is_cut: bool,
}

/// Something that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// What would be there.
    pub what: String,
    /// Why it is not.
    pub why: String,
}

/// What was left out on purpose, as people read it.
pub const LEFT_OUT: &str = "\
It has no value of the cache. Keys and the numbers of the busiest slots are replaced by hashes with a salt that is not kept: equal keys have
equal hashes in this archive, and other ones in the next. Lengths of keys are rounded up to a power of two. Replaced by `removed` are values of
environment variables, HTTP headers and queries of probes, attributes of volumes, annotations that are not Ringcache's own, and of containers
beside the cache node commands, arguments, messages and what events say of them, answers to probes among it. Wherever else such a value
stands, but for annotations and events, it is replaced as well if it has eight characters or more and is no plain word or number. Secrets were
not read.
";

/// A table of what is in it, and one of what is not.
pub fn text(entries: &[Entry], missing: &[Missing]) -> String {
    let rows = entries.iter().map(|entry| {
        let cut = if entry.is_cut { " (cut)" } else { "" };
        [entry.path.clone(), format!("{}{cut}", entry.what), entry.bytes.to_string()]
    });
    let held = table::plain(&["FILE", "WHAT", "BYTES"], 2, rows);
    if missing.is_empty() {
        return held;
    }
    let rows = missing.iter().map(|missing| [missing.what.clone(), missing.why.clone()]);
    format!("{held}\n{}", table::plain(&["NOT READ", "WHY"], 2, rows))
}

/// The same as JSON.
pub fn json(entries: &[Entry], missing: &[Missing]) -> Value {
    let entries = entries.iter().map(|entry| {
        json!({
            "path": entry.path, "what": entry.what, "bytes": entry.bytes, "cut": entry.is_cut,
        })
    });
    let missing = missing.iter().map(|it| json!({"what": it.what, "why": it.why}));
    json!({
        "files": entries.collect::<Vec<_>>(),
        "notRead": missing.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &str, bytes: usize, is_cut: bool) -> Entry {
        Entry { path: path.to_owned(), what: "the resource".to_owned(), bytes, is_cut }
    }

    #[test]
    fn what_was_cut_and_what_was_not_read_is_said() {
        let entries = [entry("cluster.yaml", 1200, false), entry("a.log", 7, true)];
        let missing = [Missing { what: "events".into(), why: "forbidden:\nno right".into() }];
        let wanted = [
            "FILE          WHAT                BYTES",
            "cluster.yaml  the resource         1200",
            "a.log         the resource (cut)      7",
            "",
            "NOT READ  WHY",
            "events    forbidden:\u{fffd}no right",
        ];
        assert_eq!(text(&entries, &missing).lines().collect::<Vec<_>>(), wanted);
        assert_eq!(json(&entries, &missing)["notRead"][0]["what"], "events");
    }

    #[test]
    fn an_archive_that_lacks_nothing_says_nothing_of_that() {
        assert!(!text(&[entry("cluster.yaml", 1, false)], &[]).contains("NOT READ"));
    }
}
