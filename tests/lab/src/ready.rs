//! Waits until parts of a cluster are ready for use.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::lab::Lab;
use crate::{clock, processes};

/// How long anything may take: far more than it does, since the machine may be busy.
const LIMIT: Duration = Duration::from_mins(2);
/// etcd and the API server: without one of them it is useless to wait.
const CONTROL_PROCESSES: usize = 2;

/// When a node's kubelet last reported, by its own clock; nothing if it never did.
pub(crate) struct Heartbeat(Option<String>);

impl Heartbeat {
    pub(crate) fn none() -> Self {
        Self(None)
    }

    /// The last heartbeat of a node that the cluster knows.
    pub(crate) fn of(lab: &Lab, node: u8) -> Result<Self> {
        Ok(Self(heartbeat(&lab.kubectl_json(&["get", "node", &format!("node-{node}")])?)))
    }
}

/// Waits until the API server says so.
pub(crate) fn wait_for_api(lab: &Lab) -> Result<()> {
    // A process that was just started may not have entered the namespace yet.
    let mut have_run = false;
    clock::wait_for("the API server is ready", LIMIT, || {
        let run = processes::inside(&lab.name().control())? >= CONTROL_PROCESSES;
        ensure!(run || !have_run, "etcd or the API server has ended");
        have_run |= run;
        Ok(match lab.kubectl(&["get", "--raw", "/readyz"]) {
            Ok(answer) if answer == "ok" => Ok(()),
            Ok(answer) => Err(answer),
            Err(error) => Err(error.to_string()),
        })
    })
}

/// Waits until a node is Ready by a heartbeat later than `last`.
pub(crate) fn wait_for_node(lab: &Lab, node: u8, last: &Heartbeat) -> Result<()> {
    let name = format!("node-{node}");
    clock::wait_for(&format!("{name} is Ready"), LIMIT, || {
        Ok(match lab.kubectl_json(&["get", "node", &name]) {
            Ok(node) if heartbeat(&node) == last.0 => Err("no new heartbeat".to_owned()),
            Ok(node) => is_ready(&node),
            Err(error) => Err(error.to_string()),
        })
    })
}

/// Waits for the service account that pods of the default namespace run as: a pod that is made
/// before it is refused.
pub(crate) fn wait_for_default_account(lab: &Lab) -> Result<()> {
    clock::wait_for("there is a default service account", LIMIT, || {
        let account = lab.kubectl(&["get", "serviceaccount", "default", "--namespace", "default"]);
        Ok(account.map(|_| ()).map_err(|error| error.to_string()))
    })
}

fn ready_condition(node: &Value) -> Option<&Value> {
    node["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == "Ready")
}

fn heartbeat(node: &Value) -> Option<String> {
    ready_condition(node)?["lastHeartbeatTime"].as_str().map(str::to_owned)
}

/// Ready, and pods may come: the taints of a lost node are taken away only after it is Ready.
fn is_ready(node: &Value) -> Result<(), String> {
    let condition = ready_condition(node).ok_or("no condition")?;
    if condition["status"] != "True" {
        return Err(condition["message"].as_str().unwrap_or("not Ready").to_owned());
    }
    match node["spec"]["taints"].as_array().filter(|taints| !taints.is_empty()) {
        Some(taints) => Err(format!("tainted: {}", taints[0]["key"])),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn node(status: &str, taints: &Value) -> Value {
        let condition = json!({"type": "Ready", "status": status, "message": "CNI missing",
            "lastHeartbeatTime": "2026-01-01T00:00:00Z"});
        json!({"spec": {"taints": taints}, "status": {"conditions": [{"type": "X"}, condition]}})
    }

    #[test]
    fn a_node_is_ready_when_pods_may_come() {
        let none = Value::Null;
        assert_eq!(is_ready(&node("True", &none)), Ok(()));
        assert_eq!(is_ready(&node("False", &none)), Err("CNI missing".to_owned()));
        let tainted = node("True", &json!([{"key": "node.kubernetes.io/unreachable"}]));
        assert_eq!(
            is_ready(&tainted),
            Err("tainted: \"node.kubernetes.io/unreachable\"".to_owned())
        );
        assert_eq!(is_ready(&json!({})), Err("no condition".to_owned()));
    }

    #[test]
    fn a_heartbeat_is_that_of_the_ready_condition() {
        let heard = heartbeat(&node("True", &Value::Null));
        assert_eq!(heard.as_deref(), Some("2026-01-01T00:00:00Z"));
        assert_eq!(heartbeat(&json!({})), None);
    }
}
