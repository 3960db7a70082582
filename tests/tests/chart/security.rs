//! The operator's pods under the restricted Pod Security Standard, and its flags.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use ringcache_tests::tool;
use serde_json::{Value, json};

use crate::render::{borrowed, objects, only, operator, set, variants};

#[test]
fn pods_meet_the_restricted_standard_and_more() -> Result<()> {
    for arguments in variants()? {
        let objects = objects(&borrowed(&arguments))?;
        let container = operator(&objects);
        restricted(&only(&objects, "Deployment")["spec"]["template"]["spec"])?;
        restricted(&only(&objects, "Pod")["spec"])?;
        for probe in ["livenessProbe", "readinessProbe"] {
            let get = &container[probe]["httpGet"];
            ensure!(get["path"].is_string() && get["host"].is_null(), "{probe}: {get}");
        }
        for port in container["ports"].as_array().context("ports")? {
            ensure!(port["hostPort"].is_null(), "{port}");
        }
    }
    Ok(())
}

/// Fails unless the pod keeps the standard, names no user (OpenShift chooses one) and says what it needs (as quotas ask).
fn restricted(pod: &Value) -> Result<()> {
    let security = &pod["securityContext"];
    ensure!(security["runAsNonRoot"] == true, "{security}");
    ensure!(security["seccompProfile"] == json!({"type": "RuntimeDefault"}), "{security}");
    for host in ["hostNetwork", "hostPID", "hostIPC"] {
        ensure!(pod[host].is_null(), "{host}");
    }
    for volume in pod["volumes"].as_array().into_iter().flatten() {
        ensure!(volume["hostPath"].is_null(), "{volume}");
    }
    let container = &pod["containers"][0];
    for security in [security, &container["securityContext"]] {
        for field in ["runAsUser", "runAsGroup", "fsGroup", "supplementalGroups", "privileged"] {
            ensure!(security[field].is_null(), "{field}: {security}");
        }
    }
    let security = &container["securityContext"];
    ensure!(security["allowPrivilegeEscalation"] == false, "{security}");
    ensure!(security["capabilities"] == json!({"drop": ["ALL"]}), "{security}");
    ensure!(security["readOnlyRootFilesystem"] == true, "{security}");
    for amount in ["/requests/cpu", "/requests/memory", "/limits/memory"] {
        ensure!(container["resources"].pointer(amount).is_some(), "{amount}");
    }
    Ok(())
}

#[test]
fn only_the_operators_pods_get_a_token() -> Result<()> {
    let objects = set(&[])?;
    ensure!(only(&objects, "ServiceAccount")["automountServiceAccountToken"] == false);
    let pod = &only(&objects, "Deployment")["spec"]["template"]["spec"];
    ensure!(pod["automountServiceAccountToken"] == true);
    Ok(())
}

#[test]
fn the_operator_knows_every_flag_that_it_is_given() -> Result<()> {
    let operator_binary =
        std::env::var_os("RINGCACHE_OPERATOR_BIN").context("RINGCACHE_OPERATOR_BIN is not set")?;
    let help = tool::output(Command::new(operator_binary).arg("--help"))?;
    let known: Vec<&str> = help.split(|c: char| !(c.is_alphanumeric() || c == '-')).collect();
    for arguments in variants()? {
        let objects = objects(&borrowed(&arguments))?;
        let of = |container: &Value| container["args"].as_array().cloned().context("args");
        let test = &only(&objects, "Pod")["spec"]["containers"][0];
        let given = [of(operator(&objects))?, of(test)?].concat();
        let given: Vec<&str> = given.iter().filter_map(Value::as_str).collect();
        ensure!(given.len() >= 7, "{given:?}");
        for argument in given {
            let flag = argument.split('=').next().unwrap_or_default();
            ensure!(known.contains(&flag), "{flag} is not in:\n{help}");
        }
    }
    Ok(())
}
