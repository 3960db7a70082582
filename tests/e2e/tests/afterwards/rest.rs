//! Nothing stays behind of what tests have told to go.

use std::time::Duration;

use anyhow::Result;
use ringcache_e2e::World;
use ringcache_tests::clock::wait_for;

/// Longest time for all to go: nodes of a test that has failed look for takers as long as they may.
const LIMIT: Duration = Duration::from_mins(2);
/// Kubernetes' own namespaces, and the one of the release.
const STAY: [&str; 2] = ["kube-", "ringcache-system"];

#[test]
fn nothing_of_any_test_is_left() -> Result<()> {
    let world = World::get()?;
    let kubectl = |arguments: &[&str]| world.lab.kubectl(arguments);
    wait_for("nothing of any test is left", LIMIT, || {
        let all = kubectl(&["get", "namespaces", "--output", "name"])?;
        let names = all.lines().filter_map(|line| line.strip_prefix("namespace/"));
        let ours =
            |name: &&str| *name != "default" && !STAY.iter().any(|stay| name.starts_with(stay));
        let mut left: Vec<&str> = names.filter(ours).collect();
        let policies = kubectl(&["get", "mutatingadmissionpolicies", "--output", "name"])?;
        left.extend(policies.lines());
        let held = "jsonpath={range .items[*]}{.spec.unschedulable}{.spec.taints}{end}";
        let hosts = kubectl(&["get", "nodes", "--output", held])?;
        left.extend(hosts.lines());
        Ok(if left.is_empty() { Ok(()) } else { Err(left.join(", ")) })
    })
}
