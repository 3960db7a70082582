//! `top`: what a cluster does, again and again.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::time::Duration;

use anyhow::{Context as _, Result};
use futures_util::future::join3;
use futures_util::{StreamExt as _, stream};
use ringcache_api::Incarnation;
use ringcache_operator::nodes::Nodes as _;
use ringcache_operator::observe::ASKED_AT_ONCE;
use ringcache_operator::{Clock, Context};
use ringcache_operator_core::{Observed, ObservedNode};
use ringcache_show::top::{Counted, Load, Top as View};
use tokio::signal::ctrl_c;
use tokio::time::{Instant, sleep};

use crate::args::Top;
use crate::look::{eyes, find, look, one};
use crate::output::{Table, wide};
use crate::proxy::Proxy;
use crate::screen::Screen;

/// What nodes had counted at the look before, and when they told.
pub(crate) type Before = HashMap<Incarnation, (Instant, Counted)>;

/// Shows it until Ctrl-C, or once.
pub(crate) async fn watch(asked: &Top, proxy: &Proxy, clock: &Clock) -> Result<()> {
    let is_object = matches!(asked.shown.output, Some(Table::Json | Table::Yaml));
    let mut screen = if asked.once || is_object { Screen::stream() } else { Screen::new() };
    tokio::select! {
        ended = ctrl_c() => ended.context("waiting for Ctrl-C"),
        shown = again_and_again(asked, proxy, clock, &mut screen) => shown,
    }
}

async fn again_and_again(
    asked: &Top,
    proxy: &Proxy,
    clock: &Clock,
    screen: &mut Screen,
) -> Result<()> {
    let name = one(proxy, asked.shown.cluster.as_deref()).await?;
    let mut eyes = eyes(proxy, false).await;
    eyes.clock = clock.clone();
    // Who is not there at first is an error; who fails later may be back at the next look.
    let mut before = Before::new();
    let mut seen = Ok(frame(asked, &eyes, &name, &mut before).await?);
    let (mut refusal, mut trouble) = (None, None);
    loop {
        let news = [
            news(&mut refusal, proxy.refusal()),
            news(&mut trouble, seen.as_ref().err().map(|error| format!("{error:#}"))),
        ];
        for line in news.into_iter().flatten() {
            is_read(screen.say(&format!("{}: {line}", time(clock))))?;
        }
        let shown = seen.as_ref().map_or(Ok(()), |text| screen.show(text));
        if !is_read(shown)? || asked.once {
            return Ok(());
        }
        sleep(Duration::from_secs(asked.interval)).await;
        seen = frame(asked, &eyes, &name, &mut before).await;
    }
}

/// What is to be said now, if it has not been said already.
fn news(told: &mut Option<String>, now: Option<String>) -> Option<String> {
    if *told == now {
        return None;
    }
    told.clone_from(&now);
    now
}

/// Whether anybody still reads: whoever ends a pipe has seen enough.
fn is_read(written: io::Result<()>) -> Result<bool> {
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        written => written.map(|()| true).context("writing to the standard output"),
    }
}

/// One look.
pub(crate) async fn frame(
    asked: &Top,
    eyes: &Context<Proxy>,
    name: &str,
    before: &mut Before,
) -> Result<String> {
    eyes.nodes.forget();
    let found = find(eyes, name).await?;
    let observed = look(eyes, found).await?.observed;
    let loads = loads(&eyes.nodes, &observed, before).await;
    let at = time(&eyes.clock);
    let view = View { name, at: &at, observed: &observed, loads: &loads };
    let text = wide(asked.shown.output, |wide| view.text(wide), || view.json())?;
    // Several documents of YAML have a line between them; several of JSON need none.
    let is_one_of_many = asked.shown.output == Some(Table::Yaml) && !asked.once;
    Ok(if is_one_of_many { format!("---\n{text}") } else { text })
}

fn time(clock: &Clock) -> String {
    clock.now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// What each node that answers has measured, in their order, and counted since the look before.
async fn loads(proxy: &Proxy, observed: &Observed, before: &mut Before) -> Vec<Load> {
    let ask = async |node: &ObservedNode| {
        if observed.state(node).is_none() {
            return (Load::default(), Instant::now());
        }
        let (host, port) = (&node.host, node.ports.admin);
        let metrics = async {
            let metrics = proxy.metrics(host, port).await.ok();
            (metrics, Instant::now())
        };
        let (curve, heat, (metrics, at)) =
            join3(proxy.curve(host, port), proxy.heat(host, port), metrics).await;
        let load = Load {
            curve: curve.ok().filter(|curve| curve.incarnation.uid() == node.uid),
            heat: heat.ok().filter(|heat| heat.incarnation.uid() == node.uid),
            counted: metrics.as_deref().and_then(Counted::of),
            rate: None,
        };
        (load, at)
    };
    let asked = stream::iter(&observed.nodes).map(ask).buffered(ASKED_AT_ONCE);
    let mut told: Vec<(Load, Instant)> = asked.collect().await;
    let mut now = Before::new();
    for (load, at) in &mut told {
        // Which process it was that counted is known by what it said beside it.
        if let (Some(heat), Some(counted)) = (&load.heat, load.counted) {
            load.rate = before.get(&heat.incarnation).and_then(|(then, earlier)| {
                rate(at.duration_since(*then), counted.requests - earlier.requests)
            });
            now.insert(heat.incarnation.clone(), (*at, counted));
        }
    }
    *before = now;
    told.into_iter().map(|(load, _)| load).collect()
}

/// In a second; a counter that goes back is not that of the same process.
fn rate(elapsed: Duration, requests: f64) -> Option<f64> {
    (!elapsed.is_zero() && requests >= 0.0).then(|| requests / elapsed.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::news;

    #[test]
    fn a_trouble_that_lasts_is_told_once_and_again_when_it_comes_back() {
        let mut told = None;
        let now = |trouble: Option<&str>| news(&mut told, trouble.map(str::to_owned)).is_some();
        let said = [Some("a"), Some("a"), Some("b"), None, Some("b")].map(now);
        assert_eq!(said, [true, false, true, false, true]);
    }
}
