//! The table of clusters.

use ringcache_api::CacheCluster;
use ringcache_api::status::{CacheClusterStatus, OperationStatus};
use serde_json::{Value, json};

use crate::nodes::hit_percent;
use crate::status::is_ready;
use crate::table;

/// What a row says of a cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The number of nodes that is wanted.
    pub nodes: i32,
    /// Nodes that answer the operator and take part.
    pub ready_nodes: i32,
    /// Whether every slot is served.
    pub is_ready: bool,
    /// The status in a word.
    pub state: String,
    /// The status in a sentence.
    pub message: String,
    /// Version that the nodes run.
    pub version: String,
    /// What the operator carries out.
    pub operation: Option<OperationStatus>,
    /// Lookups that found an entry and those that found none, since the nodes started that were asked; `None` = none was or none answered.
    pub lookups: Option<(u64, u64)>,
}

impl Row {
    /// Of the resource, and of what its nodes have counted.
    pub fn of(cluster: &CacheCluster, lookups: Option<(u64, u64)>) -> Self {
        let status = cluster.status.clone().unwrap_or_default();
        let is_ready = is_ready(&status);
        let CacheClusterStatus { ready_nodes, autoscaling, summary, version, operation, .. } =
            status;
        let (state, message) = summary
            .map_or_else(|| ("Unknown".to_owned(), String::new()), |it| (it.state, it.message));
        Self {
            namespace: cluster.metadata.namespace.clone().unwrap_or_default(),
            name: cluster.metadata.name.clone().unwrap_or_default(),
            nodes: autoscaling.map_or(cluster.spec.nodes, |scaling| scaling.nodes),
            ready_nodes,
            is_ready,
            state,
            message,
            version: version.unwrap_or_default(),
            operation,
            lookups,
        }
    }
}

/// Which columns there are besides those that are always there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Columns {
    /// The namespace: where there are several.
    pub namespace: bool,
    /// Version and message.
    pub wide: bool,
}

/// One row for each cluster.
pub fn table(rows: &[Row], columns: Columns) -> String {
    let always = ["NAME", "NODES", "READY", "STATUS", "HIT%", "OPERATION"];
    let before: &[&str] = if columns.namespace { &["NAMESPACE"] } else { &[] };
    let after: &[&str] = if columns.wide { &["VERSION", "MESSAGE"] } else { &[] };
    let header = [before, always.as_slice(), after].concat();
    let known = |text: &str| if text.is_empty() { "-" } else { text }.to_owned();
    let cells = rows.iter().map(|row| {
        let operation = row.operation.as_ref().map(|operation| operation.type_.as_str());
        let mut cells: Vec<String> = Vec::new();
        cells.extend(columns.namespace.then(|| row.namespace.clone()));
        cells.extend([
            row.name.clone(),
            row.nodes.to_string(),
            row.ready_nodes.to_string(),
            row.state.clone(),
            row.lookups.map_or_else(|| "-".to_owned(), |(hits, misses)| hit_percent(hits, misses)),
            known(operation.unwrap_or_default()),
        ]);
        if columns.wide {
            cells.extend([known(&row.version), known(&row.message)]);
        }
        cells
    });
    table::plain(&header, header.len(), cells)
}

/// The same as JSON, ratios as parts of one.
pub fn json(rows: &[Row]) -> Value {
    let row = |row: &Row| {
        let ratio = row.lookups.filter(|(hits, misses)| hits + misses > 0);
        let ratio = ratio.map(|(hits, misses)| hits as f64 / (hits + misses) as f64);
        json!({
            "namespace": row.namespace,
            "name": row.name,
            "nodes": row.nodes,
            "readyNodes": row.ready_nodes,
            "ready": row.is_ready,
            "state": row.state,
            "message": row.message,
            "version": row.version,
            "hitRatio": ratio,
            "operation": row.operation,
        })
    };
    json!({ "clusters": rows.iter().map(row).collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use ringcache_api::CacheClusterSpec;

    use super::*;

    fn rows() -> Vec<Row> {
        let mut web = CacheCluster::new("web", CacheClusterSpec { nodes: 3, ..Default::default() });
        web.metadata.namespace = Some("shop".into());
        web.status = serde_json::from_value(json!({
            "readyNodes": 4,
            "version": "0.1.0",
            "autoscaling": {"nodes": 5},
            "summary": {"state": "Serving", "message": "All slots are served."},
            "operation": {"type": "ScaleOut", "message": "from 4 to 5 nodes"},
            "conditions": [{
                "type": "Ready", "status": "True", "reason": "Serving", "message": "",
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            }],
        }))
        .expect("a status");
        let new = CacheCluster::new("api", CacheClusterSpec { nodes: 1, ..Default::default() });
        vec![Row::of(&web, Some((3, 1))), Row::of(&new, None)]
    }

    #[test]
    fn a_cluster_that_nobody_has_looked_at_has_a_readable_row_beside_one_that_is_scaled() {
        let columns = Columns { namespace: true, wide: false };
        let wanted = [
            "NAMESPACE  NAME  NODES  READY  STATUS   HIT%  OPERATION",
            "shop       web   5      4      Serving  75.0  ScaleOut",
            "           api   1      0      Unknown  -     -",
        ];
        assert_eq!(table(&rows(), columns).lines().collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn there_are_as_many_columns_as_are_wanted() {
        let header = |namespace, wide| {
            let table = table(&rows(), Columns { namespace, wide });
            table.lines().next().unwrap_or_default().split_whitespace().count()
        };
        assert_eq!((header(false, false), header(true, false), header(true, true)), (6, 7, 9));
        let wide = table(&rows(), Columns { namespace: false, wide: true });
        assert!(wide.contains("0.1.0    All slots are served.\n"), "{wide}");
    }

    #[test]
    fn json_says_whether_each_is_ready_and_no_ratio_of_nothing() {
        let json = json(&rows());
        assert_eq!(json["clusters"][0]["ready"], true);
        assert_eq!(json["clusters"][0]["hitRatio"], 0.75);
        assert_eq!(json["clusters"][1]["ready"], false);
        assert!(json["clusters"][1]["hitRatio"].is_null());
    }
}
