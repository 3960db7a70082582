//! A ring document as the state machine uses it: members by number, and the successor of every slot.

use std::collections::BTreeMap;

use ringcache_api::{Document, Incarnation, MemberState};
use ringcache_ring::preference;

/// Short name of an incarnation inside one state machine; never reused.
pub(crate) type Id = u32;

/// Numbers for incarnations, handed out once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ids {
    numbers: BTreeMap<Incarnation, Id>,
    names: BTreeMap<Id, Incarnation>,
    next: Id,
}

impl Ids {
    pub(crate) fn of(&mut self, incarnation: &Incarnation) -> Id {
        if let Some(id) = self.numbers.get(incarnation) {
            return *id;
        }
        let id = self.next;
        self.next += 1;
        self.numbers.insert(incarnation.clone(), id);
        self.names.insert(id, incarnation.clone());
        id
    }

    pub(crate) fn known(&self, incarnation: &Incarnation) -> Option<Id> {
        self.numbers.get(incarnation).copied()
    }

    pub(crate) fn name(&self, id: Id) -> Option<&Incarnation> {
        self.names.get(&id)
    }

    /// Forgets all numbers that `keep` refuses: a cluster that lives for years sees many incarnations.
    pub(crate) fn retain(&mut self, keep: impl Fn(Id) -> bool) {
        self.numbers.retain(|_, id| keep(*id));
        self.names.retain(|id, _| keep(*id));
    }
}

/// A document, resolved.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) epoch: u64,
    pub(crate) members: Vec<Id>,
    pub(crate) gone: Vec<Id>,
    successors: Vec<Option<Id>>,
}

impl View {
    /// Resolves the first `slots` slots of a document.
    pub(crate) fn new(document: &Document, slots: u16, ids: &mut Ids) -> Self {
        let gone: Vec<Id> = document.gone.iter().map(|g| ids.of(g)).collect();
        let members: Vec<Id> = document.members.iter().map(|m| ids.of(&m.uid)).collect();
        // Candidates by name: only members that stay and live succeed anybody.
        let candidates: BTreeMap<&str, Id> = document
            .members
            .iter()
            .zip(&members)
            .filter(|(m, id)| m.state != MemberState::Leaving && !gone.contains(id))
            .map(|(m, id)| (m.name.as_str(), *id))
            .collect();
        let heir = |slot: u16| {
            let order = preference(slot, candidates.keys().copied());
            order.first().and_then(|name| candidates.get(name)).copied()
        };
        let mut successors = vec![None; usize::from(slots)];
        for range in &document.slots {
            let owner = candidates.get(range.owner.as_str()).copied();
            for slot in range.range.0..=range.range.1 {
                if let Some(entry) = successors.get_mut(usize::from(slot)) {
                    *entry = owner.or_else(|| heir(slot));
                }
            }
        }
        Self { epoch: document.epoch, members, gone, successors }
    }

    /// First member of the slot's preference list that is not gone: the intended owner, else the first by rendezvous order,
    /// leaving members never. The same for everybody who has this document.
    pub(crate) fn successor(&self, slot: u16) -> Option<Id> {
        self.successors.get(usize::from(slot)).copied().flatten()
    }

    /// Takes part and is not known to be dead.
    pub(crate) fn is_live(&self, id: Id) -> bool {
        self.members.contains(&id) && !self.gone.contains(&id)
    }

    /// All who must hear of this document: the members but `me`, and the gone, one of whom may live on behind a partition.
    pub(crate) fn told(&self, me: Id) -> impl Iterator<Item = Id> + '_ {
        self.members.iter().chain(&self.gone).copied().filter(move |id| *id != me)
    }

    /// All members but `me` that are not gone: those whose answers a claim needs.
    pub(crate) fn others(&self, me: Id) -> impl Iterator<Item = Id> + '_ {
        self.members.iter().copied().filter(move |id| *id != me && !self.gone.contains(id))
    }
}
