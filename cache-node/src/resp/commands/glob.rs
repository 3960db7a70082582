//! Glob patterns as in Redis: `*`, `?`, `[abc]`, `[^a-z]`, and `\` before a byte that means itself.

use ringcache_store::MAX_KEY_BYTES;

use crate::resp::error::CommandError;

/// Longest pattern: as long as the longest key.
pub(in crate::resp) const MAX_PATTERN_BYTES: usize = MAX_KEY_BYTES;

/// A client's pattern, if it is not too long: matching it takes time in proportion to its length, for every text.
pub(super) fn checked(pattern: &[u8]) -> Result<&[u8], CommandError> {
    if pattern.len() > MAX_PATTERN_BYTES { Err(CommandError::PatternTooLong) } else { Ok(pattern) }
}

/// Whether the whole text matches. Needs time proportional to the product of the lengths at most: on a mismatch only
/// the last `*` takes one byte more, so no pattern can make it exponential.
pub(super) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut pattern, mut text) = (pattern, text);
    // Where to go on after a mismatch: behind the last star, one byte further in the text.
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        let next = match (pattern, text) {
            ([], []) => return true,
            ([b'*', rest @ ..], _) => {
                retry = Some((rest, text));
                Some((rest, text))
            }
            (_, []) => return false,
            (_, [byte, later @ ..]) => match_byte(pattern, *byte).map(|rest| (rest, later)),
        };
        (pattern, text) = if let Some(next) = next {
            next
        } else {
            let Some((behind_star, [_, later @ ..])) = retry else { return false };
            retry = Some((behind_star, later));
            (behind_star, later)
        };
    }
}

/// The pattern behind its first element, if that matches the byte.
fn match_byte(pattern: &[u8], byte: u8) -> Option<&[u8]> {
    match pattern {
        [b'?', rest @ ..] => Some(rest),
        [b'[', class @ ..] => {
            let (is_in, rest) = match_class(class, byte);
            is_in.then_some(rest)
        }
        [b'\\', literal, rest @ ..] | [literal, rest @ ..] => (*literal == byte).then_some(rest),
        [] => None,
    }
}

/// Whether the byte is in the class, and the pattern behind it. A class that is not closed ends with the pattern.
fn match_class(class: &[u8], byte: u8) -> (bool, &[u8]) {
    let (negated, mut class) = match class {
        [b'^', rest @ ..] => (true, rest),
        _ => (false, class),
    };
    let mut is_in = false;
    loop {
        class = match class {
            [] => return (is_in != negated, class),
            [b']', rest @ ..] => return (is_in != negated, rest),
            [b'\\', literal, rest @ ..] => {
                is_in |= *literal == byte;
                rest
            }
            [from, b'-', to, rest @ ..] => {
                is_in |= (*from.min(to)..=*from.max(to)).contains(&byte);
                rest
            }
            [literal, rest @ ..] => {
                is_in |= *literal == byte;
                rest
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_redis() {
        for (pattern, yes, no) in [
            ("", &[""][..], &["a"][..]),
            ("*", &["", "a", "abc"], &[]),
            ("h?llo", &["hello", "hallo"], &["hllo", "heello"]),
            ("h*llo", &["hllo", "heeeello"], &["hell"]),
            ("h[ae]llo", &["hello", "hallo"], &["hillo"]),
            ("h[^e]llo", &["hallo", "hbllo"], &["hello"]),
            ("h[a-c]llo", &["hallo", "hcllo"], &["hdllo"]),
            ("h[c-a]llo", &["hbllo"], &["hdllo"]),
            (r"h\*llo", &["h*llo"], &["hello"]),
            (r"[\]]", &["]"], &["\\"]),
            ("a[bc", &["ab", "ac"], &["ad", "a"]),
            (r"a\", &[r"a\"], &["a"]),
            ("*a*b", &["ab", "xaxb", "aabab"], &["ba", "abx"]),
            ("user:*:name", &["user:1:name", "user::name"], &["user:1:names"]),
        ] {
            for text in yes {
                assert!(matches(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
            }
            for text in no {
                assert!(!matches(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
            }
        }
    }

    #[test]
    fn a_hostile_pattern_does_not_take_exponential_time() {
        // Tried by every way to share the text among the stars, this would not end within a lifetime.
        let pattern = "a*".repeat(400) + "b";
        assert!(!matches(pattern.as_bytes(), "a".repeat(1024).as_bytes()));
    }
}
