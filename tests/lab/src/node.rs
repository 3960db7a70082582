//! A node: a network namespace with containerd, a kubelet and kube-proxy, and a disk of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::control::{flag, proxy};
use crate::layout::{Layout, NodeLayout};
use crate::name::Name;
use crate::{cgroup, clock, command, config, files, mounts, network, processes};

/// How long containerd may take to answer.
const LIMIT: Duration = Duration::from_secs(30);
const KUBELET: &str = "kubelet";
/// Where the kubelet links the logs of containers, whatever it is configured to.
const LOG_LINKS: &str = "/var/log/containers";
/// Where the CNI library keeps what plugins answered.
const CNI_RESULTS: &str = "/var/lib/cni/results";

/// Node `number` of the lab `name`, from 1.
pub(crate) struct Node<'a> {
    pub(crate) name: &'a Name,
    pub(crate) number: u8,
    pub(crate) layout: &'a Layout,
}

impl Node<'_> {
    fn files(&self) -> NodeLayout {
        self.layout.node(self.number)
    }

    fn log(&self, process: &str) -> PathBuf {
        self.layout.log(&format!("node-{}-{process}", self.number))
    }

    /// Plugs it in: network, control groups, containerd. Its disk may be an old one.
    pub(crate) fn power_on(&self) -> Result<()> {
        let files = self.files();
        for folder in [files.cni(), files.kubelet(), files.containerd_root(), files.runc()] {
            fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        }
        fs::write(files.containerd_config(), config::containerd(&files))?;
        let cni = config::cni(self.name, self.number, &files);
        fs::write(files.cni().join("10-ptp.conflist"), cni.to_string())?;
        let kubelet = config::kubelet(self.name, self.number, self.layout);
        fs::write(files.kubelet_config(), kubelet.to_string())?;
        cgroup::create(&self.name.node_cgroup(self.number))?;
        network::connect(self.name, self.number)?;
        let mut containerd = command::inside(&self.name.node(self.number), "containerd");
        containerd.arg("--config").arg(files.containerd_config());
        command::start(&containerd, &self.log("containerd"))
    }

    /// Starts what makes it a node of the cluster. The API server and containerd must answer.
    pub(crate) fn join(&self, programs: &Path) -> Result<()> {
        self.start_kubelet(programs)?;
        let namespace = self.name.node(self.number);
        let mut kube_proxy = command::inside(&namespace, programs.join("kube-proxy"));
        kube_proxy.args(proxy(self.layout, &format!("node-{}", self.number)));
        command::start(&kube_proxy, &self.log("kube-proxy"))
    }

    /// Starts the kubelet, which takes over the pods that it finds.
    pub(crate) fn start_kubelet(&self, programs: &Path) -> Result<()> {
        let (files, number) = (self.files(), self.number);
        let node = format!("node-{number}");
        let mut kubelet = command::inside(&self.name.node(number), programs.join(KUBELET));
        kubelet.args([
            flag("config", files.kubelet_config().display()),
            flag("kubeconfig", self.layout.certificates().kubeconfig(&node).display()),
            flag("root-dir", files.kubelet().display()),
            flag("cert-dir", files.kubelet().join("pki").display()),
            flag("hostname-override", &node),
            flag("node-ip", network::node_address(number)),
            flag("node-labels", format!("topology.kubernetes.io/zone=zone-{number}")),
        ]);
        command::start(&kubelet, &self.log(KUBELET))
    }

    /// Ends the kubelet and nothing else.
    pub(crate) fn stop_kubelet(&self, programs: &Path) -> Result<()> {
        processes::kill_program(&self.name.node(self.number).path(), &programs.join(KUBELET))
    }

    /// Imports an image archive.
    pub(crate) fn load(&self, archive: &Path) -> Result<()> {
        command::output(self.ctr().args(["images", "import"]).arg(archive))?;
        Ok(())
    }

    /// Waits until containerd answers.
    pub(crate) fn wait_for_containerd(&self) -> Result<()> {
        clock::wait_for("containerd answers", LIMIT, || {
            Ok(command::output(self.ctr().arg("version")).map_err(|error| error.to_string()))
        })?;
        Ok(())
    }

    fn ctr(&self) -> Command {
        let mut ctr = Command::new("ctr");
        ctr.arg("--address").arg(self.files().socket()).args(["--namespace", "k8s.io"]);
        ctr
    }

    /// Power loss: the network is gone first, so that not even the kernel says goodbye for the
    /// dying processes. The disk stays.
    pub(crate) fn cut(&self) -> Result<()> {
        network::cut(self.name, self.number)?;
        self.kill()
    }

    fn kill(&self) -> Result<()> {
        let pods = fs::read_dir(self.files().pod_namespaces()).into_iter().flatten().flatten();
        let mut namespaces: Vec<PathBuf> = pods.map(|entry| entry.path()).collect();
        namespaces.push(self.name.node(self.number).path());
        processes::kill(&namespaces, &self.name.node_cgroup(self.number))
    }

    /// Ends all that is left of it, except for its disk: as if it had never been plugged in.
    pub(crate) fn clear(&self) -> Result<()> {
        self.kill()?;
        self.remove_shim_sockets()?;
        mounts::unmount_below(self.files().root())?;
        network::disconnect(self.name, self.number)?;
        cgroup::remove(&self.name.node_cgroup(self.number))?;
        let volatile = self.files().volatile();
        files::gone(fs::remove_dir_all(&volatile), &volatile)
    }

    /// Removes what is kept of it outside of its folder.
    pub(crate) fn remove_traces(&self) -> Result<()> {
        for result in fs::read_dir(CNI_RESULTS).into_iter().flatten().flatten() {
            let file = result.file_name().to_string_lossy().into_owned();
            if let Some(pod) = pod_of_result(&file, &self.name.pod_network(self.number)) {
                let loopback = result.path().with_file_name(format!("cni-loopback-{pod}-lo"));
                files::gone(fs::remove_file(&loopback), &loopback)?;
                files::gone(fs::remove_file(result.path()), &result.path())?;
            }
        }
        let logs = self.files().pod_logs();
        for link in fs::read_dir(LOG_LINKS).into_iter().flatten().flatten() {
            if fs::read_link(link.path()).is_ok_and(|target| target.starts_with(&logs)) {
                fs::remove_file(link.path())?;
            }
        }
        Ok(())
    }

    /// Shims put their sockets into one folder for the whole machine, and note which one is theirs.
    fn remove_shim_sockets(&self) -> Result<()> {
        for task in fs::read_dir(self.files().tasks()).into_iter().flatten().flatten() {
            let Ok(address) = fs::read_to_string(task.path().join("address")) else { continue };
            let Some(socket) = address.trim().strip_prefix("unix://") else { continue };
            files::gone(fs::remove_file(socket), Path::new(socket))?;
        }
        Ok(())
    }
}

/// The pod that a CNI result is of, if it is of this network: `<network>-<pod>-eth0`.
fn pod_of_result<'a>(file: &'a str, network: &str) -> Option<&'a str> {
    file.strip_prefix(network)?.strip_prefix('-')?.strip_suffix("-eth0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_other_networks_are_left_alone() {
        let pod = |file| pod_of_result(file, "ringcache-a-1");
        assert_eq!(pod("ringcache-a-1-4711-eth0"), Some("4711"));
        for other in ["ringcache-a-12-4711-eth0", "ringcache-b-1-4711-eth0", "cni-loopback-4711-lo"]
        {
            assert_eq!(pod(other), None, "{other}");
        }
    }
}
