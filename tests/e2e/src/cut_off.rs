//! A cache node that the operator does not reach, although everybody else does.

use anyhow::Result;
use k8s_openapi::api::core::v1::Pod;
use ringcache_lab::PODS;

use crate::World;
use crate::cluster::ADMIN;
use crate::view::{address, host_number};

/// A rule on the node's host that drops without a word whatever a pod sends to the node's admin API: of all pods only those
/// of the operator do. The tests are no pods, so they may go on asking. Dropping it takes the rule away.
pub struct CutOff {
    world: &'static World,
    host: u8,
    address: String,
}

impl CutOff {
    /// From now on the operator hears nothing of that pod.
    pub fn of(world: &'static World, pod: &Pod) -> Result<Self> {
        let cut_off = Self { world, host: host_number(pod)?, address: address(pod).to_owned() };
        cut_off.rule("--append")?;
        Ok(cut_off)
    }

    fn rule(&self, change: &str) -> Result<()> {
        let (address, port) = (self.address.as_str(), ADMIN.to_string());
        // Before connections are tracked: one that is open already must not get through either.
        let table = ["--wait", "--table", "raw", change, "PREROUTING"];
        let from_to = ["--source", PODS, "--destination", address];
        let what = ["--protocol", "tcp", "--dport", &port, "--jump", "DROP"];
        let mut iptables = self.world.lab.node_command(self.host, "iptables")?;
        ringcache_lab::output(iptables.args([&table[..], &from_to, &what].concat())).map(drop)
    }
}

impl Drop for CutOff {
    fn drop(&mut self) {
        if let Err(error) = self.rule("--delete") {
            eprintln!("{error:#}");
        }
    }
}
