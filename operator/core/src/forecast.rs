//! What a plan leads to: every step that the planner would ask for, one plan after the other, if each succeeded.

use ringcache_api::admin::{NodeState, NodeStats, Ownership};
use ringcache_api::{Incarnation, Ports};

use crate::{Checked, Intent, Observed, ObservedNode, Phase, Place, Plan, Step, Violation};
use crate::{check, plan};

/// More plans than this follow from no observation: replacing a node takes three.
const MOST_PLANS: usize = 600;

/// Plans, one after the other.
#[derive(Clone, Debug)]
pub struct Forecast {
    /// Those that have steps, in order.
    pub plans: Vec<Plan<Checked>>,
    /// The first one that has none: what the cluster then does, or waits for.
    pub end: Plan<Checked>,
    /// Slots that change their owner on the way, those that do so twice counted twice.
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
    let (mut plans, mut moved) = (Vec::new(), 0);
    loop {
        let next = check(plan(intent, &world), intent, &world)?;
        if next.steps().is_empty() || plans.len() == MOST_PLANS {
            let members = world.stored().into_iter().flat_map(|document| &document.members);
            let members = members.map(|member| member.name.clone()).collect();
            return Ok(Forecast { plans, end: next, moved, members });
        }
        for step in next.steps() {
            carry_out(&mut world, step);
        }
        moved += hand_over(&mut world);
        plans.push(next);
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
            let state = NodeState {
                version: ringcache_api::admin::ADMIN_VERSION,
                name: name.clone(),
                incarnation: Incarnation::new(&uid, "1"),
                cluster_uid: world.cluster.uid.clone(),
                program: String::new(),
                epoch: 0,
                checksum: String::new(),
                ownership: Ownership::default(),
                settings: (*settings).into(),
                stats: NodeStats::default(),
                heard: Vec::new(),
                draining: false,
            };
            world.nodes.push(ObservedNode {
                name: name.clone(),
                uid,
                host: name.clone(),
                place: Place::default(),
                ports: world.nodes.first().map_or(NO_PORTS, |node| node.ports),
                template: template.clone(),
                phase: Phase::Running,
                state: Some(state),
                draining: false,
                stopping: false,
                resting: false,
                silent_seconds: 0,
                trouble: None,
            });
        }
        Step::StopNode { uid, .. } => world.nodes.retain(|node| node.uid != *uid),
    }
}

const NO_PORTS: Ports = Ports { resp: 0, http: 0, admin: 0, bus: 0 };

fn state<'a>(world: &'a mut Observed, uid: &str) -> Option<&'a mut NodeState> {
    world.nodes.iter_mut().find(|node| node.uid == uid)?.state.as_mut()
}

/// Lets every node that has the document own what it should; so many slots came from others.
fn hand_over(world: &mut Observed) -> usize {
    let Some(document) = world.document.clone() else { return 0 };
    let mut moved = 0;
    for node in &mut world.nodes {
        let Some(state) = node.state.as_mut().filter(|state| state.epoch == document.epoch) else {
            continue;
        };
        let intended = document.incarnation(&state.incarnation);
        let owned = intended.map(|member| document.intended(&member.name)).unwrap_or_default();
        let before = state.ownership.owned.iter().map(|&(first, last)| first..=last);
        let before = ringcache_ring::SlotSet::from_ranges(before);
        moved += owned.len() - owned.intersection(&before).len();
        state.ownership = Ownership {
            owned: owned.ranges().map(|range| (*range.start(), *range.end())).collect(),
            ..Ownership::default()
        };
    }
    moved
}
