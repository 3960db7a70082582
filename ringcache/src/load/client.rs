//! One connection as an application uses a cache: read it, on a miss ask the origin and write what it says.

use std::sync::Arc;
use std::time::Duration;

use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::{FromRedisValue, RedisResult, cmd};
use tokio::time::{sleep, sleep_until};

use super::Run;
use super::meter::Found;
use super::workload::Key;
use crate::clock;

/// Between two attempts to connect.
const RECONNECT: Duration = Duration::from_secs(1);

/// One connection, with one request at a time.
pub(super) struct Client {
    run: Arc<Run>,
    cache: ClusterConnection,
}

impl Client {
    /// Connects, however long it takes.
    pub(super) async fn connect(run: Arc<Run>, cluster: ClusterClient) -> Self {
        loop {
            match cluster.get_async_connection().await {
                Ok(cache) => return Self { run, cache },
                Err(error) => run.meter.error(&error.to_string()),
            }
            sleep(RECONNECT).await;
        }
    }

    /// Makes one request after the other, until it is dropped.
    pub(super) async fn run(mut self) {
        loop {
            let turn = self.run.turn();
            sleep_until((self.run.began + turn.due).into()).await;
            self.request(self.run.workload.request(turn.number, turn.due)).await;
        }
    }

    async fn request(&mut self, key: Key) {
        let began = clock::now();
        let name = self.run.workload.name(key);
        let read = ask::<Option<Vec<u8>>>(&mut self.cache, cmd("GET").arg(&name)).await;
        let meter = &self.run.meter;
        match read {
            Ok((Some(_), took)) => meter.read(Found::Hit, took),
            Ok((None, took)) => {
                meter.read(Found::Miss, took);
                let value = self.load(key).await;
                self.write(&name, &value).await;
            }
            // Nothing is written: a cache that answers no reads would only be asked for more.
            Err(error) => {
                meter.unread(&error.to_string());
                self.load(key).await;
            }
        }
        self.run.meter.request(clock::now() - began);
    }

    /// Reads the origin. Connections do not wait for each other's reads, as in most applications.
    async fn load(&self, key: Key) -> Vec<u8> {
        let Run { origin, meter, workload, .. } = &*self.run;
        let began = clock::now();
        let reading = origin.begin(key);
        if reading.is_second() {
            meter.stampede();
        }
        reading.answer().await;
        meter.loaded(clock::now() - began);
        workload.value(key)
    }

    async fn write(&mut self, name: &str, value: &[u8]) {
        let ttl_ms = self.run.ttl.as_millis() as u64;
        let mut set = cmd("SET");
        set.arg(name).arg(value).arg("PX").arg(ttl_ms);
        match ask::<()>(&mut self.cache, &set).await {
            Ok(((), took)) => self.run.meter.written(took),
            Err(error) => self.run.meter.error(&error.to_string()),
        }
    }
}

/// The reply to a command, and how long it took.
async fn ask<T: FromRedisValue>(
    cache: &mut ClusterConnection,
    command: &redis::Cmd,
) -> RedisResult<(T, Duration)> {
    let sent = clock::now();
    let reply = command.query_async(cache).await?;
    Ok((reply, clock::now() - sent))
}
