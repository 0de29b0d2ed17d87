//! CSV as S3 writes it (RFC 4180): fields in quotes may hold commas, line breaks and doubled quotes. One record in memory.

use std::io::BufRead;

/// A record is never larger: a key has at most 1,024 bytes, and every byte may be spelled with three.
const RECORD_LIMIT_BYTES: usize = 1 << 20;

/// Records of a CSV file.
pub struct Records<R> {
    input: R,
    line: u64,
}

impl<R: BufRead> Records<R> {
    /// Reads `input` from its beginning.
    pub fn new(input: R) -> Self {
        Self { input, line: 0 }
    }

    /// The next record's fields; nothing at the end. Says what is wrong with it, and in which line it begins.
    pub fn next_record(&mut self) -> Result<Option<Vec<String>>, String> {
        let mut text = Vec::new();
        let begins = self.line + 1;
        loop {
            let before = text.len();
            let read = self.input.read_until(b'\n', &mut text).map_err(|error| format!("line {begins}: {error}"))?;
            if read == 0 && before == 0 {
                return Ok(None);
            }
            self.line += 1;
            if text.len() > RECORD_LIMIT_BYTES {
                return Err(format!("line {begins}: a record of more than {RECORD_LIMIT_BYTES} bytes"));
            }
            let open = text.iter().filter(|byte| **byte == b'"').count() % 2 == 1;
            if !open {
                break;
            }
            if read == 0 {
                return Err(format!("line {begins}: a quote is not closed"));
            }
        }
        let text = std::str::from_utf8(&text).map_err(|_| format!("line {begins}: not UTF-8"))?;
        let text = text.strip_suffix('\n').unwrap_or(text);
        fields(text.strip_suffix('\r').unwrap_or(text)).map(Some).map_err(|said| format!("line {begins}: {said}"))
    }
}

/// The fields of one record.
fn fields(record: &str) -> Result<Vec<String>, String> {
    let mut fields = Vec::new();
    let mut rest = record;
    loop {
        let Some(quoted) = rest.strip_prefix('"') else {
            let (field, more) = rest.split_once(',').map_or((rest, None), |(field, more)| (field, Some(more)));
            if field.contains('"') {
                return Err("a quote within a field that does not begin with one".into());
            }
            fields.push(field.to_owned());
            match more {
                Some(more) => rest = more,
                None => return Ok(fields),
            }
            continue;
        };
        let mut field = String::new();
        let mut inner = quoted;
        loop {
            let (piece, after) = inner.split_once('"').ok_or("a quote is not closed")?;
            field.push_str(piece);
            match after.strip_prefix('"') {
                Some(more) => {
                    field.push('"');
                    inner = more;
                }
                None => {
                    inner = after;
                    break;
                }
            }
        }
        fields.push(field);
        match inner.strip_prefix(',') {
            Some(more) => rest = more,
            None if inner.is_empty() => return Ok(fields),
            None => return Err("text after a closing quote".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(text: &str) -> Result<Vec<Vec<String>>, String> {
        let mut records = Records::new(text.as_bytes());
        let mut found = Vec::new();
        while let Some(record) = records.next_record()? {
            found.push(record);
        }
        Ok(found)
    }

    #[test]
    fn quotes_hold_commas_line_breaks_and_quotes() {
        assert_eq!(all("\"a\",\"b,\"\"c\"\"\nd\",e\r\n,\n").unwrap(), [vec!["a", "b,\"c\"\nd", "e"], vec!["", ""]]);
        assert_eq!(all("").unwrap(), Vec::<Vec<String>>::new());
        for bad in ["\"a", "\"a\"b", "a\"b\""] {
            assert!(all(bad).unwrap_err().starts_with("line 1"), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(records in prop::collection::vec(prop::collection::vec(any::<String>(), 1..4), 0..4)) {
            let spell = |field: &String| format!("\"{}\"", field.replace('"', "\"\""));
            let text: String = records.iter().map(|record| record.iter().map(spell).collect::<Vec<_>>().join(",") + "\n").collect();
            prop_assert_eq!(all(&text).unwrap(), records);
        }

        #[test]
        fn any_bytes_are_records_or_a_mistake(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut records = Records::new(bytes.as_slice());
            while let Ok(Some(_)) = records.next_record() {}
        }
    }
}
