//! Single situations, step by step; the schedules in `sim` cover their combinations.

use std::collections::BTreeSet;
use std::sync::Arc;

use ringcache_api::document::{ClusterRef, HashRule, SlotRange};
use ringcache_api::{Document, Incarnation, Member, MemberState, Ports};
use ringcache_ring::SLOTS;

use crate::sim::SimStore;
use crate::{Cluster, Config, Message};

const SIM_SLOTS: u16 = 4;

struct Node {
    uid: Incarnation,
    cluster: Cluster,
    store: SimStore,
}

fn node(name: &str) -> Node {
    let uid = Incarnation::new(name, "0");
    let config = Config { slots: SIM_SLOTS, ..Config::default() };
    Node { cluster: Cluster::new(&uid, config), store: SimStore::new(SIM_SLOTS), uid }
}

/// A document in which `owner` should own everything.
fn document(epoch: u64, nodes: &[&Node], owner: &str) -> Arc<Document> {
    let ports = Ports { resp: 1, http: 2, admin: 3, bus: 4 };
    let member = |n: &&Node| Member {
        name: n.uid.uid().to_owned(),
        uid: n.uid.clone(),
        host: "sim".into(),
        ports,
        state: MemberState::Active,
    };
    Arc::new(Document {
        version: 1,
        cluster: ClusterRef::default(),
        epoch,
        hash: HashRule::default(),
        members: nodes.iter().map(member).collect(),
        gone: BTreeSet::new(),
        slots: vec![SlotRange { range: (0, SLOTS - 1), owner: owner.into() }],
        checksum: String::new(),
    })
}

impl Node {
    fn learn(&mut self, document: &Arc<Document>) {
        self.cluster.learn(document, &mut self.store);
    }

    fn tick(&mut self, now: u64) {
        self.cluster.tick(now, &mut self.store);
    }

    fn hear(&mut self, now: u64, from: &Incarnation, message: Message) -> Vec<Message> {
        self.cluster.receive(now, from, message, &mut self.store);
        self.cluster.outbox().map(|(_, message)| message).collect()
    }

    fn owns_all(&self) -> bool {
        self.cluster.ownership().owned == [(0, SIM_SLOTS - 1)]
    }
}

/// Carries messages between the nodes until nobody has anything to say.
fn talk(now: u64, nodes: &mut [&mut Node]) {
    loop {
        let mut mail = Vec::new();
        for node in nodes.iter_mut() {
            let from = node.uid.clone();
            mail.extend(node.cluster.outbox().map(|(to, message)| (from.clone(), to, message)));
        }
        if mail.is_empty() {
            return;
        }
        for (from, to, message) in mail {
            if let Some(node) = nodes.iter_mut().find(|n| n.uid == to) {
                node.cluster.receive(now, &from, message, &mut node.store);
            }
        }
    }
}

#[test]
fn a_node_alone_adopts_everything_at_once() {
    let mut a = node("a");
    let document = document(1, &[&a], "a");
    a.learn(&document);
    a.tick(0);
    assert!(a.owns_all());
}

#[test]
fn nothing_is_adopted_while_one_member_has_not_answered() {
    let (mut a, b) = (node("a"), node("b"));
    let document = document(1, &[&a, &b], "a");
    a.learn(&document);
    for now in 0..10 {
        a.tick(now * 1000);
    }
    assert!(!a.owns_all(), "b may own them");
}

#[test]
fn a_member_that_reads_of_its_own_death_serves_nothing() {
    let (mut a, b) = (node("a"), node("b"));
    let alone = document(1, &[&a], "a");
    a.learn(&alone);
    a.tick(0);
    a.store.write(0, 1, 7);
    let mut dead = Document::clone(&document(2, &[&a, &b], "b"));
    dead.gone.insert(a.uid.clone());
    a.learn(&Arc::new(dead));
    assert_eq!(a.cluster.ownership().owned, []);
    assert_eq!(a.store.read(0, 1), None);
}

#[test]
fn an_older_document_changes_nothing() {
    let (mut a, b) = (node("a"), node("b"));
    let (old, new) = (document(1, &[&a, &b], "b"), document(2, &[&a], "a"));
    a.learn(&new);
    a.tick(0);
    assert!(!a.cluster.learn(&old, &mut a.store));
    assert_eq!(a.cluster.epoch(), 2);
    assert!(a.owns_all());
}

/// With one memory for all sources, the answer to `a` would be "refused", and `a` would serve its old copy again.
#[test]
fn a_late_query_of_an_earlier_source_is_answered_accepted() {
    let (mut a, mut b, mut c) = (node("a"), node("b"), node("c"));
    let all = |epoch, owner| document(epoch, &[&node("a"), &node("b"), &node("c")], owner);
    let mut now = 0;
    let mut attempt_of_a = None;
    for (epoch, owner) in [(1, "a"), (2, "b"), (3, "c"), (4, "b")] {
        for n in [&mut a, &mut b, &mut c] {
            n.learn(&all(epoch, owner));
        }
        for _ in 0..20 {
            now += 250;
            for n in [&mut a, &mut b, &mut c] {
                n.tick(now);
            }
            if epoch == 2 {
                let sealed = a.cluster.sealed.get(&0).map(crate::seal::Sealed::attempt);
                attempt_of_a = attempt_of_a.or(sealed);
            }
            talk(now, &mut [&mut a, &mut b, &mut c]);
        }
        let owners = [&a, &b, &c].iter().filter(|n| n.owns_all()).count();
        assert_eq!(owners, 1, "epoch {epoch}");
    }
    // The attempt of a's handover of slot 0 to b was its first: attempts are numbered from 1 in slot order.
    let attempt = attempt_of_a.unwrap_or(1);
    let answers = b.hear(now, &a.uid, Message::Query { slot: 0, attempt });
    assert_eq!(answers, [Message::Accepted { slot: 0, attempt }]);
}

/// The nodes a, b and c: a has given everything to b and never heard b's answers to its seals; b has passed everything on to c.
fn passed_on_without_a_knowing() -> (Node, Node, Node) {
    let (mut a, mut b, mut c) = (node("a"), node("b"), node("c"));
    let all = |epoch, owner| document(epoch, &[&node("a"), &node("b"), &node("c")], owner);
    for n in [&mut a, &mut b, &mut c] {
        n.learn(&all(1, "a"));
    }
    a.tick(0);
    talk(0, &mut [&mut a, &mut b, &mut c]);
    assert!(a.owns_all());
    a.learn(&all(2, "b"));
    b.learn(&all(2, "b"));
    a.tick(1000);
    loop {
        let to_b: Vec<Message> = a.cluster.outbox().map(|(_, message)| message).collect();
        if to_b.is_empty() {
            break;
        }
        for message in to_b {
            for answer in b.hear(1000, &a.uid, message) {
                if !matches!(answer, Message::Accepted { .. }) {
                    a.cluster.receive(1000, &b.uid, answer, &mut a.store);
                }
            }
        }
    }
    assert!(b.owns_all());
    assert!(!a.cluster.ownership().sealed.is_empty());
    for n in [&mut b, &mut c] {
        n.learn(&all(3, "c"));
    }
    for now in [2000, 2300, 2600] {
        b.tick(now);
        c.tick(now);
        talk(now, &mut [&mut b, &mut c]);
    }
    assert!(c.owns_all());
    (a, b, c)
}

/// The first design took the slot back, empty: then `a` and `c` both owned it.
#[test]
fn a_slot_that_a_dead_target_had_passed_on_is_not_taken_back() {
    let (mut a, b, mut c) = passed_on_without_a_knowing();
    // b dies; the document makes a the intended owner.
    let mut dead = Document::clone(&document(4, &[&a, &c], "a"));
    dead.gone.insert(b.uid.clone());
    a.learn(&Arc::new(dead.clone()));
    a.tick(3000);
    assert!(!a.owns_all(), "c may own the slots");
    c.learn(&Arc::new(dead));
    for now in [3000, 3300, 3600, 3900] {
        a.tick(now);
        c.tick(now);
        talk(now, &mut [&mut a, &mut c]);
    }
    assert!(a.owns_all(), "handed over by c, which owned them all the while");
    assert_eq!(a.cluster.ownership().adopted, u64::from(SIM_SLOTS), "only at the start");
}

/// While it waited for b's answer it did not claim; nobody owned the slots until the next document.
#[test]
fn a_slot_whose_last_owner_died_is_claimed_by_one_who_hears_only_then_that_it_gave_it_away() {
    let (mut a, mut b, c) = passed_on_without_a_knowing();
    let mut dead = Document::clone(&document(4, &[&a, &b], "a"));
    dead.gone.insert(c.uid.clone());
    let dead = Arc::new(dead);
    a.learn(&dead);
    b.learn(&dead);
    for now in [3000, 3300, 3600, 3900] {
        a.tick(now);
        b.tick(now);
        talk(now, &mut [&mut a, &mut b]);
    }
    assert!(a.owns_all());
}

#[test]
fn messages_that_make_no_sense_change_nothing() {
    let (mut a, b) = (node("a"), node("b"));
    let document = document(1, &[&a, &b], "a");
    a.learn(&document);
    a.hear(
        0,
        &b.uid,
        Message::Answer { epoch: 1, not_mine: vec![(0, u16::MAX)], mine: vec![], version: 4 },
    );
    assert!(a.owns_all());
    let mut rng = fastrand::Rng::with_seed(7);
    for _ in 0..20_000 {
        let (slot, attempt, number) = (rng.u16(..), rng.u64(..4), rng.u64(..4));
        let range = vec![(rng.u16(..), rng.u16(..))];
        let message = match rng.u8(..10) {
            0 => Message::Claim { epoch: number, slots: range },
            1 => Message::Answer {
                epoch: number,
                not_mine: range.clone(),
                mine: range,
                version: attempt,
            },
            2 => Message::Begin { slot, version: number, attempt },
            3 => Message::Ready { slot, attempt },
            4 => Message::Data { slot, attempt, seq: number, records: vec![1; 7] },
            5 => Message::Ack { slot, attempt, seq: number },
            6 => Message::Seal { slot, attempt, version: number, frames: number },
            7 => Message::Query { slot, attempt },
            8 => Message::Accepted { slot, attempt },
            _ => Message::Refused { slot, attempt },
        };
        a.hear(0, &b.uid, message);
    }
    assert!(a.owns_all());
}

fn heard_of(node: &mut Node, now: u64, other: &Node) -> Option<u64> {
    let heard = node.cluster.heard(now);
    heard.into_iter().find(|heard| heard.incarnation == other.uid).map(|heard| heard.ms_ago)
}

const BEAT: Message = Message::Heartbeat { seen: 0, base: 0, revision: 0, owned: Vec::new() };

#[test]
fn a_peer_is_heard_from_when_something_comes_from_it_and_unknown_before_the_document_names_it() {
    let (mut a, b) = (node("a"), node("b"));
    assert_eq!(heard_of(&mut a, 5, &b), None, "no document yet");
    a.learn(&document(1, &[&a, &b], "a"));
    a.tick(100);
    assert_eq!(heard_of(&mut a, 600, &b), Some(500), "listened to since the first tick");
    a.hear(900, &b.uid, BEAT);
    assert_eq!(heard_of(&mut a, 1000, &b), Some(100));
    a.learn(&document(2, &[&a], "a"));
    assert_eq!(heard_of(&mut a, 1000, &b), None, "no member any more");
}

#[test]
fn a_node_that_was_stopped_itself_says_nothing_about_how_long_others_were_silent() {
    let (mut a, b) = (node("a"), node("b"));
    a.learn(&document(1, &[&a, &b], "a"));
    a.tick(0);
    a.hear(10, &b.uid, BEAT);
    for now in (500..5_000).step_by(500) {
        a.tick(now);
    }
    assert_eq!(heard_of(&mut a, 5_000, &b), Some(4_990));
    // Nothing ran here for a minute: whatever came meanwhile has not been read.
    assert_eq!(heard_of(&mut a, 65_000, &b), Some(0));
    a.tick(65_400);
    assert_eq!(heard_of(&mut a, 65_400, &b), Some(400));
}

#[test]
fn who_is_declared_gone_is_told_and_whoever_takes_no_part_is_answered_with_the_document() {
    let (mut a, b, c) = (node("a"), node("b"), node("c"));
    a.learn(&document(1, &[&a, &b, &c], "a"));
    assert!(a.cluster.news_for(&b.uid).is_none());
    let mut without_b = Document::clone(&document(2, &[&a, &c], "a"));
    without_b.gone.insert(b.uid.clone());
    a.learn(&Arc::new(without_b));
    a.tick(1);
    let told: Vec<_> = a.cluster.outbox().map(|(to, _)| to).collect();
    assert!(told.contains(&b.uid), "heartbeats bring the document: {told:?}");
    assert!(a.cluster.news_for(&b.uid).is_some());
    // Forgotten in the next document: no longer among the gone, but no member either.
    a.learn(&document(3, &[&a, &c], "a"));
    assert!(a.cluster.news_for(&b.uid).is_some_and(|document| document.epoch == 3));
    assert!(a.cluster.news_for(&c.uid).is_none());
}

#[test]
fn a_node_that_the_document_does_not_name_serves_nothing() {
    let (mut a, b) = (node("a"), node("b"));
    a.learn(&document(1, &[&a], "a"));
    a.tick(1);
    assert!(a.cluster.owns(0));
    a.learn(&document(2, &[&b], "b"));
    assert!(a.cluster.ownership().owned.is_empty());
}

#[test]
fn whoever_is_taken_in_again_takes_over_what_was_adopted_meanwhile() {
    let (mut a, mut b, mut c) = (node("a"), node("b"), node("c"));
    let all = document(1, &[&a, &b, &c], "a");
    learn(&all, &mut [&mut a, &mut b, &mut c]);
    settle(0, &mut [&mut a, &mut b, &mut c]);
    // Handed over twice, so that `a` has seen the highest versions; the last owner dies, and only `c` is left to adopt.
    for (epoch, owner) in [(2, "b"), (3, "a"), (4, "b")] {
        let next = document(epoch, &[&a, &b, &c], owner);
        learn(&next, &mut [&mut a, &mut b, &mut c]);
        settle(epoch * 10_000, &mut [&mut a, &mut b, &mut c]);
    }
    assert!(b.owns_all());
    let alone = document(5, &[&c], "c");
    learn(&alone, &mut [&mut a, &mut c]);
    settle(50_000, &mut [&mut c]);
    assert!(c.owns_all());
    let again = document(6, &[&a, &c], "a");
    learn(&again, &mut [&mut a, &mut c]);
    settle(60_000, &mut [&mut a, &mut c]);
    assert!(a.owns_all(), "{:?}", a.cluster.ownership());
}

fn learn(document: &Arc<Document>, nodes: &mut [&mut Node]) {
    for node in nodes {
        node.learn(document);
    }
}

/// Lets a few seconds pass.
fn settle(now: u64, nodes: &mut [&mut Node]) {
    for turn in 0..100 {
        let now = now + turn * 50;
        for node in nodes.iter_mut() {
            node.tick(now);
        }
        talk(now, nodes);
    }
}
