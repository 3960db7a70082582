//! The system's allocator, as far as the byte budget depends on it: one arena, and free pages given back on demand.
//!
//! Under the churn of a full cache the GNU allocator with one arena keeps resident memory within a few percent of the bytes
//! in use, because it joins free neighbours and serves any size from them. Allocators with a heap for each thread kept up
//! to twice as much: entries are written by one thread and evicted by another. With more than one arena the same happens here.
//!
//! Buffers that are larger than any value are mapped one by one, and go back to the system when they are freed. The allocator does so
//! by itself until the first of them is freed; from then on it serves such sizes from the arena, up to 32 MiB (mallopt(3),
//! `M_MMAP_THRESHOLD`). Large replies that came and went then left holes among the entries: resident memory rose to 124 % of a limit of
//! 128 MiB, and nine of ten entries were evicted for it.

#[cfg(all(target_os = "linux", target_env = "gnu", not(miri)))]
use crate::MAX_VALUE_BYTES;

/// Allocations of more bytes than this are mapped one by one: no value with its key and its header is larger.
#[cfg(all(target_os = "linux", target_env = "gnu", not(miri)))]
#[expect(clippy::cast_possible_wrap, reason = "little more than a mebibyte")]
const MAPPED_ABOVE: libc::c_int = (MAX_VALUE_BYTES + (64 << 10)) as libc::c_int;

/// Makes all threads allocate from one arena, and what is larger than a value from none. To be called before any thread is
/// started; without effect where the allocator is not GNU's.
pub fn set_up() {
    #[cfg(all(target_os = "linux", target_env = "gnu", not(miri)))]
    #[expect(unsafe_code, reason = "the system allocator has no safe interface")]
    // SAFETY: each takes two numbers and no memory; at worst it reports failure, and then memory is used less well.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
        libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_ABOVE);
    }
}

/// Gives pages that hold no entry any more back to the system. Walks the free lists under the allocator's lock, some
/// milliseconds for a node that is full: for when there is too little memory, not for every day.
pub fn release_free_pages() {
    #[cfg(all(target_os = "linux", target_env = "gnu", not(miri)))]
    #[expect(unsafe_code, reason = "the system allocator has no safe interface")]
    // SAFETY: takes a number and no memory; what is in use is not touched.
    unsafe {
        libc::malloc_trim(0);
    }
}
