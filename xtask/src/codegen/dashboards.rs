//! Dashboards for Grafana, one file each, from the panels in `boards/`.

mod boards;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::cargo::Workspace;
use boards::BOARDS;

/// Where the chart takes them from.
const FOLDER: &str = "charts/ringcache/dashboards";
/// The model of Grafana 9.4 and newer.
const SCHEMA_VERSION: u32 = 38;
/// Columns of a dashboard; panels are a half, a third or a quarter of it wide.
const COLUMNS: u32 = 24;
/// Rows of a panel, and of one with a single number.
const HEIGHT: u32 = 8;

/// A dashboard.
struct Board {
    /// Its address and the name of its file; never changes.
    uid: &'static str,
    title: &'static str,
    about: &'static str,
    /// Whose metrics it shows.
    of: Of,
    panels: &'static [Panel],
}

/// Who exports metrics.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    /// Cache nodes, by namespace and cluster.
    Nodes,
    /// The operator.
    Operator,
    /// Programs that read through a cache.
    Clients,
}

/// One picture.
struct Panel {
    title: &'static str,
    about: &'static str,
    unit: Unit,
    look: Look,
    /// Names of the series and expressions. In these `{}` stands for the labels that select what is looked at.
    queries: &'static [(&'static str, &'static str)],
}

/// What numbers are, in Grafana's words.
#[derive(Clone, Copy)]
enum Unit {
    Number,
    PerSecond,
    BytesPerSecond,
    Bytes,
    Seconds,
    Ratio,
}

/// How numbers are shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    /// Over time.
    Lines,
    /// The last one.
    Now,
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Self::Number => "short",
            Self::PerSecond => "cps",
            Self::BytesPerSecond => "Bps",
            Self::Bytes => "bytes",
            Self::Seconds => "s",
            Self::Ratio => "percentunit",
        }
    }
}

impl Of {
    /// The labels that select what is looked at.
    fn labels(self) -> &'static str {
        match self {
            Self::Nodes => {
                r#"job=~"$job",instance=~"$instance",namespace=~"$namespace",ringcache_dev_cluster=~"$cluster""#
            }
            Self::Operator | Self::Clients => r#"job=~"$job",instance=~"$instance""#,
        }
    }

    /// What dashboards of the same choices have in common.
    fn tag(self) -> &'static str {
        match self {
            Self::Nodes => "ringcache-nodes",
            Self::Operator => "ringcache-operator",
            Self::Clients => "ringcache-clients",
        }
    }

    /// A metric that each of them has.
    fn marker(self) -> &'static str {
        match self {
            Self::Nodes => "ringcache_up",
            Self::Operator => "ringcache_operator_build_info",
            Self::Clients => "cache_requests_total",
        }
    }

    /// What is chosen at the top of a dashboard, each among what the choices before it leave.
    fn choices(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Nodes => &[
                ("Namespace", "namespace"),
                ("Cluster", "ringcache_dev_cluster"),
                ("Job", "job"),
                ("Instance", "instance"),
            ],
            Self::Operator | Self::Clients => &[("Job", "job"), ("Instance", "instance")],
        }
    }
}

/// Writes the dashboards, or with `check` only looks whether they are up to date; false if one is not.
pub(super) fn run(workspace: &Workspace, check: bool) -> Result<bool> {
    let folder = workspace.root.join(FOLDER);
    if !check {
        fs::create_dir_all(&folder)?;
    }
    let mut up_to_date = true;
    for board in BOARDS {
        let (path, text) = (folder.join(format!("{}.json", board.uid)), text(board));
        if check {
            let is_same = fs::read_to_string(&path).is_ok_and(|found| found == text);
            if !is_same {
                println!("{} is out of date: run `cargo xtask codegen`", path.display());
            }
            up_to_date &= is_same;
        } else {
            write(&path, &text)?;
        }
    }
    Ok(up_to_date)
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| path.display().to_string())
}

fn text(board: &Board) -> String {
    format!("{:#}\n", dashboard(board))
}

fn dashboard(board: &Board) -> Value {
    let mut panels = Vec::new();
    let (mut x, mut y) = (0, 0);
    for (id, panel) in (1..).zip(board.panels) {
        let width = if panel.look == Look::Now { COLUMNS / 4 } else { COLUMNS / 2 };
        if x + width > COLUMNS {
            (x, y) = (0, y + HEIGHT);
        }
        let place = json!({"x": x, "y": y, "w": width, "h": HEIGHT});
        panels.push(graph(panel, board.of, id, &place));
        x += width;
    }
    json!({
        "uid": board.uid,
        "title": board.title,
        "description": board.about,
        "tags": ["ringcache", board.of.tag()],
        "schemaVersion": SCHEMA_VERSION,
        "editable": false,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        // What is chosen means nothing to the others.
        "links": [link("Same selection", board.of.tag(), true), link("Ringcache", "ringcache", false)],
        "templating": {"list": variables(board.of)},
        "panels": panels,
    })
}

fn link(title: &str, tag: &str, with_variables: bool) -> Value {
    json!({
        "title": title, "type": "dashboards", "tags": [tag], "asDropdown": true,
        "includeVars": with_variables, "keepTime": true,
    })
}

fn variables(of: Of) -> Vec<Value> {
    let mut variables = vec![json!({
        "name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus",
    })];
    let mut chosen: Vec<String> = Vec::new();
    for (title, label) in of.choices() {
        let name = title.to_lowercase();
        let query = format!("label_values({}{{{}}}, {label})", of.marker(), chosen.join(","));
        variables.push(json!({
            "name": name, "label": title, "type": "query", "query": query,
            "datasource": {"type": "prometheus", "uid": "$datasource"},
            "includeAll": true, "allValue": ".+", "multi": true, "refresh": 2, "sort": 1,
            "current": {"text": "All", "value": "$__all"},
        }));
        chosen.push(format!("{label}=~\"${name}\""));
    }
    variables
}

fn graph(panel: &Panel, of: Of, id: u32, place: &Value) -> Value {
    let source = json!({"type": "prometheus", "uid": "$datasource"});
    let names = ('A'..='Z').map(String::from);
    // Over time the last number of what is gone would stand there for an hour.
    let is_now = panel.look == Look::Now;
    let targets: Vec<Value> = panel.queries.iter().zip(names).map(|((legend, expression), name)| {
        json!({
            "refId": name, "instant": is_now, "range": !is_now, "expr": expression.replace("{}", of.labels()), "legendFormat": legend,
            "datasource": source,
        })
    }).collect();
    let options = match panel.look {
        Look::Lines => json!({
            "legend": {"displayMode": "list", "placement": "bottom"},
            "tooltip": {"mode": "multi", "sort": "desc"},
        }),
        Look::Now => json!({
            "reduceOptions": {"calcs": ["lastNotNull"]}, "graphMode": "none",
            "textMode": "value_and_name",
        }),
    };
    json!({
        "id": id,
        "type": if is_now { "stat" } else { "timeseries" },
        "title": panel.title,
        "description": panel.about,
        "datasource": source,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit.name(), "min": 0}, "overrides": []},
        "options": options,
        "targets": targets,
    })
}

#[cfg(test)]
mod tests;
