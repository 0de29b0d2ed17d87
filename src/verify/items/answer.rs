//! What Scan answers, in DynamoDB JSON, as a page (DynamoDB API Reference, Scan, Response Syntax): where its items lie, where the segment goes on,
//! and what it cost. The items stay text until they are digested.
//!
//! Not here: how it was asked for (`aws`).

use crate::verify::items::item::Attribute;
use crate::verify::items::json;
use crate::verify::items::page::{Next, Objects, Page, Records};
use crate::verify::items::reader::{BadLine, Reader};

/// The page in an answer's body.
///
/// # Errors
/// Where it is no answer of Scan: not JSON, another number of items than its `Count`, a `LastEvaluatedKey` that is no key.
pub fn page(body: Vec<u8>) -> Result<Page, BadLine> {
    let text = String::from_utf8(body).map_err(|error| BadLine::Syntax { at: error.utf8_error().valid_up_to(), expected: "UTF-8" })?;
    let mut reader = Reader::new(&text);
    let (mut spans, mut count, mut consumed_rcu, mut next) = (None, None, None, Next::End);
    reader.members(|name, reader| {
        match name {
            "Items" if spans.is_none() => spans = Some(items(reader)?),
            "LastEvaluatedKey" if next == Next::End => next = position(reader)?,
            "Count" if count.is_none() => count = whole(reader)?,
            "ConsumedCapacity" if consumed_rcu.is_none() => consumed_rcu = units(reader)?,
            "Items" | "LastEvaluatedKey" | "Count" | "ConsumedCapacity" => return Err(BadLine::Twice(name.to_owned())),
            _ => drop(reader.skip()?),
        }
        Ok(())
    })?;
    reader.end()?;
    let spans = spans.unwrap_or_default();
    if count.is_some_and(|count| count != spans.len()) {
        return Err(reader.wrong("as many items as `Count` says"));
    }
    Ok(Page { records: Records::Objects(Objects::of(text, spans)), next, consumed_rcu })
}

/// Where each item lies.
fn items(reader: &mut Reader<'_>) -> Result<Vec<(usize, usize)>, BadLine> {
    if reader.null() {
        return Ok(Vec::new());
    }
    let mut spans = Vec::with_capacity(1024);
    reader.each(|reader| {
        spans.push(reader.skip_object()?);
        Ok(())
    })?;
    Ok(spans)
}

/// The key that the segment goes on after, as it stands; an empty one is none: going on from it would begin again.
fn position(reader: &mut Reader<'_>) -> Result<Next, BadLine> {
    if reader.null() {
        return Ok(Next::End);
    }
    let text = reader.skip()?;
    let key = json::item(&mut Reader::new(text))?;
    if !key.values().all(|value| matches!(value, Attribute::String(_) | Attribute::Number(_) | Attribute::Binary(_))) {
        return Err(reader.wrong("a LastEvaluatedKey of strings, numbers and binaries before here"));
    }
    Ok(if key.is_empty() { Next::End } else { Next::After(text.to_owned()) })
}

fn whole(reader: &mut Reader<'_>) -> Result<Option<usize>, BadLine> {
    if reader.null() {
        return Ok(None);
    }
    let text = reader.skip()?;
    text.parse().map(Some).map_err(|_| reader.wrong("a number of items before here"))
}

fn units(reader: &mut Reader<'_>) -> Result<Option<f64>, BadLine> {
    if reader.null() {
        return Ok(None);
    }
    let mut units = None;
    reader.members(|name, reader| {
        let text = reader.skip()?;
        if name == "CapacityUnits" && text != "null" {
            let said: f64 = text.parse().map_err(|_| reader.wrong("a number of capacity units before here"))?;
            units = Some(said).filter(|said| said.is_finite() && *said >= 0.0);
        }
        Ok(())
    })?;
    Ok(units)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(text: &str) -> Result<Page, BadLine> {
        page(text.as_bytes().to_vec())
    }

    #[test]
    fn an_answer_is_a_page() {
        let text = r#"{"Count":2,"Items":[{"pk":{"S":"a}]\"\\"}}, {"pk":{"L":[{"M":{}}]}} ],"ScannedCount":9,
            "ConsumedCapacity":{"TableName":"t","CapacityUnits":128.5},"LastEvaluatedKey":{"pk":{"S":"a}]\"\\"},"n":{"N":"1.50"}}}"#;
        let found = of(text).unwrap();
        let Records::Objects(objects) = &found.records else { panic!() };
        assert_eq!(objects.iter().collect::<Vec<_>>(), [r#"{"pk":{"S":"a}]\"\\"}}"#, r#"{"pk":{"L":[{"M":{}}]}}"#]);
        assert_eq!(found.next, Next::After(r#"{"pk":{"S":"a}]\"\\"},"n":{"N":"1.50"}}"#.into()));
        assert_eq!(found.consumed_rcu, Some(128.5));
        for empty in [
            "{}",
            r#"{"Items":null,"LastEvaluatedKey":null,"Count":null,"ConsumedCapacity":null}"#,
            r#"{"Items":[],"LastEvaluatedKey":{}}"#,
        ] {
            let found = of(empty).unwrap();
            assert_eq!((found.records.count(), found.next, found.consumed_rcu), (0, Next::End, None), "{empty}");
        }
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        for bad in [
            "",
            "[]",
            r#"{"Items":[{"pk":{"S":"a"}}]"#,
            r#"{"Items":[{"pk":{"S":"a"}}],"Count":2}"#,
            r#"{"Items":[{"pk":{"S":"a"}},{"pk"#,
            r#"{"Items":[{"pk":{"S":"a"}}]} {"#,
            r#"{"Items":[1]}"#,
            r#"{"Items":[],"Items":[]}"#,
            r#"{"Items":[],"LastEvaluatedKey":{"pk":{"L":[]}}}"#,
            r#"{"Items":[],"LastEvaluatedKey":"pk"}"#,
            r#"{"Items":[],"Count":-1}"#,
            r#"{"Items":[],"ConsumedCapacity":{"CapacityUnits":"many"}}"#,
        ] {
            assert!(of(bad).is_err(), "{bad}");
        }
        assert!(page(vec![b'{', 0xff, b'}']).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_page_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let _ = page(bytes);
            let mut body = br#"{"Count":1,"Items":[{"pk":{"S":"\u00e9\"x"},"n":{"NS":["1","2"]}}],"LastEvaluatedKey":{"pk":{"S":"a"}}}"#.to_vec();
            let at = at.index(body.len());
            body[at] = byte;
            if let Ok(page) = page(body) {
                // Every item that was found can be taken up, and is read or refused.
                for record in page.records.iter() {
                    let _ = record.item();
                }
            }
        }
    }
}
