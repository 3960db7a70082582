//! Decimal integers exactly as Redis reads and writes them.

/// Reads a signed decimal integer by the rules of Redis' `string2ll`: the text must be what printing
/// the number gives. No spaces, no `+`, no leading zeros, no `-0`, nothing after the digits.
///
/// The lengths of the protocol and the numeric arguments of commands obey the same rule. Anything
/// more lenient reads `5abc` as 5 and then takes the bytes that follow for something else.
pub fn parse_i64(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        b"0" => return Some(0),
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if !matches!(digits.first(), Some(b'1'..=b'9')) {
        return None;
    }
    // Summed downwards, because the smallest number has no positive twin.
    let negated = digits.iter().try_fold(0_i64, |sum, &byte| {
        let digit = byte.is_ascii_digit().then(|| i64::from(byte - b'0'))?;
        sum.checked_mul(10)?.checked_sub(digit)
    })?;
    if negative { Some(negated) } else { negated.checked_neg() }
}

/// Appends `number` in decimal.
pub(crate) fn push_integer(out: &mut Vec<u8>, number: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_the_canonical_text_of_a_number_is_a_number() {
        for text in
            ["", "-", "+1", "01", "-0", "00", " 1", "1 ", "5abc", "1.0", "0x1", "--1", "1\r"]
        {
            assert_eq!(parse_i64(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn one_beyond_either_end_of_the_range_is_refused() {
        assert_eq!(parse_i64(b"9223372036854775807"), Some(i64::MAX));
        assert_eq!(parse_i64(b"9223372036854775808"), None);
        assert_eq!(parse_i64(b"-9223372036854775808"), Some(i64::MIN));
        assert_eq!(parse_i64(b"-9223372036854775809"), None);
        assert_eq!(parse_i64(b"18446744073709551615"), None);
    }

    proptest! {
        #[test]
        fn every_printed_number_reads_back(number: i64) {
            let mut text = Vec::new();
            push_integer(&mut text, number);
            prop_assert_eq!(parse_i64(&text), Some(number));
        }

        #[test]
        fn whatever_reads_prints_back_to_the_same_text(text in "-?[0-9]{0,20}") {
            if let Some(number) = parse_i64(text.as_bytes()) {
                prop_assert_eq!(number.to_string(), text);
            }
        }
    }
}
