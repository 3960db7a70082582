//! Each alert of the chart fires when it should and not when it should not, and somebody whom it wakes finds a runbook.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use ringcache_tests::tool;
use serde_json::{Value, json};

/// When alerts are looked at, and when all of them have had the time to fire.
const AT: &str = "50m";

/// Series of two stories of an hour, one value a minute, in the words of `promtool`.
struct Case {
    alert: &'static str,
    quiet: &'static [(&'static str, &'static str)],
    firing: &'static [(&'static str, &'static str)],
}

const OTHER_OWNS: &str =
    r#"ringcache_slots_owned{namespace="shop",ringcache_dev_cluster="web",pod="web-1"}"#;
const NODE: &str = r#"namespace="shop",ringcache_dev_cluster="web",pod="web-0""#;

/// In the names of series `NODE` stands for the labels of a node.
const CASES: [Case; 15] = [
    Case {
        alert: "RingcacheSlotsNotServed",
        // Seen first without the slots that it gave away; the other gets them a moment later.
        quiet: &[
            ("ringcache_slots_owned{NODE}", "16384+0x10 16384-250x49"),
            (OTHER_OWNS, "0+0x10 0+0x1 0+250x48"),
        ],
        firing: &[("ringcache_slots_owned{NODE}", "16384+0x40 8000+0x20")],
    },
    Case {
        alert: "RingcacheNoNodeAnswers",
        quiet: &[("ringcache_up{NODE}", "1+0x60")],
        firing: &[("ringcache_up{NODE}", "1+0x30 _x30")],
    },
    Case {
        alert: "RingcacheRefusesWrites",
        quiet: &[("ringcache_out_of_memory_total{NODE}", "5+0x60")],
        firing: &[("ringcache_out_of_memory_total{NODE}", "5+0x30 6+6x30")],
    },
    Case {
        alert: "RingcacheTooManyClients",
        quiet: &[("ringcache_rejected_connections_total{NODE}", "5+0x60")],
        firing: &[("ringcache_rejected_connections_total{NODE}", "5+0x30 6+6x30")],
    },
    Case {
        alert: "RingcacheNodeNearItsLimit",
        quiet: &[
            ("ringcache_memory_used_rss_bytes{NODE}", "104+0x60"),
            ("ringcache_memory_max_bytes{NODE}", "100+0x60"),
        ],
        firing: &[
            ("ringcache_memory_used_rss_bytes{NODE}", "104+0x20 107+0x40"),
            ("ringcache_memory_max_bytes{NODE}", "100+0x60"),
        ],
    },
    Case {
        alert: "RingcacheNodesRefuseEachOther",
        quiet: &[("ringcache_bus_refused_frames_total{NODE}", "5+0x60")],
        firing: &[("ringcache_bus_refused_frames_total{NODE}", "5+0x45 6+1x15")],
    },
    Case {
        alert: "RingcacheCacheTooSmall",
        quiet: &[
            (r#"ringcache_unused_when_ended_seconds_bucket{NODE,end="evicted",le="32"}"#, "0+0x60"),
            (
                r#"ringcache_unused_when_ended_seconds_bucket{NODE,end="evicted",le="512"}"#,
                "0+600x60",
            ),
            (
                r#"ringcache_unused_when_ended_seconds_bucket{NODE,end="evicted",le="+Inf"}"#,
                "0+600x60",
            ),
            ("ringcache_evicted_keys_total{NODE}", "0+600x60"),
        ],
        firing: &[
            (
                r#"ringcache_unused_when_ended_seconds_bucket{NODE,end="evicted",le="32"}"#,
                "0+500x60",
            ),
            (
                r#"ringcache_unused_when_ended_seconds_bucket{NODE,end="evicted",le="+Inf"}"#,
                "0+600x60",
            ),
            ("ringcache_evicted_keys_total{NODE}", "0+600x60"),
        ],
    },
    Case {
        alert: "RingcacheHotKey",
        quiet: &[
            (r#"ringcache_hot_key_share_ratio{NODE,rank="1"}"#, "0.6+0x60"),
            (r#"ringcache_thread_busy_ratio{NODE,thread="resp-0"}"#, "0.3+0x60"),
        ],
        firing: &[
            (r#"ringcache_hot_key_share_ratio{NODE,rank="1"}"#, "0.6+0x60"),
            (r#"ringcache_thread_busy_ratio{NODE,thread="resp-0"}"#, "0.9+0x60"),
        ],
    },
    Case {
        alert: "RingcacheDatabaseUnprotected",
        quiet: &[
            (r#"cache_fallback_total{job="shop"}"#, "0+1x60"),
            (r#"cache_requests_total{job="shop",layer="L2",result="hit"}"#, "0+100x60"),
        ],
        firing: &[
            (r#"cache_fallback_total{job="shop"}"#, "0+10x60"),
            (r#"cache_requests_total{job="shop",layer="L2",result="hit"}"#, "0+100x60"),
        ],
    },
    Case {
        alert: "RingcacheOperatorWithoutLeader",
        quiet: &[(r#"leader_election_master_status{name="ringcache-operator"}"#, "1+0x60")],
        // Somebody else has the metric, too.
        firing: &[(r#"leader_election_master_status{name="kube-controller-manager"}"#, "1+0x60")],
    },
    Case {
        alert: "RingcacheReconcileFails",
        quiet: &[(r#"ringcache_operator_reconcile_errors_total{category="api"}"#, "3+0x60")],
        firing: &[(r#"ringcache_operator_reconcile_errors_total{category="api"}"#, "0+1x60")],
    },
    Case {
        alert: "RingcacheReconcilePanics",
        quiet: &[(r#"controller_runtime_reconcile_panics_total{controller="other"}"#, "0+1x60")],
        firing: &[(
            r#"controller_runtime_reconcile_panics_total{controller="cachecluster"}"#,
            "0+0x45 1+0x15",
        )],
    },
    Case {
        alert: "RingcacheWatchRefused",
        quiet: &[(r#"ringcache_operator_watches_refused{kind="Pod"}"#, "0+0x60")],
        firing: &[(r#"ringcache_operator_watches_refused{kind="Pod"}"#, "0+0x30 1+0x30")],
    },
    Case {
        alert: "RingcacheWatchSilent",
        quiet: &[(r#"ringcache_operator_watch_age_seconds{kind="Pod"}"#, "0+5x60")],
        firing: &[(r#"ringcache_operator_watch_age_seconds{kind="Pod"}"#, "0+60x60")],
    },
    Case {
        alert: "RingcacheAutoscalingStopped",
        // Told long ago, and not scraped once.
        quiet: &[(
            r#"ringcache_operator_events_total{reason="AutoscalingStopped",result="success"}"#,
            "1+0x5 _ 1+0x53",
        )],
        firing: &[(
            r#"ringcache_operator_events_total{reason="AutoscalingStopped",result="success"}"#,
            "0+0x40 1+0x20",
        )],
    },
];

fn rules() -> std::path::PathBuf {
    tool::workspace().join("charts/ringcache/alerts.yaml")
}

/// The alerts, by name.
fn alerts() -> Result<Vec<(String, Value)>> {
    let file: Value = serde_saphyr::from_str(&fs::read_to_string(rules())?)?;
    let rules = file["groups"][0]["rules"].as_array().context("no rules")?.clone();
    let named = |rule: Value| Some((rule["alert"].as_str()?.to_owned(), rule));
    Ok(rules.into_iter().filter_map(named).collect())
}

/// A story in which so many of the alert fire.
fn story(alert: &str, series: &[(&str, &str)], fires: bool) -> Value {
    let series = series
        .iter()
        .map(|(name, values)| json!({"series": name.replace("NODE", NODE), "values": values}));
    let samples = if fires { json!([{"labels": "{}", "value": 1}]) } else { json!([]) };
    json!({
        "name": format!("{alert} {}", if fires { "fires" } else { "is quiet" }),
        "interval": "1m",
        "input_series": series.collect::<Vec<_>>(),
        "promql_expr_test": [{
            "expr": format!("count(ALERTS{{alertname=\"{alert}\",alertstate=\"firing\"}})"),
            "eval_time": AT,
            "exp_samples": samples,
        }],
    })
}

#[test]
fn each_alert_fires_when_it_should_and_not_when_it_should_not() -> Result<()> {
    let cases: BTreeSet<&str> = CASES.iter().map(|case| case.alert).collect();
    let alerts = alerts()?;
    let named: BTreeSet<&str> = alerts.iter().map(|(name, _)| name.as_str()).collect();
    ensure!(named == cases && cases.len() == CASES.len(), "{named:?}");
    let stories = CASES.iter().flat_map(|case| {
        [story(case.alert, case.quiet, false), story(case.alert, case.firing, true)]
    });
    let tests = json!({
        "rule_files": [rules()],
        "evaluation_interval": "1m",
        "tests": stories.collect::<Vec<_>>(),
    });
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("tests.yaml");
    fs::write(&file, tests.to_string())?;
    let promtool = tool::prometheus()?.with_file_name("promtool");
    tool::output(Command::new(&promtool).args(["check", "rules"]).arg(rules()))?;
    tool::output(Command::new(&promtool).args(["test", "rules"]).arg(&file))?;
    Ok(())
}

#[test]
fn whoever_is_woken_finds_what_to_do() -> Result<()> {
    let page = fs::read_to_string(tool::workspace().join("docs/runbooks.md"))?;
    let alerts = alerts()?;
    for (name, rule) in &alerts {
        let annotation = |of: &str| rule["annotations"][of].as_str().unwrap_or_default();
        let (_, anchor) =
            annotation("runbook_url").split_once("/docs/runbooks.md#").context("no runbook")?;
        ensure!(anchor == name.to_lowercase(), "{name}: {anchor}");
        ensure!(page.contains(&format!("\n## {name}\n")), "no runbook for {name}");
        ensure!(
            !annotation("summary").is_empty() && annotation("description").ends_with('.'),
            "{rule}"
        );
        let severity = rule["labels"]["severity"].as_str().unwrap_or_default();
        ensure!(["warning", "critical"].contains(&severity), "{name}: {severity}");
    }
    ensure!(page.matches("\n## ").count() == alerts.len(), "a runbook without an alert");
    Ok(())
}
