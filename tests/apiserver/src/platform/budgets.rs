//! The disruption controller: how many pods of each budget may be evicted now.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::{is_ready, put, set_condition};
use crate::eviction::selects;
use crate::kind::Kind;
use crate::not_modelled;
use crate::object::{Object, is_deleting, text};
use crate::store::{Key, Store};

pub(super) fn keep(store: &mut Store) {
    let budgets: Vec<Key> =
        store.of_kind(Kind::PodDisruptionBudget, None).map(|(key, _)| key.clone()).collect();
    for key in budgets {
        let Some(budget) = store.get(&key).cloned() else { continue };
        let pods: Vec<Arc<Object>> = store
            .of_kind(Kind::Pod, Some(&key.namespace))
            .filter(|(_, pod)| selects(&budget, pod.value()))
            .map(|(_, pod)| Arc::clone(pod))
            .collect();
        let now = store.timestamp(Duration::ZERO);
        let pods: Vec<&Value> = pods.iter().map(|pod| pod.value()).collect();
        put(store, &key, |stored| count(stored, &budget, &pods, &now));
    }
}

fn count(stored: &mut Value, budget: &Object, pods: &[&Value], now: &str) {
    let wanted = &budget.value()["spec"]["minAvailable"];
    let Some(wanted) = wanted.as_u64() else {
        not_modelled(&format!("a disruption budget with minAvailable {wanted}"));
    };
    let mut disrupted = budget.value()["status"]["disruptedPods"].clone();
    let is_live = |pod: &&&Value| {
        !is_deleting(pod) && !matches!(text(pod, "/status/phase"), "Succeeded" | "Failed")
    };
    // One that was evicted counts as gone until its deletion is seen.
    if let Some(names) = disrupted.as_object_mut() {
        names.retain(|name, _| {
            pods.iter().any(|pod| is_live(&pod) && text(pod, "/metadata/name") == name)
        });
    }
    let healthy = pods
        .iter()
        .filter(is_live)
        .filter(|pod| is_ready(pod) && disrupted.get(text(pod, "/metadata/name")).is_none());
    let (healthy, expected) = (healthy.count() as u64, pods.len() as u64);
    let allowed = healthy.saturating_sub(wanted);
    let status = &mut stored["status"];
    status["observedGeneration"] = budget.value()["metadata"]["generation"].clone();
    status["expectedPods"] = expected.into();
    status["desiredHealthy"] = wanted.into();
    status["currentHealthy"] = healthy.into();
    status["disruptionsAllowed"] = if expected == 0 { 0.into() } else { allowed.into() };
    if disrupted.as_object().is_some_and(|names| !names.is_empty()) {
        status["disruptedPods"] = disrupted;
    } else if let Some(members) = status.as_object_mut() {
        members.remove("disruptedPods");
    }
    let (is, reason) = if allowed > 0 && expected > 0 {
        ("True", "SufficientPods")
    } else {
        ("False", "InsufficientPods")
    };
    let details = json!({
        "reason": reason, "message": "", "observedGeneration": budget.value()["metadata"]["generation"],
    });
    set_condition(stored, "DisruptionAllowed", is, &details, now);
}
