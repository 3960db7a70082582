//! The account at its limit and one byte above it, and who is closed for whom.

use tokio::time::timeout;

use super::round::IDLE_MS;
use super::*;

/// Nothing here takes as long, unless it hangs.
const LONG: Duration = Duration::from_secs(20);

fn account() -> Arc<Account> {
    Account::new(0, Clock::start())
}

fn holder(account: &Arc<Account>, bytes: usize) -> (Arc<Holding>, Lease) {
    let holding = account.open(true);
    let mut lease = holding.lease();
    assert!(lease.grow_to(bytes));
    (holding, lease)
}

/// Waits until those who have not moved count as idle.
async fn until_idle(holding: &Holding) {
    while holding.idle_for() < Duration::from_millis(IDLE_MS + 2) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn leases_are_granted_up_to_the_limit_and_not_one_byte_above() {
    let account = account();
    let (_, mut large) = holder(&account, MIN_BYTES - 1);
    let (_, mut small) = holder(&account, 1);
    assert!(!small.grow_to(2) && !large.grow_to(MIN_BYTES));
    assert_eq!((small.bytes(), account.used_bytes()), (1, MIN_BYTES));
    large.shrink_to(MIN_BYTES - 2);
    assert!(small.grow_to(2) && !small.grow_to(3));
}

#[test]
fn what_was_leased_is_given_back_when_it_is_dropped() {
    let account = account();
    let (holding, lease) = holder(&account, MIN_BYTES);
    let mut other = holding.lease();
    assert!(!other.grow_to(1));
    drop(lease);
    assert_eq!(account.used_bytes(), 0);
    assert!(other.grow_to(MIN_BYTES));
}

#[test]
fn connections_share_what_is_free_and_are_charged_for_the_rest() {
    let account = Account::new(64 << 10 << 4, Clock::start());
    let (_first, _lease) = holder(&account, MAX_FREE_BYTES);
    assert_eq!(account.used_bytes(), 0);
    let (_second, _lease) = holder(&account, MAX_FREE_BYTES + 1);
    assert_eq!(account.used_bytes(), 1);
    let others: Vec<_> = (0..5).map(|_| account.open(true)).collect();
    assert_eq!(account.used_bytes(), 1, "seven share 64 KiB: nobody is looked at");
    let eighth = account.open(true);
    assert_eq!(account.allowance(), 8 << 10, "eight share 64 KiB");
    assert_eq!(account.used_bytes(), (8 << 10) + (8 << 10) + 1);
    drop((eighth, others));
    assert_eq!(account.allowance(), MAX_FREE_BYTES);
}

#[test]
fn the_largest_message_has_a_sixteenth_of_the_memory_within_bounds() {
    let most = |mib: u64| Account::new(mib << 20, Clock::start()).max_message_bytes() >> 20;
    assert_eq!([64, 65, 128, 512, 513, 10_000].map(most), [4, 4, 8, 32, 32, 32]);
}

#[tokio::test]
async fn the_idle_connection_that_holds_most_is_closed_first_and_only_as_many_as_must_be() {
    let account = account();
    let (small, _small) = holder(&account, 2 << 20);
    let (large, held) = holder(&account, 7 << 20);
    let (busy, _busy) = holder(&account, 3 << 20);
    small.set_idle();
    large.set_idle();
    until_idle(&large).await;
    let (_, mut lease) = holder(&account, 0);
    assert!(!lease.grow_to(64 << 10), "nobody is closed for one who has not waited yet");
    let end = async {
        large.woken().await;
        assert!(large.is_asked() && !small.is_asked() && !busy.is_asked());
        assert_eq!(account.used_bytes(), MIN_BYTES, "nothing is granted that is not free yet");
        drop(held);
    };
    let (is_granted, ()) =
        timeout(LONG, async { tokio::join!(lease.wait_for(64 << 10), end) }).await.unwrap();
    assert!(is_granted);
    assert_eq!(account.used_bytes(), (5 << 20) + (64 << 10));
}

#[tokio::test]
async fn nobody_is_closed_who_moves_or_is_worked_for_or_in_vain() {
    let account = account();
    let (moving, _moving) = holder(&account, 1 << 20);
    let (busy, _busy) = holder(&account, 8 << 20);
    let (idle, held) = holder(&account, 1 << 20);
    let peer = account.open(false);
    let mut peers = peer.lease();
    assert!(peers.grow_to(2 << 20));
    for holding in [&moving, &idle, &peer] {
        holding.set_idle();
    }
    until_idle(&peer).await;
    moving.moved(STEP_BYTES);
    let keep_moving = async {
        loop {
            moving.moved(STEP_BYTES);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let ask = async {
        let (_, mut lease) = holder(&account, 0);
        assert!(!lease.wait_for((1 << 20) + 1).await);
        assert!(!idle.is_asked(), "that would not have made enough room");
        let end = async {
            idle.woken().await;
            drop(held);
        };
        let (is_granted, ()) = tokio::join!(lease.wait_for(1 << 20), end);
        assert!(is_granted);
    };
    tokio::select! {
        () = keep_moving => {}
        () = ask => {}
    }
    assert!(!moving.is_asked() && !busy.is_asked() && !peer.is_asked());
}

#[tokio::test]
async fn those_who_connected_first_are_served_first() {
    let account = account();
    let (_busy, held) = holder(&account, MIN_BYTES);
    let order = parking_lot::Mutex::new(Vec::new());
    let (_, mut first) = holder(&account, 0);
    let (_, mut second) = holder(&account, 0);
    let ask = async |name: &'static str, lease: &mut Lease| {
        assert!(lease.wait_for(MIN_BYTES).await);
        order.lock().push(name);
        lease.shrink_to(0);
    };
    let give_back = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        drop(held);
    };
    let second = ask("second", &mut second);
    let first = ask("first", &mut first);
    timeout(LONG, async { tokio::join!(second, first, give_back) }).await.unwrap();
    assert_eq!(*order.lock(), ["first", "second"]);
}

#[tokio::test]
async fn a_byte_now_and_then_is_no_movement() {
    let account = account();
    let (dripping, _lease) = holder(&account, MIN_BYTES);
    dripping.set_idle();
    until_idle(&dripping).await;
    dripping.moved(STEP_BYTES - 1);
    dripping.set_idle();
    assert!(dripping.idle_for() >= Duration::from_millis(IDLE_MS));
    let at_ms = dripping.moved_ms.load(Relaxed);
    dripping.moved(1);
    assert!(dripping.moved_ms.load(Relaxed) > at_ms);
}

#[tokio::test]
async fn of_two_that_wait_and_hold_much_the_one_that_connected_later_is_closed_for_the_other() {
    let account = account();
    let (_first, mut lease) = holder(&account, 5 << 20);
    let (_second, mut held) = holder(&account, 7 << 20);
    let later = async {
        assert!(!held.wait_for(8 << 20).await);
        drop(held);
    };
    let both = async { tokio::join!(lease.wait_for(6 << 20), later) };
    let (is_granted, ()) = timeout(LONG, both).await.unwrap();
    assert!(is_granted);
    assert_eq!(account.used_bytes(), 6 << 20);
}

#[tokio::test]
async fn who_holds_less_than_an_equal_share_is_not_closed_while_it_waits() {
    let account = account();
    let (_first, mut held) = holder(&account, 10 << 20);
    let (_second, mut lease) = holder(&account, 2 << 20);
    let first = async {
        assert!(!held.wait_for(11 << 20).await);
        drop(held);
    };
    let both = async { tokio::join!(first, lease.wait_for(3 << 20)) };
    let ((), is_granted) = timeout(LONG, both).await.unwrap();
    assert!(is_granted, "although it connected later");
}

#[tokio::test]
async fn who_waits_gets_what_another_gives_back() {
    let account = account();
    let (_busy, held) = holder(&account, MIN_BYTES);
    let (_, mut lease) = holder(&account, 0);
    let give_back = async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        drop(held);
    };
    let (is_granted, ()) = tokio::join!(lease.wait_for(MIN_BYTES), give_back);
    assert!(is_granted);
}

#[tokio::test]
async fn who_waits_too_long_gets_nothing_and_keeps_what_it_had() {
    let account = account();
    let (_busy, _held) = holder(&account, MIN_BYTES - 1);
    let (_, mut lease) = holder(&account, 1);
    assert!(!timeout(LONG, lease.wait_for(2)).await.unwrap());
    assert_eq!(lease.bytes(), 1);
}

#[test]
fn what_is_set_aside_is_for_the_next_lease_of_the_same_connection() {
    let account = account();
    let (holding, lease) = holder(&account, MIN_BYTES);
    let (_, mut other) = holder(&account, 0);
    lease.set_aside();
    let mut next = holding.lease();
    assert!(!other.grow_to(1) && next.grow_to(MIN_BYTES - 2) && !other.grow_to(1));
    holding.give_back_aside();
    assert_eq!(account.used_bytes(), MIN_BYTES - 2);
    assert!(other.grow_to(2) && !next.grow_to(MIN_BYTES - 1));
    drop((next, other));
    assert_eq!(account.used_bytes(), 0);
}

#[tokio::test]
async fn what_was_granted_to_one_that_ends_before_it_goes_on_is_given_back() {
    let account = account();
    let (_hog, mut all) = holder(&account, MIN_BYTES);
    let (holding, mut lease) = holder(&account, 0);
    let mut wait = Box::pin(lease.wait_for(8 << 20));
    assert!(timeout(Duration::from_millis(1), &mut wait).await.is_err());
    all.shrink_to(0);
    let now_ms = account.clock.monotonic_ms();
    round::serve(account.limit_bytes, account.used_bytes(), &account.all(), now_ms);
    assert_eq!(account.used_bytes(), 8 << 20);
    drop(wait);
    assert_eq!(account.used_bytes(), 0);
    drop((lease, holding));
    assert_eq!(account.used_bytes(), 0);
}

#[tokio::test]
async fn many_who_cannot_be_served_do_not_keep_the_next_from_what_is_free() {
    let account = account();
    let (_busy, mut half) = holder(&account, MIN_BYTES);
    let elders: Vec<_> = (0..100).map(|_| account.open(true)).collect();
    for elder in &elders {
        let mut lease = elder.lease();
        tokio::spawn(async move { while !lease.wait_for(8 << 20).await {} });
    }
    let (_, mut lease) = holder(&account, 0);
    let waits = tokio::spawn(async move { lease.wait_for(1000).await });
    tokio::time::sleep(Duration::from_millis(20)).await;
    half.shrink_to(6 << 20);
    assert!(timeout(LONG, waits).await.unwrap().unwrap());
}

#[test]
fn never_is_more_leased_than_the_limit_however_many_ask_at_once() {
    let account = account();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.unwrap().block_on(async {
                    let holding = account.open(false);
                    for _ in 0..20 {
                        let mut lease = holding.lease();
                        lease.wait_for(8 << 20).await;
                        assert!(account.used_bytes() <= account.limit_bytes());
                        drop(lease);
                        tokio::task::yield_now().await;
                    }
                });
            });
        }
    });
    assert_eq!(account.used_bytes(), 0);
}
