//! The table of nodes.

use ringcache_operator_core::{Observed, ObservedNode, Phase, Said};

use crate::table;

/// What tells one node from another to whoever wants to reach it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Its ports: all of them are on one machine.
    Ports,
    /// Its host and the zone of that: all of them have the same ports.
    Host,
    /// The same, and its address, its version and what it was started from.
    HostAndProgram,
}

impl Place {
    fn header(self) -> &'static [&'static str] {
        match self {
            Self::Ports => &["REDIS", "HTTP"],
            Self::Host => &["HOST", "ZONE"],
            Self::HostAndProgram => &["HOST", "ZONE", "ADDRESS", "VERSION", "PROGRAM"],
        }
    }

    fn of(self, observed: &Observed, node: &ObservedNode) -> Vec<String> {
        let known = |text: Option<&str>| text.filter(|t| !t.is_empty()).unwrap_or("-").to_owned();
        let host = || vec![known(node.place.host.as_deref()), known(node.place.zone.as_deref())];
        match self {
            Self::Ports => vec![node.ports.resp.to_string(), node.ports.http.to_string()],
            Self::Host => host(),
            Self::HostAndProgram => {
                let version = observed.state(node).map(|said| said.version);
                let more = [Some(&*node.host), version, Some(&*node.template.program)];
                host().into_iter().chain(more.map(known)).collect()
            }
        }
    }
}

/// One row for each node.
pub fn table(observed: &Observed, place: Place) -> String {
    const HEADER: [&str; 8] =
        ["NODE", "STATE", "SLOTS", "ENTRIES", "MEMORY", "LIMIT", "HIT%", "EPOCH"];
    let header = [&HEADER, place.header()].concat();
    let rows = observed.nodes.iter().map(|node| {
        row(observed, node).into_iter().chain(place.of(observed, node)).collect::<Vec<_>>()
    });
    table::plain(&header, 2, rows)
}

fn row(observed: &Observed, node: &ObservedNode) -> [String; 8] {
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
    ]
}

/// What the platform says of it, if that matters more than what the ring wants of it.
pub(crate) fn standing(observed: &Observed, node: &ObservedNode) -> String {
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

pub(crate) fn mebibytes(bytes: u64) -> String {
    format!("{:.1}Mi", bytes as f64 / f64::from(1 << 20))
}

pub(crate) fn hit_percent(hits: u64, misses: u64) -> String {
    match hits + misses {
        0 => "-".to_owned(),
        all => format!("{:.1}", hits as f64 * 100.0 / all as f64),
    }
}

#[cfg(test)]
mod tests {
    use ringcache_api::admin::NodeStats;

    use super::Place;
    use crate::fixture::{document, node, observed};

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
        let text = super::table(&observed(Some(document), nodes), Place::Ports);
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

    #[test]
    fn a_node_on_kubernetes_is_told_by_its_host_and_by_more_if_that_is_wanted() {
        let mut web = node("web-0", &[], 0);
        web.place.host = Some("host-a".into());
        web.host = "10.0.0.7".into();
        web.template.program = "cache-node:1".into();
        let observed = observed(None, vec![web]);
        let last = |place| super::table(&observed, place).lines().last().unwrap_or("").to_owned();
        assert!(last(Place::Host).ends_with("host-a     -"), "{}", last(Place::Host));
        let wide = last(Place::HostAndProgram);
        let cells: Vec<&str> = wide.split_whitespace().skip(8).collect();
        assert_eq!(cells, ["host-a", "-", "10.0.0.7", "-", "cache-node:1"]);
    }
}
