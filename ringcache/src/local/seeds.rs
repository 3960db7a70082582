//! Where clients find the cluster that `ringcache up` runs.

use std::path::Path;

use anyhow::{Result, ensure};

use super::dir::StateDir;

/// Addresses of the Redis protocol of its nodes.
pub(crate) fn seeds(state_dir: &Path) -> Result<Vec<String>> {
    let records = StateDir::new(state_dir).records()?;
    let stays = records.iter().filter(|record| record.stopping_since_ms.is_none());
    let seeds: Vec<_> = stays.map(|record| format!("127.0.0.1:{}", record.ports.resp)).collect();
    ensure!(
        !seeds.is_empty(),
        "no cluster runs with the state directory {}: start one with `ringcache up`, or name nodes with --seeds",
        state_dir.display()
    );
    Ok(seeds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_nothing_runs_it_is_said_how_to_start_something() {
        let temp = tempfile::tempdir().expect("a directory");
        let error = seeds(&temp.path().join("state")).expect_err("nothing runs").to_string();
        assert!(error.contains("`ringcache up`") && error.contains("--seeds"), "{error}");
    }
}
