//! Carries out a call.

use std::sync::Arc;

use serde_json::Value;

use crate::call::Verb;
use crate::delete::{DeleteOptions, Deleted, delete};
use crate::fields::{Operation, Owner};
use crate::kind::Kind;
use crate::list::list;
use crate::object::{uid, version};
use crate::patch::{apply, merge};
use crate::request::{PatchKind, Request};
use crate::respond::{self, Answer};
use crate::server::ApiServer;
use crate::status::{Refusal, bad_request, conflict, invalid, not_found};
use crate::store::Store;
use crate::watch::watch;
use crate::write::{self, Claim};
use crate::{eviction, not_modelled};

pub(crate) fn handle(
    api: &ApiServer,
    writer: &Arc<str>,
    request: &Request,
) -> Result<Answer, Refusal> {
    if request.call.verb == Verb::Watch {
        return watch(api, writer, request);
    }
    if request.call.verb == Verb::List {
        let view = api.view_of(writer);
        return api
            .with(writer, |store| list(store, view, request))
            .map(|list| respond::bytes(200, list));
    }
    api.with(writer, |store| match request.call.verb {
        Verb::Get => get(store, request),
        Verb::Create => create(store, request),
        Verb::Update => update(store, request),
        Verb::Patch => patch(store, request),
        Verb::Delete => remove(store, request),
        Verb::List | Verb::Watch => not_modelled("they were answered before"),
    })
}

/// Who owns the fields that an update changes.
pub(crate) fn owner(request: &Request, operation: Operation) -> Owner {
    let subresource = request.is_status().then_some("status");
    Owner { name: request.manager().to_owned(), operation, subresource }
}

fn get(store: &Store, request: &Request) -> Result<Answer, Refusal> {
    request.is_status();
    let key = request.key();
    let object = store.get(&key).ok_or_else(|| not_found(key.kind, &key.name))?;
    Ok(respond::object(200, object, request.partial))
}

fn create(store: &mut Store, request: &Request) -> Result<Answer, Refusal> {
    let body = request.call.body.clone();
    match request.call.subresource.as_deref() {
        None => {}
        Some("eviction") if request.kind == Kind::Pod => {
            return eviction::evict(store, request).map(|()| respond::success(201));
        }
        Some(other) => not_modelled(&format!("create of {}/{other}", request.kind.plural())),
    }
    let claim = Claim::Changes(owner(request, Operation::Update));
    let created = write::create(store, request.kind, request.namespace(), body, claim)?;
    Ok(respond::object(201, &created, request.partial))
}

fn update(store: &mut Store, request: &Request) -> Result<Answer, Refusal> {
    let (key, body) = (request.key(), request.call.body.clone());
    let live = store.get(&key).ok_or_else(|| not_found(key.kind, &key.name))?;
    if !uid(&body).is_empty() && uid(&body) != uid(live.value()) {
        let (wanted, found) = (uid(&body), uid(live.value()));
        let why = format!(
            "Precondition failed: UID in precondition: {wanted}, UID in object meta: {found}"
        );
        return Err(conflict(key.kind, &key.name, &why));
    }
    if matches!(version(&body), "" | "0") && !key.kind.unconditional_update() {
        let why = "Invalid value: 0: must be specified for an update";
        return Err(invalid(key.kind, &key.name, "metadata.resourceVersion", why));
    }
    let claim = Claim::Changes(owner(request, Operation::Update));
    let part = request.is_status().then_some("status");
    let updated = write::update(store, &key, body, part, claim)?;
    Ok(respond::object(200, &updated, request.partial))
}

fn patch(store: &mut Store, request: &Request) -> Result<Answer, Refusal> {
    let (code, patched) = match request.patch {
        Some(PatchKind::Apply) => apply(store, request)?,
        _ => (200, merge(store, request)?),
    };
    Ok(respond::object(code, &patched, request.partial))
}

fn remove(store: &mut Store, request: &Request) -> Result<Answer, Refusal> {
    if let Some(part) = &request.call.subresource {
        not_modelled(&format!("delete of {}/{part}", request.kind.plural()));
    }
    let options = options(&request.call.body)?;
    Ok(match delete(store, &request.key(), &options)? {
        Deleted::Begun(object) => respond::object(200, &object, request.partial),
        // Which kinds are answered with their last version differs; nobody here reads more than success.
        Deleted::Gone => respond::success(200),
    })
}

pub(crate) fn options(body: &Value) -> Result<DeleteOptions, Refusal> {
    match body {
        Value::Null => Ok(DeleteOptions::default()),
        body => DeleteOptions::read(body).map_err(|error| bad_request(&error.to_string())),
    }
}
