//! A real Kubernetes on one machine, for the tests and for developers.
//!
//! A [`Lab`] is a complete cluster: etcd, API server, controller manager, scheduler, cluster DNS, and
//! nodes with containerd, kubelet and kube-proxy. Each part runs in a network namespace that has no
//! route out of the lab, so that several labs fit on a machine, and taking one down is complete.
//! The programs are built from their Go modules; etcd, containerd, runc and the CNI plugins are those
//! of the machine.

mod archive;
mod certificates;
mod cgroup;
mod clock;
mod command;
mod config;
mod control;
mod diagnose;
mod files;
mod lab;
mod layout;
mod mounts;
mod name;
mod network;
mod node;
mod processes;
mod programs;
mod ready;
mod state;
mod sysctls;

pub use clock::{now, wait_for};
pub use command::{output, output_with_input};
pub use lab::{Lab, Options};
pub use name::Name;
pub use network::PODS;
pub use programs::{KUBERNETES, build, helm};
