//! Nothing stays behind: this test comes last and waits for the end of what all others told to go.

use std::time::Duration;

use anyhow::Result;
use ringcache_e2e::World;
use ringcache_tests::clock::wait_for;

/// Longest time for it: nodes of a test that has failed look for takers as long as they may.
const LIMIT: Duration = Duration::from_mins(2);
/// Kubernetes' own namespaces, and the one of the release.
const STAY: [&str; 2] = ["kube-", "ringcache-system"];

#[test]
fn nothing_of_any_test_is_left() -> Result<()> {
    let world = World::get()?;
    wait_for("the namespaces of all tests are gone", LIMIT, || {
        let all = world.lab.kubectl(&["get", "namespaces", "--output", "name"])?;
        let names = all.lines().filter_map(|line| line.strip_prefix("namespace/"));
        let ours =
            |name: &&str| *name != "default" && !STAY.iter().any(|stay| name.starts_with(stay));
        let left: Vec<&str> = names.filter(ours).collect();
        Ok(if left.is_empty() { Ok(()) } else { Err(left.join(", ")) })
    })
}
