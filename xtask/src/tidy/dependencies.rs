//! What crates may depend on: the boundaries that keep pure crates pure, and one version of what
//! crosses them.

use std::path::Path;

use anyhow::Result;

use crate::cargo::{cargo, output};

/// The pure crates: name and folder. No I/O, no clock, no chance of their own.
pub(super) const PURE: [(&str, &str); 8] = [
    ("ringcache-ring", "ring"),
    ("ringcache-operator-core", "operator/core"),
    ("ringcache-store", "cache-node/store"),
    ("ringcache-wire", "cache-node/wire"),
    ("ringcache-cluster", "cache-node/cluster"),
    ("ringcache-curve", "cache-node/curve"),
    ("ringcache-heat", "cache-node/heat"),
    ("ringcache-show", "show"),
];

/// Runtimes, sockets, clients, HTTP, chance: nowhere below a pure crate.
const IMPURE: [&str; 15] = [
    "async-std",
    "fastrand",
    "getrandom",
    "hyper",
    "kube-client",
    "kube-runtime",
    "mio",
    "notify",
    "rand",
    "reqwest",
    "smol",
    "socket2",
    "tokio",
    "tower",
    "warp",
];

/// A Kubernetes client: what local mode must do without, and what the types must not bring.
const CLIENT: [&str; 2] = ["kube-client", "kube-runtime"];

/// Their types cross our crates, or they must be kept safe: one version each.
const ONE_VERSION: [&str; 5] = ["hyper", "k8s-openapi", "kube", "rustls", "schemars"];

/// Dependencies, direct or not, that a crate must not have.
pub(super) fn check(root: &Path) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    let pure = PURE.iter().map(|&(name, _)| (name, IMPURE.as_slice()));
    let clientless = ["ringcache-api", "ringcache"].map(|name| (name, CLIENT.as_slice()));
    for (package, banned) in pure.chain(clientless) {
        // `cargo tree` of one package and not `cargo metadata`, which joins the features that all
        // members ask for.
        let tree = ["tree", "--locked", "--edges", "normal,build", "--prefix", "none", "--package"];
        let tree = output(cargo().current_dir(root).args(tree).arg(package))?;
        findings.extend(banned_in(package, &tree, banned));
    }
    Ok(findings)
}

/// `tree`: one `name vVERSION …` a line.
fn banned_in(package: &str, tree: &str, banned: &[&str]) -> Vec<String> {
    let mut found: Vec<&str> = tree
        .lines()
        .filter_map(|line| line.split(' ').next())
        .filter(|name| banned.contains(name))
        .collect();
    found.sort_unstable();
    found.dedup();
    found.iter().map(|name| format!("{package}: must not depend on `{name}`")).collect()
}

/// Crates of [`ONE_VERSION`] that are in the lock file more than once.
pub(super) fn duplicates(lock: &str) -> Vec<String> {
    let count =
        |name: &str| lock.lines().filter(|line| *line == format!("name = \"{name}\"")).count();
    ONE_VERSION
        .iter()
        .map(|name| (name, count(name)))
        .filter(|&(_, versions)| versions > 1)
        .map(|(name, versions)| format!("Cargo.lock: {versions} versions of `{name}`, at most one"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_banned_crate_anywhere_in_the_tree_is_found_once() {
        let tree = "web v0.1.0 (/web)\ntokio v1.54.0\ntokio-util v0.7.0\ntokio v1.54.0 (*)\n";
        assert_eq!(banned_in("web", tree, &IMPURE), ["web: must not depend on `tokio`"]);
        assert_eq!(banned_in("web", tree, &CLIENT), Vec::<String>::new());
    }

    #[test]
    fn a_second_version_of_a_shared_crate_is_found() {
        let lock = "[[package]]\nname = \"kube\"\n[[package]]\nname = \"kube-core\"\n";
        assert_eq!(duplicates(lock), Vec::<String>::new());
        let twice = format!("{lock}{lock}");
        assert_eq!(duplicates(&twice), ["Cargo.lock: 2 versions of `kube`, at most one"]);
    }
}
