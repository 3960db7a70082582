//! `ringcache load`: a load to see a cache with. Applications that read through it, and a slow database behind it.

mod args;
mod client;
mod meter;
mod metrics;
mod origin;
mod pace;
mod phases;
mod report;
mod workload;
mod zipf;

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::task::JoinSet;
use tokio::time::sleep_until;
use uuid::Uuid;

pub(crate) use args::LoadArgs;

use crate::signals::Signals;
use crate::{clock, local, output, stock};
use client::Client;
use meter::Meter;
use metrics::Metrics;
use origin::Origin;
use pace::{Pace, Turn};
use report::{Report, Second};
use workload::Workload;

/// Runs the load until its time is over or it is told to stop.
pub(crate) async fn load(args: &LoadArgs) -> Result<ExitCode> {
    let mut signals = Signals::new()?;
    let seeds = match args.seeds.as_slice() {
        [] => local::seeds(&args.state_dir)?,
        seeds => seeds.to_vec(),
    };
    let cluster = stock::client(&seeds)?;
    cluster.get_async_connection().await.with_context(|| stock::no_cluster(&seeds))?;
    let metrics = Metrics::new()?;
    if let Some(port) = args.metrics_port {
        let port = metrics.serve(port)?;
        say(args.json, &format!("metrics: http://127.0.0.1:{port}/metrics"));
    }
    let run = Arc::new(Run::new(args, metrics));
    let clients: JoinSet<()> = (0..args.connections)
        .map(|_| {
            let (run, cluster) = (Arc::clone(&run), cluster.clone());
            async { Client::connect(run, cluster).await.run().await }
        })
        .collect();
    let seconds = run.accompany(args, &mut signals).await;
    drop(clients);
    let elapsed = clock::now() - run.began;
    let report = Report::of(run.workload.seed, elapsed, run.meter.finish(), seconds);
    let text = if args.json { serde_json::to_string(&report)? + "\n" } else { report.text() };
    output::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// What all connections share.
#[derive(Debug)]
struct Run {
    workload: Workload,
    origin: Origin,
    meter: Meter,
    pace: Mutex<Pace>,
    ttl: Duration,
    began: Instant,
}

impl Run {
    fn new(args: &LoadArgs, metrics: Metrics) -> Self {
        let seed = args.seed.unwrap_or_else(|| Uuid::new_v4().as_u64_pair().0);
        let delay = Duration::from_millis(args.origin_ms);
        Self {
            workload: args.workload(seed),
            origin: Origin::new(delay, args.origin_parallel as usize),
            meter: Meter::new(metrics),
            pace: Mutex::new(Pace::new(args.rate)),
            ttl: args.ttl,
            began: clock::now(),
        }
    }

    /// The next turn, whoever asks for it.
    fn turn(&self) -> Turn {
        let now = clock::now() - self.began;
        self.pace.lock().unwrap_or_else(PoisonError::into_inner).turn(now)
    }

    /// Says once a second how it goes, until the end; returns the seconds that the report is to have. A second that is told late is told none the less: each has its row.
    async fn accompany(&self, args: &LoadArgs, signals: &mut Signals) -> Vec<Second> {
        let mut seconds = Vec::new();
        let last = args.length().map_or(u64::MAX, |length| length.as_secs());
        for number in 1..=last {
            let over = self.began + Duration::from_secs(number);
            tokio::select! {
                () = signals.recv() => break,
                () = sleep_until(over.into()) => {}
            }
            let keys = self.workload.phases.keys(Duration::from_secs(number - 1));
            let second = Second { number, keys, figures: self.meter.tick() };
            say(args.json, &report::progress(&second));
            if args.json {
                seconds.push(second);
            }
        }
        seconds
    }
}

fn say(json: bool, line: &str) {
    if json {
        output::complain(line);
    } else {
        // Progress that is lost is missed by nobody; the report is not.
        let _ = output::print(&format!("{line}\n"));
    }
}
