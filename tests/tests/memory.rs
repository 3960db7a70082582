//! Resident memory of a node that is filled far over its limit.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

use anyhow::{Result, anyhow, ensure};
use ringcache_tests::Cluster;
use ringcache_tests::clock::run_for;
use ringcache_tests::cluster;
use ringcache_tests::process::resident_bytes;
use ringcache_tests::resp::{Connection, command};

const LIMIT: u64 = 128 << 20;
const WRITERS: u64 = 4;
/// Commands sent before their replies are read.
const PIPELINE: usize = 8;
const SMALLEST: u64 = 100;
const LARGEST: u64 = 100 << 10;
/// How often resident memory is looked at.
const SAMPLE: Duration = Duration::from_millis(100);
/// Time after the last write in which a late peak would show.
const AFTER: Duration = Duration::from_secs(2);

#[test]
fn filling_three_times_the_limit_keeps_resident_memory_within_a_tenth_above_it() -> Result<()> {
    let cluster = Cluster::start(&Cluster::spec(1, "128Mi"), 1)?;
    let node = &cluster.nodes()?[0];
    let (written, done, peak) = (AtomicU64::new(0), AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        let sampler = scope.spawn(|| -> Result<()> {
            while !done.load(Ordering::Relaxed) {
                peak.fetch_max(resident_bytes(node.pid)?, Ordering::Relaxed);
                run_for(SAMPLE);
            }
            Ok(())
        });
        let (port, written) = (node.ports.resp, &written);
        let writers: Vec<_> =
            (0..WRITERS).map(|seed| scope.spawn(move || write(port, seed, written))).collect();
        let results: Vec<_> = writers.into_iter().map(ScopedJoinHandle::join).collect();
        run_for(AFTER);
        done.store(true, Ordering::Relaxed);
        for result in results.into_iter().chain([sampler.join()]) {
            result.map_err(|_| anyhow!("a thread panicked"))??;
        }
        anyhow::Ok(())
    })?;

    let (stats, peak) = (cluster::state(node)?.stats, peak.into_inner());
    println!(
        "{} MiB written, {} entries in {} MiB, {} evicted; peak resident {} MiB = {:.1} % of the limit",
        written.into_inner() >> 20,
        stats.entries,
        stats.used_bytes >> 20,
        stats.evicted,
        peak >> 20,
        peak as f64 * 100.0 / LIMIT as f64
    );
    ensure!(stats.evicted > 0, "nothing was evicted: the limit was never reached");
    ensure!(stats.used_bytes > LIMIT / 2, "the store keeps less than half of its limit");
    ensure!(peak <= LIMIT + LIMIT / 10, "resident memory rose to {peak} bytes, limit {LIMIT}");
    Ok(())
}

/// Writes values of mixed sizes, new keys and overwrites of other sizes, until all writers together have written three limits.
fn write(port: u16, seed: u64, written: &AtomicU64) -> Result<()> {
    let mut connection = Connection::open(port)?;
    let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = move |bound: u64| {
        // xorshift64: any spread of sizes and keys will do, as long as it is the same in each run.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % bound
    };
    let value = vec![b'v'; LARGEST as usize];
    let mut keys = 0;
    while written.load(Ordering::Relaxed) < 3 * LIMIT {
        let mut batch = Vec::new();
        for _ in 0..PIPELINE {
            // Doubling a small size a random number of times: as many small values as large ones, by count.
            let size = (SMALLEST << next(11)).min(LARGEST - 1);
            let size = size + next(size.min(LARGEST - size) + 1);
            let key = if keys > 100 && next(10) < 3 { next(keys) } else { keys };
            keys = keys.max(key + 1);
            let key = format!("fill:{seed}:{key}");
            batch.extend(command(&[b"SET", key.as_bytes(), &value[..size as usize]]));
            written.fetch_add(size, Ordering::Relaxed);
        }
        connection.send(&batch)?;
        for _ in 0..PIPELINE {
            let reply = connection.reply()?;
            ensure!(reply == "+OK", "{reply} (writer {seed})");
        }
    }
    Ok(())
}
