//! What was lost with nodes that ended while they held slots.
//!
//! It is found when the document is written that gives the nodes up, and recorded with that document: whoever looks afterwards, or
//! goes on after a crash, finds nothing missing any more.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use ringcache_api::status::LostEntries;
use ringcache_api::{Document, Member};
use ringcache_ring::SLOTS;

use crate::Observed;

/// Nodes that are gone, and slots that nobody has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss<'a> {
    /// The nodes.
    pub members: Vec<&'a Member>,
    /// How many slots they held.
    pub slots: usize,
}

/// What was lost with the members that `next` is the first document to call gone. A slot counts if nobody has it, and no living node
/// may have it that does not answer.
pub fn loss<'a>(observed: &'a Observed, next: &Document) -> Option<Loss<'a>> {
    let stored = observed.stored()?;
    let is_news =
        |member: &&Member| next.gone.contains(&member.uid) && !stored.gone.contains(&member.uid);
    let (members, others): (Vec<&Member>, Vec<&Member>) = stored.members.iter().partition(is_news);
    let silent = others.into_iter().filter(|member| observed.state_of(&member.uid).is_none());
    let may_have = silent.map(|member| stored.intended(&member.name));
    let kept = may_have.fold(observed.covered(), |all, slots| all.union(&slots));
    let slots = usize::from(SLOTS) - kept.len();
    (!members.is_empty() && slots > 0).then_some(Loss { members, slots })
}

/// How many entries nodes had when they answered last, by their uid: what is known of a loss when it is found.
#[derive(Clone, Debug, Default)]
pub struct Holdings(BTreeMap<String, (u64, Timestamp)>);

impl Holdings {
    /// Remembers what the nodes say now, and what members said that have vanished since: their loss may have yet to be told.
    pub fn note(&mut self, observed: &Observed, now: &Time) {
        let members = observed.stored().into_iter().flat_map(|document| &document.members);
        let members: Vec<&str> = members.map(|member| member.uid.uid()).collect();
        self.0.retain(|uid, _| members.contains(&uid.as_str()));
        let answers = observed.nodes.iter().filter_map(|node| Some((node, node.state.as_ref()?)));
        self.0
            .extend(answers.map(|(node, state)| (node.uid.clone(), (state.stats.entries, now.0))));
    }

    /// The loss with what is known of it.
    pub fn lost(&self, loss: &Loss<'_>, at: Time) -> LostEntries {
        let Loss { members, slots } = loss;
        let known: Option<Vec<(u64, Timestamp)>> =
            members.iter().map(|member| self.0.get(member.uid.uid()).copied()).collect();
        let entries =
            known.as_ref().map(|known| known.iter().map(|(entries, _)| entries).sum::<u64>());
        let asked = known.and_then(|known| known.into_iter().map(|(_, at)| at).min());
        LostEntries {
            at,
            nodes: members.iter().map(|member| member.name.clone()).collect(),
            slots: i32::try_from(*slots).unwrap_or(i32::MAX),
            entries: entries.and_then(|entries| i64::try_from(entries).ok()),
            asked_at: asked.map(Time),
        }
    }
}

/// The same in words. What the nodes held is known as of the last time that they were asked.
pub fn in_words(lost: &LostEntries) -> String {
    let LostEntries { at, nodes, slots, entries, asked_at } = lost;
    let seconds = asked_at.as_ref().map(|asked| (at.0.as_second() - asked.0.as_second()).max(0));
    let asked = match seconds {
        Some(seconds @ 0..60) => format!("when asked {seconds} s before"),
        Some(seconds) => format!("when asked {} min before", seconds / 60),
        None => "when last asked".to_owned(),
    };
    let held = match entries {
        Some(0) => format!("no entries {asked}"),
        Some(entries) => format!("{entries} entries {asked}"),
        None => "an unknown number of entries".to_owned(),
    };
    format!("{} ended with {slots} slots and {held}", nodes.join(", "))
}
