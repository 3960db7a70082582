//! Kubernetes quantities as whole bytes and as billionths of a CPU.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// The number of bytes that `quantity` says, a fraction of a byte rounded up as Kubernetes does; `None` if it is no quantity.
///
/// Numbers beyond `u64` come out as `u64::MAX`, negative ones as 0: both are outside every limit that we have.
pub fn bytes(quantity: &Quantity) -> Option<u64> {
    whole(quantity, 0)
}

/// The billionths of a CPU that `quantity` says, otherwise like [`bytes`]. Kubernetes keeps no smaller fractions.
pub fn nano_cpus(quantity: &Quantity) -> Option<u64> {
    whole(quantity, 9)
}

/// Whether both say the same amount, in whichever words, if `amount` ([`bytes`] or [`nano_cpus`]) can read them.
pub fn is_one_amount(
    one: &Quantity,
    other: &Quantity,
    amount: fn(&Quantity) -> Option<u64>,
) -> bool {
    one == other || amount(one).is_some_and(|one| Some(one) == amount(other))
}

/// `quantity * 10^power_of_ten`, rounded up.
///
/// Grammar: `k8s.io/apimachinery/pkg/api/resource/quantity.go` (sign, digits with one optional point, then a binary suffix,
/// a decimal suffix or a decimal exponent).
fn whole(quantity: &Quantity, power_of_ten: i32) -> Option<u64> {
    let text = quantity.0.as_str();
    let (negative, text) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.len() + fraction.len() == 0 || fraction.contains('.') {
        return None;
    }
    let scale = Scale::parse(suffix)?;
    if negative {
        return Some(0);
    }
    let digits = format!("{whole}{fraction}");
    let Some(mantissa) = parse_digits(&digits) else { return Some(u64::MAX) };
    let exponent = scale.power_of_ten + power_of_ten - i32::try_from(fraction.len()).ok()?;
    Some(scaled(mantissa, scale.binary, exponent))
}

/// The digits as a number; `None` when they are too many for any limit.
fn parse_digits(digits: &str) -> Option<u128> {
    let significant = digits.trim_start_matches('0');
    if significant.is_empty() { Some(0) } else { significant.parse().ok() }
}

/// `mantissa * binary * 10^exponent`, rounded up.
fn scaled(mantissa: u128, binary: u128, exponent: i32) -> u64 {
    let Some(product) = mantissa.checked_mul(binary) else { return u64::MAX };
    if product == 0 {
        return 0;
    }
    let result = match 10_u128.checked_pow(exponent.unsigned_abs()) {
        Some(power) if exponent >= 0 => product.checked_mul(power),
        Some(power) => Some(product.div_ceil(power)),
        None if exponent >= 0 => None,
        None => Some(1),
    };
    result.and_then(|n| u64::try_from(n).ok()).unwrap_or(u64::MAX)
}

/// What a suffix multiplies by: `binary * 10^power_of_ten`.
struct Scale {
    binary: u128,
    power_of_ten: i32,
}

impl Scale {
    fn parse(suffix: &str) -> Option<Self> {
        let binary = |shift: u32| Some(Self { binary: 1 << shift, power_of_ten: 0 });
        let decimal = |power_of_ten: i32| Some(Self { binary: 1, power_of_ten });
        match suffix {
            "Ki" => binary(10),
            "Mi" => binary(20),
            "Gi" => binary(30),
            "Ti" => binary(40),
            "Pi" => binary(50),
            "Ei" => binary(60),
            "n" => decimal(-9),
            "u" => decimal(-6),
            "m" => decimal(-3),
            "" => decimal(0),
            "k" => decimal(3),
            "M" => decimal(6),
            "G" => decimal(9),
            "T" => decimal(12),
            "P" => decimal(15),
            "E" => decimal(18),
            _ => decimal(suffix.strip_prefix(['e', 'E'])?.parse::<i16>().ok()?.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<u64>) {
        assert_eq!(bytes(&Quantity(text.into())), expected, "{text:?}");
    }

    #[test]
    fn every_suffix_has_its_factor() {
        let table = [
            ("7", 7),
            ("1Ki", 1 << 10),
            ("256Mi", 256 << 20),
            ("3Gi", 3 << 30),
            ("1Ti", 1 << 40),
            ("2Pi", 2 << 50),
            ("1Ei", 1 << 60),
            ("1k", 1_000),
            ("5M", 5_000_000),
            ("5G", 5_000_000_000),
            ("5T", 5_000_000_000_000),
            ("5P", 5_000_000_000_000_000),
            ("5E", 5_000_000_000_000_000_000),
            ("1e3", 1_000),
            ("2E6", 2_000_000),
            ("+1.5Gi", 3 << 29),
            (".5Ki", 512),
            ("5.", 5),
            ("2000m", 2),
            ("3000000u", 3),
            ("4000000000n", 4),
            ("50e-1", 5),
        ];
        for (text, expected) in table {
            check(text, Some(expected));
        }
    }

    #[test]
    fn cpus_are_counted_in_billionths() {
        for (text, expected) in
            [("2", 2_000_000_000), ("100m", 100_000_000), ("0.5n", 1), ("1k", 1_000_000_000_000)]
        {
            assert_eq!(nano_cpus(&Quantity(text.into())), Some(expected), "{text}");
        }
        assert_eq!(nano_cpus(&Quantity("one".into())), None);
    }

    #[test]
    fn fractions_of_a_byte_are_rounded_up() {
        check("1m", Some(1));
        check("1001m", Some(2));
        check("0.0001Ki", Some(1));
        check("1e-300", Some(1));
        check("0m", Some(0));
    }

    #[test]
    fn numbers_out_of_range_stay_out_of_range() {
        check("-1", Some(0));
        check("-5Gi", Some(0));
        check("16Ei", Some(u64::MAX));
        check("1e300", Some(u64::MAX));
        check("99999999999999999999999999999999999999999999", Some(u64::MAX));
        check("00000000000000000000000000000000000000000001", Some(1));
        check("18446744073709551615", Some(u64::MAX));
        check("18446744073709551614", Some(u64::MAX - 1));
    }

    #[test]
    fn what_is_no_quantity_is_refused() {
        for text in [
            "", " ", "Mi", ".", "-", "+-1", "1.2.3", "1 Gi", " 1Gi", "1gi", "1mi", "1KB", "1e",
            "1e+-3", "1e1.5", "0x10", "١",
        ] {
            check(text, None);
        }
    }
}
