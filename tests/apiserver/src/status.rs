//! Refusals in the shape and the words of the real API server.

use kube::core::Status;
use kube::core::response::{StatusCause, StatusDetails};

use crate::kind::Kind;

/// Why a request was refused.
pub(crate) type Refusal = Box<Status>;

const MODIFIED: &str =
    "the object has been modified; please apply your changes to the latest version and try again";

/// A failure of any code, for faults: a refusal that the server itself would not have given.
pub fn failure(code: u16, reason: &str, message: &str) -> Status {
    Status::failure(message, reason).with_code(code)
}

fn details(name: &str, group: &str, kind: &str) -> StatusDetails {
    StatusDetails {
        name: name.to_owned(),
        group: group.to_owned(),
        kind: kind.to_owned(),
        uid: String::new(),
        causes: Vec::new(),
        retry_after_seconds: 0,
    }
}

fn about(kind: Kind, name: &str, code: u16, reason: &str, message: &str) -> Refusal {
    let details = details(name, kind.group(), kind.plural());
    failure(code, reason, message).with_details(details).boxed()
}

fn with_cause(mut refusal: Refusal, reason: &str, message: &str, field: &str) -> Refusal {
    if let Some(details) = &mut refusal.details {
        details.causes.push(StatusCause {
            reason: reason.to_owned(),
            message: message.to_owned(),
            field: field.to_owned(),
        });
    }
    refusal
}

pub(crate) fn not_found(kind: Kind, name: &str) -> Refusal {
    about(kind, name, 404, "NotFound", &format!("{} \"{name}\" not found", kind.qualified()))
}

pub(crate) fn already_exists(kind: Kind, name: &str, deleting: bool) -> Refusal {
    let prefix = if deleting { "object is being deleted: " } else { "" };
    let message = format!("{prefix}{} \"{name}\" already exists", kind.qualified());
    about(kind, name, 409, "AlreadyExists", &message)
}

pub(crate) fn conflict(kind: Kind, name: &str, why: &str) -> Refusal {
    let message =
        format!("Operation cannot be fulfilled on {} \"{name}\": {why}", kind.qualified());
    about(kind, name, 409, "Conflict", &message)
}

/// A deletion meant for an object of the same name and another uid. Of all conflicts this one alone names the kind.
pub(crate) fn another_uid(kind: Kind, name: &str, wanted: &str, found: &str) -> Refusal {
    let message = format!(
        "Operation cannot be fulfilled on {} \"{name}\": the UID in the precondition ({wanted}) does not match the UID in \
         record ({found}). The object might have been deleted and then recreated",
        kind.name()
    );
    about(kind, name, 409, "Conflict", &message)
}

pub(crate) fn modified(kind: Kind, name: &str) -> Refusal {
    conflict(kind, name, MODIFIED)
}

/// Fields that other managers own: manager and path of each.
pub(crate) fn apply_conflict(kind: Kind, name: &str, conflicts: &[(String, String)]) -> Refusal {
    let (count, noun) =
        (conflicts.len(), if conflicts.len() == 1 { "conflict" } else { "conflicts" });
    let what: Vec<String> = conflicts
        .iter()
        .map(|(manager, field)| format!("conflict with \"{manager}\": {field}"))
        .collect();
    let message = format!("Apply failed with {count} {noun}: {}", what.join(", "));
    let refusal = about(kind, name, 409, "Conflict", &message);
    conflicts.iter().fold(refusal, |refusal, (manager, field)| {
        with_cause(refusal, "FieldManagerConflict", &format!("conflict with \"{manager}\""), field)
    })
}

pub(crate) fn invalid(kind: Kind, name: &str, field: &str, why: &str) -> Refusal {
    let message = format!("{}.{} \"{name}\" is invalid: {field}: {why}", kind.name(), kind.group())
        .replace(". \"", " \"");
    with_cause(about(kind, name, 422, "Invalid", &message), "FieldValueInvalid", why, field)
}

pub(crate) fn forbidden(kind: Kind, name: &str, why: &str) -> Refusal {
    let message = format!("{} \"{name}\" is forbidden: {why}", kind.qualified());
    about(kind, name, 403, "Forbidden", &message)
}

pub(crate) fn bad_request(message: &str) -> Refusal {
    failure(400, "BadRequest", message).boxed()
}

pub(crate) fn internal(message: &str) -> Refusal {
    failure(500, "InternalError", &format!("Internal error occurred: {message}")).boxed()
}

pub(crate) fn expired(message: &str) -> Refusal {
    failure(410, "Expired", message).boxed()
}

pub(crate) fn too_large_version(asked: u64, current: u64) -> Refusal {
    let message = format!("Too large resource version: {asked}, current: {current}");
    failure(504, "Timeout", &format!("Timeout: {message}")).boxed()
}

/// An eviction that a disruption budget does not allow, and when to try again.
pub(crate) fn disruption_refused(why: &str, retry_after_seconds: u32) -> Refusal {
    let message = "Cannot evict pod as it would violate the pod's disruption budget.";
    let mut refusal =
        failure(429, "TooManyRequests", message).with_details(details("", "", "")).boxed();
    if let Some(details) = &mut refusal.details {
        details.retry_after_seconds = retry_after_seconds;
    }
    with_cause(refusal, "DisruptionBudget", why, "")
}

/// Parameters of a patch that cannot be.
pub(crate) fn invalid_options(field: &str, why: &str) -> Refusal {
    let message = format!("PatchOptions.meta.k8s.io \"\" is invalid: {field}: {why}");
    failure(422, "Invalid", &message).boxed()
}
