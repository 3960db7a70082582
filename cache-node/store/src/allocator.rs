//! The system's allocator, as far as the byte budget depends on it: one arena, and free pages given back on demand.
//!
//! Under the churn of a full cache the GNU allocator with one arena keeps resident memory within a few percent of the bytes
//! in use, because it joins free neighbours and serves any size from them. Allocators with a heap for each thread kept up
//! to twice as much: entries are written by one thread and evicted by another. With more than one arena the same happens here.

/// Makes all threads allocate from one arena. To be called before any thread is started; without effect where the
/// allocator is not GNU's.
pub fn use_one_arena() {
    #[cfg(all(target_os = "linux", target_env = "gnu", not(miri)))]
    #[expect(unsafe_code, reason = "the system allocator has no safe interface")]
    // SAFETY: takes two numbers and no memory; at worst it reports failure, and then memory is used less well.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
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
