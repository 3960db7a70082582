//! The page of `ringcache up`, in a real browser, on a cluster that is read and scaled meanwhile.

use std::env;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ringcache_tests::clock::{run_for, wait_for};
use ringcache_tests::process::Running;
use ringcache_tests::resp::Connection;
use ringcache_tests::{Cluster, http, tool};
use rustix::process::Signal;

/// Longest wait for a stage of what the browser does.
const LIMIT: Duration = Duration::from_mins(5);
/// A key that would be markup, if anybody took it for that.
const EVIL_KEY: &str = "<img src=x onerror=\"document.title='owned'\">";
/// It is to be hot, and not to be all that there is.
const BETWEEN_READS: Duration = Duration::from_millis(1);
/// Where pictures of the page go, if they are wanted.
const PICTURES: &str = "RINGCACHE_PAGE_PICTURES";

/// More than fits into one node of 64Mi, and all of it into two.
fn load(cluster: &Cluster) -> Result<Running> {
    let mut command = tool::ringcache()?;
    command.args(["load", "--rate", "1500", "--keys", "3400", "--zipf", "0.8"]);
    command.args(["--value-bytes", "15000..17000", "--ttl", "1h", "--origin-ms", "1"]);
    command.arg("--state-dir").arg(cluster.state_dir());
    Running::spawn(command, cluster.dir(), "load")
}

/// Reads one key again and again, until it is dropped.
struct Hammer(Arc<AtomicBool>, Option<JoinHandle<()>>);

impl Hammer {
    fn on(port: u16) -> Result<Self> {
        let goes_on = Arc::new(AtomicBool::new(true));
        let (flag, mut node) = (Arc::clone(&goes_on), Connection::open(port)?);
        node.ask(&[b"SET", EVIL_KEY.as_bytes(), b"1"])?;
        let reads = thread::spawn(move || {
            while flag.load(Ordering::Relaxed) && node.ask(&[b"GET", EVIL_KEY.as_bytes()]).is_ok() {
                run_for(BETWEEN_READS);
            }
        });
        Ok(Self(goes_on, Some(reads)))
    }
}

impl Drop for Hammer {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
        let _ = self.1.take().map(JoinHandle::join);
    }
}

/// The port of the page, as it was printed first.
fn port(cluster: &Cluster) -> Result<u16> {
    let said = cluster.events();
    let line = said.lines().next().context("nothing is printed")?;
    let port = line.strip_prefix("Look at it: http://127.0.0.1:");
    let port = port.and_then(|rest| rest.strip_suffix('/')).with_context(|| said.clone())?;
    Ok(port.parse()?)
}

/// Waits until the browser has said that a stage is over.
fn stage(browser: &mut Running, name: &str) -> Result<()> {
    wait_for(&format!("the browser says {name:?}"), LIMIT, || {
        let said = browser.stdout();
        if said.lines().any(|line| line == name) {
            return Ok(Ok(()));
        }
        let ended = browser.ended()?;
        ensure!(ended.is_none(), "it ended with {ended:?}: {said}{}", browser.stderr());
        Ok(Err(said))
    })
}

#[test]
fn a_browser_sees_a_cluster_scale_and_come_back_on_a_page_without_a_fault() -> Result<()> {
    let mut cluster = Cluster::start(&Cluster::spec(1, "64Mi"), 1)?;
    let port = port(&cluster)?;
    let foreign = http::request_to("evil.example", port, "GET", "/events")?;
    ensure!(foreign.status == 421, "{foreign:?}");
    let mut load = load(&cluster)?;
    let hammer = Hammer::on(cluster.nodes()?.first().context("no node")?.ports.resp)?;

    let mut command = tool::browser("page.cjs")?;
    command.arg(format!("http://127.0.0.1:{port}/")).arg(EVIL_KEY);
    command.args(env::var_os(PICTURES).map(PathBuf::from));
    let mut browser = Running::spawn(command, cluster.dir(), "browser")?;
    stage(&mut browser, "looked")?;
    drop(hammer);

    cluster.edit(&Cluster::spec(2, "64Mi"))?;
    stage(&mut browser, "scaled").with_context(|| cluster.diagnosis())?;

    cluster.kill_up()?;
    stage(&mut browser, "lost")?;
    // Somebody else has the port meanwhile: the cluster is looked after all the same.
    let other = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    cluster.start_up()?;
    cluster.wait_event(&format!("there is no page to look at: port {port} is taken"), LIMIT)?;
    cluster.wait_converged(2, LIMIT)?;
    cluster.kill_up()?;
    drop(other);
    cluster.start_up()?;
    stage(&mut browser, "back").with_context(|| cluster.diagnosis())?;
    ensure!(browser.wait(LIMIT)?.success(), "{}", browser.stderr());

    load.signal(Signal::INT)?;
    load.wait(LIMIT)?;
    cluster.interrupt()
}
