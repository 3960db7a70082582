//! A container beside every cache node of a namespace, as injectors of meshes and agents put it there: by an admission policy.

use std::time::Duration;

use anyhow::Result;
use ringcache_tests::clock::wait_for;
use serde_json::{Value, json};

use crate::Namespace;

/// Longest time for the API server to go by a new policy.
const LIMIT: Duration = Duration::from_secs(30);
/// Every host has this image, which does nothing until it is told to end.
const IMAGE: &str = "localhost/pause:1";

/// A policy that adds a container to each new pod of a namespace; it goes when this is dropped.
pub struct Sidecars<'a> {
    namespace: &'a Namespace,
}

impl<'a> Sidecars<'a> {
    /// From now on new pods of the namespace have a second container, the first in their list.
    pub fn inject(namespace: &'a Namespace) -> Result<Self> {
        let sidecars = Self { namespace };
        for object in policy(namespace.name()) {
            namespace.world().lab.apply(&object.to_string())?;
        }
        wait_for("new pods have a sidecar", LIMIT, || {
            let probe = pod().to_string();
            let json = namespace.dry_run(&probe)?;
            Ok(if json.contains(IMAGE) { Ok(()) } else { Err(json) })
        })?;
        Ok(sidecars)
    }
}

impl Drop for Sidecars<'_> {
    fn drop(&mut self) {
        for object in policy(self.namespace.name()) {
            let (kind, name) = (&object["kind"], &object["metadata"]["name"]);
            let what = [kind, name].map(|text| text.as_str().unwrap_or_default()).join("/");
            if let Err(error) = self.namespace.world().lab.kubectl(&["delete", &what]) {
                eprintln!("{error:#}");
            }
        }
    }
}

/// The policy, and where it applies.
fn policy(namespace: &str) -> [Value; 2] {
    let (api, name) = ("admissionregistration.k8s.io/v1", format!("sidecars-{namespace}"));
    let container = format!(
        "Object.spec.containers{{name: 'sidecar', image: '{IMAGE}', \
         securityContext: Object.spec.containers.securityContext{{allowPrivilegeEscalation: false, \
         capabilities: Object.spec.containers.securityContext.capabilities{{drop: ['ALL']}}}}}}"
    );
    let add = format!("[JSONPatch{{op: 'add', path: '/spec/containers/0', value: {container}}}]");
    let rule = json!({
        "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"],
    });
    let only_here = json!({"matchLabels": {"kubernetes.io/metadata.name": namespace}});
    [
        json!({
            "apiVersion": api,
            "kind": "MutatingAdmissionPolicy",
            "metadata": {"name": name},
            "spec": {
                "matchConstraints": {"namespaceSelector": only_here, "resourceRules": [rule]},
                "failurePolicy": "Fail",
                "reinvocationPolicy": "Never",
                "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": add}}],
            },
        }),
        json!({
            "apiVersion": api,
            "kind": "MutatingAdmissionPolicyBinding",
            "metadata": {"name": name},
            "spec": {"policyName": name},
        }),
    ]
}

/// A pod that nobody ever starts.
fn pod() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "probe"},
        "spec": {
            "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{
                "name": "probe",
                "image": "localhost/none:1",
                "securityContext": {
                    "allowPrivilegeEscalation": false,
                    "capabilities": {"drop": ["ALL"]},
                },
            }],
        },
    })
}
