//! Files stay small enough to be read in one go.

use super::source::Source;

const MAX_LINES: usize = 600;
const MAX_P90_LINES: usize = 400;
const MAX_MEDIAN_LINES: usize = 150;

/// One line about the sizes of the Rust files, tests left out.
pub(super) fn summary(sources: &[Source]) -> String {
    let lines = sorted_lines(sources);
    let (median, p90) = (percentile(&lines, 50), percentile(&lines, 90));
    format!("{} Rust files with code: median {median} lines, p90 {p90} lines", lines.len())
}

/// Files over [`MAX_LINES`], and a median or 90th percentile over its limit.
pub(super) fn check(sources: &[Source]) -> Vec<String> {
    let mut findings: Vec<String> = sources
        .iter()
        .filter(|source| source.is_rust())
        .map(|source| (&source.path, source.code().len()))
        .filter(|&(_, lines)| lines > MAX_LINES)
        .map(|(path, lines)| format!("{path}: {lines} lines of code, at most {MAX_LINES}"))
        .collect();
    let lines = sorted_lines(sources);
    for (percent, limit) in [(50, MAX_MEDIAN_LINES), (90, MAX_P90_LINES)] {
        let found = percentile(&lines, percent);
        if found > limit {
            findings.push(format!("{percent} % of the files: {found} lines, at most {limit}"));
        }
    }
    findings
}

fn sorted_lines(sources: &[Source]) -> Vec<usize> {
    let mut lines: Vec<usize> = sources
        .iter()
        .filter(|source| source.is_rust() && !source.is_test())
        .map(|source| source.code().len())
        .collect();
    lines.sort_unstable();
    lines
}

/// The smallest number that at least `percent` % of `sorted` do not exceed; 0 of nothing.
fn percentile(sorted: &[usize], percent: usize) -> usize {
    let rank = (sorted.len() * percent).div_ceil(100);
    rank.checked_sub(1).map_or(0, |index| sorted[index])
}

#[cfg(test)]
mod tests {
    use super::super::source::source;
    use super::*;

    fn files(lines: &[usize]) -> Vec<Source> {
        lines.iter().map(|&lines| source("x/src/a.rs", &"fn a() {}\n".repeat(lines))).collect()
    }

    #[test]
    fn a_file_may_have_600_lines_and_not_one_more() {
        let mut sizes = [1; 20];
        sizes[0] = 600;
        assert_eq!(check(&files(&sizes)), Vec::<String>::new());
        sizes[0] = 601;
        assert_eq!(check(&files(&sizes)), ["x/src/a.rs: 601 lines of code, at most 600"]);
    }

    #[test]
    fn median_and_p90_have_limits_too() {
        assert_eq!(check(&files(&[150, 150, 400])), Vec::<String>::new());
        assert_eq!(check(&files(&[1, 151, 151])), ["50 % of the files: 151 lines, at most 150"]);
        assert_eq!(check(&files(&[1, 1, 401])), ["90 % of the files: 401 lines, at most 400"]);
    }

    #[test]
    fn tests_and_other_languages_do_not_count() {
        let long = "x\n".repeat(700);
        let sources = [
            source("x/tests/a.rs", &long),
            source("docs/a.md", &long),
            source("Cargo.lock", &long),
        ];
        assert_eq!(check(&sources), Vec::<String>::new());
        assert_eq!(percentile(&sorted_lines(&sources), 90), 0);
    }
}
