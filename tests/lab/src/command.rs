//! Runs programs: to their end with what they wrote, or in the background of a network namespace.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::name::Namespace;

/// Runs a command to its end and returns its standard output.
///
/// # Errors
/// It cannot be started or did not succeed; the error has all it wrote.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| line(command))?;
    checked(command, &output)
}

/// As [`output`], with `input` on its standard input.
///
/// # Errors
/// It cannot be started or did not succeed; the error has all it wrote.
pub fn output_with_input(command: &mut Command, input: &str) -> Result<String> {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().with_context(|| line(piped))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ends before it has read everything says why itself.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output()?;
    checked(command, &output)
}

fn checked(command: &Command, output: &std::process::Output) -> Result<String> {
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.success(),
        "`{}` ended with {}\n{stdout}{}",
        line(command),
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(stdout)
}

/// The command as one would type it: without the environment, without how it gets into a namespace.
pub(crate) fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    let words = words.join(" ");
    match words.strip_prefix("nsenter --net=").and_then(|rest| rest.split_once(" -- ")) {
        Some((_, inner)) => inner.to_owned(),
        None => words,
    }
}

/// A command that runs inside `namespace`. Not `ip netns exec`: that gives a mount namespace of its
/// own too, in which containerd does not see what the kubelet mounts.
pub(crate) fn inside(namespace: &Namespace, program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net={}", namespace.path().display())).arg("--").arg(program);
    command
}

/// Starts `command` in a session of its own and with no parent but init, so that it outlives us
/// and is reaped without us; what it writes goes to the end of the file `log`.
pub(crate) fn start(command: &Command, log: &Path) -> Result<()> {
    let log = File::options().create(true).append(true).open(log)?;
    let mut setsid = Command::new("setsid");
    setsid
        .arg("--fork")
        .arg(command.get_program())
        .args(command.get_args())
        .stdin(Stdio::null())
        .stderr(log.try_clone()?)
        .stdout(log);
    let status = setsid.status().with_context(|| format!("{setsid:?}"))?;
    ensure!(status.success(), "{setsid:?}: {status}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_command_and_all_that_it_wrote() {
        let mut sh = Command::new("sh");
        let failed = output(sh.args(["-c", "echo out; echo why >&2; exit 3"]).env("A", "secret"));
        let said = failed.unwrap_err().to_string();
        assert!(said.starts_with("`sh -c echo out;"), "{said}");
        assert!(said.ends_with("ended with exit status: 3\nout\nwhy\n"), "{said}");
    }

    #[test]
    fn how_a_command_gets_into_its_namespace_is_not_shown() {
        let namespace = crate::name::Namespace("x".to_owned());
        assert_eq!(line(inside(&namespace, "kubectl").args(["get", "pods"])), "kubectl get pods");
    }

    #[test]
    fn input_arrives() {
        assert_eq!(output_with_input(&mut Command::new("cat"), "a\nb").unwrap(), "a\nb");
    }
}
