//! The giving side of a handover up to the seal: begin, then a window of numbered frames.

use std::collections::VecDeque;

use crate::machine::{Cluster, Standing};
use crate::message::Message;
use crate::slots::Slots;
use crate::view::Id;

/// First budget for flushing a parked slot, in milliseconds: requests wait no longer than this on the first try.
const PARK_BUDGET_MS: u64 = 5;

/// A slot that is being copied to its intended owner. It is owned and served here all the while.
#[derive(Clone, Debug)]
pub(crate) struct Export {
    pub(crate) target: Id,
    pub(crate) attempt: u64,
    pub(crate) stage: Stage,
    /// Frames sent so far.
    pub(crate) frames: u64,
    /// Frames sent and not acknowledged, in order.
    pub(crate) unacked: VecDeque<(u64, Vec<u8>)>,
    pub(crate) unacked_bytes: usize,
    /// Every entry that was there at the start has been sent.
    pub(crate) copied: bool,
    /// When the copy was first complete but for the writes that keep coming.
    pub(crate) caught_up_ms: Option<u64>,
    /// When something was last sent or acknowledged.
    pub(crate) progress_ms: Option<u64>,
    /// How long the slot may stay parked; doubled after every failure, or a slow link would never finish.
    pub(crate) park_budget_ms: u64,
    /// Not parked again before this.
    pub(crate) park_after_ms: u64,
}

/// How far an export has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Announced; the target has not answered.
    Begun,
    /// Records flow, requests are served.
    Copying,
    /// Requests wait while the last records are flushed.
    Parked {
        /// Since when.
        since_ms: u64,
    },
}

impl Export {
    fn new(target: Id, attempt: u64) -> Self {
        Self {
            target,
            attempt,
            stage: Stage::Begun,
            frames: 0,
            unacked: VecDeque::new(),
            unacked_bytes: 0,
            copied: false,
            caught_up_ms: None,
            progress_ms: None,
            park_budget_ms: PARK_BUDGET_MS,
            park_after_ms: 0,
        }
    }

    /// Sends again at the next tick whatever has no answer.
    pub(crate) fn repeat(&mut self) {
        self.progress_ms = None;
    }
}

impl Cluster {
    /// Exports to somebody who, by the document in force, should not have the slot are broken off. The slot is served on.
    pub(crate) fn cancel_exports(&mut self, store: &mut impl Slots) {
        let Some(view) = &self.view else { return };
        let stale: Vec<u16> = self
            .exports
            .iter()
            .filter(|(slot, export)| view.successor(**slot) != Some(export.target))
            .map(|(slot, _)| *slot)
            .collect();
        for slot in stale {
            self.cancel_export(slot, store);
        }
    }

    pub(crate) fn cancel_export(&mut self, slot: u16, store: &mut impl Slots) {
        let Some(export) = self.exports.remove(&slot) else { return };
        store.journal_stop(slot);
        if matches!(export.stage, Stage::Parked { .. }) {
            store.open(slot);
        }
    }

    /// Begins as many handovers as may run at once, for each target.
    pub(crate) fn begin_exports(&mut self, now: u64) {
        let targets: Vec<Id> = self.waiting.keys().copied().collect();
        for target in targets {
            let sealed = self.sealed.values().filter(|s| s.to == target).count();
            let mut busy = self.exports.values().filter(|e| e.target == target).count() + sealed;
            while busy < self.config.in_flight {
                let Some(slot) =
                    self.waiting.get_mut(&target).and_then(std::collections::BTreeSet::pop_first)
                else {
                    self.waiting.remove(&target);
                    break;
                };
                // Queued under this document, but may have been given away since.
                if self.slots[usize::from(slot)].standing != Standing::Owned {
                    continue;
                }
                #[cfg(test)]
                let reuse = self.broken(crate::sim::Rule::AttemptsNotReused) && self.attempt > 0;
                #[cfg(not(test))]
                let reuse = false;
                if !reuse {
                    self.attempt += 1;
                }
                self.exports.insert(slot, Export::new(target, self.attempt));
                busy += 1;
                self.begin(now, slot);
            }
        }
    }

    pub(crate) fn begin(&mut self, now: u64, slot: u16) {
        let version = self.slots[usize::from(slot)].version;
        let Some(export) = self.exports.get_mut(&slot) else { return };
        export.progress_ms = Some(now);
        let (target, attempt) = (export.target, export.attempt);
        self.send(target, Message::Begin { slot, version, attempt });
    }

    /// The export that a message is about, if it is still the one.
    pub(crate) fn export_of(&mut self, from: Id, slot: u16, attempt: u64) -> Option<&mut Export> {
        self.exports.get_mut(&slot).filter(|e| e.target == from && e.attempt == attempt)
    }

    pub(crate) fn on_ready(
        &mut self,
        now: u64,
        from: Id,
        slot: u16,
        attempt: u64,
        store: &mut impl Slots,
    ) {
        let Some(export) = self.export_of(from, slot, attempt) else { return };
        if export.stage == Stage::Begun {
            export.stage = Stage::Copying;
            store.journal_start(slot);
            self.pump(now, slot, store);
        }
    }

    pub(crate) fn on_ack(
        &mut self,
        now: u64,
        from: Id,
        slot: u16,
        attempt: u64,
        seq: u64,
        store: &mut impl Slots,
    ) {
        let Some(export) = self.export_of(from, slot, attempt) else { return };
        while let Some((_, records)) = export.unacked.pop_front_if(|(number, _)| *number <= seq) {
            export.unacked_bytes -= records.len();
            export.progress_ms = Some(now);
        }
        self.pump(now, slot, store);
    }
}
