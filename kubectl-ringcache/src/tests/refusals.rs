//! What a user may not do.

use std::collections::BTreeSet;

use http::StatusCode;
use kube::client::AuthError;

use super::server::{NAMESPACE, Server, proxy};
use super::{shown, told};
use crate::output::tamed;
use crate::proxy::{Proxy, words};

#[tokio::test(start_paused = true)]
async fn who_may_not_ask_nodes_is_told_so_once_and_shown_the_rest() {
    let server = Server::new();
    server.cluster(NAMESPACE, "web", 3);
    for pod in ["web-0", "web-1", "web-2"] {
        server.pod("web", pod);
        server.forbids(&format!("{}/admin/v1/state", proxy(pod)), "you may not get pods/proxy");
    }
    let (answer, refusal) = told(&server, &["status"]).await;
    let (text, _) = answer.expect("the rest");
    for pod in ["web-0  Starting", "web-1  Starting", "web-2  Starting"] {
        assert!(text.contains(pod), "{text}");
    }
    assert!(!text.contains("may not"), "{text}");
    assert_eq!(
        refusal.as_deref(),
        Some(
            "what nodes say of themselves is missing in the namespace `shop`: you may not get pods/proxy"
        )
    );
    assert!(server.calls("/proxy/") <= 3, "who was refused once need not ask again");
    server.was_only_read();
}

#[tokio::test(start_paused = true)]
async fn a_node_that_refuses_by_itself_is_no_lack_of_rights() {
    let server = Server::new();
    server.cluster(NAMESPACE, "web", 1);
    server.pod("web", "web-0");
    let body = r#"{"error": {"code": "NotForYou", "message": "by the node"}}"#;
    server.answers(&format!("{}/admin/v1/state", proxy("web-0")), 403, body);
    let (answer, refusal) = told(&server, &["nodes"]).await;
    assert!(answer.expect("shown").0.contains("web-0"));
    assert_eq!(refusal, None);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_refuses_in_plain_words_silences_no_other_and_no_terminal_obeys_it() {
    let server = Server::new();
    server.cluster(NAMESPACE, "web", 2);
    for pod in ["web-0", "web-1"] {
        server.pod("web", pod);
        server.node("web", pod, "a key");
    }
    let state = format!("{}/admin/v1/state", proxy("web-0"));
    for code in [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN] {
        for body in ["\u{1b}[2Jno", r#"{"kind": "Status", "reason": "NotFound"}"#, "{}", "[]"] {
            server.answers(&state, code.as_u16(), body);
            let (answer, refusal) = told(&server, &["nodes"]).await;
            let (text, _) = answer.expect("shown");
            assert!(text.contains("web-1  Spare") && !text.contains("web-0  Spare"), "{text}");
            assert_eq!(refusal, None, "{code} {body}");
        }
    }
    server.answers(&state, 403, "\u{1b}[2Jno");
    let proxy = Proxy::new(server.client(), NAMESPACE);
    let error = proxy.state_of("web-0", 9400).await.expect_err("refused").to_string();
    assert!(error.contains('\u{1b}') && !tamed(&error).contains('\u{1b}'), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn who_is_given_the_right_later_sees_nodes_at_the_next_look() {
    let server = Server::new();
    server.node("web", "web-0", "a key");
    server.forbids(&format!("{}/admin/v1/state", proxy("web-0")), "not yet");
    let proxy = Proxy::new(server.client(), NAMESPACE);
    proxy.state_of("web-0", 9400).await.expect_err("refused");
    assert!(proxy.refusal().is_some_and(|refusal| refusal.ends_with("not yet")));
    server.node("web", "web-0", "a key");
    proxy.state_of("web-0", 9400).await.expect_err("it was refused and is not asked again");
    proxy.forget();
    proxy.state_of("web-0", 9400).await.expect("it answers");
    assert_eq!(proxy.refusal(), None);
}

#[tokio::test(start_paused = true)]
async fn what_a_status_quotes_is_not_obeyed_by_a_terminal() {
    let server = Server::new();
    server.put(serde_json::json!({
        "apiVersion": "ringcache.dev/v1alpha1", "kind": "CacheCluster",
        "metadata": {"name": "web", "namespace": NAMESPACE, "uid": "uid-web"},
        "spec": {"nodes": 1},
        "status": {"version": "\u{1b}[2J", "summary": {"state": "A\u{1b}]", "message": "\u{1b}[1m"}},
    }));
    for verb in ["status", "why", "nodes", "plan"] {
        let (text, _) = shown(&server, &[verb]).await.expect("shown");
        assert!(!text.contains('\u{1b}'), "{verb}: {text:?}");
    }
}

#[test]
fn errors_do_not_quote_what_commands_of_the_kubeconfig_are_told() {
    let error = || AuthError::AuthExec("env TOKEN=Pa55word-1".into());
    for error in [kube::Error::Auth(error()), kube::Error::Service(Box::new(error()))] {
        assert_eq!(words(&error), "the credentials of the kubeconfig could not be had");
    }
    let other = kube::Error::Service("TOKEN=Pa55word-1".into());
    assert_eq!(words(&other), "the API server could not be asked");
}

#[tokio::test(start_paused = true)]
async fn the_rights_that_are_used_are_those_that_are_written_down() {
    let server = Server::new();
    server.cluster(NAMESPACE, "web", 1);
    server.pod("web", "web-0");
    server.node("web", "web-0", "a key");
    let operator = serde_json::json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {
            "name": "op-0", "namespace": NAMESPACE, "labels": {"app.kubernetes.io/name": "ringcache-operator"},
        },
        "spec": {"containers": [{"name": "operator", "image": "op:1"}]},
    });
    server.put(operator);
    server.answers(&format!("/api/v1/namespaces/{NAMESPACE}/pods/op-0/log"), 200, "a line\n");
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("report");
    shown(&server, &["report", "--output-file", path.to_str().expect("text")]).await.expect("it");
    for verb in ["status", "nodes", "ring", "plan", "why", "hotkeys"] {
        shown(&server, &[verb]).await.expect(verb);
    }
    shown(&server, &["status", "-A"]).await.expect("shown");
    let docs = include_str!("../../../docs/kubectl.md");
    let rights = docs
        .lines()
        .filter(|line| line.starts_with("| `get` of") || line.starts_with("| `list` of"));
    let cells = rights.filter_map(|line| line.split('|').nth(1)).flat_map(|cell| cell.split(','));
    let written: BTreeSet<String> = cells.map(|right| right.trim().to_owned()).collect();
    assert_eq!(server.rights(), written);
}
