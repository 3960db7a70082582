//! What came of a run, and how it compares to the run without faults.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::normal::differences;
use crate::plan::Plan;
use crate::tape::Note;

/// A run that ended well by itself.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The normalised objects.
    pub(crate) end: BTreeMap<String, Value>,
    /// Objects of ours that came and went since the workload began, by kind.
    pub(crate) counts: BTreeMap<String, usize>,
    /// Calls of the operator until the desired state was reached.
    pub(crate) calls: Vec<Note>,
    /// Writes among them.
    pub(crate) writes: usize,
    /// Documents and settings that nodes were given.
    pub(crate) pushes: usize,
    /// Questions for the state of a node.
    pub(crate) asks: usize,
    /// Virtual time until the desired state was reached.
    pub(crate) took: Duration,
}

/// Calls beyond those of the undisturbed run that a fault may cost: a restart lists and watches everything anew, a timeout is
/// waited out with polls.
const CALLS_FOR_A_FAULT: usize = 150;

/// O3, O4, O11: the run against the one without faults; empty = as good.
pub(crate) fn compare(plan: &Plan, found: &Outcome, undisturbed: &Outcome) -> Vec<String> {
    let mut breaches: Vec<String> = differences(&undisturbed.end, &found.end)
        .into_iter()
        .map(|difference| format!("O3: {difference}"))
        .collect();
    if !plan.counts_depend_on_time() && found.counts != undisturbed.counts {
        let (found, wanted) = (&found.counts, &undisturbed.counts);
        breaches.push(format!("O4: created and deleted {found:?} instead of {wanted:?}"));
    }
    let budget = 2 * undisturbed.calls.len() + CALLS_FOR_A_FAULT;
    if found.calls.len() > budget {
        breaches.push(format!("O11: {} calls; at most {budget} are allowed", found.calls.len()));
    }
    breaches
}
