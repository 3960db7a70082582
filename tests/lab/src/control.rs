//! The control plane: etcd, API server, controller manager, scheduler, and `CoreDNS` beside them.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::command;
use crate::config;
use crate::layout::Layout;
use crate::name::{Name, Namespace};
use crate::network::{CONTROL, PODS, SERVICES};

const ETCD: &str = "http://127.0.0.1:2379";

/// The programs of the control plane, their configuration and their namespace.
pub(crate) struct Control<'a> {
    pub(crate) programs: &'a Path,
    pub(crate) layout: &'a Layout,
    pub(crate) namespace: Namespace,
}

impl<'a> Control<'a> {
    pub(crate) fn new(name: &Name, programs: &'a Path, layout: &'a Layout) -> Self {
        Self { programs, layout, namespace: name.control() }
    }

    /// Starts etcd and the API server; the rest needs them to answer.
    pub(crate) fn start_api(&self) -> Result<()> {
        fs::write(self.layout.audit_policy(), config::audit_policy().to_string())?;
        let mut etcd = command::inside(&self.namespace, "etcd");
        etcd.arg(flag("data-dir", self.layout.etcd().display()))
            .args([flag("listen-client-urls", ETCD), flag("advertise-client-urls", ETCD)])
            .arg("--listen-peer-urls=http://127.0.0.1:2380")
            // A power loss of the machine may take the lab with it.
            .arg("--unsafe-no-fsync");
        command::start(&etcd, &self.layout.log("etcd"))?;
        self.start("kube-apiserver", self.api_server())
    }

    /// Starts everything else.
    pub(crate) fn start_rest(&self) -> Result<()> {
        self.start("kube-controller-manager", self.controller_manager())?;
        self.start("kube-scheduler", self.scheduler())?;
        // Services are reachable from here too.
        self.start("kube-proxy", proxy(self.layout, "control"))?;
        let kubeconfig = self.layout.certificates().kubeconfig("admin");
        fs::write(self.layout.corefile(), config::corefile(&kubeconfig))?;
        self.start("coredns", vec!["-conf".into(), self.layout.corefile().display().to_string()])
    }

    fn start(&self, program: &str, arguments: Vec<String>) -> Result<()> {
        let mut command = command::inside(&self.namespace, self.programs.join(program));
        command::start(command.args(arguments), &self.layout.log(program))
    }

    fn api_server(&self) -> Vec<String> {
        let pki = self.layout.certificates();
        let file = |name: &str, file: &str| flag(name, pki.file(file).display());
        vec![
            flag("etcd-servers", ETCD),
            "--bind-address=0.0.0.0".into(),
            "--secure-port=6443".into(),
            flag("advertise-address", CONTROL),
            flag("service-cluster-ip-range", SERVICES),
            "--service-account-issuer=https://kubernetes.default.svc".into(),
            file("service-account-key-file", "service-accounts.pub"),
            file("service-account-signing-key-file", "service-accounts.key"),
            file("client-ca-file", "ca.crt"),
            file("tls-cert-file", "kube-apiserver.crt"),
            file("tls-private-key-file", "kube-apiserver.key"),
            "--authorization-mode=Node,RBAC".into(),
            "--enable-admission-plugins=NodeRestriction".into(),
            "--kubelet-preferred-address-types=InternalIP".into(),
            file("kubelet-client-certificate", "admin.crt"),
            file("kubelet-client-key", "admin.key"),
            flag("audit-policy-file", self.layout.audit_policy().display()),
            flag("audit-log-path", self.layout.audit_log().display()),
            // Tests count what is in it: no line may wait in a buffer.
            "--audit-log-mode=blocking".into(),
        ]
    }

    fn controller_manager(&self) -> Vec<String> {
        let pki = self.layout.certificates();
        let key = pki.file("service-accounts.key");
        let mut arguments = component(self.layout, "kube-controller-manager");
        arguments.extend([
            flag("service-account-private-key-file", key.display()),
            flag("root-ca-file", pki.file("ca.crt").display()),
            "--use-service-account-credentials=true".into(),
            // A lost node is noticed within seconds: tests wait for it.
            "--node-monitor-period=1s".into(),
            "--node-monitor-grace-period=8s".into(),
        ]);
        arguments
    }

    fn scheduler(&self) -> Vec<String> {
        component(self.layout, "kube-scheduler")
    }
}

/// Arguments of kube-proxy for a node. It leaves the machine's connection tracking alone.
pub(crate) fn proxy(layout: &Layout, node: &str) -> Vec<String> {
    vec![
        flag("kubeconfig", layout.certificates().kubeconfig("kube-proxy").display()),
        flag("hostname-override", node),
        "--proxy-mode=iptables".into(),
        flag("cluster-cidr", PODS),
        "--conntrack-max-per-core=0".into(),
        "--conntrack-tcp-timeout-established=0".into(),
        "--conntrack-tcp-timeout-close-wait=0".into(),
    ]
}

fn component(layout: &Layout, program: &str) -> Vec<String> {
    let kubeconfig = layout.certificates().kubeconfig(program);
    let flags = ["kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig"];
    let mut arguments: Vec<String> =
        flags.iter().map(|name| flag(name, kubeconfig.display())).collect();
    arguments.extend(["--leader-elect=false".into(), "--bind-address=127.0.0.1".into()]);
    arguments
}

pub(crate) fn flag(name: &str, value: impl std::fmt::Display) -> String {
    format!("--{name}={value}")
}

/// A client program that talks to this control plane.
pub(crate) fn client(
    namespace: &Namespace,
    program: &Path,
    programs: &Path,
    layout: &Layout,
) -> Command {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(programs.to_owned()).chain(std::env::split_paths(&path));
    let mut command = command::inside(namespace, program);
    command.env("KUBECONFIG", layout.certificates().kubeconfig("admin"));
    // The machine's own kubectl may be of another version.
    if let Ok(path) = std::env::join_paths(folders) {
        command.env("PATH", path);
    }
    command
}
