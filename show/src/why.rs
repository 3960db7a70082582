//! Why a cluster is as it is: what is being done, what scales it, and what happened lately.

use ringcache_api::CacheCluster;
use ringcache_api::status::{AutoscalingStep, CacheClusterStatus, condition};
use serde_json::{Value, json};

use crate::table;

/// Something that was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// When, as people read it.
    pub at: String,
    /// `Normal` or `Warning`.
    pub type_: String,
    /// Why it was told.
    pub reason: String,
    /// What.
    pub note: String,
}

/// A few lines about now, and a table of what was told, in the order given.
pub fn text(cluster: &CacheCluster, status: &CacheClusterStatus, told: &[Told]) -> String {
    let condition = |type_| status.conditions.iter().find(|c| c.type_ == type_);
    let mut lines = Vec::new();
    if let Some(summary) = &status.summary {
        lines.push(format!("{}: {}", summary.state, summary.message));
    }
    lines.push(match &status.operation {
        None => condition(condition::RECONCILING).map_or_else(
            || "No operator has told anything of this cluster.".to_owned(),
            |c| format!("{}: {}", c.reason, c.message),
        ),
        Some(operation) => {
            let since = operation.started_at.as_ref().map(|at| format!(" since {}", at.0));
            let progress = operation.progressed_at.as_ref();
            let progress = progress.map(|at| format!(", got further at {}", at.0));
            format!(
                "{}{}{}: {}.",
                operation.type_,
                since.unwrap_or_default(),
                progress.unwrap_or_default(),
                operation.message
            )
        }
    });
    if let Some(scaling) = &status.autoscaling {
        let wanted = scaling.wanted_nodes.map_or_else(
            || "how many the targets ask for is not known".to_owned(),
            |wanted| format!("the targets ask for {wanted}"),
        );
        lines.push(format!(
            "{} nodes are in force where `spec.nodes` is {}; {wanted}.",
            scaling.nodes, cluster.spec.nodes
        ));
        lines.extend(scaling.last_step.as_ref().map(step));
    }
    if let Some(c) = condition(condition::AUTOSCALING_ACTIVE) {
        lines.push(format!("Autoscaling: {}. {}", c.reason, c.message));
    }
    let rows = told.iter().map(|told| {
        [told.at.clone(), told.type_.clone(), told.reason.clone(), told.note.replace('\n', " ")]
    });
    let events = if told.is_empty() {
        "Nothing was told lately: Kubernetes keeps events for an hour.\n".to_owned()
    } else {
        table::plain(&["TIME (UTC)", "TYPE", "REASON", "NOTE"], 4, rows)
    };
    let lines: Vec<String> = lines.iter().map(|line| table::tame(line)).collect();
    format!("{}\n\n{events}", lines.join("\n"))
}

fn step(step: &AutoscalingStep) -> String {
    let measured = step.measured_hit_percent.as_ref().map_or_else(
        || "not measured yet".to_owned(),
        |percent| format!("{percent} % were measured"),
    );
    format!(
        "Last step: from {} to {} nodes at {}; {} % hits were predicted, {measured}.",
        step.from_nodes, step.to_nodes, step.at.0, step.predicted_hit_percent
    )
}

/// The same as JSON.
pub fn json(status: &CacheClusterStatus, told: &[Told]) -> Value {
    let told = told.iter().map(
        |told| json!({"at": told.at, "type": told.type_, "reason": told.reason, "note": told.note}),
    );
    json!({
        "summary": status.summary,
        "operation": status.operation,
        "autoscaling": status.autoscaling,
        "conditions": status.conditions,
        "events": told.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use ringcache_api::CacheClusterSpec;

    use super::*;

    #[test]
    fn what_is_done_and_by_which_numbers_comes_before_what_happened() {
        let cluster = CacheCluster::new("web", CacheClusterSpec { nodes: 1, ..Default::default() });
        let at = "2026-01-01T00:00:00Z";
        let status: CacheClusterStatus = serde_json::from_value(json!({
            "summary": {"state": "Serving", "message": "All slots are served."},
            "operation": {"type": "ScaleOut", "message": "from 2 to 3 nodes", "startedAt": at},
            "autoscaling": {"nodes": 3, "wantedNodes": 3, "lastStep": {
                "fromNodes": 2, "toNodes": 3, "at": at, "predictedHitPercent": "98.2"}},
        }))
        .expect("a status");
        let told = [Told {
            at: "2026-01-01 00:00:00".into(),
            type_: "Normal".into(),
            reason: "Autoscaled".into(),
            note: "From 2\nto 3 nodes.".into(),
        }];
        let text = text(&cluster, &status, &told);
        let wanted = [
            "Serving: All slots are served.",
            "ScaleOut since 2026-01-01T00:00:00Z: from 2 to 3 nodes.",
            "3 nodes are in force where `spec.nodes` is 1; the targets ask for 3.",
            "Last step: from 2 to 3 nodes at 2026-01-01T00:00:00Z; 98.2 % hits were predicted, not measured yet.",
            "",
            "TIME (UTC)           TYPE    REASON      NOTE",
            "2026-01-01 00:00:00  Normal  Autoscaled  From 2 to 3 nodes.",
        ];
        assert_eq!(text.lines().collect::<Vec<_>>(), wanted);
        assert_eq!(json(&status, &told)["events"][0]["reason"], "Autoscaled");
    }

    #[test]
    fn a_cluster_that_nobody_operates_says_so() {
        let cluster = CacheCluster::new("web", CacheClusterSpec::default());
        let text = text(&cluster, &CacheClusterStatus::default(), &[]);
        assert!(
            text.starts_with(
                "No operator has told anything of this cluster.\n\nNothing was told lately"
            ),
            "{text}"
        );
    }
}
