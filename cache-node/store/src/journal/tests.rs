//! Taking records off a journal.

use proptest::prelude::*;

use super::{CHUNK_BYTES, Journal};
use crate::record::Record;

fn records(mut bytes: &[u8]) -> usize {
    let mut count = 0;
    while !bytes.is_empty() {
        Record::decode(&mut bytes).expect("whole records");
        count += 1;
    }
    count
}

proptest! {
    #[test]
    fn records_come_out_whole_in_order_and_within_the_size_asked_for(
        steps in proptest::collection::vec((0..2_usize, 0..50_000_usize, 0..100_000_usize), 1..60),
    ) {
        let mut journal = Journal::default();
        let (mut written, mut taken) = (Vec::new(), Vec::new());
        for (kind, len, max_bytes) in steps {
            let value = vec![7; len];
            let record = match kind {
                0 => Record::Put { key: b"k", value: &value, deadline: 1, last_access: Some(2) },
                _ => Record::Remove { key: &value[..len.min(1000)] },
            };
            record.encode(&mut written);
            journal.append(&record);
            if len % 3 == 0 {
                let part = journal.take(max_bytes);
                prop_assert!(part.len() <= max_bytes || records(&part) == 1);
                taken.extend(part);
            }
            prop_assert_eq!(journal.waiting_bytes(), written.len() - taken.len());
        }
        while journal.waiting_bytes() > 0 {
            let part = journal.take(1000);
            prop_assert!(!part.is_empty());
            taken.extend(part);
        }
        prop_assert_eq!(taken, written);
        prop_assert!(journal.take(1000).is_empty());
    }
}

#[test]
fn a_chunk_is_filled_to_its_limit_and_not_beyond() {
    let header = Record::Put { key: b"", value: b"", deadline: 1, last_access: None }.encoded_len();
    for (second_len, chunks) in [(1000 - header, 1), (1001 - header, 2)] {
        let mut journal = Journal::default();
        for len in [CHUNK_BYTES - 1000 - header, second_len] {
            let value = vec![1; len];
            journal.append(&Record::Put {
                key: b"",
                value: &value,
                deadline: 1,
                last_access: None,
            });
        }
        assert_eq!(journal.chunks.len(), chunks);
    }
}

#[test]
fn clearing_the_slot_ends_the_copy_walk() {
    let mut journal = Journal::new(vec![1, 2, 3]);
    assert_eq!(journal.next_uncopied(), Some(3));
    journal.append(&Record::Clear);
    assert!(journal.is_copied());
    assert_eq!(journal.next_uncopied(), None);
}
