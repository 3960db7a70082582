//! Progress, Ctrl-C and the report, beside the clients.

use std::future::Future;
use std::pin::pin;
use std::process;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval_at};

use super::Run;
use super::client::Way;
use super::report::{self, Mixed, Report};
use crate::signals::Signals;
use crate::{clock, output};

/// Exit code of a process that a second Ctrl-C ended.
const INTERRUPTED: i32 = 130;

/// Accompanies the clients through the phases: progress, Ctrl-C, and the report.
pub(super) struct Supervisor<'a> {
    /// The run.
    pub(super) run: &'a Run,
    /// Ctrl-C and the like.
    pub(super) signals: Signals,
    /// Whether the standard output is for the report alone.
    pub(super) json: bool,
}

impl Supervisor<'_> {
    /// From the first write to the report.
    pub(super) async fn run(mut self) -> Report {
        let Run { load, barrier, way, .. } = self.run;
        let keys = load.keys;
        self.accompany(barrier.wait(), || {
            let written = load.meter.tick().counts;
            format!("writing {keys} keys: {} in a second", written.operations)
        })
        .await;
        let fill = load.meter.restart(clock::now());
        self.say(&format!("wrote {} keys", fill.counts.operations));
        let (began, since_1970) = (clock::now(), clock::since_1970());
        barrier.wait().await;
        self.accompany(barrier.wait(), || report::progress(&load.meter.tick())).await;
        let mixed = Mixed {
            began: since_1970,
            elapsed: clock::now() - began,
            operations: load.meter.operations(),
        };
        self.accompany(barrier.wait(), || report::progress(&load.meter.tick())).await;
        let mix = load.meter.restart(clock::now());
        let judged = match way {
            Way::Stock(_) => None,
            Way::Raw(ledger, _) => Some(ledger.judged()),
        };
        Report::of(load.values.seed, fill, mix, mixed, judged)
    }

    /// Waits for the end of a phase, saying once a second how far it is.
    async fn accompany<T>(
        &mut self,
        phase: impl Future<Output = T>,
        progress: impl Fn() -> String,
    ) {
        let second = Duration::from_secs(1);
        let mut ticks = interval_at((clock::now() + second).into(), second);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut phase = pin!(phase);
        loop {
            tokio::select! {
                _ = &mut phase => return,
                _ = ticks.tick() => self.say(&progress()),
                () = self.signals.recv() => {
                    if self.run.load.stop.swap(true, Ordering::Relaxed) {
                        process::exit(INTERRUPTED);
                    }
                    self.say("stopping: a second Ctrl-C ends at once");
                }
            }
        }
    }

    fn say(&self, line: &str) {
        if self.json {
            output::complain(line);
        } else {
            // Progress that is lost is missed by nobody; the report is not.
            let _ = output::print(&format!("{line}\n"));
        }
    }
}
