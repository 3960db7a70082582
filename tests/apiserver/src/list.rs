//! Lists: of now or of then, whole or in pages.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::not_modelled;
use crate::object::Object;
use crate::request::Request;
use crate::selector::Selector;
use crate::status::{Refusal, expired, too_large_version};
use crate::store::{Key, Store, select};

/// Which version a list is of, and where it goes on.
struct Start {
    revision: u64,
    after: Option<Key>,
}

/// `view` is how far the caller sees, where it does not ask for what is newest.
pub(crate) fn list(store: &Store, view: u64, request: &Request) -> Result<Bytes, Refusal> {
    let selector =
        Selector::parse(request.parameter("labelSelector"), request.parameter("fieldSelector"))?;
    let Start { revision, after } = start(store, view, request)?;
    let objects: Cow<'_, BTreeMap<Key, Arc<Object>>> = if revision == store.revision {
        Cow::Borrowed(store.objects())
    } else {
        Cow::Owned(store.at(revision))
    };
    let namespace = request.call.namespace.as_deref();
    let mut items = select(&objects, request.kind, namespace)
        .filter(|(key, object)| {
            after.as_ref().is_none_or(|after| *key > after) && selector.matches(object.value())
        })
        .peekable();
    let limit = request.number("limit").unwrap_or(0) as usize;
    let (mut text, mut count, mut last) = (Vec::new(), 0, None);
    while limit == 0 || count < limit {
        let Some((key, object)) = items.next() else { break };
        if count > 0 {
            text.push(b',');
        }
        text.extend_from_slice(&if request.partial { object.partial() } else { object.json() });
        (count, last) = (count + 1, Some(key));
    }
    let token = match last.filter(|_| items.peek().is_some()) {
        Some(key) => format!(",\"continue\":\"{revision}.{}.{}\"", key.namespace, key.name),
        None => String::new(),
    };
    let (kind, version) = if request.partial {
        ("PartialObjectMetadata", "meta.k8s.io/v1".to_owned())
    } else {
        (request.kind.name(), request.kind.api_version())
    };
    let head = format!(
        "{{\"kind\":\"{kind}List\",\"apiVersion\":\"{version}\",\
         \"metadata\":{{\"resourceVersion\":\"{revision}\"{token}}},\"items\":["
    );
    Ok(Bytes::from([head.as_bytes(), &text, b"]}"].concat()))
}

fn start(store: &Store, view: u64, request: &Request) -> Result<Start, Refusal> {
    if let Some(token) = request.parameter("continue") {
        let mut parts = token.splitn(3, '.');
        let (revision, namespace, name) = (parts.next(), parts.next(), parts.next());
        let revision: u64 = revision.and_then(|text| text.parse().ok()).unwrap_or_default();
        if revision < store.compacted {
            return Err(expired(
                "The provided continue parameter is too old to display a consistent list result. \
                 You must start a new list without the continue parameter.",
            ));
        }
        let key = Key::new(request.kind, namespace.unwrap_or_default(), name.unwrap_or_default());
        return Ok(Start { revision, after: Some(key) });
    }
    let revision =
        match (request.number("resourceVersion"), request.parameter("resourceVersionMatch")) {
            // The newest, always: what is not asked for by version is read past every cache.
            (None, None) => store.revision,
            // Anything: what the cache has.
            (Some(0), None | Some("NotOlderThan")) => view.min(store.revision),
            (Some(asked), None | Some("NotOlderThan")) if asked > store.revision => {
                return Err(too_large_version(asked, store.revision));
            }
            (Some(asked), None | Some("NotOlderThan")) => view.min(store.revision).max(asked),
            (Some(asked), Some("Exact")) if asked < store.compacted => {
                return Err(expired(&format!(
                    "The resourceVersion for the provided list is too old: {asked}"
                )));
            }
            (Some(asked), Some("Exact")) => asked,
            other => not_modelled(&format!("a list by {other:?}")),
        };
    Ok(Start { revision, after: None })
}
