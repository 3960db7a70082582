//! `kubectl ringcache`: what a cluster on Kubernetes does, why, and what another size would cost. It changes nothing.
#![deny(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "they panic when the disk under them is full"
)]

mod args;
mod events;
mod look;
mod proxy;
#[cfg(test)]
mod tests;
mod verbs;

use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Parser as _;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use crate::args::Args;
use crate::proxy::Proxy;

/// Exit code of a question that could not be answered.
const NO_ANSWER: u8 = 2;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    answer(&Args::parse()).await.unwrap_or_else(|error| {
        let _ = writeln!(io::stderr(), "error: {error:#}");
        ExitCode::from(NO_ANSWER)
    })
}

async fn answer(args: &Args) -> Result<ExitCode> {
    let client = connect(args).await?;
    let namespace = args.namespace.as_deref().unwrap_or(client.default_namespace()).to_owned();
    let proxy = Proxy::new(client.clone(), &namespace);
    let shown = Box::pin(verbs::answer(&args.verb, client, proxy.clone(), &namespace)).await;
    if let Some(refusal) = proxy.refusal() {
        // If that fails there is nobody left to be told.
        let _ = writeln!(io::stderr(), "what nodes say of themselves is missing: {refusal}");
    }
    let shown = shown?;
    let mut out = io::stdout().lock();
    let written = out.write_all(shown.text.as_bytes()).and_then(|()| out.flush());
    written.context("writing to the standard output")?;
    Ok(if shown.is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A client by the kubeconfig, as kubectl reads it; without one, by the pod's service account.
async fn connect(args: &Args) -> Result<Client> {
    let mut config = match kubeconfig(args)? {
        None if args.context.is_none() => {
            Config::infer().await.context("no way to reach an API server")?
        }
        file => {
            let options = KubeConfigOptions { context: args.context.clone(), ..Default::default() };
            let config = Config::from_custom_kubeconfig(file.unwrap_or_default(), &options).await;
            config.context("the kubeconfig")?
        }
    };
    // Who asks wants to know that it fails.
    config.default_retry = false;
    Ok(Client::try_from(config)?)
}

/// The files of the flag or of `KUBECONFIG` that exist, merged; `None` = there are none.
fn kubeconfig(args: &Args) -> Result<Option<Kubeconfig>> {
    let named = args.kubeconfig.as_ref().map(|path| path.clone().into_os_string());
    let Some(paths) = named.clone().or_else(|| std::env::var_os("KUBECONFIG")) else {
        return Ok(None);
    };
    let mut merged: Option<Kubeconfig> = None;
    // What a variable of the environment lists need not exist.
    for path in std::env::split_paths(&paths).filter(|path| named.is_some() || path.exists()) {
        let mut file = Kubeconfig::read_from(&path)
            .with_context(|| format!("reading the kubeconfig {}", path.display()))?;
        file.current_context = file.current_context.filter(|context| !context.is_empty());
        merged = Some(match merged {
            None => file,
            Some(first) => first.merge(file)?,
        });
    }
    Ok(merged)
}
