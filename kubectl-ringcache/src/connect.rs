//! The way to the API server, as kubectl finds it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use hyper_util::client::proxy::matcher::Matcher;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use crate::args::Server;

/// A client by the kubeconfig; without one, by the pod's service account.
pub(crate) async fn connect(server: &Server) -> Result<Client> {
    let variable = std::env::var_os("KUBECONFIG");
    let file = merged(&files(server.kubeconfig.as_deref(), variable.as_deref()))?;
    client(config(server, file).await?)
}

fn client(config: Config) -> Result<Client> {
    use kube::Error::{ProxyProtocolDisabled, ProxyProtocolUnsupported};

    Client::try_from(config).map_err(|error| match error {
        // It would be quoted, and with it the password that may stand in it.
        ProxyProtocolDisabled { .. } | ProxyProtocolUnsupported { .. } => {
            anyhow!("the proxy-url begins with none of http, https and socks5")
        }
        error => error.into(),
    })
}

async fn config(server: &Server, file: Option<Kubeconfig>) -> Result<Config> {
    let context = server.context.as_deref();
    let (mut config, named) = match file {
        None if context.is_none() => {
            let named = Kubeconfig::read().ok().and_then(|file| proxy(&file, context));
            (Config::infer().await.context("no way to reach an API server")?, named)
        }
        file => {
            let file = match file {
                Some(file) => file,
                None => Kubeconfig::read().context("the kubeconfig")?,
            };
            let named = proxy(&file, context);
            let options =
                KubeConfigOptions { context: context.map(str::to_owned), ..Default::default() };
            let config = Config::from_custom_kubeconfig(file, &options).await;
            (config.context("the kubeconfig")?, named)
        }
    };
    // A proxy that the kubeconfig names is meant, whatever the environment says; one of the environment is for those whom NO_PROXY
    // does not name. The library looks for the proxy itself among the names of NO_PROXY.
    config.proxy_url = match named {
        Some(url) => Some(url.parse::<http::Uri>().context("the proxy-url of the kubeconfig")?),
        None => config
            .proxy_url
            .filter(|_| Matcher::from_env().intercept(&config.cluster_url).is_some()),
    };
    // Who asks wants to know that it fails.
    config.default_retry = false;
    Ok(config)
}

/// The file of the flag, or those that the variable `KUBECONFIG` lists and that exist.
fn files(named: Option<&Path>, variable: Option<&OsStr>) -> Vec<PathBuf> {
    match (named, variable) {
        (Some(path), _) => vec![path.to_owned()],
        (None, Some(paths)) => std::env::split_paths(paths).filter(|path| path.exists()).collect(),
        (None, None) => Vec::new(),
    }
}

/// All of the files as one, in which the first one wins; `None` = there are none.
fn merged(files: &[PathBuf]) -> Result<Option<Kubeconfig>> {
    let mut merged: Option<Kubeconfig> = None;
    for path in files {
        let mut file = Kubeconfig::read_from(path)
            .with_context(|| format!("reading the kubeconfig {}", path.display()))?;
        file.current_context = file.current_context.filter(|context| !context.is_empty());
        merged = Some(match merged {
            None => file,
            Some(first) => first.merge(file)?,
        });
    }
    Ok(merged)
}

/// The proxy that leads to the API server of a context.
fn proxy(file: &Kubeconfig, context: Option<&str>) -> Option<String> {
    let context = context.or(file.current_context.as_deref())?;
    let context = file.contexts.iter().find(|named| named.name == context)?.context.as_ref()?;
    let cluster = file.clusters.iter().find(|named| named.name == context.cluster)?;
    cluster.cluster.as_ref()?.proxy_url.clone().filter(|url| !url.is_empty())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tokio::io::{AsyncBufReadExt as _, BufReader};
    use tokio::net::TcpListener;

    use super::*;

    const CONTEXT: &str = "\
apiVersion: v1
kind: Config
current-context: shop
contexts:
- name: shop
  context: {cluster: far, user: me, namespace: cart}
";
    const CLUSTER: &str = "\
apiVersion: v1
kind: Config
current-context: other
clusters:
- name: far
  cluster: {server: 'https://api.invalid:6443', insecure-skip-tls-verify: true}
users:
- name: me
  user: {token: t}
contexts:
- name: shop
  context: {cluster: wrong, user: me}
- name: other
  context: {cluster: far, user: me, namespace: office}
";

    fn context(name: &str) -> Server {
        Server { context: Some(name.to_owned()), kubeconfig: None }
    }

    #[tokio::test]
    async fn several_files_of_the_variable_are_one_in_which_the_first_wins() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = |name: &str| dir.path().join(name);
        fs::write(path("a"), CONTEXT).expect("written");
        fs::write(path("b"), CLUSTER).expect("written");
        let paths = std::env::join_paths([path("a"), path("missing"), path("b")]).expect("paths");
        let files = files(None, Some(&paths));
        assert_eq!(files, [path("a"), path("b")]);
        let file = merged(&files).expect("readable");
        let current = config(&Server::default(), file.clone()).await.expect("complete");
        assert_eq!(current.default_namespace, "cart");
        assert_eq!(current.cluster_url.host(), Some("api.invalid"));
        let other = config(&context("other"), file).await.expect("complete");
        assert_eq!(other.default_namespace, "office");
    }

    #[test]
    fn the_file_of_the_flag_is_the_only_one_and_must_exist() {
        let named = Path::new("/no:such/file");
        let files = files(Some(named), Some(OsStr::new("/tmp")));
        assert_eq!(files, [named]);
        let error = merged(&files).expect_err("it is not there");
        assert!(format!("{error:#}").contains("/no:such/file"), "{error:#}");
    }

    #[tokio::test]
    async fn a_proxy_that_cannot_be_used_is_told_without_its_password() {
        for url in ["http://me:Pa55word@pro xy:21", "ftp://me:Pa55word@proxy:21"] {
            let text =
                CLUSTER.replace("insecure-skip", &format!("proxy-url: '{url}', insecure-skip"));
            let file = Kubeconfig::from_yaml(&text).expect("readable");
            let found = config(&context("other"), Some(file)).await;
            let error = found.and_then(client).err().expect("it cannot be used");
            let error = format!("{error:#} {error:?}");
            assert!(error.contains("proxy") && !error.contains("Pa55word"), "{error}");
        }
    }

    #[tokio::test]
    async fn the_proxy_of_the_kubeconfig_is_asked_for_the_way() {
        let proxy = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = proxy.local_addr().expect("an address");
        let text = CLUSTER
            .replace("insecure-skip", &format!("proxy-url: 'http://{address}', insecure-skip"));
        let file = Kubeconfig::from_yaml(&text).expect("readable");
        let config = config(&context("other"), Some(file)).await.expect("complete");
        let client = Client::try_from(config).expect("a client");
        let asked = tokio::spawn(async move { client.apiserver_version().await });
        let (stream, _) = proxy.accept().await.expect("it comes");
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).await.expect("a request");
        assert_eq!(line, "CONNECT api.invalid:6443 HTTP/1.1\r\n");
        asked.await.expect("it ends").expect_err("the proxy has hung up");
    }
}
