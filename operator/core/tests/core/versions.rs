//! Operators and nodes of different versions get along, and the status tells what runs.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;
use ringcache_api::status::{CacheClusterStatus, condition};
use ringcache_operator_core::{
    Held, HeldBack, Observed, Operation, Outcome, SpecProblem, Trouble, VERSION, status, unread,
};

use crate::world::{World, checked, spec};

fn report(world: &World, observed: &Observed) -> CacheClusterStatus {
    let in_force = world.in_force();
    let plan = checked(&in_force.intent, observed);
    let outcome = Outcome { held: in_force.held.as_ref(), ..Outcome::of(&plan) };
    status(outcome, observed, None, &Time(Timestamp::UNIX_EPOCH))
}

fn up_to_date(status: &CacheClusterStatus) -> (String, String) {
    let is_it = |found: &&Condition| found.type_ == condition::UP_TO_DATE;
    let found = status.conditions.iter().find(is_it);
    let told =
        found.map(|found| (format!("{} ({})", found.status, found.reason), found.message.clone()));
    told.unwrap_or_default()
}

/// A cluster at rest whose spec uses every setting.
fn with_settings() -> World {
    let mut world = World::new(spec(2, "  ttl: {defaultSeconds: 300, jitterPercent: 20}"));
    world.settle();
    world
}

#[test]
fn a_setting_that_an_older_node_does_not_know_leads_to_no_step_and_is_told() {
    let world = with_settings();
    let mut observed = world.observe();
    for node in &mut observed.nodes {
        node.state.as_mut().unwrap().settings.ttl_jitter_percent = None;
    }
    let plan = checked(&world.intent(), &observed);
    assert_eq!((plan.operation(), plan.steps().len()), (&Operation::Steady, 0));
    assert!(!plan.poll_soon(), "nothing would come of it");
    let note =
        "simple-web-0, simple-web-1 cannot do `ttlJitterPercent`, which takes a newer program";
    assert_eq!(plan.notes().iter().map(ToString::to_string).collect::<Vec<_>>(), [note]);
    let (condition, message) = up_to_date(&report(&world, &observed));
    assert_eq!(condition, "False (SettingUnknown)");
    assert!(message.starts_with("simple-web-0, simple-web-1 cannot do `ttlJitterPercent`"));
}

#[test]
fn a_setting_that_a_node_does_not_know_keeps_no_other_one_back() {
    let mut world = with_settings();
    world.edit(|spec| spec.ttl.default_seconds = 60);
    let mut observed = world.observe();
    observed.nodes[0].state.as_mut().unwrap().settings.ttl_jitter_percent = None;
    let plan = checked(&world.intent(), &observed);
    assert_eq!(plan.steps().len(), 2, "{plan}");
}

#[test]
fn a_setting_that_nobody_uses_need_not_be_known() {
    let world = World::steady(2);
    let mut observed = world.observe();
    observed.nodes[0].state.as_mut().unwrap().settings.ttl_jitter_percent = None;
    assert_eq!(up_to_date(&report(&world, &observed)).0, "True (UpToDate)");
}

#[test]
fn the_status_tells_which_versions_and_which_image_run() {
    let world = World::steady(2);
    let mut observed = world.observe();
    let reported = report(&world, &observed);
    assert_eq!((reported.version.as_deref(), reported.image.as_str()), (Some(VERSION), "1.0"));
    assert!(reported.members.iter().all(|member| member.version.as_deref() == Some(VERSION)));
    observed.nodes[1].state.as_mut().unwrap().program = "0.0.9".into();
    let reported = report(&world, &observed);
    assert_eq!(reported.version, Some(format!("0.0.9, {VERSION}")));
    assert_eq!(reported.members[1].version.as_deref(), Some("0.0.9"));
    observed.nodes[1].state = None;
    assert_eq!(report(&world, &observed).members[1].version, None);
}

#[test]
fn nodes_of_another_version_than_the_operator_are_told() {
    let world = World::steady(2);
    for (version, expected) in [
        (VERSION, "True (UpToDate)"),
        ("0.0.9", "False (OlderNodes)"),
        ("999.0.0", "False (NewerNodes)"),
    ] {
        let mut observed = world.observe();
        observed.nodes[1].state.as_mut().unwrap().program = version.into();
        let reported = report(&world, &observed);
        assert_eq!(up_to_date(&reported).0, expected);
        let named = up_to_date(&reported).1.contains(&format!("simple-web-1 ({version})"));
        assert_eq!(named, version != VERSION);
        assert!(checked(&world.intent(), &observed).steps().is_empty(), "it is told, not mended");
    }
}

#[test]
fn nodes_that_are_to_be_replaced_are_told_also_while_they_are_not() {
    let mut world = World::steady(2);
    world.edit(|spec| spec.memory.0 = "512Mi".into());
    let rolling = up_to_date(&report(&world, &world.observe()));
    assert_eq!(rolling.0, "False (RollingOut)");
    assert!(rolling.1.ends_with("simple-web-0, simple-web-1. They are replaced one at a time."));
    world.edit(|spec| spec.paused = true);
    let paused = up_to_date(&report(&world, &world.observe()));
    assert_eq!(paused.0, "False (RollingOut)");
    assert!(paused.1.ends_with("They stay as they are while `paused` is true."));
    // What was recorded as paused is carried out in place of a spec that breaks a rule.
    world.last = Some(world.cluster.spec.clone());
    world.edit(|spec| (spec.nodes, spec.paused) = (0, false));
    let invalid = up_to_date(&report(&world, &world.observe()));
    assert_eq!(invalid.0, "False (RollingOut)");
    assert!(invalid.1.ends_with("They stay as they are until the spec can be carried out."));
}

#[test]
fn a_pause_holds_back_what_can_be_read_of_a_spec() {
    let mut world = World::steady(2);
    world.edit(|spec| (spec.image, spec.paused) = (Some("cache:2".into()), true));
    let problem = SpecProblem { field: "spec", message: "the spec cannot be read".into() };
    let in_force = unread(&world.cluster, problem, world.last.as_ref()).unwrap();
    let back = in_force.held.as_ref().and_then(Held::held_back).unwrap();
    assert_eq!(back.image.as_deref(), Some("cache:2"));
}

#[test]
fn a_pause_holds_no_share_of_a_cpu_back_that_is_only_written_in_other_words() {
    let mut world = World::steady(2);
    for (request, limit, held) in [("0.1", None, &[][..]), ("0.2", Some("1"), &["`resources`"])] {
        world.edit(|spec| {
            spec.paused = true;
            spec.resources.cpu_request.0 = request.into();
            spec.resources.cpu_limit = limit.map(|limit| Quantity(limit.into()));
        });
        let back = world.in_force().held.and_then(|held| held.held_back().cloned()).unwrap();
        assert_eq!(back.fields, held, "{request}");
    }
}

#[test]
fn a_pause_holds_no_size_back_that_is_only_written_in_another_unit() {
    let mut world = World::steady(2);
    let bytes = world.intent().memory_bytes;
    for same in [bytes.to_string(), format!("{}Ki", bytes >> 10)] {
        world.edit(|spec| (spec.memory.0, spec.paused) = (same, true));
        let held = world.in_force().held;
        assert_eq!(held.and_then(|held| held.held_back().cloned()), Some(HeldBack::default()));
    }
    world.edit(|spec| spec.memory.0 = "512Mi".into());
    let back = world.in_force().held.and_then(|held| held.held_back().cloned()).unwrap();
    assert_eq!(back.fields, ["`memory` (512Mi)"]);
}

#[test]
fn one_word_tells_what_matters_most() {
    let told = |outcome: Outcome<'_>, observed: &Observed| {
        let status = status(outcome, observed, None, &Time(Timestamp::UNIX_EPOCH));
        let summary = status.summary.unwrap();
        (summary.state, summary.message)
    };
    let mut world = World::steady(2);
    let (observed, plan) = (world.observe(), world.plan());
    let served = "All 16384 slots are served.";
    assert_eq!(told(Outcome::of(&plan), &observed), ("Serving".into(), served.into()));
    let with = |trouble: &Trouble| {
        told(Outcome { trouble: Some(trouble), ..Outcome::of(&plan) }, &observed)
    };
    let failing = Trouble::Failing("quota".into());
    assert_eq!(with(&failing), ("Failing".into(), "quota".into()));
    assert_eq!(with(&Trouble::NameConflict("Service shop/web".into())).0, "NameConflict");
    let problem = SpecProblem { field: "spec.nodes", message: "`nodes` must be 1".into() };
    let held = |held: &Held, world: &World| {
        told(Outcome { held: Some(held), ..Outcome::of(&world.plan()) }, &world.observe())
    };
    let invalid = held(&Held::Invalid(vec![problem]), &world);
    assert_eq!(invalid, ("InvalidSpec".into(), "`nodes` must be 1".into()));
    assert_eq!(held(&Held::Paused(HeldBack::default()), &world).0, "Paused");

    world.edit(|spec| spec.nodes = 3);
    let scaling = told(Outcome::of(&world.plan()), &world.observe());
    assert_eq!(scaling, ("Serving".into(), format!("{served} ScaleOut: from 2 to 3 nodes.")));
    world.node("simple-web-1").die();
    let dead = held(&Held::Paused(HeldBack::default()), &world);
    assert_eq!(dead.0, "SlotsWithoutOwner", "what clients suffer comes before what is paused");
    let new = World::new(spec(2, ""));
    assert_eq!(told(Outcome::of(&new.plan()), &new.observe()).0, "NoRing");

    let mut short = World::steady(2);
    short.room = 2;
    short.edit(|spec| spec.nodes = 3);
    (0..6).for_each(|_| drop(short.round()));
    let degraded = told(Outcome::of(&short.plan()), &short.observe());
    assert_eq!(degraded.0, "NodesMissing");
}
