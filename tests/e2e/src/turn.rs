//! Whose turn it is: tests that mostly wait share the machine, those that measure or damage something have it alone.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Most tests that share at a time: more would keep each other from what they wait for.
const MOST: usize = 6;

static TURNS: Turns = Turns::new();

/// What a test needs of the machine, the Kubernetes cluster and the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Others may be there too: it damages neither hosts nor operators, and measures nothing that others could slow down.
    Shared,
    /// Nobody else is there.
    Alone,
}

impl Turn {
    /// Waits for it.
    pub fn take(self) -> Taken {
        TURNS.take(self);
        Taken(self)
    }
}

/// A turn that lasts until this is dropped.
#[derive(Debug)]
pub struct Taken(Turn);

impl Drop for Taken {
    fn drop(&mut self) {
        TURNS.give_back(self.0);
    }
}

/// Who is there now, and who waits to share.
#[derive(Debug, Default)]
struct Now {
    sharing: usize,
    want_to_share: usize,
    is_alone: bool,
}

/// Those who share go first: whoever wants to be alone between two of them would have to wait for the longest of each lot.
struct Turns {
    now: Mutex<Now>,
    changed: Condvar,
}

impl Turns {
    const fn new() -> Self {
        let now = Now { sharing: 0, want_to_share: 0, is_alone: false };
        Self { now: Mutex::new(now), changed: Condvar::new() }
    }

    fn take(&self, turn: Turn) {
        let mut now = self.now();
        match turn {
            Turn::Shared => {
                now.want_to_share += 1;
                now = self.wait_while(now, |now| now.is_alone || now.sharing == MOST);
                now.want_to_share -= 1;
                now.sharing += 1;
            }
            Turn::Alone => {
                let is_taken =
                    |now: &mut Now| now.is_alone || now.sharing > 0 || now.want_to_share > 0;
                now = self.wait_while(now, is_taken);
                now.is_alone = true;
            }
        }
    }

    fn give_back(&self, turn: Turn) {
        let mut now = self.now();
        match turn {
            Turn::Shared => now.sharing -= 1,
            Turn::Alone => now.is_alone = false,
        }
        drop(now);
        self.changed.notify_all();
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_while<'a>(
        &self,
        now: MutexGuard<'a, Now>,
        waits: impl FnMut(&mut Now) -> bool,
    ) -> MutexGuard<'a, Now> {
        self.changed.wait_while(now, waits).unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn whoever_wants_to_be_alone_is_and_a_bounded_number_shares() {
        let turns = Turns::new();
        let (alone, sharing, most) =
            (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for thread in 0..16 {
                let turn = if thread % 4 == 0 { Turn::Alone } else { Turn::Shared };
                let (turns, alone, sharing, most) = (&turns, &alone, &sharing, &most);
                scope.spawn(move || {
                    for _ in 0..200 {
                        turns.take(turn);
                        let mine = if turn == Turn::Alone { alone } else { sharing };
                        mine.fetch_add(1, Ordering::SeqCst);
                        std::thread::yield_now();
                        let seen = (alone.load(Ordering::SeqCst), sharing.load(Ordering::SeqCst));
                        match turn {
                            Turn::Alone => assert_eq!(seen, (1, 0)),
                            Turn::Shared => assert_eq!(seen.0, 0),
                        }
                        most.fetch_max(seen.1, Ordering::SeqCst);
                        mine.fetch_sub(1, Ordering::SeqCst);
                        turns.give_back(turn);
                    }
                });
            }
        });
        assert!(most.into_inner() <= MOST);
    }

    #[test]
    fn those_who_share_go_before_those_who_want_to_be_alone() {
        let turns = Turns::new();
        let order = Mutex::new(Vec::new());
        turns.take(Turn::Alone);
        std::thread::scope(|scope| {
            for turn in [Turn::Alone, Turn::Shared, Turn::Shared] {
                let (turns, order) = (&turns, &order);
                scope.spawn(move || {
                    turns.take(turn);
                    order.lock().unwrap().push(turn);
                    turns.give_back(turn);
                });
            }
            while turns.now().want_to_share < 2 {
                std::thread::yield_now();
            }
            turns.give_back(Turn::Alone);
        });
        assert_eq!(order.into_inner().unwrap(), [Turn::Shared, Turn::Shared, Turn::Alone]);
    }
}
