//! DynamoDB JSON, as exports write it, straight into canonical bytes: one pass, nothing allocated but what has to be unescaped.
//!
//! A name that comes twice in one object is refused, since nobody can say which of the two was meant. Any bytes give a result or a [`BadLine`], never
//! a panic (the tests feed it whatever they can think of).
//!
//! Not here: JSON's own grammar (`reader`).

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::verify::items::canonical::{self, BadItem, DEEPEST};
use crate::verify::items::item::{Attribute, Item, KeySchema};
use crate::verify::items::reader::{BadLine, Reader};

/// Where a top-level attribute lies in the encoding: its name's bytes, and the whole of length, name and value.
#[derive(Clone, Copy, Debug)]
struct Chunk {
    start: usize,
    name_end: usize,
    end: usize,
}

/// Encodes items from JSON; its buffers are reused.
#[derive(Default)]
pub struct Encoder {
    out: Vec<u8>,
    chunks: Vec<Chunk>,
    scratch: Vec<u8>,
    /// Where the elements of the set that is read lie; sets do not hold sets.
    elements: Vec<(usize, usize)>,
}

impl Encoder {
    /// Encodes the object that `reader` stands before; only `keep` of its top-level attributes where that is given.
    pub fn item(&mut self, reader: &mut Reader<'_>, keep: Option<&[String]>) -> Result<(), BadLine> {
        self.out.clear();
        self.chunks.clear();
        self.map(reader, 0)?;
        if let Some(keep) = keep {
            let out = &self.out;
            self.chunks.retain(|chunk| keep.iter().any(|name| name.as_bytes() == &out[chunk.start + 8..chunk.name_end]));
            self.scratch.clear();
            canonical::put_u64(self.chunks.len(), &mut self.scratch);
            for chunk in &mut self.chunks {
                let moved = self.scratch.len();
                self.scratch.extend_from_slice(&self.out[chunk.start..chunk.end]);
                *chunk = Chunk { start: moved, name_end: moved + chunk.name_end - chunk.start, end: moved + chunk.end - chunk.start };
            }
            std::mem::swap(&mut self.out, &mut self.scratch);
        }
        Ok(())
    }

    /// The canonical bytes of the item.
    pub fn bytes(&self) -> &[u8] {
        &self.out
    }

    /// The canonical bytes of a top-level attribute's value, tag included.
    pub fn attribute(&self, name: &str) -> Option<&[u8]> {
        let chunk = self.chunks.iter().find(|chunk| &self.out[chunk.start + 8..chunk.name_end] == name.as_bytes())?;
        Some(&self.out[chunk.name_end..chunk.end])
    }

    /// Appends the canonical primary key of the item.
    pub fn key(&self, schema: &KeySchema, out: &mut Vec<u8>) -> Result<(), BadItem> {
        canonical::put_u64(schema.0.len(), out);
        for name in &schema.0 {
            let own = |chunk: &&Chunk| &self.out[chunk.start + 8..chunk.name_end] == name.as_bytes();
            let chunk = self.chunks.iter().find(own).ok_or_else(|| BadItem::NoKey(name.clone()))?;
            out.extend_from_slice(&self.out[chunk.start..chunk.end]);
        }
        Ok(())
    }

    /// Appends a map and leaves its chunks at the end of `chunks`; the caller of a nested map drops them.
    fn map(&mut self, reader: &mut Reader<'_>, depth: usize) -> Result<(), BadLine> {
        let (base, first) = (self.out.len(), self.chunks.len());
        canonical::put_u64(0, &mut self.out);
        let mut sorted = true;
        reader.expect(b'{', "an object")?;
        if !reader.eat(b'}') {
            loop {
                let name = reader.string()?;
                reader.expect(b':', "`:`")?;
                let start = self.out.len();
                canonical::put_bytes(name.as_bytes(), &mut self.out);
                let name_end = self.out.len();
                self.value(reader, depth)?;
                sorted &= self
                    .chunks
                    .last()
                    .filter(|_| self.chunks.len() > first)
                    .is_none_or(|before| self.out[before.start + 8..before.name_end] < self.out[start + 8..name_end]);
                self.chunks.push(Chunk { start, name_end, end: self.out.len() });
                if !reader.eat(b',') {
                    break;
                }
            }
            reader.expect(b'}', "`,` or `}`")?;
        }
        let count = (self.chunks.len() - first) as u64;
        self.out[base..base + 8].copy_from_slice(&count.to_be_bytes());
        if sorted { Ok(()) } else { self.sort(base, first) }
    }

    /// Puts the chunks from `first` on, which lie behind the count at `base`, into the order of their names.
    fn sort(&mut self, base: usize, first: usize) -> Result<(), BadLine> {
        let out = &self.out;
        let name = |chunk: &Chunk| &out[chunk.start + 8..chunk.name_end];
        self.chunks[first..].sort_unstable_by(|a, b| name(a).cmp(name(b)));
        if let Some(twice) = self.chunks[first..].windows(2).find(|pair| name(&pair[0]) == name(&pair[1])) {
            return Err(BadLine::Twice(String::from_utf8_lossy(name(&twice[0])).into_owned()));
        }
        self.scratch.clear();
        let start_of_all = base + 8;
        for chunk in &mut self.chunks[first..] {
            let moved = start_of_all + self.scratch.len();
            self.scratch.extend_from_slice(&self.out[chunk.start..chunk.end]);
            *chunk = Chunk { start: moved, name_end: moved + chunk.name_end - chunk.start, end: moved + chunk.end - chunk.start };
        }
        self.out[start_of_all..].copy_from_slice(&self.scratch);
        Ok(())
    }

    fn value(&mut self, reader: &mut Reader<'_>, depth: usize) -> Result<(), BadLine> {
        if depth > DEEPEST {
            return Err(BadItem::TooDeep.into());
        }
        reader.expect(b'{', "a typed value")?;
        let kind = reader.string()?;
        reader.expect(b':', "`:`")?;
        match kind.as_ref() {
            "S" => canonical::put_tagged(0x11, reader.string()?.as_bytes(), &mut self.out)?,
            "N" => {
                self.out.push(0x10);
                canonical::encode_number(&reader.string()?, &mut self.out)?;
            }
            "B" => {
                self.out.push(0x12);
                binary(&mut self.out, reader)?;
            }
            "BOOL" => self.out.push(if reader.boolean()? { 0x03 } else { 0x02 }),
            "NULL" => {
                reader.boolean()?;
                self.out.push(0x01);
            }
            "SS" => {
                self.set(reader, 0x20, |out, reader| canonical::put_tagged(0x11, reader.string()?.as_bytes(), out).map_err(BadLine::from))?
            }
            "NS" => self.set(reader, 0x21, |out, reader| {
                out.push(0x10);
                Ok(canonical::encode_number(&reader.string()?, out)?)
            })?,
            "BS" => self.set(reader, 0x22, |out, reader| {
                out.push(0x12);
                binary(out, reader)
            })?,
            "L" => {
                let base = self.out.len() + 1;
                self.out.push(0x30);
                canonical::put_u64(0, &mut self.out);
                let mut count = 0u64;
                reader.each(|reader| {
                    count += 1;
                    self.value(reader, depth + 1)
                })?;
                self.out[base..base + 8].copy_from_slice(&count.to_be_bytes());
            }
            "M" => {
                self.out.push(0x31);
                let first = self.chunks.len();
                self.map(reader, depth + 1)?;
                self.chunks.truncate(first);
            }
            _ => return Err(reader.wrong("a type of DynamoDB's: S, N, B, BOOL, NULL, SS, NS, BS, L or M")),
        }
        reader.expect(b'}', "the end of a typed value")
    }

    /// Appends a set: its elements as `each` appends them, put into the order of their bytes.
    fn set(
        &mut self,
        reader: &mut Reader<'_>,
        tag: u8,
        each: impl Fn(&mut Vec<u8>, &mut Reader<'_>) -> Result<(), BadLine>,
    ) -> Result<(), BadLine> {
        self.out.push(tag);
        let base = self.out.len();
        canonical::put_u64(0, &mut self.out);
        self.elements.clear();
        reader.each(|reader| {
            let start = self.out.len();
            each(&mut self.out, reader)?;
            self.elements.push((start, self.out.len()));
            Ok(())
        })?;
        let count = self.elements.len() as u64;
        self.out[base..base + 8].copy_from_slice(&count.to_be_bytes());
        let out = &self.out;
        let bytes = |element: &(usize, usize)| &out[element.0..element.1];
        if !self.elements.is_sorted_by(|a, b| bytes(a) <= bytes(b)) {
            self.elements.sort_unstable_by(|a, b| bytes(a).cmp(bytes(b)));
            self.scratch.clear();
            self.elements.iter().for_each(|element| self.scratch.extend_from_slice(bytes(element)));
            self.out[base + 8..].copy_from_slice(&self.scratch);
        }
        Ok(())
    }
}

/// Appends the length and the bytes of the base64 that `reader` stands before.
fn binary(out: &mut Vec<u8>, reader: &mut Reader<'_>) -> Result<(), BadLine> {
    let text = reader.string()?;
    let at = out.len();
    canonical::put_u64(0, out);
    STANDARD.decode_vec(text.as_bytes(), out).map_err(|_| reader.wrong("base64 before here"))?;
    let length = (out.len() - at - 8) as u64;
    out[at..at + 8].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

fn decode(text: &str, reader: &Reader<'_>) -> Result<Vec<u8>, BadLine> {
    STANDARD.decode(text.as_bytes()).map_err(|_| reader.wrong("base64 before here"))
}

/// The item that `reader` stands before, as values.
pub fn item(reader: &mut Reader<'_>) -> Result<Item, BadLine> {
    map(reader, 0)
}

fn map(reader: &mut Reader<'_>, depth: usize) -> Result<Item, BadLine> {
    let mut item = BTreeMap::new();
    reader.members(|name, reader| match item.insert(name.to_owned(), value(reader, depth)?) {
        None => Ok(()),
        Some(_) => Err(BadLine::Twice(name.to_owned())),
    })?;
    Ok(item)
}

fn value(reader: &mut Reader<'_>, depth: usize) -> Result<Attribute, BadLine> {
    if depth > DEEPEST {
        return Err(BadItem::TooDeep.into());
    }
    reader.expect(b'{', "a typed value")?;
    let kind = reader.string()?;
    reader.expect(b':', "`:`")?;
    let owned = |texts: Vec<Cow<'_, str>>| texts.into_iter().map(Cow::into_owned).collect();
    let value = match kind.as_ref() {
        "S" => Attribute::String(reader.string()?.into_owned()),
        "N" => Attribute::Number(reader.string()?.into_owned()),
        "B" => {
            let text = reader.string()?;
            Attribute::Binary(decode(&text, reader)?)
        }
        "BOOL" => Attribute::Bool(reader.boolean()?),
        "NULL" => {
            reader.boolean()?;
            Attribute::Null
        }
        "SS" => Attribute::StringSet(owned(reader.strings()?)),
        "NS" => Attribute::NumberSet(owned(reader.strings()?)),
        "BS" => {
            let texts = reader.strings()?;
            Attribute::BinarySet(texts.iter().map(|text| decode(text, reader)).collect::<Result<_, _>>()?)
        }
        "L" => {
            let mut list = Vec::new();
            reader.each(|reader| {
                list.push(self::value(reader, depth + 1)?);
                Ok(())
            })?;
            Attribute::List(list)
        }
        "M" => Attribute::Map(map(reader, depth + 1)?),
        _ => return Err(reader.wrong("a type of DynamoDB's: S, N, B, BOOL, NULL, SS, NS, BS, L or M")),
    };
    reader.expect(b'}', "the end of a typed value")?;
    Ok(value)
}
