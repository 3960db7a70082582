//! The nodes in numbers, one by one and all together.

use ringcache_api::admin::NodeHeat;
use ringcache_operator_core::{Observed, ObservedNode};
use serde_json::{Value, json};

use super::rates::{Rate, Rates, counted};
use crate::nodes::{Place, standing};

/// One object for each node. What is not known is `null`.
pub(super) fn json(
    observed: &Observed,
    heats: &[(String, NodeHeat)],
    rates: &Rates,
    place: Place,
) -> Vec<Value> {
    let node = |node: &ObservedNode| {
        let heat = heats.iter().find(|(name, _)| *name == node.name).map(|(_, heat)| heat);
        one(observed, node, heat, rates.of(observed, node), place)
    };
    observed.nodes.iter().map(node).collect()
}

fn one(
    observed: &Observed,
    node: &ObservedNode,
    heat: Option<&NodeHeat>,
    rate: Option<Rate>,
    place: Place,
) -> Value {
    let said = observed.state(node);
    let stats = counted(observed, node).map(|(_, stats)| stats);
    let document = observed.stored();
    let member = document
        .and_then(|document| document.members.iter().find(|member| member.uid.uid() == node.uid));
    let should_own = document.zip(member).map(|(document, it)| document.intended(&it.name).len());
    let owned = |ranges: &[(u16, u16)]| -> u32 {
        ranges.iter().map(|&(first, last)| u32::from(last.saturating_sub(first)) + 1).sum()
    };
    let busy = heat.map(|heat| heat.threads.iter().map(|it| it.busy).fold(0.0, f64::max));
    json!({
        "name": node.name,
        "uid": node.uid,
        "state": standing(observed, node),
        "answers": said.is_some(),
        "trouble": node.trouble,
        "version": said.map(|said| said.version),
        "epoch": said.map(|said| said.epoch),
        "slots": said.map(|said| owned(said.owned)),
        "slotsWanted": should_own,
        "entries": stats.map(|stats| stats.entries),
        "usedBytes": stats.map(|stats| stats.used_bytes),
        "residentBytes": stats.map(|stats| stats.resident_bytes),
        "limitBytes": node.template.memory_bytes,
        "connections": stats.map(|stats| stats.connections),
        "rates": rate.map(of_rate),
        "busy": busy,
        "readMicroseconds": heat.and_then(|heat| heat.read_microseconds),
        "writeMicroseconds": heat.and_then(|heat| heat.write_microseconds),
        "place": of_place(node, place),
    })
}

/// Sums over the nodes that answer.
pub(super) fn totals(observed: &Observed, rates: &Rates) -> Value {
    let answering = || observed.nodes.iter().filter_map(|node| counted(observed, node));
    let members = observed.stored().map_or(0, |document| {
        document.members.iter().filter(|it| observed.state_of(&it.uid).is_some()).count()
    });
    let rate = observed.nodes.iter().filter_map(|node| rates.of(observed, node)).reduce(Rate::and);
    let limits = observed.nodes.iter().filter(|node| observed.state(node).is_some());
    json!({
        "nodes": observed.nodes.len(),
        "membersThatAnswer": members,
        "entries": answering().map(|(_, stats)| stats.entries).sum::<u64>(),
        "usedBytes": answering().map(|(_, stats)| stats.used_bytes).sum::<u64>(),
        "limitBytes": limits.map(|node| node.template.memory_bytes).sum::<u64>(),
        "connections": answering().map(|(_, stats)| stats.connections).sum::<u64>(),
        "rates": rate.map(of_rate),
    })
}

fn of_rate(rate: Rate) -> Value {
    json!({
        "reads": rate.reads(),
        "misses": rate.misses,
        "hitRatio": rate.hit_ratio(),
        "evicted": rate.evicted,
        "expired": rate.expired,
        "forwarded": rate.forwarded,
    })
}

/// Where to find it, in words and values.
fn of_place(node: &ObservedNode, place: Place) -> Vec<(&'static str, String)> {
    let known = |text: &Option<String>| text.clone().unwrap_or_default();
    let all = match place {
        Place::Ports => {
            vec![("Redis", node.ports.resp.to_string()), ("HTTP", node.ports.http.to_string())]
        }
        Place::Host | Place::HostAndProgram => vec![
            ("host", known(&node.place.host)),
            ("zone", known(&node.place.zone)),
            ("address", node.host.clone()),
        ],
    };
    all.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}
