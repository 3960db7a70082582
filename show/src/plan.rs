//! What would be done, step by step, and what it would do to the hit ratio.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use ringcache_api::CacheCluster;
use ringcache_operator_core::{Cost, Forecast, InForce, Intent, Observed, Operation, validate};
use ringcache_ring::SLOTS;
use serde_json::{Value, json};

/// Another size of a cluster.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wish {
    /// So many nodes; `None` = as many as are in force.
    pub nodes: Option<i32>,
    /// So much memory for each, as a quantity; `None` = as much as the spec says.
    pub memory: Option<String>,
}

impl Wish {
    /// What the cluster would be asked for, whatever scales it.
    ///
    /// # Errors
    ///
    /// What is wrong with the wish, and what is allowed.
    pub fn over(&self, cluster: &CacheCluster, in_force: &InForce) -> Result<Intent, String> {
        if *self == Self::default() {
            return Ok(in_force.intent.clone());
        }
        let mut wanted = CacheCluster { spec: in_force.spec.clone(), ..cluster.clone() };
        if let Some(nodes) = self.nodes {
            wanted.spec.nodes = nodes;
            wanted.spec.autoscaling = None;
        }
        if let Some(memory) = &self.memory {
            wanted.spec.memory = Quantity(memory.clone());
        }
        let intent = validate(&wanted).map_err(|problems| {
            problems.iter().map(|it| it.message.as_str()).collect::<Vec<_>>().join("; ")
        })?;
        let nodes = if self.nodes.is_some() { intent.nodes } else { in_force.intent.nodes };
        // Other memory is a question about replacing nodes, which `paused` does not answer.
        let paused = in_force.intent.paused && self.memory.is_none();
        Ok(Intent { nodes, paused, ..intent })
    }
}

/// What the planner would do from here on.
///
/// # Errors
///
/// Nothing is planned for a cluster that is being deleted, and nothing can be told if no node answers. Or what the check of the plans has
/// against one: a bug.
pub fn forecast(intent: &Intent, observed: &Observed) -> Result<Forecast, String> {
    if intent.deleting {
        return Err("the cluster is being deleted: nothing is planned any more".into());
    }
    if observed.stored().is_some() && observed.states().next().is_none() {
        return Err("no node answers: what would be done cannot be told".into());
    }
    ringcache_operator_core::forecast(intent, observed).map_err(|violations| {
        violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    })
}

/// The plans that follow each other, and what the hit ratio becomes; `None` = that cannot be predicted.
pub fn text(forecast: &Forecast, cost: Option<Cost>) -> String {
    let plans = forecast.plans.iter().map(ToString::to_string);
    // Where nothing is done nobody asks for its price.
    let price = (!forecast.plans.is_empty() || cost.is_some()).then(|| price(cost));
    let parts = [Some(end(forecast)), moves(forecast), price];
    plans.chain(parts.into_iter().flatten()).map(|part| part + "\n").collect()
}

fn end(forecast: &Forecast) -> String {
    match forecast.end.operation() {
        Operation::Steady if forecast.plans.is_empty() => "Nothing to do.".to_owned(),
        Operation::Steady => match forecast.members.as_slice() {
            [one] => format!("Then 1 node has the ring: {one}."),
            many => format!("Then {} nodes have the ring: {}.", many.len(), many.join(", ")),
        },
        _ if forecast.plans.is_empty() => format!("It waits. {}", forecast.end),
        _ => format!("Then it waits. {}", forecast.end),
    }
}

fn moves(forecast: &Forecast) -> Option<String> {
    let percent = forecast.moved as f64 / f64::from(SLOTS) * 100.0;
    (forecast.moved > 0).then(|| {
        format!(
            "{} slots change their node, with the entries in them: {percent:.1} % of all. One that moves twice counts twice.",
            forecast.moved
        )
    })
}

fn price(cost: Option<Cost>) -> String {
    let Some(Cost { hits_now, hits_then, misses_now, misses_then }) = cost else {
        return "Hits: not predicted, since nothing was read lately, or not all nodes answer."
            .into();
    };
    let [hits_now, hits_then] = [hits_now, hits_then].map(|part| part * 100.0);
    format!(
        "Hits: {hits_now:.1} % of the reads now, {hits_then:.1} % predicted. Misses: {misses_now:.0} reads/s now, {misses_then:.0} predicted."
    )
}

/// The same as JSON.
pub fn json(forecast: &Forecast, cost: Option<Cost>) -> Value {
    let cost = cost.map(|cost| {
        json!({
            "hitRatioNow": cost.hits_now,
            "hitRatioPredicted": cost.hits_then,
            "missesPerSecondNow": cost.misses_now,
            "missesPerSecondPredicted": cost.misses_then,
        })
    });
    json!({
        "plans": forecast.plans,
        "end": forecast.end,
        "slotsMoved": forecast.moved,
        "members": forecast.members,
        "cost": cost,
    })
}

#[cfg(test)]
mod tests {
    use ringcache_api::CacheClusterSpec;
    use ringcache_operator_core::in_force;

    use super::*;
    use crate::curve::tests::two_nodes;
    use crate::fixture;

    fn cluster() -> (CacheCluster, InForce) {
        let cluster = CacheCluster::new("web", CacheClusterSpec { nodes: 2, ..Default::default() });
        let in_force = in_force(&cluster, None).expect("a good spec");
        (cluster, in_force)
    }

    #[test]
    fn a_wish_keeps_what_it_does_not_name_and_is_refused_like_a_spec() {
        let (cluster, mut in_force) = cluster();
        in_force.intent.nodes = 7;
        let over = |nodes, memory: Option<&str>| {
            Wish { nodes, memory: memory.map(str::to_owned) }.over(&cluster, &in_force)
        };
        let (more, bigger) = (over(Some(4), None).expect("allowed"), over(None, Some("1Gi")));
        assert_eq!((more.nodes, more.memory_bytes), (4, in_force.intent.memory_bytes));
        let bigger = bigger.expect("allowed");
        assert_eq!((bigger.nodes, bigger.memory_bytes), (7, 1 << 30), "as many as are in force");
        assert!(over(Some(0), None).expect_err("none").contains("from 1 to 100"));
        assert!(over(None, Some("lots")).expect_err("no quantity").contains("memory"));
    }

    #[test]
    fn less_memory_in_all_costs_the_same_whether_it_is_nodes_or_their_size() {
        let (_, InForce { intent, .. }) = cluster();
        let measured = two_nodes();
        let observed = two_members();
        let fewer = Intent { nodes: 1, ..intent.clone() };
        let smaller = Intent { memory_bytes: intent.memory_bytes / 2, ..intent.clone() };
        let cost = Cost::of(&measured, &observed, &fewer).expect("something was read");
        assert_eq!(Some(cost), Cost::of(&measured, &observed, &smaller));
        assert!((cost.hits_now - 2.0 / 3.0).abs() < 0.01, "{cost:?}");
        assert!((cost.hits_then - 1.0 / 3.0).abs() < 0.04, "{cost:?}");
        assert!((cost.misses_then - 20.0).abs() < 1.5, "{cost:?}");
    }

    /// The members of the curve, with the memory that a spec has by default.
    fn two_members() -> Observed {
        let document = fixture::document(&[(0, 8191, "web-0"), (8192, 16383, "web-1")]);
        let nodes = ["web-0", "web-1"].map(|name| fixture::node(name, &[], 0));
        fixture::observed(Some(document), nodes.into())
    }

    #[test]
    fn memory_that_is_wanted_and_not_there_yet_is_predicted_from_what_there_is() {
        let (_, InForce { intent, .. }) = cluster();
        let doubled = Intent { memory_bytes: 2 * intent.memory_bytes, ..intent };
        let cost = Cost::of(&two_nodes(), &two_members(), &doubled).expect("something was read");
        assert!(cost.hits_then > 0.82, "{cost:?}");
    }

    #[test]
    fn a_cluster_that_is_paused_in_a_roll_is_planned_as_paused() {
        let (cluster, mut in_force) = cluster();
        in_force.intent.paused = true;
        let intent = Wish::default().over(&cluster, &in_force).expect("no wish");
        assert_eq!(intent, in_force.intent);
        let more = Wish { nodes: Some(5), memory: None };
        assert!(more.over(&cluster, &in_force).expect("allowed").paused);
    }

    #[test]
    fn what_nobody_can_know_is_refused_instead_of_planned() {
        let (_, InForce { intent, .. }) = cluster();
        let mut silent = two_members();
        silent.nodes.iter_mut().for_each(|node| node.state = None);
        assert!(forecast(&intent, &silent).expect_err("silence").contains("no node answers"));
        let deleting = Intent { deleting: true, ..intent };
        assert!(forecast(&deleting, &two_members()).expect_err("it goes").contains("deleted"));
    }

    #[test]
    fn the_text_has_the_steps_the_end_and_the_price() {
        let (_, InForce { intent, .. }) = cluster();
        let observed = fixture::observed(None, Vec::new());
        let forecast = forecast(&intent, &observed).expect("a plan");
        let smaller = Intent { nodes: 1, ..intent };
        let text = text(&forecast, Cost::of(&two_nodes(), &two_members(), &smaller));
        for part in [
            "Create: a ring of 2 nodes\n- start ",
            "Then 2 nodes have the ring: ",
            "Hits: 66.7 % of the reads now",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(super::text(&forecast, None).contains("not predicted"));
        assert_eq!(json(&forecast, None)["members"].as_array().map(Vec::len), Some(2));
    }
}
