//! Every mistake in `attestore.toml` in one run: syntax, keys, values, what they mean together, and what they name on this machine.
//!
//! Not here: printing. `load` uses the same rules, so that what loads is what has been explained.

use std::path::Path;

use toml::de::DeTable;

use crate::estate::config::Config;
use crate::estate::mistake::{Mistake, Mistakes, Weight};
use crate::estate::schema::{ROOT, Walk};
use crate::estate::{ground, login_rules, rules, source_rules};

/// What a configuration is held against beside itself.
pub struct Surroundings<'a> {
    /// The configuration's directory, where its files are to be looked at; none: the text alone is judged.
    pub base: Option<&'a Path>,
    /// Names of the built-in check packs; none: names are not judged.
    pub packs: Option<&'a [&'a str]>,
    /// Whether this build can restore a `kind` `from` a source.
    pub has_driver: &'a dyn Fn(&str, &str) -> bool,
}

impl Surroundings<'_> {
    /// The text alone.
    pub const NONE: Surroundings<'static> = Surroundings { base: None, packs: None, has_driver: &|_, _| true };
}

/// Mistakes first, then notes, each in the order of the file. No [`Weight::Mistake`] among them means that the text loads.
pub fn explain(text: &str, around: &Surroundings<'_>) -> Vec<Mistake> {
    let mut mistakes = Mistakes::on(text);
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let span = error.span().map(|span| span.start.min(text.len())..span.end.min(text.len()));
        mistakes.add("", span, format!("not TOML: {}", error.message()));
    }
    let root = document.get_ref();
    let wrong_lines = mistakes.lines();
    Walk { mistakes: &mut mistakes, complete: errors.is_empty() }.table(root, None, ROOT, "");
    if errors.is_empty() {
        rules::apply(root, around.has_driver, &mut mistakes);
        source_rules::apply(root, &mut mistakes);
        login_rules::apply(root, &mut mistakes);
        if let Some(base) = around.base {
            ground::look(root, base, &mut mistakes);
            if let Some(packs) = around.packs {
                ground::look_for_packs(root, base, packs, &mut mistakes);
                ground::look_for_names(root, base, &mut mistakes);
            }
        }
    }
    let mut list = mistakes.finish();
    // A line that could not be parsed gives remarks of its own that are only echoes.
    list.retain(|mistake| mistake.key.is_empty() || !mistake.line.is_some_and(|line| wrong_lines.contains(&line)));
    if !list.iter().any(|mistake| mistake.weight == Weight::Mistake)
        && let Err(error) = toml::from_str::<Config>(text)
    {
        // The table of keys and the types are held alike by a test; should they part, the types still have the last word.
        let mut last = Mistakes::on(text);
        last.add("", error.span(), error.message());
        list.extend(last.finish());
    }
    list
}
