//! The network of a lab: a bridge in the control plane's namespace, a link from it to each node, no
//! route to anywhere else.

use std::fmt::Write as _;
use std::process::Command;

use anyhow::Result;

use crate::command;
use crate::name::{Name, Namespace};

/// Address of the control plane.
pub(crate) const CONTROL: &str = "10.88.0.1";
/// Addresses of Services.
pub(crate) const SERVICES: &str = "10.96.0.0/16";
/// The first of them: the API server.
pub(crate) const API_SERVICE: &str = "10.96.0.1";
/// Cluster DNS.
pub(crate) const DNS_SERVICE: &str = "10.96.0.10";
/// Addresses of pods, of all nodes.
pub const PODS: &str = "10.244.0.0/16";

/// Address of a node.
pub(crate) fn node_address(node: u8) -> String {
    format!("10.88.0.{}", 10 + node)
}

/// Addresses of the pods of a node.
pub(crate) fn pods_of(node: u8) -> String {
    format!("10.244.{node}.0/24")
}

/// Makes the namespace of the control plane.
pub(crate) fn create(lab: &Name) -> Result<()> {
    let control = lab.control();
    ip(&["netns", "add", &control.0])?;
    batch(&control, &control_plan())?;
    forward(&control)
}

/// Makes the namespace of a node and connects it.
pub(crate) fn connect(lab: &Name, node: u8) -> Result<()> {
    let (control, namespace) = (lab.control(), lab.node(node));
    ip(&["netns", "add", &namespace.0])?;
    batch(&control, &link_plan(node, &namespace))?;
    batch(&namespace, &node_plan(node))?;
    forward(&namespace)
}

/// Cuts a node off without a word to anybody: nothing of what its dying processes send gets out.
pub(crate) fn cut(lab: &Name, node: u8) -> Result<()> {
    ip(&["-n", &lab.control().0, "link", "set", &link(node), "down"])
}

/// Removes a namespace if it is there; its links go with it.
pub(crate) fn remove(namespace: &Namespace) -> Result<()> {
    if namespace.path().exists() { ip(&["netns", "delete", &namespace.0]) } else { Ok(()) }
}

/// Removes what connects a node.
pub(crate) fn disconnect(lab: &Name, node: u8) -> Result<()> {
    remove(&lab.node(node))?;
    // The kernel takes the other end away in its own time: too late for a node that comes back.
    let gone = ip(&["-n", &lab.control().0, "link", "delete", &link(node)]);
    if let Err(error) = gone
        && !error.to_string().contains("Cannot find device")
    {
        return Err(error);
    }
    Ok(())
}

/// The control plane's end of the link to a node.
fn link(node: u8) -> String {
    format!("node{node}")
}

fn control_plan() -> String {
    format!(
        "link set lo up\n\
         link add nodes type bridge\n\
         address add {CONTROL}/24 dev nodes\n\
         link set nodes up\n\
         route add {SERVICES} dev nodes\n"
    )
}

fn link_plan(node: u8, namespace: &Namespace) -> String {
    let (link, address, pods) = (link(node), node_address(node), pods_of(node));
    format!(
        "link add {link} type veth peer name eth0 netns {}\n\
         link set {link} master nodes up\n\
         route replace {pods} via {address}\n",
        namespace.0
    )
}

/// The default route ends at the control plane, which has none. The hardware address is fixed: the
/// others would otherwise talk to the old one for a while after a node has come back.
fn node_plan(node: u8) -> String {
    let mut plan = "link set lo up\n".to_owned();
    let _ = writeln!(plan, "link set eth0 address 02:00:0a:58:00:{node:02x}");
    let _ = writeln!(plan, "address add {}/24 dev eth0", node_address(node));
    let _ = writeln!(plan, "link set eth0 up\nroute add default via {CONTROL}");
    plan
}

fn forward(namespace: &Namespace) -> Result<()> {
    let write = "echo 1 > /proc/sys/net/ipv4/ip_forward";
    command::output(command::inside(namespace, "sh").args(["-c", write]))?;
    Ok(())
}

fn ip(arguments: &[&str]) -> Result<()> {
    command::output(Command::new("ip").args(arguments))?;
    Ok(())
}

fn batch(namespace: &Namespace, plan: &str) -> Result<()> {
    let mut ip = Command::new("ip");
    command::output_with_input(ip.args(["-n", &namespace.0, "-batch", "-"]), plan)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leads_out_of_the_lab() {
        assert!(!control_plan().contains("default"));
        assert!(node_plan(3).contains("default via 10.88.0.1\n"));
    }

    #[test]
    fn every_node_has_addresses_of_its_own() {
        let name = Name::try_from("x".to_owned()).unwrap();
        let plan = |node| link_plan(node, &name.node(node)) + &node_plan(node);
        for only in ["node2", "10.88.0.12", "10.244.2.0/24", "ringcache-x-2", ":00:02\n"] {
            assert!(plan(2).contains(only), "{only}");
            assert!(!plan(1).contains(only), "{only}");
        }
    }
}
