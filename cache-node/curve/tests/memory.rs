//! What a sampler takes, counted by the allocator.

use ringcache_curve::{Sampler, Write};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

#[test]
fn a_sampler_takes_at_most_a_mebibyte() {
    let _profiler = dhat::Profiler::builder().testing().build();
    let mut sampler = Sampler::new(Sampler::LIMIT, u64::MAX);
    for key in 1..200_000_u64 {
        let hash = key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let entry = Write { slot: 0, bytes: 100, deadline_ms: 1_000_000 + key };
        sampler.write(hash, entry, key);
        sampler.read(hash, None, key);
    }
    let stats = dhat::HeapStats::get();
    println!("{} bytes, {} at most", stats.curr_bytes, stats.max_bytes);
    dhat::assert!(stats.max_bytes <= 1 << 20);
    drop(sampler);
}
