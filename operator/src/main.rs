//! The operator's binary: flags, log, lease, port, and the end.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use ringcache_admin_client::AdminClient;
use ringcache_operator::args::Args;
use ringcache_operator::check::check;
use ringcache_operator::lease::Lease;
use ringcache_operator::server::Server;
use ringcache_operator::{Clock, Config, Metrics, client, run};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::info;

// Two threads: the operator waits nearly all the time, and each thread costs memory.
#[tokio::main(worker_threads = 2)]
async fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    if let Some(uri) = &args.check {
        check(uri).await?;
        return Ok(ExitCode::SUCCESS);
    }
    args.start_log()?;
    let (client, api_host) = client::connect(Config::default().call_timeout).await?;
    let config = args.config(api_host);
    let metrics = Metrics::new();
    let shutdown = CancellationToken::new();
    let listener = ringcache_listen::listen(args.listen)
        .and_then(TcpListener::from_std)
        .with_context(|| format!("cannot listen on {}", args.listen))?;
    info!(version = env!("CARGO_PKG_VERSION"), listen = %args.listen, "ringcache-operator");
    let server = Server {
        metrics: metrics.clone(),
        watch_stall: config.watch_stall,
        stopping: shutdown.clone(),
    };
    tokio::spawn(server.serve(listener));
    tokio::spawn(stop_on_signal(shutdown.clone())?);

    let clock = Clock::system();
    let mut lease = None;
    if let Some(settings) = args.lease(client.default_namespace()) {
        lease = tokio::select! {
            lease = Lease::acquire(&client, &settings, &config, clock.clone(), &metrics) => Some(lease),
            () = shutdown.cancelled() => return Ok(ExitCode::SUCCESS),
        };
    }
    let operator = run::run(client, AdminClient::new(), config, clock, metrics, shutdown.clone());
    let lost = async {
        match &mut lease {
            Some(lease) => lease.lost().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = operator => (),
        // At once, in the middle of whatever is being done: another replica is about to begin.
        () = lost => return Ok(ExitCode::FAILURE),
    }
    if let Some(lease) = lease {
        lease.release().await;
    }
    info!("stopped");
    // Only who was told to stop may end without an error.
    Ok(if shutdown.is_cancelled() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Cancels `shutdown` at SIGTERM or SIGINT.
fn stop_on_signal(shutdown: CancellationToken) -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => (),
            _ = interrupt.recv() => (),
        }
        shutdown.cancel();
    })
}
