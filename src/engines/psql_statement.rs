//! A statement of SQL as far as a dump's loading has to know it: its first and its last tokens.
//!
//! Not here: where it begins and ends (`psql_lexer`).

use std::collections::VecDeque;

/// So many tokens of a statement's beginning are kept.
pub const FIRST: usize = 48;
/// So many of its end.
pub const LAST: usize = 12;
/// So many bytes of each.
pub const TOKEN: usize = 1 << 10;

/// A part of a statement. What is too long or no UTF-8 is an empty one of its kind, and the statement is not whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// A bare word or a number, as written.
    Word(String),
    /// A name, without its quotes.
    Name(String),
    /// A string, without its quotes; escapes of `E'…'` stand as they are.
    Text(String),
    /// `$…$`, whose content is not kept.
    Body,
    /// Any other character.
    Sign(char),
}

impl Token {
    /// True for this keyword.
    pub fn is(&self, keyword: &str) -> bool {
        matches!(self, Self::Word(word) if word.eq_ignore_ascii_case(keyword))
    }

    /// The object or role that it names, as the server stores it.
    pub fn name(&self) -> Option<String> {
        match self {
            Self::Word(word) => Some(word.to_ascii_lowercase()),
            Self::Name(name) => Some(name.clone()),
            _ => None,
        }
        .filter(|name| !name.is_empty())
    }

    /// The role that it names: without quotes, some words stand for whoever asks, for everybody or for nobody.
    pub fn role(&self) -> Option<String> {
        const STAND_FOR_ROLES: &[&str] = &["public", "default", "current_user", "session_user", "current_role", "user", "none"];
        self.name().filter(|_| !STAND_FOR_ROLES.iter().any(|word| self.is(word)))
    }
}

/// A statement up to its semicolon.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statement {
    /// Its first tokens.
    pub first: Vec<Token>,
    /// Those after them, the last ones.
    pub last: VecDeque<Token>,
    /// A token was left out or shortened.
    pub shortened: bool,
    /// `COPY … FROM stdin`: data follows.
    pub takes_data: bool,
}

impl Statement {
    /// True when it begins with these keywords.
    pub fn begins(&self, keywords: &str) -> bool {
        let mut tokens = self.first.iter();
        keywords.split(' ').all(|keyword| tokens.next().is_some_and(|token| token.is(keyword)))
    }

    /// The tokens that were kept.
    pub fn tokens(&self) -> impl DoubleEndedIterator<Item = &Token> {
        self.first.iter().chain(&self.last)
    }

    /// Puts a token behind the others.
    pub fn push(&mut self, token: Token) {
        if self.first.len() < FIRST {
            self.first.push(token);
            return;
        }
        if self.last.len() == LAST {
            self.last.pop_front();
            self.shortened = true;
        }
        self.last.push_back(token);
    }
}
