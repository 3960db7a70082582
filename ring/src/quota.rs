//! How many slots each target should hold, and how many must move to get there.

use crate::{Holders, SLOTS, Target};

/// Slots each target should hold: its exact share rounded down, and the slots left over to the
/// largest remainders (Hamilton's method). Among equal remainders to whom an extra slot saves a
/// move, because it holds more than its share already, then by name.
///
/// `held[i]` is what `targets[i]` holds. Expects at least one target and no weight of zero.
pub(crate) fn quotas(targets: &[Target<'_>], held: &[usize]) -> Vec<usize> {
    let shares = shares(targets);
    let mut quotas: Vec<usize> = shares.iter().map(|share| share.whole).collect();
    let mut order: Vec<usize> = (0..targets.len()).collect();
    order.sort_unstable_by(|&a, &b| {
        let remainder = shares[b].remainder.cmp(&shares[a].remainder);
        let saves_move = |i: usize| held[i] > shares[i].whole;
        remainder.then(saves_move(b).cmp(&saves_move(a))).then(targets[a].name.cmp(targets[b].name))
    });
    let extras = usize::from(SLOTS) - quotas.iter().sum::<usize>();
    for &i in &order[..extras] {
        quotas[i] += 1;
    }
    quotas
}

/// The least number of slots that must change hands (unowned ones included) before every target
/// holds what its weight entitles it to; what [`assign`](crate::assign) achieves.
///
/// Counts what can stay, without choosing who gets the extra slots: of each target's slots those
/// within its whole share, and one more where a remainder entitles it to one and it holds one to
/// keep. 0 for targets that `assign` refuses.
pub fn optimal_moves(current: &Holders, targets: &[Target<'_>]) -> usize {
    if targets.is_empty() || targets.iter().any(|target| target.weight == 0) {
        return 0;
    }
    let held = held(current, targets.len());
    let shares = shares(targets);
    let extras = usize::from(SLOTS) - shares.iter().map(|share| share.whole).sum::<usize>();
    let mut remainders: Vec<u64> = shares.iter().map(|share| share.remainder).collect();
    remainders.sort_unstable_by(|a, b| b.cmp(a));
    // The smallest remainder that still earns an extra slot; none does if every share is whole.
    let Some(&last) = extras.checked_sub(1).and_then(|index| remainders.get(index)) else {
        return usize::from(SLOTS) - kept_of_whole(&held, &shares);
    };
    let keeps_one_more = |wanted: std::cmp::Ordering| {
        held.iter()
            .zip(&shares)
            .filter(|(held, share)| share.remainder.cmp(&last) == wanted && **held > share.whole)
            .count()
    };
    let certain = remainders.iter().filter(|&&remainder| remainder > last).count();
    let kept = kept_of_whole(&held, &shares)
        + keeps_one_more(std::cmp::Ordering::Greater)
        + keeps_one_more(std::cmp::Ordering::Equal).min(extras - certain);
    usize::from(SLOTS) - kept
}

/// How many slots each of `targets` targets holds; holders beyond them are ignored.
pub(crate) fn held(current: &Holders, targets: usize) -> Vec<usize> {
    let mut held = vec![0; targets];
    for index in current.iter().flatten() {
        if let Some(count) = held.get_mut(usize::from(*index)) {
            *count += 1;
        }
    }
    held
}

/// A target's exact share of the slots: `whole + remainder / (sum of the weights)`.
struct Share {
    whole: usize,
    remainder: u64,
}

fn shares(targets: &[Target<'_>]) -> Vec<Share> {
    let total: u64 = targets.iter().map(|target| u64::from(target.weight)).sum();
    let share = |target: &Target<'_>| {
        // At most 2^14 * 2^32: no overflow.
        let scaled = u64::from(SLOTS) * u64::from(target.weight);
        Share { whole: (scaled / total) as usize, remainder: scaled % total }
    };
    targets.iter().map(share).collect()
}

fn kept_of_whole(held: &[usize], shares: &[Share]) -> usize {
    held.iter().zip(shares).map(|(&held, share)| held.min(share.whole)).sum()
}
