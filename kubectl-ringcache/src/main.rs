//! `kubectl ringcache`: what a cluster on Kubernetes does, why, and what another size would cost. It changes nothing.
#![deny(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "they panic when the disk under them is full"
)]

mod args;
mod clusters;
mod complete;
mod connect;
mod events;
mod look;
mod output;
mod proxy;
mod report;
mod screen;
#[cfg(test)]
mod tests;
mod top;
mod verbs;

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Parser as _;
use ringcache_operator::Clock;

use crate::args::{Args, Verb};
use crate::output::{complain, print};
use crate::proxy::Proxy;
use crate::verbs::Answer;

/// Exit code of a question that could not be answered.
const NO_ANSWER: u8 = 2;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut words = std::env::args_os();
    let asked = if words.next().is_some_and(|program| complete::is_called_as(&program)) {
        complete::answer(words).await.map(|()| ExitCode::SUCCESS)
    } else {
        Box::pin(answer(&Args::parse())).await
    };
    asked.unwrap_or_else(|error| {
        complain(&format!("error: {error:#}"));
        ExitCode::from(NO_ANSWER)
    })
}

async fn answer(args: &Args) -> Result<ExitCode> {
    args.check().map_err(anyhow::Error::msg)?;
    if let Verb::Completion(asked) = &args.verb {
        print(&complete::script(asked.shell)?).context("writing to the standard output")?;
        return Ok(ExitCode::SUCCESS);
    }
    let client = connect::connect(&args.server).await?;
    let namespace = args.namespace.as_deref().unwrap_or(client.default_namespace()).to_owned();
    let (proxy, clock) = (Proxy::new(client.clone(), &namespace), Clock::system());
    if let Verb::Top(asked) = &args.verb {
        return Box::pin(top::watch(asked, &proxy, &clock)).await.map(|()| ExitCode::SUCCESS);
    }
    let shown = Box::pin(look_once(args, &proxy, &clock)).await;
    // An archive says itself what it lacks.
    let refusal = proxy.refusal().filter(|_| !matches!(args.verb, Verb::Report(_)));
    if let Some(refusal) = refusal {
        complain(&refusal);
    }
    let Answer { text, is_good } = shown?;
    print(&text).context("writing to the standard output")?;
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What is shown of one look.
async fn look_once(args: &Args, proxy: &Proxy, clock: &Clock) -> Result<Answer> {
    match &args.verb {
        Verb::Report(asked) => report::write(asked, proxy, clock).await,
        Verb::Status(shown) if args.all_namespaces => {
            clusters::answer(proxy, None, shown.output).await
        }
        verb => Box::pin(verbs::answer(verb, proxy)).await,
    }
}
