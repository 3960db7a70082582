//! Cache pods keep the *restricted* Pod Security Standard, so that they start in any namespace.

use serde_json::{Value, json};

use super::{default_pod, full_pod};

/// The rules of the restricted profile that `pod` breaks (pod-security.kubernetes.io, including those of baseline).
fn violations(pod: &Value) -> Vec<String> {
    let spec = &pod["spec"];
    let mut broken = Vec::new();
    let mut rule = |holds: bool, name: &str| {
        if !holds {
            broken.push(name.to_owned());
        }
    };
    for namespace in ["hostNetwork", "hostPID", "hostIPC"] {
        rule(spec[namespace] != true, namespace);
    }
    let security = &spec["securityContext"];
    rule(security["sysctls"].is_null(), "sysctls");
    let allowed = [
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
        "secret",
    ];
    for volume in spec["volumes"].as_array().into_iter().flatten() {
        let kinds = volume.as_object().into_iter().flat_map(|volume| volume.keys());
        rule(
            kinds.filter(|key| *key != "name").all(|kind| allowed.contains(&kind.as_str())),
            "volumes",
        );
    }
    let containers = ["containers", "initContainers", "ephemeralContainers"];
    for container in containers.iter().filter_map(|list| spec[list].as_array()).flatten() {
        let own = &container["securityContext"];
        let either =
            |field: &str| if own[field].is_null() { &security[field] } else { &own[field] };
        rule(own["privileged"] != true, "privileged");
        rule(own["procMount"].is_null(), "procMount");
        rule(own["allowPrivilegeEscalation"] == false, "allowPrivilegeEscalation");
        rule(own["capabilities"]["drop"] == json!(["ALL"]), "capabilities.drop");
        rule(own["capabilities"]["add"].is_null(), "capabilities.add");
        rule(*either("runAsNonRoot") == true, "runAsNonRoot");
        rule(*either("runAsUser") != 0, "runAsUser");
        let seccomp = either("seccompProfile")["type"].as_str();
        rule(matches!(seccomp, Some("RuntimeDefault" | "Localhost")), "seccompProfile");
        for field in ["seLinuxOptions", "appArmorProfile", "windowsOptions"] {
            rule(either(field).is_null(), field);
        }
        for port in container["ports"].as_array().into_iter().flatten() {
            rule(port["hostPort"].is_null(), "hostPort");
        }
        for handler in ["livenessProbe", "readinessProbe", "startupProbe"] {
            rule(container[handler]["httpGet"]["host"].is_null(), "probe host");
            rule(container[handler]["tcpSocket"]["host"].is_null(), "probe host");
        }
        rule(container["lifecycle"].is_null(), "lifecycle host");
    }
    broken
}

#[test]
fn every_pod_keeps_the_restricted_profile() {
    for pod in [default_pod(), full_pod()] {
        assert_eq!(violations(&pod), Vec::<String>::new());
        let spec = &pod["spec"];
        assert_eq!(spec["containers"][0]["securityContext"]["readOnlyRootFilesystem"], true);
        assert_eq!(spec["automountServiceAccountToken"], false);
    }
}

#[test]
fn the_platform_may_choose_the_user_of_every_pod() {
    // OpenShift gives each namespace a range of users, and refuses a pod that names one outside it.
    for pod in [default_pod(), full_pod()] {
        let spec = &pod["spec"];
        for security in [&spec["securityContext"], &spec["containers"][0]["securityContext"]] {
            for field in ["runAsUser", "runAsGroup", "fsGroup", "supplementalGroups"] {
                assert!(security[field].is_null(), "{field}: {security}");
            }
        }
        assert_eq!(spec["securityContext"]["runAsNonRoot"], true, "the image's user decides");
    }
}

#[test]
fn the_checker_sees_every_rule_broken() {
    let container = "/spec/containers/0";
    for (parent, field, value, expected) in [
        ("/spec".to_owned(), "hostNetwork", json!(true), "hostNetwork"),
        ("/spec".to_owned(), "hostPID", json!(true), "hostPID"),
        ("/spec".to_owned(), "volumes", json!([{"name": "a", "hostPath": {}}]), "volumes"),
        ("/spec/securityContext".to_owned(), "sysctls", json!([]), "sysctls"),
        ("/spec/securityContext".to_owned(), "runAsNonRoot", json!(false), "runAsNonRoot"),
        ("/spec/securityContext".to_owned(), "runAsUser", json!(0), "runAsUser"),
        ("/spec/securityContext".to_owned(), "seccompProfile", json!(null), "seccompProfile"),
        (format!("{container}/securityContext"), "privileged", json!(true), "privileged"),
        (
            format!("{container}/securityContext"),
            "allowPrivilegeEscalation",
            json!(null),
            "allowPrivilegeEscalation",
        ),
        (format!("{container}/securityContext"), "capabilities", json!({}), "capabilities.drop"),
        (format!("{container}/ports/0"), "hostPort", json!(1), "hostPort"),
        (format!("{container}/livenessProbe/httpGet"), "host", json!("x"), "probe host"),
    ] {
        let mut pod = default_pod();
        pod.pointer_mut(&parent).unwrap()[field] = value;
        assert_eq!(violations(&pod), [expected], "{parent}/{field}");
    }
}
