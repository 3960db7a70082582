//! Sums of decimal fractions for `INCRBYFLOAT`.
//!
//! Redis adds in 80-bit floating point and prints 17 decimals, so that 0.1 + 0.2 is 0.3. With 64 bits it would be
//! 0.30000000000000004; hence decimals that fit are added exactly, and only the others as floating point numbers.

use crate::resp::error::CommandError;

/// Digits after the point that are kept, as in Redis.
const DECIMALS: i32 = 17;
/// Digits of a number that is added exactly: two of them with [`DECIMALS`] zeros fit into 128 bits.
const MAX_DIGITS: usize = 20;
/// Longest text of a number: beyond are only spellings of the same numbers.
const MAX_TEXT: usize = 256;

/// The sum of two numbers, as Redis prints it: no exponent, no zeros at the end.
pub(super) fn add(left: &[u8], right: &[u8]) -> Result<String, CommandError> {
    let (left_text, left_float) = number(left)?;
    let (right_text, right_float) = number(right)?;
    if let (Some(left), Some(right)) = (scaled(left_text), scaled(right_text)) {
        return Ok(print_scaled(left + right));
    }
    let sum = left_float + right_float;
    if !sum.is_finite() {
        return Err(CommandError::NotFinite);
    }
    let text = format!("{sum:.17}");
    Ok(without_zeros(&text).to_owned())
}

/// The text and the value of a number. No spaces and no NaN; infinity only to be refused by the sum.
fn number(text: &[u8]) -> Result<(&str, f64), CommandError> {
    let text = str::from_utf8(text).ok().filter(|text| text.len() <= MAX_TEXT);
    text.and_then(|text| Some((text, text.parse().ok()?)))
        .filter(|(_, number): &(&str, f64)| !number.is_nan())
        .ok_or(CommandError::NotAFloat)
}

/// The number times 10^[`DECIMALS`], if it is a plain decimal that has no more digits.
fn scaled(text: &str) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_plain = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() > MAX_DIGITS
        || fraction.len() > DECIMALS as usize
        || !is_plain(whole)
        || !is_plain(fraction)
    {
        return None;
    }
    let zeros = 10_i128.pow((DECIMALS as usize - fraction.len()) as u32);
    let number = format!("0{whole}{fraction}").parse::<i128>().ok()? * zeros;
    Some(if negative { -number } else { number })
}

fn print_scaled(number: i128) -> String {
    let one = 10_u128.pow(DECIMALS as u32);
    let sign = if number < 0 { "-" } else { "" };
    let (whole, fraction) = (number.unsigned_abs() / one, number.unsigned_abs() % one);
    let text = format!("{sign}{whole}.{fraction:017}");
    without_zeros(&text).to_owned()
}

fn without_zeros(text: &str) -> &str {
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0" } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sums_are_what_redis_prints() {
        for (left, right, sum) in [
            ("0", "0.1", "0.1"),
            ("0.1", "0.2", "0.3"),
            ("10.50", "0.1", "10.6"),
            ("10.6", "-5", "5.6"),
            ("5.0e3", "2.0e2", "5200"),
            ("3", "-3", "0"),
            ("-0.5", "0.25", "-0.25"),
            ("1", "1.5000", "2.5"),
            ("99999999999999999999", "1", "100000000000000000000"),
            (".5", "5.", "5.5"),
        ] {
            assert_eq!(
                add(left.as_bytes(), right.as_bytes()).as_deref(),
                Ok(sum),
                "{left} {right}"
            );
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", "x", "1x", " 1", "1 ", "nan", "0x1", "1,5", "--1", "."] {
            assert_eq!(add(b"0", text.as_bytes()), Err(CommandError::NotAFloat), "{text:?}");
        }
        assert_eq!(add(b"0", b"inf"), Err(CommandError::NotFinite));
        assert_eq!(add(b"1e308", b"1e308"), Err(CommandError::NotFinite));
        assert_eq!(add(b"0", "1".repeat(MAX_TEXT + 1).as_bytes()), Err(CommandError::NotAFloat));
    }

    proptest! {
        #[test]
        fn exact_sums_agree_with_floating_point(left in -1e9..1e9_f64, right in -1e9..1e9_f64) {
            let (left, right) = (format!("{left:.6}"), format!("{right:.6}"));
            let sum: f64 = add(left.as_bytes(), right.as_bytes()).unwrap().parse().unwrap();
            let float = left.parse::<f64>().unwrap() + right.parse::<f64>().unwrap();
            prop_assert!((sum - float).abs() < 1e-5, "{} + {} = {}", left, right, sum);
        }
    }
}
