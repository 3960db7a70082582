//! Everything that operators say to the API server and to nodes, and the faults that strike there.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use kube::core::response::StatusDetails;
use ringcache_fake_apiserver::{ApiServer, Call, Verb, Verdict, failure};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::plan::{ApiError, Fault, Lie};

/// Longest that an operator waits for an answer.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a stale view lasts.
const STALE: Duration = Duration::from_secs(20);
/// How long a slow server is slow, and how slow it is.
const SLOW: (Duration, Duration) = (Duration::from_secs(40), Duration::from_secs(1));
/// How long a server that serves nobody does not.
const OUTAGE: Duration = Duration::from_mins(2);

/// One call of an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    pub(crate) verb: String,
    pub(crate) resource: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) is_write: bool,
    pub(crate) at: Instant,
}

impl Note {
    /// What is said about it, without the time: the names of events are made of theirs.
    pub(crate) fn text(&self) -> String {
        let name = if self.resource == "events" { "*" } else { &self.name };
        format!("{} {} {}/{name}", self.verb, self.resource, self.namespace)
    }
}

/// What happens to a message to a node.
pub(crate) enum PushFate {
    Delivered,
    Refused,
    /// The sender ends before it is delivered, or after.
    Lost,
    DeliveredUnheard,
}

/// The record of a run, and the faults that are still to come.
#[derive(Default)]
pub(crate) struct Tape {
    /// Operators that run; what others say is not heard any more.
    alive: BTreeSet<String>,
    armed: bool,
    /// Whether nothing happens that an operator could take for an outage.
    pub(crate) planned: bool,
    faults: Vec<Fault>,
    /// What the server refuses for good.
    forbidden: Vec<(Verb, &'static str)>,
    pub(crate) calls: Vec<Note>,
    pub(crate) writes: usize,
    pub(crate) pushes: usize,
    /// Questions for the state of a node.
    pub(crate) asks: usize,
    pub(crate) last_write: Option<Instant>,
    /// An operator that has just been struck down, and by how many hours the clock of the next one is wrong.
    pub(crate) crashed: Option<(String, i8)>,
    /// Told whenever `crashed` is set.
    pub(crate) crash: Arc<Notify>,
    pub(crate) violations: Vec<String>,
    /// Until then somebody may wait for an answer that does not come.
    hung_until: Option<Instant>,
    /// Until then the server is slow.
    slow_until: Option<Instant>,
    /// Until then the server serves nobody.
    out_until: Option<Instant>,
    /// Operators whose watches stand still, and until when.
    frozen: Vec<(Instant, String)>,
}

impl Tape {
    /// From now on calls are numbered, and the faults strike.
    pub(crate) fn arm(&mut self, faults: Vec<Fault>) {
        (self.calls, self.writes, self.pushes, self.asks) = (Vec::new(), 0, 0, 0);
        (self.armed, self.faults) = (true, faults);
    }

    /// From now on no operator may do this.
    pub(crate) fn forbid(&mut self, verb: Verb, resource: &'static str) {
        self.forbidden.push((verb, resource));
    }

    pub(crate) fn begin(&mut self, operator: &str) {
        self.alive.insert(operator.to_owned());
    }

    pub(crate) fn end(&mut self, operator: &str) {
        self.alive.remove(operator);
    }

    /// Faults that have not struck.
    pub(crate) fn outstanding(&self) -> &[Fault] {
        &self.faults
    }

    fn strike_down(&mut self, operator: &str, hours: i8) {
        self.end(operator);
        self.crashed = Some((operator.to_owned(), hours));
        self.crash.notify_one();
    }

    fn take(&mut self, strikes: impl Fn(&Fault) -> bool) -> Option<Fault> {
        let i = self.faults.iter().position(strikes)?;
        Some(self.faults.remove(i))
    }

    /// An operator calls the API server.
    pub(crate) fn call(&mut self, api: &ApiServer, call: &Call) -> Verdict {
        if !self.alive.contains(&call.writer) {
            return Verdict::DropBefore;
        }
        if call.is_write {
            self.last_write = Some(Instant::now());
        }
        if self.forbidden.contains(&(call.verb, call.resource.as_str())) {
            return verdict(ApiError::Forbidden, call);
        }
        if !self.armed {
            return Verdict::Pass;
        }
        let (n, write) = (self.calls.len(), self.writes);
        self.calls.push(Note {
            verb: call.verb.to_string(),
            resource: resource(call),
            namespace: call.namespace.clone().unwrap_or_default(),
            name: call.name.clone().unwrap_or_default(),
            is_write: call.is_write,
            at: Instant::now(),
        });
        if call.is_write {
            self.writes += 1;
            let crash = self.take(|fault| match fault {
                Fault::CrashBefore(n) | Fault::CrashAfter(n) | Fault::WrongClock(n, _) => {
                    *n == write
                }
                _ => false,
            });
            if let Some(crash) = crash {
                let hours = if let Fault::WrongClock(_, hours) = crash { hours } else { 0 };
                self.strike_down(&call.writer, hours);
                return match crash {
                    Fault::CrashBefore(_) => Verdict::DropBefore,
                    _ => Verdict::DropAfter,
                };
            }
        }
        let at_call = |fault: &Fault| match fault {
            Fault::Call(at, _)
            | Fault::Freeze(at)
            | Fault::Compact(at)
            | Fault::Slow(at)
            | Fault::Outage(at) => *at == n,
            _ => false,
        };
        let fault = self.take(at_call);
        match fault {
            Some(Fault::Slow(_)) => self.slow_until = Some(Instant::now() + SLOW.0),
            Some(Fault::Outage(_)) => self.out_until = Some(Instant::now() + OUTAGE),
            _ => {}
        }
        if self.is_out() {
            return verdict(ApiError::Unavailable, call);
        }
        match fault {
            Some(Fault::Call(_, error)) => {
                if matches!(error, ApiError::TimeoutNotApplied | ApiError::TimeoutApplied) {
                    self.hung_until = Some(Instant::now() + CALL_TIMEOUT);
                }
                verdict(error, call)
            }
            Some(Fault::Freeze(_)) => {
                api.freeze(&call.writer);
                self.frozen.push((Instant::now() + STALE, call.writer.clone()));
                Verdict::Pass
            }
            Some(Fault::Compact(_)) => {
                api.cut_watches();
                Verdict::Pass
            }
            _ if self.slow_until.is_some_and(|until| Instant::now() < until) => {
                Verdict::Late(SLOW.1)
            }
            _ => Verdict::Pass,
        }
    }

    /// An operator asks a node for its state; what comes of it instead, if anything.
    pub(crate) fn ask(&mut self) -> Option<Lie> {
        if !self.armed {
            return None;
        }
        let ask = self.asks;
        self.asks += 1;
        match self.take(|fault| matches!(fault, Fault::Ask(n, _) if *n == ask)) {
            Some(Fault::Ask(_, lie)) => Some(lie),
            _ => None,
        }
    }

    /// Whether nobody has written for so long, and nobody waits to go on.
    pub(crate) fn is_quiet(&self, time: Duration) -> bool {
        let waits = [self.hung_until, self.slow_until, self.out_until];
        let hangs = waits.into_iter().flatten().any(|until| Instant::now() < until + time);
        !hangs && self.last_write.is_none_or(|at| at.elapsed() > time)
    }

    /// Whether the server serves nobody now.
    pub(crate) fn is_out(&self) -> bool {
        self.out_until.is_some_and(|until| Instant::now() < until)
    }

    /// Lets operators see again whose time is over.
    pub(crate) fn thaw(&mut self, api: &ApiServer) {
        for (_, operator) in self.frozen.extract_if(.., |(until, _)| *until <= Instant::now()) {
            api.thaw(&operator);
        }
    }

    /// An operator gives a node a document or settings.
    pub(crate) fn push(&mut self, operator: &str) -> PushFate {
        if !self.alive.contains(operator) {
            return PushFate::Lost;
        }
        self.last_write = Some(Instant::now());
        if !self.armed {
            return PushFate::Delivered;
        }
        let push = self.pushes;
        self.pushes += 1;
        let fate = self.take(|fault| match fault {
            Fault::CrashBeforePush(n) | Fault::CrashAfterPush(n) | Fault::PushFails(n) => {
                *n == push
            }
            _ => false,
        });
        match fate {
            Some(Fault::CrashBeforePush(_)) => {
                self.strike_down(operator, 0);
                PushFate::Lost
            }
            Some(Fault::CrashAfterPush(_)) => {
                self.strike_down(operator, 0);
                PushFate::DeliveredUnheard
            }
            Some(_) => PushFate::Refused,
            None => PushFate::Delivered,
        }
    }

    pub(crate) fn is_alive(&self, operator: &str) -> bool {
        self.alive.contains(operator)
    }
}

/// The resource that a call is about, with the part of it.
fn resource(call: &Call) -> String {
    match &call.subresource {
        Some(part) => format!("{}/{part}", call.resource),
        None => call.resource.clone(),
    }
}

fn verdict(error: ApiError, call: &Call) -> Verdict {
    let name = call.name.as_deref().unwrap_or_default();
    let about = format!("{} \"{name}\"", call.resource);
    let refuse = |code, reason, what: &str| {
        Verdict::Refuse(failure(code, reason, &format!("{about} {what}")).boxed())
    };
    match error {
        ApiError::Conflict if call.verb == Verb::Create => {
            refuse(409, "AlreadyExists", "already exists")
        }
        ApiError::Conflict => refuse(409, "Conflict", "has been modified"),
        ApiError::NotFound => refuse(404, "NotFound", "not found"),
        ApiError::Forbidden => refuse(403, "Forbidden", "is forbidden"),
        ApiError::Invalid => refuse(422, "Invalid", "is invalid"),
        ApiError::TooManyRequests => {
            let status =
                failure(429, "TooManyRequests", "too many requests, please try again later");
            let details = StatusDetails {
                name: name.to_owned(),
                group: String::new(),
                kind: call.resource.clone(),
                uid: String::new(),
                causes: Vec::new(),
                retry_after_seconds: 1,
            };
            Verdict::Refuse(status.with_details(details).boxed())
        }
        ApiError::Internal => refuse(500, "InternalError", "failed"),
        ApiError::Unavailable => refuse(503, "ServiceUnavailable", "is not served now"),
        ApiError::TimeoutNotApplied => Verdict::DropBefore,
        ApiError::TimeoutApplied => Verdict::DropAfter,
    }
}
