//! The rules for the Service that clients begin at.

use ringcache_api::cluster::{
    MAX_ANNOTATION_BYTES, MAX_SERVICE_ANNOTATIONS, OWN_PREFIX, Service, ServiceType, message,
};

use super::Problems;
use super::pod::is_key;

pub(super) fn service(problems: &mut Problems, service: &Service) {
    let Service { type_, annotations, load_balancer_class, external_traffic_policy } = service;
    if load_balancer_class.is_some() && *type_ != Some(ServiceType::LoadBalancer) {
        problems.add("spec.service", message::SERVICE_CLASS);
    }
    if external_traffic_policy.is_some() && matches!(type_, None | Some(ServiceType::ClusterIp)) {
        problems.add("spec.service", message::SERVICE_POLICY);
    }
    if !load_balancer_class.as_deref().is_none_or(is_key) {
        problems.add("spec.service.loadBalancerClass", message::SERVICE_CLASS_FORM);
    }
    let field = "spec.service.annotations";
    if annotations.len() > MAX_SERVICE_ANNOTATIONS
        || annotations.values().any(|value| value.len() > MAX_ANNOTATION_BYTES)
    {
        problems.add(field, message::SERVICE_ANNOTATIONS_COUNT);
    }
    if !annotations.keys().all(|key| is_key(key)) {
        problems.add(field, message::SERVICE_ANNOTATIONS_FORM);
    }
    if annotations.keys().any(|key| key.starts_with(OWN_PREFIX)) {
        problems.add(field, message::SERVICE_ANNOTATIONS_RESERVED);
    }
}
