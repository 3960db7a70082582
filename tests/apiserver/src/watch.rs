//! Watches: what has changed since a version, in order, until the time is over.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::unfold;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use tokio::time::{Instant, sleep_until};

use crate::kind::Kind;
use crate::not_modelled;
use crate::object::Object;
use crate::request::Request;
use crate::respond::{Answer, answer, status_bytes};
use crate::selector::Selector;
use crate::server::ApiServer;
use crate::status::{Refusal, expired};
use crate::store::{Change, ChangeKind};

/// Between two bookmarks on a quiet watch.
const BOOKMARK_EVERY: Duration = Duration::from_mins(1);
/// A watch that names no end ends after this time.
const LONGEST: u64 = 1800;

/// One watch.
struct Watch {
    api: ApiServer,
    writer: Arc<str>,
    kind: Kind,
    namespace: Option<String>,
    selector: Selector,
    partial: bool,
    /// How often watches had been cut when it began.
    cuts: u64,
    /// Everything up to here has been told.
    told: u64,
    waiting: VecDeque<Bytes>,
    /// No event follows the waiting ones.
    over: bool,
    end: Instant,
    bookmarks: bool,
    next_bookmark: Instant,
}

pub(crate) fn watch(
    api: &ApiServer,
    writer: &Arc<str>,
    request: &Request,
) -> Result<Answer, Refusal> {
    let selector =
        Selector::parse(request.parameter("labelSelector"), request.parameter("fieldSelector"))?;
    if request.call.name.is_some() || request.parameter("resourceVersionMatch").is_some() {
        not_modelled("a watch of a single object or with initial events");
    }
    let seconds = request.number("timeoutSeconds").unwrap_or(LONGEST);
    let now = Instant::now();
    let mut watch = Watch {
        api: api.clone(),
        writer: Arc::clone(writer),
        kind: request.kind,
        namespace: request.call.namespace.clone(),
        selector,
        partial: request.partial,
        cuts: api.cuts(),
        told: 0,
        waiting: VecDeque::new(),
        over: false,
        end: now + Duration::from_secs(seconds),
        bookmarks: request.parameter("allowWatchBookmarks") == Some("true"),
        next_bookmark: now + BOOKMARK_EVERY,
    };
    match request.number("resourceVersion") {
        // A real server may need a newer database than most have.
        None | Some(0) => not_modelled("a watch that begins with what there is"),
        Some(version) => watch.begin(version),
    }
    let events = unfold(watch, |mut watch| async move {
        let bytes = watch.next().await?;
        Some((Ok(Frame::data(bytes)), watch))
    });
    Ok(answer(200, StreamBody::new(events).boxed_unsync()))
}

impl Watch {
    /// From the version asked for.
    fn begin(&mut self, asked: u64) {
        let api = self.api.clone();
        api.read(|store| {
            self.told = asked;
            if asked < store.compacted {
                let text = format!("too old resource version: {asked} ({})", store.compacted);
                self.waiting.push_back(framed("ERROR", &status_bytes(&expired(&text))));
                self.over = true;
            } else if asked > store.revision {
                not_modelled("a watch from a version that is yet to come");
            }
        });
    }

    async fn next(&mut self) -> Option<Bytes> {
        let api = self.api.clone();
        loop {
            if let Some(bytes) = self.waiting.pop_front() {
                return Some(bytes);
            }
            if self.over {
                return None;
            }
            // Begun before looking, so that no change falls between the look and the wait.
            let news = api.news().notified();
            self.collect();
            if !self.waiting.is_empty() {
                continue;
            }
            let pause = if self.bookmarks { self.next_bookmark.min(self.end) } else { self.end };
            tokio::select! {
                biased;
                () = news => {}
                () = sleep_until(pause) => {
                    self.over = Instant::now() >= self.end;
                    self.next_bookmark = Instant::now() + BOOKMARK_EVERY;
                    if self.bookmarks {
                        self.waiting.push_back(self.bookmark());
                    }
                }
            }
        }
    }

    /// What has happened since, as far as this client sees.
    fn collect(&mut self) {
        let (api, view) = (self.api.clone(), self.api.view_of(&self.writer));
        api.read(|store| {
            if self.cuts != api.cuts() {
                let text = format!("too old resource version: {} ({})", self.told, store.compacted);
                self.waiting.push_back(framed("ERROR", &status_bytes(&expired(&text))));
                self.over = true;
                return;
            }
            for change in store.after(self.told).iter().take_while(|change| change.revision <= view)
            {
                if let Some(event) = self.told_as(change) {
                    self.waiting.push_back(event);
                }
                self.told = change.revision;
            }
        });
    }

    fn told_as(&self, change: &Change) -> Option<Bytes> {
        let in_scope = change.key.kind == self.kind
            && self.namespace.as_ref().is_none_or(|namespace| change.key.namespace == *namespace);
        if !in_scope {
            return None;
        }
        let was = change.prior.as_ref().is_some_and(|prior| self.selector.matches(prior.value()));
        let is = change.kind != ChangeKind::Deleted && self.selector.matches(change.object.value());
        match (was, is) {
            (false, false) => None,
            (false, true) => Some(self.event("ADDED", &change.object)),
            (true, true) => Some(self.event("MODIFIED", &change.object)),
            // An object that does not match any more is told as it was, with the version of the change.
            (true, false) if change.kind == ChangeKind::Modified => {
                let prior = change.prior.as_ref()?;
                Some(self.event("DELETED", &prior.at_version(change.revision)))
            }
            (true, false) => Some(self.event("DELETED", &change.object)),
        }
    }

    fn event(&self, kind: &str, object: &Object) -> Bytes {
        framed(kind, &if self.partial { object.partial() } else { object.json() })
    }

    fn bookmark(&self) -> Bytes {
        let (kind, version) = if self.partial {
            ("PartialObjectMetadata", "meta.k8s.io/v1".to_owned())
        } else {
            (self.kind.name(), self.kind.api_version())
        };
        let object = format!(
            "{{\"kind\":\"{kind}\",\"apiVersion\":\"{version}\",\
             \"metadata\":{{\"resourceVersion\":\"{}\",\"creationTimestamp\":null}}}}",
            self.told
        );
        framed("BOOKMARK", object.as_bytes())
    }
}

fn framed(kind: &str, object: &[u8]) -> Bytes {
    let head = format!("{{\"type\":\"{kind}\",\"object\":");
    Bytes::from([head.as_bytes(), object, b"}\n"].concat())
}
