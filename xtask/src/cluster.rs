//! `cargo xtask cluster`: a real Kubernetes on this machine, for trying things out.

mod needs;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use ringcache_lab::{KUBERNETES, Lab, Name, Options};

use crate::cargo::Workspace;
pub(crate) use needs::prepare;

/// The cluster that is meant where none is named.
const DEFAULT_NAME: &str = "dev";

/// A cluster of this machine, and what to do with it.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Name of the cluster: several fit on a machine.
    #[arg(long, global = true, default_value = DEFAULT_NAME)]
    name: String,
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build what is missing, bring the cluster up, load the images of `cargo xtask images`.
    Up {
        /// Its nodes, each in a zone of its own.
        #[arg(long, default_value_t = 3)]
        nodes: u8,
    },
    /// Take it down; nothing of it is left.
    Down,
    /// Whether it is up, its nodes and pods.
    Status,
    /// Run kubectl on it.
    Kubectl(Rest),
    /// Run helm on it.
    Helm(Rest),
    /// Run a program of this machine, such as `bash`, from where nodes, pods and Services are reachable.
    ///
    /// They are reachable by address only: the program resolves names as this machine does, without the cluster's DNS.
    /// `kubectl get service NAME --output jsonpath='{.spec.clusterIP}'` says the address of a Service.
    Exec(Rest),
    /// Import image archives on every node.
    Load {
        /// OCI or Docker archives.
        #[arg(required = true)]
        archives: Vec<PathBuf>,
    },
    /// Power loss of a node, by number.
    KillNode { node: u8 },
    /// Power for a node that was killed.
    StartNode { node: u8 },
    /// Print events, clusters, pods, ring documents and logs of a namespace.
    Diagnose {
        #[arg(default_value = "default")]
        namespace: String,
    },
}

/// Whatever else stands on the command line.
#[derive(Args)]
struct Rest {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// Runs one task; false if the program that it runs did not succeed.
pub(crate) fn run(arguments: Arguments) -> Result<bool> {
    let name = Name::try_from(arguments.name)?;
    let lab = || {
        Lab::find(&name)?
            .with_context(|| format!("cluster {name} is not up: `{} up`", command(&name)))
    };
    match arguments.task {
        Task::Up { nodes } => up(name, nodes)?,
        Task::Down => down(&name)?,
        Task::Status => return status(&lab()?),
        Task::Kubectl(rest) => return succeeds(&lab()?, "kubectl".as_ref(), &rest.arguments),
        Task::Helm(rest) => return succeeds(&lab()?, "helm".as_ref(), &rest.arguments),
        Task::Exec(rest) => {
            let (program, arguments) = rest.arguments.split_first().context("run what?")?;
            return succeeds(&lab()?, program, arguments);
        }
        Task::Load { archives } => archives.iter().try_for_each(|archive| lab()?.load(archive))?,
        Task::KillNode { node } => lab()?.kill_node(node)?,
        Task::StartNode { node } => lab()?.start_node(node)?,
        Task::Diagnose { namespace } => print!("{}", lab()?.diagnose(&namespace)),
    }
    Ok(true)
}

fn up(name: Name, nodes: u8) -> Result<()> {
    prepare()?;
    let workspace = Workspace::find()?;
    let start = ringcache_lab::now();
    let lab = Lab::up(&Options { name, nodes, stays: true })?;
    let images = load_images(&lab, &images_folder(&workspace))?;
    let (name, took) = (lab.name(), start.elapsed().as_secs_f64());
    println!("cluster {name}: Kubernetes {KUBERNETES}, {nodes} nodes, Ready after {took:.0} s");
    match images.as_slice() {
        [] => println!("no images loaded: `cargo xtask images` makes them, `load` loads them"),
        images => println!("images loaded: {}", images.join(", ")),
    }
    let command = command(name);
    println!(
        "
  {command} kubectl get nodes   talk to it
  {command} exec bash           a shell that reaches nodes, pods and Services by address
  {command} kill-node 2         power loss of a node; start-node 2 brings it back
  {command} down                take it down

logs: {}
audit log: {}",
        lab.log_folder().display(),
        lab.audit_log().display()
    );
    Ok(())
}

/// How this cluster is spoken of on the command line.
fn command(name: &Name) -> String {
    if name.to_string() == DEFAULT_NAME {
        "cargo xtask cluster".to_owned()
    } else {
        format!("cargo xtask cluster --name {name}")
    }
}

fn down(name: &Name) -> Result<()> {
    match Lab::find(name)? {
        Some(lab) => lab.down()?,
        None => println!("cluster {name} is not up"),
    }
    Ok(())
}

fn status(lab: &Lab) -> Result<bool> {
    println!("cluster {}: Kubernetes {KUBERNETES}, {} nodes", lab.name(), lab.nodes().count());
    let mut success = true;
    for what in [["get", "nodes", "--output=wide"], ["get", "pods", "--all-namespaces"]] {
        success &= succeeds(lab, "kubectl".as_ref(), &what.map(OsString::from))?;
    }
    Ok(success)
}

fn succeeds(lab: &Lab, program: &std::ffi::OsStr, arguments: &[OsString]) -> Result<bool> {
    let status = lab.command(program).args(arguments).status();
    Ok(status.with_context(|| format!("cannot run {}", program.display()))?.success())
}

/// Where `cargo xtask images` writes.
pub(crate) fn images_folder(workspace: &Workspace) -> PathBuf {
    workspace.target.join("images")
}

/// Imports every archive of a folder on every node, and returns their file names.
pub(crate) fn load_images(lab: &Lab, folder: &Path) -> Result<Vec<String>> {
    let mut archives: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    archives.retain(|path| path.extension().is_some_and(|extension| extension == "tar"));
    archives.sort();
    for archive in &archives {
        lab.load(archive)?;
    }
    Ok(archives.iter().filter_map(|path| Some(path.file_name()?.display().to_string())).collect())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn parse(line: &str) -> Arguments {
        Line::try_parse_from(line.split(' ')).unwrap().arguments
    }

    #[test]
    fn the_name_may_stand_before_and_after_the_task() {
        for (line, name) in [
            ("cluster up", DEFAULT_NAME),
            ("cluster --name other up", "other"),
            ("cluster up --name other --nodes 2", "other"),
            ("cluster down --name=other", "other"),
            ("cluster --name other kubectl get pods", "other"),
            ("cluster kubectl --name other get pods", "other"),
        ] {
            assert_eq!(parse(line).name, name, "{line}");
        }
    }

    #[test]
    fn what_stands_behind_a_program_is_the_programs() {
        let Arguments { name, task } = parse("cluster kubectl get pods --name other --all");
        assert_eq!(name, DEFAULT_NAME);
        let Task::Kubectl(rest) = task else { panic!("another task") };
        assert_eq!(rest.arguments, ["get", "pods", "--name", "other", "--all"]);
    }
}
