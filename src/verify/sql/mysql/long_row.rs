//! A row that is too long to be held: its large values are taken piece by piece, so that only their digests stay.
//!
//! Not here: rows that fit the read buffer (`rows`), and what values mean (`rows::mysql_decode`, `rows::large_value`).

use std::time::Duration;

use crate::verify::sql::connect::errors::Broken;
use crate::verify::sql::rows::canon::Row;
use crate::verify::sql::rows::large_value::{LargeValue, Payload};
use crate::verify::sql::rows::mysql_decode::{self, MysqlType};
use crate::verify::sql::rows::tag;
use crate::verify::sql::wire::mysql::channel::LARGEST;
use crate::verify::sql::wire::mysql::cursor::Cursor;
use crate::verify::sql::wire::mysql::error::WireError;
use crate::verify::sql::wire::mysql::pieces::Pieces;
use crate::verify::sql::wire::mysql::values::Shape;

/// Bytes that are digested at a time at most.
const PIECE: usize = 1 << 20;

/// Takes the row whose packet is `pieces` into `row`; `kinds` are the types and names of the columns that are asked for, `shapes` those of
/// all that are sent. Waits no longer than `silence` for each piece.
pub async fn take(
    pieces: Pieces<'_>,
    (kinds, shapes): (&[(&MysqlType, &str)], &[Shape]),
    row: &mut Row,
    silence: Duration,
) -> Result<(), Broken> {
    let mut long = LongRow { pieces, silence, room: Vec::new() };
    row.begin(kinds.len());
    if long.bytes(1).await? != [0] {
        return Err(broken(&format!("expected a row, found a packet of more than 8 MiB that begins with {:#04x}", long.room[0])));
    }
    let nulls = long.bytes(((shapes.len() + 9) / 8) as u64).await?.to_vec();
    for (at, shape) in shapes.iter().enumerate() {
        // The first two bits belong to no column.
        let (bit, kind) = (at + 2, kinds.get(at));
        let refused = |said: String| Broken::data(format!("column {}: {said}", kind.map_or("", |(_, name)| *name)));
        if nulls[bit / 8] >> (bit % 8) & 1 == 1 {
            kind.map_or(Ok(()), |(kind, _)| mysql_decode::field(kind, None, row)).map_err(refused)?;
            continue;
        }
        let length = long.length(*shape).await?;
        match kind.and_then(|(kind, _)| payload(kind)).filter(|_| LargeValue::is_large(length)) {
            Some(payload) => long.large(length, LargeValue::new(row, payload)).await?.finish(row).map_err(refused)?,
            None => {
                let bytes = long.more(length).await?;
                kind.map_or(Ok(()), |(kind, _)| mysql_decode::field(kind, Some(bytes), row)).map_err(refused)?;
            }
        }
    }
    if long.piece(1).await?.is_empty() { Ok(()) } else { Err(broken("a row that is longer than its values")) }
}

/// What the canonical form holds the digest of, where it is large.
fn payload(kind: &MysqlType) -> Option<Payload<'_>> {
    match kind {
        MysqlType::Text => Some(Payload::Text),
        MysqlType::Bytes => Some(Payload::Tagged(tag::BYTES)),
        MysqlType::Json => Some(Payload::Tagged(tag::JSONB)),
        MysqlType::Geometry => Some(Payload::Tagged(tag::GEOMETRY)),
        MysqlType::Opaque(name) => Some(Payload::Opaque(name)),
        _ => None,
    }
}

fn broken(said: &str) -> Broken {
    Broken::of_wire(&WireError::protocol(said))
}

struct LongRow<'a> {
    pieces: Pieces<'a>,
    silence: Duration,
    room: Vec<u8>,
}

impl LongRow<'_> {
    /// The next piece; empty at the row's end.
    async fn piece(&mut self, most: usize) -> Result<&[u8], Broken> {
        let arrived = tokio::time::timeout(self.silence, self.pieces.next(most)).await;
        arrived.map_err(|_| Broken::silent(self.silence))?.map_err(|error| Broken::of_wire(&error))
    }

    /// The next `count` bytes.
    async fn bytes(&mut self, count: u64) -> Result<&[u8], Broken> {
        self.room.clear();
        self.more(count).await
    }

    /// So many bytes more, behind those that the room has.
    async fn more(&mut self, count: u64) -> Result<&[u8], Broken> {
        // What is foreign gets no room before it is there.
        let end = usize::try_from(count).ok().filter(|count| *count <= LARGEST).map(|count| self.room.len() + count);
        let end = end.ok_or_else(|| broken("a row whose values are longer than it is"))?;
        while self.room.len() < end {
            let mut room = std::mem::take(&mut self.room);
            let piece = self.piece(end - room.len()).await?;
            if piece.is_empty() {
                return Err(broken("a row whose values are longer than it is"));
            }
            room.extend_from_slice(piece);
            self.room = room;
        }
        Ok(&self.room)
    }

    /// How many bytes of the next value follow; what precedes them and is part of it is in the room.
    async fn length(&mut self, shape: Shape) -> Result<u64, Broken> {
        let length = match shape {
            Shape::One => Some(1),
            Shape::Two => Some(2),
            Shape::Four => Some(4),
            Shape::Eight => Some(8),
            Shape::Null => None,
            Shape::Dated => return Ok(self.bytes(1).await?[0].into()),
            Shape::Sized => {
                let more = match self.bytes(1).await?[0] {
                    0xfc => 2,
                    0xfd => 3,
                    0xfe => 8,
                    _ => 0,
                };
                Cursor(self.more(more).await?).integer()
            }
        };
        self.room.clear();
        length.ok_or_else(|| broken("a row whose values are longer than it is"))
    }

    /// The next `length` bytes into `value`.
    async fn large(&mut self, length: u64, value: LargeValue) -> Result<LargeValue, Broken> {
        // Boxed: two kilobytes that would be part of every future around this one.
        let mut value = Box::new(value);
        while value.length() < length {
            let most = usize::try_from(length - value.length()).unwrap_or(PIECE).min(PIECE);
            let piece = self.piece(most).await?;
            if piece.is_empty() {
                return Err(broken("a row whose values are longer than it is"));
            }
            value.piece(piece);
        }
        Ok(*value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signing::hash_key::HashKey;
    use crate::verify::sql::rows::row_keys::RowKeys;
    use crate::verify::sql::wire::mysql::channel::{CONTINUED, Channel};
    use crate::verify::sql::wire::mysql::values::each_value;
    use proptest::prelude::*;
    use tokio::io::AsyncWriteExt;

    type Typed<'a> = (&'a MysqlType, &'a str);

    fn blank() -> Row {
        Row::new(&RowKeys::new(&HashKey::from_bytes([7; 32])))
    }

    /// One packet as a server sends it.
    fn sent(packet: &[u8]) -> Vec<u8> {
        let (mut bytes, mut number, mut rest) = (Vec::new(), 1u8, packet);
        loop {
            let (part, more) = rest.split_at(rest.len().min(CONTINUED));
            bytes.extend_from_slice(&(part.len() as u32).to_le_bytes()[..3]);
            bytes.push(number);
            bytes.extend_from_slice(part);
            (number, rest) = (number + 1, more);
            if part.len() < CONTINUED {
                return bytes;
            }
        }
    }

    async fn in_pieces(packet: &[u8], of: (&[Typed<'_>], &[Shape]), at_once: usize) -> Result<Vec<u8>, String> {
        let (near, mut far) = tokio::io::duplex(at_once);
        let mut channel = Channel::upgraded(Box::new(near), 1);
        let bytes = sent(packet);
        let feed = async move {
            let _ = far.write_all(&bytes).await;
        };
        let read = async move {
            let mut row = blank();
            take(Pieces::new(&mut channel), of, &mut row, Duration::from_secs(60)).await.map_err(|broken| broken.said)?;
            Ok(row.bytes().to_vec())
        };
        tokio::join!(feed, read).1
    }

    fn whole(packet: &[u8], (kinds, shapes): (&[Typed<'_>], &[Shape])) -> Vec<u8> {
        let mut row = blank();
        row.begin(kinds.len());
        each_value(shapes, packet, |at, value| mysql_decode::field(kinds[at].0, value, &mut row)).unwrap();
        row.bytes().to_vec()
    }

    fn run<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(work)
    }

    fn sized(bytes: &[u8]) -> Vec<u8> {
        let mut value = match bytes.len() {
            0..=0xfa => vec![bytes.len() as u8],
            0xfb..=0xffff => vec![0xfc, bytes.len() as u8, (bytes.len() >> 8) as u8],
            0x1_0000..=0xff_ffff => vec![0xfd, bytes.len() as u8, (bytes.len() >> 8) as u8, (bytes.len() >> 16) as u8],
            length => [&[0xfe][..], &(length as u64).to_le_bytes()].concat(),
        };
        value.extend_from_slice(bytes);
        value
    }

    const SHAPES: [Shape; 8] =
        [Shape::Eight, Shape::Sized, Shape::Dated, Shape::Sized, Shape::Sized, Shape::Two, Shape::Sized, Shape::Sized];

    fn kinds() -> [MysqlType; 8] {
        use MysqlType::*;
        [Signed, Text, Datetime, Bytes, Json, Signed, Geometry, Text]
    }

    fn packet(lengths: [usize; 5], null: Option<usize>) -> Vec<u8> {
        let text = |count: usize| "aé€𐍈".bytes().cycle().take(count).collect::<Vec<u8>>();
        let mut packet = vec![0; 1 + (SHAPES.len() + 9) / 8];
        let mut sizes = lengths.into_iter();
        for (at, shape) in SHAPES.into_iter().enumerate() {
            let value = match shape {
                Shape::Eight => vec![7; 8],
                Shape::Two => vec![1, 2],
                Shape::Dated => vec![4, 0xea, 7, 2, 1],
                _ => sized(&text(sizes.next().unwrap())),
            };
            match null == Some(at) {
                true => packet[1 + (at + 2) / 8] |= 1 << ((at + 2) % 8),
                false => packet.extend(value),
            }
        }
        packet
    }

    #[test]
    fn a_long_row_is_the_row_that_is_held_whole() {
        let kinds = kinds();
        let kinds: Vec<Typed<'_>> = kinds.iter().map(|kind| (kind, "c")).collect();
        let large = 8 << 20;
        for lengths in
            [[large, large + 1, 300, 70_000, 3], [2 * CONTINUED + 5, large + 9, CONTINUED, 0, large + 2], [5, 5, 5, large + 1, 5]]
        {
            for (null, at_once) in [(None, 1 << 20), (Some(3), 65_537), (Some(7), 4_099)] {
                let packet = packet(lengths, null);
                let of = (&kinds[..], &SHAPES[..]);
                assert!(run(in_pieces(&packet, of, at_once)).unwrap() == whole(&packet, of), "{lengths:?}, {null:?}");
            }
        }
    }

    proptest! {
        /// What is not large goes the same way, cut at any place; and a packet that is cut or goes on is refused.
        #[test]
        fn rows_cut_anywhere(lengths in prop::array::uniform5(0usize..400), null in prop::option::of(0usize..8), at_once in 1usize..90, cut in any::<prop::sample::Index>()) {
            let kinds = kinds();
            let kinds: Vec<Typed<'_>> = kinds.iter().map(|kind| (kind, "c")).collect();
            let (packet, of) = (packet(lengths, null), (&kinds[..], &SHAPES[..]));
            prop_assert_eq!(run(in_pieces(&packet, of, at_once)).unwrap(), whole(&packet, of));
            let shorter = run(in_pieces(&packet[..cut.index(packet.len())], of, at_once));
            prop_assert!(shorter.is_err_and(|said| said.contains("longer than it is")));
            let longer = run(in_pieces(&[&packet[..], &[0]].concat(), of, at_once));
            prop_assert!(longer.is_err_and(|said| said.contains("longer than its values")));
        }

        #[test]
        fn any_bytes_are_a_row_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), begins in any::<bool>()) {
            let kinds = kinds();
            let kinds: Vec<Typed<'_>> = kinds.iter().map(|kind| (kind, "c")).collect();
            let packet = if begins { [&[0; 4], &bytes[..]].concat() } else { bytes };
            let _ = run(in_pieces(&packet, (&kinds[..], &SHAPES[..]), 64));
        }
    }
}
