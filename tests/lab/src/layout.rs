//! Where a lab keeps what: all below its folder, so that removing that removes it.

use std::path::PathBuf;

use crate::certificates::Certificates;
use crate::name::Name;

/// The files of a lab.
pub(crate) struct Layout(PathBuf);

impl Layout {
    pub(crate) fn of(name: &Name) -> Self {
        Self(name.folder())
    }

    pub(crate) fn root(&self) -> &PathBuf {
        &self.0
    }

    /// What another process must know to attach.
    pub(crate) fn state(&self) -> PathBuf {
        self.0.join("lab.json")
    }

    pub(crate) fn certificates(&self) -> Certificates {
        Certificates(self.0.join("pki"))
    }

    pub(crate) fn logs(&self) -> PathBuf {
        self.0.join("log")
    }

    pub(crate) fn log(&self, process: &str) -> PathBuf {
        self.logs().join(format!("{process}.log"))
    }

    pub(crate) fn etcd(&self) -> PathBuf {
        self.0.join("etcd")
    }

    pub(crate) fn audit_policy(&self) -> PathBuf {
        self.0.join("audit-policy.json")
    }

    pub(crate) fn audit_log(&self) -> PathBuf {
        self.0.join("audit.jsonl")
    }

    pub(crate) fn corefile(&self) -> PathBuf {
        self.0.join("Corefile")
    }

    pub(crate) fn resolv_conf(&self) -> PathBuf {
        self.0.join("resolv.conf")
    }

    pub(crate) fn pause_image(&self) -> PathBuf {
        self.0.join("pause.tar")
    }

    pub(crate) fn node(&self, node: u8) -> NodeLayout {
        NodeLayout(self.0.join(format!("node-{node}")))
    }
}

/// The files of a node: its disk, and what a reboot empties.
pub(crate) struct NodeLayout(PathBuf);

impl NodeLayout {
    pub(crate) fn root(&self) -> &PathBuf {
        &self.0
    }

    /// Images and the records of containers: survive a power loss.
    pub(crate) fn containerd_root(&self) -> PathBuf {
        self.0.join("containerd")
    }

    /// What containerd keeps of running containers, their network namespaces included.
    pub(crate) fn containerd_state(&self) -> PathBuf {
        self.0.join("run/containerd")
    }

    /// Network namespaces of the pods.
    pub(crate) fn pod_namespaces(&self) -> PathBuf {
        self.containerd_state().join("io.containerd.grpc.v1.cri/netns")
    }

    /// One folder a task, with the address of its shim.
    pub(crate) fn tasks(&self) -> PathBuf {
        self.containerd_state().join("io.containerd.runtime.v2.task/k8s.io")
    }

    pub(crate) fn runc(&self) -> PathBuf {
        self.0.join("run/runc")
    }

    /// Everything that a reboot empties.
    pub(crate) fn volatile(&self) -> PathBuf {
        self.0.join("run")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.0.join("containerd.sock")
    }

    pub(crate) fn containerd_config(&self) -> PathBuf {
        self.0.join("containerd.toml")
    }

    pub(crate) fn cni(&self) -> PathBuf {
        self.0.join("cni")
    }

    pub(crate) fn addresses(&self) -> PathBuf {
        self.0.join("addresses")
    }

    pub(crate) fn kubelet(&self) -> PathBuf {
        self.0.join("kubelet")
    }

    pub(crate) fn kubelet_config(&self) -> PathBuf {
        self.0.join("kubelet.json")
    }

    pub(crate) fn pod_logs(&self) -> PathBuf {
        self.0.join("pod-logs")
    }
}
