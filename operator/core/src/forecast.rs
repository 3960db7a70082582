//! What a plan leads to: every step that the planner would ask for, one plan after the other, if each succeeded.

use ringcache_api::admin::{ADMIN_VERSION, NodeState, NodeStats, Ownership, Settings};
use ringcache_api::{Incarnation, Ports};
use ringcache_ring::SlotSet;

use crate::{Checked, Intent, Observed, ObservedNode, Phase, Place, Plan, Step, Violation};
use crate::{check, plan};

/// More looks than this need no observation: replacing a node takes four plans, and there are 100 nodes at most.
const MOST_LOOKS: usize = 600;

/// Plans, one after the other.
#[derive(Clone, Debug)]
pub struct Forecast {
    /// Those that have steps, in order.
    pub plans: Vec<Plan<Checked>>,
    /// The last one: what the cluster then does, or waits for.
    pub end: Plan<Checked>,
    /// Slots that change their owner on the way with what they hold, those that do so twice counted twice.
    pub moved: usize,
    /// The members at the end, by name.
    pub members: Vec<String>,
}

/// What the planner would do from here on, if every step succeeded, nodes started and slots moved at once, and nothing else happened.
///
/// # Errors
///
/// What the check has against a plan.
pub fn forecast(intent: &Intent, observed: &Observed) -> Result<Forecast, Vec<Violation>> {
    let mut world = observed.clone();
    // What nobody owns now is adopted empty.
    let held = world.served();
    let (mut plans, mut moved) = (Vec::new(), 0);
    let mut looks = 0;
    loop {
        looks += 1;
        let next = check(plan(intent, &world), intent, &world)?;
        let before = next.steps().is_empty().then(|| world.clone());
        for step in next.steps() {
            carry_out(&mut world, step);
        }
        moved += hand_over(&mut world, &held);
        go_on(&mut world, intent);
        if before.as_ref() == Some(&world) || looks == MOST_LOOKS {
            let members = world.stored().into_iter().flat_map(|document| &document.members);
            let members = members.map(|member| member.name.clone()).collect();
            return Ok(Forecast { plans, end: next, moved, members });
        }
        plans.extend((!next.steps().is_empty()).then_some(next));
    }
}

fn carry_out(world: &mut Observed, step: &Step) {
    match step {
        Step::WriteDocument { document } => world.document = Some(document.clone()),
        Step::PushDocument { uid, .. } => {
            let told = world.document.as_ref().map(|told| (told.epoch, told.checksum.clone()));
            if let (Some(state), Some((epoch, checksum))) = (state(world, uid), told) {
                (state.epoch, state.checksum) = (epoch, checksum);
            }
        }
        Step::Configure { uid, settings, .. } => {
            if let Some(state) = state(world, uid) {
                state.settings = (*settings).into();
            }
        }
        Step::StartNode { name, template, settings } => {
            let uid = format!("forecast-{name}");
            world.nodes.push(ObservedNode {
                name: name.clone(),
                host: name.clone(),
                place: Place::default(),
                ports: world.nodes.first().map_or(NO_PORTS, |node| node.ports),
                template: template.clone(),
                phase: Phase::Running,
                state: Some(started(world, name, &uid, *settings)),
                draining: false,
                stopping: false,
                resting: false,
                silent_seconds: 0,
                trouble: None,
                uid,
            });
        }
        Step::StopNode { uid, .. } => world.nodes.retain(|node| node.uid != *uid),
    }
}

const NO_PORTS: Ports = Ports { resp: 0, http: 0, admin: 0, bus: 0 };

fn state<'a>(world: &'a mut Observed, uid: &str) -> Option<&'a mut NodeState> {
    world.nodes.iter_mut().find(|node| node.uid == uid)?.state.as_mut()
}

/// What a node says that has just started.
fn started(world: &Observed, name: &str, uid: &str, settings: Settings) -> NodeState {
    NodeState {
        version: ADMIN_VERSION,
        name: name.to_owned(),
        incarnation: Incarnation::new(uid, "1"),
        cluster_uid: world.cluster.uid.clone(),
        program: String::new(),
        epoch: 0,
        checksum: String::new(),
        ownership: Ownership::default(),
        settings: settings.into(),
        stats: NodeStats::default(),
        heard: Vec::new(),
        draining: false,
    }
}

/// Nodes that are on their way start, and those end that were told to and own nothing any more.
fn go_on(world: &mut Observed, intent: &Intent) {
    let is_member = |world: &Observed, uid: &str| {
        let members = world.stored().into_iter().flat_map(|document| &document.members);
        members.into_iter().any(|member| member.uid.uid() == uid)
    };
    for i in (0..world.nodes.len()).rev() {
        let ObservedNode { name, uid, phase, stopping, trouble, state, .. } = &world.nodes[i];
        let takes_part = is_member(world, uid);
        let owns = state.as_ref().is_some_and(|state| !state.ownership.owned.is_empty());
        let comes = match phase {
            Phase::Pending => trouble.is_none(),
            Phase::Starting => true,
            _ => false,
        };
        if *phase == Phase::Stopping && !takes_part && !owns {
            world.nodes.remove(i);
        } else if comes && !stopping && !takes_part {
            let state = started(world, name, uid, intent.settings);
            let node = &mut world.nodes[i];
            let host = if node.host.is_empty() { node.name.clone() } else { node.host.clone() };
            (node.phase, node.state, node.host) = (Phase::Running, Some(state), host);
            node.silent_seconds = 0;
        }
    }
}

/// Lets every node that has the document own what it should; so many of the slots that were held came from others.
fn hand_over(world: &mut Observed, held: &SlotSet) -> usize {
    let Some(document) = world.document.clone() else { return 0 };
    let mut moved = 0;
    for node in &mut world.nodes {
        let Some(state) = node.state.as_mut().filter(|state| state.epoch == document.epoch) else {
            continue;
        };
        let intended = document.incarnation(&state.incarnation);
        let owned = intended.map(|member| document.intended(&member.name)).unwrap_or_default();
        let before = state.ownership.owned.iter().map(|&(first, last)| first..=last);
        moved += owned.difference(&SlotSet::from_ranges(before)).intersection(held).len();
        state.ownership = Ownership {
            owned: owned.ranges().map(|range| (*range.start(), *range.end())).collect(),
            ..Ownership::default()
        };
    }
    moved
}
