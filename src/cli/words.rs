//! Names that others chose, made fit for a line of a terminal: nothing that draws, nothing that cannot be seen, nothing wider than asked.

use crate::report::words::unseen;

/// Text on one line: control characters and invisible ones are escaped.
pub fn plain(text: &str) -> String {
    let escaped = |c: char| if c.is_control() { c.escape_default().collect() } else { unseen(c) };
    text.chars().map(escaped).collect()
}

/// A key, row or item: as [`plain`], and in quotes where its blanks would be lost on the eye (at an end, or several in a row).
pub fn place(text: &str) -> String {
    let plain = plain(text);
    let is_lost = text.is_empty() || text.starts_with(char::is_whitespace) || text.ends_with(char::is_whitespace) || text.contains("  ");
    if is_lost { format!("\"{}\"", plain.replace('\\', "\\\\").replace('"', "\\\"")) } else { plain }
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

/// Each of `texts` in as few characters as tell them apart, and at least `width` of them; texts that are the same stay the same.
pub fn told_apart(texts: &[String], width: usize) -> Vec<String> {
    let distinct = |texts: &[String]| texts.iter().collect::<std::collections::BTreeSet<_>>().len();
    let longest = texts.iter().map(|text| text.chars().count()).max().unwrap_or(0);
    let wanted = distinct(texts);
    let mut width = width;
    loop {
        let short: Vec<String> = texts.iter().map(|text| middle(text, width)).collect();
        if width >= longest || distinct(&short) == wanted {
            return short;
        }
        width += 1;
    }
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

/// How wide lines for people on stderr may be: the terminal's width, else `COLUMNS`, else 120.
pub fn width() -> usize {
    let terminal = rustix::termios::tcgetwinsize(std::io::stderr()).ok().map(|size| usize::from(size.ws_col));
    let named = || std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
    terminal.filter(|width| *width > 0).or_else(named).unwrap_or(120).clamp(60, 1000)
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
    fn names_keep_what_tells_them_apart() {
        assert_eq!(middle("abcdefghij", 7), "ab…ghij");
        let names: Vec<String> =
            (0..3).map(|n| format!("arn:aws:backup:recovery-point:{n}-and-a-long-end-that-all-of-them-have")).collect();
        let short = told_apart(&names, 10);
        assert!(short[0] != short[1] && short[1] != short[2] && short[0].chars().count() < names[0].len(), "{short:?}");
        assert_eq!(told_apart(&["same".into(), "same".into()], 2), ["…e", "…e"]);
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
