//! What an allocation really takes: its size rounded up to the allocator's size class.

/// Above this size mimalloc gives each block pages of its own instead of a size class
/// (`MI_LARGE_MAX_OBJ_SIZE`).
const LARGEST_CLASS_BYTES: usize = 512 * 1024;

/// Blocks above the largest class occupy whole arena slices (`MI_ARENA_SLICE_SIZE`).
const SLICE_BYTES: usize = 64 * 1024;

/// Bytes that mimalloc v3 takes for an allocation of `bytes` bytes: steps of 16 up to 128, then
/// four classes per power of two (`mi_bin` in its `page-queue.c`), then whole slices.
pub(crate) fn allocated_bytes(bytes: usize) -> usize {
    match bytes {
        0..=128 => bytes.next_multiple_of(16),
        129..=LARGEST_CLASS_BYTES => bytes.next_multiple_of(1 << ((bytes - 1).ilog2() - 2)),
        _ => bytes.next_multiple_of(SLICE_BYTES),
    }
}

#[cfg(test)]
mod tests {
    use super::allocated_bytes;

    #[test]
    fn sizes_round_up_to_the_next_class_and_a_class_is_its_own_size() {
        let cases = [
            (0, 0),
            (1, 16),
            (16, 16),
            (17, 32),
            (128, 128),
            (129, 160),
            (160, 160),
            (161, 192),
            (224, 224),
            (225, 256),
            (256, 256),
            (257, 320),
            (1025, 1280),
            (512 * 1024 - 1, 512 * 1024),
            (512 * 1024, 512 * 1024),
            (512 * 1024 + 1, 576 * 1024),
            (1024 * 1024 + 1, 1088 * 1024),
        ];
        for (bytes, class) in cases {
            assert_eq!(allocated_bytes(bytes), class, "for {bytes} bytes");
        }
    }
}
