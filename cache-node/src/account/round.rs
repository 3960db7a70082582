//! Who gets memory when there is not enough, and who is closed for it.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::Holding;

/// Who has not moved for so long may be closed for those who need its memory.
pub(super) const IDLE_MS: u64 = 100;
/// Connections for which others are looked at in one round at most.
const ROUND: usize = 64;
/// Whoever holds less than this is not said to hold much, however many share the memory: it is what a value takes on its way.
const MUCH: usize = 256 << 10;

/// Why a connection can be closed for others; the last first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reason {
    /// It waits for memory as well.
    Waits,
    /// So does it, and holds more than an equal share.
    HoldsMuch,
    /// It does not move.
    Idle,
}

/// A connection as it was when the round began.
struct Look<'a> {
    holding: &'a Holding,
    charged: usize,
    /// Bytes that it waits for.
    wants: usize,
    /// Whether it was told to end.
    is_ending: bool,
    /// Why it can be closed; `None` if it cannot.
    reason: Option<Reason>,
}

impl<'a> Look<'a> {
    fn new(holding: &'a Holding, now_ms: u64) -> Self {
        let charged = holding.charged.load(Relaxed);
        let wants = holding.held.lock().wants;
        let is_ending = holding.is_asked() || holding.is_closing();
        let is_idle = now_ms.saturating_sub(holding.moved_ms.load(Relaxed)) >= IDLE_MS;
        let can_be_closed = is_idle && holding.may_be_closed && charged > 0 && !is_ending;
        let reason = can_be_closed.then_some(if wants == 0 { Reason::Idle } else { Reason::Waits });
        Self { holding, charged, wants, is_ending, reason }
    }

    fn holds_much(&self, share: usize) -> bool {
        self.charged > share.max(MUCH)
    }

    /// Of those that wait, whoever holds more than an equal share can be closed for whoever does not. Among equals it is the one
    /// that connected later, or two that wait would close each other.
    fn can_be_closed_for(&self, asker: &Self, share: usize) -> bool {
        let is_later = self.holding.id > asker.holding.id;
        match self.reason {
            Some(Reason::Idle) => true,
            Some(Reason::HoldsMuch) => is_later || !asker.holds_much(share),
            Some(Reason::Waits) => is_later && !asker.holds_much(share),
            None => false,
        }
    }

    /// The greatest is closed first: of those that do not move the one that holds most, of those that wait the last that
    /// connected.
    fn rank(&self) -> (Option<Reason>, u64) {
        let within =
            if self.reason == Some(Reason::Idle) { self.charged as u64 } else { self.holding.id };
        (self.reason, within)
    }
}

/// Gives memory to those of `all` (in the order they connected) who wait for it. If there is not enough, connections are closed
/// for them, see [`Look::rank`]; nobody is closed for one whom that would not suffice.
pub(super) fn serve(limit_bytes: usize, used_bytes: usize, all: &[Arc<Holding>], now_ms: u64) {
    let mut looks: Vec<Look<'_>> = all.iter().map(|one| Look::new(one, now_ms)).collect();
    let share = limit_bytes / looks.iter().filter(|look| look.charged > 0).count().max(1);
    for look in &mut looks {
        if look.reason == Some(Reason::Waits) {
            look.reason = match look.charged {
                _ if look.holds_much(share) => Some(Reason::HoldsMuch),
                // Who holds little gives little, and is likely to be served soon.
                charged if charged < share / 2 => None,
                _ => look.reason,
            };
        }
    }
    // What those hold who were told to end will be free soon, but is not yet: they may still move.
    let ending = looks.iter().filter(|look| look.is_ending);
    let mut soon = ending.map(|look| look.charged).sum::<usize>();
    let mut free = limit_bytes.saturating_sub(used_bytes);
    let mut victims: Vec<&Look<'_>> = looks.iter().filter(|look| look.reason.is_some()).collect();
    victims.sort_by_key(|look| look.rank());
    let mut looked = 0;
    for asker in looks.iter().filter(|look| look.wants > 0) {
        if asker.holding.is_asked() || asker.holding.is_closing() {
            continue;
        }
        if asker.wants <= free {
            free -= asker.wants;
            asker.holding.grant();
            continue;
        }
        looked += 1;
        if looked > ROUND {
            continue;
        }
        let can_be_closed = |look: &Look<'_>| look.can_be_closed_for(asker, share);
        let closable = victims.iter().filter(|look| can_be_closed(look));
        if free + soon + closable.map(|look| look.charged).sum::<usize>() < asker.wants {
            continue;
        }
        while free + soon < asker.wants
            && let Some(victim) = victims.pop_if(|look| can_be_closed(look))
        {
            soon += victim.charged;
            victim.holding.end(victim.wants > 0);
        }
        // Kept for it, or those who want less would take it.
        let from_free = free.min(asker.wants);
        free -= from_free;
        soon -= (asker.wants - from_free).min(soon);
    }
}
