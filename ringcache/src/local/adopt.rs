//! Finds nodes of this cluster among all processes: an `up` that is killed between starting a process and recording it
//! leaves one without a record, and it would hold its ports for ever.

use std::io;

use anyhow::Result;
use cache_node::NodeArgs;
use clap::Parser;
use ringcache_operator_core::Template;

use super::dir::{NodeRecord, StateDir};
use super::observe::PROGRAM;
use super::process::Process;

/// The command line that a node is started with.
#[derive(Parser)]
struct NodeCommand {
    #[command(flatten)]
    node: NodeArgs,
}

/// Records the nodes of the cluster that run without a record; their names.
pub(super) fn adopt(dir: &StateDir, cluster_uid: &str) -> Result<Vec<String>> {
    let known = dir.records()?;
    let mut adopted = Vec::new();
    for (args, process) in running(cluster_uid)? {
        if known.iter().any(|record| record.uid == args.uid) {
            continue;
        }
        let ports = args.ports();
        let template = Template {
            memory_bytes: args.memory_bytes,
            program: PROGRAM.to_owned(),
            pod: String::new(),
        };
        let NodeArgs { name, uid, .. } = args;
        adopted.push(name.clone());
        let stopping_since_ms = None;
        dir.write_record(&NodeRecord { name, process, uid, ports, template, stopping_since_ms })?;
    }
    Ok(adopted)
}

/// The live nodes of the cluster, with and without a record: what they were started with, and their processes.
pub(super) fn running(cluster_uid: &str) -> io::Result<Vec<(NodeArgs, Process)>> {
    let nodes = Process::all()?.into_iter();
    let nodes = nodes.filter_map(|process| Some((node_arguments(&process.arguments())?, process)));
    Ok(nodes.filter(|(node, _)| node.cluster_uid == cluster_uid).collect())
}

/// The flags in `program node --name …`, if it is that.
fn node_arguments(arguments: &[String]) -> Option<NodeArgs> {
    let flags = arguments.iter().skip(1);
    (arguments.get(1)? == "node").then(|| NodeCommand::try_parse_from(flags).ok())?.map(|c| c.node)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Option<NodeArgs> {
        node_arguments(&line.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn a_node_is_told_by_its_command_line() {
        let node =
            parse("/x/ringcache node --name web-3 --uid u --cluster-uid c --memory-bytes 99");
        let node = node.expect("a node");
        assert_eq!((node.name.as_str(), node.uid.as_str()), ("web-3", "u"));
        assert!(parse("/x/ringcache up --base-port 7000").is_none());
        assert!(parse("/x/ringcache node --name web-3").is_none(), "not started by `up`");
        assert!(parse("ringcache").is_none());
    }
}
