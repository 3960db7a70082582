//! The node's flags, shared by its own binary and the command line's local mode.

use std::net::IpAddr;

use clap::Args;
use ringcache_api::Ports;

/// Flags of a cache node.
#[derive(Args, Clone, Debug)]
pub struct NodeArgs {
    /// Name of the node, `<cluster>-<n>`
    #[arg(long, env = "RINGCACHE_NAME")]
    pub name: String,
    /// Uid that the platform gave to this pod or process; a nonce drawn at start makes it an incarnation
    #[arg(long, env = "RINGCACHE_UID")]
    pub uid: String,
    /// Uid of the `CacheCluster` it belongs to; ring documents of other clusters are refused
    #[arg(long, env = "RINGCACHE_CLUSTER_UID")]
    pub cluster_uid: String,
    /// Memory limit in bytes: data, index, buffers, everything
    #[arg(long, env = "RINGCACHE_MEMORY_BYTES")]
    pub memory_bytes: u64,
    /// Address to listen on; `::` = every address, of IPv6 as well as of IPv4
    #[arg(long, env = "RINGCACHE_BIND", default_value = "127.0.0.1")]
    pub bind: IpAddr,
    /// Port of the Redis protocol (cluster mode)
    #[arg(long, env = "RINGCACHE_RESP_PORT", default_value_t = 6379)]
    pub resp_port: u16,
    /// Port of the HTTP/JSON API
    #[arg(long, env = "RINGCACHE_HTTP_PORT", default_value_t = 8080)]
    pub http_port: u16,
    /// Port of health, metrics and the admin API; never for clients
    #[arg(long, env = "RINGCACHE_ADMIN_PORT", default_value_t = 9400)]
    pub admin_port: u16,
    /// Port between nodes
    #[arg(long, env = "RINGCACHE_BUS_PORT", default_value_t = 16379)]
    pub bus_port: u16,
    /// Worker threads for the Redis protocol; 0 = one per core
    #[arg(long, env = "RINGCACHE_THREADS", default_value_t = 0)]
    pub threads: usize,
    /// Client connections; one more is answered with an error and closed
    #[arg(long, env = "RINGCACHE_MAX_CLIENTS", default_value_t = 10_000)]
    pub max_clients: usize,
    /// Time to live in seconds of entries written without one; 0 = they stay until evicted
    #[arg(long, env = "RINGCACHE_TTL_DEFAULT_SECONDS", default_value_t = 0)]
    pub ttl_default_seconds: u32,
    /// Share in percent by which a default time to live may be shortened
    #[arg(long, env = "RINGCACHE_TTL_JITTER_PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=90))]
    pub ttl_jitter_percent: u8,
    /// Seconds after SIGTERM within which the node must have handed over what it holds: then it ends
    #[arg(long, env = "RINGCACHE_GRACE_SECONDS", default_value_t = 20)]
    pub grace_seconds: u64,
}

impl NodeArgs {
    /// The four ports as the ring document states them.
    pub fn ports(&self) -> Ports {
        Ports {
            resp: self.resp_port,
            http: self.http_port,
            admin: self.admin_port,
            bus: self.bus_port,
        }
    }
}
