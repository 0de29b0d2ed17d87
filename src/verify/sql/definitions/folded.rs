//! One form of what PostgreSQL prints of an expression.
//!
//! A server that reads its own print again makes another tree of it: `(ARRAY[a, b])::text[]`, which is how `x IN ('a', 'b')` over a
//! `varchar` is printed, is read as `ARRAY[(a)::text, (b)::text]`, and printed so from then on. A table that was restored from a dump would
//! be another one than the table that was dumped; here both are of the second form, which the server does not change again.
//!
//! Not here: what is printed, and by which server (`postgres`, and the catalogue of tables).

use serde_json::Value;

/// The text with each cast of a list of elements on the elements; the strings within it where it is an object in JSON. What stands in
/// quotes is left as it is.
pub fn folded(text: &str) -> String {
    match serde_json::from_str::<Value>(text) {
        Ok(mut parts @ Value::Object(_)) => {
            each_string(&mut parts);
            parts.to_string()
        }
        _ => expression(text),
    }
}

fn each_string(value: &mut Value) {
    match value {
        Value::String(text) => *text = expression(text),
        Value::Array(list) => list.iter_mut().for_each(each_string),
        Value::Object(members) => members.values_mut().for_each(each_string),
        _ => {}
    }
}

fn expression(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        if let Some((instead, after)) = cast_of_list(rest) {
            out.push_str(&instead);
            rest = after;
            continue;
        }
        let end = token(rest, &out);
        out.push_str(&rest[..end]);
        rest = &rest[end..];
    }
    out
}

/// The length of what `text` begins with: a whole quoted part, or one character; `before` is what comes before it.
fn token(text: &str, before: &str) -> usize {
    let Some(first) = text.chars().next() else { return 0 };
    let last = before.chars().next_back();
    let in_name = |c: char| c.is_alphanumeric() || c == '_';
    match first {
        '\'' => {
            let escapes = last == Some('E') && !before[..before.len() - 1].chars().next_back().is_some_and(in_name);
            quoted(text, '\'', escapes)
        }
        '"' => quoted(text, '"', false),
        '$' if !last.is_some_and(in_name) => match text[1..].find('$') {
            Some(at) if text[1..=at].chars().all(in_name) => {
                let tag = &text[..at + 2];
                text[tag.len()..].find(tag).map_or(text.len(), |end| tag.len() * 2 + end)
            }
            _ => 1,
        },
        other => other.len_utf8(),
    }
}

/// The length of a quoted part, in which a doubled quote is one of its characters; all of `text` where it does not end.
fn quoted(text: &str, quote: char, escapes: bool) -> usize {
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = characters.next() {
        if escapes && c == '\\' {
            characters.next();
        } else if c == quote {
            if characters.peek().is_none_or(|(_, next)| *next != quote) {
                return at + c.len_utf8();
            }
            characters.next();
        }
    }
    text.len()
}

/// `(ARRAY[…])::TYPE[]` at the beginning of `text` in its other form, and what follows it.
fn cast_of_list(text: &str) -> Option<(String, &str)> {
    let (inside, after) = list(text.strip_prefix('(')?)?;
    let after = after.strip_prefix(")::")?;
    let (kind, after) = element_type(after)?;
    Some((with_casts(inside, kind), after))
}

/// What stands between the brackets of the list that `text` begins with, and what follows it.
fn list(text: &str) -> Option<(&str, &str)> {
    let inside = text.strip_prefix("ARRAY[")?;
    let end = *stops(inside).last().filter(|end| inside[**end..].starts_with(']'))?;
    Some((&inside[..end], &inside[end + 1..]))
}

/// Where the commas of a list are, of which `text` is what follows its bracket, and at last the bracket that ends it.
fn stops(text: &str) -> Vec<usize> {
    let (mut found, mut depth, mut at) = (Vec::new(), 0_usize, 0);
    while at < text.len() {
        match text.as_bytes()[at] {
            b',' if depth == 0 => found.push(at),
            b']' if depth == 0 => {
                found.push(at);
                return found;
            }
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += token(&text[at..], &text[..at]).max(1);
    }
    found
}

/// The name of a type with what limits it, before `[]`, and what follows these.
fn element_type(text: &str) -> Option<(&str, &str)> {
    let mut at = 0;
    loop {
        let rest = &text[at..];
        if let Some(after) = rest.strip_prefix("[]") {
            return (at > 0).then_some((&text[..at], after));
        }
        at += match rest.chars().next()? {
            '"' => quoted(rest, '"', false),
            '(' => rest.find(')').filter(|end| rest[1..*end].chars().all(|c| c.is_ascii_digit() || c == ','))? + 1,
            c if c.is_alphanumeric() || matches!(c, '_' | ' ' | '.') => c.len_utf8(),
            _ => return None,
        };
    }
}

fn with_casts(inside: &str, kind: &str) -> String {
    let mut ends = stops(inside);
    ends.push(inside.len());
    let mut begin = 0;
    let mut elements = Vec::new();
    for end in ends {
        let element = inside[begin..end].trim();
        begin = (end + 1).min(inside.len());
        elements.push(match list(element) {
            Some((within, "")) => with_casts(within, kind),
            _ => format!("({})::{kind}", expression(element)),
        });
    }
    format!("ARRAY[{}]", elements.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_prints_before_and_after_a_dump_is_one() {
        for (before, after) in [
            (
                "CHECK (((status)::text = ANY ((ARRAY['new'::character varying, 'a,]b''('::character varying])::text[])))",
                "CHECK (((status)::text = ANY (ARRAY[('new'::character varying)::text, ('a,]b''('::character varying)::text])))",
            ),
            (
                "(ARRAY[a, NULL::character varying])::character varying(10)[]",
                "ARRAY[(a)::character varying(10), (NULL::character varying)::character varying(10)]",
            ),
            (
                "(ARRAY[ARRAY[a, b], ARRAY[f(c, d[1]), e]])::\"S \"\"[]\".t[]",
                "ARRAY[ARRAY[(a)::\"S \"\"[]\".t, (b)::\"S \"\"[]\".t], ARRAY[(f(c, d[1]))::\"S \"\"[]\".t, (e)::\"S \"\"[]\".t]]",
            ),
            ("x = ANY ((ARRAY[(ARRAY[é])::text[]])::t[])", "x = ANY (ARRAY[(ARRAY[(é)::text])::t])"),
            (
                "{\"f1\":\"(ARRAY[a])::text[]\",\"f2\":[1,\"(ARRAY[b])::text[]\"]}",
                "{\"f1\":\"ARRAY[(a)::text]\",\"f2\":[1,\"ARRAY[(b)::text]\"]}",
            ),
        ] {
            assert_eq!((folded(before), folded(after)), (after.to_owned(), after.to_owned()));
        }
    }

    #[test]
    fn other_text_stays_as_it_is() {
        for text in [
            "",
            "'(ARRAY[a])::text[]'",
            "E'\\'(ARRAY[a])::text[]'",
            "\"(ARRAY[a])::text[]\"",
            "AS $function$ x IN (ARRAY[a])::text[] $function$",
            "(ARRAY[a])::text",
            "(ARRAY[a])",
            "(ARRAY[a",
            "(ARRAY[a])::(x)[]",
            "ARRAY['a'::text]",
            "$1 + '",
            "[1, 2]",
        ] {
            assert_eq!(folded(text), text);
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_of_any_text_is_lost(text in "(\\(|\\(ARRAY\\[|ARRAY\\[|\\]|\\)::|text\\[\\]|'|\"|\\$|\\$a|,| |é|x|E|\\\\|\\{){0,40}") {
            let of = |text: &str| text.matches(['x', 'é', '\'']).count();
            proptest::prop_assert_eq!(of(&folded(&text)), of(&text));
        }
    }
}
