//! Names that others chose, made fit for a line of a terminal: nothing that draws, nothing that cannot be seen, nothing wider than asked.

use std::collections::{BTreeMap, BTreeSet};

use crate::report::words::unseen;

/// Text on one line: control characters and invisible ones are escaped.
pub fn plain(text: &str) -> String {
    let escaped = |c: char| if c.is_control() { c.escape_default().collect() } else { unseen(c) };
    text.chars().map(escaped).collect()
}

/// Characters of what was said that people are shown: a message of a service may be of any length.
const SAID_SHOWN: usize = 2000;

/// What others said, or may have said: as [`plain`], and in part where it is long.
pub fn said(text: &str) -> String {
    // Each character becomes ten at most.
    middle(&plain(&middle(text, SAID_SHOWN)), SAID_SHOWN)
}

/// A key, row or item: as [`plain`], and in quotes where its blanks would be lost on the eye (at an end, or several in a row).
pub fn place(text: &str) -> String {
    let plain = plain(text);
    let is_lost = text.is_empty() || text.starts_with(char::is_whitespace) || text.ends_with(char::is_whitespace) || text.contains("  ");
    if is_lost { format!("\"{}\"", plain.replace('\\', "\\\\").replace('"', "\\\"")) } else { plain }
}

/// How many of a kind were read, beside how many were expected; there may be more than that.
pub fn read_of(read: u64, expected: u64, kind: &str) -> String {
    if read > expected { format!("{read} {kind} ({expected} expected)") } else { format!("{read} of {expected} {kind}") }
}

/// A number of bytes for people: three digits and a binary unit.
pub fn bytes_text(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["bytes", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if bytes == 1 {
        return "1 byte".to_owned();
    }
    if unit == 0 { format!("{bytes} bytes") } else { format!("{value:.1} {}", UNITS[unit]) }
}

/// What a manifest holds, by name: `1 table, 3 rows, 1.2 MiB`.
pub fn totals(counts: &BTreeMap<String, u64>) -> String {
    let of = |(name, n): (&String, &u64)| match (name.as_str(), n) {
        ("bytes", n) => bytes_text(*n),
        (name, 1) => format!("1 {}", name.strip_suffix('s').unwrap_or(name).replace('_', " ")),
        (name, n) => format!("{n} {}", name.replace('_', " ")),
    };
    counts.iter().map(of).collect::<Vec<_>>().join(", ")
}

/// `text` in at most `width` characters, shortened in the middle: beginnings and ends tell names apart.
pub fn middle(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width {
        return text.to_owned();
    }
    let kept = width.saturating_sub(1);
    let head = kept / 3;
    let tail = kept - head;
    text.chars().take(head).chain(['…']).chain(text.chars().skip(length - tail)).collect()
}

/// Each of `texts` in as few characters as tell them apart, and at least `width` of them where it is longer; texts that are the same stay the
/// same. Where beginning and end do not tell, what is around the first difference is shown.
pub fn told_apart(texts: &[String], width: usize) -> Vec<String> {
    let distinct = |texts: &[String]| texts.iter().collect::<BTreeSet<_>>().len();
    let longest = texts.iter().map(|text| text.chars().count()).max().unwrap_or(0);
    let (wanted, differs_at) = (distinct(texts), differences(texts));
    for width in width.max(4)..longest {
        let ends: Vec<String> = texts.iter().map(|text| middle(text, width)).collect();
        if distinct(&ends) == wanted {
            return ends;
        }
        let around: Vec<String> = texts.iter().map(|text| around(text, differs_at[text], width)).collect();
        if distinct(&around) == wanted {
            return around;
        }
    }
    texts.to_vec()
}

/// Where each text first differs from the one that is most like it, in characters.
fn differences(texts: &[String]) -> BTreeMap<&String, usize> {
    let sorted: Vec<&String> = texts.iter().collect::<BTreeSet<_>>().into_iter().collect();
    let common = |a: &String, b: &String| a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count();
    let mut found: BTreeMap<&String, usize> = sorted.iter().map(|text| (*text, 0)).collect();
    for pair in sorted.windows(2) {
        let at = common(pair[0], pair[1]);
        for text in pair {
            found.entry(text).and_modify(|known| *known = at.max(*known));
        }
    }
    found
}

/// At most `width` characters of `text` that hold the one at `at`, with what was left out before and after it marked.
fn around(text: &str, at: usize, width: usize) -> String {
    let chars: Vec<char> = text.chars().collect();
    if chars.len() <= width {
        return text.to_owned();
    }
    let kept = width.saturating_sub(2).max(1);
    let start = (at.min(chars.len() - 1) + 1).saturating_sub(kept - kept / 3).min(chars.len() - kept);
    let (before, after) = (if start > 0 { "…" } else { "" }, if start + kept < chars.len() { "…" } else { "" });
    format!("{before}{}{after}", chars[start..start + kept].iter().collect::<String>())
}

/// `text` in lines of at most `width` characters, each after `indent` blanks, broken at blanks; a word that is longer stands alone.
pub fn wrapped(text: &str, indent: usize, width: usize) -> Vec<String> {
    let (blanks, room) = (" ".repeat(indent), width.saturating_sub(indent).max(20));
    let mut lines: Vec<String> = Vec::new();
    let mut filled = 0;
    for word in text.split(' ') {
        let length = word.chars().count();
        match lines.last_mut() {
            Some(line) if filled + 1 + length <= room => {
                line.push(' ');
                line.push_str(word);
                filled += 1 + length;
            }
            _ => {
                lines.push(format!("{blanks}{word}"));
                filled = length;
            }
        }
    }
    lines
}

/// The widest that lines for people become: a file has no width, and gets a line a case.
const WIDEST: usize = 1000;

/// How wide lines for people on stderr may be: the terminal's width, else `COLUMNS`, else [`WIDEST`].
pub fn width() -> usize {
    let terminal = rustix::termios::tcgetwinsize(std::io::stderr()).ok().map(|size| usize::from(size.ws_col));
    let named = || std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
    terminal.filter(|width| *width > 0).or_else(named).unwrap_or(WIDEST).clamp(60, WIDEST)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn blanks_are_seen() {
        assert_eq!([place("   "), place(""), place("a b"), place(" a")], ["\"   \"", "\"\"", "a b", "\" a\""]);
        assert_eq!(place("a\u{a0}"), "\"a\u{a0}\"");
        assert_eq!([place("a  b"), place("a\nb"), place("a\u{202e}b")], ["\"a  b\"", "a\\nb", "a\\u{202e}b"]);
        assert_eq!(place("\"a\" "), "\"\\\"a\\\" \"");
    }

    #[test]
    fn one_of_a_kind_is_told_as_one() {
        let counts = [("bytes", 1), ("items", 3), ("pending_uploads", 1), ("tables", 1)].map(|(name, n)| (name.to_owned(), n));
        assert_eq!(totals(&counts.into()), "1 byte, 3 items, 1 pending upload, 1 table");
    }

    #[test]
    fn names_keep_what_tells_them_apart() {
        assert_eq!(middle("abcdefghij", 7), "ab…ghij");
        let names: Vec<String> =
            (0..3).map(|n| format!("arn:aws:backup:recovery-point:{n}-and-a-long-end-that-all-of-them-have")).collect();
        let short = told_apart(&names, 10);
        assert!(short[0] != short[1] && short[1] != short[2] && short[0].chars().count() < names[0].len(), "{short:?}");
        assert_eq!(told_apart(&["the same".into(), "the same".into()], 5), ["t…ame", "t…ame"]);
        let dated: Vec<String> = (1..4).map(|day| format!("copies/daily/2026-01-0{day}/of-the-directory-with-a-long-name.db")).collect();
        assert_eq!(told_apart(&dated, 16), ["…2026-01-01/of-…", "…2026-01-02/of-…", "…2026-01-03/of-…"]);
    }

    proptest! {
        #[test]
        fn whatever_the_names_they_fit_or_differ(texts in proptest::collection::vec("\\PC{0,40}", 0..6), width in 1..50_usize) {
            for text in &texts {
                prop_assert!(middle(text, width).chars().count() <= width);
                prop_assert!(wrapped(text, 4, 30).iter().all(|line| line.chars().count() <= 30 || !line.trim_start_matches(' ').contains(' ')));
                prop_assert_eq!(wrapped(text, 0, 30).join(" "), text.clone());
            }
            let short = told_apart(&texts, width);
            for (a, b) in texts.iter().zip(&short) {
                for (c, d) in texts.iter().zip(&short) {
                    prop_assert_eq!(a == c, b == d);
                }
            }
        }
    }
}
