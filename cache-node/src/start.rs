//! Starting and stopping: ports, threads, signals.

use std::io::{self, IsTerminal as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

use ringcache_api::Incarnation;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tracing::info;
use tracing_subscriber::EnvFilter;

use crate::args::NodeArgs;
use crate::control::Control;
use crate::draining::drained;
use crate::hash_seed::hash_seed;
use crate::node::Node;
use crate::requests::Request;
use crate::resp::{self, Workers};
use crate::{admin, bus, housekeeping, http};

/// Requests to the control thread, and batches from the bus, that may wait.
const QUEUE: usize = 1024;

/// Why a node did not start, or stopped unasked.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A port is taken, or may not be used.
    #[error("cannot listen on {address} ({purpose}): {source}")]
    Listen {
        /// Address and port.
        address: SocketAddr,
        /// What the port is for.
        purpose: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// The operating system gave no thread, no signal handler or no random bytes.
    #[error("cannot start: {0}")]
    Start(#[from] io::Error),
}

/// Runs a node until it is told to stop.
///
/// SIGTERM: not ready, but it serves and forwards until it owns nothing and clients have turned elsewhere, nobody takes what it
/// owns, or the grace period ends. SIGINT: it stops at once.
pub fn run(args: NodeArgs) -> Result<(), RunError> {
    abort_on_panic();
    ringcache_store::allocator::set_up();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let colours = io::stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(colours)
        .with_writer(io::stderr)
        // Else a log that is closed or on a full disk would be complained of by a panic, and end the node.
        .log_internal_errors(false)
        .init();
    let listen = |port, purpose| {
        let address = SocketAddr::new(args.bind, port);
        let listener = ringcache_listen::listen(address);
        listener.map_err(|source| RunError::Listen { address, purpose, source })
    };
    let resp_listener = listen(args.resp_port, "Redis protocol")?;
    let http_listener = listen(args.http_port, "HTTP")?;
    let admin_listener = listen(args.admin_port, "admin API")?;
    let bus_listener = listen(args.bus_port, "bus")?;

    let nonce = format!("{:08x}", getrandom::u32().map_err(io::Error::from)?);
    let incarnation = Incarnation::new(&args.uid, &nonce);
    let hash_seed = hash_seed(&args.cluster_uid);
    info!(name = args.name, %incarnation, "starting");
    let (control, requests) = mpsc::channel(QUEUE);
    let node = Node::new(args, incarnation, hash_seed, control);
    let workers = Arc::new(resp::spawn(Arc::clone(&node), resp_listener)?);
    let (stop, stopped) = watch::channel(false);

    let threads = [
        control_thread(&node, bus_listener, &workers, requests, stopped.clone())?,
        service_thread(&node, http_listener, admin_listener, stopped)?,
    ];
    runtime()?.block_on(until_told_to_stop(&node))?;
    info!("stopping");
    workers.stop();
    let _ = stop.send(true); // fails only when both threads have ended already
    for thread in threads {
        let _ = thread.join(); // a panic there has been printed
    }
    Ok(())
}

/// From now on a panic in any thread ends the process: a node that lost one of its threads would serve on and look well.
/// Kubernetes and `ringcache up` replace it.
pub fn abort_on_panic() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        print(panic);
        std::process::abort();
    }));
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

fn control_thread(
    node: &Arc<Node>,
    listener: TcpListener,
    workers: &Arc<Workers>,
    requests: mpsc::Receiver<Request>,
    mut stopped: watch::Receiver<bool>,
) -> io::Result<JoinHandle<()>> {
    let (node, workers, runtime) = (Arc::clone(node), Arc::clone(workers), runtime()?);
    std::thread::Builder::new().name("control".into()).spawn(move || {
        runtime.block_on(async {
            let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
            let (inbox, inbound) = mpsc::channel(QUEUE);
            tokio::spawn(bus::listen(Arc::clone(&node), listener, workers, inbox.clone()));
            let control = Control::new(node, inbox);
            tokio::select! {
                () = control.run(requests, inbound) => {}
                _ = stopped.wait_for(|stop| *stop) => {}
            }
        });
    })
}

fn service_thread(
    node: &Arc<Node>,
    http_listener: TcpListener,
    admin_listener: TcpListener,
    stopped: watch::Receiver<bool>,
) -> io::Result<JoinHandle<()>> {
    let (node, runtime) = (Arc::clone(node), runtime()?);
    let stop = move || {
        let mut stopped = stopped.clone();
        async move {
            let _ = stopped.wait_for(|stop| *stop).await; // the sender is gone: stop as well
        }
    };
    std::thread::Builder::new().name("service".into()).spawn(move || {
        runtime.block_on(async {
            let listeners = tokio::net::TcpListener::from_std(http_listener)
                .and_then(|http| Ok((http, tokio::net::TcpListener::from_std(admin_listener)?)));
            let Ok((http_listener, admin_listener)) = listeners else { return };
            tokio::join!(
                http::serve(Arc::clone(&node), http_listener, stop()),
                admin::serve(Arc::clone(&node), admin_listener, stop()),
                housekeeping::run(Arc::clone(&node), stop()),
            );
        });
    })
}

/// Resolves when the node should end. A second SIGTERM says nothing new: a kubelet that is restarted sends one to every pod that is
/// ending, and would cut a long hand-over short.
async fn until_told_to_stop(node: &Node) -> io::Result<()> {
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = int.recv() => return Ok(()),
        _ = term.recv() => {}
    }
    node.draining.store(true, Ordering::Relaxed);
    info!(grace_seconds = node.args.grace_seconds, "draining");
    tokio::select! {
        why = drained(node) => info!(why, "drained"),
        _ = int.recv() => {}
    }
    Ok(())
}
