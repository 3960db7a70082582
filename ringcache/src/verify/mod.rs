//! `ringcache verify`: a load that checks every reply.

mod args;
mod client;
mod history;
mod load;
mod meter;
mod raw;
mod report;
mod supervisor;
mod value;
mod violation;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Result, anyhow};
use tokio::runtime;
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use uuid::Uuid;

pub(crate) use args::VerifyArgs;

use crate::signals::Signals;
use crate::{clock, output, stock};
use client::{Client, Way};
use history::History;
use load::Load;
use meter::{Meter, Outcome};
use raw::{Layout, Ledger, Terms};
use report::Report;
use supervisor::Supervisor;
use value::Values;

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
    let seed = args.seed.unwrap_or_else(|| Uuid::new_v4().as_u64_pair().0);
    let layout = Layout::new(seed, args.keys);
    let load = Arc::new(Load {
        values: Values {
            seed,
            writers: args.clients.min(args.keys),
            sizes: args.value_bytes.clone(),
            mostly_small: args.raw,
        },
        keys: args.keys,
        rate: args.rate,
        history: History::new(if args.raw { layout.versioned() } else { args.keys }),
        meter: Meter::new(clock::now()),
        stop: AtomicBool::new(false),
    });
    let way = if args.raw {
        let ledger = Ledger::new(Arc::clone(&load), layout, Terms::default());
        Way::Raw(Arc::new(ledger), args.seeds.clone())
    } else {
        Way::Stock(Box::new(stock::client(&args.seeds)?))
    };
    Client::connect(way.clone(), Arc::clone(&load), 0)
        .await
        .map_err(|failure| anyhow!(failure.text).context(stock::no_cluster(&args.seeds)))?;
    Run::new(load, way, Duration::from_secs(args.seconds)).report(args.json).await
}

/// What every client of a run gets.
#[derive(Clone)]
struct Run {
    load: Arc<Load>,
    way: Way,
    duration: Duration,
    /// Between phases: all clients and the supervisor meet here.
    barrier: Arc<Barrier>,
}

impl Run {
    fn new(load: Arc<Load>, way: Way, duration: Duration) -> Self {
        let barrier = Arc::new(Barrier::new(load.values.writers as usize + 1));
        Self { load, way, duration, barrier }
    }

    /// Runs all clients through all phases.
    async fn report(&self, json: bool) -> Result<Report> {
        let threads = self.start(self.load.values.writers)?;
        let report = Supervisor { run: self, signals: Signals::new()?, json }.run().await;
        for thread in threads {
            // A panic in a client has been printed, and its missing operations show in the report.
            let _ = thread.join();
        }
        Ok(report)
    }

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
        let Self { load, way, duration, barrier } = self;
        let now = clock::now();
        let mut client = match Client::connect(way, Arc::clone(&load), id).await {
            Ok(client) => Some(client),
            Err(failure) => {
                let outcome = Outcome::Error(failure);
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
            client.mix(duration).await;
        }
        barrier.wait().await;
        if let Some(client) = &mut client {
            client.settle().await;
        }
        barrier.wait().await;
        if let Some(client) = &mut client {
            client.clear().await;
        }
    }
}
