//! A host whose kubelet has ended while its pods go on: Kubernetes takes it for lost, and it is not.

use anyhow::Result;

use crate::World;

/// A kubelet that was stopped; dropping it starts the kubelet, and waits until its host is Ready.
pub struct Stopped {
    world: &'static World,
    host: u8,
}

impl Stopped {
    /// Stops the kubelet of the host with that number.
    pub fn of(world: &'static World, host: u8) -> Result<Self> {
        // First: what was half done is undone too.
        let stopped = Self { world, host };
        world.lab.stop_kubelet(host)?;
        Ok(stopped)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        if let Err(error) = self.world.lab.start_kubelet(self.host) {
            eprintln!("{error:#}");
        }
    }
}
