//! Who reaches whom under the `NetworkPolicy` objects of the chart and of the docs.

use anyhow::{Context, Result, ensure};
use ringcache_tests::tool;
use serde_json::{Value, json};

use crate::render::{NAMESPACE, of_kind, set};

/// A pod as a policy sees it.
struct Pod {
    what: &'static str,
    namespace: &'static str,
    labels: Value,
}

fn node(what: &'static str, cluster: &str) -> Pod {
    let labels = json!({
        "app.kubernetes.io/name": "ringcache",
        "app.kubernetes.io/component": "cache-node",
        "app.kubernetes.io/managed-by": "ringcache-operator",
        "ringcache.dev/cluster": cluster,
    });
    Pod { what, namespace: "shop", labels }
}

fn of_release(what: &'static str, name: &str) -> Pod {
    let labels = json!({"app.kubernetes.io/name": name, "app.kubernetes.io/instance": "ringcache"});
    Pod { what, namespace: NAMESPACE, labels }
}

fn operator() -> Pod {
    of_release("the operator", "ringcache-operator")
}

fn prometheus() -> Pod {
    let labels = json!({"app.kubernetes.io/name": "prometheus"});
    Pod { what: "Prometheus", namespace: "monitoring", labels }
}

fn client() -> Pod {
    Pod { what: "a client", namespace: "shop", labels: json!({"app": "shop"}) }
}

fn stranger() -> Pod {
    Pod { what: "a stranger", namespace: "shop", labels: json!({"app": "blog"}) }
}

/// Whether the labels have all those of the selector. Other expressions are not used.
fn matches(selector: &Value, labels: &Value) -> bool {
    assert!(selector["matchExpressions"].is_null(), "{selector}");
    let wanted = selector["matchLabels"].as_object();
    wanted.into_iter().flatten().all(|(key, value)| labels[key] == *value)
}

/// Whether a peer of a policy in `namespace` stands for `pod`.
fn is_peer(peer: &Value, namespace: &Value, pod: &Pod) -> bool {
    let of_pod = peer["podSelector"].is_null() || matches(&peer["podSelector"], &pod.labels);
    let names = json!({"kubernetes.io/metadata.name": pod.namespace});
    let of_namespace = match &peer["namespaceSelector"] {
        Value::Null => *namespace == pod.namespace,
        selector => matches(selector, &names),
    };
    of_pod && of_namespace
}

/// Whether `policy` lets `from` reach that port of the pods it is for.
fn lets_in(policy: &Value, from: &Pod, port: &Value) -> bool {
    let any = |list: &Value, is: &dyn Fn(&Value) -> bool| match list {
        Value::Null => true,
        list => list.as_array().is_some_and(|list| list.iter().any(is)),
    };
    policy["spec"]["ingress"].as_array().into_iter().flatten().any(|rule| {
        any(&rule["ports"], &|it| it["port"] == *port)
            && any(&rule["from"], &|it| is_peer(it, &policy["metadata"]["namespace"], from))
    })
}

#[track_caller]
fn check(policy: &Value, from: &Pod, expected: &[u16]) {
    let ports = [6379_u16, 8080, 9400, 16379];
    let reached: Vec<u16> =
        ports.into_iter().filter(|port| lets_in(policy, from, &json!(port))).collect();
    assert_eq!(reached, expected, "{} under {policy}", from.what);
}

/// What both policies keep.
fn keeps_others_away(policy: &Value, node_ports: &[u16]) {
    let selector = &policy["spec"]["podSelector"];
    assert!(matches(selector, &node("a node", "web").labels), "{selector}");
    for other in [client(), operator(), stranger()] {
        assert!(!matches(selector, &other.labels), "{} is no node", other.what);
    }
    check(policy, &node("a node", "web"), node_ports);
    check(policy, &client(), &[6379, 8080]);
    check(policy, &operator(), &[9400]);
    check(policy, &prometheus(), &[9400]);
    check(policy, &stranger(), &[]);
    // Labels that anybody can give to a pod of another namespace.
    let elsewhere = |pod: Pod| Pod { namespace: "elsewhere", what: "an impostor", ..pod };
    for pod in [node("", "web"), client(), operator(), prometheus()] {
        check(policy, &elsewhere(pod), &[]);
    }
}

#[test]
fn under_the_policy_of_the_docs_prometheus_is_let_in_and_strangers_are_not() -> Result<()> {
    let page = std::fs::read_to_string(tool::workspace().join("docs/kubernetes.md"))?;
    let block = page.split("```yaml").find(|block| block.contains("kind: NetworkPolicy"));
    let block = block.and_then(|block| block.split("```").next()).context("no such block")?;
    let mut policy: Value = serde_saphyr::from_str(block)?;
    policy["metadata"]["namespace"] = json!("shop");
    keeps_others_away(&policy, &[8080, 16379]);
    Ok(())
}

#[test]
fn under_the_policy_among_the_examples_caches_are_reached_by_whom_it_names() -> Result<()> {
    let text = std::fs::read_to_string(tool::workspace().join("examples/network-policy.yaml"))?;
    // Of the cache that the other tests know.
    let mut policy: Value = serde_saphyr::from_str(&text.replace("sessions", "web"))?;
    policy["metadata"]["namespace"] = json!("shop");
    keeps_others_away(&policy, &[8080, 16379]);
    Ok(())
}

#[test]
fn under_the_policy_of_the_chart_caches_are_reached_by_whom_it_names() -> Result<()> {
    let named = [
        "cacheNetworkPolicy.enabled=true",
        "cacheNetworkPolicy.namespaces={shop,search}",
        "cacheNetworkPolicy.clientsFrom[0].podSelector.matchLabels.app=shop",
        r"cacheNetworkPolicy.metricsFrom[0].namespaceSelector.matchLabels.kubernetes\.io/metadata\.name=monitoring",
    ];
    let objects = set(&named)?;
    let policies = of_kind(&objects, "NetworkPolicy");
    ensure!(policies.len() == 2, "one in each namespace");
    ensure!(policies[1]["metadata"]["namespace"] == "search", "{}", policies[1]);
    // As the node speaks to others: between themselves, and for requests over HTTP.
    keeps_others_away(policies[0], &[8080, 16379]);
    Ok(())
}

#[test]
fn without_names_everyone_reads_entries_and_only_the_operator_configures() -> Result<()> {
    let objects = set(&["cacheNetworkPolicy.enabled=true", "watchNamespaces={shop}"])?;
    let policies = of_kind(&objects, "NetworkPolicy");
    ensure!(policies.len() == 1, "in the namespaces that are served");
    check(policies[0], &stranger(), &[6379, 8080]);
    check(policies[0], &prometheus(), &[6379, 8080]);
    check(policies[0], &operator(), &[6379, 8080, 9400]);
    Ok(())
}

#[test]
fn the_pod_of_helm_test_reaches_the_operator_whoever_else_may() -> Result<()> {
    let named = [
        "networkPolicy.enabled=true",
        r"networkPolicy.metricsFrom[0].namespaceSelector.matchLabels.kubernetes\.io/metadata\.name=monitoring",
    ];
    let objects = set(&named)?;
    let policies = of_kind(&objects, "NetworkPolicy");
    let pods = of_kind(&objects, "Pod");
    let test = Pod {
        what: "the test",
        namespace: NAMESPACE,
        labels: pods.first().context("no pod")?["metadata"]["labels"].clone(),
    };
    for (from, expected) in [(test, true), (prometheus(), true), (stranger(), false)] {
        ensure!(lets_in(policies[0], &from, &json!("http")) == expected, "{}", from.what);
    }
    Ok(())
}
