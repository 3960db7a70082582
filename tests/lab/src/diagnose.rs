//! What a failed test prints: enough to understand the failure without running it again.

use std::fmt::Write as _;
use std::fs;

use crate::lab::Lab;

/// Lines kept of each log.
const TAIL: usize = 40;
const OPERATOR: &str = "app.kubernetes.io/name=ringcache-operator";
/// Label of everything that belongs to a cluster.
const CLUSTER: &str = "ringcache.dev/cluster";

impl Lab {
    /// Events by time, clusters with their conditions, pods, ring documents, and the ends of the
    /// logs of all pods of `namespace`; and of the operator, wherever it runs.
    pub fn diagnose(&self, namespace: &str) -> String {
        let mut text = String::new();
        let here = ["--namespace", namespace];
        let by_time = "--sort-by=.metadata.creationTimestamp";
        let asked: [(&str, &[&str]); 5] = [
            ("nodes", &["get", "nodes", "--output", "wide"]),
            ("events", &["get", "events", by_time]),
            ("pods", &["get", "pods", "--output", "wide"]),
            ("clusters", &["get", "cacheclusters", "--output", "yaml"]),
            ("ring documents", &["get", "configmaps", "--selector", CLUSTER, "--output", "yaml"]),
        ];
        for (title, arguments) in asked {
            self.section(&mut text, title, &[arguments, &here].concat());
        }
        self.pod_logs(&mut text, &["--namespace", namespace]);
        self.pod_logs(&mut text, &["--all-namespaces", "--selector", OPERATOR]);
        text
    }

    /// The ends of the logs of the cluster's own processes.
    pub fn logs(&self) -> String {
        let mut text = String::new();
        for entry in fs::read_dir(self.log_folder()).into_iter().flatten().flatten() {
            let log = fs::read_to_string(entry.path()).unwrap_or_default();
            let _ = write!(text, "--- {} ---\n{}", entry.file_name().display(), tail(&log));
        }
        text
    }

    fn pod_logs(&self, text: &mut String, which: &[&str]) {
        let pods = self.kubectl_json(&[&["get", "pods"], which].concat());
        let pods = pods.unwrap_or_default();
        for pod in pods["items"].as_array().into_iter().flatten() {
            let field = |name: &str| pod["metadata"][name].as_str().unwrap_or_default();
            let lines = TAIL.to_string();
            let arguments =
                ["logs", field("name"), "--namespace", field("namespace"), "--tail", &lines];
            self.section(text, &format!("log of {}", field("name")), &arguments);
        }
    }

    /// Appends what kubectl answers, or why it does not.
    fn section(&self, text: &mut String, title: &str, arguments: &[&str]) {
        let answer = self.kubectl(arguments).unwrap_or_else(|error| format!("{error:#}\n"));
        let _ = write!(text, "--- {title} ---\n{answer}");
    }
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(TAIL);
    lines.get(from..).unwrap_or_default().iter().flat_map(|line| [*line, "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_log_is_what_counts() {
        let lines: Vec<String> = (0..50).map(|line| line.to_string()).collect();
        let end = tail(&lines.join("\n"));
        assert!(end.starts_with("10\n") && end.ends_with("\n49\n"), "{end}");
        assert_eq!(tail("a"), "a\n");
    }
}
