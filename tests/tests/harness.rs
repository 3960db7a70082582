//! The harness itself: what it computes, and that its waits end.

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use ringcache_tests::clock::{now, wait_for};
use ringcache_tests::cluster::fewest_moves;
use ringcache_tests::layout::free_base_port;
use ringcache_tests::process::{Running, resident_bytes, runs};
use rustix::process::Signal;

#[test]
fn the_fewest_moves_are_what_newcomers_and_survivors_lack() {
    assert_eq!(fewest_moves(&[16_384], 1), 0);
    assert_eq!(fewest_moves(&[16_384], 2), 8192);
    assert_eq!(fewest_moves(&[5462, 5461, 5461], 3), 0);
    // Four of five nodes hold 3277 slots, one 3276: the two newcomers need 3277 and 3276.
    assert_eq!(fewest_moves(&[5462, 5461, 5461], 5), 6553);
    // Two of five stay: everything that the other three held has to move.
    assert_eq!(fewest_moves(&[3277, 3276], 2), 3277 + 3277 + 3277);
}

#[test]
fn a_wait_gives_up_at_its_limit_and_says_what_it_last_saw() {
    let start = now();
    let limit = Duration::from_millis(200);
    let waited = wait_for::<()>("pigs fly", limit, || Ok(Err("they walk".into())));
    let said = waited.expect_err("it cannot come true").to_string();
    assert!(said.contains("until pigs fly: they walk"), "{said}");
    assert!(start.elapsed() >= limit);
}

#[test]
fn a_process_ends_with_its_handle_and_is_told_from_another_of_the_same_id() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut command = Command::new("sleep");
    command.arg("1000.5");
    let mut sleep = Running::spawn(command, dir.path(), "sleep")?;
    let pid = sleep.pid();
    wait_for("it sleeps", Duration::from_secs(10), || {
        Ok(if runs(pid, "1000.5") { Ok(()) } else { Err("not yet".into()) })
    })?;
    ensure!(!runs(pid, "another-uid"), "another program of that id would be taken for ours");
    ensure!(resident_bytes(pid)? > 0);
    ensure!(sleep.ended()?.is_none());
    sleep.signal(Signal::TERM)?;
    ensure!(!sleep.wait(Duration::from_secs(10))?.success());
    ensure!(!runs(pid, "1000.5"));
    Ok(())
}

#[test]
fn a_base_port_leaves_room_for_all_groups_below_the_ephemeral_range() -> Result<()> {
    let base = free_base_port()?;
    ensure!((11_000..31_000).contains(&base), "{base}");
    Ok(())
}
