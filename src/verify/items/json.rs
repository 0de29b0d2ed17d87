//! DynamoDB JSON, as exports write it, straight into canonical bytes: one pass, nothing allocated but what has to be unescaped.
//!
//! A name that comes twice in one object is refused, since nobody can say which of the two was meant. Any bytes give a result or a [`BadLine`], never
//! a panic (the tests feed it whatever they can think of).
//!
//! Not here: JSON's own grammar (`reader`).

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::verify::items::canonical::{self, BadItem, DEEPEST};
use crate::verify::items::item::{Attribute, Item, KeySchema};
use crate::verify::items::reader::{BadLine, Kind, Reader};

/// Where an attribute lies in the encoding: its name's bytes, and the whole of length, name and value.
#[derive(Clone, Copy, Debug)]
struct Chunk {
    /// The first eight bytes of the name as one number, zeros after a shorter one: what decides the order at most times.
    head: u64,
    start: usize,
    name_end: usize,
    end: usize,
}

impl Chunk {
    fn of(out: &[u8], start: usize, name_end: usize) -> Self {
        let name = &out[start + 8..];
        let length = name_end - start - 8;
        let head = match name.first_chunk::<8>() {
            Some(head) if length >= 8 => u64::from_be_bytes(*head),
            // What follows the name is cut off.
            Some(head) if length > 0 => u64::from_be_bytes(*head) & (u64::MAX << (64 - 8 * length)),
            _ => name[..length].iter().take(8).enumerate().fold(0, |head, (at, byte)| head | u64::from(*byte) << (56 - 8 * at)),
        };
        Self { head, start, name_end, end: out.len() }
    }

    fn name<'a>(&self, out: &'a [u8]) -> &'a [u8] {
        &out[self.start + 8..self.name_end]
    }

    #[inline]
    fn cmp(&self, other: &Self, out: &[u8]) -> Ordering {
        self.head.cmp(&other.head).then_with(|| self.name(out).cmp(other.name(out)))
    }
}

/// How a member of the item before began, from its name up to what its value holds: `"pk":{"S":`. Items of a table resemble each other, and the
/// same bytes in the same place mean the same, so one comparison stands for reading them.
#[derive(Default)]
struct Beginning {
    text: Vec<u8>,
    kind: Kind,
    /// The length of the name and the name, as they are encoded.
    name: Vec<u8>,
}

/// Members whose beginnings are kept: an item may have many thousands.
const MOST_BEGINNINGS: usize = 256;
/// Longer ones are read each time.
const LONGEST_BEGINNING: usize = 128;

/// Encodes items from JSON; its buffers are reused.
#[derive(Default)]
pub struct Encoder {
    /// The top-level attributes as they came; what they hold is encoded already.
    out: Vec<u8>,
    /// The top-level attributes in the order of their names; those of maps that are being read behind them.
    chunks: Vec<Chunk>,
    scratch: Vec<u8>,
    /// Where the elements of the set that is read lie; sets do not hold sets.
    elements: Vec<(usize, usize)>,
    /// Of the item before, in the order of its text, whatever map they are of.
    beginnings: Vec<Beginning>,
    /// Members of this item so far.
    member: usize,
    /// Where the attributes of the item before stood in its text, in the order of their names.
    order: Vec<usize>,
    moved: Vec<Chunk>,
}

impl Encoder {
    /// Reads the object that `reader` stands before; only `keep` of its top-level attributes where that is given.
    pub fn item(&mut self, reader: &mut Reader<'_>, keep: Option<&[String]>) -> Result<(), BadLine> {
        self.out.clear();
        self.chunks.clear();
        self.member = 0;
        self.members(reader, 0)?;
        if let Some(keep) = keep {
            let out = &self.out;
            self.chunks.retain(|chunk| keep.iter().any(|name| name.as_bytes() == chunk.name(out)));
        }
        Ok(())
    }

    /// Appends the canonical bytes of the item.
    pub fn append(&self, to: &mut Vec<u8>) {
        to.reserve(8 + self.out.len());
        canonical::put_u64(self.chunks.len(), to);
        self.chunks.iter().for_each(|chunk| to.extend_from_slice(&self.out[chunk.start..chunk.end]));
    }

    /// The canonical bytes of a top-level attribute's value, tag included.
    pub fn attribute(&self, name: &str) -> Option<&[u8]> {
        let chunk = self.chunks.iter().find(|chunk| chunk.name(&self.out) == name.as_bytes())?;
        Some(&self.out[chunk.name_end..chunk.end])
    }

    /// Appends the canonical primary key of the item.
    pub fn key(&self, schema: &KeySchema, to: &mut Vec<u8>) -> Result<(), BadItem> {
        canonical::put_u64(schema.0.len(), to);
        for name in &schema.0 {
            let own = |chunk: &&Chunk| chunk.name(&self.out) == name.as_bytes();
            let chunk = self.chunks.iter().find(own).ok_or_else(|| BadItem::NoKey(name.clone()))?;
            to.extend_from_slice(&self.out[chunk.start..chunk.end]);
        }
        Ok(())
    }

    /// Appends the members of an object as they come; their chunks go to the end of `chunks`, in the order of their names. True where that is
    /// the order that they came in.
    fn members(&mut self, reader: &mut Reader<'_>, depth: usize) -> Result<bool, BadLine> {
        let first = self.chunks.len();
        reader.expect(b'{', "an object")?;
        if reader.eat(b'}') {
            return Ok(true);
        }
        let mut sorted = true;
        loop {
            let start = self.out.len();
            let kind = self.beginning(reader)?;
            let name_end = self.out.len();
            self.held(kind, reader, depth)?;
            let chunk = Chunk::of(&self.out, start, name_end);
            sorted &= self.chunks[first..].last().is_none_or(|before| before.cmp(&chunk, &self.out) == Ordering::Less);
            self.chunks.push(chunk);
            if !reader.eat(b',') {
                break;
            }
        }
        reader.expect(b'}', "`,` or `}`")?;
        if sorted {
            return Ok(true);
        }
        if depth == 0 && self.sort_as_before() {
            return Ok(false);
        }
        let (out, chunks) = (&self.out, &mut self.chunks[first..]);
        if depth == 0 {
            self.order.clear();
            self.order.extend(0..chunks.len());
            self.order.sort_unstable_by(|a, b| chunks[*a].cmp(&chunks[*b], out));
        }
        chunks.sort_unstable_by(|a, b| a.cmp(b, out));
        match chunks.windows(2).find(|pair| pair[0].cmp(&pair[1], out) == Ordering::Equal) {
            Some(twice) => Err(BadLine::Twice(String::from_utf8_lossy(twice[0].name(out)).into_owned())),
            None => Ok(false),
        }
    }

    /// Puts the top-level chunks into the order that those of the item before had; true where that is the order of their names.
    fn sort_as_before(&mut self) -> bool {
        if self.order.len() != self.chunks.len() {
            return false;
        }
        self.moved.clear();
        self.moved.extend(self.order.iter().map(|at| self.chunks[*at]));
        let sorted = self.moved.is_sorted_by(|a, b| a.cmp(b, &self.out) == Ordering::Less);
        if sorted {
            std::mem::swap(&mut self.chunks, &mut self.moved);
        }
        sorted
    }

    /// Reads a member up to what its value holds, and appends its name.
    #[inline]
    fn beginning(&mut self, reader: &mut Reader<'_>) -> Result<Kind, BadLine> {
        let at = self.member;
        self.member += 1;
        if let Some(known) = self.beginnings.get(at)
            && reader.eat_all(&known.text)
        {
            self.out.extend_from_slice(&known.name);
            return Ok(known.kind);
        }
        self.new_beginning(at, reader)
    }

    fn new_beginning(&mut self, at: usize, reader: &mut Reader<'_>) -> Result<Kind, BadLine> {
        let (text, start) = (reader.rest(), self.out.len());
        let name = reader.string()?;
        reader.expect(b':', "`:`")?;
        canonical::put_bytes(name.as_bytes(), &mut self.out);
        let kind = reader.kind()?;
        let length = text.len() - reader.rest().len();
        if at < MOST_BEGINNINGS && length <= LONGEST_BEGINNING {
            // A member that was not kept leaves its place empty: what is empty is not known.
            self.beginnings.resize_with(self.beginnings.len().max(at + 1), Beginning::default);
            let known = &mut self.beginnings[at];
            known.text.clear();
            known.text.extend_from_slice(&text[..length]);
            known.kind = kind;
            known.name.clear();
            known.name.extend_from_slice(&self.out[start..]);
        }
        Ok(kind)
    }

    /// Appends a map within an item, without its tag.
    fn map(&mut self, reader: &mut Reader<'_>, depth: usize) -> Result<(), BadLine> {
        let (base, first) = (self.out.len(), self.chunks.len());
        canonical::put_u64(0, &mut self.out);
        let sorted = self.members(reader, depth)?;
        let count = (self.chunks.len() - first) as u64;
        self.out[base..base + 8].copy_from_slice(&count.to_be_bytes());
        if !sorted {
            self.scratch.clear();
            self.chunks[first..].iter().for_each(|chunk| self.scratch.extend_from_slice(&self.out[chunk.start..chunk.end]));
            self.out[base + 8..].copy_from_slice(&self.scratch);
        }
        self.chunks.truncate(first);
        Ok(())
    }

    fn value(&mut self, reader: &mut Reader<'_>, depth: usize) -> Result<(), BadLine> {
        let kind = reader.kind()?;
        self.held(kind, reader, depth)
    }

    /// Appends the value of which `reader` has read as much as tells its kind.
    fn held(&mut self, kind: Kind, reader: &mut Reader<'_>, depth: usize) -> Result<(), BadLine> {
        if depth > DEEPEST {
            return Err(BadItem::TooDeep.into());
        }
        match kind {
            Kind::S => canonical::put_tagged(0x11, reader.string()?.as_bytes(), &mut self.out)?,
            Kind::N => {
                self.out.push(0x10);
                canonical::encode_number(&reader.string()?, &mut self.out)?;
            }
            Kind::B => {
                self.out.push(0x12);
                binary(&mut self.out, reader)?;
            }
            Kind::Bool => self.out.push(if reader.boolean()? { 0x03 } else { 0x02 }),
            Kind::Null => {
                reader.boolean()?;
                self.out.push(0x01);
            }
            Kind::Ss => {
                self.set(reader, 0x20, |out, reader| canonical::put_tagged(0x11, reader.string()?.as_bytes(), out).map_err(BadLine::from))?
            }
            Kind::Ns => self.set(reader, 0x21, |out, reader| {
                out.push(0x10);
                Ok(canonical::encode_number(&reader.string()?, out)?)
            })?,
            Kind::Bs => self.set(reader, 0x22, |out, reader| {
                out.push(0x12);
                binary(out, reader)
            })?,
            Kind::L => {
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
            Kind::M => {
                self.out.push(0x31);
                self.map(reader, depth + 1)?;
            }
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
    let owned = |texts: Vec<Cow<'_, str>>| texts.into_iter().map(Cow::into_owned).collect();
    let value = match reader.kind()? {
        Kind::S => Attribute::String(reader.string()?.into_owned()),
        Kind::N => Attribute::Number(reader.string()?.into_owned()),
        Kind::B => {
            let text = reader.string()?;
            Attribute::Binary(decode(&text, reader)?)
        }
        Kind::Bool => Attribute::Bool(reader.boolean()?),
        Kind::Null => {
            reader.boolean()?;
            Attribute::Null
        }
        Kind::Ss => Attribute::StringSet(owned(reader.strings()?)),
        Kind::Ns => Attribute::NumberSet(owned(reader.strings()?)),
        Kind::Bs => {
            let texts = reader.strings()?;
            Attribute::BinarySet(texts.iter().map(|text| decode(text, reader)).collect::<Result<_, _>>()?)
        }
        Kind::L => {
            let mut list = Vec::new();
            reader.each(|reader| {
                list.push(self::value(reader, depth + 1)?);
                Ok(())
            })?;
            Attribute::List(list)
        }
        Kind::M => Attribute::Map(map(reader, depth + 1)?),
    };
    reader.expect(b'}', "the end of a typed value")?;
    Ok(value)
}
