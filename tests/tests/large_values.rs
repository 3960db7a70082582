//! Slots full of the largest values move like any others.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ringcache_ring::SlotSet;
use ringcache_tests::Cluster;
use ringcache_tests::clock::now;
use ringcache_tests::layout;
use ringcache_tests::resp::Connection;

const LIMIT: Duration = Duration::from_mins(1);
const VALUE_BYTES: usize = 1 << 20;
const VALUES: usize = 4;

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
