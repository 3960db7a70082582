//! What nodes say: state, curve, heat and metrics.
//!
//! It is read as what this version knows of it and written anew: a field that is not known might have keys in it.

use futures_util::future::join3;
use futures_util::{StreamExt as _, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use ringcache_api::admin::NodeHeat;
use ringcache_operator::nodes::NodeError;
use ringcache_operator::objects::pod::PORTS;
use serde_json::{Value, json};

use super::archive::Keep;
use super::clean::Cleaner;
use super::{Content, Part};
use crate::proxy::Proxy;

/// Nodes that are asked at once: each has four answers.
const AT_ONCE: usize = 8;

/// What each node says.
pub(super) async fn read(proxy: &Proxy, pods: &[Pod], cleaner: &Cleaner) -> Vec<Part> {
    let ask = async |pod: &Pod| of_one(proxy, pod, cleaner).await;
    let parts: Vec<_> = stream::iter(pods).map(ask).buffered(AT_ONCE).collect().await;
    let mut parts: Vec<Part> = parts.into_iter().flatten().collect();
    // Where nobody may be asked that is one cause, not one for each node.
    if let Some(refusal) = proxy.refusal() {
        parts.retain(|part| matches!(part, Part::File { .. }));
        parts.push(Part::missing("what nodes say", refusal));
    }
    parts
}

async fn of_one(proxy: &Proxy, pod: &Pod, cleaner: &Cleaner) -> Vec<Part> {
    let (name, port) = (pod.name_any(), PORTS.admin);
    let file = |file: &str, what: &str, content| Part::File {
        path: format!("nodes/{name}/{file}"),
        what: format!("{what} of a node"),
        content,
        is_cut: false,
    };
    let missing =
        |what: &str, why: &NodeError| Part::missing(format!("{what} of {name}"), words(why));
    let state = match proxy.state_of(&name, port).await {
        Ok(state) if Some(state.incarnation.uid()) == pod.metadata.uid.as_deref() => state,
        Ok(_) => {
            let (what, why) = (format!("what {name} says"), "another node answers in its place");
            return vec![Part::missing(what, why)];
        }
        // Whoever says nothing of itself says nothing else either, and each question takes seconds.
        Err(error) => return vec![Part::missing(format!("what {name} says"), words(&error))],
    };
    let answers = join3(
        proxy.curve_of(&name, port),
        proxy.heat_of(&name, port),
        proxy.metrics_of(&name, port),
    );
    let (curve, heat, metrics) = answers.await;
    vec![
        file("state.json", "the state", Content::Answer(json!(state))),
        match curve {
            Ok(curve) => file("curve.json", "the curve", Content::Answer(json!(curve))),
            Err(error) => missing("the curve", &error),
        },
        match heat {
            Ok(heat) => file("heat.json", "the load", Content::Answer(without_keys(heat, cleaner))),
            Err(error) => missing("the load", &error),
        },
        match metrics {
            Ok(text) => file("metrics.txt", "the metrics", Content::Text(text, Keep::Beginning)),
            Err(error) => missing("the metrics", &error),
        },
    ]
}

/// What went wrong: what an answer holds that is not understood may be keys, and whoever reads it quotes them.
fn words(error: &NodeError) -> String {
    match error {
        NodeError::Malformed(_) => "the answer is not understood".to_owned(),
        other => other.to_string(),
    }
}

/// The load without anything that a key could be found by: its slot is 14 bits of it, and its length tells it from most others.
fn without_keys(mut heat: NodeHeat, cleaner: &Cleaner) -> Value {
    for hot in &mut heat.hot_keys {
        // The same key may be shown as text and encoded.
        let encoding = hot.key_encoding.take().unwrap_or_default();
        hot.key = cleaner.hash(&format!("{encoding}:{}", hot.key));
        hot.key_bytes = hot.key_bytes.checked_next_power_of_two().unwrap_or(u64::MAX);
    }
    let mut heat = json!(heat);
    for traffic in heat["busiestSlots"].as_array_mut().into_iter().flatten() {
        traffic["slot"] = cleaner.hash(&format!("slot {}", traffic["slot"])).into();
    }
    heat
}
