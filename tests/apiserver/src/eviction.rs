//! Evictions: deletions that a disruption budget may hold back.

use serde_json::{Value, json};

use crate::delete::delete;
use crate::handle::options;
use crate::kind::Kind;
use crate::object::{Object, is_deleting, metadata_mut, text};
use crate::platform::is_ready;
use crate::request::Request;
use crate::selector::Selector;
use crate::status::{Refusal, bad_request, disruption_refused, failure, not_found};
use crate::store::{Key, Store};

pub(crate) fn evict(store: &mut Store, request: &Request) -> Result<(), Refusal> {
    let (key, body) = (request.key(), &request.call.body);
    if text(body, "/metadata/name") != key.name {
        return Err(bad_request("name in URL does not match name in Eviction object"));
    }
    let pod = store.get(&key).ok_or_else(|| not_found(Kind::Pod, &key.name))?;
    let pod = pod.value().clone();
    let ended = matches!(text(&pod, "/status/phase"), "Pending" | "Succeeded" | "Failed");
    if !ended && !is_deleting(&pod) {
        ask_budgets(store, &key, &pod)?;
    }
    delete(store, &key, &options(&body["deleteOptions"])?).map(drop)
}

fn ask_budgets(store: &mut Store, pod_key: &Key, pod: &Value) -> Result<(), Refusal> {
    let budgets = store.of_kind(Kind::PodDisruptionBudget, Some(&pod_key.namespace));
    let selecting: Vec<Key> =
        budgets.filter(|(_, budget)| selects(budget, pod)).map(|(key, _)| key.clone()).collect();
    let budget_key = match selecting.as_slice() {
        [] => return Ok(()),
        [one] => one,
        _ => {
            let text = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
            return Err(failure(500, "", text).boxed());
        }
    };
    let Some(budget) = store.get(budget_key) else { return Ok(()) };
    let (managers, mut new) = (budget.managers.clone(), budget.value().clone());
    let number = |path: &str| budget.value().pointer(path).and_then(Value::as_u64).unwrap_or(0);
    let (healthy, desired) = (number("/status/currentHealthy"), number("/status/desiredHealthy"));
    if !is_ready(pod) {
        let always = text(budget.value(), "/spec/unhealthyPodEvictionPolicy") == "AlwaysAllow";
        if always || (healthy >= desired && desired > 0) {
            return Ok(());
        }
    }
    if number("/status/observedGeneration") < number("/metadata/generation") {
        let why = format!(
            "The disruption budget {} is still being processed by the server.",
            budget_key.name
        );
        return Err(disruption_refused(&why, 10));
    }
    let allowed = number("/status/disruptionsAllowed");
    if allowed == 0 {
        let name = &budget_key.name;
        let why = format!(
            "The disruption budget {name} needs {desired} healthy pods and has {healthy} currently"
        );
        return Err(disruption_refused(&why, 0));
    }
    new["status"]["disruptionsAllowed"] = (allowed - 1).into();
    new["status"]["disruptedPods"][&pod_key.name] =
        store.timestamp(std::time::Duration::ZERO).into();
    metadata_mut(&mut new);
    store.put(budget_key, new, managers);
    Ok(())
}

/// Whether a budget is about the pod; one without a selector is about none.
pub(crate) fn selects(budget: &Object, pod: &Value) -> bool {
    let selector = &budget.value()["spec"]["selector"];
    if !selector["matchExpressions"].is_null() {
        crate::not_modelled("a disruption budget with matchExpressions");
    }
    let labels = &selector["matchLabels"];
    *labels != json!({}) && !labels.is_null() && Selector::of_labels(labels).matches(pod)
}
