//! Sizes of values, as flags say them.

use std::ops::RangeInclusive;

/// Most bytes of a value that a load writes: the nodes' own limit is not far above it.
const MAX_VALUE_BYTES: usize = 1 << 20;

/// Reads one size, or a range of them, `from..to`.
pub(crate) fn sizes(text: &str) -> Result<RangeInclusive<usize>, String> {
    let (from, to) = text.split_once("..").unwrap_or((text, text));
    let number = |t: &str| t.parse::<usize>().map_err(|e| format!("`{t}`: {e}"));
    let (from, to) = (number(from)?, number(to)?);
    if from < 1 || to > MAX_VALUE_BYTES || from > to {
        return Err(format!("sizes go from 1 to {MAX_VALUE_BYTES} bytes, the smaller first"));
    }
    Ok(from..=to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_refused_below_and_above_their_limits() {
        assert_eq!(sizes("100..1000"), Ok(100..=1000));
        assert_eq!(sizes("100"), Ok(100..=100));
        assert_eq!(sizes(&format!("1..{MAX_VALUE_BYTES}")), Ok(1..=MAX_VALUE_BYTES));
        for bad in [
            "0..1000".into(),
            format!("100..{}", MAX_VALUE_BYTES + 1),
            "200..100".into(),
            "many".into(),
        ] {
            assert!(sizes(&bad).is_err(), "{bad}");
        }
    }
}
