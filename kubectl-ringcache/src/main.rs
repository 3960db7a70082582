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
        // If that fails there is nobody left to be told.
        let _ = writeln!(io::stderr(), "error: {error:#}");
        ExitCode::from(NO_ANSWER)
    })
}

async fn answer(args: &Args) -> Result<ExitCode> {
    let client = connect(args.context.as_deref()).await?;
    let namespace = args.namespace.as_deref().unwrap_or(client.default_namespace()).to_owned();
    let proxy = Proxy::new(client.clone(), &namespace);
    let shown = verbs::answer(&args.verb, client, proxy.clone(), &namespace).await?;
    let mut out = io::stdout().lock();
    let written = out.write_all(shown.text.as_bytes()).and_then(|()| out.flush());
    written.context("writing to the standard output")?;
    if let Some(refusal) = proxy.refusal() {
        let _ = writeln!(io::stderr(), "what nodes say of themselves is missing: {refusal}");
    }
    Ok(if shown.is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A client by the kubeconfig, as kubectl reads it.
async fn connect(context: Option<&str>) -> Result<Client> {
    let mut config = match context {
        None => Config::infer().await.context("no way to reach an API server")?,
        Some(context) => {
            let options =
                KubeConfigOptions { context: Some(context.to_owned()), ..Default::default() };
            let file = Kubeconfig::read().context("reading the kubeconfig")?;
            let config = Config::from_custom_kubeconfig(file, &options).await;
            config.with_context(|| format!("the context `{context}` of the kubeconfig"))?
        }
    };
    // Who asks wants to know that it fails.
    config.default_retry = false;
    Ok(Client::try_from(config)?)
}
