//! Assignment against a slow obvious twin, over random clusters.

use std::collections::BTreeMap;

use proptest::prelude::*;
use ringcache_ring::{Assignment, Holders, SLOTS, Target, assign, optimal_moves};

/// A cluster: a weight for each node, and runs of slots with their holders.
#[derive(Clone, Debug)]
struct Cluster {
    weights: Vec<u32>,
    runs: Vec<(u16, Option<u16>)>,
}

impl Cluster {
    fn names(&self) -> Vec<String> {
        (0..self.weights.len()).map(|i| format!("web-{i}")).collect()
    }

    /// The runs, repeated until all slots have an entry.
    fn holders(&self) -> Holders {
        let mut slots = self
            .runs
            .iter()
            .cycle()
            .flat_map(|&(length, holder)| std::iter::repeat_n(holder, usize::from(length)));
        std::array::from_fn(|_| slots.next().flatten())
    }
}

fn targets<'a>(names: &'a [String], weights: &[u32]) -> Vec<Target<'a>> {
    names.iter().zip(weights).map(|(name, &weight)| Target { name, weight }).collect()
}

fn cluster(weight: impl Strategy<Value = u32>) -> impl Strategy<Value = Cluster> {
    prop::collection::vec(weight, 1..8).prop_flat_map(|weights| {
        let holder = prop::option::weighted(0.8, 0..weights.len() as u16);
        let length = prop_oneof![1..20_u16, 1..4000_u16];
        let runs = prop::collection::vec((length, holder), 1..40);
        (Just(weights), runs).prop_map(|(weights, runs)| Cluster { weights, runs })
    })
}

fn weights() -> impl Strategy<Value = u32> {
    prop_oneof![Just(1_u32), 1..4_u32, 1..=u32::MAX]
}

fn counts(assignment: &Assignment, targets: usize) -> Vec<usize> {
    (0..targets as u16).map(|t| assignment.owners().iter().filter(|&&o| o == t).count()).collect()
}

fn spread(counts: &[usize]) -> usize {
    counts.iter().max().zip(counts.iter().min()).map_or(0, |(most, least)| most - least)
}

fn held(current: &Holders, targets: usize) -> Vec<usize> {
    (0..targets as u16).map(|t| current.iter().filter(|&&h| h == Some(t)).count()).collect()
}

/// Every division of the slots that largest remainders allow: all ways to choose who gets the slots
/// that are left over, such that nobody without one has a larger remainder than anybody with one.
fn allowed_quotas(weights: &[u32]) -> Vec<Vec<usize>> {
    let total: u128 = weights.iter().map(|&w| u128::from(w)).sum();
    let scaled: Vec<u128> = weights.iter().map(|&w| u128::from(w) * u128::from(SLOTS)).collect();
    let whole: Vec<usize> = scaled.iter().map(|s| (s / total) as usize).collect();
    let extras = usize::from(SLOTS) - whole.iter().sum::<usize>();
    (0..1_u32 << weights.len())
        .filter(|chosen| chosen.count_ones() as usize == extras)
        .filter(|chosen| {
            let remainders = |with: bool| {
                (0..weights.len())
                    .filter(move |i| (chosen >> i & 1 == 1) == with)
                    .map(|i| scaled[i] % total)
                    .collect::<Vec<_>>()
            };
            let least = remainders(true).into_iter().min();
            let most = remainders(false).into_iter().max();
            least.zip(most).is_none_or(|(least, most)| least >= most)
        })
        .map(|chosen| (0..weights.len()).map(|i| whole[i] + (chosen >> i & 1) as usize).collect())
        .collect()
}

fn missing(quotas: &[usize], held: &[usize]) -> usize {
    quotas.iter().zip(held).map(|(quota, held)| quota.saturating_sub(*held)).sum()
}

proptest! {
    #[test]
    fn slots_are_divided_by_largest_remainder_with_the_fewest_moves(cluster in cluster(weights())) {
        let (names, current) = (cluster.names(), cluster.holders());
        let targets = targets(&names, &cluster.weights);
        let assignment = assign(&current, &targets).unwrap();
        let held = held(&current, targets.len());

        let allowed = allowed_quotas(&cluster.weights);
        let fewest = allowed.iter().map(|quotas| missing(quotas, &held)).min().unwrap();
        prop_assert!(allowed.contains(&counts(&assignment, targets.len())));
        prop_assert_eq!(assignment.moves(&current), fewest);
        prop_assert_eq!(optimal_moves(&current, &targets), fewest);
    }

    #[test]
    fn equal_weights_differ_by_one_slot_at_most(cluster in cluster(Just(3))) {
        let (names, current) = (cluster.names(), cluster.holders());
        let assignment = assign(&current, &targets(&names, &cluster.weights)).unwrap();
        prop_assert!(spread(&counts(&assignment, names.len())) <= 1);
    }

    #[test]
    fn nobody_both_gives_and_receives(cluster in cluster(weights())) {
        let (names, current) = (cluster.names(), cluster.holders());
        let assignment = assign(&current, &targets(&names, &cluster.weights)).unwrap();
        let (mut gives, mut receives) = (vec![false; names.len()], vec![false; names.len()]);
        for (&owner, holder) in assignment.owners().iter().zip(current) {
            if holder != Some(owner) {
                receives[usize::from(owner)] = true;
                if let Some(holder) = holder {
                    gives[usize::from(holder)] = true;
                }
            }
        }
        prop_assert!(!gives.iter().zip(&receives).any(|(gives, receives)| *gives && *receives));
    }

    #[test]
    fn the_order_of_the_targets_plays_no_part(
        (cluster, order) in cluster(weights()).prop_flat_map(|cluster| {
            let order: Vec<usize> = (0..cluster.weights.len()).collect();
            (Just(cluster), Just(order).prop_shuffle())
        })
    ) {
        let (names, current) = (cluster.names(), cluster.holders());
        let plain = targets(&names, &cluster.weights);
        let shuffled: Vec<_> = order.iter().map(|&i| plain[i]).collect();
        let renumbered = current.map(|holder| {
            holder.map(|old| order.iter().position(|&i| i == usize::from(old)).unwrap() as u16)
        });
        let by_name = |assignment: Assignment, targets: &[Target<'_>]| -> Vec<String> {
            assignment.owners().iter().map(|&o| targets[usize::from(o)].name.to_owned()).collect()
        };
        prop_assert_eq!(
            by_name(assign(&current, &plain).unwrap(), &plain),
            by_name(assign(&renumbered, &shuffled).unwrap(), &shuffled)
        );
        prop_assert_eq!(optimal_moves(&current, &plain), optimal_moves(&renumbered, &shuffled));
    }

    #[test]
    fn a_second_assignment_moves_nothing(cluster in cluster(weights())) {
        let names = cluster.names();
        let targets = targets(&names, &cluster.weights);
        let first = assign(&cluster.holders(), &targets).unwrap();
        let settled: Holders = std::array::from_fn(|slot| first.owner(slot as u16));
        prop_assert_eq!(assign(&settled, &targets).unwrap(), first);
    }

    /// Nodes come and go by name, the lowest numbers first or last, as scaling and rolls do it.
    #[test]
    fn chains_of_scale_events_stay_balanced_optimal_and_in_long_ranges(
        events in prop::collection::vec((1..13_usize, any::<bool>()), 1..30)
    ) {
        let mut owners: Vec<Option<String>> = vec![None; usize::from(SLOTS)];
        let mut members: Vec<String> = Vec::new();
        let (mut born, mut most) = (0, 0);
        for (nodes, oldest_leave) in events {
            most = most.max(nodes);
            while members.len() < nodes {
                members.push(format!("web-{born}"));
                born += 1;
            }
            if oldest_leave {
                members.drain(..members.len() - nodes);
            }
            members.truncate(nodes);

            let index: BTreeMap<&str, u16> =
                (0..).zip(&members).map(|(index, name)| (name.as_str(), index)).collect();
            let current: Holders = std::array::from_fn(|slot| {
                owners[slot].as_deref().and_then(|name| index.get(name).copied())
            });
            let targets: Vec<_> = members.iter().map(|name| Target { name, weight: 1 }).collect();
            let assignment = assign(&current, &targets).unwrap();

            prop_assert_eq!(assignment.moves(&current), optimal_moves(&current, &targets));
            prop_assert!(spread(&counts(&assignment, nodes)) <= 1);
            let ranges = assignment.ranges().count();
            prop_assert!(ranges <= 6 * most, "{nodes} nodes, {most} at most: {ranges} ranges");
            owners = assignment
                .owners()
                .iter()
                .map(|&owner| members.get(usize::from(owner)).cloned())
                .collect();
        }
    }
}
