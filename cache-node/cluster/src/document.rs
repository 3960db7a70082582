//! A newer ring document: what it cancels, what it starts.

use std::sync::Arc;

use ringcache_api::Document;

use crate::machine::{Cluster, Slot, Standing};
use crate::slots::Slots;
use crate::view::View;

impl Cluster {
    /// Takes in a document, from wherever; true if it is newer than the one in force and is now in force itself.
    ///
    /// It moves no ownership: it decides who may claim, who may receive, and who is gone.
    pub fn learn(&mut self, document: &Arc<Document>, store: &mut impl Slots) -> bool {
        if self.epoch() >= document.epoch {
            return false;
        }
        let view = View::new(document, self.config.slots, &mut self.ids);
        self.document = Some(Arc::clone(document));
        self.forget_strangers(&view);
        let takes_part = view.is_live(self.me);
        #[cfg(test)]
        let takes_part = takes_part
            || (self.broken(crate::sim::Rule::StrangersOwnNothing)
                && !view.gone.contains(&self.me));
        self.view = Some(view);
        if !takes_part {
            self.give_up_everything(store);
            return true;
        }
        self.cancel_imports(store);
        self.cancel_exports(store);
        self.disown_what_the_gone_may_have_taken(store);
        self.waiting.clear();
        for slot in 0..self.config.slots {
            if self.slots[usize::from(slot)].standing == Standing::Owned
                && !self.exports.contains_key(&slot)
            {
                self.want_handover(slot);
            }
        }
        self.restart_claims();
        true
    }

    /// Epoch of the document in force; 0 = none.
    pub fn epoch(&self) -> u64 {
        self.view.as_ref().map_or(0, |view| view.epoch)
    }

    /// What is remembered of incarnations that take no part any more. Their messages are ignored from now on, so nothing
    /// can be asked that these memories would be needed for.
    fn forget_strangers(&mut self, view: &View) {
        let takes_part = |id: &u32| view.members.contains(id);
        self.accepted.retain(|(from, _), _| takes_part(from));
        self.refused.retain(|(from, _), _| takes_part(from));
        self.gossip.retain(|id| takes_part(id) || view.gone.contains(id));
        self.listening.retain(takes_part);
        let sealed_to: Vec<_> = self.sealed.values().map(|s| s.to).collect();
        let me = self.me;
        self.ids.retain(|id| {
            id == me
                || view.members.contains(&id)
                || view.gone.contains(&id)
                || sealed_to.contains(&id)
        });
    }

    /// The document says that this incarnation is dead, or does not name it: it was declared dead and is forgotten already.
    /// Others may own its slots by now, since nobody asks it: it must not serve another request.
    ///
    /// Nor must it remember versions. Others adopt above those that members name, which may be below its own: if a later document takes it in
    /// again, it would turn down what they hand over for ever, and send clients to owners of long ago.
    fn give_up_everything(&mut self, store: &mut impl Slots) {
        for slot in 0..self.config.slots {
            if self.exports.remove(&slot).is_some() {
                store.journal_stop(slot);
            }
            let standing = self.slots[usize::from(slot)].standing;
            if standing != Standing::None || self.imports.contains_key(&slot) {
                store.close(slot);
                self.gossip.changed(slot);
            }
            self.slots[usize::from(slot)] = Slot { standing: Standing::None, version: 0 };
        }
        self.gossip.forget_versions();
        self.sealed.clear();
        self.imports.clear();
        self.waiting.clear();
        self.claims.reset(0, ringcache_ring::SlotSet::default());
    }
}
