//! What the structures take, counted by the allocator.

use ringcache_heat::{Histogram, HotKeys, Slots, Stampedes, Traffic};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// Bytes that are allocated at most until the value is there, and is used.
fn peak<T>(build: impl FnOnce() -> T) -> usize {
    let _profiler = dhat::Profiler::builder().testing().build();
    let value = build();
    let stats = dhat::HeapStats::get();
    drop(value);
    stats.max_bytes + size_of::<T>()
}

#[test]
fn no_structure_outgrows_its_size_whatever_clients_send() {
    let hot_keys = peak(|| {
        let (mut hot, mut key) = (HotKeys::new(1), vec![b'k'; 1 << 20]);
        for turn in 0..20_000_u64 {
            // Every hundred are hot for a while.
            let number = (turn / 2_000 * 100 + turn % 100).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            key[..8].copy_from_slice(&number.to_le_bytes());
            hot.add(number, &key, turn * 10);
        }
        Box::new(hot)
    });
    let slots = peak(|| {
        let mut slots = Slots::new(0);
        (0..u16::MAX).for_each(|slot| slots.add(slot, Traffic::default(), u64::from(slot) * 1_000));
        slots
    });
    let stampedes = peak(|| {
        let mut stampedes = Stampedes::new(Stampedes::KEYS);
        for turn in 0..100_000_u64 {
            stampedes.miss(turn.wrapping_mul(0x9e37_79b9_7f4a_7c15), turn, turn);
        }
        stampedes
    });
    println!("hot keys {hot_keys}, slots {slots}, stampedes {stampedes}");
    // The 1 MiB key is the test's.
    assert!(hot_keys - (1 << 20) <= 80 << 10, "{hot_keys}");
    assert!(slots <= 13 * 16_384, "{slots}");
    assert!(stampedes <= 192 << 10, "{stampedes}");
    assert!(size_of::<Histogram>() <= 5 << 10);
}
