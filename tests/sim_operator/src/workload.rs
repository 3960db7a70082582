//! What happens to a cluster in a run: the user's edits, the platform's and other people's misdeeds.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The clusters start with this image; another one is a roll.
pub(crate) const IMAGE: &str = "registry.example/cache-node:1";
const OTHER_IMAGE: &str = "registry.example/cache-node:2";
/// No registry has this one.
const ABSENT_IMAGE: &str = "registry.example/absent:1";

/// The part of the reads that shall be hits where a cluster is scaled.
pub(crate) const HIT_RATIO: f64 = 0.8;

/// A named history. The ids are those of the reliability plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Workload {
    /// Nothing happens to a cluster of 3.
    Idle,
    /// W1: a new cluster of 3.
    Create,
    /// A new cluster of 2 whose image cannot be pulled, then with one that can.
    BadImageThenFix,
    /// W2: 3 -> 5.
    ScaleUp,
    /// W3: 5 -> 2.
    ScaleDown,
    /// W5: another time to live.
    Config,
    /// W6: another image, a roll of 2.
    Image,
    /// W7: another memory, a roll of 1.
    Memory,
    /// W8: `kubectl delete pod --force` of the n-th of 3.
    LosePod(usize),
    /// The n-th container of 3 ends by itself.
    Exit(usize),
    /// `kubectl delete pod`: it serves until it has handed over.
    Terminate(usize),
    /// W9: all pods of 2 vanish at once.
    LoseAll,
    /// W10: image A -> B -> A within one roll.
    BackAndForth,
    /// W11: a pause, an edit, the end of the pause.
    Pause,
    /// An eviction, as `kubectl drain` asks for: it serves until it has handed over.
    Evict(usize),
    /// 3 -> 5 where one more fits; a minute later there is room.
    NoRoomThenRoom,
    /// 3 -> 5, and the first of the new ones ends three times right after its start.
    CrashLoop,
    /// 3 -> 5, and the newest answers nobody's questions at first.
    NeverReady,
    /// Autoscaling from 3: a load for 5 nodes, then one for 2; then it is removed, and 3 are wanted again.
    Autoscale,
    /// W15: an operator of version 0.1 is replaced by this one, and finds 3 -> 4 to be done.
    Upgrade,
    /// The operator does not reach the n-th of 3 for half a minute, which everybody else does.
    CutOff(usize),
    /// A host is cordoned.
    Cordon,
    /// A host is tainted, as Karpenter does before it removes it.
    Taint,
    /// A host loses power.
    PowerLoss,
    /// W13: `memory: lots`, then an edit that is valid.
    InvalidThenFix,
    /// The resource is deleted.
    Delete,
    /// W12: deleted and created again under the same name.
    Recreate,
    /// Somebody deletes or edits something of ours by hand.
    Drift(Child),
}

/// What is deleted or damaged by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Child {
    Ring,
    ClientService,
    NodesService,
    Pdb,
    /// The labels of a pod.
    Labels,
    /// A field of the Service.
    Port,
}

/// One thing that somebody else than the operator does.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    Create {
        nodes: i32,
        image: &'static str,
    },
    /// JSON merge patch of the resource.
    Edit(Value),
    DeleteCluster,
    /// Gone at once, pod object and process.
    KillPod(usize),
    KillAllPods,
    ExitContainer(usize),
    /// Graceful deletion by somebody.
    DeletePod(usize),
    Evict(usize),
    /// The hosts have room for so many pods in all, or for any number.
    Room(Option<usize>),
    /// The container of the newest pod ends by itself, if it runs.
    CrashNewest,
    /// The operator does not reach the n-th pod for so long.
    CutOff(usize, Duration),
    /// The operator does not reach the newest pod for so long.
    CutOffNewest(Duration),
    /// Operators end, their objects become as version 0.1 would have left them, and others start.
    ComeFromVersion01,
    /// Cordons the host of the n-th pod.
    Cordon(usize),
    /// Taints the host of the n-th pod.
    Taint(usize),
    /// The host of the n-th pod loses power.
    PowerLoss(usize),
    Damage(Child),
    /// What clients read would fill so many nodes.
    Load(f64),
}

impl Workload {
    /// One of each operation: every fault at every call and every write, a third of them with each commit.
    pub(crate) const EXHAUSTIVE: [Self; 9] = [
        Self::Create,
        Self::BadImageThenFix,
        Self::ScaleUp,
        Self::ScaleDown,
        Self::Config,
        Self::Image,
        Self::Memory,
        Self::Cordon,
        Self::LosePod(1),
    ];

    /// Those of which a small part is run with each commit: they consist of the same operations.
    pub(crate) const SAMPLED: [Self; 24] = [
        Self::Autoscale,
        Self::NeverReady,
        Self::Upgrade,
        Self::Taint,
        Self::Evict(2),
        Self::NoRoomThenRoom,
        Self::CrashLoop,
        Self::CutOff(1),
        Self::BackAndForth,
        Self::LosePod(0),
        Self::LosePod(2),
        Self::LoseAll,
        Self::Exit(1),
        Self::Terminate(0),
        Self::Pause,
        Self::PowerLoss,
        Self::InvalidThenFix,
        Self::Recreate,
        Self::Drift(Child::Ring),
        Self::Drift(Child::ClientService),
        Self::Drift(Child::NodesService),
        Self::Drift(Child::Pdb),
        Self::Drift(Child::Labels),
        Self::Drift(Child::Port),
    ];

    /// Nodes of the cluster that is there before, 0 = none.
    pub(crate) fn nodes_before(self) -> i32 {
        match self {
            Self::Create | Self::BadImageThenFix => 0,
            Self::Memory => 1,
            Self::ScaleDown => 5,
            Self::Config
            | Self::Delete
            | Self::Drift(_)
            | Self::Image
            | Self::InvalidThenFix
            | Self::LoseAll
            | Self::Pause
            | Self::Recreate => 2,
            _ => 3,
        }
    }

    /// Whether no slot may be without an owner for a moment: nothing dies unannounced.
    pub(crate) fn is_planned(self) -> bool {
        let comes_or_goes =
            matches!(self, Self::Create | Self::BadImageThenFix | Self::Delete | Self::Recreate);
        let dies = matches!(
            self,
            Self::LosePod(_) | Self::Exit(_) | Self::LoseAll | Self::PowerLoss | Self::CrashLoop
        );
        !comes_or_goes && !dies
    }

    /// As few nodes as are ready at any time of a planned operation.
    pub(crate) fn fewest_nodes(self) -> usize {
        match self {
            // Of the second: the one that somebody told to end is not ready from then on.
            Self::Autoscale | Self::ScaleDown | Self::Terminate(_) | Self::Evict(_) => 2,
            _ => usize::try_from(self.nodes_before()).unwrap_or_default(),
        }
    }

    /// What is done, and when after the beginning.
    pub(crate) fn actions(self) -> Vec<(Duration, Action)> {
        let edit = |spec: Value| Action::Edit(json!({ "spec": spec }));
        let now = |action| vec![(Duration::ZERO, action)];
        let then = |first, seconds, second| {
            vec![(Duration::ZERO, first), (Duration::from_secs(seconds), second)]
        };
        match self {
            Self::Idle => Vec::new(),
            Self::Create => now(Action::Create { nodes: 3, image: IMAGE }),
            Self::BadImageThenFix => {
                let bad = Action::Create { nodes: 2, image: ABSENT_IMAGE };
                then(bad, 20, edit(json!({"image": IMAGE})))
            }
            Self::ScaleUp => now(edit(json!({"nodes": 5}))),
            Self::ScaleDown => now(edit(json!({"nodes": 2}))),
            Self::Config => now(edit(json!({"ttl": {"defaultSeconds": 60, "jitterPercent": 10}}))),
            Self::Image => now(edit(json!({"image": OTHER_IMAGE}))),
            Self::Memory => now(edit(json!({"memory": "512Mi"}))),
            Self::LosePod(n) => now(Action::KillPod(n)),
            Self::Exit(n) => now(Action::ExitContainer(n)),
            Self::Terminate(n) => now(Action::DeletePod(n)),
            Self::LoseAll => now(Action::KillAllPods),
            Self::BackAndForth => {
                then(edit(json!({"image": OTHER_IMAGE})), 6, edit(json!({"image": IMAGE})))
            }
            Self::Pause => {
                then(edit(json!({"paused": true, "nodes": 3})), 20, edit(json!({"paused": false})))
            }
            Self::Autoscale => {
                let scaled = json!({
                    "minNodes": 1, "maxNodes": 6, "hitRatioPercent": (HIT_RATIO * 100.0) as i32,
                    "scaleOutDelaySeconds": 0, "scaleInDelaySeconds": 0,
                });
                vec![
                    (Duration::ZERO, Action::Load(6.0)),
                    (Duration::ZERO, edit(json!({"autoscaling": scaled}))),
                    (Duration::from_mins(4), Action::Load(2.02)),
                    (Duration::from_mins(14), edit(json!({"autoscaling": null}))),
                ]
            }
            Self::Evict(n) => now(Action::Evict(n)),
            Self::NoRoomThenRoom => vec![
                (Duration::ZERO, Action::Room(Some(4))),
                (Duration::ZERO, edit(json!({"nodes": 5}))),
                (Duration::from_mins(1), Action::Room(None)),
            ],
            Self::CrashLoop => {
                let crashes = [2, 8, 14].map(|s| (Duration::from_secs(s), Action::CrashNewest));
                let mut actions = now(edit(json!({"nodes": 5})));
                actions.extend(crashes);
                actions
            }
            Self::NeverReady => {
                let silence = Action::CutOffNewest(Duration::from_secs(45));
                then(edit(json!({"nodes": 5})), 2, silence)
            }
            Self::Upgrade => then(Action::ComeFromVersion01, 1, edit(json!({"nodes": 4}))),
            Self::CutOff(n) => now(Action::CutOff(n, Duration::from_secs(30))),
            Self::Cordon => now(Action::Cordon(1)),
            Self::Taint => now(Action::Taint(1)),
            Self::PowerLoss => now(Action::PowerLoss(1)),
            // The schema lets it pass without its rules, as an older definition in the cluster would.
            Self::InvalidThenFix => {
                then(edit(json!({"memory": "lots"})), 20, edit(json!({"memory": "256Mi"})))
            }
            Self::Delete => now(Action::DeleteCluster),
            Self::Recreate => {
                then(Action::DeleteCluster, 3, Action::Create { nodes: 2, image: IMAGE })
            }
            Self::Drift(child) => now(Action::Damage(child)),
        }
    }

    /// Whether how much is created and deleted depends on how far things have come when the user changes their mind.
    pub(crate) fn counts_depend_on_time(self) -> bool {
        matches!(self, Self::BackAndForth | Self::CrashLoop)
    }
}
