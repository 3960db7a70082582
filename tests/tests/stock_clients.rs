//! Stock clients, unmodified, with their default options.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use redis::cluster::ClusterClient;
use redis::{Commands, ProtocolVersion};
use ringcache_tests::{Cluster, tool};

#[test]
fn redis_cli_reaches_every_key_and_finds_the_cluster_whole() -> Result<()> {
    let cluster = Cluster::start(&Cluster::spec(3, "128Mi"), 3)?;
    let port = cluster.nodes()?[0].ports.resp.to_string();
    let cli = |args: &[&str]| {
        tool::output(Command::new(tool::redis_cli()?).args(["-c", "-p", &port]).args(args))
    };
    for n in 0..30 {
        let (key, value) = (format!("cli:{n}"), format!("value {n}"));
        ensure!(cli(&["set", &key, &value])?.trim() == "OK");
        ensure!(cli(&["get", &key])?.trim() == value);
    }
    let resp3 = cli(&["-3", "hello", "3"])?;
    ensure!(resp3.contains("cluster"), "{resp3}");
    let address = format!("127.0.0.1:{port}");
    let check =
        tool::output(Command::new(tool::redis_cli()?).args(["--cluster", "check", &address]))?;
    ensure!(check.contains("[OK] All 16384 slots covered"), "{check}");
    ensure!(check.contains("[OK] All nodes agree about slots configuration"), "{check}");
    Ok(())
}

#[test]
fn redis_benchmark_runs_against_all_nodes() -> Result<()> {
    let cluster = Cluster::start(&Cluster::spec(3, "128Mi"), 3)?;
    let port = cluster.nodes()?[0].ports.resp.to_string();
    let mut benchmark = Command::new(tool::redis_cli()?.with_file_name("redis-benchmark"));
    benchmark.args([
        "--cluster",
        "-p",
        &port,
        "-t",
        "set,get",
        "-n",
        "100000",
        "-r",
        "10000",
        "-P",
        "8",
        "--csv",
    ]);
    let figures = tool::output(&mut benchmark)?;
    println!("{figures}");
    for test in ["\"SET\"", "\"GET\""] {
        ensure!(figures.contains(test), "no figures for {test}: {figures}");
    }
    for node in cluster.nodes()? {
        let entries = ringcache_tests::cluster::state(&node)?.stats.entries;
        ensure!(entries > 1000, "{} received {entries} keys of about 3333", node.name);
    }
    Ok(())
}

#[test]
fn redis_py_runs_every_command_and_a_cluster_client_in_both_protocols() -> Result<()> {
    let cluster = Cluster::start(&Cluster::spec(3, "128Mi"), 3)?;
    let port = cluster.nodes()?[0].ports.resp.to_string();
    let said = tool::output(tool::python("redis_py_commands.py")?.args(["--port", &port]))
        .with_context(|| cluster.diagnosis())?;
    print!("{said}");
    Ok(())
}

#[test]
fn redis_rs_reaches_every_key_in_both_protocols() -> Result<()> {
    let cluster = Cluster::start(&Cluster::spec(3, "128Mi"), 3)?;
    let seed = format!("redis://127.0.0.1:{}", cluster.nodes()?[0].ports.resp);
    for protocol in [ProtocolVersion::RESP2, ProtocolVersion::RESP3] {
        let client = ClusterClient::builder([seed.as_str()]).use_protocol(protocol).build()?;
        let mut connection = client.get_connection()?;
        for n in 0..300_u32 {
            let key = format!("rs:{n}");
            let () = connection.set_ex(&key, n, 1000)?;
            ensure!(connection.get::<_, u32>(&key)? == n, "{key}");
            ensure!(connection.incr::<_, _, u32>(&key, 1)? == n + 1, "{key}");
            ensure!((999..=1000).contains(&connection.ttl::<_, i64>(&key)?), "{key}");
        }
        let keys: Vec<String> = (0..300).map(|n| format!("rs:{n}")).collect();
        let values: Vec<u32> = connection.mget(&keys)?;
        ensure!(values == (1..=300).collect::<Vec<_>>(), "MGET over all slots: {values:?}");

        let mut pipe = redis::cluster::cluster_pipe();
        for key in &keys {
            pipe.cmd("GET").arg(key);
        }
        let values: Vec<u32> = pipe.query(&mut connection)?;
        ensure!(values == (1..=300).collect::<Vec<_>>(), "a pipeline over all slots: {values:?}");

        let deleted: u32 = connection.del(&keys)?;
        ensure!(deleted == 300, "{deleted} of 300 keys deleted");
        let pairs = HashMap::from([("{tag}a", 1), ("{tag}b", 2)]);
        let () = connection.mset(&pairs.into_iter().collect::<Vec<_>>())?;
        let tagged: Vec<Option<u32>> = connection.mget(&["{tag}a", "{tag}b", "{tag}none"])?;
        ensure!(tagged == [Some(1), Some(2), None], "{tagged:?}");
    }
    Ok(())
}

#[test]
fn redis_py_keeps_what_it_read_and_sees_other_clients_writes_also_after_scaling() -> Result<()> {
    let mut cluster = Cluster::start(&Cluster::spec(3, "128Mi"), 3)?;
    let port = cluster.nodes()?[0].ports.resp.to_string();
    let mut python = tool::python("redis_py_cache.py")?;
    python.args(["--port", &port]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut python = python.spawn()?;
    let mut go_on = python.stdin.take().context("its standard input")?;
    let mut said = BufReader::new(python.stdout.take().context("its standard output")?).lines();
    let mut turn = || -> Result<String> {
        let line = said.next().context("it ended early; its standard error says why")?;
        Ok(line?)
    };
    let turns = (|| -> Result<()> {
        println!("{}", turn()?);
        cluster.edit(&Cluster::spec(4, "128Mi"))?;
        cluster.wait_converged(4, Duration::from_secs(30))?;
        writeln!(go_on)?;
        println!("{}", turn()?);
        Ok(())
    })();
    // The end of its input ends it, whatever became of the turns.
    drop(go_on);
    let status = python.wait()?;
    turns.with_context(|| cluster.diagnosis())?;
    ensure!(status.success(), "{status}");
    Ok(())
}
