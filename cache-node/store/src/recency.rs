//! The LRU order of a slot's entries: a doubly linked list through the slab, and coarse time stamps
//! by which the lists of different slots are compared.

use crate::Millis;
use crate::item::Item;

/// The end of a list.
pub(crate) const NIL: u32 = u32::MAX;

/// How far an arriving entry looks for its place. In a copy stream, which comes coldest first, each
/// entry belongs next to the one before it; beyond this many steps the place is approximate.
pub(crate) const MAX_WALK: usize = 64;

/// When an entry was last accessed, in units of 64 ms modulo 2^32: right for entries untouched
/// for less than 4.3 years.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp(u32);

const UNIT_BITS: u32 = 6;

/// An older last access than this is stamped as this old: about two years.
const MAX_AGE: Millis = 1 << 36;

impl Stamp {
    pub(crate) fn at(time: Millis) -> Self {
        Self((time >> UNIT_BITS) as u32)
    }

    /// The stamp of a last access that another node reports. It is neither in the future (that node's
    /// clock may be ahead; the entry would outlive everything else) nor so old that stamps wrap.
    pub(crate) fn reported(last_access: Millis, now: Millis) -> Self {
        Self::at(last_access.clamp(now.saturating_sub(MAX_AGE), now))
    }

    fn is_newer_than(self, other: Self) -> bool {
        self.0.wrapping_sub(other.0).cast_signed() > 0
    }

    /// Age in stamp units; 0 if the clock went back.
    pub(crate) fn age(self, now: Millis) -> u32 {
        Self::at(now).0.wrapping_sub(self.0).cast_signed().max(0).cast_unsigned()
    }

    /// The stamp as a time, exact to its unit.
    pub(crate) fn time(self, now: Millis) -> Millis {
        (now >> UNIT_BITS).saturating_sub(u64::from(self.age(now))) << UNIT_BITS
    }
}

/// An entry's neighbours in the LRU list, as slab places.
#[derive(Clone, Copy)]
pub(crate) struct Links {
    hotter: u32,
    colder: u32,
}

impl Default for Links {
    fn default() -> Self {
        Self { hotter: NIL, colder: NIL }
    }
}

/// The ends of the LRU list of one slot.
pub(crate) struct Recency {
    hottest: u32,
    coldest: u32,
}

impl Default for Recency {
    fn default() -> Self {
        Self { hottest: NIL, coldest: NIL }
    }
}

impl Recency {
    /// The entry to evict first, [`NIL`] if there is none.
    pub(crate) fn coldest(&self) -> u32 {
        self.coldest
    }

    /// The entry used last, [`NIL`] if there is none.
    pub(crate) fn hottest(&self) -> u32 {
        self.hottest
    }

    /// Links `at` as the most recently used entry.
    pub(crate) fn link_hottest(&mut self, items: &mut [Item], at: u32) {
        self.link_above(items, at, self.hottest);
    }

    /// Links `at` by its stamp, looking for the place from `near` on: below all newer entries, above
    /// all others, if it is found within [`MAX_WALK`] steps.
    pub(crate) fn link_by_stamp(&mut self, items: &mut [Item], at: u32, near: u32) {
        let stamp = items[at as usize].stamp;
        let mut below = near;
        for _ in 0..MAX_WALK {
            let above = self.hotter_than(items, below);
            if below != NIL && items[below as usize].stamp.is_newer_than(stamp) {
                below = items[below as usize].links.colder;
            } else if above != NIL && !items[above as usize].stamp.is_newer_than(stamp) {
                below = above;
            } else {
                break;
            }
        }
        self.link_above(items, at, below);
    }

    pub(crate) fn unlink(&mut self, items: &mut [Item], at: u32) {
        let Links { hotter, colder } = items[at as usize].links;
        self.set_colder(items, hotter, colder);
        self.set_hotter(items, colder, hotter);
    }

    /// Repairs the list after the entry now at `to` was moved there within the slab.
    pub(crate) fn moved(&mut self, items: &mut [Item], to: u32) {
        let Links { hotter, colder } = items[to as usize].links;
        self.set_colder(items, hotter, to);
        self.set_hotter(items, colder, to);
    }

    /// All places, hottest first.
    pub(crate) fn iter<'a>(&self, items: &'a [Item]) -> impl Iterator<Item = u32> + 'a {
        let some = |at: u32| (at != NIL).then_some(at);
        std::iter::successors(some(self.hottest), move |&at| some(items[at as usize].links.colder))
    }

    fn hotter_than(&self, items: &[Item], below: u32) -> u32 {
        if below == NIL { self.coldest } else { items[below as usize].links.hotter }
    }

    /// Links `at` just above `below`, or as the coldest if `below` is [`NIL`].
    fn link_above(&mut self, items: &mut [Item], at: u32, below: u32) {
        let above = self.hotter_than(items, below);
        items[at as usize].links = Links { hotter: above, colder: below };
        self.set_colder(items, above, at);
        self.set_hotter(items, below, at);
    }

    fn set_colder(&mut self, items: &mut [Item], of: u32, colder: u32) {
        if of == NIL {
            self.hottest = colder;
        } else {
            items[of as usize].links.colder = colder;
        }
    }

    fn set_hotter(&mut self, items: &mut [Item], of: u32, hotter: u32) {
        if of == NIL {
            self.coldest = hotter;
        } else {
            items[of as usize].links.hotter = hotter;
        }
    }
}
