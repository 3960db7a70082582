//! A host that somebody keeps pods away from, as autoscalers do before they remove it.

use anyhow::Result;

use crate::World;

/// A taint of a host, taken away when dropped, for the tests that follow.
pub struct Taint {
    world: &'static World,
    host: String,
    what: &'static str,
}

impl Taint {
    /// `kubectl taint` with `key:effect` or `key=value:effect`.
    pub fn of(world: &'static World, host: &str, taint: &'static str) -> Result<Self> {
        let tainted = Self { world, host: host.to_owned(), what: taint };
        world.lab.kubectl(&["taint", "nodes", host, taint])?;
        Ok(tainted)
    }
}

impl Drop for Taint {
    fn drop(&mut self) {
        let gone = format!("{}-", self.what);
        if let Err(error) = self.world.lab.kubectl(&["taint", "nodes", &self.host, &gone]) {
            eprintln!("{error:#}");
        }
    }
}
