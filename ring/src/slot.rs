//! From a key to its slot, as every Redis cluster client computes it.

use crc::{CRC_16_XMODEM, Crc, Table};

/// Number of hash slots of a cluster: slots are `0..SLOTS`. Fixed by the Redis cluster protocol.
pub const SLOTS: u16 = 16384;

/// Sixteen lookup tables: keys are short, and the slot is computed for every request.
const CRC: Crc<u16, Table<16>> = Crc::<u16, Table<16>>::new(&CRC_16_XMODEM);

/// The slot of `key`: CRC16-XMODEM of the key, or of its hashtag where it has one, modulo
/// [`SLOTS`].
///
/// The hashtag is what stands between the first `{` and the first `}` after it, if that is at least
/// one byte: keys with the same hashtag share a slot (Redis cluster specification, "Hash tags").
///
/// ```
/// use ringcache_ring::key_slot;
/// assert_eq!(key_slot(b"foo"), 12182);
/// assert_eq!(key_slot(b"{user1000}.following"), key_slot(b"{user1000}.followers"));
/// ```
pub fn key_slot(key: &[u8]) -> u16 {
    CRC.checksum(hashtag(key).unwrap_or(key)) % SLOTS
}

fn hashtag(key: &[u8]) -> Option<&[u8]> {
    let after_open = &key[key.iter().position(|&byte| byte == b'{')? + 1..];
    let length = after_open.iter().position(|&byte| byte == b'}')?;
    (length > 0).then(|| &after_open[..length])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_crc16_xmodem() {
        assert_eq!(CRC.checksum(b"123456789"), 0x31C3, "check value of the CRC catalogue");
        assert_eq!(key_slot(b"123456789"), 0x31C3 % SLOTS);
        assert_eq!(key_slot(b"foo"), 12182);
        assert_eq!(key_slot(b""), 0);
    }

    #[test]
    fn the_hashtag_alone_decides_the_slot() {
        for (key, hashed) in [
            ("{user1000}.following", "user1000"),
            ("{user1000}.followers", "user1000"),
            ("a{b}c{d}e", "b"),
            ("foo{{bar}}zap", "{bar"),
            ("foo{bar}{zap}", "bar"),
            ("}{tag}", "tag"),
        ] {
            assert_eq!(hashtag(key.as_bytes()), Some(hashed.as_bytes()), "{key}");
            assert_eq!(key_slot(key.as_bytes()), key_slot(hashed.as_bytes()), "{key}");
        }
    }

    #[test]
    fn without_a_whole_hashtag_the_whole_key_is_hashed() {
        for key in ["", "{", "}", "{}", "{}x", "foo{}{bar}", "}{", "x{y", "x}y", "{{"] {
            assert_eq!(hashtag(key.as_bytes()), None, "{key}");
            assert_eq!(key_slot(key.as_bytes()), CRC.checksum(key.as_bytes()) % SLOTS, "{key}");
        }
    }

    #[test]
    fn keys_are_bytes_not_text() {
        assert_eq!(key_slot(b"\xff{\x00}\xfe"), key_slot(b"\x00"));
    }
}
