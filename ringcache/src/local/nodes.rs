//! The table of nodes: on the terminal while `up` runs, and in `ringcache status`.

use ringcache_operator_core::{Observed, ObservedNode, Phase, Said};

use crate::table;

/// One row for each node.
pub(super) fn table(observed: &Observed) -> String {
    let header =
        ["NODE", "STATE", "SLOTS", "ENTRIES", "MEMORY", "LIMIT", "HIT%", "EPOCH", "REDIS", "HTTP"];
    table::plain(&header, 2, observed.nodes.iter().map(|node| row(observed, node)))
}

fn row(observed: &Observed, node: &ObservedNode) -> [String; 10] {
    let state = observed.state(node);
    let of = |value: &dyn Fn(Said<'_>) -> String| state.map_or_else(|| "-".to_owned(), value);
    [
        node.name.clone(),
        standing(observed, node),
        of(&|s| s.owned.iter().map(|&(a, b)| u32::from(b - a) + 1).sum::<u32>().to_string()),
        of(&|s| s.entries.to_string()),
        of(&|s| mebibytes(s.used_bytes)),
        mebibytes(node.template.memory_bytes),
        of(&|s| hit_percent(s.hits, s.misses)),
        of(&|s| s.epoch.to_string()),
        node.ports.resp.to_string(),
        node.ports.http.to_string(),
    ]
}

/// What the platform says of it, if that matters more than what the ring wants of it.
fn standing(observed: &Observed, node: &ObservedNode) -> String {
    let member = observed
        .stored()
        .and_then(|document| document.members.iter().find(|member| member.uid.uid() == node.uid));
    match (node.phase, observed.state(node), member) {
        (Phase::Exited | Phase::Lost, ..) => "Gone".to_owned(),
        (Phase::Stopping, ..) => "Stopping".to_owned(),
        (_, None, Some(_)) => "Silent".to_owned(),
        (_, None, None) => "Starting".to_owned(),
        (_, Some(_), Some(member)) => format!("{:?}", member.state),
        (_, Some(_), None) => "Spare".to_owned(),
    }
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1}Mi", bytes as f64 / f64::from(1 << 20))
}

fn hit_percent(hits: u64, misses: u64) -> String {
    match hits + misses {
        0 => "-".to_owned(),
        all => format!("{:.1}", hits as f64 * 100.0 / all as f64),
    }
}

#[cfg(test)]
mod tests {
    use ringcache_api::admin::NodeStats;

    use super::super::fixture::{document, node, observed};

    #[test]
    fn every_kind_of_node_has_a_readable_row() {
        use ringcache_operator_core::Phase;

        let mut busy = node("web-0", &[(0, 8191), (9000, 9000)], 0);
        if let Some(state) = &mut busy.state {
            let (hits, misses) = (2, 1);
            state.epoch = 7;
            state.stats =
                NodeStats { entries: 66_666, used_bytes: 40 << 20, hits, misses, ..state.stats };
        }
        let mut silent = node("web-1", &[], 0);
        silent.state = None;
        let mut starting = node("web-2", &[], 0);
        starting.state = None;
        let mut stopping = node("web-3", &[], 0);
        stopping.phase = Phase::Stopping;
        let mut gone = node("web-4", &[(1, 1)], 0);
        gone.phase = Phase::Exited;
        let spare = node("web-10", &[], 0);
        let document = document(&[(0, 9000, "web-0"), (9001, 16383, "web-1")]);
        let nodes = vec![busy, silent, starting, stopping, gone, spare];
        let text = super::table(&observed(Some(document), nodes));
        let wanted = [
            "NODE    STATE     SLOTS  ENTRIES  MEMORY    LIMIT  HIT%  EPOCH  REDIS  HTTP",
            "web-0   Active     8193    66666  40.0Mi  256.0Mi  66.7      7   7000  7200",
            "web-1   Silent        -        -       -  256.0Mi     -      -   7000  7200",
            "web-2   Starting      -        -       -  256.0Mi     -      -   7000  7200",
            "web-3   Stopping      0        0   0.0Mi  256.0Mi     -      0   7000  7200",
            "web-4   Gone          -        -       -  256.0Mi     -      -   7000  7200",
            "web-10  Spare         0        0   0.0Mi  256.0Mi     -      0   7000  7200",
        ];
        assert_eq!(text.lines().collect::<Vec<_>>(), wanted);
    }
}
