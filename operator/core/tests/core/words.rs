//! What a status says to a person: the cause where they look first, each thing once, and every operation by what it is.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use ringcache_api::status::CacheClusterStatus;
use ringcache_operator_core::{Observed, Outcome, Trouble, status};

use crate::node::Node;
use crate::world::{World, spec};

fn told(outcome: Outcome<'_>, observed: &Observed) -> CacheClusterStatus {
    status(outcome, observed, None, &Time(Timestamp::UNIX_EPOCH))
}

fn of(world: &World) -> CacheClusterStatus {
    told(Outcome::of(&world.plan()), &world.observe())
}

/// State and message of the summary.
fn summary(status: &CacheClusterStatus) -> (&str, &str) {
    let summary = status.summary.as_ref().unwrap();
    (&summary.state, &summary.message)
}

/// Reason and message of a condition.
fn condition<'a>(status: &'a CacheClusterStatus, type_: &str) -> (&'a str, &'a str) {
    let found = status.conditions.iter().find(|condition| condition.type_ == type_).unwrap();
    (&found.reason, &found.message)
}

/// A first cluster that finds no room.
fn without_room(nodes: i32) -> World {
    let mut world = World::new(spec(nodes, ""));
    world.room = 0;
    world.round();
    world
}

#[test]
fn a_first_cluster_that_cannot_start_says_why_in_its_column_and_its_conditions() {
    let status = of(&without_room(3));
    let cause = "waits for simple-web-0, simple-web-1, simple-web-2 (each: Unschedulable: 0/3 nodes are available) to start";
    let ready = format!("There is no ring yet: {cause}.");
    assert_eq!(condition(&status, "Ready"), ("NodesCannotStart", ready.as_str()));
    let message = format!("{ready} Create: a ring of 3 nodes.");
    assert_eq!(summary(&status), ("NodesCannotStart", message.as_str()), "each thing once");
}

#[test]
fn a_first_cluster_that_may_start_no_node_says_who_refuses_them() {
    let world = World::new(spec(1, ""));
    let (plan, observed) = (world.plan(), Observed { starts_fail: true, ..world.observe() });
    let quota = Trouble::Failing("pods \"simple-web-0\" is forbidden: exceeded quota".into());
    let status = told(Outcome { trouble: Some(&quota), ..Outcome::of(&plan) }, &observed);
    let ready = "There is no ring yet: pods \"simple-web-0\" is forbidden: exceeded quota.";
    assert_eq!(condition(&status, "Ready"), ("NodesCannotStart", ready));
    let message = "pods \"simple-web-0\" is forbidden: exceeded quota. Create: a ring of 1 node.";
    assert_eq!(summary(&status), ("Failing", message));
}

#[test]
fn a_cluster_that_lost_all_nodes_does_not_look_like_a_new_one() {
    let mut world = World::steady(2);
    world.nodes.iter_mut().for_each(Node::die);
    assert_eq!(condition(&of(&world), "Ready"), ("NoRing", "No node of the ring is left."));
}

#[test]
fn a_first_cluster_whose_nodes_are_on_their_way_has_nothing_wrong_with_it() {
    let mut world = World::new(spec(1, ""));
    assert_eq!(condition(&of(&world), "Ready"), ("NoRing", "There is no ring yet."));
    let plan = world.plan();
    world.execute(&plan, usize::MAX);
    let status = of(&world);
    let (reason, message) = condition(&status, "Ready");
    assert_eq!(reason, "NoRing");
    assert!(message.ends_with("waits for simple-web-0 to start."), "{message}");
}

#[test]
fn a_cause_that_many_nodes_share_is_told_once_with_their_number() {
    let status = of(&without_room(12));
    let message = status.operation.as_ref().unwrap().message.as_str();
    let names = (0..8).map(|n| format!("simple-web-{n}")).collect::<Vec<_>>().join(", ");
    let expected = format!(
        "a ring of 12 nodes; waits for {names} and 4 more (each: Unschedulable: 0/3 nodes are available) to start"
    );
    assert_eq!(message, expected);
}

#[test]
fn a_node_that_somebody_told_to_end_is_replaced_and_no_scaling_is_told() {
    let mut world = World::steady(5);
    world.terminate(2, 3);
    let mut previous = of(&World::steady(5));
    let mut kinds = Vec::new();
    while world.round().poll_soon() {
        let (plan, observed) = (world.plan(), world.observe());
        let now = Time(Timestamp::UNIX_EPOCH);
        previous = status(Outcome::of(&plan), &observed, Some(&previous), &now);
        kinds.extend(previous.operation.as_ref().map(|operation| operation.type_.clone()));
    }
    kinds.dedup();
    assert_eq!(kinds.first().unwrap(), "Replace");
    assert!(!kinds.iter().any(|kind| kind.starts_with("Scale")), "{kinds:?}");
    world.edit(|spec| spec.nodes = 6);
    let (plan, observed) = (world.plan(), world.observe());
    let now = Time(Timestamp::UNIX_EPOCH);
    let scaled = status(Outcome::of(&plan), &observed, Some(&previous), &now);
    assert_eq!(scaled.operation.unwrap().type_, "ScaleOut");
}

#[test]
fn a_repair_is_one_until_the_dead_node_has_a_successor() {
    let mut world = World::steady(3);
    world.node("simple-web-1").die();
    let now = Time(Timestamp::UNIX_EPOCH);
    let mut previous = of(&world);
    let mut told = vec![condition(&previous, "Reconciling").1.to_owned()];
    while world.round().poll_soon() {
        let (plan, observed) = (world.plan(), world.observe());
        previous = status(Outcome::of(&plan), &observed, Some(&previous), &now);
        told.push(condition(&previous, "Reconciling").1.to_owned());
    }
    assert!(told[0].starts_with("Repair: simple-web-1 died"), "{told:?}");
    assert!(!told.iter().any(|text| text.starts_with("Scale")), "{told:?}");
}

#[test]
fn a_scale_in_is_one_although_somebody_tells_a_node_to_end_meanwhile() {
    let mut world = World::steady(5);
    world.terminate(2, 3);
    world.edit(|spec| spec.nodes = 4);
    assert_eq!(of(&world).operation.unwrap().type_, "ScaleIn");
}

#[test]
fn a_paused_cluster_says_which_changes_of_its_spec_wait() {
    let mut world = World::steady(2);
    world.edit(|spec| spec.paused = true);
    let told = |world: &World| {
        let (plan, held) = (world.plan(), world.in_force().held);
        let outcome = Outcome { held: held.as_ref(), ..Outcome::of(&plan) };
        let status = told(outcome, &world.observe());
        let (reason, message) = condition(&status, "UpToDate");
        (reason.to_owned(), message.to_owned())
    };
    assert_eq!(told(&world).0, "UpToDate", "nothing waits");
    world.cluster.spec.image = Some("1.0".into());
    assert_eq!(told(&world).0, "UpToDate", "it is what they run");
    world.cluster.spec.image = Some("cache:2".into());
    world.cluster.spec.memory.0 = "512Mi".into();
    world.cluster.spec.pod.scheduler_name = Some("other".into());
    let waits = "`paused` is true, and holds changes of the spec back that need other nodes: `image` (cache:2), `memory` (512Mi), `pod`.";
    assert_eq!(told(&world), ("Paused".into(), waits.into()));
    world.cluster.spec.nodes = 0;
    assert_eq!(told(&world).0, "Paused", "another field is invalid");
}

#[test]
fn a_cluster_whose_name_is_taken_has_not_done_all_that_there_is_to_do() {
    let world = World::steady(1);
    let (plan, observed) = (world.plan(), Observed { open: false, ..world.observe() });
    let conflict = Trouble::NameConflict("Service shop/web is somebody else's".into());
    let status = told(Outcome { trouble: Some(&conflict), ..Outcome::of(&plan) }, &observed);
    let waits = "Waits for a name that somebody else has.";
    assert_eq!(condition(&status, "Reconciling"), ("NameConflict", waits));
    assert_eq!(condition(&status, "Ready").0, "NoEndpoint");
    assert_eq!(summary(&status), ("NameConflict", "Service shop/web is somebody else's"));
}

#[test]
fn what_is_told_of_a_node_has_no_hash_and_names_fields_as_the_spec_does() {
    let world = World::new(spec(1, ""));
    let observed = Observed { pod: "e3b0c44298fc".into(), ..world.observe() };
    let text = crate::world::checked(&world.intent(), &observed).to_string();
    assert!(
        text.ends_with("start simple-web-0: 256Mi, program 1.0, ttl.defaultSeconds 0"),
        "{text}"
    );
}

#[test]
fn what_cannot_be_read_of_a_list_is_named_with_its_place_in_it() {
    let mut cluster = spec(1, "");
    let fine = serde_json::json!({"name": "A", "value": "1"});
    cluster.spec.pod.env = vec![fine, serde_json::json!({"name": "B", "valeu": "2"})];
    let problems = ringcache_operator_core::validate(&cluster).unwrap_err();
    let texts: Vec<&str> = problems.iter().map(|problem| problem.message.as_str()).collect();
    let expected = "`pod.env[1]` must be as it is in the spec of a pod, but `valeu` is unknown";
    assert_eq!(texts, [expected]);
}
