//! The two Services of a cluster: one for clients, one that gives every node a name of its own.

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt as _;
use ringcache_api::cluster::{ExternalTrafficPolicy, ServiceType};
use ringcache_api::status::Endpoints;
use ringcache_api::{CacheCluster, cluster};

use super::meta;
use super::pod::PORTS;

/// Name of the headless Service, the subdomain of the nodes.
pub fn nodes_name(cluster: &CacheCluster) -> String {
    format!("{}-nodes", cluster.name_any())
}

/// The Service in front of the nodes that serve: where clients begin. What the spec does not say of it is left to whoever says it
/// there, and to Kubernetes: ports of hosts, addresses, annotations of a load balancer's controller.
pub fn client(cluster: &CacheCluster) -> Service {
    let cluster::Service { type_, annotations, load_balancer_class, external_traffic_policy } =
        &cluster.spec.service;
    let type_ = type_.map(|type_| match type_ {
        ServiceType::ClusterIp => "ClusterIP",
        ServiceType::NodePort => "NodePort",
        ServiceType::LoadBalancer => "LoadBalancer",
    });
    let policy = external_traffic_policy.map(|policy| match policy {
        ExternalTrafficPolicy::Cluster => "Cluster",
        ExternalTrafficPolicy::Local => "Local",
    });
    let spec = ServiceSpec {
        type_: type_.map(str::to_owned),
        load_balancer_class: load_balancer_class.clone(),
        external_traffic_policy: policy.map(str::to_owned),
        ports: Some(vec![port("resp", PORTS.resp), port("http", PORTS.http)]),
        ..ServiceSpec::default()
    };
    let mut service = service(cluster, cluster.name_any(), spec);
    service.metadata.annotations =
        Some(annotations.clone()).filter(|annotations| !annotations.is_empty());
    service
}

/// The headless Service: `<node>.<cluster>-nodes.<namespace>.svc`.
pub fn nodes(cluster: &CacheCluster) -> Service {
    let ports =
        [("resp", PORTS.resp), ("http", PORTS.http), ("admin", PORTS.admin), ("bus", PORTS.bus)];
    service(
        cluster,
        nodes_name(cluster),
        ServiceSpec {
            cluster_ip: Some("None".to_owned()),
            // Nodes must find each other before they are ready: they become ready by finding each other.
            publish_not_ready_addresses: Some(true),
            ports: Some(ports.map(|(name, number)| port(name, number)).into()),
            ..ServiceSpec::default()
        },
    )
}

fn service(cluster: &CacheCluster, name: String, spec: ServiceSpec) -> Service {
    Service {
        metadata: meta::metadata(cluster, name),
        spec: Some(ServiceSpec {
            selector: Some(meta::selector(cluster)),
            // Both families where there are both. The default is the first family only.
            ip_family_policy: Some("PreferDualStack".to_owned()),
            ..spec
        }),
        ..Service::default()
    }
}

fn port(name: &str, number: u16) -> ServicePort {
    ServicePort {
        name: Some(name.to_owned()),
        port: number.into(),
        target_port: Some(IntOrString::String(name.to_owned())),
        protocol: Some("TCP".to_owned()),
        ..ServicePort::default()
    }
}

/// Where clients reach the cluster.
pub fn endpoints(cluster: &CacheCluster) -> Endpoints {
    let host = format!("{}.{}.svc", cluster.name_any(), cluster.namespace().unwrap_or_default());
    Endpoints { client: format!("{host}:{}", PORTS.resp), http: format!("{host}:{}", PORTS.http) }
}
