//! The configuration files of a lab's parts.

use serde_json::{Value, json};

use crate::certificates::CONTEXT;
use crate::layout::{Layout, NodeLayout};
use crate::name::Name;
use crate::network::{CONTROL, DNS_SERVICE, pods_of};

/// Name of the image that every pod starts with.
pub(crate) const PAUSE_IMAGE: &str = "localhost/pause:1";
/// Port of `CoreDNS` beside the control plane.
const DNS_PORT: u16 = 5353;

/// What the API server writes down: all that service accounts ask for, all that anybody changes;
/// not the cluster's own reads and heartbeats, which would be all one sees.
pub(crate) fn audit_policy() -> Value {
    let reads = json!(["get", "list", "watch"]);
    json!({
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [
            {"level": "None", "userGroups": ["system:serviceaccounts:kube-system"], "verbs": reads},
            {"level": "Metadata", "userGroups": ["system:serviceaccounts"]},
            {"level": "None", "verbs": reads},
            {"level": "None", "userGroups": ["system:nodes"], "resources": [
                {"group": "coordination.k8s.io", "resources": ["leases"]},
                {"group": "", "resources": ["nodes/status"]},
            ]},
            {"level": "Metadata"},
        ],
    })
}

/// containerd on its own: its folders, its socket, its plugins' folders, namespaces of pods below
/// its state so that they are found when it is dead.
pub(crate) fn containerd(node: &NodeLayout) -> String {
    let path = |path: std::path::PathBuf| format!("{:?}", path.display().to_string());
    let (root, state) = (path(node.containerd_root()), path(node.containerd_state()));
    let (socket, cni, runc) = (path(node.socket()), path(node.cni()), path(node.runc()));
    let opt = path(node.root().join("opt"));
    // A container that lowers its OOM score needs a capability that root in a container may lack:
    // every pod would die with "can't get final child's PID from pipe".
    format!(
        r#"version = 2
root = {root}
state = {state}
[grpc]
  address = {socket}
[plugins."io.containerd.internal.v1.opt"]
  path = {opt}
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  restrict_oom_score_adj = true
  disable_apparmor = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      Root = {runc}
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = {cni}
"#
    )
}

/// Pods are routed, not bridged: a Service works between two pods of a node without the kernel's
/// bridge filter.
pub(crate) fn cni(lab: &Name, node: u8, layout: &NodeLayout) -> Value {
    json!({
        "cniVersion": "0.4.0",
        "name": lab.pod_network(node),
        "plugins": [{
            "type": "ptp",
            "ipMasq": false,
            "ipam": {
                "type": "host-local",
                "dataDir": layout.addresses(),
                "ranges": [[{"subnet": pods_of(node)}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        }],
    })
}

/// A kubelet that shares the machine with others: a disk that is full for other reasons evicts
/// nothing, and status is reported soon.
pub(crate) fn kubelet(lab: &Name, node: u8, layout: &Layout) -> Value {
    let files = layout.node(node);
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": false},
            "webhook": {"enabled": true},
            "x509": {"clientCAFile": layout.certificates().file("ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": format!("/{}", lab.node_cgroup(node)),
        "failCgroupV1": false,
        "failSwapOn": false,
        "containerRuntimeEndpoint": format!("unix://{}", files.socket().display()),
        "clusterDNS": [DNS_SERVICE],
        "clusterDomain": "cluster.local",
        "resolvConf": layout.resolv_conf(),
        "podLogsDir": files.pod_logs(),
        "volumePluginDir": files.kubelet().join("volume-plugins"),
        "enforceNodeAllocatable": ["pods"],
        "evictionHard": {"nodefs.available": "0%", "imagefs.available": "0%"},
        "imageGCHighThresholdPercent": 100,
        "localStorageCapacityIsolation": false,
        "syncFrequency": "2s",
        "nodeStatusUpdateFrequency": "2s",
        "nodeStatusReportFrequency": "5s",
    })
}

/// `CoreDNS` as a process beside the control plane.
pub(crate) fn corefile(kubeconfig: &std::path::Path) -> String {
    let kubeconfig = kubeconfig.display();
    format!(
        ".:{DNS_PORT} {{\n  bind {CONTROL}\n  kubernetes cluster.local {{\n    \
         kubeconfig {kubeconfig} {CONTEXT}\n  }}\n  errors\n}}\n"
    )
}

/// What makes that process the usual `kube-dns` of the cluster.
pub(crate) fn dns_service() -> Value {
    let name = |name: &str| json!({"name": name, "namespace": "kube-system"});
    let mut slice = name("kube-dns-lab");
    slice["labels"] = json!({"kubernetes.io/service-name": "kube-dns"});
    json!({"apiVersion": "v1", "kind": "List", "items": [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": name("kube-dns"),
            "spec": {"clusterIP": DNS_SERVICE, "ports": [
                {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": DNS_PORT},
                {"name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": DNS_PORT},
            ]},
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": slice,
            "addressType": "IPv4",
            "ports": [
                {"name": "dns", "port": DNS_PORT, "protocol": "UDP"},
                {"name": "dns-tcp", "port": DNS_PORT, "protocol": "TCP"},
            ],
            "endpoints": [{"addresses": [CONTROL]}],
        },
    ]})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lab() -> (Name, Layout) {
        let name = Name::try_from("x".to_owned()).unwrap();
        let layout = Layout::of(&name);
        (name, layout)
    }

    #[test]
    fn every_path_of_a_node_is_below_its_own_folder() {
        let (name, layout) = lab();
        let folder = "/run/ringcache/x/node-2/";
        let cni = cni(&name, 2, &layout.node(2)).to_string();
        let kubelet = kubelet(&name, 2, &layout).to_string();
        for text in [containerd(&layout.node(2)), cni, kubelet] {
            let own = text.matches(folder).count();
            assert!(own > 0, "{text}");
            assert_eq!(text.matches("/run/ringcache/x/node-").count(), own, "{text}");
        }
    }

    #[test]
    fn service_accounts_are_written_down_before_reads_are_left_out() {
        let policy = audit_policy();
        let rules = policy["rules"].as_array().unwrap();
        let position = |rule: Value| rules.iter().position(|r| *r == rule).unwrap();
        let accounts = json!({"level": "Metadata", "userGroups": ["system:serviceaccounts"]});
        let reads = json!({"level": "None", "verbs": ["get", "list", "watch"]});
        assert!(position(accounts) < position(reads));
        assert_eq!(rules.last(), Some(&json!({"level": "Metadata"})));
    }

    #[test]
    fn cluster_dns_is_where_the_kubelet_tells_pods_to_ask() {
        let (name, layout) = lab();
        assert_eq!(kubelet(&name, 1, &layout)["clusterDNS"][0], DNS_SERVICE);
        let service = dns_service();
        assert_eq!(service["items"][0]["spec"]["clusterIP"], DNS_SERVICE);
        let corefile = corefile(std::path::Path::new("/k"));
        assert!(corefile.starts_with(&format!(".:{DNS_PORT} {{")), "{corefile}");
        assert!(corefile.contains("    kubeconfig /k ringcache\n"), "{corefile}");
    }
}
