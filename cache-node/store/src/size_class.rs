//! What an allocation really takes: its size, the allocator's header, rounded up.

/// Bytes that the allocator keeps before each block (`CHUNK_HDR_SZ` less the part that overlaps the neighbour).
const HEADER_BYTES: usize = 8;
/// Blocks are multiples of this (`MALLOC_ALIGNMENT`).
const STEP_BYTES: usize = 16;
/// No block is smaller (`MINSIZE`).
const SMALLEST_BYTES: usize = 32;

/// Bytes that the GNU allocator takes for an allocation of `bytes` bytes (`request2size` in glibc's `malloc.c`).
pub(crate) fn allocated_bytes(bytes: usize) -> usize {
    if bytes == 0 {
        return 0;
    }
    (bytes + HEADER_BYTES).next_multiple_of(STEP_BYTES).max(SMALLEST_BYTES)
}

#[cfg(test)]
mod tests {
    use super::allocated_bytes;

    #[test]
    fn sizes_round_up_to_whole_steps_with_their_header() {
        let cases =
            [(0, 0), (1, 32), (24, 32), (25, 48), (40, 48), (41, 64), (1 << 20, (1 << 20) + 16)];
        for (bytes, taken) in cases {
            assert_eq!(allocated_bytes(bytes), taken, "for {bytes} bytes");
        }
    }
}
