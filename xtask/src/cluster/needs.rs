//! What a cluster of this machine needs beside Rust, installed where we may.

use anyhow::{Result, ensure};

use crate::packages::{find, install, is_root};

/// Programs, and the Debian packages that have them.
const PROGRAMS: [(&str, &str); 8] = [
    ("etcd", "etcd-server"),
    ("containerd", "containerd"),
    ("runc", "runc"),
    ("iptables", "iptables"),
    ("ip", "iproute2"),
    ("conntrack", "conntrack"),
    ("openssl", "openssl"),
    ("nsenter", "util-linux"),
];
/// Plugins are no programs of the path.
const CNI_PLUGIN: (&str, &str) = ("/usr/lib/cni/ptp", "containernetworking-plugins");

/// Installs what is missing and builds Kubernetes, which takes minutes the first time; the error
/// says why a cluster is impossible here.
pub(crate) fn prepare() -> Result<()> {
    ensure!(cfg!(target_os = "linux"), "a cluster needs Linux");
    ensure!(is_root()?, "a cluster needs root, to make network namespaces");
    install(&missing(|program| find(program).is_some()))?;
    ensure!(find("go").is_some(), "missing Go, to build Kubernetes: https://go.dev/dl");
    ringcache_lab::build()
}

fn missing(found: impl Fn(&str) -> bool) -> Vec<&'static str> {
    let needed = PROGRAMS.into_iter().filter(|(program, _)| !found(program));
    let mut missing: Vec<&str> = needed.map(|(_, package)| package).collect();
    if !std::path::Path::new(CNI_PLUGIN.0).is_file() {
        missing.push(CNI_PLUGIN.1);
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_asked_for_by_its_package() {
        let missing = missing(|program| !matches!(program, "etcd" | "ip"));
        assert_eq!(missing[..2], ["etcd-server", "iproute2"]);
    }
}
