//! The operator's process: started, measured, ended.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ringcache_lab::Lab;
use ringcache_tests::http;
use ringcache_tests::process::Running;
use rustix::process::Signal;
use tokio::time::sleep;

use crate::counters::Counters;
use crate::memory::Memory;
use crate::wait::wait_for;

/// Longest start, and longest end.
const LIMIT: Duration = Duration::from_mins(1);
/// No poll for so long: there is nothing left that it would look after.
const QUIET: Duration = Duration::from_secs(6);
/// Longest wait until it is quiet.
const QUIET_LIMIT: Duration = Duration::from_mins(3);
/// Ticks a second of the times in `/proc`: the same on every Linux that runs Rust programs.
const TICKS: f64 = 100.0;

/// A running operator.
pub(crate) struct Operator {
    process: Running,
    port: u16,
}

/// Whether the operator holds the lease, as it does when it is deployed. Renewing it costs calls.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lease {
    Held,
    None,
}

impl Operator {
    /// Starts it with the flags that the chart gives it, and waits until it watches.
    pub(crate) async fn start(lab: &Lab, binary: &Path, lease: Lease) -> Result<Self> {
        // The namespace of the lab is ours alone: nobody else takes the port in between.
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let mut command = lab.command(binary);
        command
            .args(["--cache-image=localhost/cache-node:bench", "--lease-namespace=default"])
            .arg(format!("--listen=127.0.0.1:{port}"))
            .arg(format!("--leader-elect={}", lease == Lease::Held));
        let process = Running::spawn(command, &lab.log_folder(), "operator")?;
        let mut operator = Self { process, port };
        wait_for("the operator is ready", LIMIT, async || {
            operator.check()?;
            Ok(match http::request(port, "GET", "/readyz", "") {
                Ok(answer) if answer.status == 200 => Ok(()),
                Ok(answer) => Err(answer.body),
                Err(error) => Err(error.to_string()),
            })
        })
        .await?;
        Ok(operator)
    }

    /// Its memory now.
    pub(crate) fn memory(&mut self) -> Result<Memory> {
        self.check()?;
        Memory::of(self.process.pid())
    }

    /// What it has done so far.
    pub(crate) fn counters(&mut self) -> Result<Counters> {
        self.check()?;
        let metrics = http::request(self.port, "GET", "/metrics", "")?;
        ensure!(metrics.status == 200, "/metrics: {}", metrics.head);
        Ok(Counters::parse(&metrics.body, processor(self.process.pid())?))
    }

    /// What it does in that time.
    pub(crate) async fn counted_for(&mut self, period: Duration) -> Result<Counters> {
        let before = self.counters()?;
        sleep(period).await;
        Ok(self.counters()? - &before)
    }

    /// Waits until nothing is under way.
    pub(crate) async fn wait_quiet(&mut self) -> Result<()> {
        wait_for("the operator polls no cluster any more", QUIET_LIMIT, async || {
            let done = self.counted_for(QUIET).await?;
            Ok(if done.polls() == 0 { Ok(()) } else { Err(format!("{:?}", done.reconciles)) })
        })
        .await
    }

    /// Ends it as the kubelet does.
    pub(crate) fn stop(mut self) -> Result<()> {
        self.check()?;
        self.process.signal(Signal::TERM)?;
        let status = self.process.wait(LIMIT)?;
        ensure!(status.success(), "the operator ended with {status}:\n{}", self.process.stderr());
        Ok(())
    }

    fn check(&mut self) -> Result<()> {
        let ended = self.process.ended()?;
        let log = || self.process.stderr();
        ended.map_or(Ok(()), |status| anyhow::bail!("the operator ended: {status}\n{}", log()))
    }
}

/// Processor time that a process has taken.
fn processor(pid: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let ticks = ticks(&stat).with_context(|| format!("/proc/{pid}/stat: {stat}"))?;
    Ok(Duration::from_secs_f64(ticks as f64 / TICKS))
}

/// Time in the program and in the kernel: fields 14 and 15. The name, in parentheses, may contain anything.
fn ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ').skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_that_of_program_and_kernel() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194560 100 0 0 0 12 34 0 0 20 0 3 0 100 1 1";
        assert_eq!(ticks(stat), Some(46));
        assert_eq!(ticks("7 (a"), None);
    }
}
