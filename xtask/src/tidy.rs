//! Rules that neither compiler nor clippy checks; ARCHITECTURE.md rests on them.
//!
//! A rule is a function from what it reads to its findings: one line each, beginning with the
//! place.

mod dependencies;
mod licences;
mod sizes;
mod source;
mod words;

use std::fs;

use anyhow::{Context, Result};

use crate::cargo::Workspace;

/// Runs every rule and prints what it finds; true if that is nothing.
pub(crate) fn run(workspace: &Workspace) -> Result<bool> {
    let sources = source::read(&workspace.root)?;
    let read = |name: &str| fs::read_to_string(workspace.root.join(name)).context(name.to_owned());
    let allowed = licences::allowed(&read("deny.toml")?)?;

    println!("{}", sizes::summary(&sources));
    let findings = [
        sizes::check(&sources),
        words::forbidden(&sources),
        words::clocks_and_chance_in_pure_crates(&sources),
        dependencies::check(&workspace.root)?,
        dependencies::duplicates(&read("Cargo.lock")?),
        licences::check(&workspace.packages, &allowed),
    ]
    .concat();
    for finding in &findings {
        eprintln!("tidy: {finding}");
    }
    Ok(findings.is_empty())
}
