//! Completion of what is typed: a script for each shell, and answers to kubectl, which asks an executable `kubectl_complete-ringcache`
//! what may follow `kubectl ringcache`.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::builder::PossibleValue;
use clap::{Arg, ArgAction, Command, CommandFactory as _, ValueEnum};
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use ringcache_api::CacheCluster;

use crate::args::{Args, Server};
use crate::connect::connect;
use crate::output::print;

/// How kubectl calls whoever completes for this plugin.
const CALLED: &str = "kubectl_complete-ringcache";
/// Longest time for which somebody who has pressed a key waits.
const PATIENCE: Duration = Duration::from_secs(3);
/// What the last line tells the shell: nothing but these words may follow, or names of files may as well.
const ONLY_THESE: &str = ":4";
const FILES_TOO: &str = ":0";

/// Shells that scripts are written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    /// For `kubectl-ringcache` in bash
    Bash,
    /// For `kubectl-ringcache` in zsh
    Zsh,
    /// For `kubectl-ringcache` in fish
    Fish,
}

/// The script that makes a shell complete `kubectl-ringcache`.
pub(crate) fn script(shell: Shell) -> Result<String> {
    let shell = match shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "kubectl-ringcache", &mut script);
    String::from_utf8(script).context("the script")
}

/// Whether kubectl has started this program to complete.
pub(crate) fn is_called_as(program: &OsStr) -> bool {
    Path::new(program).file_stem().is_some_and(|name| name == CALLED)
}

/// Writes what may stand in place of the last of the words.
pub(crate) async fn answer(words: impl Iterator<Item = OsString>) -> Result<()> {
    let words: Vec<String> = words.map(|word| word.to_string_lossy().into_owned()).collect();
    let found = match next(&words) {
        Next::Words(words) => text(&words, ONLY_THESE),
        Next::Cluster(begin) => {
            let is_over = Arc::new(AtomicBool::new(false));
            give_up_later(Arc::clone(&is_over));
            // Who cannot be asked has no names; an error would stand in the middle of what is typed.
            let names = clusters(&words).await.unwrap_or_default();
            if is_over.swap(true, Ordering::SeqCst) {
                // The answer is being given, with the end of the process after it.
                return std::future::pending().await;
            }
            let names = names.into_iter().filter(|name| name.starts_with(&begin));
            text(&names.map(|name| (name, String::new())).collect::<Vec<_>>(), ONLY_THESE)
        }
        Next::File => text(&[], FILES_TOO),
    };
    print(&found).context("writing to the standard output")
}

/// After a while ends the process with an answer without names, unless it is over by then. It takes a thread: a command that the
/// kubeconfig names for credentials holds up everything on this one until it ends.
fn give_up_later(is_over: Arc<AtomicBool>) {
    let wait = move || {
        thread::sleep(PATIENCE);
        if !is_over.swap(true, Ordering::SeqCst) {
            // Whoever does not read it any more waits for nothing.
            let _ = print(&text(&[], ONLY_THESE));
            process::exit(0);
        }
    };
    // Without a thread somebody may wait for longer.
    let _ = thread::Builder::new().spawn(wait);
}

/// What may stand in place of the last word.
#[derive(Debug, PartialEq)]
enum Next {
    /// One of these, each with what it means.
    Words(Vec<(String, String)>),
    /// The name of a cluster that begins like this.
    Cluster(String),
    /// A path.
    File,
}

fn text(words: &[(String, String)], last: &str) -> String {
    let line = |(word, about): &(String, String)| {
        if about.is_empty() { format!("{word}\n") } else { format!("{word}\t{about}\n") }
    };
    words.iter().map(line).collect::<String>() + last + "\n"
}

fn next(words: &[String]) -> Next {
    let (last, before) = words.split_last().map_or(("", [].as_slice()), |(a, b)| (a.as_str(), b));
    let mut root = Args::command();
    root.build();
    let mut command = &root;
    let (mut awaited, mut positionals) = (None, 0);
    for word in before {
        if awaited.take().is_some() {
            continue;
        }
        if word.starts_with('-') {
            awaited = flag(command, word);
        } else if let Some(verb) = command.find_subcommand(word) {
            command = verb;
        } else {
            positionals += 1;
        }
    }
    if let Some(flag) = awaited {
        return values(flag, last, "");
    }
    if let Some((name, begin)) = last.split_once('=').filter(|_| last.starts_with("--")) {
        let values = |flag| values(flag, begin, &format!("{name}="));
        return flag(command, name).map_or(Next::Words(Vec::new()), values);
    }
    if last.starts_with('-') {
        let flags = command.get_arguments().filter(|arg| !arg.is_hide_set());
        let flag = |arg: &Arg| Some((format!("--{}", arg.get_long()?), about(arg.get_help())));
        return begun(flags.filter_map(flag), last);
    }
    if command.has_subcommands() {
        let verbs = command.get_subcommands().filter(|verb| !verb.is_hide_set());
        let verb = |verb: &Command| (verb.get_name().to_owned(), about(verb.get_about()));
        return begun(verbs.map(verb), last);
    }
    match command.get_positionals().nth(positionals) {
        Some(arg) if arg.get_id() == "cluster" => Next::Cluster(last.to_owned()),
        Some(arg) => values(arg, last, ""),
        None => Next::Words(Vec::new()),
    }
}

/// The flag that the word is, if a value must follow it.
fn flag<'a>(command: &'a Command, word: &str) -> Option<&'a Arg> {
    let is_it = |arg: &&Arg| match word.strip_prefix("--") {
        Some(long) => arg.get_long() == Some(long),
        // `-o` awaits a value, `-ojson` has it.
        None => arg.get_short().is_some_and(|short| *word == format!("-{short}")),
    };
    let takes_value = |arg: &&Arg| matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
    command.get_arguments().find(is_it).filter(takes_value)
}

/// What may be a value of the argument, each with `before` before it.
fn values(arg: &Arg, begin: &str, before: &str) -> Next {
    if matches!(arg.get_id().as_str(), "kubeconfig" | "output_file") {
        return Next::File;
    }
    let value =
        |value: &PossibleValue| (format!("{before}{}", value.get_name()), about(value.get_help()));
    let possible = arg.get_possible_values();
    begun(possible.iter().map(value), &format!("{before}{begin}"))
}

fn begun(words: impl Iterator<Item = (String, String)>, begin: &str) -> Next {
    Next::Words(words.filter(|(word, _)| word.starts_with(begin)).collect())
}

fn about(text: Option<&clap::builder::StyledStr>) -> String {
    let text = text.map(ToString::to_string).unwrap_or_default();
    text.lines().next().unwrap_or_default().to_owned()
}

/// The names of the clusters in the namespace that the words name.
async fn clusters(words: &[String]) -> Result<Vec<String>> {
    let program = std::iter::once("kubectl-ringcache".to_owned());
    // What is typed is not complete, and half of it is not yet right.
    let half = Args::command().ignore_errors(true);
    let typed = half.try_get_matches_from(program.chain(words.iter().cloned()))?;
    let server = Server {
        context: typed.get_one("context").cloned(),
        kubeconfig: typed.get_one("kubeconfig").cloned(),
    };
    let client = connect(&server).await?;
    let namespace: Option<&String> = typed.get_one("namespace");
    let namespace = namespace.map_or(client.default_namespace(), String::as_str);
    let clusters: Api<CacheCluster> = Api::namespaced(client.clone(), namespace);
    let listed = clusters.list_metadata(&ListParams::default()).await?;
    Ok(listed.items.iter().map(ResourceExt::name_any).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        let typed: Vec<String> = line.split(' ').map(str::to_owned).collect();
        match next(&typed) {
            Next::Words(words) => words.into_iter().map(|(word, _)| word).collect(),
            Next::Cluster(begin) => vec![format!("cluster {begin}")],
            Next::File => vec!["file".to_owned()],
        }
    }

    #[test]
    fn verbs_flags_and_values_are_completed_where_they_may_stand() {
        assert_eq!(words("no"), ["nodes"]);
        assert_eq!(words("-n shop no"), ["nodes"]);
        assert_eq!(words("status --out"), ["--output"]);
        assert_eq!(words("status -o "), ["json", "yaml", "wide"]);
        assert_eq!(words("status --output=y"), ["--output=yaml"]);
        assert_eq!(words("completion "), ["bash", "zsh", "fish"]);
        assert_eq!(words("top web --i"), ["--interval"]);
        assert_eq!(words("status --all"), ["--all-namespaces"], "a global flag");
        assert!(words("").len() > 9, "{:?}", words(""));
    }

    #[test]
    fn clusters_and_files_are_asked_for_where_they_may_stand() {
        assert_eq!(words("status we"), ["cluster we"]);
        assert_eq!(words("-n shop plan --nodes 3 "), ["cluster "]);
        assert_eq!(words("status web "), [""; 0], "there is one cluster at most");
        assert_eq!(words("report --output-file "), ["file"]);
        assert_eq!(words("--kubeconfig "), ["file"]);
    }

    #[test]
    fn kubectl_reads_a_word_a_line_and_then_what_to_do() {
        assert_eq!(
            text(&[("a".into(), "b".into()), ("c".into(), String::new())], ":4"),
            "a\tb\nc\n:4\n"
        );
        assert!(is_called_as(OsStr::new("/usr/bin/kubectl_complete-ringcache")));
        assert!(!is_called_as(OsStr::new("/usr/bin/kubectl-ringcache")));
    }

    #[test]
    fn every_shell_has_a_script_that_knows_the_verbs() {
        for shell in Shell::value_variants() {
            let script = script(*shell).expect("text");
            assert!(script.contains("hotkeys") && script.contains("kubectl-ringcache"), "{script}");
        }
    }
}
