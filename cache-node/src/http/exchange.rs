//! The requests of a connection, one after the other: from the first byte that is read to the answer written.

use std::mem::take;
use std::sync::Arc;

use parking_lot::Mutex;

use super::Api;
use crate::served::Batch;

/// What has been read and written of the request at hand.
pub(super) struct Exchange {
    api: Arc<Api>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    batch: Batch,
    /// Monotonic microseconds at which its first byte was read.
    began_us: Option<u64>,
    /// Its answer is being written.
    is_answered: bool,
    /// Another node passed it on, and counts it.
    is_relayed: bool,
}

impl Exchange {
    pub(super) fn new(api: &Arc<Api>) -> Self {
        Self { api: Arc::clone(api), state: Mutex::default() }
    }

    /// So many bytes were read.
    pub(super) fn read(&self, bytes: usize) {
        let now_us = self.now_us();
        let mut state = self.state.lock();
        state.batch.bytes_in += bytes as u64;
        if bytes > 0 {
            state.began_us.get_or_insert(now_us);
        }
    }

    /// So many bytes were written.
    pub(super) fn wrote(&self, bytes: usize) {
        self.state.lock().batch.bytes_out += bytes as u64;
    }

    /// A request is answered from now on. It was read together with the one before if nothing was read since.
    pub(super) fn begin(&self) {
        let now_us = self.now_us();
        self.state.lock().began_us.get_or_insert(now_us);
    }

    /// What the request does with entries.
    pub(super) fn is_for(&self, is_read: bool, is_relayed: bool) {
        let mut state = self.state.lock();
        state.is_relayed = is_relayed;
        (state.batch.reads, state.batch.writes) = (is_read.into(), (!is_read).into());
    }

    /// The answer is an error with this code.
    pub(super) fn error(&self, code: &str) {
        self.state.lock().batch.error(code.as_bytes());
    }

    /// The answer is there, and is written from now on.
    pub(super) fn end(&self) {
        self.state.lock().is_answered = true;
    }

    /// All that there was to write is written.
    pub(super) fn flushed(&self) {
        let state = {
            let mut state = self.state.lock();
            if !state.is_answered {
                return;
            }
            take(&mut *state)
        };
        let took_us = state.began_us.map(|began_us| self.now_us().saturating_sub(began_us));
        self.count(&state, took_us);
    }

    fn now_us(&self) -> u64 {
        self.api.node.clock.monotonic_us()
    }

    fn count(&self, state: &State, took_us: Option<u64>) {
        if !state.is_relayed && !state.batch.is_empty() {
            self.api.tally.lock().add(&state.batch, took_us);
        }
    }
}

impl Drop for Exchange {
    /// What was never answered was read all the same.
    fn drop(&mut self) {
        let state = take(self.state.get_mut());
        self.count(&state, None);
    }
}
