//! Background work of the node: freeing expired entries, keeping the process within its memory, and what is measured by the second.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ringcache_ring::SLOTS;
use ringcache_store::{GROUPS, allocator};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use crate::measure::Second;
use crate::memory::{Controller, resident_bytes};
use crate::node::Node;

/// Pause between two rounds of the sweeper: with [`GROUPS_PER_ROUND`] it meets each group about once a second.
const SWEEP_PAUSE: Duration = Duration::from_millis(16);
const GROUPS_PER_ROUND: u16 = GROUPS / 64;
/// Entries looked at under one lock: a few microseconds.
const SWEEP_SLICE: usize = 64;
/// Entries looked at in one round at most: half a million a second, a few percent of one core.
const SWEEP_ROUND: usize = 8192;
/// Pause between two looks at resident memory.
const MEMORY_PAUSE: Duration = Duration::from_millis(10);
/// Pause between two walks of the allocator's free lists at least, and so many times what the last one took: the allocator is locked
/// meanwhile, for milliseconds.
const RELEASE_PAUSE: Duration = Duration::from_millis(20);
const RELEASE_SHARE: u32 = 4;
/// Pause between two looks at what was read.
const MEASURE_PAUSE: Duration = Duration::from_secs(1);
/// Entries evicted in one go before others get a turn.
const EVICT_SLICE: usize = 64;

/// Works until `stop` resolves.
pub async fn run(node: Arc<Node>, stop: impl Future<Output = ()>) {
    tokio::select! {
        () = stop => (),
        () = sweep(&node) => (),
        () = control_memory(&node) => (),
        () = measure(&node) => (),
    }
}

/// Removes expired entries, one group after the other for ever.
async fn sweep(node: &Node) {
    let mut ticks = ticks(SWEEP_PAUSE);
    let mut group = 0;
    loop {
        ticks.tick().await;
        let now = node.clock.unix_ms();
        let (mut groups, mut entries) = (GROUPS_PER_ROUND, SWEEP_ROUND);
        while groups > 0 && entries > 0 {
            let swept = node.store.sweep(group, now, SWEEP_SLICE);
            entries = entries.saturating_sub(swept.visited);
            if swept.complete {
                groups -= 1;
                group = (group + 1) % GROUPS;
            } else {
                tokio::task::yield_now().await;
            }
        }
    }
}

/// Tells the measurements what each second was like.
async fn measure(node: &Node) {
    let mut ticks = ticks(MEASURE_PAUSE);
    let mut before = (0, 0);
    let mut looked = Instant::now();
    for second in 0.. {
        ticks.tick().await;
        node.served.pass(second);
        let since = std::mem::replace(&mut looked, Instant::now());
        node.busy.pass((looked - since).as_secs_f64().max(1e-3));
        let stats = node.store.stats();
        let (reads, hits) = (stats.hits + stats.misses, stats.hits);
        let routes = node.routes.load();
        let slots = (0..SLOTS).filter(|slot| routes.is_mine(*slot)).count();
        let followed = node.measures.settle(&Second {
            now: node.clock.unix_ms(),
            monotonic_ms: node.clock.monotonic_ms(),
            reads: reads - before.0,
            hits: hits - before.1,
            slots,
            memory_bytes: node.args.memory_bytes,
        });
        node.store.follow(followed);
        before = (reads, hits);
    }
}

/// Lowers the store's budget when the process takes more than its limit, and raises it again.
async fn control_memory(node: &Node) {
    let mut controller = Controller::new(node.args.memory_bytes);
    let mut ticks = ticks(MEMORY_PAUSE);
    let mut next_release = Instant::now();
    loop {
        ticks.tick().await;
        let Some(mut resident) = resident_bytes() else { continue };
        let is_high = controller.is_above_target(resident);
        let releases = is_high && Instant::now() >= next_release;
        if releases {
            let began = Instant::now();
            allocator::release_free_pages();
            next_release = Instant::now() + RELEASE_PAUSE.max(began.elapsed() * RELEASE_SHARE);
            resident = resident_bytes().unwrap_or(resident);
        }
        let used = node.store.used_bytes();
        // Pages that are free and not given back yet are no reason to evict: only what stays when they are is.
        if releases || !is_high {
            let counted = controller.counted(resident, node.account.used_bytes() as u64);
            node.store.set_budget(controller.step(counted, used as u64));
        }
        node.memory_is_tight.store(controller.is_tight(resident), Ordering::Relaxed);
        // No more than what there is above the budget: a store of nothing but journals is never within it.
        while !node.store.is_within_budget() {
            let before = node.store.used_bytes();
            if node.store.reclaim(node.clock.unix_ms(), EVICT_SLICE)
                || node.store.used_bytes() >= before
            {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
}

fn ticks(pause: Duration) -> Interval {
    let mut ticks = interval(pause);
    // A busy thread must not make up for rounds that it missed.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ringcache_store::MAX_VALUE_BYTES;
    use tokio::sync::mpsc;
    use tokio::time::{sleep, timeout};

    use super::run;
    use crate::http::tests::node;

    async fn until(condition: impl Fn() -> bool) -> bool {
        let met = async {
            while !condition() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(Duration::from_secs(20), met).await.is_ok()
    }

    #[tokio::test]
    async fn expired_entries_are_freed_though_nobody_asks_for_them() {
        let node = node("oak-0", &[], mpsc::channel(1).0);
        let now = node.clock.unix_ms();
        for slot in (0..16_384).step_by(7) {
            node.store.lock(slot).set(b"dies", b"1", Some(now + 300), now);
            node.store.lock(slot).set(b"stays", b"1", Some(now + 3_600_000), now);
        }
        let all = node.store.stats().entries;
        tokio::spawn(run(node.clone(), std::future::pending()));
        assert!(until(|| node.store.stats().expired == all / 2).await, "{:?}", node.store.stats());
        assert_eq!(node.store.stats().entries, all / 2);
    }

    #[tokio::test]
    async fn a_process_above_its_limit_gives_up_entries() {
        // Every process takes more than 2 MiB.
        let node = node("oak-0", &["--memory-bytes", "2097152"], mpsc::channel(1).0);
        node.store.set_budget(usize::MAX);
        let now = node.clock.unix_ms();
        for slot in 0..8 {
            node.store.lock(slot).set(b"k", &vec![1; MAX_VALUE_BYTES], None, now);
        }
        tokio::spawn(run(node.clone(), std::future::pending()));
        assert!(until(|| node.store.stats().evicted == 8).await, "{:?}", node.store.stats());
    }

    #[tokio::test]
    async fn work_ends_when_the_node_stops() {
        let node = node("oak-0", &[], mpsc::channel(1).0);
        let ended = timeout(Duration::from_secs(20), run(node, sleep(Duration::from_millis(50))));
        assert!(ended.await.is_ok());
    }
}
