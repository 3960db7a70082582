//! One exchange with one node: operations in order with numbered `ECHO`s among them, and what becomes of each.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ringcache_wire::value::Value;

use super::ledger::{Ledger, count};
use super::operation::{Operation, Requests, Span, failure, moved_to};
use crate::clock;
use crate::verify::meter::{Failure, Outcome};
use crate::verify::violation::Violation;

/// An operation of which nothing is known yet.
pub(super) struct Job {
    /// What is to be done.
    pub(super) operation: Box<dyn Operation>,
    /// The moment from which its latency counts.
    pub(super) due: Instant,
}

impl Job {
    /// Records what it came to.
    pub(super) fn record(&self, ledger: &Ledger, outcome: &Outcome) {
        ledger.load.meter.record(&self.operation.key(ledger), self.due, clock::now(), outcome);
    }

    /// Records that it failed. It may have been carried out or not.
    pub(super) fn fail(&self, ledger: &Ledger, failure: Failure) {
        self.operation.lost(ledger);
        self.record(ledger, &Outcome::Error(failure));
    }
}

/// Requests whose replies are expected together.
enum Turn {
    Job(Job, usize),
    /// Answers with the same bytes.
    Echo(String),
}

/// An exchange in progress.
pub(super) struct Pipeline {
    ledger: Arc<Ledger>,
    node: String,
    sent: Duration,
    turns: VecDeque<Turn>,
    /// Of the turn at hand.
    replies: Vec<Value>,
    moved: Vec<(Job, String)>,
}

impl Pipeline {
    /// Writes the jobs as requests, with an `ECHO` somewhere among them and one at the end; `number` says where, and is part of
    /// their texts.
    pub(super) fn new(
        ledger: Arc<Ledger>,
        node: &str,
        jobs: Vec<Job>,
        number: u64,
    ) -> (Self, Requests) {
        let sent = clock::since_1970();
        let mut requests = Requests::default();
        let mut turns = VecDeque::new();
        let among = number as usize % jobs.len().max(1);
        let end = jobs.len().saturating_sub(1);
        for (place, mut job) in jobs.into_iter().enumerate() {
            let before = requests.count;
            job.operation.write(&ledger, sent, &mut requests);
            turns.push_back(Turn::Job(job, requests.count - before));
            if place == among || place == end {
                let echo = format!("{number}:{place}");
                requests.push(&[b"ECHO", echo.as_bytes()]);
                turns.push_back(Turn::Echo(echo));
            }
        }
        let node = node.to_owned();
        let (replies, moved) = (Vec::new(), Vec::new());
        (Self { ledger, node, sent, turns, replies, moved }, requests)
    }

    /// Takes the next reply, and judges the operation that it completes. Fails if the replies have lost their order: then what
    /// follows belongs to nobody.
    pub(super) fn take(&mut self, reply: Value) -> Result<(), Failure> {
        self.replies.push(reply);
        match self.turns.pop_front() {
            Some(Turn::Echo(echo)) if self.replies != [Value::Bulk(echo.clone().into())] => {
                return Err(self.wrong_order(&echo));
            }
            Some(Turn::Job(job, expected)) if self.replies.len() == expected => self.judge(job),
            Some(unfinished @ Turn::Job(..)) => {
                self.turns.push_front(unfinished);
                return Ok(());
            }
            Some(Turn::Echo(_)) | None => {}
        }
        self.replies.clear();
        Ok(())
    }

    fn wrong_order(&self, echo: &str) -> Failure {
        let got: String = format!("{:?}", self.replies).chars().take(80).collect();
        let violation = Violation::WrongOrder(format!("ECHO {echo} got {got}"));
        let failure =
            Failure::new(violation.kind(), "not judged: the replies had lost their order");
        let now = clock::now();
        self.ledger.load.meter.record(&self.node, now, now, &Outcome::Violation(violation));
        failure
    }

    fn judge(&mut self, mut job: Job) {
        let Self { ledger, replies, sent, moved, .. } = self;
        if let Some(to) = moved_to(replies) {
            count(&ledger.tally.moved);
            moved.push((job, to.to_owned()));
            return;
        }
        if let Some(failure) = failure(replies) {
            return job.fail(ledger, failure);
        }
        let span = Span { sent: *sent, answered: clock::since_1970() };
        match job.operation.judge(ledger, replies, span) {
            Ok(()) => job.record(ledger, &Outcome::Right),
            Err(violation) => job.record(ledger, &Outcome::Violation(violation)),
        }
    }

    /// Ends the exchange: what has no reply has failed. Returns what has to be asked elsewhere.
    pub(super) fn end(self, done: Result<(), Failure>) -> Vec<(Job, String)> {
        if let Err(failure) = done {
            for turn in self.turns {
                if let Turn::Job(job, _) = turn {
                    job.fail(&self.ledger, failure.clone());
                }
            }
        }
        self.moved
    }
}
