//! Records survive the journey, and nothing else is taken for one.

use proptest::prelude::*;

use super::{BadRecord, Record};
use crate::{MAX_KEY_BYTES, MAX_VALUE_BYTES};

fn encoded(record: &Record<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    record.encode(&mut bytes);
    assert_eq!(bytes.len(), record.encoded_len());
    bytes
}

fn put<'a>(key: &'a [u8], value: &'a [u8]) -> Record<'a> {
    Record::Put { key, value, deadline: 17, last_access: Some(16) }
}

proptest! {
    #[test]
    fn every_record_decodes_to_itself_and_leaves_the_rest(
        key in proptest::collection::vec(any::<u8>(), 0..40),
        value in proptest::collection::vec(any::<u8>(), 0..400),
        deadline: u64,
        last_access: u64,
        rest in proptest::collection::vec(any::<u8>(), 0..9),
    ) {
        let (key, value) = (&key[..], &value[..]);
        for record in [
            Record::Put { key, value, deadline, last_access: None },
            Record::Put { key, value, deadline, last_access: Some(last_access) },
            Record::Remove { key },
            Record::Clear,
        ] {
            let whole = encoded(&record);
            let bytes = [&whole[..], &rest].concat();
            let mut input = &bytes[..];
            prop_assert_eq!(Record::decode(&mut input), Ok(record));
            prop_assert_eq!(input, &rest[..]);
            for end in 0..whole.len() {
                prop_assert_eq!(Record::decode(&mut &whole[..end]), Err(BadRecord::Truncated));
            }
        }
    }

    #[test]
    fn garbage_is_an_error_or_a_record_but_never_a_panic(
        tag in 0..6_u8,
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let bytes = [&[tag], &bytes[..]].concat();
        let mut input = &bytes[..];
        while let Ok(record) = Record::decode(&mut input) {
            let consumed = record.encoded_len();
            prop_assert!(consumed > 0 && consumed + input.len() <= bytes.len());
        }
    }
}

#[test]
fn keys_and_values_at_the_limit_pass_and_longer_ones_do_not() {
    let key = vec![b'k'; MAX_KEY_BYTES + 1];
    let value = vec![b'v'; MAX_VALUE_BYTES + 1];
    let decode = |bytes: &[u8]| Record::decode(&mut &bytes[..]).map(|_| ());

    let longest = put(&key[..MAX_KEY_BYTES], &value[..MAX_VALUE_BYTES]);
    assert_eq!(decode(&encoded(&longest)), Ok(()));

    let too_long = Err(BadRecord::KeyTooLong(MAX_KEY_BYTES + 1));
    assert_eq!(decode(&encoded(&put(&key, b""))), too_long);
    assert_eq!(decode(&encoded(&Record::Remove { key: &key })), too_long);
    let too_long = Err(BadRecord::ValueTooLong(MAX_VALUE_BYTES + 1));
    assert_eq!(decode(&encoded(&put(b"k", &value))), too_long);
}

#[test]
fn an_unknown_tag_is_named() {
    assert_eq!(Record::decode(&mut &[0][..]), Err(BadRecord::UnknownTag(0)));
    assert_eq!(Record::decode(&mut &[5, 1, 2][..]), Err(BadRecord::UnknownTag(5)));
}
