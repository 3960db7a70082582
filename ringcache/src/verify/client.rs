//! The life of one client, whichever kind it is.

use std::sync::Arc;
use std::time::Duration;

use redis::cluster::ClusterClient;

use super::load::{self, Load};
use super::meter::Failure;
use super::raw::{self, Ledger};
use crate::clock;

/// How clients reach the cluster.
#[derive(Clone)]
pub(super) enum Way {
    /// Through a stock library.
    Stock(Box<ClusterClient>),
    /// Over plain sockets, beginning at any of the seeds.
    Raw(Arc<Ledger>, Vec<String>),
}

/// A client of either kind.
pub(super) enum Client {
    /// On a stock library.
    Stock(load::Client),
    /// On plain sockets.
    Raw(Box<raw::Client>),
}

impl Client {
    /// Connects the client with this number.
    pub(super) async fn connect(way: Way, load: Arc<Load>, id: u64) -> Result<Self, Failure> {
        match way {
            Way::Stock(cluster) => {
                let connection = cluster.get_async_connection().await;
                let connection = connection.map_err(|error| load::failure(&error))?;
                Ok(Self::Stock(load::Client::new(load, id, connection)))
            }
            Way::Raw(ledger, seeds) => {
                Ok(Self::Raw(Box::new(raw::Client::connect(ledger, id, &seeds).await?)))
            }
        }
    }

    /// Writes every own key once.
    pub(super) async fn fill(&mut self) {
        match self {
            Self::Stock(client) => client.fill().await,
            Self::Raw(client) => client.fill().await,
        }
    }

    /// The mixed load, from now on.
    pub(super) async fn mix(&mut self, duration: Duration) {
        let began = clock::now();
        match self {
            Self::Stock(client) => client.mix(began, began + duration).await,
            Self::Raw(client) => client.mix(began, began + duration).await,
        }
    }

    /// Judges what can only be judged when all clients have come to rest.
    pub(super) async fn settle(&mut self) {
        if let Self::Raw(client) = self {
            client.settle().await;
        }
    }

    /// Removes every own key.
    pub(super) async fn clear(&mut self) {
        match self {
            Self::Stock(client) => client.clear().await,
            Self::Raw(client) => client.clear().await,
        }
    }
}
