//! How answers are written: as text, JSON, YAML or a picture.

use std::io::{self, Write as _};

use anyhow::{Context as _, Result};
use clap::ValueEnum;
use ringcache_show::table::tame;
use serde_json::Value;

/// What is asked for instead of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Plain {
    /// One JSON object
    Json,
    /// The same as YAML
    Yaml,
}

/// The same for what may be wide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Table {
    /// One JSON object
    Json,
    /// The same as YAML
    Yaml,
    /// Text with more columns
    Wide,
}

/// The same for what may be drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Picture {
    /// One JSON object
    Json,
    /// The same as YAML
    Yaml,
    /// A picture
    Svg,
}

impl Plain {
    /// The object, written like this.
    pub(crate) fn write(self, object: &Value) -> Result<String> {
        Ok(match self {
            // Of what a terminal obeys JSON escapes only a part by itself; line ends between values stay.
            Self::Json => format!("{object:#}\n").chars().map(escaped).collect(),
            Self::Yaml => serde_saphyr::to_string(object).context("writing YAML")?,
        })
    }
}

fn escaped(character: char) -> String {
    match character {
        '\n' => "\n".to_owned(),
        control if control.is_control() => format!("\\u{:04x}", u32::from(control)),
        other => other.to_string(),
    }
}

/// Text, or an object.
pub(crate) fn plain(
    output: Option<Plain>,
    text: impl FnOnce() -> String,
    object: impl FnOnce() -> Value,
) -> Result<String> {
    output.map_or_else(|| Ok(tamed(&text())), |output| output.write(&object()))
}

/// Text, given whether it is to be wide, or an object.
pub(crate) fn wide(
    output: Option<Table>,
    text: impl FnOnce(bool) -> String,
    object: impl FnOnce() -> Value,
) -> Result<String> {
    match output {
        None => Ok(tamed(&text(false))),
        Some(Table::Wide) => Ok(tamed(&text(true))),
        Some(Table::Json) => Plain::Json.write(&object()),
        Some(Table::Yaml) => Plain::Yaml.write(&object()),
    }
}

/// Text, an object or a picture.
pub(crate) fn picture(
    output: Option<Picture>,
    text: impl FnOnce() -> String,
    object: impl FnOnce() -> Value,
    svg: impl FnOnce() -> String,
) -> Result<String> {
    match output {
        None => Ok(tamed(&text())),
        Some(Picture::Svg) => Ok(svg()),
        Some(Picture::Json) => Plain::Json.write(&object()),
        Some(Picture::Yaml) => Plain::Yaml.write(&object()),
    }
}

/// Writes to the standard output.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush())
}

/// Writes to the standard error what a terminal may show. If that fails there is nobody left to be told.
pub(crate) fn complain(line: &str) {
    let _ = writeln!(io::stderr(), "{}", tamed(line));
}

/// Lines without anything that a terminal would obey: nodes, and whoever answers in their place, choose what is quoted.
pub(crate) fn tamed(text: &str) -> String {
    let lines: Vec<String> = text.split('\n').map(tame).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn yaml_says_the_same_as_json() {
        let object = json!({
            "no": "no", "number": "1e3", "lines": "a\nb: c\n", "none": null, "list": [1, 2.5, {"a": []}],
            "control": "\u{1b}[2J\u{9b}2J\u{7f}", "empty": {},
        });
        let [yaml, json] = [Plain::Yaml, Plain::Json].map(|it| it.write(&object).expect("text"));
        for text in [&yaml, &json] {
            let is_tame = text.ends_with('\n') && !text.contains(['\u{1b}', '\u{9b}', '\u{7f}']);
            assert!(is_tame, "{text:?}");
        }
        assert_eq!(serde_json::from_str::<Value>(&json).expect("JSON"), object, "{json}");
        assert_eq!(serde_saphyr::from_str::<Value>(&yaml).expect("YAML"), object, "{yaml}");
    }

    #[test]
    fn a_terminal_obeys_nothing_that_is_quoted_whatever_it_stands_in() {
        let (text, wanted) = ("one\n\u{1b}[2Jtwo\n", "one\n\u{fffd}[2Jtwo\n");
        assert_eq!(tamed(text), wanted);
        let nothing = || Value::Null;
        assert_eq!(plain(None, || text.into(), nothing).expect("written"), wanted);
        assert_eq!(wide(None, |_| text.into(), nothing).expect("written"), wanted);
        assert_eq!(wide(Some(Table::Wide), |_| text.into(), nothing).expect("written"), wanted);
        assert_eq!(picture(None, || text.into(), nothing, String::new).expect("written"), wanted);
    }

    #[test]
    fn what_may_be_drawn_or_wide_is_an_object_as_well() {
        let drawn = |output| {
            picture(output, || "text".into(), || json!({"a": 1}), || "<svg/>".into())
                .expect("written")
        };
        let all = [None, Some(Picture::Svg), Some(Picture::Yaml), Some(Picture::Json)].map(drawn);
        assert_eq!(all, ["text", "<svg/>", "a: 1\n", "{\n  \"a\": 1\n}\n"]);
        let shown = |output| wide(output, |wide| wide.to_string(), || json!(1)).expect("written");
        let all = [None, Some(Table::Wide), Some(Table::Yaml), Some(Table::Json)].map(shown);
        assert_eq!(all, ["false", "true", "1\n", "1\n"]);
    }
}
