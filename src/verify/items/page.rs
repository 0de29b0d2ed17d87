//! A page of what is read: items as values, or as text that nobody has taken apart yet: lines of an export, answers of Scan.

use crate::model::failure::{Failure, FailureKind};
use crate::verify::items::item::Item;
use crate::verify::items::json;
use crate::verify::items::reader::{BadLine, Reader};

/// What a page holds.
#[derive(Clone, PartialEq, Debug)]
pub enum Records {
    /// Items as values.
    Items(Vec<Item>),
    /// Lines of a full export, each `{"Item": {…}}`.
    Lines(Lines),
    /// Items as an answer holds them, each `{…}`.
    Objects(Objects),
}

/// Lines with a `\n` between them, found once.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Lines {
    text: Vec<u8>,
    /// Where each one lies.
    spans: Vec<(usize, usize)>,
}

impl Lines {
    /// The lines of `text`; empty ones are none.
    pub fn of(text: Vec<u8>) -> Self {
        let mut start = 0;
        let ends = memchr::memchr_iter(b'\n', &text).chain(std::iter::once(text.len()));
        let spans = ends.map(|end| (std::mem::replace(&mut start, end + 1), end)).filter(|(start, end)| start < end).collect();
        Self { text, spans }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.spans.len()
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> + Send {
        self.spans.iter().map(|(start, end)| &self.text[*start..*end])
    }
}

/// Items in DynamoDB JSON within one text.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Objects {
    text: String,
    /// Where each one lies.
    spans: Vec<(usize, usize)>,
}

impl Objects {
    /// Those that lie in `text` at `spans`, which are bounds of characters within it.
    pub fn of(text: String, spans: Vec<(usize, usize)>) -> Self {
        Self { text, spans }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.spans.len()
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = &str> + Send {
        self.spans.iter().map(|(start, end)| &self.text[*start..*end])
    }
}

/// Where a segment goes on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Next {
    /// Nowhere: this was its last page.
    End,
    /// After this position, in the source's own words; a scan can begin again there.
    After(String),
    /// Further, but it cannot begin again here.
    Onward,
}

/// One page of one segment.
#[derive(Clone, PartialEq, Debug)]
pub struct Page {
    /// What it holds; nothing is not the end.
    pub records: Records,
    /// Where the segment goes on.
    pub next: Next,
    /// Read capacity units that it cost, where the service says so.
    pub consumed_rcu: Option<f64>,
}

impl Page {
    /// Items that cost nothing that is known.
    pub fn of(items: Vec<Item>, next: Next) -> Self {
        Self { records: Records::Items(items), next, consumed_rcu: None }
    }
}

/// One item of a page.
#[derive(Clone, Copy, Debug)]
pub enum Record<'a> {
    /// As values.
    Item(&'a Item),
    /// As a line.
    Line(&'a [u8]),
    /// As an object of an answer.
    Object(&'a str),
}

impl Records {
    /// How many there are.
    pub fn count(&self) -> usize {
        match self {
            Self::Items(items) => items.len(),
            Self::Lines(lines) => lines.count(),
            Self::Objects(objects) => objects.count(),
        }
    }

    /// One after the other; empty lines are none.
    pub fn iter(&self) -> Box<dyn Iterator<Item = Record<'_>> + Send + '_> {
        match self {
            Self::Items(items) => Box::new(items.iter().map(Record::Item)),
            Self::Lines(lines) => Box::new(lines.iter().map(Record::Line)),
            Self::Objects(objects) => Box::new(objects.iter().map(Record::Object)),
        }
    }

    /// Only the attributes `keep` of items as values; text is cut where it is encoded.
    pub fn cut(&mut self, keep: &[String]) {
        if let Self::Items(items) = self {
            items.iter_mut().for_each(|item| item.retain(|name, _| keep.contains(name)));
        }
    }

    /// The items as values; what cannot be read is left out (the digest has told it).
    pub fn items(&self) -> Vec<Item> {
        self.iter().filter_map(|record| record.item().ok()).collect()
    }
}

impl Record<'_> {
    /// As values.
    pub fn item(&self) -> Result<Item, BadLine> {
        match self {
            Self::Item(item) => Ok((*item).clone()),
            Self::Object(text) => {
                let mut reader = Reader::new(text);
                let item = json::item(&mut reader)?;
                reader.end().map(|()| item)
            }
            Self::Line(line) => {
                let text = text_of(line)?;
                let mut reader = Reader::new(text);
                let mut item = None;
                reader.members(|name, reader| match name {
                    "Item" if item.is_none() => {
                        item = Some(json::item(reader)?);
                        Ok(())
                    }
                    "Item" => Err(BadLine::Twice(name.to_owned())),
                    _ => reader.skip().map(drop),
                })?;
                reader.end()?;
                item.ok_or_else(|| reader.wrong("a member `Item`"))
            }
        }
    }
}

/// A line as text.
pub fn text_of(line: &[u8]) -> Result<&str, BadLine> {
    std::str::from_utf8(line).map_err(|error| BadLine::Syntax { at: error.valid_up_to(), expected: "UTF-8" })
}

impl BadLine {
    /// As a failure of reading `what`.
    pub fn failure(self, what: &str) -> Failure {
        Failure::new(FailureKind::Remote, format!("{what}: {self}")).caused_by(self)
    }
}
