use std::collections::BTreeSet;

use super::*;

/// The pages that list what is exported, with the first words of the names that count.
const PAGES: [(&str, &str); 2] = [
    (include_str!("../../../../docs/metrics.md"), "docs/metrics.md"),
    (include_str!("../../../../docs/operator.md"), "docs/operator.md"),
];

/// What is exported and on no dashboard, and why.
const UNUSED: [(&str, &str); 14] = [
    ("ringcache_uptime_in_seconds", "`process_start_time_seconds` says it for every process"),
    ("ringcache_max_clients", "refused connections say when it is reached"),
    ("ringcache_draining", "for seconds, until the pod is gone"),
    ("ringcache_slots_sealed", "for milliseconds of a handover"),
    ("ringcache_slots_handed_out_total", "what is handed in elsewhere"),
    ("process_open_fds", "of any process"),
    ("process_max_fds", "of any process"),
    ("process_virtual_memory_bytes", "of any process"),
    ("process_resident_memory_bytes", "`ringcache_memory_used_rss_bytes` for nodes"),
    ("process_start_time_seconds", "of any process"),
    ("process_threads", "of any process"),
    ("controller_runtime_max_concurrent_reconciles", "a setting"),
    ("controller_runtime_reconcile_errors_total", "the result `error` of reconciles"),
    ("controller_runtime_active_workers", "calls and durations say how busy it is"),
];
fn panels() -> impl Iterator<Item = (&'static Board, &'static Panel)> {
    BOARDS.iter().flat_map(|board| board.panels.iter().map(move |panel| (board, panel)))
}

/// The names of metrics in a text, which begin like ours.
fn metrics(text: &str) -> BTreeSet<String> {
    const PREFIXES: [&str; 6] = [
        "ringcache_",
        "cache_",
        "controller_runtime_",
        "rest_client_",
        "leader_election_",
        "process_",
    ];
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let ours = words.filter(|word| PREFIXES.iter().any(|prefix| word.starts_with(prefix)));
    let plain = ours.map(|name| name.strip_suffix("_bucket").unwrap_or(name));
    plain.filter(|name| *name != "ringcache_dev_cluster").map(str::to_owned).collect()
}

/// The metrics that the pages list: first in a row of a table, or of the process.
fn exported() -> BTreeSet<String> {
    let lines = PAGES.iter().flat_map(|(page, _)| page.lines());
    let rows = lines.filter(|line| {
        line.starts_with("| `")
            || line.starts_with("Of the process")
            || line.starts_with("`process_")
    });
    let names = rows.flat_map(|row| {
        let cell =
            if row.starts_with('|') { row.split('|').nth(1).unwrap_or_default() } else { row };
        metrics(cell)
    });
    names.collect()
}

#[test]
fn the_committed_dashboards_are_those_of_the_source() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(FOLDER);
    for board in BOARDS {
        let found =
            fs::read_to_string(root.join(format!("{}.json", board.uid))).unwrap_or_default();
        assert!(found == text(board), "{} is out of date: run `cargo xtask codegen`", board.uid);
    }
    assert_eq!(fs::read_dir(&root).unwrap().count(), BOARDS.len(), "a dashboard without a source");
}

#[test]
fn every_metric_of_a_panel_is_exported_and_every_exported_one_is_used_or_said_why_not() {
    let used: BTreeSet<String> = panels()
        .flat_map(|(_, panel)| panel.queries)
        .flat_map(|(_, query)| metrics(query))
        .collect();
    let exported = exported();
    let made_up: Vec<_> = used.difference(&exported).collect();
    assert!(made_up.is_empty(), "nobody exports {made_up:?}");
    let unused: BTreeSet<String> = exported.difference(&used).cloned().collect();
    let said = UNUSED.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(unused, said, "used nowhere, and what is said of that");
}

#[test]
fn panels_keep_the_rules_of_grafanas_linter() {
    let (mut uids, mut titles) = (BTreeSet::new(), BTreeSet::new());
    for (board, panel) in panels() {
        let of = format!("{} / {}", board.title, panel.title);
        assert!(titles.insert(of.clone()), "{of} twice");
        assert!(
            !panel.title.is_empty() && panel.about.ends_with('.'),
            "{of}: title and description"
        );
        assert!(!panel.queries.is_empty() && panel.queries.len() <= 26, "{of}: targets");
        for (legend, query) in panel.queries {
            assert!(!legend.is_empty(), "{of}: a line without a name");
            let selectors = query.matches('{').count();
            assert_eq!(selectors, 2 * query.matches("{}").count(), "{of}: not selected: {query}");
            let depth = query
                .chars()
                .fold(0_i32, |depth, c| depth + i32::from(c == '(') - i32::from(c == ')'));
            assert_eq!(depth, 0, "{of}: {query}");
            // A counter says something only as a rate, and the interval is for Grafana to choose.
            for counter in metrics(query).into_iter().filter(|name| name.ends_with("_total")) {
                let rate = format!("rate({counter}{{");
                assert_eq!(
                    query.matches(&counter).count(),
                    query.matches(&rate).count(),
                    "{of}: {query}"
                );
            }
            assert_eq!(
                query.matches('[').count(),
                query.matches("[$__rate_interval]").count(),
                "{of}"
            );
        }
    }
    for board in BOARDS {
        assert!(uids.insert(board.uid) && board.uid.len() <= 40, "{}", board.uid);
        assert!(board.about.ends_with('.'), "{}", board.title);
        let dashboard = dashboard(board);
        assert_eq!(dashboard["editable"], false);
        assert!(dashboard.get("id").is_none() && dashboard.get("__inputs").is_none());
        let variables = dashboard["templating"]["list"].as_array().unwrap();
        let names: Vec<_> = variables.iter().filter_map(|it| it["name"].as_str()).collect();
        for name in ["datasource", "job", "instance"] {
            assert!(names.contains(&name), "{}: no variable {name}", board.title);
        }
        assert!(text(board).len() < 1 << 20, "a ConfigMap holds a mebibyte");
    }
}

#[test]
fn panels_lie_side_by_side_and_do_not_overlap() {
    for board in BOARDS {
        let dashboard = dashboard(board);
        let mut taken = BTreeSet::new();
        for panel in dashboard["panels"].as_array().unwrap() {
            let place = |name: &str| panel["gridPos"][name].as_u64().unwrap();
            assert!(place("x") + place("w") <= u64::from(COLUMNS), "{panel:#}");
            for x in place("x")..place("x") + place("w") {
                for y in place("y")..place("y") + place("h") {
                    assert!(taken.insert((x, y)), "{}: {}", board.title, panel["title"]);
                }
            }
        }
    }
}
