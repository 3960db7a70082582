//! What the server makes of an object before it is stored: pruning, defaults, validation, immutable fields.

use serde_json::{Value, json};

use crate::kind::Kind;
use crate::object::{as_map, text};
use crate::schema;
use crate::status::{Refusal, internal, invalid};

/// Longest note of an event.
const MAX_NOTE_BYTES: usize = 1024;

/// Prunes and fills in defaults. The schema is the one of cacheclusters.
pub(crate) fn complete(schema: &Value, kind: Kind, object: &mut Value) {
    match kind {
        Kind::CacheCluster => {
            schema::prune(schema, object);
            schema::default(schema, object);
        }
        Kind::Pod => complete_pod(object),
        Kind::Service => complete_service(object),
        _ => {}
    }
}

/// Refuses fields in an applied object that the schema does not know: unlike other writes, apply does not prune.
pub(crate) fn refuse_unknown(schema: &Value, kind: Kind, applied: &Value) -> Result<(), Refusal> {
    if kind != Kind::CacheCluster {
        return Ok(());
    }
    let unknown = schema::prune(schema, &mut applied.clone());
    match unknown.first() {
        None => Ok(()),
        Some(field) => Err(internal(&format!(
            "failed to create typed patch object: {field}: field not declared in schema"
        ))),
    }
}

/// Refuses what breaks the schema or changes what cannot change.
pub(crate) fn check(
    schema: &Value,
    kind: Kind,
    new: &Value,
    live: Option<&Value>,
) -> Result<(), Refusal> {
    let name = text(new, "/metadata/name");
    let refuse = |field: &str, why: &str| Err(invalid(kind, name, field, why));
    if kind == Kind::CacheCluster
        && let Err((field, why)) = schema::validate(schema, new)
    {
        return refuse(&field, &why);
    }
    if kind == Kind::Pod && new["spec"]["containers"].as_array().is_none_or(Vec::is_empty) {
        return refuse("spec.containers", "Required value");
    }
    if kind == Kind::Event && text(new, "/note").len() > MAX_NOTE_BYTES {
        return refuse(
            "message",
            &format!("Invalid value: \"\": can have at most {MAX_NOTE_BYTES} bytes"),
        );
    }
    if kind == Kind::Service
        && let Some((index, name)) = repeated_port_name(&new["spec"])
    {
        return refuse(&format!("spec.ports[{index}].name"), &format!("Duplicate value: {name}"));
    }
    // As Kubernetes does (`ValidatePodDisruptionBudgetSpec`).
    if kind == Kind::PodDisruptionBudget
        && !new["spec"]["minAvailable"].is_null()
        && !new["spec"]["maxUnavailable"].is_null()
    {
        return refuse("spec", "Invalid value: minAvailable and maxUnavailable cannot be both set");
    }
    let Some(live) = live else { return Ok(()) };
    match kind {
        // As Kubernetes does (`validateLoadBalancerClassField`).
        Kind::Service
            if live["spec"]["type"] == "LoadBalancer"
                && new["spec"]["type"] == "LoadBalancer"
                && live["spec"]["loadBalancerClass"] != new["spec"]["loadBalancerClass"] =>
        {
            refuse("spec.loadBalancerClass", "Invalid value: may not change once set")
        }
        Kind::Pod if pinned(&new["spec"]) != pinned(&live["spec"]) => refuse(
            "spec",
            "Forbidden: pod updates may not change fields other than `spec.containers[*].image`, \
             `spec.initContainers[*].image`, `spec.activeDeadlineSeconds`, `spec.tolerations` (only additions to existing tolerations), \
             `spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
        ),
        Kind::Service
            if live["spec"]["clusterIP"].is_string()
                && new["spec"]["type"] != "ExternalName"
                && new["spec"]["clusterIP"] != live["spec"]["clusterIP"] =>
        {
            refuse("spec.clusterIPs[0]", "Invalid value: may not change once set")
        }
        Kind::ConfigMap if live["immutable"] == true && new["data"] != live["data"] => {
            refuse("data", "Forbidden: field is immutable when `immutable` is set")
        }
        _ => Ok(()),
    }
}

/// The first port of a Service whose name another one has before it.
fn repeated_port_name(spec: &Value) -> Option<(usize, &Value)> {
    let ports = spec["ports"].as_array()?;
    let names = ports.iter().map(|port| &port["name"]).enumerate();
    names.clone().find(|(index, name)| {
        !name.is_null() && names.clone().take(*index).any(|(_, other)| other == *name)
    })
}

/// What of a pod's spec never changes.
fn pinned(spec: &Value) -> Value {
    let mut spec = spec.clone();
    let members = as_map(&mut spec);
    members.remove("activeDeadlineSeconds");
    members.remove("tolerations");
    // The binding sets it, once.
    members.remove("nodeName");
    for containers in ["containers", "initContainers"] {
        let containers = members.get_mut(containers).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            as_map(container).remove("image");
        }
    }
    spec
}

fn default(object: &mut Value, defaults: Value) {
    if let Value::Object(defaults) = defaults {
        let members = as_map(object);
        for (name, value) in defaults {
            members.entry(name).or_insert(value);
        }
    }
}

fn complete_pod(pod: &mut Value) {
    default(
        &mut pod["spec"],
        json!({
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": 30,
            "dnsPolicy": "ClusterFirst",
            "schedulerName": "default-scheduler",
            "securityContext": {},
            "enableServiceLinks": true,
        }),
    );
    let containers = pod["spec"].get_mut("containers").and_then(Value::as_array_mut);
    for container in containers.into_iter().flatten() {
        let policy = match container["image"]
            .as_str()
            .and_then(|image| image.rsplit('/').next()?.split_once(':'))
        {
            Some((_, tag)) if tag != "latest" => "IfNotPresent",
            _ => "Always",
        };
        default(
            container,
            json!({
                "imagePullPolicy": policy,
                "resources": {},
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
            }),
        );
        let ports = container.get_mut("ports").and_then(Value::as_array_mut);
        ports.into_iter().flatten().for_each(|port| default(port, json!({"protocol": "TCP"})));
    }
    default(pod, json!({"status": {"phase": "Pending"}}));
}

fn complete_service(service: &mut Value) {
    default(
        &mut service["spec"],
        json!({
            "type": "ClusterIP",
            "sessionAffinity": "None",
            "internalTrafficPolicy": "Cluster",
            "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack",
        }),
    );
    let ports = service["spec"].get_mut("ports").and_then(Value::as_array_mut);
    for port in ports.into_iter().flatten() {
        let target = port["port"].clone();
        default(port, json!({"protocol": "TCP", "targetPort": target}));
    }
    default(service, json!({"status": {"loadBalancer": {}}}));
}
