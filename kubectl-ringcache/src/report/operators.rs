//! The logs of operators, if they may be read.

use futures_util::AsyncReadExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, LogParams};
use kube::{Api, ResourceExt as _};

use super::archive::Keep;
use super::{Content, Part, asked};
use crate::proxy::Proxy;

/// What the chart calls its pods.
const SELECTOR: &str = "app.kubernetes.io/name=ringcache-operator";
/// The container in them.
const CONTAINER: &str = "operator";
/// Most pods whose logs are read.
const MAX_PODS: usize = 10;
/// Most lines of each.
const MAX_LINES: i64 = 4000;
/// Most bytes of them. The kubelet counts from the oldest: it is so much that lines would have to be very long for the newest to be left out.
const MAX_BYTES: usize = 8 << 20;

/// The log of each operator, and the one of its container before that, if it was restarted.
pub(super) async fn read(proxy: &Proxy) -> Vec<Part> {
    let what = "the operator's log";
    let pods = match pods(proxy).await {
        Err(why) => return vec![Part::missing(what, why)],
        Ok(pods) if pods.is_empty() => {
            return vec![Part::missing(what, "no pod with the label of an operator was found")];
        }
        Ok(pods) => pods,
    };
    let mut parts = Vec::new();
    for pod in pods.iter().take(MAX_PODS) {
        let (namespace, name) = (pod.namespace().unwrap_or_default(), pod.name_any());
        let api: Api<Pod> = Api::namespaced(proxy.client(), &namespace);
        let runs: &[bool] = if has_restarted(pod) { &[false, true] } else { &[false] };
        for &previous in runs {
            let asked_for = LogParams {
                container: Some(CONTAINER.to_owned()),
                limit_bytes: i64::try_from(MAX_BYTES).ok(),
                tail_lines: Some(MAX_LINES),
                previous,
                ..LogParams::default()
            };
            let before = if previous { ".before" } else { "" };
            parts.push(match asked(log(&api, &name, &asked_for)).await {
                Err(why) => Part::missing(format!("{what} ({name}{before})"), why),
                Ok(log) => {
                    let is_cut = log.len() >= MAX_BYTES;
                    let lines = if is_cut { "not up to the newest line" } else { "the last lines" };
                    Part::File {
                        path: format!("operator/{namespace}_{name}{before}.log"),
                        what: format!("{what}, {lines}"),
                        content: Content::Text(whole_lines(&log, is_cut), Keep::End),
                        is_cut,
                    }
                }
            });
        }
    }
    if pods.len() > MAX_PODS {
        parts.push(Part::missing(what, format!("of {} more pods", pods.len() - MAX_PODS)));
    }
    parts
}

/// Where the limit ends it there may be half a character.
async fn log(api: &Api<Pod>, pod: &str, asked_for: &LogParams) -> Result<Vec<u8>, kube::Error> {
    let mut log = Vec::new();
    let mut lines = Box::pin(api.log_stream(pod, asked_for).await?);
    lines.read_to_end(&mut log).await.map_err(kube::Error::ReadEvents)?;
    Ok(log)
}

/// Of a log that was cut the last line goes: half a value that must not be there would not be found.
fn whole_lines(log: &[u8], is_cut: bool) -> String {
    let end = if is_cut { log.iter().rposition(|byte| *byte == b'\n') } else { None };
    String::from_utf8_lossy(end.map_or(log, |end| &log[..=end])).into_owned()
}

/// Those of all namespaces; those of the cluster's own for whoever may see no others.
async fn pods(proxy: &Proxy) -> Result<Vec<Pod>, String> {
    let operators = ListParams::default().labels(SELECTOR);
    let everywhere: Api<Pod> = Api::all(proxy.client());
    let why = match asked(everywhere.list(&operators)).await {
        Ok(listed) => return Ok(listed.items),
        Err(why) => why,
    };
    let here: Api<Pod> = Api::namespaced(proxy.client(), proxy.namespace());
    match asked(here.list(&operators)).await {
        Ok(listed) if !listed.items.is_empty() => Ok(listed.items),
        _ => Err(why),
    }
}

fn has_restarted(pod: &Pod) -> bool {
    let containers =
        pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    containers.into_iter().any(|container| container.restart_count > 0)
}
