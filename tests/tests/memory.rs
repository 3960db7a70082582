//! Resident memory of a node that is filled far over its limit.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

use anyhow::{Result, anyhow, ensure};
use ringcache_tests::clock::run_for;
use ringcache_tests::process::resident_bytes;
use ringcache_tests::resp::{Connection, command};
use ringcache_tests::{Cluster, NodeRecord, cluster};

const LIMIT: u64 = 128 << 20;
const WRITERS: u64 = 4;
/// Commands sent before their replies are read.
const PIPELINE: usize = 8;
/// Sizes of values in bytes.
const MIXED: Range<u64> = 100..100 << 10;
const SMALL: Range<u64> = 100..1000;
const LARGE: Range<u64> = 50 << 10..100 << 10;
/// How often resident memory is looked at.
const SAMPLE: Duration = Duration::from_millis(100);
/// Time after the last write in which a late peak would show.
const AFTER: Duration = Duration::from_secs(2);

#[test]
fn filling_three_times_the_limit_with_mixed_sizes_keeps_within_a_tenth_above_it() -> Result<()> {
    keeps_within_the_limit(&[MIXED])
}

#[test]
fn large_values_after_small_ones_keep_within_a_tenth_above_the_limit() -> Result<()> {
    keeps_within_the_limit(&[SMALL, LARGE])
}

/// Fills a node of 128Mi three times over with each of these sizes, one after the other.
fn keeps_within_the_limit(fills: &[Range<u64>]) -> Result<()> {
    let cluster = Cluster::start(&Cluster::spec(1, "128Mi"), 1)?;
    let node = &cluster.nodes()?[0];
    for (nth, sizes) in fills.iter().enumerate() {
        let peak = fill(node, sizes)?;
        let stats = cluster::state(node)?.stats;
        println!(
            "values of {sizes:?} bytes: {} entries in {} MiB kept, {} evicted; peak resident {:.1} % of the limit",
            stats.entries,
            stats.used_bytes >> 20,
            stats.evicted,
            peak as f64 * 100.0 / LIMIT as f64
        );
        ensure!(stats.evicted > 0, "nothing was evicted: the limit was never reached");
        // Values that suddenly need larger blocks cost entries for some seconds: the smaller blocks lie scattered.
        let enough = if nth == 0 { LIMIT / 2 } else { LIMIT / 16 };
        ensure!(
            stats.used_bytes > enough,
            "the store keeps no more than {} bytes",
            stats.used_bytes
        );
        ensure!(peak <= LIMIT + LIMIT / 10, "resident memory rose to {peak} bytes, limit {LIMIT}");
    }
    Ok(())
}

/// Writes three times the limit; returns the most resident memory seen meanwhile and shortly after.
fn fill(node: &NodeRecord, sizes: &Range<u64>) -> Result<u64> {
    let (written, done) = (&AtomicU64::new(0), &AtomicBool::new(false));
    thread::scope(|scope| {
        let sampler = scope.spawn(|| -> Result<u64> {
            let mut peak = 0;
            while !done.load(Ordering::Relaxed) {
                peak = peak.max(resident_bytes(node.pid)?);
                run_for(SAMPLE);
            }
            Ok(peak)
        });
        let writer = |seed| scope.spawn(move || write(node.ports.resp, seed, sizes, written));
        let writers: Vec<_> = (1..=WRITERS).map(writer).collect();
        let results: Vec<_> = writers.into_iter().map(ScopedJoinHandle::join).collect();
        run_for(AFTER);
        done.store(true, Ordering::Relaxed);
        for result in results {
            result.map_err(|_| anyhow!("a writer panicked"))??;
        }
        sampler.join().map_err(|_| anyhow!("the sampler panicked"))?
    })
}

/// Writes new keys and overwrites of other sizes until all writers together have written three limits.
fn write(port: u16, seed: u64, sizes: &Range<u64>, written: &AtomicU64) -> Result<()> {
    let mut connection = Connection::open(port)?;
    let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut next = move |bound: u64| {
        // xorshift64: any spread of sizes and keys will do, as long as it is the same in each run.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % bound
    };
    let value = vec![b'v'; sizes.end as usize];
    let (doublings, mut keys) = ((sizes.end / sizes.start).ilog2(), 0);
    while written.load(Ordering::Relaxed) < 3 * LIMIT {
        let mut batch = Vec::new();
        for _ in 0..PIPELINE {
            // The smallest size doubled a random number of times, and a part more: small values as often as large ones.
            let size = sizes.start << next(u64::from(doublings) + 1);
            let size = (size + next(size)).min(sizes.end);
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
