//! A mistake in the configuration: where it is, what is allowed, what was found, and the nearest known name.
//!
//! Not here: what counts as a mistake (`schema`, `rules`), and where it is printed.

use std::fmt::Write;
use std::ops::Range;

use serde_json::{Map, Value, json};

/// How much a remark weighs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Weight {
    /// The configuration cannot be used.
    Mistake,
    /// Worth knowing; nothing has to change.
    Note,
}

/// One remark on the configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mistake {
    /// Mistake or note.
    pub weight: Weight,
    /// The key that it is about, such as `resource[2].points[0].vault`; empty for the file as a whole.
    pub key: String,
    /// Byte range in the file; absent for what is not there.
    pub span: Option<Range<usize>>,
    /// Line, counted from 1.
    pub line: Option<usize>,
    /// Column in characters, counted from 1.
    pub column: Option<usize>,
    /// One sentence.
    pub message: String,
    /// What was found.
    pub found: Option<String>,
    /// What is allowed there.
    pub allowed: Option<String>,
    /// The nearest known name.
    pub nearest: Option<String>,
    /// What to do.
    pub hint: Option<String>,
    /// True where the line may hold a secret: it is pointed at and never repeated.
    pub secret: bool,
}

impl Mistake {
    /// The same with what was found.
    pub fn found(&mut self, found: impl Into<String>) -> &mut Self {
        self.found = Some(cut(&found.into()));
        self
    }

    /// The same with what is allowed.
    pub fn allowed(&mut self, allowed: impl Into<String>) -> &mut Self {
        self.allowed = Some(allowed.into());
        self
    }

    /// The same with the nearest of `known` to `found`, where one is near enough.
    pub fn nearest_of<'a>(&mut self, found: &str, known: impl IntoIterator<Item = &'a str>) -> &mut Self {
        self.nearest = nearest(found, known).map(str::to_owned);
        self
    }

    /// The same, and the line is never repeated.
    pub fn secret(&mut self) -> &mut Self {
        self.secret = true;
        self
    }

    /// The same with what to do.
    pub fn hint(&mut self, hint: impl Into<String>) -> &mut Self {
        self.hint = Some(hint.into());
        self
    }

    /// One JSON object for `config check --json`.
    pub fn to_json(&self, file: &str) -> Value {
        let mut line = Map::new();
        line.insert("event".into(), json!(if self.weight == Weight::Mistake { "mistake" } else { "note" }));
        line.insert("file".into(), json!(file));
        line.insert("message".into(), json!(self.message));
        let mut put = |name: &str, value: Option<Value>| value.map(|value| line.insert(name.into(), value));
        put("key", (!self.key.is_empty()).then(|| json!(self.key)));
        put("line", self.line.map(|n| json!(n)));
        put("column", self.column.map(|n| json!(n)));
        put("found", self.found.as_ref().map(|text| json!(text)));
        put("allowed", self.allowed.as_ref().map(|text| json!(text)));
        put("nearest", self.nearest.as_ref().map(|text| json!(text)));
        put("hint", self.hint.as_ref().map(|text| json!(text)));
        Value::Object(line)
    }

    /// As a compiler would say it, with the line of `text` that it is about; no final newline.
    pub fn render(&self, file: &str, text: &str) -> String {
        let word = if self.weight == Weight::Mistake { "error" } else { "note" };
        let mut out = format!("{word}: {}", self.message);
        let place = match (self.line, self.column) {
            (Some(line), Some(column)) => format!("{file}:{line}:{column}"),
            _ => file.to_owned(),
        };
        let margin = self.line.map_or(1, |line| line.to_string().len());
        let _ = write!(out, "\n{:margin$}--> {place}", "");
        if let (Some(line), Some(column), Some(span)) = (self.line, self.column, &self.span)
            && !self.secret
            && let Some(source) = text.lines().nth(line - 1)
        {
            let shown: String = source.chars().map(|c| if c.is_control() { ' ' } else { c }).take(160).collect();
            let marked = text.get(span.clone()).unwrap_or("").lines().next().unwrap_or("").chars().count().clamp(1, 100);
            let _ = write!(
                out,
                "\n{:margin$} |\n{line} | {shown}\n{:margin$} | {:indent$}{}",
                "",
                "",
                "",
                "^".repeat(marked),
                indent = column - 1
            );
        }
        let parts = [("found", &self.found), ("allowed", &self.allowed), ("hint", &self.hint)];
        for (name, value) in parts {
            if let Some(value) = value {
                let _ = write!(out, "\n{:margin$} = {name}: {value}", "");
            }
        }
        if let Some(nearest) = &self.nearest {
            let _ = write!(out, "\n{:margin$} = did you mean `{nearest}`?", "");
        }
        out
    }
}

/// The remarks on one text.
pub struct Mistakes<'a> {
    text: &'a str,
    line_starts: Vec<usize>,
    list: Vec<Mistake>,
}

impl<'a> Mistakes<'a> {
    /// None yet.
    pub fn on(text: &'a str) -> Self {
        let line_starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { text, line_starts, list: Vec::new() }
    }

    /// A mistake about `key`.
    pub fn add(&mut self, key: &str, span: Option<Range<usize>>, message: impl Into<String>) -> &mut Mistake {
        self.put(Weight::Mistake, key, span, message.into())
    }

    /// A note about `key`.
    pub fn note(&mut self, key: &str, span: Option<Range<usize>>, message: impl Into<String>) -> &mut Mistake {
        self.put(Weight::Note, key, span, message.into())
    }

    fn put(&mut self, weight: Weight, key: &str, span: Option<Range<usize>>, message: String) -> &mut Mistake {
        let (line, column) = span.as_ref().map(|span| self.position(span.start)).unzip();
        self.list.push(Mistake {
            weight,
            key: key.to_owned(),
            span,
            line,
            column,
            message,
            found: None,
            allowed: None,
            nearest: None,
            hint: None,
            secret: false,
        });
        self.list.last_mut().expect("just pushed")
    }

    /// Line and column of a byte offset, both counted from 1.
    fn position(&self, offset: usize) -> (usize, usize) {
        let line = self.line_starts.partition_point(|start| *start <= offset).max(1);
        let start = self.line_starts[line - 1];
        let column = self.text.get(start..offset).map_or(1, |before| before.chars().count() + 1);
        (line, column)
    }

    /// The lines that have mistakes already.
    pub fn lines(&self) -> Vec<usize> {
        self.list.iter().filter_map(|mistake| mistake.line).collect()
    }

    /// How many remarks there are.
    pub fn count(&self) -> usize {
        self.list.len()
    }

    /// True when `key` has been found wrong already, so that a further rule need not speak of it.
    pub fn has(&self, key: &str) -> bool {
        self.list.iter().any(|mistake| mistake.weight == Weight::Mistake && mistake.key == key)
    }

    /// All of them: mistakes before notes, each in the order of the file.
    pub fn finish(mut self) -> Vec<Mistake> {
        self.list.sort_by_key(|mistake| (mistake.weight, mistake.line.unwrap_or(usize::MAX), mistake.column));
        self.list
    }
}

/// The name among `known` that `found` was most probably meant to be.
pub fn nearest<'a>(found: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A long text is no misspelt name, and the measure takes time with the square of its length.
    if found.chars().count() > 80 {
        return None;
    }
    let found = found.to_lowercase().replace('_', "-");
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&found, &name.to_lowercase().replace('_', "-")), name))
        .filter(|(distance, name)| *distance <= (name.chars().count() / 3).max(1))
        .min()
        .map(|(_, name)| name)
}

fn cut(text: &str) -> String {
    let mut shown: String = text.chars().take(120).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().count() > 120 {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_near() {
        let known = ["region", "profile", "endpoint", "backup_role_arn"];
        assert_eq!(nearest("regoin", known), Some("region"));
        assert_eq!(nearest("backup-role-arn", known), Some("backup_role_arn"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest(&"x".repeat(100_000), known), None);
    }

    #[test]
    fn rendered_with_its_line() {
        let text = "a = 1\n  bé = 2\n";
        let mut mistakes = Mistakes::on(text);
        let at = text.find("2").unwrap();
        mistakes.add("b", Some(at..at + 1), "wrong").found("2").allowed("3").nearest_of("foo", ["fo"]);
        let rendered = mistakes.finish()[0].render("f.toml", text);
        assert_eq!(
            rendered,
            "error: wrong\n --> f.toml:2:8\n  |\n2 |   bé = 2\n  |        ^\n  = found: 2\n  = allowed: 3\n  = did you mean `fo`?"
        );
    }
}
