//! The operator's flags.

use std::net::SocketAddr;

use clap::{Parser, ValueEnum};
use http::Uri;
use tracing_subscriber::EnvFilter;

use crate::config::Config;
use crate::lease::LeaseSettings;

/// The Ringcache operator: manages `CacheClusters` of Kubernetes
#[derive(Clone, Debug, Parser)]
#[command(name = "ringcache-operator", version, about)]
pub struct Args {
    /// Image of the nodes of clusters that name none and have no nodes yet
    #[arg(
        long,
        env = "RINGCACHE_CACHE_IMAGE",
        required_unless_present = "check",
        default_value = "",
        hide_default_value = true
    )]
    pub cache_image: String,

    /// Namespaces to watch, separated by commas; none = all
    #[arg(long = "namespace", env = "RINGCACHE_NAMESPACES", value_delimiter = ',')]
    pub namespaces: Vec<String>,

    /// Work only while holding the lease: needed where more than one replica may run
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    pub leader_elect: bool,

    /// Name of the lease
    #[arg(long, default_value = "ringcache-operator")]
    pub lease_name: String,

    /// Namespace of the lease; none = the operator's own
    #[arg(long, env = "RINGCACHE_LEASE_NAMESPACE")]
    pub lease_namespace: Option<String>,

    /// Name of the operator's pod: holds the lease and stands in events
    #[arg(long, env = "POD_NAME", default_value = "ringcache-operator")]
    pub pod_name: String,

    /// Where to serve /healthz, /readyz and /metrics; `[::]` = every address, of IPv6 as well as of IPv4
    #[arg(long, default_value = "[::]:8080")]
    pub listen: SocketAddr,

    /// Only ask this URL, such as that of a running operator's /readyz, and end: in success if it answers 200 within ten seconds
    #[arg(long, value_name = "URL")]
    pub check: Option<Uri>,

    /// Clusters reconciled at once at most
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: u16,

    /// Form of the log
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,

    /// What is logged, such as `info` or `ringcache_operator=debug,warn`
    #[arg(long, env = "RUST_LOG", default_value = "info,kube_client=off,kube_runtime=off")]
    pub log: String,
}

/// Form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// JSON, one object a line.
    Json,
}

impl Args {
    /// The operator's settings, for an API server on that host.
    pub fn config(&self, api_host: String) -> Config {
        Config {
            cache_image: self.cache_image.clone(),
            namespaces: self.namespaces.iter().filter(|ns| !ns.is_empty()).cloned().collect(),
            instance: self.pod_name.clone(),
            workers: self.workers,
            api_host,
            ..Config::default()
        }
    }

    /// The lease to be held; `None` = work without one.
    pub fn lease(&self, own_namespace: &str) -> Option<LeaseSettings> {
        self.leader_elect.then(|| LeaseSettings {
            name: self.lease_name.clone(),
            namespace: self.lease_namespace.clone().unwrap_or_else(|| own_namespace.to_owned()),
            identity: self.pod_name.clone(),
        })
    }

    /// Logs to standard error from now on.
    pub fn start_log(&self) -> anyhow::Result<()> {
        let filter = EnvFilter::try_new(&self.log)?;
        let log = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            // It would tell standard error that standard error is full, and panic.
            .log_internal_errors(false);
        let started = match self.log_format {
            LogFormat::Text => log.with_ansi(false).try_init(),
            LogFormat::Json => log.json().try_init(),
        };
        started.map_err(|error| anyhow::anyhow!("the log cannot be started: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(flags: &[&str]) -> Args {
        let flags = ["ringcache-operator", "--cache-image=cache:1"].iter().chain(flags);
        Args::try_parse_from(flags).unwrap()
    }

    #[test]
    fn all_namespaces_unless_some_are_named() {
        assert!(args(&[]).config(String::new()).namespaces.is_empty());
        assert!(args(&["--namespace="]).config(String::new()).namespaces.is_empty());
        assert_eq!(args(&["--namespace=a,b"]).config(String::new()).namespaces, ["a", "b"]);
    }

    #[test]
    fn the_lease_is_held_unless_that_is_switched_off() {
        let lease = args(&["--pod-name=op-1"]).lease("system").unwrap();
        assert_eq!(
            (lease.namespace.as_str(), lease.identity.as_str()),
            ("system", "op-1"),
            "the operator's own namespace, the pod's name"
        );
        assert!(args(&["--leader-elect=false"]).lease("system").is_none());
        assert_eq!(args(&["--lease-namespace=b"]).lease("system").unwrap().namespace, "b");
    }

    #[test]
    fn an_image_is_required_and_workers_are_limited() {
        assert!(Args::try_parse_from(["ringcache-operator"]).is_err());
        let check = ["ringcache-operator", "--check=http://host:8080/readyz"];
        assert!(Args::try_parse_from(check).unwrap().check.is_some(), "who only asks needs none");
        for workers in ["--workers=0", "--workers=257"] {
            let flags = ["ringcache-operator", "--cache-image=cache:1", workers];
            assert!(Args::try_parse_from(flags).is_err(), "{workers}");
        }
    }
}
