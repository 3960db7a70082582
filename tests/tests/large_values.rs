//! Slots full of the largest values move like any others.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ringcache_ring::SlotSet;
use ringcache_tests::clock::now;
use ringcache_tests::layout;
use ringcache_tests::resp::Connection;
use ringcache_tests::{Cluster, Load};

const LIMIT: Duration = Duration::from_mins(1);
const VALUE_BYTES: usize = 1 << 20;
const VALUES: usize = 4;
/// Beside them, 100 MiB of values of which many are as large, in pipelines.
const RAW_KEYS: u32 = 300;
const RAW_LOAD: &[&str] = &["--value-bytes", "60000..1048576", "--rate", "500", "--clients", "4"];

#[test]
fn neighbouring_slots_full_of_the_largest_values_are_handed_over() -> Result<()> {
    let mut cluster = Cluster::start(&Cluster::spec(3, "1Gi"), 3)?;
    let document = cluster.document()?;
    let owner = |slot: u16| {
        let range = document.slots.iter().find(|s| (s.range.0..=s.range.1).contains(&slot));
        let member = range.and_then(|range| document.member(&range.owner));
        member.map(|member| member.ports.resp).context("an owner")
    };
    let key = |slot: u16, n: usize| {
        let tag = layout::tag_of(&SlotSet::from_ranges([slot..=slot])).context("a tag")?;
        Ok::<_, anyhow::Error>(format!("{{{tag}}}{n}"))
    };
    for slot in 4096..4160 {
        let mut owner = Connection::open(owner(slot)?)?;
        for n in 0..VALUES {
            let (key, value) = (key(slot, n)?, vec![n as u8; VALUE_BYTES]);
            let reply = owner.ask(&[b"SET", key.as_bytes(), &value])?;
            ensure!(reply == "+OK", "{reply}");
        }
    }

    let raw = Load::raw(cluster.dir(), &cluster.seeds()?, RAW_KEYS, RAW_LOAD)?;
    let start = now();
    cluster.edit(&Cluster::spec(4, "1Gi"))?;
    let after = cluster.wait_converged(4, LIMIT)?;
    let took = start.elapsed();
    let moved = (4096..4160).filter(|slot| {
        let is = |d: &ringcache_api::Document| {
            d.slots.iter().find(|s| (s.range.0..=s.range.1).contains(slot)).map(|s| s.owner.clone())
        };
        is(&after) != is(&document)
    });
    let moved: Vec<u16> = moved.collect();
    raw.stop()?.clean()?;
    println!("{} slots of {VALUES} MiB moved, converged after {took:.1?}", moved.len());
    ensure!(!moved.is_empty(), "none of the slots was to move");
    for slot in 4096..4160 {
        let range = after.slots.iter().find(|s| (s.range.0..=s.range.1).contains(&slot));
        let member = range.and_then(|range| after.member(&range.owner)).context("an owner")?;
        let mut owner = Connection::open(member.ports.resp)?;
        for n in 0..VALUES {
            let length = owner.ask(&[b"STRLEN", key(slot, n)?.as_bytes()])?;
            ensure!(length == format!(":{VALUE_BYTES}"), "slot {slot}: {length}");
        }
    }
    Ok(())
}
