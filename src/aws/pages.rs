//! Listings that end. A service that repeats a token, or answers page after page of what it has listed already, would be asked for ever.
//!
//! Not here: the listings of S3's objects, which may be too long to remember (`s3_listing`), and scans of tables.

use std::collections::BTreeSet;

use crate::model::failure::{Failure, FailureKind};

/// So many pages in a row may be empty: services document that a page may be, and is not the last for that.
const EMPTY_IN_A_ROW: u32 = 100;

/// The pages of one listing.
#[derive(Debug)]
pub struct Pages {
    call: String,
    number: u64,
    empty: u32,
    tokens: BTreeSet<String>,
    names: BTreeSet<String>,
}

impl Pages {
    /// Of `call`, such as `rds:DescribeDBSnapshots crm`.
    pub fn of(call: impl Into<String>) -> Self {
        Self { call: call.into(), number: 0, empty: 0, tokens: BTreeSet::new(), names: BTreeSet::new() }
    }

    /// The call, for its failures.
    pub fn call(&self) -> &str {
        &self.call
    }

    /// The token to ask for the next page with, after one that listed `names`; nothing after the last one.
    ///
    /// # Errors
    /// [`FailureKind::Remote`] where there is a next page, and this one brought nothing that the pages before it had not.
    pub fn next<N: AsRef<str>>(&mut self, token: Option<String>, names: impl IntoIterator<Item = N>) -> Result<Option<String>, Failure> {
        self.number += 1;
        let (mut listed, mut fresh) = (0, 0);
        for name in names {
            listed += 1;
            fresh += u64::from(self.names.insert(name.as_ref().to_owned()));
        }
        // An empty token is none.
        let Some(token) = token.filter(|token| !token.is_empty()) else { return Ok(None) };
        self.empty = if listed == 0 { self.empty + 1 } else { 0 };
        let why = if listed > 0 && fresh == 0 {
            "lists only what was listed before it"
        } else if self.empty > EMPTY_IN_A_ROW {
            "is empty, as are all of the hundred before it"
        } else if !self.tokens.insert(token.clone()) {
            "leads to a page that was listed already"
        } else {
            return Ok(Some(token));
        };
        let message = format!("{}: its pages do not end: page {} {why}, and more are said to follow", self.call, self.number);
        Err(Failure::new(FailureKind::Remote, message).hint("what answers there does not list as AWS does: nothing is made of half a list"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(pages: &[(&[&str], &str)]) -> Result<usize, String> {
        let mut listing = Pages::of("rds:List");
        for (at, (names, token)) in pages.iter().enumerate() {
            match listing.next(Some((*token).to_owned()), *names) {
                Ok(None) => return Ok(at + 1),
                Ok(Some(next)) => assert_eq!(next, *token),
                Err(failure) => return Err(failure.message),
            }
        }
        panic!("it goes on");
    }

    #[test]
    fn a_page_that_brings_nothing_new_is_no_page_of_a_listing() {
        assert_eq!(ends(&[(&["a", "b"], "1"), (&["b", "c"], "2"), (&[], "3"), (&["d"], "")]), Ok(4));
        assert_eq!(ends(&[(&["a"], "")]), Ok(1));
        // What ends may repeat: it does no harm.
        assert_eq!(ends(&[(&["a"], "1"), (&["a"], "")]), Ok(2));
        let same = ends(&[(&["a", "b"], "1"), (&["b", "a"], "2")]).unwrap_err();
        assert!(same.contains("rds:List: its pages do not end: page 2 lists only what was listed"), "{same}");
        assert!(ends(&[(&["a"], "1"), (&["b"], "2"), (&["c"], "1")]).unwrap_err().contains("page 3 leads to a page"));
        let tokens: Vec<String> = (0..200).map(|n| n.to_string()).collect();
        let empty: Vec<(&[&str], &str)> = tokens.iter().map(|token| (&[][..], token.as_str())).collect();
        assert!(ends(&empty).unwrap_err().contains("page 101 is empty"));
    }
}
