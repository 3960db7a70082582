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
        let pod = &only(&objects, "Deployment")["spec"]["template"]["spec"];
        let container = operator(&objects);
        let security = &pod["securityContext"];
        ensure!(security["runAsNonRoot"] == true, "{security}");
        ensure!(security["runAsUser"].as_u64().is_some_and(|user| user > 0), "{security}");
        ensure!(security["seccompProfile"] == json!({"type": "RuntimeDefault"}), "{security}");
        for host in ["hostNetwork", "hostPID", "hostIPC", "volumes"] {
            ensure!(pod[host].is_null(), "{host}");
        }
        let security = &container["securityContext"];
        ensure!(security["allowPrivilegeEscalation"] == false, "{security}");
        ensure!(security["capabilities"] == json!({"drop": ["ALL"]}), "{security}");
        ensure!(security["readOnlyRootFilesystem"] == true, "{security}");
        ensure!(security["privileged"].is_null(), "{security}");
        for probe in ["livenessProbe", "readinessProbe"] {
            let get = &container[probe]["httpGet"];
            ensure!(get["path"].is_string() && get["host"].is_null(), "{probe}: {get}");
        }
        for port in container["ports"].as_array().context("ports")? {
            ensure!(port["hostPort"].is_null(), "{port}");
        }
        for amount in ["/requests/cpu", "/requests/memory", "/limits/memory"] {
            ensure!(container["resources"].pointer(amount).is_some(), "{amount}");
        }
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
        let given: Vec<&str> = operator(&objects)["args"]
            .as_array()
            .context("args")?
            .iter()
            .filter_map(Value::as_str)
            .collect();
        ensure!(given.len() >= 5, "{given:?}");
        for argument in given {
            let flag = argument.split('=').next().unwrap_or_default();
            ensure!(known.contains(&flag), "{flag} is not in:\n{help}");
        }
    }
    Ok(())
}
