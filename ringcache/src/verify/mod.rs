//! `ringcache verify`: a load that checks every reply.

mod args;
mod history;
mod load;
mod meter;
mod random;
mod report;
mod value;

use std::future::Future;
use std::pin::pin;
use std::process::{self, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};
use redis::cluster::ClusterClient;
use tokio::runtime;
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval_at};
use uuid::Uuid;

pub(crate) use args::VerifyArgs;

use crate::signals::Signals;
use crate::{clock, output};
use history::History;
use load::{Client, Load, stock_client};
use meter::{Meter, Outcome};
use report::Report;
use value::Values;

/// Exit code of a process that a second Ctrl-C ended.
const INTERRUPTED: i32 = 130;

/// Runs the load; the exit code is success if every reply was right.
pub(crate) fn run(args: &VerifyArgs) -> Result<ExitCode> {
    let report = current_thread()?.block_on(check(args))?;
    let text = if args.json { serde_json::to_string(&report)? + "\n" } else { report.text() };
    output::print(&text)?;
    Ok(if report.counts.clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn current_thread() -> std::io::Result<runtime::Runtime> {
    runtime::Builder::new_current_thread().enable_all().build()
}

async fn check(args: &VerifyArgs) -> Result<Report> {
    let seeds = args.seeds.join(",");
    let cluster = stock_client(&args.seeds).with_context(|| format!("--seeds {seeds}"))?;
    cluster.get_async_connection().await.with_context(|| {
        format!("no cluster answers at {seeds}: is it up, and is this its Redis port?")
    })?;
    let seed = args.seed.unwrap_or_else(|| Uuid::new_v4().as_u64_pair().0);
    let writers = args.clients.min(args.keys);
    let load = Arc::new(Load {
        values: Values { seed, writers, sizes: args.value_bytes.clone() },
        keys: args.keys,
        rate: args.rate,
        history: History::new(args.keys),
        meter: Meter::new(clock::now()),
        stop: AtomicBool::new(false),
    });
    let run = Run {
        load,
        cluster,
        duration: Duration::from_secs(args.seconds),
        barrier: Arc::new(Barrier::new(writers as usize + 1)),
    };
    let threads = run.start(writers)?;
    let report = Supervisor { run: &run, signals: Signals::new()?, json: args.json }.run().await;
    for thread in threads {
        // A panic in a client has been printed, and its missing operations show in the report.
        let _ = thread.join();
    }
    Ok(report)
}

/// What every client of a run gets.
#[derive(Clone)]
struct Run {
    load: Arc<Load>,
    cluster: ClusterClient,
    duration: Duration,
    /// Between phases: all clients and the supervisor meet here.
    barrier: Arc<Barrier>,
}

impl Run {
    /// Spreads the clients over half of the cores: the other half is the nodes' on a machine that runs both.
    fn start(&self, clients: u64) -> Result<Vec<JoinHandle<()>>> {
        let threads = thread::available_parallelism().map_or(1, usize::from).div_ceil(2);
        let thread = |first| {
            let run = self.clone();
            let runtime = current_thread()?;
            let clients = (0..clients).skip(first).step_by(threads);
            Ok(thread::spawn(move || {
                runtime.block_on(async {
                    let tasks: JoinSet<()> = clients.map(|id| run.clone().client(id)).collect();
                    tasks.join_all().await;
                });
            }))
        };
        (0..threads).map(thread).collect()
    }

    /// The life of one client. Without a connection it still meets the others, or they would wait for ever.
    async fn client(self, id: u64) {
        let Self { load, cluster, duration, barrier } = self;
        let now = clock::now();
        let mut client = match cluster.get_async_connection().await {
            Ok(connection) => Some(Client::new(Arc::clone(&load), id, connection)),
            Err(error) => {
                let outcome = Outcome::Error(error.to_string());
                load.meter.record(&format!("connection {id}"), now, clock::now(), &outcome);
                None
            }
        };
        if let Some(client) = &mut client {
            client.fill().await;
        }
        barrier.wait().await;
        barrier.wait().await;
        if let Some(client) = &mut client {
            let began = clock::now();
            client.mix(began, began + duration).await;
        }
        barrier.wait().await;
        if let Some(client) = &mut client {
            client.clear().await;
        }
    }
}

/// Accompanies the clients through the phases: progress, Ctrl-C, and the report.
struct Supervisor<'a> {
    run: &'a Run,
    signals: Signals,
    json: bool,
}

impl Supervisor<'_> {
    async fn run(mut self) -> Report {
        let Run { load, barrier, .. } = self.run;
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
        let mix = load.meter.restart(clock::now());
        Report::of(load.values.seed, fill, mix, since_1970, clock::now() - began)
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
