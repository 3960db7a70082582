//! Operators that die at any moment, and two of them that work at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use fastrand::Rng;
use ringcache_e2e::drain::drain;
use ringcache_e2e::{Cluster, Loads, Namespace, Steps, Turn, World, image, operator};
use ringcache_tests::clock::{now, run_for};
use ringcache_tests::random::seed;
use serde_json::{Value, json};

const KEYS: u32 = 20_000;
/// Crashes of operators in all.
const CRASHES: usize = 20;

#[test]
fn operators_that_die_at_any_moment_leave_nothing_unfinished() -> Result<()> {
    let namespace = Namespace::create("crashes", Turn::Alone)?;
    let world = namespace.world();
    let cluster = namespace.serving("web", 3, "{nodes: 3, memory: 128Mi}")?;
    let second = image::cache_node_as(world, "second")?;
    let loads = Loads::start(cluster, KEYS)?;
    let mut random = Rng::with_seed(seed()?);
    let mut steps = Steps::default();

    let crashed = steps.take("leaders die", || leaders_die(cluster, &mut random))?;
    let flags = "--set=extraArgs={--leader-elect=false}";
    let more = CRASHES - crashed;
    let result = steps.take("two operators at once, either dies", || {
        world.upgrade(&[flags])?;
        any_dies(cluster, &second, more, &mut random)
    });
    steps.take("back to one at a time", || world.upgrade(&["--reset-values"]))?;
    result?;
    steps.take("scale to 3", || {
        cluster.scale(3)?;
        cluster.wait_settled(3)
    })?;

    loads.stop_clean(&steps)?;
    namespace.finish()
}

/// One of two replicas leads: it dies in the middle of each change, and in the last one both do. Another may begin when
/// the lease has run out. Returns how many died.
fn leaders_die(cluster: Cluster<'_>, random: &mut Rng) -> Result<usize> {
    let world = cluster.namespace().world();
    let mut crashed = 0;
    for (nodes, both) in [(5, false), (2, true)] {
        operator::wait_running(world, 2)?;
        let leader = operator::leader(world)?;
        cluster.scale(nodes)?;
        run_for(Duration::from_millis(random.u64(0..2_000)));
        let victims = if both { operator::pods(world)? } else { vec![leader] };
        let start = now();
        for pod in &victims {
            operator::crash(world, pod)?;
            crashed += 1;
        }
        cluster.wait_settled(nodes)?;
        println!("{} of 2 operators died: settled {:.1?} later", victims.len(), start.elapsed());
    }
    Ok(crashed)
}

/// Something that the operator must see to.
enum Change {
    Spec(Value),
    /// A host is emptied.
    Drain,
}

/// Both replicas work, and one of them dies every few seconds while change follows change.
fn any_dies(cluster: Cluster<'_>, second: &str, crashes: usize, random: &mut Rng) -> Result<()> {
    let world = cluster.namespace().world();
    let changes: [(usize, Change); 5] = [
        (4, Change::Spec(json!({"nodes": 4}))),
        (4, Change::Drain),
        (4, Change::Spec(json!({"image": second}))),
        (2, Change::Spec(json!({"nodes": 2}))),
        (2, Change::Spec(json!({"memory": "160Mi"}))),
    ];
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let killer = scope.spawn(|| {
            let result = kill(world, crashes, random);
            done.store(true, Ordering::Relaxed);
            result
        });
        for (nodes, change) in changes.iter().cycle() {
            match change {
                Change::Spec(spec) => cluster.patch(spec)?,
                Change::Drain => drain(cluster, *nodes)?,
            }
            cluster.wait_settled(*nodes)?;
            if done.load(Ordering::Relaxed) {
                break;
            }
        }
        killer.join().unwrap_or_else(|_| anyhow::bail!("the killer panicked"))
    })?;
    // One whole round with both alive: they must not hinder each other either.
    operator::wait_running(world, 2)?;
    for (nodes, change) in [(3, json!({"nodes": 3})), (3, json!({"memory": "128Mi"}))] {
        cluster.patch(&change)?;
        cluster.wait_settled(nodes)?;
    }
    Ok(())
}

fn kill(world: &World, crashes: usize, random: &mut Rng) -> Result<()> {
    for crash in 1..=crashes {
        run_for(Duration::from_millis(random.u64(500..4_000)));
        let pods = operator::pods(world)?;
        ensure!(pods.len() <= 2, "{} operators run", pods.len());
        if let Some(pod) = random.choice(&pods) {
            operator::crash(world, pod)?;
            println!("crash {crash}: {:?}", pod.metadata.name);
        }
    }
    Ok(())
}
