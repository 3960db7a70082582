//! How nodes are behind what is wanted of them: started as something else, or of a version that does not know a setting.

use std::collections::BTreeMap;

use ringcache_api::MemberState;
use serde::Serialize;

use crate::facts::number;
use crate::plan::Note;
use crate::{Intent, Observed, Phase};

/// What sets the nodes of a cluster apart from new ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Lag {
    /// Members that were started as something else than the intent wants, by name; also those that still hand over.
    pub outdated: Vec<String>,
    /// Whether they stay as they are, because the intent replaces no living node.
    pub stays: bool,
    /// Settings that the intent makes use of, with the nodes that do not know them. These nodes are not asked for them: an
    /// operator would ask for ever.
    pub lacking: BTreeMap<&'static str, Vec<String>>,
}

impl Lag {
    /// The lag of the nodes behind the intent.
    pub(crate) fn of(intent: &Intent, observed: &Observed) -> Self {
        let template = observed.template(intent);
        let mut lag = Self { stays: intent.paused, ..Self::default() };
        let mut nodes: Vec<_> = observed.nodes.iter().collect();
        nodes.sort_by_key(|node| (number(&node.name), &node.name));
        for node in nodes {
            let members = observed.ring().into_iter().flat_map(|ring| &ring.members);
            // One that leaves serves until it has handed over; where nothing is replaced that is no roll.
            let mut members =
                members.filter(|it| !intent.paused || it.state != MemberState::Leaving);
            if node.template != template && members.any(|member| member.uid.uid() == node.uid) {
                lag.outdated.push(node.name.clone());
            }
            let said = observed.state(node).filter(|_| node.phase != Phase::Stopping);
            for setting in
                said.map(|said| said.settings.lacking(intent.settings)).into_iter().flatten()
            {
                lag.lacking.entry(setting).or_default().push(node.name.clone());
            }
        }
        lag
    }

    /// What no step of a plan can mend.
    pub(crate) fn notes(&self) -> Vec<Note> {
        let note = |(setting, nodes): (&&str, &Vec<String>)| {
            Note::Text(format!(
                "{} cannot do `{setting}`, which takes a newer program",
                nodes.join(", ")
            ))
        };
        self.lacking.iter().map(note).collect()
    }
}
