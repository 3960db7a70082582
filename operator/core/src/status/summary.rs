//! The whole status in a word and a sentence, for a column of a table: a column shows one field, and what matters most stands
//! now in this condition, now in that one.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use ringcache_api::status::{OperationStatus, Summary, condition, reason};

use super::bounded;

/// Longest message, in characters.
const MAX_CHARS: usize = 1024;

/// What a person should know first: that somebody has to act, that calls fail, that clients are not served, that nodes are missing; then what goes on.
pub(super) fn summary(conditions: &[Condition], operation: Option<&OperationStatus>) -> Summary {
    let condition = |type_| conditions.iter().find(|condition| condition.type_ == type_);
    let is = |type_, status: &str| condition(type_).filter(|found| found.status == status);
    let because = |reason: &str| condition(condition::RECONCILING).filter(|c| c.reason == reason);
    let first = is(condition::STALLED, "True")
        .or_else(|| because(reason::FAILING))
        .or_else(|| is(condition::READY, "False"))
        .or_else(|| is(condition::DEGRADED, "True"))
        .or_else(|| because(reason::PAUSED))
        .or_else(|| condition(condition::READY));
    let first_message = first.map_or("", |first| first.message.as_str());
    let next = match operation {
        Some(operation) => untold(operation, first_message),
        None => is(condition::UP_TO_DATE, "False").map(|found| found.message.clone()),
    };
    let message = match next {
        Some(next) if first_message.is_empty() => next,
        Some(next) => format!("{} {next}", sentence(first_message)),
        None => first_message.to_owned(),
    };
    Summary {
        state: first.map(|first| first.reason.clone()).unwrap_or_default(),
        message: bounded(&message, MAX_CHARS),
    }
}

/// What goes on, without what has been told: a condition about an obstacle and the operation that it is in the way of name the same one.
fn untold(operation: &OperationStatus, told: &str) -> Option<String> {
    let parts = operation.message.split("; ").filter(|part| !told.contains(part));
    let parts = parts.collect::<Vec<_>>().join("; ");
    (!parts.is_empty()).then(|| sentence(&format!("{}: {parts}", operation.type_)))
}

fn sentence(text: &str) -> String {
    if text.ends_with(['.', '…']) { text.to_owned() } else { format!("{text}.") }
}
