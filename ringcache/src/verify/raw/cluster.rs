//! One raw client's view of the cluster: a map and a connection a node. It follows `MOVED` and sends nothing else twice.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ringcache_wire::value::Value;

use super::connection::{Connection, Idle};
use super::ledger::{Ledger, count};
use super::operation::Requests;
use super::pipeline::{Job, Pipeline};
use super::slots::Slots;
use crate::clock;
use crate::verify::meter::{Failure, Outcome};
use crate::verify::violation::Violation;

/// After a `MOVED` the whole map is learnt again, but not more often.
const LEARN_EVERY: Duration = Duration::from_secs(1);

/// A connection, and the id of the node at its other end.
struct Link {
    connection: Connection,
    id: Vec<u8>,
}

impl Link {
    async fn open(address: &str, patience: Duration) -> Result<Self, Failure> {
        let mut connection = Connection::open(address).await?;
        let mut requests = Requests::default();
        requests.push(&[b"CLUSTER", b"MYID"]);
        match connection.ask(&requests, patience).await?.as_slice() {
            [Value::Bulk(id)] => Ok(Self { connection, id: id.clone() }),
            other => Err(Failure::new("CLUSTER MYID", format!("{address}: {other:?}"))),
        }
    }
}

/// The cluster as one client sees it.
pub(super) struct Cluster {
    ledger: Arc<Ledger>,
    seeds: Vec<String>,
    slots: Slots,
    /// When the map was learnt, and whether a node has contradicted it since.
    learnt: Instant,
    is_contradicted: bool,
    links: HashMap<String, Link>,
    exchanges: u64,
}

impl Cluster {
    /// How often one operation follows `MOVED` at most.
    pub(super) const MOST_MOVES: usize = 16;

    /// Learns who owns what from any of the seeds.
    pub(super) async fn connect(ledger: Arc<Ledger>, seeds: &[String]) -> Result<Self, Failure> {
        let mut cluster = Self {
            ledger,
            seeds: seeds.to_vec(),
            slots: Slots::new(),
            learnt: clock::now(),
            is_contradicted: false,
            links: HashMap::new(),
            exchanges: 0,
        };
        cluster.learn().await?;
        Ok(cluster)
    }

    /// What all clients share.
    pub(super) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Records what an operation on `key` came to.
    pub(super) fn record(&self, key: &str, due: Instant, outcome: &Outcome) {
        self.ledger.load.meter.record(key, due, clock::now(), outcome);
    }

    /// Carries the jobs out, those of one node in their order and together, and records what each came to.
    pub(super) async fn run(&mut self, jobs: Vec<Job>) {
        let mut waiting = jobs;
        for _ in 0..=Self::MOST_MOVES {
            self.learn_if_contradicted().await;
            let mut moved = Vec::new();
            for (node, jobs) in self.by_owner(waiting) {
                moved.extend(self.exchange(&node, jobs).await);
            }
            if moved.is_empty() {
                return;
            }
            waiting = moved;
        }
        for job in waiting {
            let text = format!("MOVED more than {} times", Self::MOST_MOVES);
            job.fail(&self.ledger, Failure::new("MOVED", text));
        }
    }

    /// The owner of a key, with a connection to it.
    pub(super) async fn reach(&mut self, key: &str) -> Result<String, Failure> {
        for _ in 0..=Self::MOST_MOVES {
            self.learn_if_contradicted().await;
            let node = self.slots.owner(key).ok_or_else(|| nobody(key))?.to_owned();
            if self.is_there(&node).await? {
                return Ok(node);
            }
        }
        Err(nobody(key))
    }

    /// Sends requests over the connection to a node that has been reached.
    pub(super) async fn ask(
        &mut self,
        node: &str,
        requests: &Requests,
    ) -> Result<Vec<Value>, Failure> {
        let Some(mut link) = self.links.remove(node) else {
            return Err(Failure::new("closed", format!("there is no connection to {node}")));
        };
        let replies = link.connection.ask(requests, self.ledger.terms.patience).await?;
        self.links.insert(node.to_owned(), link);
        Ok(replies)
    }

    /// Closes the connection to a node.
    pub(super) fn disconnect(&mut self, node: &str) {
        self.links.remove(node);
    }

    /// Notes a `MOVED`.
    pub(super) fn follow(&mut self, key: &str, address: &str) {
        count(&self.ledger.tally.moved);
        self.note(key, address);
    }

    fn note(&mut self, key: &str, address: &str) {
        self.slots.follow(key, address);
        self.is_contradicted = true;
    }

    /// The jobs of each node, in their order. Those whose slot nobody owns have failed.
    fn by_owner(&self, jobs: Vec<Job>) -> Vec<(String, Vec<Job>)> {
        let mut groups: Vec<(String, Vec<Job>)> = Vec::new();
        for job in jobs {
            let key = job.operation.key(&self.ledger);
            let Some(owner) = self.slots.owner(&key) else {
                job.fail(&self.ledger, nobody(&key));
                continue;
            };
            match groups.iter_mut().find(|(node, _)| node == owner) {
                Some((_, jobs)) => jobs.push(job),
                None => groups.push((owner.to_owned(), vec![job])),
            }
        }
        groups
    }

    /// One exchange with one node; returns what has to be asked elsewhere.
    async fn exchange(&mut self, node: &str, jobs: Vec<Job>) -> Vec<Job> {
        match self.is_there(node).await {
            Ok(true) => {}
            Ok(false) => return jobs,
            Err(failure) => {
                for job in jobs {
                    job.fail(&self.ledger, failure.clone());
                }
                return Vec::new();
            }
        }
        let Some(mut link) = self.links.remove(node) else { return jobs };
        self.exchanges += 1;
        let ledger = Arc::clone(&self.ledger);
        let (mut pipeline, requests) = Pipeline::new(ledger, node, jobs, self.exchanges);
        let patience = self.ledger.terms.patience;
        let done =
            link.connection.exchange(&requests, patience, |reply| pipeline.take(reply)).await;
        if done.is_ok() {
            self.links.insert(node.to_owned(), link);
        }
        let follow = |(job, address): (Job, String)| {
            self.note(&job.operation.key(&self.ledger), &address);
            job
        };
        pipeline.end(done).into_iter().map(follow).collect()
    }

    /// Makes sure of an open connection to a node. False if the node has closed the one that was there, or takes none, and owns
    /// nothing any more: whoever leaves may do that, and the map has been learnt again. Anybody else may not.
    async fn is_there(&mut self, node: &str) -> Result<bool, Failure> {
        let Some(mut link) = self.links.remove(node) else { return self.open(node).await };
        let outcome = match link.connection.idle().await {
            Idle::Open => {
                self.links.insert(node.to_owned(), link);
                return Ok(true);
            }
            Idle::Closed if self.has_left(|slots| slots.owns_any(&link.id)).await => {
                return Ok(false);
            }
            Idle::Closed => {
                let text = "the node owns slots and closed an idle connection";
                Outcome::Error(Failure::new("closed", text))
            }
            Idle::Unasked => {
                Outcome::Violation(Violation::WrongOrder("a reply that nobody asked for".into()))
            }
        };
        self.record(node, clock::now(), &outcome);
        self.open(node).await
    }

    async fn open(&mut self, node: &str) -> Result<bool, Failure> {
        match Link::open(node, self.ledger.terms.patience).await {
            Ok(link) => {
                self.links.insert(node.to_owned(), link);
                Ok(true)
            }
            Err(_) if self.has_left(|slots| slots.has_owner_at(node)).await => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// Whether the cluster says that the node in question owns nothing.
    async fn has_left(&mut self, owns: impl Fn(&Slots) -> bool) -> bool {
        let has_left = self.learn().await.is_ok() && !owns(&self.slots);
        if has_left {
            count(&self.ledger.tally.departed);
        }
        has_left
    }

    async fn learn_if_contradicted(&mut self) {
        if self.is_contradicted
            && clock::now() - self.learnt >= LEARN_EVERY
            && let Err(failure) = self.learn().await
        {
            self.record("CLUSTER SLOTS", clock::now(), &Outcome::Error(failure));
        }
    }

    /// Learns who owns what from the first node that says it.
    async fn learn(&mut self) -> Result<(), Failure> {
        let mut requests = Requests::default();
        requests.push(&[b"CLUSTER", b"SLOTS"]);
        let known = self.slots.addresses().chain(self.seeds.iter().map(String::as_str));
        let nodes: Vec<String> = known.map(str::to_owned).collect();
        let mut last = Failure::new("connect", "there is no node to learn the map from");
        for node in nodes {
            let asked = async {
                let mut connection = Connection::open(&node).await?;
                let replies = connection.ask(&requests, self.ledger.terms.patience).await?;
                let slots = replies.first().and_then(Slots::of);
                slots.ok_or_else(|| Failure::new("CLUSTER SLOTS", format!("{node} knows no map")))
            };
            match asked.await {
                Ok(slots) => {
                    self.slots = slots;
                    self.learnt = clock::now();
                    self.is_contradicted = false;
                    return Ok(());
                }
                Err(failure) => last = failure,
            }
        }
        Err(last)
    }
}

fn nobody(key: &str) -> Failure {
    Failure::new("no owner", format!("the map has no owner for the slot of {key}"))
}
