//! What belongs to one lab on a machine that may run several: everything is named after it.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

/// Where every lab has its folder.
pub(crate) const RUN: &str = "/run/ringcache";
/// Where `ip netns` keeps its namespaces.
const NAMESPACES: &str = "/run/netns";
const MAX_LENGTH: usize = 16;

/// The name of a lab: small letters and digits, so that no name made from it is the beginning of one
/// made from another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl TryFrom<String> for Name {
    type Error = anyhow::Error;

    fn try_from(name: String) -> Result<Self> {
        ensure!(
            (1..=MAX_LENGTH).contains(&name.len())
                && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()),
            "`{name}` is no name of a lab: 1 to {MAX_LENGTH} of a-z and 0-9"
        );
        Ok(Self(name))
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Name {
    /// Its folder: sockets, logs, certificates, data.
    pub(crate) fn folder(&self) -> PathBuf {
        PathBuf::from(RUN).join(&self.0)
    }

    /// Network namespace of the control plane.
    pub(crate) fn control(&self) -> Namespace {
        Namespace(format!("ringcache-{self}"))
    }

    /// Network namespace of a node.
    pub(crate) fn node(&self, node: u8) -> Namespace {
        Namespace(format!("ringcache-{self}-{node}"))
    }

    /// Path of the control groups, below the root of every hierarchy.
    pub(crate) fn cgroup(&self) -> String {
        format!("ringcache-{self}")
    }

    /// Path of the control groups of a node.
    pub(crate) fn node_cgroup(&self, node: u8) -> String {
        format!("ringcache-{self}/node-{node}")
    }

    /// Name of a node's pod network, which the CNI plugins put before the names of their records.
    pub(crate) fn pod_network(&self, node: u8) -> String {
        format!("ringcache-{self}-{node}")
    }
}

/// A named network namespace.
pub(crate) struct Namespace(pub(crate) String);

impl Namespace {
    /// The file that holds it.
    pub(crate) fn path(&self) -> PathBuf {
        PathBuf::from(NAMESPACES).join(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str) -> Name {
        Name::try_from(name.to_owned()).unwrap()
    }

    #[test]
    fn a_name_is_short_and_has_small_letters_and_digits_only() {
        for bad in ["", "a-1", "Dev", "../x", "a b", "abcdefghijklmnopq"] {
            assert!(Name::try_from(bad.to_owned()).is_err(), "{bad}");
        }
        assert_eq!(name("test4711").to_string(), "test4711");
    }

    #[test]
    fn nothing_of_one_lab_is_named_like_something_of_another() {
        let (a, b) = (name("a"), name("a1"));
        assert_ne!(a.node(1).path(), b.control().path());
        assert!(!b.pod_network(1).starts_with(&format!("{}-", a.pod_network(1))));
        assert_eq!(a.node(12).path(), PathBuf::from("/run/netns/ringcache-a-12"));
        assert_ne!(a.folder(), b.folder());
    }
}
