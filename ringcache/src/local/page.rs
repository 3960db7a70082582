//! The page of a local cluster: where it is, and what it is told. Nodes are asked for it only while somebody looks.

use std::io;
use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use ringcache_admin_client::AdminClient;
use ringcache_operator_core::Observed;
use ringcache_page::Page;
use ringcache_show::live::{Live, Seen, trouble};
use ringcache_show::nodes::Place;
use serde_json::Value;
use tokio::time::sleep;

use super::autoscale::measured;
use super::dir::StateDir;
use super::look::look;
use super::ports;
use super::ring::heats;
use super::screen::Screen;
use crate::clock;

/// Between two looks at the cluster.
const EVERY: Duration = Duration::from_secs(1);

/// Where the page is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PagePort {
    /// Nowhere.
    Off,
    /// At this port, 0 being any free one.
    Port(u16),
}

impl FromStr for PagePort {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "off" => Ok(Self::Off),
            port => port.parse().map(Self::Port).map_err(|_| "a port from 0 to 65535, or `off`"),
        }
    }
}

/// Opens the page and says where it is. If that is impossible the cluster runs without one.
pub(super) fn open(
    port: Option<PagePort>,
    base: u16,
    dir: &StateDir,
    admin: &AdminClient,
    screen: &mut Screen,
) {
    let port = match port {
        Some(PagePort::Off) => return,
        Some(PagePort::Port(port)) => Some(port),
        None => ports::page(base),
    };
    let port = port
        .with_context(|| format!("there is no port 800 above {base}: choose one with --page-port"));
    match port.and_then(serve) {
        Ok((page, port)) => {
            screen.plain(&format!("Look at it: http://127.0.0.1:{port}/"));
            screen.tell_on(page.clone());
            tokio::spawn(tell(page, dir.clone(), admin.clone()));
        }
        Err(error) => screen.event(&format!("there is no page to look at: {error:#}")),
    }
}

/// Serves a page without news, and at which port.
fn serve(port: u16) -> Result<(Page, u16)> {
    let listener = ringcache_page::listen(port).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => anyhow!(
            "port {port} is taken: stop what uses it, or choose another one with --page-port"
        ),
        _ => anyhow!("port {port}: {error}: choose another one with --page-port"),
    })?;
    let port = listener.local_addr()?.port();
    let page = Page::new(&clock::since_1970().as_millis().to_string());
    tokio::spawn(ringcache_page::serve(page.clone(), listener));
    Ok((page, port))
}

/// Tells how the cluster is, again and again, for as long as the program runs.
async fn tell(page: Page, dir: StateDir, admin: AdminClient) {
    let (began, mut live) = (clock::now(), Live::default());
    loop {
        page.looked_at().await;
        let told = document(&dir, &admin, &mut live, began).await;
        page.publish(&told.unwrap_or_else(|error| trouble(&format!("{error:#}"))));
        sleep(EVERY).await;
    }
}

async fn document(
    dir: &StateDir,
    admin: &AdminClient,
    live: &mut Live,
    began: Instant,
) -> Result<Value> {
    let Some(look) = look(dir.path(), admin).await? else {
        return Ok(trouble("No node runs."));
    };
    let observed = &look.observed;
    let heats = heats(admin, observed.nodes.clone()).await;
    // One that is silent would be waited for twice more.
    let measured = if all_answer(observed) { measured(admin, observed).await } else { None };
    let seen = Seen {
        cluster: &look.cluster,
        status: &look.previous.unwrap_or_default(),
        observed,
        measured: measured.as_ref(),
        heats: &heats,
        place: Place::Ports,
    };
    Ok(live.document(&seen, clock::now() - began))
}

fn all_answer(observed: &Observed) -> bool {
    let mut members = observed.stored().into_iter().flat_map(|document| &document.members);
    members.all(|member| observed.state_of(&member.uid).is_some())
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    #[test]
    fn a_page_has_a_port_any_free_one_or_none() {
        assert_eq!("7800".parse(), Ok(PagePort::Port(7800)));
        assert_eq!("0".parse(), Ok(PagePort::Port(0)));
        assert_eq!("off".parse(), Ok(PagePort::Off));
        for wrong in ["", "on", "-1", "65536", "80 "] {
            assert!(wrong.parse::<PagePort>().is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn a_port_that_is_taken_is_told_with_the_flag() {
        let other = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = other.local_addr().expect("an address").port();
        let error = serve(port).expect_err("it is taken").to_string();
        let wanted = format!("port {port} is taken: ");
        assert!(error.starts_with(&wanted) && error.contains("--page-port"), "{error}");
    }

    #[tokio::test]
    async fn the_page_is_where_it_is_said_to_be() {
        let (_, port) = serve(0).expect("a free port");
        assert!(port > 0);
        std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("somebody listens");
    }
}
