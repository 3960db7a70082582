//! The tables that are printed in the end.

use std::fmt::Write as _;

use ringcache_lab::KUBERNETES;

use crate::costs::{Costs, IDLE_LIMIT, Plan, REACTION_LIMIT, Work};
use crate::memory::Memory;
use crate::objects::NODES;

const MIB: f64 = 1_048_576.0;
/// Width of the first column.
const WIDTH: usize = 36;
/// Results of a reconcile, each with its column.
const RESULTS: [(&str, &str); 3] =
    [("success", "done"), ("requeue_after", "polls"), ("error", "errors")];
const METHODS: [&str; 5] = ["GET", "POST", "PATCH", "PUT", "DELETE"];

/// What it has in memory, and what it does.
pub(crate) fn render(plan: &Plan, costs: &Costs) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let mut text =
        format!("\nringcache-operator {version}, release build, on Kubernetes {KUBERNETES}\n\n");
    memory(&mut text, plan, costs);
    text.push('\n');
    work(&mut text, plan, costs);
    text.push('\n');
    reactions(&mut text, plan, costs);
    text
}

fn memory(text: &mut String, plan: &Plan, costs: &Costs) {
    let mut row = |name: &str, figures: [String; 3], remark: &str| {
        let [resident, own, peak] = figures;
        let line = format!("{name:WIDTH$}{resident:>10}{own:>12}{peak:>12}   {remark}");
        let _ = writeln!(text, "{}", line.trim_end());
    };
    row("MEMORY", ["resident", "of it heap", "peak"].map(str::to_owned), "");
    let figures = |memory: Memory| [memory.settled, memory.own, memory.peak].map(mebibytes);
    let verdict = if costs.is_idle_small() { "below" } else { "NOT below" };
    let verdict = format!("{verdict} {}", mebibytes(IDLE_LIMIT));
    row("no CacheCluster", figures(costs.idle), &verdict);
    let name = format!("+ {} unrelated ConfigMaps", thousands(plan.config_maps));
    let more = (costs.unrelated.settled as f64 - costs.idle.settled as f64) / MIB;
    row(&name, figures(costs.unrelated), &format!("{more:+.1} MiB"));
    let name = format!("+ {} CacheClusters of {NODES} nodes", thousands(plan.clusters));
    let more = (costs.clusters.settled as f64 - costs.idle.settled as f64) / MIB;
    let each = format!("at rest; {:.1} MiB per 1,000", more * 1000.0 / plan.clusters as f64);
    row(&name, figures(costs.clusters), &each);
    row("the same, operator restarted", figures(costs.restarted), "at rest");
}

fn work(text: &mut String, plan: &Plan, costs: &Costs) {
    let indent = WIDTH + 9;
    let _ = writeln!(text, "{:indent$}{:>22}{:>43}", "", "reconciles", "API calls");
    let results = RESULTS.map(|(_, column)| column.to_owned());
    line(text, "WORK", "time", &results, &METHODS.map(str::to_owned), ["all", "CPU"]);
    let mut row = |name: &str, work: &Work, per_minute: bool| {
        let minutes = work.took.as_secs_f64() / 60.0;
        let count = |count: u64| {
            if per_minute { rate(count as f64 / minutes) } else { count.to_string() }
        };
        let done = &work.done;
        let results = RESULTS.map(|(r, _)| count(done.reconciles.get(r).copied().unwrap_or(0)));
        let methods = METHODS.map(|method| count(done.calls.get(method).copied().unwrap_or(0)));
        let processor = done.processor.as_secs_f64() / if per_minute { minutes } else { 1.0 };
        let time = if per_minute { "1 min".to_owned() } else { seconds(work.took.as_secs_f64()) };
        let all = count(done.calls.values().sum());
        line(text, name, &time, &results, &methods, [&all, &seconds(processor)]);
    };
    row(&format!("create a cluster of {NODES} nodes"), &costs.create, false);
    row(&format!("scale it from {NODES} to {}", NODES + 1), &costs.scale, false);
    row(&format!("create {} clusters", thousands(plan.clusters)), &costs.create_all, false);
    row("no cluster", &costs.idle_work, true);
    row(&format!("{} clusters at rest", thousands(plan.clusters)), &costs.rest, true);
    let minutes = costs.rest.took.as_secs_f64() / 60.0;
    let reconciles = costs.rest.done.reconciles.values().sum::<u64>() as f64 / minutes;
    let _ = writeln!(
        text,
        "\nA poll a second for each of {} clusters would be {} reconciles a minute; these are {}.",
        thousands(plan.clusters),
        thousands(plan.clusters * 60),
        rate(reconciles)
    );
}

fn reactions(text: &mut String, plan: &Plan, costs: &Costs) {
    let of = |percent| seconds(costs.reactions.percentile(percent).as_secs_f64());
    let verdict = if costs.is_prompt() { "below" } else { "NOT below" };
    let _ = writeln!(
        text,
        "An edit of one of {} clusters is told of in its status after {} (half of them), {} (99 %, {verdict} {}), {} (all).",
        thousands(plan.clusters),
        of(50),
        of(99),
        seconds(REACTION_LIMIT.as_secs_f64()),
        of(100),
    );
}

fn line(
    text: &mut String,
    name: &str,
    time: &str,
    results: &[String],
    methods: &[String],
    last: [&str; 2],
) {
    let _ = write!(text, "{name:WIDTH$}{time:>9}");
    for result in results {
        let _ = write!(text, "{result:>8}");
    }
    for method in methods {
        let _ = write!(text, "{method:>8}");
    }
    let [all, processor] = last;
    let _ = writeln!(text, "{all:>8}{processor:>10}");
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / MIB)
}

fn seconds(seconds: f64) -> String {
    if seconds < 10.0 { format!("{seconds:.2} s") } else { format!("{seconds:.0} s") }
}

fn rate(rate: f64) -> String {
    if rate < 9.95 && rate > 0.0 { format!("{rate:.1}") } else { format!("{rate:.0}") }
}

fn thousands(number: usize) -> String {
    if number < 1000 {
        return number.to_string();
    }
    format!("{},{:03}", thousands(number / 1000), number % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        let written = [0, 999, 10_000, 1_000_001].map(thousands);
        assert_eq!(written, ["0", "999", "10,000", "1,000,001"]);
        assert_eq!([0.0, 0.26, 9.96, 68.4].map(rate), ["0", "0.3", "10", "68"]);
        assert_eq!([0.014, 84.2].map(seconds), ["0.01 s", "84 s"]);
        assert_eq!(mebibytes(IDLE_LIMIT), "20.0 MiB");
    }
}
