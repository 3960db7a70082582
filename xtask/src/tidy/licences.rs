//! Every dependency may be used under a licence that we allow.

use anyhow::{Result, ensure};
use serde_json::Value;

/// The `allow` list of the `[licenses]` section of deny.toml.
pub(super) fn allowed(deny: &str) -> Result<Vec<String>> {
    let allowed: Vec<String> = deny
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim())
        .skip_while(|line| *line != "[licenses]")
        .skip_while(|line| *line != "allow = [")
        .skip(1)
        .take_while(|line| *line != "]")
        .map(|line| line.trim_end_matches(',').trim_matches('"').to_owned())
        .filter(|licence| !licence.is_empty())
        .collect();
    ensure!(!allowed.is_empty(), "deny.toml: no `allow` list, one licence a line, in [licenses]");
    Ok(allowed)
}

/// Packages of `cargo metadata` without a licence that `allowed` satisfies.
pub(super) fn check(packages: &[Value], allowed: &[String]) -> Vec<String> {
    let mut findings = Vec::new();
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        match package["license"].as_str() {
            None => findings.push(format!("{name}: no licence")),
            Some(licence) if !satisfied(licence, allowed) => {
                findings.push(format!("{name}: licence `{licence}` is not in deny.toml"));
            }
            Some(_) => {}
        }
    }
    findings
}

/// Whether `allowed` satisfies the SPDX expression `licence`, in which old manifests write `/` for
/// `OR`.
fn satisfied(licence: &str, allowed: &[String]) -> bool {
    let spaced = licence.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words: Vec<&str> = spaced.split_whitespace().rev().collect();
    any(&mut words, allowed) == Some(true) && words.is_empty()
}

/// `AND` expressions joined by `OR`, which binds less; `words` is reversed. `None` = no expression.
fn any(words: &mut Vec<&str>, allowed: &[String]) -> Option<bool> {
    let mut result = all(words, allowed)?;
    while words.pop_if(|word| *word == "OR").is_some() {
        result |= all(words, allowed)?;
    }
    Some(result)
}

fn all(words: &mut Vec<&str>, allowed: &[String]) -> Option<bool> {
    let mut result = one(words, allowed)?;
    while words.pop_if(|word| *word == "AND").is_some() {
        result &= one(words, allowed)?;
    }
    Some(result)
}

fn one(words: &mut Vec<&str>, allowed: &[String]) -> Option<bool> {
    match words.pop()? {
        "(" => {
            let result = any(words, allowed);
            words.pop_if(|word| *word == ")").and(result)
        }
        licence if words.pop_if(|word| *word == "WITH").is_some() => {
            Some(allowed.contains(&format!("{licence} WITH {}", words.pop()?)))
        }
        licence => Some(allowed.iter().any(|allowed| allowed == licence)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_expression(licence: &str) -> bool {
        satisfied(licence, &["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned))
    }

    #[test]
    fn one_side_of_or_and_both_of_and_must_be_allowed() {
        for licence in [
            "MIT",
            "GPL-3.0 OR MIT",
            "MIT/GPL-3.0",
            "GPL-3.0 / MIT",
            "MIT AND ISC",
            "GPL-3.0 OR MIT AND ISC",
            "(MIT OR GPL-3.0) AND ISC",
            "Apache-2.0 WITH LLVM-exception OR GPL-3.0",
        ] {
            assert!(check_expression(licence), "{licence}");
        }
    }

    #[test]
    fn anything_else_is_not_satisfied() {
        for licence in [
            "",
            "GPL-3.0",
            "mit",
            "Apache-2.0",
            "MIT WITH LLVM-exception",
            "MIT AND GPL-3.0",
            "(MIT OR ISC) AND GPL-3.0",
            "(MIT",
            "MIT)",
            "MIT ISC",
            "MIT OR",
            "OR MIT",
        ] {
            assert!(!check_expression(licence), "{licence}");
        }
    }

    #[test]
    fn the_list_is_read_from_its_section_without_comments() {
        let deny = r#"
            [bans]
            allow = [
                "x",
            ]
            [licenses]
            # why
            allow = [
                "MIT", # m

                "ISC"
            ]
            deny = [
                "y",
            ]
        "#;
        assert_eq!(allowed(deny).unwrap(), ["MIT", "ISC"]);
        assert!(allowed("[licenses]\n").is_err());
    }

    #[test]
    fn packages_without_an_allowed_licence_are_named() {
        let package =
            |name: &str, licence: Value| serde_json::json!({"name": name, "license": licence});
        let packages =
            [package("a", "MIT".into()), package("b", "GPL-3.0".into()), package("c", Value::Null)];
        assert_eq!(
            check(&packages, &["MIT".to_owned()]),
            ["b: licence `GPL-3.0` is not in deny.toml", "c: no licence"]
        );
    }
}
