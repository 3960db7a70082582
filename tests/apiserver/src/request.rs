//! A request, read: which call it is, about what, and with which parameters.

use std::collections::BTreeMap;

use http::Method;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::request::Parts;
use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::call::{Call, Verb};
use crate::kind::Kind;
use crate::not_modelled;
use crate::object::text;
use crate::store::Key;

/// Parameters that change nothing here, or are looked at where they matter. Any other is a question that is not modelled.
const PARAMETERS: [&str; 13] = [
    "allowWatchBookmarks",
    "continue",
    "fieldManager",
    "fieldSelector",
    "force",
    "labelSelector",
    "limit",
    "resourceVersion",
    "resourceVersionMatch",
    "timeoutSeconds",
    "watch",
    // kube sends it with patches that are to be checked strictly; refused below.
    "fieldValidation",
    "dryRun",
];

/// How the body of a patch is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PatchKind {
    Merge,
    Apply,
}

/// A request that the server understands.
#[derive(Debug)]
pub(crate) struct Request {
    pub call: Call,
    pub kind: Kind,
    pub patch: Option<PatchKind>,
    /// Whether only metadata is asked for.
    pub partial: bool,
    query: BTreeMap<String, String>,
}

impl Request {
    pub(crate) fn parse(writer: &str, head: &Parts, body: &[u8]) -> Self {
        let query = parameters(head.uri.query().unwrap_or_default());
        let Place { kind, namespace, mut name, subresource } = place(head.uri.path());
        let body: Value = if body.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(body).unwrap_or_else(|_| not_modelled("a body that is no JSON"))
        };
        let watches = matches!(query.get("watch").map(String::as_str), Some("true" | "1"));
        let verb = match (&head.method, &name) {
            (&Method::GET, _) if watches => Verb::Watch,
            (&Method::GET, Some(_)) => Verb::Get,
            (&Method::GET, None) => Verb::List,
            (&Method::POST, _) => Verb::Create,
            (&Method::PUT, Some(_)) => Verb::Update,
            (&Method::PATCH, Some(_)) => Verb::Patch,
            (&Method::DELETE, Some(_)) => Verb::Delete,
            (method, _) => not_modelled(&format!("{method} {}", head.uri.path())),
        };
        let named = text(&body, "/metadata/name");
        if verb == Verb::Create && name.is_none() && !named.is_empty() {
            name = Some(named.to_owned());
        }
        let header = |name| head.headers.get(name).and_then(|value| value.to_str().ok());
        let patch = (verb == Verb::Patch).then(|| match header(CONTENT_TYPE) {
            Some("application/merge-patch+json") => PatchKind::Merge,
            Some("application/apply-patch+yaml") => PatchKind::Apply,
            other => not_modelled(&format!("a patch of type {other:?}")),
        });
        let is_write = !matches!(verb, Verb::Get | Verb::List | Verb::Watch);
        let (writer, resource) = (writer.to_owned(), kind.plural().to_owned());
        let line = format!("{} {}", head.method, head.uri);
        Self {
            call: Call {
                writer,
                line,
                verb,
                resource,
                subresource,
                namespace,
                name,
                is_write,
                body,
            },
            kind,
            patch,
            partial: header(ACCEPT)
                .is_some_and(|accept| accept.contains("as=PartialObjectMetadata")),
            query,
        }
    }

    /// A parameter; empty ones count as missing.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        let value = self.parameter(name)?;
        Some(value.parse().unwrap_or_else(|_| not_modelled(&format!("{name}={value}"))))
    }

    /// The object that it is about.
    pub(crate) fn key(&self) -> Key {
        let name = self.call.name.as_deref().unwrap_or_default();
        Key::new(self.kind, self.namespace(), name)
    }

    pub(crate) fn namespace(&self) -> &str {
        self.call.namespace.as_deref().unwrap_or_default()
    }

    /// Who owns what it writes.
    pub(crate) fn manager(&self) -> &str {
        self.parameter("fieldManager").unwrap_or(&self.call.writer)
    }

    pub(crate) fn is_status(&self) -> bool {
        match self.call.subresource.as_deref() {
            None => false,
            Some("status") if self.kind.has_status() => true,
            Some(other) => {
                not_modelled(&format!("{} of {}/{other}", self.call.verb, self.kind.plural()))
            }
        }
    }
}

/// What an address stands for.
struct Place {
    kind: Kind,
    namespace: Option<String>,
    name: Option<String>,
    subresource: Option<String>,
}

fn place(path: &str) -> Place {
    let unknown = format!("the address {path}");
    let steps: Vec<&str> = path.split('/').filter(|step| !step.is_empty()).collect();
    let (group, version, rest) = match steps.as_slice() {
        ["api", version, rest @ ..] => ("", *version, rest),
        ["apis", group, version, rest @ ..] => (*group, *version, rest),
        _ => not_modelled(&unknown),
    };
    let (namespace, rest) = match rest {
        ["namespaces", namespace, plural, rest @ ..]
            if !matches!(*plural, "status" | "finalize") =>
        {
            (Some((*namespace).to_owned()), [&[*plural], rest].concat())
        }
        rest => (None, rest.to_vec()),
    };
    let (plural, name, subresource) = match rest.as_slice() {
        [plural] => (*plural, None, None),
        [plural, name] => (*plural, Some((*name).to_owned()), None),
        [plural, name, part] => (*plural, Some((*name).to_owned()), Some((*part).to_owned())),
        _ => not_modelled(&unknown),
    };
    let kind = Kind::find(group, version, plural).unwrap_or_else(|| not_modelled(&unknown));
    Place { kind, namespace, name, subresource }
}

fn parameters(query: &str) -> BTreeMap<String, String> {
    let decode =
        |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(name), decode(value))
    });
    let parameters: BTreeMap<String, String> = pairs.collect();
    for (name, value) in &parameters {
        let refused = matches!(name.as_str(), "dryRun" | "fieldValidation");
        if refused || !PARAMETERS.contains(&name.as_str()) {
            not_modelled(&format!("the parameter {name}={value}"));
        }
    }
    parameters
}
