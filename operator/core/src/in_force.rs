//! Which spec is carried out: that of the resource, or the last valid one while that one breaks a rule or is paused.
//!
//! A cluster whose spec cannot be carried out still loses nodes and hosts. Without a spec to go by, nobody would take over the
//! slots of a dead node until a person has corrected a field that has nothing to do with it.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use ringcache_api::cluster::Resources;
use ringcache_api::{CacheCluster, CacheClusterSpec, Document, MemberState};

use crate::autoscaling::{State, nodes};
use crate::quantity::{bytes, is_one_amount, nano_cpus};
use crate::{Intent, Observed, SpecProblem, validate};

/// Why the spec of the resource is not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// `paused` is true, and holds this back.
    Paused(HeldBack),
    /// It breaks these rules.
    Invalid(Vec<SpecProblem>),
    /// It breaks these rules, and `paused` is true and holds this back.
    Both(Vec<SpecProblem>, HeldBack),
}

/// Changes of a spec that wait and that only other nodes can take on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeldBack {
    /// Another image.
    pub image: Option<String>,
    /// What else, by fields.
    pub fields: Vec<String>,
}

impl HeldBack {
    /// What `wanted` has and `last`, which is carried out, has not.
    fn of(wanted: &CacheClusterSpec, last: &CacheClusterSpec) -> Self {
        // Without `..`: whoever adds a field must say here whether it takes other nodes.
        let CacheClusterSpec {
            nodes: _,
            autoscaling: _,
            memory,
            ttl: _,
            paused: _,
            image,
            image_pull_secret_names,
            resources,
            scheduling,
            pod,
            service: _,
            disruption: _,
            inherit: _,
        } = wanted;
        let differing = [
            (!is_one_amount(memory, &last.memory, bytes), format!("`memory` ({})", memory.0)),
            (
                *image_pull_secret_names != last.image_pull_secret_names,
                "`imagePullSecretNames`".into(),
            ),
            (!are_as_much(resources, &last.resources), "`resources`".into()),
            (*scheduling != last.scheduling, "`scheduling`".into()),
            (*pod != last.pod, "`pod`".into()),
        ];
        let fields = differing.into_iter().filter_map(|(differs, field)| differs.then_some(field));
        Self { image: image.clone().filter(|_| *image != last.image), fields: fields.collect() }
    }
}

/// Whether both ask for the same, in whichever words.
fn are_as_much(one: &Resources, other: &Resources) -> bool {
    let is_one_limit = match (&one.cpu_limit, &other.cpu_limit) {
        (Some(one), Some(other)) => is_one_amount(one, other, nano_cpus),
        (one, other) => one == other,
    };
    is_one_limit && is_one_amount(&one.cpu_request, &other.cpu_request, nano_cpus)
}

impl Held {
    fn by(problems: Vec<SpecProblem>, paused: bool, back: HeldBack) -> Self {
        if paused { Self::Both(problems, back) } else { Self::Invalid(problems) }
    }

    /// Whether `paused` is true.
    pub fn is_paused(&self) -> bool {
        self.held_back().is_some()
    }

    /// What `paused` holds back, if it is true.
    pub fn held_back(&self) -> Option<&HeldBack> {
        match self {
            Self::Paused(back) | Self::Both(_, back) => Some(back),
            Self::Invalid(_) => None,
        }
    }

    /// The rules that are broken.
    pub fn problems(&self) -> &[SpecProblem] {
        match self {
            Self::Paused(_) => &[],
            Self::Invalid(problems) | Self::Both(problems, _) => problems,
        }
    }
}

/// What is carried out.
#[derive(Clone, Debug, PartialEq)]
pub struct InForce {
    /// The spec that is carried out: everything is made by this one.
    pub spec: CacheClusterSpec,
    /// What it says.
    pub intent: Intent,
    /// Why it is not the one of the resource, if it is not.
    pub held: Option<Held>,
}

impl InForce {
    /// The same with the number of nodes that is in force where something scales the cluster, whose ring is this document's.
    #[must_use]
    pub fn sized(mut self, recorded: Option<&State>, document: Option<&Document>) -> Self {
        let members = document.into_iter().flat_map(|document| &document.members);
        let staying = members.filter(|member| member.state != MemberState::Leaving).count();
        self.intent.nodes = nodes(&self.spec, recorded, staying);
        self
    }
}

/// What is carried out, if `last` is the last spec that was carried out and not held, as far as anybody knows. An error if there
/// is nothing to go by: a cluster that has never had a valid spec, or was paused from the beginning.
pub fn in_force(cluster: &CacheCluster, last: Option<&CacheClusterSpec>) -> Result<InForce, Held> {
    let is_deleted = cluster.metadata.deletion_timestamp.is_some();
    let back = || last.map(|last| HeldBack::of(&cluster.spec, last)).unwrap_or_default();
    let held = match validate(cluster) {
        Ok(intent) if !cluster.spec.paused || is_deleted => {
            return Ok(InForce { spec: cluster.spec.clone(), intent, held: None });
        }
        Ok(_) => Held::Paused(back()),
        Err(problems) => Held::by(problems, cluster.spec.paused, back()),
    };
    instead(cluster, held, last)
}

/// What is carried out where the spec of the resource cannot be read as a whole, as one that a newer schema took and an older operator
/// finds.
pub fn unread(
    cluster: &CacheCluster,
    problem: SpecProblem,
    last: Option<&CacheClusterSpec>,
) -> Result<InForce, Held> {
    let back = last.map(|last| HeldBack::of(&cluster.spec, last)).unwrap_or_default();
    instead(cluster, Held::by(vec![problem], cluster.spec.paused, back), last)
}

fn instead(
    cluster: &CacheCluster,
    held: Held,
    last: Option<&CacheClusterSpec>,
) -> Result<InForce, Held> {
    let is_deleted = cluster.metadata.deletion_timestamp.is_some();
    // It was valid once. By a rule that has come since it need not be any more, which is no reason to leave the cluster alone.
    let intent = last.and_then(|spec| Intent::read(spec, is_deleted));
    match last.cloned().zip(intent) {
        Some((spec, intent)) => {
            // One that was recorded as paused may not be all that the nodes were started as.
            let intent = Intent { paused: held.is_paused() || spec.paused, ..intent };
            Ok(InForce { spec, intent, held: Some(held) })
        }
        None => Err(held),
    }
}

/// What is carried out where no spec is recorded (the ring was lost, or is of an operator that recorded none): the nodes that are there
/// are kept, and none is replaced by a living one, also when this is what is recorded. An error if there are none.
pub fn as_it_is(cluster: &CacheCluster, held: Held, observed: &Observed) -> Result<InForce, Held> {
    let is_deleted = cluster.metadata.deletion_timestamp.is_some();
    let members = observed.stored().into_iter().flat_map(|document| &document.members);
    let members = members.filter(|member| member.state != MemberState::Leaving).count();
    let up = observed.nodes.iter().filter(|node| node.phase.is_up()).count();
    let nodes = if members > 0 { members } else { up };
    let spec = |memory| CacheClusterSpec {
        nodes: i32::try_from(nodes).unwrap_or(i32::MAX),
        memory,
        ..cluster.spec.clone()
    };
    // Another size than that of the nodes is not in force, if it can be read at all.
    let sizes = observed.nodes.iter().map(|node| Quantity(node.template.memory_bytes.to_string()));
    let mut specs = sizes.chain(std::iter::once(cluster.spec.memory.clone())).map(spec);
    let found = specs.find_map(|spec| Some((Intent::read(&spec, is_deleted)?, spec)));
    match found {
        Some((intent, spec)) => {
            let (intent, spec) =
                (Intent { paused: true, ..intent }, CacheClusterSpec { paused: true, ..spec });
            Ok(InForce { spec, intent, held: Some(held) })
        }
        None => Err(held),
    }
}
