//! What is being done, and how far it has got.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use ringcache_api::status::{CacheClusterStatus, condition};
use ringcache_operator_core::Observed;
use serde_json::{Value, json};

/// Remembers how many slots there were to move at most since the operation began, or since somebody looks at it.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress {
    /// What tells the operation from the one before: its kind, and when it began.
    of: Option<(String, Option<Time>)>,
    slots: Option<Slots>,
}

/// As it was when all members last answered.
#[derive(Clone, Copy, Debug)]
struct Slots {
    to_go: usize,
    at_most: usize,
}

impl Progress {
    /// The operation as it was reported, and how many slots are on their way at this moment; `null` = nothing is under way.
    pub(super) fn json(&mut self, status: &CacheClusterStatus, observed: &Observed) -> Value {
        let Some(reported) = &status.operation else {
            *self = Self::default();
            return Value::Null;
        };
        let of = Some((reported.type_.clone(), reported.started_at.clone()));
        if self.of != of {
            *self = Self { of, slots: None };
        }
        // What a silent member has would count as on its way.
        if !is_one_silent(observed) {
            let to_go = observed.stored().map_or(0, |document| observed.slots_to_go(document));
            let before = self.slots.map_or(0, |slots| slots.at_most);
            self.slots = Some(Slots { to_go, at_most: before.max(to_go) });
        }
        let mut conditions = status.conditions.iter();
        json!({
            "reported": reported,
            // It does not go on without a person.
            "stalled": conditions.any(|c| c.type_ == condition::STALLED && c.status == "True"),
            "slotsToGo": self.slots.map(|slots| slots.to_go),
            "slotsAtMost": self.slots.map(|slots| slots.at_most),
        })
    }
}

/// Whether a member says nothing, and has not ended either.
fn is_one_silent(observed: &Observed) -> bool {
    observed.stored().is_some_and(|document| {
        let mut members = document.members.iter();
        members.any(|it| observed.state_of(&it.uid).is_none() && !observed.is_gone(&it.uid))
    })
}
