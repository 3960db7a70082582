//! Keys as URLs and JSON spell them: any bytes, percent-encoded where they need to be.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};
use ringcache_store::MAX_KEY_BYTES;

use super::problem::Problem;

/// Everything but the unreserved characters of RFC 3986 §2.3.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The bytes that a percent-encoded key means; refuses what is no key.
pub(super) fn decode(text: &str) -> Result<Vec<u8>, Problem> {
    let escapes = text.match_indices('%').map(|(at, _)| text.as_bytes().get(at + 1..at + 3));
    for escape in escapes {
        // The library passes a broken escape through as it is: the client would have written another key than it meant.
        if !escape.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
            return Err(Problem::InvalidKey("a `%` in a key must be followed by two hex digits"));
        }
    }
    let key: Vec<u8> = percent_decode_str(text).collect();
    check(&key)?;
    Ok(key)
}

/// Refuses what is no key.
pub(super) fn check(key: &[u8]) -> Result<(), Problem> {
    match key.len() {
        0 => Err(Problem::InvalidKey("the key is empty")),
        1..=MAX_KEY_BYTES => Ok(()),
        length => Err(Problem::KeyTooLong(length)),
    }
}

/// The key as text for an answer, and `percent` as its encoding if it is no UTF-8.
pub(crate) fn shown(key: &[u8]) -> (Cow<'_, str>, Option<&'static str>) {
    match std::str::from_utf8(key) {
        Ok(text) => (text.into(), None),
        Err(_) => (percent_encode(key, ESCAPED).into(), Some("percent")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_key_of_1024_bytes_is_allowed_and_one_of_1025_is_not() {
        assert_eq!(decode(&"%00".repeat(1024)).map(|key| key.len()), Ok(1024));
        assert_eq!(decode(&"%00".repeat(1025)), Err(Problem::KeyTooLong(1025)));
    }

    #[test]
    fn broken_escapes_are_refused() {
        for broken in ["%", "a%2", "%zz", "%%41", "%+1"] {
            assert!(matches!(decode(broken), Err(Problem::InvalidKey(_))), "{broken}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_survive_percent_encoding(key in prop::collection::vec(any::<u8>(), 1..80)) {
            let text = percent_encode(&key, ESCAPED).to_string();
            prop_assert_eq!(decode(&text), Ok(key));
        }
    }
}
