//! What is missing is put back; what is right, or somebody else's, is not touched.

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::{Resource, ResourceExt as _};
use ringcache_api::CacheCluster;
use ringcache_fake_apiserver::{ApiServer, Kind};
use ringcache_operator_core::{Checked, Plan, check, plan, validate};
use serde_json::{Value, json};

use super::{Repaired, contains, upkeep};
use crate::objects::meta::FIELD_MANAGER;
use crate::objects::ownership::marked;
use crate::objects::{pdb, ring, services};
use crate::observe::Observation;
use crate::observe::fixture::{
    CLUSTER_PATH, FakeApi, FakeNodes, PDB_PATH, cluster, context, document, host, hosts,
    observe_web, running,
};
use crate::testing::Call;
use crate::{Context, Error};

/// A cluster in order, as the operator has created it.
fn in_order() -> FakeApi {
    in_order_by("{nodes: 1, service: {type: ClusterIP}}")
}

fn in_order_by(spec: &str) -> FakeApi {
    let (api, web) = (FakeApi::default(), cluster(spec));
    api.put(CLUSTER_PATH, &web);
    api.put("services/web", marked(services::client(&web)));
    api.put("services/web-nodes", marked(services::nodes(&web)));
    api.put(PDB_PATH, marked(pdb::pdb(&web, 0, false)));
    api.put("configmaps/web-ring", ring::ring(&web, &document(1, &["web-0"])));
    api.put("pods/web-0", running("web-0", "10.0.0.1"));
    api
}

/// Changes a stored object by hand.
fn change(api: &FakeApi, path: &str, change: impl FnOnce(&mut Value)) {
    api.edit(path, change);
}

/// Whether the call makes what the operator has created count as applied by it.
fn is_claim(call: &Call) -> bool {
    call.what.starts_with("PATCH ") && call.body["metadata"]["managedFields"].is_array()
}

fn planned(observation: &Observation) -> Plan<Checked> {
    let intent = validate(&observation.cluster).unwrap();
    check(plan(&intent, &observation.observed), &intent, &observation.observed).unwrap()
}

async fn keep_up(api: &FakeApi) -> Result<Vec<Repaired>, Error> {
    let context = context(api, &FakeNodes::default(), hosts([]));
    let observation = observe_web(&context).await?.unwrap();
    upkeep(&context, &observation, &planned(&observation)).await
}

#[tokio::test]
async fn nothing_is_written_when_nothing_differs() {
    let api = in_order();
    assert_eq!(keep_up(&api).await.unwrap(), []);
    assert_eq!(api.writes(), []);
}

#[tokio::test]
async fn what_is_missing_is_created_and_nothing_overwritten() {
    let api = in_order();
    for path in ["services/web", "services/web-nodes", PDB_PATH] {
        api.remove(path);
    }
    let repaired = keep_up(&api).await.unwrap();
    let texts: Vec<String> = repaired.iter().map(ToString::to_string).collect();
    let expected =
        ["Service web-nodes created", "Service web created", "PodDisruptionBudget web created"];
    assert_eq!(texts, expected);
    assert_eq!(keep_up(&api).await.unwrap(), [], "nothing is missing any more");
    assert!(api.writes().iter().all(|call| call.what.starts_with("POST ")), "{:?}", api.writes());
}

#[tokio::test]
async fn what_was_changed_by_hand_is_put_right() {
    type Change = fn(&mut Value);
    let changes: [(&str, Change); 7] = [
        ("services/web", |it| it["spec"]["type"] = json!("NodePort")),
        ("services/web", |it| it["spec"]["selector"]["more"] = json!("narrow")),
        ("services/web", |it| drop(it["spec"]["ports"].as_array_mut().unwrap().remove(0))),
        ("services/web-nodes", |it| it["spec"]["publishNotReadyAddresses"] = json!(false)),
        ("services/web-nodes", |it| it["metadata"]["labels"] = json!({})),
        (PDB_PATH, |it| it["spec"]["minAvailable"] = json!(7)),
        (PDB_PATH, |it| it["metadata"]["ownerReferences"][0]["kind"] = json!("Other")),
    ];
    for (path, by_hand) in changes {
        let api = in_order();
        change(&api, path, by_hand);
        assert_eq!(keep_up(&api).await.unwrap().len(), 1, "{path}");
        assert_eq!(keep_up(&api).await.unwrap(), [], "{path} is right again");
        let [claim, call] = &api.writes()[..] else { panic!("{:?}", api.writes()) };
        assert!(is_claim(claim), "{claim:?}");
        assert!(call.what.starts_with("PATCH ") && call.what.contains("force=true"), "{call:?}");
        assert!(call.body["metadata"]["uid"].is_string(), "only this one is meant: {call:?}");
    }
}

#[tokio::test]
async fn a_pod_that_has_less_grace_than_it_takes_to_hand_over_is_not_evicted() {
    let api = in_order();
    change(&api, "pods/web-0", |it| it["spec"]["terminationGracePeriodSeconds"] = json!(30));
    assert_eq!(keep_up(&api).await.unwrap(), [], "nobody has damaged anything");
    assert_eq!(api.get(PDB_PATH).unwrap()["spec"]["minAvailable"], 1);
}

#[tokio::test]
async fn lists_are_set_as_a_whole_where_an_item_that_somebody_changed_is_in_the_way() {
    let api = in_order();
    let before = api.get("services/web").unwrap()["spec"]["ports"].take();
    change(&api, "services/web", |it| it["spec"]["ports"][0]["port"] = json!(7000));
    assert_eq!(keep_up(&api).await.unwrap().len(), 1);
    assert_eq!(api.get("services/web").unwrap()["spec"]["ports"], before);
    let [claim, applied, merged] = &api.writes()[..] else { panic!("{:?}", api.writes()) };
    assert!(is_claim(claim), "{claim:?}");
    assert!(applied.what.contains("force=true") && !merged.what.contains("force=true"));
    assert_eq!(merged.body, applied.body);
    assert!(merged.body["metadata"]["uid"].is_string(), "only this one is meant: {merged:?}");
}

#[tokio::test]
async fn labels_of_pods_and_of_the_ring_are_put_back_by_a_merge_that_names_the_object() {
    for path in ["pods/web-0", "configmaps/web-ring"] {
        let api = in_order();
        let uid = api.get(path).unwrap()["metadata"]["uid"].take();
        change(&api, path, |it| {
            it["metadata"]["labels"]["app.kubernetes.io/name"] = json!("other");
        });
        assert_eq!(keep_up(&api).await.unwrap().len(), 1);
        assert_eq!(keep_up(&api).await.unwrap(), [], "{path} is right again");
        let labels = json!({"app.kubernetes.io/name": "ringcache"});
        assert_eq!(api.writes()[0].body, json!({"metadata": {"labels": labels, "uid": uid}}));
    }
}

#[tokio::test]
async fn a_pod_that_ends_is_left_alone() {
    let changes: [fn(&mut Value); 2] = [
        |it| it["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z"),
        |it| it["status"]["phase"] = json!("Succeeded"),
    ];
    for end in changes {
        let api = in_order();
        change(&api, "pods/web-0", |it| {
            it["metadata"]["labels"]["app.kubernetes.io/name"] = json!("other");
            end(it);
        });
        assert_eq!(keep_up(&api).await.unwrap(), []);
    }
}

#[tokio::test]
async fn an_object_of_somebody_else_is_named_and_the_rest_goes_on() {
    for (path, kind) in [
        ("services/web", "Service"),
        (PDB_PATH, "PodDisruptionBudget"),
        ("configmaps/web-ring", "ConfigMap"),
    ] {
        let api = in_order();
        change(&api, path, |it| {
            it["metadata"]["ownerReferences"][0] = json!({
                "apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "theirs",
                "controller": true,
            });
        });
        api.remove("services/web-nodes");
        change(&api, "pods/web-0", |it| {
            it["metadata"]["labels"]["app.kubernetes.io/name"] = json!("x");
        });
        let error = keep_up(&api).await.unwrap_err().to_string();
        assert!(error.starts_with(&format!("{kind} shop/web")), "{error}");
        assert!(error.contains("belongs to somebody else: delete it or rename"), "{error}");
        let writes: Vec<String> = api.writes().into_iter().map(|call| call.what).collect();
        assert_eq!(writes.len(), 2, "{writes:?}");
        assert!(writes[0].starts_with("POST /api/v1/namespaces/shop/services?"));
        assert!(writes[1].starts_with("PATCH /api/v1/namespaces/shop/pods/web-0?"));
    }
}

#[tokio::test]
async fn an_object_of_an_earlier_cluster_of_the_same_name_is_about_to_go() {
    for path in ["services/web", PDB_PATH, "configmaps/web-ring"] {
        let api = in_order();
        change(&api, path, |it| {
            it["metadata"]["ownerReferences"][0]["uid"] = json!("an earlier cluster");
        });
        let error = keep_up(&api).await.unwrap_err();
        assert!(matches!(&error, Error::Ending(_)), "{error}");
        assert!(error.to_string().ends_with(" is still being deleted"), "{error}");
        assert_eq!(api.writes().len(), 0);
    }
}

#[tokio::test]
async fn one_failure_does_not_keep_other_repairs_back() {
    let api = in_order();
    api.remove("services/web-nodes");
    api.remove(PDB_PATH);
    api.refuse("POST", "services", 403, "Forbidden");
    assert!(matches!(keep_up(&api).await, Err(Error::Api(_))));
    assert_eq!(api.writes().len(), 2);
}

#[test]
fn additions_of_others_are_contained_and_omissions_are_not() {
    let wanted = json!(services::client(&cluster("{}")));
    let mut live = wanted.clone();
    live["spec"]["ports"].as_array_mut().unwrap().insert(0, json!({"name": "theirs", "port": 1}));
    live["metadata"]["labels"]["theirs"] = json!("x");
    assert!(contains(&live, &wanted));
    assert!(!contains(&wanted, &live));
    let typed: Service = serde_json::from_value(live).unwrap();
    assert!(contains(&json!(typed), &wanted));
}

/// A cluster that a client has created.
async fn real(name: &str) -> (ApiServer, Context<FakeNodes>, CacheCluster) {
    let api = FakeApi::default();
    let context = context(&api, &FakeNodes::default(), hosts([]));
    let clusters: Api<CacheCluster> = Api::namespaced(context.client.clone(), "shop");
    let mut cluster = cluster("{nodes: 1}");
    cluster.metadata.name = Some(name.to_owned());
    cluster.metadata.uid = None;
    cluster.metadata.generation = None;
    let cluster = clusters.create(&PostParams::default(), &cluster).await.unwrap();
    (api.server, context, cluster)
}

async fn pass(context: &Context<FakeNodes>) -> Vec<Repaired> {
    let observation = observe_web(context).await.unwrap().unwrap();
    upkeep(context, &observation, &planned(&observation)).await.unwrap()
}

/// As an operator of before created it.
async fn created<K>(context: &Context<FakeNodes>, object: Value) -> K
where
    K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + serde::Serialize
        + serde::de::DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(context.client.clone(), "shop");
    let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), dry_run: false };
    api.create(&params, &serde_json::from_value(object).unwrap()).await.unwrap()
}

/// What of an object is the operator's choice.
fn chosen(api: &ApiServer, kind: Kind, name: &str) -> Value {
    let mut object = api.get(kind, "shop", name).unwrap();
    for address in ["clusterIP", "clusterIPs"] {
        object["spec"].as_object_mut().unwrap().remove(address);
    }
    let metadata = &object["metadata"];
    json!([
        metadata["labels"],
        metadata["annotations"],
        metadata["ownerReferences"],
        object["spec"]
    ])
}

#[tokio::test(start_paused = true)]
async fn what_this_operator_does_not_render_any_more_is_removed() {
    let (api, context, web) = real("web").await;
    let mut older = [
        json!(services::client(&web)),
        json!(services::nodes(&web)),
        json!(pdb::pdb(&web, 1, false)),
    ];
    for object in &mut older {
        object["metadata"]["labels"]["ringcache.dev/dropped"] = json!("x");
        if let Some(ports) = object["spec"]["ports"].as_array_mut() {
            ports.push(json!({ "name": "dropped", "port": 7000, "protocol": "TCP" }));
        }
    }
    older[2]["spec"]["minAvailable"] = json!(7);
    let [client, nodes, budget] = older;
    let client: Service = created(&context, client).await;
    created::<Service>(&context, nodes).await;
    created::<PodDisruptionBudget>(&context, budget).await;
    // One of them has been applied since, too: its port is the POST's and the apply's.
    let services: Api<Service> = Api::namespaced(context.client.clone(), "shop");
    let mut applied = services::client(&web);
    applied.labels_mut().insert("ringcache.dev/applied".into(), "x".into());
    let params = PatchParams::apply(FIELD_MANAGER).force();
    services.patch(&client.name_any(), &params, &Patch::Apply(&applied)).await.unwrap();
    let theirs = json!({ "metadata": { "labels": { "theirs": "x" } } });
    services.patch("web", &PatchParams::default(), &Patch::Merge(theirs)).await.unwrap();

    assert_eq!(pass(&context).await, [], "nobody has damaged anything");
    let live = services.get("web").await.unwrap();
    assert_eq!(live.labels().get("theirs").map(String::as_str), Some("x"));
    let gone = json!({ "metadata": { "labels": { "theirs": null } } });
    services.patch("web", &PatchParams::default(), &Patch::Merge(gone)).await.unwrap();
    let objects =
        [(Kind::Service, "web"), (Kind::Service, "web-nodes"), (Kind::PodDisruptionBudget, "web")];
    let upgraded = objects.map(|(kind, name)| chosen(&api, kind, name));
    for (kind, name) in objects {
        let object = api.get(kind, "shop", name).unwrap().to_string();
        assert!(!object.contains("dropped") && !object.contains("applied"), "{object}");
    }
    let revision = api.revision();
    assert_eq!(pass(&context).await, []);
    assert_eq!(api.revision(), revision, "at rest");

    // As new ones of this operator.
    let budgets: Api<PodDisruptionBudget> = Api::namespaced(context.client.clone(), "shop");
    for name in ["web", "web-nodes"] {
        services.delete(name, &kube::api::DeleteParams::default()).await.unwrap();
    }
    budgets.delete("web", &kube::api::DeleteParams::default()).await.unwrap();
    assert_eq!(pass(&context).await.len(), 3);
    assert_eq!(objects.map(|(kind, name)| chosen(&api, kind, name)), upgraded);
}

/// Changes the Service `web`, as its users do with tools of their own.
async fn edit(context: &Context<FakeNodes>, change: Value) {
    let services: Api<Service> = Api::namespaced(context.client.clone(), "shop");
    let by_hand =
        PatchParams { field_manager: Some("kubectl-edit".into()), ..PatchParams::default() };
    services.patch("web", &by_hand, &Patch::Merge(change)).await.unwrap();
}

/// Changes `spec.service` of the cluster.
async fn say(context: &Context<FakeNodes>, service: Value) {
    let clusters: Api<CacheCluster> = Api::namespaced(context.client.clone(), "shop");
    let patch = Patch::Merge(json!({ "spec": { "service": service } }));
    clusters.patch("web", &PatchParams::default(), &patch).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_the_spec_does_not_say_of_the_service_is_left_as_it_is() {
    let (api, context, _) = real("web").await;
    assert_eq!(pass(&context).await.len(), 3);
    let theirs = json!({
        "metadata": { "annotations": { "example.com/theirs": "x" } },
        "spec": {
            "type": "LoadBalancer", "loadBalancerClass": "example.com/internal",
            "externalTrafficPolicy": "Local", "sessionAffinity": "ClientIP",
        },
    });
    edit(&context, theirs).await;
    let before = api.get(Kind::Service, "shop", "web").unwrap();
    assert_eq!(before["spec"]["type"], "LoadBalancer");
    assert_eq!(pass(&context).await, []);
    assert_eq!(api.get(Kind::Service, "shop", "web").unwrap(), before);
    // Nor when the operator has something of its own to say.
    say(&context, json!({ "annotations": { "example.com/ours": "1" } })).await;
    assert_eq!(pass(&context).await, []);
    let after = api.get(Kind::Service, "shop", "web").unwrap();
    assert_eq!(after["metadata"]["annotations"]["example.com/ours"], "1");
    assert_eq!(after["metadata"]["annotations"]["example.com/theirs"], "x");
    assert_eq!(after["spec"], before["spec"]);
}

#[tokio::test(start_paused = true)]
async fn what_the_spec_says_of_the_service_is_put_back_and_taken_back_with_it() {
    let (api, context, _) = real("web").await;
    assert_eq!(pass(&context).await.len(), 3);
    let fresh = chosen(&api, Kind::Service, "web");
    let said = json!({
        "type": "LoadBalancer", "loadBalancerClass": "example.com/internal",
        "externalTrafficPolicy": "Local", "annotations": { "example.com/scheme": "internal" },
    });
    say(&context, said).await;
    assert_eq!(pass(&context).await, [], "nobody has damaged anything");
    let said = chosen(&api, Kind::Service, "web");
    let service = api.get(Kind::Service, "shop", "web").unwrap();
    assert_eq!(service["spec"]["type"], "LoadBalancer");
    assert_eq!(service["spec"]["loadBalancerClass"], "example.com/internal");
    assert_eq!(service["spec"]["externalTrafficPolicy"], "Local");
    assert_eq!(service["metadata"]["annotations"]["example.com/scheme"], "internal");

    for by_hand in [
        json!({ "metadata": { "annotations": { "example.com/scheme": "public" } } }),
        json!({ "metadata": { "annotations": { "example.com/scheme": null } } }),
        json!({ "spec": { "externalTrafficPolicy": "Cluster" } }),
        json!({ "spec": { "type": "ClusterIP" } }),
    ] {
        edit(&context, by_hand.clone()).await;
        assert_eq!(pass(&context).await.len(), 1, "{by_hand}");
        assert_eq!(chosen(&api, Kind::Service, "web"), said, "{by_hand}");
    }

    let unsaid = json!({ "type": null, "loadBalancerClass": null, "externalTrafficPolicy": null, "annotations": null });
    say(&context, unsaid).await;
    assert_eq!(pass(&context).await, [], "nobody has damaged anything");
    assert_eq!(chosen(&api, Kind::Service, "web"), fresh);
}

#[tokio::test(start_paused = true)]
async fn another_number_of_nodes_is_no_damage_and_a_hand_is() {
    let (api, context, _) = real("web").await;
    assert_eq!(pass(&context).await.len(), 3);
    let clusters: Api<CacheCluster> = Api::namespaced(context.client.clone(), "shop");
    let more = json!({ "spec": { "nodes": 3, "disruption": { "evictions": "Blocked" } } });
    let more = Patch::Merge(more);
    clusters.patch("web", &PatchParams::default(), &more).await.unwrap();
    assert_eq!(pass(&context).await, []);
    let budget = api.get(Kind::PodDisruptionBudget, "shop", "web").unwrap();
    assert_eq!(budget["spec"]["minAvailable"], 3);
    let budgets: Api<PodDisruptionBudget> = Api::namespaced(context.client.clone(), "shop");
    let by_hand = Patch::Merge(json!({ "spec": { "minAvailable": 0 } }));
    budgets.patch("web", &PatchParams::default(), &by_hand).await.unwrap();
    let expected = Repaired { kind: "PodDisruptionBudget", name: "web".to_owned(), created: false };
    assert_eq!(pass(&context).await, [expected]);
}

#[tokio::test(start_paused = true)]
async fn services_that_were_turned_away_from_the_nodes_lead_there_again() {
    let (api, context, _) = real("web").await;
    assert_eq!(pass(&context).await.len(), 3);
    let services: Api<Service> = Api::namespaced(context.client.clone(), "shop");
    for name in ["web", "web-nodes"] {
        let away = json!({"spec": {"type": "ExternalName", "externalName": "example.com"}});
        services.patch(name, &PatchParams::default(), &Patch::Merge(&away)).await.unwrap();
        let expected = Repaired { kind: "Service", name: name.to_owned(), created: false };
        assert_eq!(pass(&context).await, [expected]);
        assert_eq!(api.get(Kind::Service, "shop", name).unwrap()["spec"]["type"], "ClusterIP");
    }
}

/// A container beside the node has ended: no pod is ready any more, and all nodes serve.
#[tokio::test(start_paused = true)]
async fn nodes_that_serve_in_pods_that_are_not_ready_are_not_evicted_at_once() {
    let api = in_order();
    let policy = || api.get(PDB_PATH).unwrap()["spec"]["unhealthyPodEvictionPolicy"].clone();
    // The operator may be cut off, so that nobody answers it.
    let nodes = FakeNodes::default();
    let keep_up = async |host_is_ready: &str| {
        let context = context(&api, &nodes, hosts([host("host-0", host_is_ready, false)]));
        let observation = observe_web(&context).await.unwrap().unwrap();
        upkeep(&context, &observation, &planned(&observation)).await.unwrap()
    };
    let pod_of_a_node_that = |ready: bool| {
        change(&api, "pods/web-0", |pod| {
            pod["spec"]["nodeName"] = "host-0".into();
            pod["status"]["conditions"] = json!([{"type": "Ready", "status": "False"}]);
            pod["status"]["containerStatuses"] = json!([{
                "name": "cache-node", "image": "cache:1", "imageID": "", "restartCount": 0,
                "ready": ready, "state": {"running": {}},
            }]);
        });
    };
    pod_of_a_node_that(true);
    keep_up("True").await;
    assert_eq!(policy(), "IfHealthyBudget");
    keep_up("Unknown").await;
    assert_eq!(policy(), "AlwaysAllow", "a kubelet that is gone said that, and the node is too");
    pod_of_a_node_that(false);
    keep_up("True").await;
    assert_eq!(policy(), "AlwaysAllow");
}

/// `kubectl edit pdb web`, with the other way to say how many may go.
#[tokio::test(start_paused = true)]
async fn a_budget_that_was_given_the_other_bound_is_put_right() {
    let (api, context, _) = real("web").await;
    assert_eq!(pass(&context).await.len(), 3);
    let budgets: Api<PodDisruptionBudget> = Api::namespaced(context.client.clone(), "shop");
    let by_hand =
        Patch::Merge(json!({ "spec": { "minAvailable": null, "maxUnavailable": "100%" } }));
    budgets.patch("web", &PatchParams::default(), &by_hand).await.unwrap();
    let expected = Repaired { kind: "PodDisruptionBudget", name: "web".to_owned(), created: false };
    assert_eq!(pass(&context).await, [expected]);
    let budget = api.get(Kind::PodDisruptionBudget, "shop", "web").unwrap();
    assert!(budget["spec"]["maxUnavailable"].is_null(), "{budget}");
}

/// By way of another type, as the rule demands, but before the operator has looked (or while `paused`).
#[tokio::test(start_paused = true)]
async fn another_class_of_load_balancer_is_reached_however_late_the_operator_looks() {
    let (api, context, _) = real("web").await;
    let said = |class: &str| json!({ "type": "LoadBalancer", "loadBalancerClass": class });
    say(&context, said("example.com/a")).await;
    assert_eq!(pass(&context).await.len(), 3);
    say(&context, json!({ "type": "ClusterIP", "loadBalancerClass": null })).await;
    say(&context, said("example.com/b")).await;
    pass(&context).await;
    pass(&context).await;
    let service = api.get(Kind::Service, "shop", "web").unwrap();
    assert_eq!(service["spec"]["loadBalancerClass"], "example.com/b");
}

#[tokio::test]
async fn a_ring_that_cannot_be_written_is_told_before_it_must_be_with_the_remedy() {
    let api = in_order();
    change(&api, "configmaps/web-ring", |ring| ring["immutable"] = json!(true));
    let told = keep_up(&api).await.unwrap_err().to_string();
    assert!(told.contains("ConfigMap shop/web-ring is immutable"), "{told}");
    assert!(told.contains("kubectl --namespace shop delete configmap web-ring"), "{told}");
}
