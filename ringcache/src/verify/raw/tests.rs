//! Whether the raw clients find what a server does wrong, and nothing else.

mod server;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use super::cluster::Cluster;
use super::pipeline::Job;
use super::plain::Set;
use super::{Layout, Ledger, Terms};
use crate::clock;
use crate::verify::Run;
use crate::verify::client::Way;
use crate::verify::history::History;
use crate::verify::load::Load;
use crate::verify::meter::{Meter, Record};
use crate::verify::report::Report;
use crate::verify::value::Values;
use server::{Lie, Server};

/// Short times to live, so that many of them pass in a short run.
const LIFETIMES_MS: std::ops::RangeInclusive<u64> = 50..=150;
/// A reply that never comes holds the test up for so long.
const PATIENCE: Duration = Duration::from_millis(200);
/// Runs are repeated until they find what they are to find, but not for longer.
const LIMIT: Duration = Duration::from_mins(1);
const KEYS: u64 = 64;
const CLIENTS: u64 = 4;

/// A run of so many milliseconds.
fn run(seeds: &[&Server], millis: u64, seed: u64) -> Run {
    run_with(seeds, millis, seed, Terms { lifetimes_ms: LIFETIMES_MS, ..Terms::default() })
}

fn run_with(seeds: &[&Server], millis: u64, seed: u64, terms: Terms) -> Run {
    let layout = Layout::new(seed, KEYS);
    let values = Values { seed, writers: CLIENTS, sizes: 1..=1 << 18, mostly_small: true };
    let load = Arc::new(Load {
        values,
        keys: KEYS,
        rate: 0,
        history: History::new(layout.versioned()),
        meter: Meter::new(clock::now()),
        stop: AtomicBool::new(false),
    });
    let ledger = Arc::new(Ledger::new(Arc::clone(&load), layout, terms));
    let seeds = seeds.iter().map(|server| server.address()).collect();
    Run::new(load, Way::Raw(ledger, seeds), Duration::from_millis(millis))
}

fn report(run: &Run) -> Report {
    crate::verify::current_thread().unwrap().block_on(run.report(true)).unwrap()
}

/// A server that tells this lie is found out, and by one of these names.
#[track_caller]
fn finds(lie: Lie, names: &[&str]) {
    let began: Instant = clock::now();
    let mut seed = 0;
    loop {
        seed += 1;
        let server = Server::start(lie);
        let terms = Terms { lifetimes_ms: LIFETIMES_MS, patience: PATIENCE };
        let report = report(&run_with(&[&server], 100, seed, terms));
        let found: Vec<&str> = report.faults.keys().map(String::as_str).collect();
        if names.iter().any(|name| found.contains(name)) {
            assert!(!report.counts.clean());
            return;
        }
        assert!(clock::now() - began < LIMIT, "{lie:?}: found {found:?} with seeds up to {seed}");
    }
}

#[test]
fn a_truthful_server_passes_and_everything_is_judged() {
    let began = clock::now();
    for seed in 0.. {
        let server = Server::start(Lie::Nothing);
        let report = report(&run(&[&server], 500, seed));
        assert!(report.counts.clean(), "seed {seed}: {}", report.text());
        let judged = report.judged.unwrap();
        let kinds = [
            judged.reads,
            judged.misses,
            judged.expiries,
            judged.increments,
            judged.pairs,
            judged.transfers,
            judged.conflicts,
        ];
        if !kinds.contains(&0) {
            return;
        }
        assert!(clock::now() - began < LIMIT, "{judged:?}");
    }
}

#[test]
fn a_lost_write_is_found() {
    finds(Lie::LosesAWrite, &["old value", "unexpected miss", "torn pair"]);
}

#[test]
fn an_old_value_is_found() {
    finds(Lie::AnswersAnOldValue, &["old value"]);
}

#[test]
fn foreign_bytes_are_found() {
    finds(Lie::AnswersForeignBytes, &["wrong value"]);
}

#[test]
fn one_changed_byte_is_found() {
    finds(Lie::ChangesAByte, &["wrong value"]);
}

#[test]
fn a_forgotten_key_is_found() {
    finds(Lie::ForgetsAKey, &["unexpected miss"]);
}

#[test]
fn a_key_that_expires_early_is_found() {
    finds(Lie::ExpiresEarly, &["expired early"]);
}

#[test]
fn a_key_that_expires_late_is_found() {
    finds(Lie::ExpiresLate, &["expired late"]);
}

#[test]
fn a_deadline_that_outlives_its_value_is_found() {
    finds(Lie::OverwritesKeepTheOldDeadline, &["expired early"]);
}

#[test]
fn a_key_that_outlives_its_deletion_is_found() {
    finds(Lie::KeepsADeletedKey, &["old value"]);
}

#[test]
fn a_deletion_that_says_the_wrong_number_is_found() {
    finds(Lie::MiscountsADeletion, &["unexpected miss", "wrong count"]);
}

#[test]
fn an_increment_counted_twice_is_found_by_the_sum() {
    finds(Lie::CountsAnIncrementTwice, &["wrong count"]);
}

#[test]
fn a_lost_increment_is_found() {
    finds(Lie::LosesAnIncrement, &["wrong count"]);
}

#[test]
fn a_torn_pair_is_found() {
    finds(Lie::TearsAPair, &["torn pair"]);
}

#[test]
fn a_watch_that_guards_nothing_is_found_by_the_balances() {
    finds(Lie::IgnoresAWatch, &["wrong count"]);
}

#[test]
fn a_transaction_that_ran_although_it_was_refused_is_found() {
    finds(Lie::RunsWhatItSaysItRefused, &["wrong count"]);
}

#[test]
fn swapped_replies_are_found() {
    finds(Lie::SwapsReplies, &["wrong order"]);
}

#[test]
fn a_missing_reply_is_found() {
    finds(Lie::LeavesAReplyOut, &["wrong order"]);
    finds(Lie::LeavesAReplyOut, &["time-out"]);
}

#[test]
fn a_surplus_reply_is_found() {
    finds(Lie::RepeatsAReply, &["wrong order"]);
}

#[test]
fn an_error_that_stock_clients_retry_is_found() {
    finds(Lie::AnswersAnError, &["TRYAGAIN"]);
}

#[test]
fn an_error_within_a_transaction_is_found() {
    finds(Lie::FailsInATransaction, &["OOM"]);
}

#[test]
fn a_connection_that_is_closed_with_requests_outstanding_is_found() {
    finds(Lie::ClosesAConnection, &["closed"]);
}

#[test]
fn an_idle_connection_that_an_owner_of_slots_closes_is_found() {
    finds(Lie::ClosesAnIdleConnection, &["closed"]);
}

#[test]
fn bytes_that_are_no_reply_are_found() {
    finds(Lie::AnswersNonsense, &["not RESP"]);
}

#[test]
fn a_reply_of_another_type_is_found() {
    finds(Lie::AnswersAnotherType, &["wrong reply"]);
}

#[test]
fn moved_without_end_is_found() {
    finds(Lie::MovesForEver, &["MOVED"]);
}

#[test]
fn a_handover_in_the_middle_of_the_load_is_followed_and_passes() {
    let old = Server::start(Lie::Nothing);
    let new = Server::behind(&old);
    let run = run(&[&new], 400, 1);
    let report = std::thread::scope(|scope| {
        scope.spawn(|| {
            let began = clock::now();
            while old.increments() < 100 && clock::now() - began < LIMIT {
                std::thread::sleep(Duration::from_millis(1));
            }
            old.hand_over(&new);
        });
        report(&run)
    });
    assert!(report.counts.clean(), "{}", report.text());
    assert!(report.judged.unwrap().moved > 0, "{}", report.text());
}

/// What becomes of the server that a client has written to, when the client is idle.
enum Fate {
    /// It hands over and closes.
    Leaves,
    /// It hands over and closes; a new one listens at its address and takes everything over. The client knows no other address.
    IsReplaced,
    /// It closes.
    Ends,
}

/// The next write of the client after that.
fn after(fate: &Fate) -> (Record, u64) {
    let old = Server::start(Lie::Nothing);
    let new = Server::behind(&old);
    let seeds = match fate {
        Fate::IsReplaced => [old.address()],
        Fate::Leaves | Fate::Ends => [new.address()],
    };
    let Way::Raw(ledger, _) = run(&[], 0, 1).way else { unreachable!() };
    let write = || Job { operation: Box::new(Set::new(&ledger, 0)), due: clock::now() };
    crate::verify::current_thread().unwrap().block_on(async {
        let mut cluster = Cluster::connect(Arc::clone(&ledger), &seeds).await.unwrap();
        cluster.run(vec![write()]).await;
        if !matches!(fate, Fate::Ends) {
            old.hand_over(&new);
        }
        let replaced = if let Fate::IsReplaced = fate {
            let replaced = old.replace();
            new.hand_over(&replaced);
            Some(replaced)
        } else {
            drop(old);
            None
        };
        cluster.run(vec![write()]).await;
        drop(replaced);
    });
    (ledger.load.meter.restart(clock::now()), ledger.judged().departed)
}

#[test]
fn a_node_that_owns_nothing_may_close_idle_connections() {
    let (record, departed) = after(&Fate::Leaves);
    assert!(record.counts.clean(), "{:?}", record.problems);
    assert_eq!((record.counts.operations, departed), (2, 1));
}

#[test]
fn a_new_node_at_the_address_of_one_that_left_is_not_taken_for_it() {
    let (record, departed) = after(&Fate::IsReplaced);
    assert!(record.counts.clean(), "{:?}", record.problems);
    assert_eq!((record.counts.operations, departed), (2, 1));
}

#[test]
fn a_node_that_owns_slots_may_not_close_idle_connections() {
    let (record, departed) = after(&Fate::Ends);
    assert_eq!(record.faults["closed"].count, 1, "{:?}", record.problems);
    assert_eq!(record.faults["connect"].count, 1, "{:?}", record.problems);
    assert_eq!(departed, 0);
}
