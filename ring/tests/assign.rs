//! Assignment by example: a new cluster, scaling, leaving nodes, refusals.

use ringcache_ring::{
    AssignError, Assignment, Holders, SLOTS, Target, assign, key_slot, optimal_moves,
};

static NOBODY: Holders = [None; SLOTS as usize];

fn names(count: usize) -> Vec<String> {
    (0..count).map(|i| format!("web-{i:03}")).collect()
}

fn equal(names: &[String]) -> Vec<Target<'_>> {
    names.iter().map(|name| Target { name, weight: 1 }).collect()
}

fn holders(assignment: &Assignment) -> Holders {
    std::array::from_fn(|slot| assignment.owner(slot as u16))
}

/// `holders` after the targets from `count` on have left.
fn without_leavers(holders: &Holders, count: u16) -> Holders {
    holders.map(|holder| holder.filter(|&index| index < count))
}

fn counts(assignment: &Assignment, targets: usize) -> Vec<usize> {
    (0..targets).map(|index| assignment.slots_of(index as u16).len()).collect()
}

#[expect(clippy::unwrap_used, reason = "as in the tests that it helps")]
fn fresh(count: usize) -> Assignment {
    assign(&NOBODY, &equal(&names(count))).unwrap()
}

#[test]
fn a_new_cluster_gets_one_range_a_node() {
    assert_eq!(
        fresh(3).ranges().collect::<Vec<_>>(),
        vec![(0..=5461, 0), (5462..=10922, 1), (10923..=16383, 2)]
    );
    assert_eq!(fresh(1).ranges().collect::<Vec<_>>(), vec![(0..=16383, 0)]);
    for count in [2, 7, 100] {
        let assignment = fresh(count);
        assert_eq!(assignment.ranges().count(), count);
        let counts = counts(&assignment, count);
        assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1, "{counts:?}");
    }
}

#[test]
fn a_new_weighted_cluster_gets_one_range_a_node_too() {
    let targets = [("a", 1), ("b", 2), ("c", 5)].map(|(name, weight)| Target { name, weight });
    let assignment = assign(&NOBODY, &targets).unwrap();
    assert_eq!(counts(&assignment, 3), [2048, 4096, 10240]);
    assert_eq!(assignment.ranges().count(), 3);
}

#[test]
fn scaling_3_5_2_3_moves_the_optimum_each_time() {
    let all = names(5);
    let mut holders = holders(&fresh(3));
    for (count, moves) in [(5, 6553), (2, 9830), (3, 5461)] {
        let targets = equal(&all[..count]);
        let current = without_leavers(&holders, count as u16);
        let assignment = assign(&current, &targets).unwrap();
        assert_eq!(assignment.moves(&current), moves, "to {count}");
        assert_eq!(optimal_moves(&current, &targets), moves, "to {count}");
        holders = self::holders(&assignment);
    }
}

#[test]
fn one_node_more_moves_only_its_own_slots() {
    for (count, moves) in [(4, 4096), (21, 780)] {
        let current = holders(&fresh(count - 1));
        let assignment = assign(&current, &equal(&names(count))).unwrap();
        assert_eq!(assignment.moves(&current), moves);
        for (slot, holder) in (0..SLOTS).zip(current) {
            let owner = assignment.owner(slot);
            assert!(owner == holder || owner == Some(count as u16 - 1), "slot {slot}");
        }
        assert_eq!(assignment.slots_of(count as u16 - 1).len(), moves);
    }
}

#[test]
fn a_node_that_comes_and_goes_leaves_one_range_a_node() {
    for count in [2, 3, 10] {
        let grown = assign(&holders(&fresh(count)), &equal(&names(count + 1))).unwrap();
        let newcomers = grown.slots_of(count as u16);
        assert!(newcomers.ranges().count() <= count.div_ceil(2), "{newcomers:?}");
        let left = without_leavers(&holders(&grown), count as u16);
        let shrunk = assign(&left, &equal(&names(count))).unwrap();
        assert_eq!(shrunk.ranges().count(), count);
    }
}

#[test]
fn a_balanced_cluster_stays_as_it_is() {
    for count in [1, 3, 20] {
        let current = holders(&fresh(count));
        let again = assign(&current, &equal(&names(count))).unwrap();
        assert_eq!(again.moves(&current), 0);
        assert_eq!(optimal_moves(&current, &equal(&names(count))), 0);
    }
}

#[test]
fn a_replaced_node_passes_its_slots_on_whole() {
    let current = holders(&fresh(3)).map(|holder| holder.filter(|&index| index != 1));
    let names = ["web-0", "web-9", "web-2"];
    let assignment = assign(&current, &names.map(|name| Target { name, weight: 1 })).unwrap();
    assert_eq!(
        assignment.ranges().collect::<Vec<_>>(),
        vec![(0..=5461, 0), (5462..=10922, 1), (10923..=16383, 2)]
    );
}

#[test]
fn extra_slots_go_to_who_holds_them_already() {
    // The one slot that 3 nodes cannot share lies with the last, which sorts behind the others.
    let current: Holders =
        std::array::from_fn(|slot| Some(u16::from(slot >= 5461) + u16::from(slot >= 10922)));
    let assignment = assign(&current, &equal(&names(3))).unwrap();
    assert_eq!(assignment.moves(&current), 0);
}

#[test]
fn as_many_targets_as_slots_get_one_each_and_one_more_is_refused() {
    let names = names(usize::from(SLOTS) + 1);
    let assignment = assign(&NOBODY, &equal(&names[..usize::from(SLOTS)])).unwrap();
    assert_eq!(assignment.ranges().count(), usize::from(SLOTS));
    assert_eq!(
        assign(&NOBODY, &equal(&names)),
        Err(AssignError::TooManyTargets(usize::from(SLOTS) + 1))
    );
}

#[test]
fn the_largest_weights_do_not_overflow() {
    let names = names(100);
    let targets: Vec<_> = names.iter().map(|name| Target { name, weight: u32::MAX }).collect();
    let counts = counts(&assign(&NOBODY, &targets).unwrap(), 100);
    assert!(counts.iter().all(|count| (163..=164).contains(count)), "{counts:?}");
}

#[test]
fn bad_targets_are_refused_by_name() {
    let check = |current: &Holders, targets: &[(&str, u32)], message: &str| {
        let targets: Vec<_> =
            targets.iter().map(|&(name, weight)| Target { name, weight }).collect();
        assert_eq!(assign(current, &targets).unwrap_err().to_string(), message);
        optimal_moves(current, &targets)
    };
    assert_eq!(check(&NOBODY, &[], "no targets: at least one node must be able to hold slots"), 0);
    assert_eq!(check(&NOBODY, &[("a", 1), ("b", 0)], "target `b` has weight 0: at least 1"), 0);
    check(&NOBODY, &[("a", 1), ("a", 1)], "two targets are named `a`");
    let mut current = NOBODY;
    current[7] = Some(1);
    check(&current, &[("a", 1)], "slot 7 is held by target 1 of 1");
}

#[test]
fn a_million_keys_spread_within_a_quarter_of_the_mean() {
    let slots: Vec<u16> =
        (0..1_000_000).map(|i| key_slot(format!("user:{i}").as_bytes())).collect();
    for count in 3..=20 {
        let assignment = fresh(count);
        let mut keys = vec![0_u32; count];
        for &slot in &slots {
            keys[usize::from(assignment.owner(slot).unwrap())] += 1;
        }
        let ratio = f64::from(*keys.iter().max().unwrap()) * count as f64 / 1e6;
        assert!(ratio <= 1.25, "{count} nodes: max/mean = {ratio}");
    }
}
