//! Counts and latencies: of the running second, of each second gone by, and of the whole load.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::violation::Violation;
use crate::latency::{self, Latency, histogram};

/// Problems of which the details are kept: enough to see a pattern.
const KEPT_PROBLEMS: usize = 20;

/// How many operations, and how many of them contradicted the promises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Counts {
    /// Operations answered, rightly or not.
    pub(super) operations: u64,
    /// Operations that the client reported as failed.
    pub(super) errors: u64,
    /// Reads without a value where one was acknowledged.
    pub(super) unexpected_misses: u64,
    /// Reads of an older value than an acknowledged one.
    pub(super) old_values: u64,
    /// Replies that are wrong in any other way: bytes that nobody wrote to the key, a wrong number, a torn pair.
    pub(super) wrong_values: u64,
}

impl Counts {
    /// Whether nothing contradicted the promises.
    pub(super) fn clean(self) -> bool {
        Self { operations: 0, ..self } == Self::default()
    }

    pub(super) fn add(&mut self, other: Self) {
        let Self { operations, errors, unexpected_misses, old_values, wrong_values } = other;
        self.operations += operations;
        self.errors += errors;
        self.unexpected_misses += unexpected_misses;
        self.old_values += old_values;
        self.wrong_values += wrong_values;
    }
}

/// One second of load.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Second {
    /// The first is 1.
    #[serde(rename = "second")]
    pub(super) number: u64,
    /// Operations that ended in it.
    #[serde(flatten)]
    pub(super) counts: Counts,
    /// Their latencies.
    #[serde(flatten)]
    pub(super) latency: Latency,
}

/// The operation that took longest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LongestWait {
    /// How long, in microseconds.
    pub(super) wait_us: u64,
    /// When it was sent (with a rate: due), in milliseconds since the load began.
    pub(super) sent_ms: u64,
}

/// What one operation came to.
#[derive(Debug)]
pub(super) enum Outcome {
    /// As it should be.
    Right,
    /// There was an error instead of a reply.
    Error(Failure),
    /// The reply contradicts the history.
    Violation(Violation),
}

/// An error instead of a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// The code of an error reply, or what became of the connection.
    pub(super) kind: String,
    /// The whole text.
    pub(super) text: String,
}

impl Failure {
    /// A failure of this kind.
    pub(super) fn new(kind: &str, text: impl Into<String>) -> Self {
        Self { kind: kind.to_owned(), text: text.into() }
    }
}

/// All problems of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Fault {
    /// How many.
    pub(super) count: u64,
    /// The first, with its key and time.
    pub(super) first: String,
}

/// Problems by kind.
pub(super) type Faults = BTreeMap<String, Fault>;

/// Everything recorded of one phase.
#[derive(Debug)]
pub(super) struct Record {
    began: Instant,
    second: (Counts, Histogram<u64>),
    /// The seconds gone by.
    pub(super) seconds: Vec<Second>,
    all: Histogram<u64>,
    /// The whole phase.
    pub(super) counts: Counts,
    /// The longest operation of the phase.
    pub(super) longest: LongestWait,
    /// Details of the first problems.
    pub(super) problems: Vec<String>,
    /// All problems.
    pub(super) faults: Faults,
}

impl Record {
    fn new(began: Instant) -> Self {
        Self {
            began,
            second: (Counts::default(), histogram()),
            seconds: Vec::new(),
            all: histogram(),
            counts: Counts::default(),
            longest: LongestWait::default(),
            problems: Vec::new(),
            faults: Faults::new(),
        }
    }

    /// Latencies of the whole phase.
    pub(super) fn latency(&self) -> Latency {
        Latency::of(&self.all)
    }

    fn outcome(&mut self, key: &str, sent: Instant, done: Instant, outcome: &Outcome) {
        let mut counts = Counts { operations: 1, ..Counts::default() };
        let problem = match outcome {
            Outcome::Right => None,
            Outcome::Error(failure) => {
                counts.errors = 1;
                Some((failure.kind.as_str(), format!("error: {}", failure.text)))
            }
            Outcome::Violation(violation) => {
                *match violation {
                    Violation::UnexpectedMiss(_) | Violation::ExpiredEarly { .. } => {
                        &mut counts.unexpected_misses
                    }
                    Violation::OldValue { .. } | Violation::ExpiredLate { .. } => {
                        &mut counts.old_values
                    }
                    Violation::WrongValue
                    | Violation::WrongCount { .. }
                    | Violation::TornPair(_)
                    | Violation::WrongOrder(_)
                    | Violation::WrongReply(_) => &mut counts.wrong_values,
                } = 1;
                Some((violation.kind(), violation.to_string()))
            }
        };
        let sent_ms = sent.saturating_duration_since(self.began).as_millis() as u64;
        if let Some((kind, problem)) = problem {
            let problem = format!("{key}, sent at {:.3} s: {problem}", sent_ms as f64 / 1e3);
            let first = || Fault { count: 0, first: problem.clone() };
            self.faults.entry(kind.to_owned()).or_insert_with(first).count += 1;
            if self.problems.len() < KEPT_PROBLEMS {
                self.problems.push(problem);
            }
        }
        let wait_us = done.saturating_duration_since(sent).as_micros() as u64;
        if wait_us > self.longest.wait_us {
            self.longest = LongestWait { wait_us, sent_ms };
        }
        self.second.0.add(counts);
        self.second.1.saturating_record(wait_us);
    }

    /// Ends the running second.
    fn tick(&mut self) -> Second {
        let (counts, latencies) =
            std::mem::replace(&mut self.second, (Counts::default(), histogram()));
        self.counts.add(counts);
        latency::add(&mut self.all, &latencies);
        let number = self.seconds.len() as u64 + 1;
        let second = Second { number, counts, latency: Latency::of(&latencies) };
        self.seconds.push(second);
        second
    }
}

/// Where all clients record what they see.
#[derive(Debug)]
pub(super) struct Meter(Mutex<Record>);

impl Meter {
    pub(super) fn new(began: Instant) -> Self {
        Self(Mutex::new(Record::new(began)))
    }

    /// Forgets everything: another phase begins at `began`.
    pub(super) fn restart(&self, began: Instant) -> Record {
        self.with(|record| {
            let mut done = std::mem::replace(record, Record::new(began));
            if done.second.0.operations > 0 {
                done.tick();
            }
            done
        })
    }

    /// Records an operation on `key`.
    pub(super) fn record(&self, key: &str, sent: Instant, done: Instant, outcome: &Outcome) {
        self.with(|record| record.outcome(key, sent, done, outcome));
    }

    /// Operations of the phase so far.
    pub(super) fn operations(&self) -> u64 {
        self.with(|record| record.counts.operations + record.second.0.operations)
    }

    /// Ends the running second and returns it.
    pub(super) fn tick(&self) -> Second {
        self.with(Record::tick)
    }

    fn with<T>(&self, act: impl FnOnce(&mut Record) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock;

    #[test]
    fn each_kind_of_problem_is_counted_as_what_it_is() {
        let began = clock::now();
        let meter = Meter::new(began);
        let old = Violation::OldValue { found: 1, acknowledged: 2 };
        let outcomes = [
            Outcome::Right,
            Outcome::Error(Failure::new("closed", "connection lost")),
            Outcome::Violation(Violation::UnexpectedMiss(3)),
            Outcome::Violation(old),
            Outcome::Violation(Violation::WrongValue),
        ];
        for (n, outcome) in outcomes.iter().enumerate() {
            meter.record(&format!("key {n}"), began, began, outcome);
        }
        let record = meter.restart(began);
        let wanted = Counts {
            operations: 5,
            errors: 1,
            unexpected_misses: 1,
            old_values: 1,
            wrong_values: 1,
        };
        assert_eq!(record.counts, wanted);
        assert!(!record.counts.clean());
        let problems = [
            "key 1, sent at 0.000 s: error: connection lost",
            "key 2, sent at 0.000 s: unexpected miss: version 3 was acknowledged",
            "key 3, sent at 0.000 s: old value: version 1 after 2 was acknowledged",
            "key 4, sent at 0.000 s: wrong value: nobody wrote these bytes to this key",
        ];
        assert_eq!(record.problems, problems);
        let kinds: Vec<_> = record.faults.iter().map(|(kind, f)| (&**kind, f.count)).collect();
        assert_eq!(
            kinds,
            [("closed", 1), ("old value", 1), ("unexpected miss", 1), ("wrong value", 1)]
        );
        assert_eq!(record.faults["closed"].first, problems[0]);
    }

    #[test]
    fn a_load_without_problems_is_clean() {
        let began = clock::now();
        let meter = Meter::new(began);
        meter.record("key", began, began, &Outcome::Right);
        assert!(meter.restart(began).counts.clean());
    }

    #[test]
    fn only_the_first_problems_are_kept_and_all_are_counted() {
        let began = clock::now();
        let meter = Meter::new(began);
        for _ in 0..=KEPT_PROBLEMS {
            meter.record("key", began, began, &Outcome::Error(Failure::new("closed", "")));
        }
        let record = meter.restart(began);
        assert_eq!(record.problems.len(), KEPT_PROBLEMS);
        assert_eq!(record.counts.errors, KEPT_PROBLEMS as u64 + 1);
    }

    #[test]
    fn seconds_have_their_own_latencies_and_the_longest_wait_is_remembered() {
        let began = clock::now();
        let after = |ms: u64| began + Duration::from_millis(ms);
        let meter = Meter::new(began);
        meter.record("key", after(500), after(507), &Outcome::Right);
        assert_eq!(meter.tick().latency.max_us / 100, 70);
        meter.record("key", after(1500), after(1503), &Outcome::Right);
        let record = meter.restart(after(2000));
        let longest: Vec<_> = record.seconds.iter().map(|s| s.latency.max_us / 100).collect();
        assert_eq!(longest, [70, 30]);
        assert_eq!(record.longest, LongestWait { wait_us: 7000, sent_ms: 500 });
        assert_eq!(record.latency().max_us / 100, 70);
    }
}
