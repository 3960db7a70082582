//! Whether the nodes run what they should, and which versions they run.

use std::collections::BTreeSet;

use ringcache_api::status::{condition, reason};

use super::{Outcome, Verdict, bounded};
use crate::{Held, Observed, Said};

/// Version of this program: nodes of the same one know all that it may ask of them.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Longest text about a version, in characters.
const MAX_VERSION_CHARS: usize = 64;
/// Longest message of the condition, in characters.
const MAX_MESSAGE_CHARS: usize = 1024;

/// The version that a node says it is.
pub(super) fn version(said: Said<'_>) -> String {
    bounded(said.version, MAX_VERSION_CHARS)
}

/// The versions of all members that answer, the oldest first; `None` = nobody answers.
pub(super) fn versions(observed: &Observed) -> Option<String> {
    let versions: BTreeSet<Release<'_>> =
        running(observed).into_iter().map(|(_, version)| Release::parse(version)).collect();
    let texts: Vec<&str> = versions.iter().map(|release| release.text).collect();
    (!texts.is_empty()).then(|| bounded(&texts.join(", "), MAX_VERSION_CHARS))
}

/// Judged by the members that answer: what others run nobody can tell.
pub(super) fn up_to_date(outcome: Outcome<'_>, observed: &Observed) -> Verdict {
    let verdict = |status, reason, message: String| {
        Verdict::new(condition::UP_TO_DATE, status, reason, bounded(&message, MAX_MESSAGE_CHARS))
    };
    let running = running(observed);
    if running.is_empty() {
        return verdict(
            false,
            reason::NO_ANSWER,
            "No node answers, so that its version is unknown.".into(),
        );
    }
    if let Some(plan) = outcome.plan() {
        let lag = plan.lag();
        if !lag.outdated.is_empty() {
            let fate = match outcome.held {
                _ if !lag.stays => "They are replaced one at a time.",
                Some(held) if held.is_paused() => "They stay as they are while `paused` is true.",
                _ => "They stay as they are until the spec can be carried out.",
            };
            let names = lag.outdated.join(", ");
            let message = format!(
                "Started with another image, memory or pod than new nodes get: {names}. {fate}"
            );
            return verdict(false, reason::ROLLING_OUT, message);
        }
        let lacking = lag.lacking.iter().next();
        if let Some((setting, nodes)) = lacking {
            let message = format!(
                "{} cannot do `{setting}`: set `spec.image` to one of version {VERSION}.",
                nodes.join(", ")
            );
            return verdict(false, reason::SETTING_UNKNOWN, message);
        }
    }
    if let Some(back) = outcome.held.and_then(Held::held_back) {
        let image = back.image.as_ref().filter(|image| **image != observed.program);
        let image = image.map(|image| format!("`image` ({image})"));
        let waits: Vec<String> = image.into_iter().chain(back.fields.iter().cloned()).collect();
        if !waits.is_empty() {
            let message = format!(
                "`paused` is true, and holds changes of the spec back that need other nodes: {}.",
                waits.join(", ")
            );
            return verdict(false, reason::PAUSED, message);
        }
    }
    let own = Release::parse(VERSION);
    let named = |nodes: Vec<&(&str, &str)>| {
        let nodes = nodes.into_iter().map(|(name, version)| format!("{name} ({version})"));
        nodes.collect::<Vec<_>>().join(", ")
    };
    let (older, others): (Vec<_>, Vec<_>) =
        running.iter().partition(|(_, version)| Release::parse(version) < own);
    if !older.is_empty() {
        let message = format!(
            "Older than the operator ({VERSION}): {}. `spec.image` replaces them.",
            named(older)
        );
        return verdict(false, reason::OLDER_NODES, message);
    }
    let newer: Vec<_> =
        others.into_iter().filter(|(_, version)| Release::parse(version) > own).collect();
    if !newer.is_empty() {
        let message = format!(
            "Newer than the operator ({VERSION}), which should be upgraded: {}.",
            named(newer)
        );
        return verdict(false, reason::NEWER_NODES, message);
    }
    verdict(true, reason::UP_TO_DATE, format!("Every node that answers is of version {VERSION}."))
}

/// Name and version of the members that answer.
fn running(observed: &Observed) -> Vec<(&str, &str)> {
    let members = observed.stored().into_iter().flat_map(|document| &document.members);
    let said = members.filter_map(|member| observed.state_of(&member.uid));
    said.map(|said| (said.name, said.version)).collect()
}

/// A version, in the order in which versions are released. What is none comes before every other one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Release<'a> {
    numbers: Option<[u64; 3]>,
    /// A preview comes before what it is a preview of.
    is_final: bool,
    text: &'a str,
}

impl<'a> Release<'a> {
    fn parse(text: &'a str) -> Self {
        // What follows a plus sign says where it was built, not what it is.
        let (text, _) = text.split_once('+').unwrap_or((text, ""));
        let (numbers, preview) = text.split_once('-').unwrap_or((text, ""));
        let numbers: Option<Vec<u64>> = numbers.split('.').map(|n| n.parse().ok()).collect();
        let numbers = numbers.and_then(|numbers| numbers.try_into().ok());
        Self { numbers, is_final: preview.is_empty(), text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_they_are_released() {
        let mut sorted = ["0.10.0", "x", "0.9.0", "1.0.0", "1.0.0-rc.1", "0.9.0-rc.2"];
        sorted.sort_by_key(|text| Release::parse(text));
        assert_eq!(sorted, ["x", "0.9.0-rc.2", "0.9.0", "0.10.0", "1.0.0-rc.1", "1.0.0"]);
        assert_eq!(Release::parse("1.0.0+here"), Release::parse("1.0.0+there"));
    }
}
