//! `FLUSHALL` on all nodes while slots move: nothing older stays anywhere, and nothing newer goes.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use ringcache_ring::key_slot;
use ringcache_tests::Cluster;
use ringcache_tests::clock::{run_for, wait_for};
use ringcache_tests::random::{Random, seed};
use ringcache_tests::resp::Connection;

const LIMIT: Duration = Duration::from_mins(1);
const KEYS: usize = 8_000;
const NEW_KEYS: usize = 500;
/// The longest delay of a flush after the cluster was told to change.
const DELAY: u64 = 600;

#[test]
fn a_flush_of_all_nodes_while_slots_move_leaves_nothing_older_and_takes_nothing_newer() -> Result<()>
{
    let mut cluster = Cluster::start(&Cluster::spec(3, "256Mi"), 3)?;
    let seed = seed()?;
    let mut random = Random(seed);
    for (round, nodes) in [4, 3, 5, 3, 4].into_iter().enumerate() {
        let (old, new) = (names(&format!("old{round}"), KEYS), names("new", NEW_KEYS));
        let owners = owners(&cluster)?;
        write(&old, &owners)?;
        cluster.edit(&Cluster::spec(nodes, "256Mi"))?;
        run_for(Duration::from_millis(random.below(DELAY)));
        flush(&cluster, &mut random)?;
        for name in &new {
            set(name, &owners, &cluster)?;
        }
        cluster.wait_converged(nodes, LIMIT)?;
        let owners = self::owners(&cluster)?;
        let (left, kept) = (count(&old, &owners)?, count(&new, &owners)?);
        println!("round {round}, to {nodes} nodes: {left} old values left, {kept} new ones kept");
        ensure!(left == 0, "seed {seed}, round {round}: {left} of {KEYS} old values are left");
        ensure!(kept == NEW_KEYS, "seed {seed}, round {round}: {kept} of {NEW_KEYS} are left");
    }
    Ok(())
}

fn names(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{prefix}:{n}")).collect()
}

/// The port of each slot's owner.
fn owners(cluster: &Cluster) -> Result<Vec<u16>> {
    let document = cluster.document()?;
    let mut owners = vec![0; usize::from(ringcache_ring::SLOTS)];
    for slots in &document.slots {
        let member = document.member(&slots.owner).context("a member")?;
        let (first, last) = slots.range;
        owners[usize::from(first)..=usize::from(last)].fill(member.ports.resp);
    }
    Ok(owners)
}

fn owner(name: &str, owners: &[u16]) -> u16 {
    owners[usize::from(key_slot(name.as_bytes()))]
}

/// The names of each owner.
fn by_owner<'a>(names: &'a [String], owners: &[u16]) -> Vec<(u16, Vec<&'a String>)> {
    let mut ports = owners.to_vec();
    ports.sort_unstable();
    ports.dedup();
    let of = |port| names.iter().filter(move |name| owner(name, owners) == port).collect();
    ports.into_iter().map(|port| (port, of(port))).collect()
}

/// Asks the owner of each name, many at a time.
fn ask_each(names: &[String], owners: &[u16], words: &[&str]) -> Result<Vec<String>> {
    let mut replies = Vec::new();
    for (port, names) in by_owner(names, owners) {
        let mut connection = Connection::open(port)?;
        for names in names.chunks(500) {
            let request = |name: &&String| {
                let mut command: Vec<&[u8]> = vec![words[0].as_bytes(), name.as_bytes()];
                command.extend(words[1..].iter().map(|word| word.as_bytes()));
                ringcache_tests::resp::command(&command)
            };
            connection.send(&names.iter().flat_map(request).collect::<Vec<u8>>())?;
            for _ in names {
                replies.push(connection.reply()?);
            }
        }
    }
    Ok(replies)
}

fn write(names: &[String], owners: &[u16]) -> Result<()> {
    let replies = ask_each(names, owners, &["SET", "v"])?;
    ensure!(replies.iter().all(|reply| reply == "+OK"), "not all were written");
    Ok(())
}

/// How many of them exist.
fn count(names: &[String], owners: &[u16]) -> Result<usize> {
    let replies = ask_each(names, owners, &["EXISTS"])?;
    ensure!(replies.iter().all(|reply| [":0", ":1"].contains(&reply.as_str())), "{replies:?}");
    Ok(replies.iter().filter(|reply| *reply == ":1").count())
}

/// Writes one while slots move: follows `MOVED`. Its owner may have gone: then any node knows the new one.
fn set(name: &str, owners: &[u16], cluster: &Cluster) -> Result<()> {
    let mut port = owner(name, owners);
    let mut connected = Connection::open(port)
        .or_else(|_| Connection::open(cluster.nodes()?.first().context("a node")?.ports.resp));
    for _ in 0..16 {
        let reply = connected?.ask(&[b"SET", name.as_bytes(), b"v"])?;
        let Some(moved) = reply.strip_prefix("-MOVED ") else {
            ensure!(reply == "+OK", "{name}: {reply}");
            return Ok(());
        };
        port = moved.rsplit(':').next().context("a port")?.parse()?;
        connected = Connection::open(port);
    }
    bail!("{name} was sent around, at last to {port}")
}

/// Flushes all nodes at about the same time. A node may be on its way out: then all are flushed again, as by anybody who is told
/// that not all were.
fn flush(cluster: &Cluster, random: &mut Random) -> Result<()> {
    wait_for("all nodes are flushed", LIMIT, || {
        let ports: Vec<u16> = cluster.nodes()?.iter().map(|node| node.ports.resp).collect();
        let one = |port: u16, delay| {
            run_for(Duration::from_millis(delay));
            Connection::open(port)?.ask(&[b"FLUSHALL"])
        };
        let replies: Vec<Result<String>> = thread::scope(|scope| {
            let flushing: Vec<_> = ports
                .iter()
                .map(|port| {
                    let delay = random.below(DELAY);
                    scope.spawn(move || one(*port, delay))
                })
                .collect();
            flushing.into_iter().filter_map(|flush| flush.join().ok()).collect()
        });
        let all = replies.len() == ports.len()
            && replies.iter().all(|reply| reply.as_ref().is_ok_and(|reply| reply == "+OK"));
        Ok(if all { Ok(()) } else { Err(format!("{replies:?}")) })
    })
}
