//! Support archives.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use flate2::read::GzDecoder;
use serde_json::{Value, json};

use super::server::{NAMESPACE, SLOT, SYSTEM, Server, pod, proxy};
use super::shown;

const VALUE: &str = "Corr3ct-horse-battery";
const KEY: &str = "customer:4711:cart";

/// A cluster with two nodes that have the same hot key, an operator, and a value of a variable wherever one may get to.
fn told_in_confidence() -> Server {
    let server = Server::new();
    let env = json!([{"name": "PASSWORD", "value": VALUE}]);
    let spec = json!({"nodes": 2, "pod": {"env": env}});
    server.put(json!({
        "apiVersion": "ringcache.dev/v1alpha1", "kind": "CacheCluster",
        "metadata": {
            "name": "web", "namespace": NAMESPACE, "uid": "uid-web", "annotations": {
                "kubectl.kubernetes.io/last-applied-configuration": json!({"spec": spec}).to_string(),
            },
        },
        "spec": spec,
    }));
    let mut ring = pod("web", "web-ring")["metadata"].clone();
    ring["annotations"] = json!({"ringcache.dev/spec": spec.to_string()});
    server.put(json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": ring, "data": {"ring.json": "{}"},
    }));
    for name in ["web-0", "web-1"] {
        let mut pod = pod("web", name);
        pod["spec"]["containers"][0]["env"] = env.clone();
        server.put(pod);
        server.node("web", name, KEY);
    }
    server.put(json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": "op-0", "namespace": SYSTEM, "labels": {"app.kubernetes.io/name": "ringcache-operator"},
        },
        "spec": {"containers": [{"name": "operator", "image": "op:1"}]},
    }));
    let log = format!("WARN the API server refuses `{VALUE}`\n");
    server.answers(&format!("/api/v1/namespaces/{SYSTEM}/pods/op-0/log"), 200, &log);
    server
}

/// The files of an archive, without the folder that they are in.
fn files(path: &Path) -> BTreeMap<String, String> {
    let mut archive = tar::Archive::new(GzDecoder::new(File::open(path).expect("an archive")));
    let entries = archive.entries().expect("entries").map(|entry| {
        let mut entry = entry.expect("an entry");
        let path = entry.path().expect("a path").to_string_lossy().into_owned();
        let (folder, path) = path.split_once('/').expect("a folder");
        assert!(folder.starts_with("ringcache-shop-web-20"), "{folder}");
        let (path, mut text) = (path.to_owned(), String::new());
        entry.read_to_string(&mut text).expect("text");
        (path, text)
    });
    entries.collect()
}

#[tokio::test(start_paused = true)]
async fn a_report_has_everything_but_values_and_keys() {
    let (server, dir) = (told_in_confidence(), tempfile::tempdir().expect("a directory"));
    let path = dir.path().join("report.tar.gz");
    let written = path.to_str().expect("text");
    let (text, _) = shown(&server, &["report", "--output-file", written]).await.expect("written");
    let files = files(&path);
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    let wanted = [
        "README.txt",
        "cluster.yaml",
        "contents.json",
        "events.yaml",
        "nodes/web-0/curve.json",
        "nodes/web-0/heat.json",
        "nodes/web-0/metrics.txt",
        "nodes/web-0/state.json",
        "nodes/web-1/curve.json",
        "nodes/web-1/heat.json",
        "nodes/web-1/metrics.txt",
        "nodes/web-1/state.json",
        "operator/system_op-0.log",
        "pods/web-0.yaml",
        "pods/web-1.yaml",
        "ring.yaml",
    ];
    assert_eq!(names, wanted);
    for (name, content) in &files {
        for secret in [VALUE, KEY] {
            assert!(!content.contains(secret), "{name} has {secret}:\n{content}");
        }
        assert!(name.ends_with("txt") || name.ends_with("json") || text.contains(name), "{text}");
    }
    for name in ["cluster.yaml", "pods/web-0.yaml", "ring.yaml"] {
        assert!(files[name].contains("PASSWORD"), "{name}: {}", files[name]);
    }
    assert_eq!(files["operator/system_op-0.log"], "WARN the API server refuses `removed`\n");
    let hashed = |node: &str| {
        let heat: Value = serde_json::from_str(&files[&format!("nodes/{node}/heat.json")])
            .expect("what a node says");
        assert_eq!(heat["hotKeys"][0]["keyBytes"], 32, "not how long it is, which is 18");
        assert_eq!(heat["busiestSlots"][0]["operations"], 9.5);
        assert!(!heat.to_string().contains(&SLOT.to_string()), "{heat}");
        heat["hotKeys"][0]["key"].as_str().expect("a key").to_owned()
    };
    assert!(hashed("web-0").starts_with("hash-"));
    assert_eq!(hashed("web-0"), hashed("web-1"), "the same key");
    let mode = fs::metadata(&path).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "for nobody else");
    server.was_only_read();

    let again =
        shown(&server, &["report", "--output-file", written]).await.expect_err("it is there");
    assert!(again.contains("exists"), "{again}");
    let other = dir.path().join("other.tar.gz");
    let command = ["report", "-o", "json", "--output-file", other.to_str().expect("text")];
    let (json, _) = shown(&server, &command).await.expect("written");
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["files"].as_array().map(Vec::len), Some(wanted.len() - 2), "{json:#}");
    assert_ne!(self::files(&other)["nodes/web-0/heat.json"], files["nodes/web-0/heat.json"]);
}

#[tokio::test(start_paused = true)]
async fn what_may_not_be_read_is_named_with_its_reason_and_the_rest_is_there() {
    let (server, dir) = (told_in_confidence(), tempfile::tempdir().expect("a directory"));
    let path = |plural: &str| format!("/api/v1/namespaces/{NAMESPACE}/{plural}");
    server.forbids(
        &format!("/apis/ringcache.dev/v1alpha1/namespaces/{NAMESPACE}/cacheclusters/web"),
        "no clusters",
    );
    server.forbids(&path("configmaps/web-ring"), "no maps");
    server.forbids(&format!("/apis/events.k8s.io/v1/namespaces/{NAMESPACE}/events"), "no events");
    server.forbids("/api/v1/pods", "no pods elsewhere");
    for pod in ["web-0", "web-1"] {
        server.forbids(&format!("{}/admin/v1/state", proxy(pod)), "no proxy");
    }
    let path = dir.path().join("report.tar.gz");
    let command = ["report", "web", "--output-file", path.to_str().expect("text")];
    let (text, _) = shown(&server, &command).await.expect("written");
    let files = files(&path);
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    assert_eq!(names, ["README.txt", "contents.json", "pods/web-0.yaml", "pods/web-1.yaml"]);
    for why in ["no clusters", "no maps", "no events", "no pods elsewhere", "no proxy"] {
        assert_eq!(text.matches(why).count(), 1, "{why}: {text}");
        assert!(files["README.txt"].contains(why) && files["contents.json"].contains(why));
    }
}

#[tokio::test(start_paused = true)]
async fn a_map_of_somebody_else_is_not_looked_into() {
    let (server, dir) = (Server::new(), tempfile::tempdir().expect("a directory"));
    server.cluster(NAMESPACE, "web", 1);
    server.put(json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "web-ring", "namespace": NAMESPACE}, "data": {"a": VALUE},
    }));
    let path = dir.path().join("report.tar.gz");
    let command = ["report", "--output-file", path.to_str().expect("text")];
    let (text, _) = shown(&server, &command).await.expect("written");
    assert!(text.contains("it belongs to somebody else"), "{text}");
    assert!(files(&path).values().all(|content| !content.contains(VALUE)));
}

/// The archive that is written, and what is said of it.
async fn report(server: &Server) -> (BTreeMap<String, String>, String) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("report.tar.gz");
    let command = ["report", "web", "--output-file", path.to_str().expect("text")];
    let (text, _) = shown(server, &command).await.expect("written");
    (files(&path), text)
}

#[tokio::test(start_paused = true)]
async fn of_a_log_that_is_too_long_it_is_said_that_the_newest_lines_are_not_there() {
    let server = told_in_confidence();
    let half = &VALUE[..VALUE.len() - 3];
    let log = "a line\n".repeat((8 << 20) / "a line\n".len()) + half;
    server.answers(&format!("/api/v1/namespaces/{SYSTEM}/pods/op-0/log"), 200, &log);
    let (files, text) = report(&server).await;
    assert_eq!(server.calls("log?&container=operator&limitBytes=8388608&tailLines=4000"), 1);
    assert!(text.contains("the operator's log, not up to the newest line (cut)"), "{text}");
    let log = &files["operator/system_op-0.log"];
    assert!(log.len() <= 1 << 20 && log.ends_with("a line\n") && !log.contains(half));
}

#[tokio::test(start_paused = true)]
async fn logs_come_before_nodes_which_may_fill_the_archive() {
    let (files, _) = report(&told_in_confidence()).await;
    let contents: Value = serde_json::from_str(&files["contents.json"]).expect("JSON");
    let listed = contents["files"].as_array().expect("files");
    let first = |begin: &str| {
        listed.iter().position(|file| file["path"].as_str().is_some_and(|it| it.starts_with(begin)))
    };
    assert!(first("operator/") < first("nodes/"), "{contents:#}");
}

#[tokio::test(start_paused = true)]
async fn the_newest_events_come_first_and_it_is_said_that_there_are_more() {
    let server = told_in_confidence();
    let event = |name: &str, mut event: Value| {
        event["metadata"] = json!({"name": name, "creationTimestamp": "2026-01-01T09:00:00Z"});
        event
    };
    let items = [
        event("old", json!({"eventTime": "2026-01-01T10:00:00.000000Z"})),
        event(
            "series",
            json!({
                "eventTime": "2026-01-01T09:00:00.000000Z",
                "series": {"count": 9, "lastObservedTime": "2026-01-01T12:00:00.000000Z"},
            }),
        ),
        event("counted", json!({"deprecatedLastTimestamp": "2026-01-01T11:00:00Z"})),
        event("oldest", json!({})),
    ];
    let list = json!({
        "apiVersion": "events.k8s.io/v1", "kind": "EventList",
        "metadata": {"continue": "more"}, "items": items,
    });
    let path = format!("/apis/events.k8s.io/v1/namespaces/{NAMESPACE}/events");
    server.answers(&path, 200, &list);
    let (files, text) = report(&server).await;
    let place = |name: &str| files["events.yaml"].find(&format!("name: {name}\n")).expect(name);
    let places = ["series", "counted", "old", "oldest"].map(place);
    assert!(places.is_sorted(), "{}", files["events.yaml"]);
    assert!(text.contains("events, the newest first (cut)"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_understood_is_not_quoted() {
    let server = told_in_confidence();
    let heat = json!({"version": 1, "incarnation": "uid-web-0.1", "hotKeys": [KEY]});
    server.answers(&format!("{}/admin/v1/heat", proxy("web-0")), 200, &heat);
    let (files, text) = report(&server).await;
    assert!(text.contains("the load of web-0  the answer is not understood"), "{text}");
    assert!(files.values().all(|content| !content.contains(KEY)), "{text}");
}

#[tokio::test(start_paused = true)]
async fn an_archive_of_nothing_is_an_error_and_no_file() {
    let (server, dir) = (told_in_confidence(), tempfile::tempdir().expect("a directory"));
    let of = |path: &str| format!("/api/v1/namespaces/{NAMESPACE}/{path}");
    let cluster = format!("/apis/ringcache.dev/v1alpha1/namespaces/{NAMESPACE}/cacheclusters/web");
    for path in [cluster, of("configmaps/web-ring"), of("pods"), "/api/v1/pods".to_owned()] {
        server.answers(&path, 401, "who are you?");
    }
    let path = dir.path().join("report.tar.gz");
    let command = ["report", "web", "--output-file", path.to_str().expect("text")];
    let error = shown(&server, &command).await.expect_err("nothing");
    assert_eq!(error, "nothing could be read, so there is no archive: who are you?");
    assert!(!path.exists());
}

#[tokio::test(start_paused = true)]
async fn nobody_is_asked_for_what_cannot_be_written() {
    let server = told_in_confidence();
    let command = ["report", "web", "--output-file", "/no/such/directory/report.tar.gz"];
    let error = shown(&server, &command).await.expect_err("no directory");
    assert!(error.starts_with("creating /no/such/directory/report.tar.gz"), "{error}");
    assert_eq!(server.calls(""), 0);
}
