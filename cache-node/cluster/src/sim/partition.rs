//! Nodes that are alive but cut off, and an operator that has to tell them from dead ones.

use std::collections::{BTreeMap, BTreeSet};

use ringcache_api::Incarnation;
use ringcache_api::admin::Heard;

use super::Rule;
use super::world::World;

/// How long nobody may have heard of a node that the operator cannot reach before it is declared gone.
const LOST_MS: u64 = 450;

/// Who cannot reach whom.
#[derive(Debug, Default)]
pub(super) struct Partitions {
    /// Since when the operator reaches the node no more.
    operator: BTreeMap<Incarnation, u64>,
    /// Packets from the first to the second are lost.
    links: BTreeSet<(Incarnation, Incarnation)>,
    /// When a packet of the second was last delivered to the first: what really happened, whatever the machines say.
    delivered: BTreeMap<(Incarnation, Incarnation), u64>,
    /// Nodes that were declared gone while they lived, with the epoch that says so.
    declared: BTreeMap<Incarnation, u64>,
}

impl Partitions {
    pub(super) fn is_cut(&self, from: &Incarnation, to: &Incarnation) -> bool {
        self.links.contains(&(from.clone(), to.clone()))
    }

    pub(super) fn is_cut_from_operator(&self, uid: &Incarnation) -> bool {
        self.operator.contains_key(uid)
    }

    pub(super) fn note_delivery(&mut self, now: u64, from: &Incarnation, to: &Incarnation) {
        self.delivered.insert((to.clone(), from.clone()), now);
    }

    pub(super) fn heal(&mut self) {
        self.operator.clear();
        self.links.clear();
    }
}

impl World {
    /// Cuts a node off, or heals everything.
    pub(super) fn partition(&mut self) {
        let up = self.up();
        if up.len() < 2 || self.rng.f64() < 0.25 {
            self.log(|| "HEALED".into());
            self.partitions.heal();
            return;
        }
        let victim = up[self.rng.usize(..up.len())].clone();
        let now = self.now;
        let act = self.rng.f64();
        if act < 0.75 {
            self.partitions.operator.entry(victim.clone()).or_insert(now);
        }
        // From the operator only, from some peers, or from everybody; in one direction or both.
        let share = if act < 0.2 {
            0.0
        } else if act < 0.45 {
            0.5
        } else {
            1.0
        };
        let (speaks, hears) = (self.rng.f64() < 0.15, self.rng.f64() < 0.15);
        for other in up.iter().filter(|other| **other != victim) {
            if self.rng.f64() >= share {
                continue;
            }
            if !speaks {
                self.partitions.links.insert((victim.clone(), other.clone()));
            }
            if !hears {
                self.partitions.links.insert((other.clone(), victim.clone()));
            }
        }
        self.log(|| format!("CUT OFF {victim}: {:?}", self.partitions));
    }

    /// Whether clients reach the node: not while it is declared gone and has not been told.
    pub(super) fn reachable(&self, uid: &Incarnation) -> bool {
        let Some(node) = self.nodes.get(uid).filter(|node| node.up) else { return false };
        self.partitions.declared.get(uid).is_none_or(|epoch| node.cluster.epoch() >= *epoch)
    }

    /// Declares those gone whom the operator has not reached for long, and of whom nobody has heard.
    pub(super) fn declare_lost(&mut self) -> Result<(), String> {
        let now = self.now;
        let silent = |uid: &Incarnation| {
            self.partitions.operator.get(uid).is_some_and(|since| now >= since + LOST_MS)
        };
        let members: Vec<Incarnation> =
            self.document.members.iter().map(|m| m.uid.clone()).collect();
        let alive =
            members.iter().filter(|uid| self.nodes[*uid].up && !self.document.gone.contains(*uid));
        let (candidates, witnesses): (Vec<_>, Vec<_>) = alive.cloned().partition(silent);
        let mut answers: Vec<Option<Vec<Heard>>> = Vec::new();
        for witness in &witnesses {
            let reached = !self.partitions.is_cut_from_operator(witness);
            let node = self.nodes.get_mut(witness).filter(|_| reached);
            answers.push(node.map(|node| node.cluster.heard(now)));
        }
        let unheard = |uid: &Incarnation| {
            let long_ago = |heard: &Heard| heard.incarnation == *uid && heard.ms_ago >= LOST_MS;
            let says_so = |answer: &Option<Vec<Heard>>| answer.iter().flatten().any(long_ago);
            !answers.is_empty() && candidates.len() <= answers.len() && answers.iter().all(says_so)
        };
        for uid in candidates.clone() {
            if self.broken != Some(Rule::TheHeardLive) && !unheard(&uid) {
                continue;
            }
            let heard = witnesses.iter().find(|witness| {
                let at = self.partitions.delivered.get(&((*witness).clone(), uid.clone()));
                at.is_some_and(|at| now < at + LOST_MS)
            });
            if let Some(witness) = heard {
                return Err(format!("{uid} is declared gone although {witness} hears it"));
            }
            // Somebody must be left who can own slots.
            let stays = self.document.members.iter().any(|m| {
                m.uid != uid
                    && self.nodes[&m.uid].up
                    && m.state != ringcache_api::MemberState::Leaving
            });
            if !stays {
                continue;
            }
            self.document.members.retain(|m| m.uid != uid);
            self.document.gone.insert(uid.clone());
            self.totals.declared += 1;
            // A death as far as data is concerned.
            self.totals.deaths += 1;
            let epoch = self.document.epoch + 1;
            self.partitions.declared.insert(uid, epoch);
        }
        Ok(())
    }

    /// Forgets one of the gone, as when somebody deletes its pod by force: when everybody has accepted that it is gone, and
    /// nobody waits for its answer.
    pub(super) fn forget_gone(&mut self) {
        let told = |uid: &Incarnation| self.nodes[uid].cluster.epoch() == self.document.epoch;
        let members = || self.document.members.iter().map(|m| &m.uid);
        let living = || members().filter(|uid| self.nodes[*uid].up);
        let awaited = |gone: &Incarnation| {
            living()
                .any(|uid| self.nodes[uid].cluster.ownership().sealed.iter().any(|s| s.to == *gone))
        };
        let forgotten = self
            .document
            .gone
            .iter()
            .find(|gone| living().all(told) && !members().any(|uid| uid == *gone) && !awaited(gone))
            .cloned();
        if let Some(gone) = forgotten {
            self.document.gone.remove(&gone);
        }
    }

    /// Somebody who takes no part in the document and has not given up what it owned. One that knows nobody who takes part
    /// can be told by nobody: its operator has forgotten it, and all whom it knew are replaced.
    pub(super) fn serving_stranger(&self) -> Option<String> {
        let takes_part = |uid: &Incarnation| self.document.incarnation(uid).is_some();
        self.nodes.iter().filter(|(_, node)| node.up).find_map(|(uid, node)| {
            let known = node.cluster.document().into_iter().flat_map(|d| &d.members);
            let knows_anybody = known.into_iter().any(|member| takes_part(&member.uid));
            let owns = !node.cluster.ownership().owned.is_empty();
            (!takes_part(uid) && owns && knows_anybody)
                .then(|| format!("{uid} takes no part and owns slots"))
        })
    }
}
