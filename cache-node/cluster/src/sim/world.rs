//! Nodes, network, clients and an operator, driven by one seed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fastrand::Rng;
use ringcache_api::document::{ClusterRef, HashRule, SlotRange};
use ringcache_api::{Document, Incarnation, Member, MemberState, Ports};
use ringcache_ring::SLOTS;

use super::Rule;
use super::partition::Partitions;
use super::store::{Access, SimStore};
use crate::machine::{Cluster, Config};
use crate::message::Message;

/// Slots simulated: enough that handovers, claims and deaths meet.
pub(super) const SIM_SLOTS: u16 = 24;
const KEYS: u8 = 4;
const NET_CAPACITY: usize = 600;

pub(super) struct Node {
    pub(super) up: bool,
    pub(super) cluster: Cluster,
    pub(super) store: SimStore,
}

struct Packet {
    from: Incarnation,
    document: Option<Arc<Document>>,
    to: Incarnation,
    message: Option<Message>,
}

/// What happened, for the report.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    pub(super) handovers: u64,
    pub(super) adoptions: u64,
    pub(super) reads: u64,
    pub(super) misses: u64,
    pub(super) writes: u64,
    pub(super) deaths: u64,
    /// Living nodes that were declared gone.
    pub(super) declared: u64,
}

/// Which faults this seed has, and how often.
#[derive(Clone, Copy, Debug)]
struct Faults {
    loss: f64,
    duplicates: f64,
    reorder: bool,
    death: f64,
    removal: bool,
    partition: f64,
}

pub(super) struct World {
    pub(super) rng: Rng,
    pub(super) now: u64,
    pub(super) nodes: BTreeMap<Incarnation, Node>,
    pub(super) partitions: Partitions,
    net: Vec<Packet>,
    pub(super) document: Document,
    published: Arc<Document>,
    latest: BTreeMap<(u16, u8), u32>,
    counter: u32,
    faults: Faults,
    config: Config,
    pub(super) broken: Option<Rule>,
    trace: bool,
    pub(super) totals: Totals,
}

impl Faults {
    fn none(removal: bool) -> Self {
        let (loss, duplicates, death, partition) = (0.0, 0.0, 0.0, 0.0);
        Self { loss, duplicates, reorder: false, death, removal, partition }
    }
}

impl World {
    pub(super) fn new(seed: u64, broken: Option<Rule>, trace: bool) -> Self {
        let mut rng = Rng::with_seed(seed);
        let calm = broken.is_none() && rng.f64() < 0.1;
        let mut rate =
            |max: f64| if rng.bool() || broken.is_some() { rng.f64() * max } else { 0.0 };
        let (loss, duplicates, death) = (rate(0.15), rate(0.15), rate(0.02));
        let partition = rate(0.015);
        let reorder = rng.f64() < 0.7;
        let faults = if calm {
            Faults::none(true)
        } else {
            Faults { loss, duplicates, reorder, death, removal: true, partition }
        };
        let config = Config {
            slots: SIM_SLOTS,
            frame_bytes: 5,
            window_bytes: 15,
            link_bytes: 25,
            in_flight: 6,
        };
        let document = Document {
            version: 1,
            cluster: ClusterRef::default(),
            epoch: 0,
            hash: HashRule::default(),
            members: Vec::new(),
            gone: BTreeSet::new(),
            slots: Vec::new(),
            checksum: String::new(),
        };
        let mut world = Self {
            rng,
            now: 0,
            nodes: BTreeMap::new(),
            partitions: Partitions::default(),
            net: Vec::new(),
            published: Arc::new(document.clone()),
            document,
            latest: BTreeMap::new(),
            counter: 0,
            faults,
            config,
            broken,
            trace,
            totals: Totals::default(),
        };
        for _ in 0..3 {
            world.start_node();
        }
        world.publish();
        world
    }

    pub(super) fn log(&self, text: impl FnOnce() -> String) {
        if self.trace {
            println!("{:>7} {}", self.now, text());
        }
    }

    fn start_node(&mut self) {
        let name = format!("n{}", self.nodes.len());
        let uid = Incarnation::new(&name, "0");
        let mut cluster = Cluster::new(&uid, self.config);
        cluster.broken = self.broken;
        let mut store = SimStore::new(SIM_SLOTS);
        store.stream_writes = self.broken != Some(Rule::WritesAreStreamed);
        self.nodes.insert(uid.clone(), Node { up: true, cluster, store });
        let ports = Ports { resp: 1, http: 2, admin: 3, bus: 4 };
        let state = MemberState::Active;
        self.document.members.push(Member { name, uid, host: "sim".into(), ports, state });
    }

    /// Draws an assignment over the members that stay and publishes the next document.
    fn publish(&mut self) {
        let stay: Vec<String> = self
            .document
            .members
            .iter()
            .filter(|m| m.state != MemberState::Leaving)
            .map(|m| m.name.clone())
            .collect();
        let last = SIM_SLOTS - 1;
        let mut slots: Vec<SlotRange> = (0..SIM_SLOTS)
            .map(|slot| SlotRange {
                range: (slot, if slot == last { SLOTS - 1 } else { slot }),
                owner: stay[self.rng.usize(..stay.len())].clone(),
            })
            .collect();
        for (old, new) in self.document.slots.iter().zip(&mut slots) {
            if stay.contains(&old.owner) && self.rng.f64() < 0.5 {
                new.owner.clone_from(&old.owner);
            }
        }
        self.document.slots = slots;
        self.document.epoch += 1;
        assert_eq!(self.document.validate(), Ok(()));
        self.published = Arc::new(self.document.clone());
        self.log(|| {
            let members: Vec<_> =
                self.document.members.iter().map(|m| (&m.name, m.state)).collect();
            format!("DOCUMENT {} {members:?} gone {:?}", self.document.epoch, self.document.gone)
        });
    }

    /// Sends what the node has to say, under the document that it has now.
    fn flush(&mut self, uid: &Incarnation) {
        let Some(node) = self.nodes.get_mut(uid) else { return };
        let document = node.cluster.document().cloned();
        for (to, message) in node.cluster.outbox() {
            let document = document.clone();
            self.net.push(Packet { from: uid.clone(), document, to, message: Some(message) });
        }
        while self.net.len() > NET_CAPACITY {
            let index = self.rng.usize(..self.net.len());
            self.net.remove(index);
        }
    }

    fn deliver(&mut self) {
        if self.net.is_empty() {
            return;
        }
        let index = if self.faults.reorder { self.rng.usize(..self.net.len().min(40)) } else { 0 };
        let packet = self.net.remove(index);
        let cut = if packet.from == packet.to {
            self.partitions.is_cut_from_operator(&packet.to)
        } else {
            self.partitions.is_cut(&packet.from, &packet.to)
        };
        if cut || self.rng.f64() < self.faults.loss {
            return;
        }
        if self.rng.f64() < self.faults.duplicates {
            let (from, to) = (packet.from.clone(), packet.to.clone());
            let copy = Packet {
                from,
                to,
                document: packet.document.clone(),
                message: packet.message.clone(),
            };
            let index = self.rng.usize(..=self.net.len());
            self.net.insert(index, copy);
        }
        self.receive(packet);
    }

    fn receive(&mut self, packet: Packet) {
        let now = self.now;
        let told = self.broken != Some(Rule::StrangersAreTold);
        let Some(node) = self.nodes.get_mut(&packet.to).filter(|n| n.up) else { return };
        if let Some(document) = &packet.document {
            node.cluster.learn(document, &mut node.store);
        }
        if let Some(mut message) = packet.message {
            self.partitions.note_delivery(now, &packet.from, &packet.to);
            if let (Some(Rule::FramesInOrder), Message::Data { slot, attempt, seq, .. }) =
                (self.broken, &mut message)
            {
                // As if the receiver did not look at the number: whatever arrives is the next frame.
                if let Some(next) = node.cluster.next_frame(*slot, *attempt) {
                    *seq = next;
                }
            }
            if self.trace && !matches!(message, Message::Heartbeat { .. }) {
                println!("{:>7} {} -> {}: {message:?}", self.now, packet.from, packet.to);
            }
            node.cluster.receive(now, &packet.from, message, &mut node.store);
            if let Some(news) = node.cluster.news_for(&packet.from).filter(|_| told) {
                let (from, to) = (packet.to.clone(), packet.from.clone());
                self.net.push(Packet { from, to, document: Some(news.clone()), message: None });
            }
        }
        self.flush(&packet.to);
    }

    pub(super) fn up(&self) -> Vec<Incarnation> {
        self.nodes.iter().filter(|(_, n)| n.up).map(|(uid, _)| uid.clone()).collect()
    }

    fn tick(&mut self, uid: &Incarnation) {
        let now = self.now;
        let peer = Incarnation::new(&format!("n{}", self.rng.usize(..self.nodes.len())), "0");
        let reconnected = self.rng.f64() < self.faults.loss / 4.0;
        if let Some(node) = self.nodes.get_mut(uid).filter(|n| n.up) {
            if reconnected {
                node.cluster.reconnected(&peer);
            }
            node.cluster.tick(now, &mut node.store);
        }
        self.flush(uid);
    }

    /// A client writes, removes or reads a key at whoever serves its slot.
    fn client(&mut self) -> Result<(), String> {
        let (slot, key) = (self.rng.u16(..SIM_SLOTS), self.rng.u8(..KEYS));
        let serves = |uid: &&Incarnation| self.nodes[*uid].store.access(slot) == Access::Open;
        let owner = self.nodes.keys().filter(|uid| self.reachable(uid)).find(serves).cloned();
        let Some(uid) = owner else { return Ok(()) };
        let Some(node) = self.nodes.get_mut(&uid) else { return Ok(()) };
        let latest = self.latest.get(&(slot, key)).copied().unwrap_or(0);
        if self.rng.bool() {
            self.counter += 1;
            let value = if self.rng.f64() < 0.2 { 0 } else { self.counter };
            node.store.write(slot, key, value);
            self.latest.insert((slot, key), value);
            self.totals.writes += 1;
            return Ok(());
        }
        self.totals.reads += 1;
        match node.store.read(slot, key) {
            Some(value) if value != latest => Err(format!(
                "{uid} answers {value} for slot {slot} key {key}; the last write was {latest}"
            )),
            Some(_) => Ok(()),
            None if latest != 0 && self.totals.deaths == 0 => {
                Err(format!("{uid} misses slot {slot} key {key} although nobody died"))
            }
            None => {
                // Forgotten with a dead owner: from now on it must not come back.
                self.totals.misses += u64::from(latest != 0);
                self.latest.insert((slot, key), 0);
                Ok(())
            }
        }
    }

    /// Pushes the document; now and then writes the next one.
    fn operator(&mut self) -> Result<(), String> {
        for member in self.document.members.clone() {
            if self.rng.f64() < 0.7 {
                let document = Some(Arc::clone(&self.published));
                let (from, to) = (member.uid.clone(), member.uid);
                self.net.push(Packet { from, document, to, message: None });
            }
        }
        if self.rng.f64() < 0.6 {
            return Ok(());
        }
        self.declare_lost()?;
        if self.rng.f64() < 0.3 {
            self.forget_gone();
        }
        let dead = |m: &&Member| !self.nodes[&m.uid].up;
        let gone: Vec<Incarnation> =
            self.document.members.iter().filter(dead).map(|m| m.uid.clone()).collect();
        self.document.gone.extend(gone);
        let act = self.rng.f64();
        let staying =
            self.document.members.iter().filter(|m| m.state != MemberState::Leaving).count();
        if act < 0.3 && self.document.members.len() < 5 {
            self.start_node();
        } else if act < 0.5 && staying > 1 {
            let index = self.rng.usize(..self.document.members.len());
            self.document.members[index].state = MemberState::Leaving;
            if self.document.members.iter().all(|m| m.state == MemberState::Leaving) {
                self.document.members[index].state = MemberState::Active;
            }
        } else if act < 0.85 && self.faults.removal {
            self.remove_one();
        }
        self.publish();
        Ok(())
    }

    /// Removes a member that is gone, or a leaving one that nothing can be asked of any more.
    fn remove_one(&mut self) {
        let removable = |m: &Member| {
            if self.document.gone.contains(&m.uid) {
                return true;
            }
            if self.broken == Some(Rule::RemovedOnlyWhenDrained) {
                return true;
            }
            let members =
                self.document.members.iter().filter(|m| !self.document.gone.contains(&m.uid));
            let settled = members.into_iter().all(|other| {
                let node = &self.nodes[&other.uid].cluster;
                let own = node.ownership();
                node.epoch() == self.document.epoch && own.sealed.iter().all(|s| s.to != m.uid)
            });
            let own = self.nodes[&m.uid].cluster.ownership();
            m.state == MemberState::Leaving
                && settled
                && own.owned.is_empty()
                && own.sealed.is_empty()
        };
        let index = self.document.members.iter().position(removable);
        let staying = |without: usize| {
            let others = self.document.members.iter().enumerate().filter(|(i, _)| *i != without);
            others.filter(|(_, m)| m.state != MemberState::Leaving).count()
        };
        if let Some(index) = index.filter(|index| staying(*index) > 0) {
            self.document.members.remove(index);
        }
    }

    pub(super) fn step(&mut self) -> Result<(), String> {
        self.now += self.rng.u64(..12);
        let act = self.rng.f64();
        let up = self.up();
        if act < 0.62 {
            for _ in 0..3 {
                self.deliver();
            }
        } else if act < 0.82 {
            if !up.is_empty() {
                let uid = up[self.rng.usize(..up.len())].clone();
                self.tick(&uid);
            }
        } else if act < 0.96 {
            for _ in 0..4 {
                self.client()?;
            }
        } else if act < 0.99 {
            self.operator()?;
        } else if act < 0.99 + self.faults.partition {
            self.partition();
        } else if self.rng.f64() < self.faults.death * 20.0 && !up.is_empty() {
            let uid = up[self.rng.usize(..up.len())].clone();
            self.log(|| format!("DEATH of {uid}"));
            if let Some(node) = self.nodes.get_mut(&uid) {
                node.up = false;
            }
            self.totals.deaths += 1;
        }
        self.check_owners()
    }

    fn check_owners(&self) -> Result<(), String> {
        for slot in 0..SIM_SLOTS {
            let owners = self
                .nodes
                .iter()
                .filter(|(uid, n)| self.reachable(uid) && n.store.access(slot) != Access::Closed);
            let names: Vec<_> = owners
                .filter(|(_, n)| n.cluster.owns(slot))
                .map(|(uid, _)| uid.0.clone())
                .collect();
            if names.len() > 1 {
                return Err(format!("slot {slot} has the owners {names:?}"));
            }
        }
        Ok(())
    }

    /// No more faults: within a bounded time every slot is owned by whom the document names, and everybody knows it.
    pub(super) fn settle(&mut self) -> Result<(), String> {
        self.faults = Faults::none(false);
        self.partitions.heal();
        let nodes = &self.nodes;
        let dead = |m: &&Member| !nodes[&m.uid].up;
        let gone: Vec<Incarnation> =
            self.document.members.iter().filter(dead).map(|m| m.uid.clone()).collect();
        let declared = &self.document.gone;
        self.document.members.retain(|m| nodes[&m.uid].up && !declared.contains(&m.uid));
        self.document.gone.extend(gone);
        if !self.document.members.iter().any(|m| m.state != MemberState::Leaving) {
            self.start_node();
        }
        self.publish();
        for _ in 0..400 {
            self.now += 25;
            for member in self.document.members.clone() {
                let document = Some(Arc::clone(&self.published));
                self.receive(Packet {
                    from: member.uid.clone(),
                    document,
                    to: member.uid,
                    message: None,
                });
            }
            for uid in self.up() {
                self.tick(&uid);
            }
            for _ in 0..self.net.len() {
                self.deliver();
            }
            self.client()?;
            self.check_owners()?;
            if self.unsettled().is_none() {
                self.count();
                return Ok(());
            }
        }
        Err(format!("does not settle: {}", self.unsettled().unwrap_or_default()))
    }

    /// What is not yet as the document wants.
    fn unsettled(&self) -> Option<String> {
        if let Some(stranger) = self.serving_stranger() {
            return Some(stranger);
        }
        for range in &self.document.slots {
            let slot = range.range.0;
            for member in &self.document.members {
                let node = &self.nodes[&member.uid];
                if node.cluster.owns(slot) != (member.name == range.owner) {
                    return Some(format!(
                        "slot {slot} should be {}'s; {} disagrees",
                        range.owner, member.name
                    ));
                }
                let route = node.cluster.route(slot).map(|uid| uid.uid().to_owned());
                if route.as_deref() != Some(&range.owner) {
                    return Some(format!(
                        "{} sends clients of slot {slot} to {route:?}",
                        member.name
                    ));
                }
            }
        }
        None
    }

    fn count(&mut self) {
        for node in self.nodes.values() {
            let own = node.cluster.ownership();
            self.totals.handovers += own.handed_in;
            self.totals.adoptions += own.adopted;
        }
    }
}
