//! What moves an export forward: copy, catch up, park, seal.

use crate::export::Stage;
use crate::machine::Cluster;
use crate::message::Message;
use crate::slots::Slots;

/// Without an answer, begin and frames are sent again after this many milliseconds.
const RESEND_MS: u64 = 300;
/// Writers may keep a slot from catching up for this long; then it is parked with a tail left to flush.
const CATCH_UP_MS: u64 = 20;
/// Bytes of tail with which a slot may be parked.
const TAIL_BYTES: usize = 64 * 1024;
/// Longest budget of a parked slot.
const MAX_PARK_BUDGET_MS: u64 = 250;

impl Cluster {
    /// Begins what may begin and moves every export on.
    pub(crate) fn pump_all(&mut self, now: u64, store: &mut impl Slots) {
        self.begin_exports(now);
        let slots: Vec<u16> = self.exports.keys().copied().collect();
        for slot in slots {
            self.pump(now, slot, store);
        }
    }

    /// Moves one export as far as it goes without waiting.
    pub(crate) fn pump(&mut self, now: u64, slot: u16, store: &mut impl Slots) {
        self.repeat_if_stuck(now, slot);
        self.fill_window(now, slot, store);
        let Some(export) = self.exports.get_mut(&slot) else { return };
        if !export.copied {
            return;
        }
        let tail = export.unacked_bytes + store.journal_len(slot);
        match export.stage {
            Stage::Begun => {}
            Stage::Copying => {
                let since = *export.caught_up_ms.get_or_insert(now);
                let quiet = export.unacked.is_empty() && tail == 0;
                let kept_busy = now >= since + CATCH_UP_MS && tail <= TAIL_BYTES;
                if (quiet || kept_busy) && now >= export.park_after_ms {
                    export.stage = Stage::Parked { since_ms: now };
                    store.park(slot);
                    self.flush_parked(now, slot, store);
                }
            }
            Stage::Parked { .. } => self.flush_parked(now, slot, store),
        }
    }

    /// Nobody writes to the slot any more: what is left is finite. Sealed when all of it has been applied on the other side;
    /// served again when that takes too long.
    fn flush_parked(&mut self, now: u64, slot: u16, store: &mut impl Slots) {
        self.fill_window(now, slot, store);
        let Some(export) = self.exports.get_mut(&slot) else { return };
        let Stage::Parked { since_ms } = export.stage else { return };
        if export.unacked.is_empty() && store.journal_len(slot) == 0 {
            self.seal(now, slot, store);
        } else if now > since_ms + export.park_budget_ms {
            export.stage = Stage::Copying;
            export.park_after_ms = now + 4 * export.park_budget_ms;
            export.park_budget_ms = (2 * export.park_budget_ms).min(MAX_PARK_BUDGET_MS);
            store.open(slot);
        }
    }

    /// Sends records until the window is full or there are none. A full window slows the copy; the writers of the slot are
    /// slowed by the store's bound on its journal. Nothing is dropped.
    fn fill_window(&mut self, now: u64, slot: u16, store: &mut impl Slots) {
        let config = self.config;
        let mut frames = Vec::new();
        let Some(target) = self.exports.get(&slot).map(|export| export.target) else { return };
        let to_target = self.exports.values().filter(|export| export.target == target);
        let mut on_link: usize = to_target.map(|export| export.unacked_bytes).sum();
        let Some(export) = self.exports.get_mut(&slot) else { return };
        if export.stage == Stage::Begun {
            return;
        }
        // Requests wait for a parked slot: it does not wait for the link.
        let is_parked = matches!(export.stage, Stage::Parked { .. });
        while export.unacked_bytes < config.window_bytes
            && (is_parked || on_link < config.link_bytes)
        {
            if !export.copied {
                export.copied = store.journal_copy(slot, config.frame_bytes);
            }
            let records = store.journal_take(slot, config.frame_bytes);
            if records.is_empty() {
                break;
            }
            export.frames += 1;
            export.progress_ms = Some(now);
            export.unacked_bytes += records.len();
            on_link += records.len();
            export.unacked.push_back((export.frames, records.clone()));
            frames.push((export.frames, records));
        }
        let (target, attempt) = (export.target, export.attempt);
        for (seq, records) in frames {
            self.send(target, Message::Data { slot, attempt, seq, records });
        }
    }

    fn repeat_if_stuck(&mut self, now: u64, slot: u16) {
        let Some(export) = self.exports.get_mut(&slot) else { return };
        if export.progress_ms.is_some_and(|at| now < at + RESEND_MS) {
            return;
        }
        export.progress_ms = Some(now);
        let (target, attempt) = (export.target, export.attempt);
        if export.stage == Stage::Begun {
            self.begin(now, slot);
            return;
        }
        for (seq, records) in export.unacked.clone() {
            self.send(target, Message::Data { slot, attempt, seq, records });
        }
    }
}
