//! The measurement, step by step.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use kube::Client;
use ringcache_lab::Lab;
use tokio::time::{Instant, sleep};

use crate::counters::Counters;
use crate::memory::Memory;
use crate::objects::{self, Clusters, NODES};
use crate::operator::{Lease, Operator};
use crate::reactions::Reactions;

/// What the operator may take while there is nothing for it to do.
pub(crate) const IDLE_LIMIT: u64 = 20 << 20;
/// How soon an edit must be told of in the status, 99 in 100 times.
pub(crate) const REACTION_LIMIT: Duration = Duration::from_secs(2);
/// After a change, before memory is measured: what is only needed for a moment has gone by then.
const PAUSE: Duration = Duration::from_secs(10);
/// Without a cluster, this is what is counted.
const IDLE: Duration = Duration::from_mins(1);
/// Longest time until one cluster has settled, or is gone.
const ONE_LIMIT: Duration = Duration::from_mins(2);
/// Longest time until one of many clusters has settled, besides.
const EACH_LIMIT: Duration = Duration::from_secs(3);

/// How much of what.
pub(crate) struct Plan {
    pub(crate) config_maps: usize,
    pub(crate) clusters: usize,
    pub(crate) rest: Duration,
}

/// Something that was done, and what it took.
pub(crate) struct Work {
    pub(crate) took: Duration,
    pub(crate) done: Counters,
}

/// All that is measured.
pub(crate) struct Costs {
    /// No cluster.
    pub(crate) idle: Memory,
    /// The same process, with unrelated `ConfigMaps`.
    pub(crate) unrelated: Memory,
    /// While and after all clusters came, then after the rest.
    pub(crate) clusters: Memory,
    /// An operator that finds all clusters at its start.
    pub(crate) restarted: Memory,
    /// No cluster.
    pub(crate) idle_work: Work,
    pub(crate) create: Work,
    pub(crate) scale: Work,
    pub(crate) create_all: Work,
    pub(crate) rest: Work,
    /// To edits among all clusters.
    pub(crate) reactions: Reactions,
}

impl Costs {
    /// Whether memory and reactions keep within their limits.
    pub(crate) fn are_within_limits(&self) -> bool {
        self.is_idle_small() && self.is_prompt()
    }

    /// Whether the operator reacts in time.
    pub(crate) fn is_prompt(&self) -> bool {
        self.reactions.percentile(99) < REACTION_LIMIT
    }

    /// Whether the idle operator keeps within its limit.
    pub(crate) fn is_idle_small(&self) -> bool {
        self.idle.settled < IDLE_LIMIT
    }
}

impl Plan {
    /// Measures one after the other; says on standard error where it is.
    pub(crate) async fn measure(&self, lab: &Lab, client: &Client, binary: &Path) -> Result<Costs> {
        let clusters = Clusters::new(client);
        progress(&format!("the operator without a cluster, {} s", (PAUSE + IDLE).as_secs()));
        let mut operator = Operator::start(lab, binary, Lease::Held).await?;
        sleep(PAUSE).await;
        let idle_work = Work { done: operator.counted_for(IDLE).await?, took: IDLE };
        let idle = operator.memory()?;

        progress(&format!("{} unrelated ConfigMaps", self.config_maps));
        objects::create_config_maps(client, self.config_maps).await?;
        sleep(PAUSE).await;
        let unrelated = operator.memory()?;
        operator.stop()?;

        progress("one cluster: created, scaled, deleted");
        // Without the lease: its renewals would be among the calls that are counted.
        let mut operator = Operator::start(lab, binary, Lease::None).await?;
        operator.wait_quiet().await?;
        let one = ["one".to_owned()];
        let create = Work::of(&mut operator, async || {
            clusters.create(&one).await?;
            clusters.wait_settled(1, NODES, ONE_LIMIT).await
        })
        .await?;
        let scale = Work::of(&mut operator, async || {
            clusters.scale(&one[0], NODES + 1).await?;
            clusters.wait_settled(1, NODES + 1, ONE_LIMIT).await
        })
        .await?;
        clusters.delete(&one[0], ONE_LIMIT).await?;
        operator.stop()?;

        progress(&format!("{} clusters of {NODES} nodes", self.clusters));
        let mut operator = Operator::start(lab, binary, Lease::Held).await?;
        let many: Vec<String> =
            (1..=self.clusters).map(|number| format!("many-{number}")).collect();
        let create_all = Work::of(&mut operator, async || {
            clusters.create(&many).await?;
            let limit = ONE_LIMIT + EACH_LIMIT * u32::try_from(self.clusters)?;
            clusters.wait_settled(many.len(), NODES, limit).await
        })
        .await?;
        progress(&format!(
            "settled after {:.0} s; now {:.0} s at rest",
            create_all.took.as_secs_f64(),
            self.rest.as_secs_f64()
        ));
        let rest = Work { done: operator.counted_for(self.rest).await?, took: self.rest };
        let memory = operator.memory()?;
        progress("edits, and how soon the status tells of them");
        let reactions = Reactions::measure(&clusters, &many).await?;
        operator.stop()?;

        progress("the operator started anew");
        let mut operator = Operator::start(lab, binary, Lease::Held).await?;
        operator.wait_quiet().await?;
        sleep(PAUSE).await;
        let restarted = operator.memory()?;
        operator.stop()?;
        Ok(Costs {
            idle,
            unrelated,
            clusters: memory,
            restarted,
            idle_work,
            create,
            scale,
            create_all,
            rest,
            reactions,
        })
    }
}

impl Work {
    /// What the operator does until `change` is done and nothing follows; the time is that of the change alone.
    async fn of(operator: &mut Operator, change: impl AsyncFnOnce() -> Result<()>) -> Result<Self> {
        let before = operator.counters()?;
        let start = Instant::now();
        change().await?;
        let took = start.elapsed();
        operator.wait_quiet().await?;
        Ok(Self { took, done: operator.counters()? - &before })
    }
}

fn progress(what: &str) {
    eprintln!("bench operator: {what}");
}
