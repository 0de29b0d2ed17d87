//! Which keys are looked at: patterns with `*`, `**`, `?` and `[…]` over whole keys.
//!
//! `*` and `?` stop at a slash, `**` does not; a backslash takes the next character as it is. A key is covered where one of the
//! includes matches it (or there is none) and none of the excludes does.

use std::str::FromStr;

use crate::model::failure::Failure;

/// One element of a pattern.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Token {
    /// Exactly this character.
    One(char),
    /// `?`
    Any,
    /// `[…]`: ranges, and whether it is any other.
    Class(Vec<(char, char)>, bool),
    /// `*`
    Run,
    /// `**`
    Deep,
}

/// A pattern over whole keys.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pattern {
    text: String,
    tokens: Vec<Token>,
}

impl Pattern {
    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it matches all of `key`. Takes time in proportion to the product of both lengths, whatever the pattern.
    pub fn matches(&self, key: &str) -> bool {
        // reached[i]: the tokens before i can match what was read so far.
        let mut reached = vec![false; self.tokens.len() + 1];
        reached[0] = true;
        self.pass_runs(&mut reached);
        for character in key.chars() {
            let mut next = vec![false; reached.len()];
            for (index, token) in self.tokens.iter().enumerate().filter(|(index, _)| reached[*index]) {
                match token {
                    Token::One(one) => next[index + 1] |= *one == character,
                    Token::Any => next[index + 1] |= character != '/',
                    Token::Class(ranges, negated) => {
                        let within = ranges.iter().any(|(low, high)| (*low..=*high).contains(&character));
                        next[index + 1] |= within != *negated && character != '/';
                    }
                    Token::Run => next[index] |= character != '/',
                    Token::Deep => next[index] = true,
                }
            }
            self.pass_runs(&mut next);
            reached = next;
        }
        reached[self.tokens.len()]
    }

    /// Runs may be empty.
    fn pass_runs(&self, reached: &mut [bool]) {
        for (index, token) in self.tokens.iter().enumerate() {
            if reached[index] && matches!(token, Token::Run | Token::Deep) {
                reached[index + 1] = true;
            }
        }
    }
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("an empty pattern matches nothing".into());
        }
        let mut tokens = Vec::new();
        let mut rest = text.chars().peekable();
        while let Some(character) = rest.next() {
            tokens.push(match character {
                '*' if rest.next_if_eq(&'*').is_some() => Token::Deep,
                '*' => Token::Run,
                '?' => Token::Any,
                '\\' => Token::One(rest.next().ok_or_else(|| format!("pattern `{text}`: nothing after the last backslash"))?),
                '[' => class(&mut rest).ok_or_else(|| format!("pattern `{text}`: a `[` without its `]`; write `\\[` for the character"))?,
                other => Token::One(other),
            });
        }
        Ok(Self { text: text.to_owned(), tokens })
    }
}

fn class(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<Token> {
    let negated = rest.next_if(|c| matches!(c, '!' | '^')).is_some();
    let mut ranges = Vec::new();
    loop {
        let low = match rest.next()? {
            ']' if !ranges.is_empty() => return Some(Token::Class(ranges, negated)),
            '\\' => rest.next()?,
            other => other,
        };
        if rest.peek() != Some(&'-') {
            ranges.push((low, low));
            continue;
        }
        rest.next();
        match rest.next()? {
            ']' => {
                ranges.extend([(low, low), ('-', '-')]);
                return Some(Token::Class(ranges, negated));
            }
            high => ranges.push((low, high)),
        }
    }
}

/// Includes and excludes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Filter {
    /// One of these must match; none: all keys.
    pub include: Vec<Pattern>,
    /// None of these may match.
    pub exclude: Vec<Pattern>,
}

impl Filter {
    /// The filter of these patterns.
    pub fn new(include: &[String], exclude: &[String]) -> Result<Self, Failure> {
        let parse = |texts: &[String]| texts.iter().map(|text| text.parse()).collect::<Result<Vec<Pattern>, String>>();
        let wrong = |error: String| {
            Failure::invalid(error).hint("`*` and `?` stop at a slash, `**` does not; a backslash takes what follows as it is")
        };
        Ok(Self { include: parse(include).map_err(wrong)?, exclude: parse(exclude).map_err(wrong)? })
    }

    /// True where every key is covered.
    pub fn is_empty(&self) -> bool {
        self.include.is_empty() && self.exclude.is_empty()
    }

    /// Whether `key` is covered.
    pub fn covers(&self, key: &str) -> bool {
        (self.include.is_empty() || self.include.iter().any(|pattern| pattern.matches(key)))
            && !self.exclude.iter().any(|pattern| pattern.matches(key))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, key: &str) -> bool {
        pattern.parse::<Pattern>().unwrap().matches(key)
    }

    #[test]
    fn stars_stop_at_slashes_and_double_stars_do_not() {
        assert!(matches("*.pdf", "a.pdf") && !matches("*.pdf", "x/a.pdf") && matches("**.pdf", "x/y/a.pdf"));
        assert!(matches("logs/**/x?.[a-c]", "logs/1/2/xé.b") && !matches("logs/**/x?.[a-c]", "logs/1/x/.b"));
        assert!(matches("[!a-c]", "d") && !matches("[!a-c]", "b") && matches("[]x]", "]") && matches("[a-]", "-"));
        assert!(matches("a\\*b", "a*b") && !matches("a\\*b", "axb") && matches("new\nline*", "new\nline\u{1}"));
        assert!("[abc".parse::<Pattern>().is_err() && "x\\".parse::<Pattern>().is_err() && "".parse::<Pattern>().is_err());
    }

    #[test]
    fn a_hostile_pattern_takes_no_time() {
        assert!(!matches(&"*a".repeat(200), &"a".repeat(150)));
        assert!(matches(&"**a".repeat(100), "a/".repeat(150).trim_end_matches('/')));
    }

    #[test]
    fn excludes_win() {
        let filter = Filter::new(&["a/**".into()], &["**.tmp".into()]).unwrap();
        assert!(filter.covers("a/b") && !filter.covers("b") && !filter.covers("a/x.tmp"));
        assert!(Filter::default().covers("anything"));
    }

    /// The naive model: tries every way.
    fn naive(tokens: &[Token], key: &[char]) -> bool {
        match (tokens.split_first(), key.split_first()) {
            (None, rest) => rest.is_none(),
            (Some((Token::Run, more)), rest) => naive(more, key) || rest.is_some_and(|(c, key)| *c != '/' && naive(tokens, key)),
            (Some((Token::Deep, more)), rest) => naive(more, key) || rest.is_some_and(|(_, key)| naive(tokens, key)),
            (Some(_), None) => false,
            (Some((Token::One(one), more)), Some((c, key))) => one == c && naive(more, key),
            (Some((Token::Any, more)), Some((c, key))) => *c != '/' && naive(more, key),
            (Some((Token::Class(ranges, negated), more)), Some((c, key))) => {
                ranges.iter().any(|(low, high)| low <= c && c <= high) != *negated && *c != '/' && naive(more, key)
            }
        }
    }

    proptest! {
        #[test]
        fn it_agrees_with_trying_every_way(pattern in "[ab/*?]{1,8}", key in "[ab/]{0,8}") {
            let parsed: Pattern = pattern.parse().unwrap();
            prop_assert_eq!(parsed.matches(&key), naive(&parsed.tokens, &key.chars().collect::<Vec<_>>()));
        }

        #[test]
        fn any_text_is_a_pattern_or_a_mistake(pattern in any::<String>(), key in any::<String>()) {
            if let Ok(pattern) = pattern.parse::<Pattern>() {
                pattern.matches(&key);
            }
        }
    }
}
