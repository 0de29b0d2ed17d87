//! Values of a row of the binary protocol, cut out where they lie.
//!
//! Formats: "Binary Protocol Resultset Row" and "Binary Protocol Value" of the MySQL client/server protocol documentation. Pure.
//!
//! Not here: what the bytes mean (`rows::mysql_decode`).

use crate::verify::sql::wire::mysql::cursor::Cursor;
use crate::verify::sql::wire::mysql::error::WireError;
use crate::verify::sql::wire::mysql::packets::Definition;

/// How long values of a column are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    /// One byte.
    One,
    /// Two bytes.
    Two,
    /// Four bytes.
    Four,
    /// Eight bytes.
    Eight,
    /// As long as a length-encoded integer before them says.
    Sized,
    /// As long as one byte before them says, which is part of the value.
    Dated,
    /// Never there: the column is NULL by its type.
    Null,
}

impl Shape {
    /// By the type's number.
    pub fn of(definition: Definition) -> Result<Self, WireError> {
        Ok(match definition.type_number {
            // TINY; SHORT, YEAR; LONG, FLOAT, INT24; DOUBLE, LONGLONG.
            0x01 => Self::One,
            0x02 | 0x0d => Self::Two,
            0x03 | 0x04 | 0x09 => Self::Four,
            0x05 | 0x08 => Self::Eight,
            0x06 => Self::Null,
            // TIMESTAMP, DATE, TIME, DATETIME.
            0x07 | 0x0a..=0x0c => Self::Dated,
            // DECIMAL, VARCHAR, BIT; VECTOR of MySQL 9, JSON, NEWDECIMAL, ENUM, SET, the blobs, VAR_STRING, STRING, GEOMETRY.
            0x00 | 0x0f | 0x10 | 0xf2 | 0xf5..=0xff => Self::Sized,
            other => return Err(WireError::protocol(format!("a column of the unknown type {other:#04x}"))),
        })
    }

    #[inline]
    fn cut<'a>(self, cursor: &mut Cursor<'a>) -> Option<&'a [u8]> {
        match self {
            Self::One => cursor.take(1),
            Self::Two => cursor.take(2),
            Self::Four => cursor.take(4),
            Self::Eight => cursor.take(8),
            Self::Sized => cursor.sized(),
            Self::Dated => cursor.take(1 + usize::from(*cursor.0.first()?)),
            Self::Null => None,
        }
    }
}

/// Why a row was not taken.
#[derive(Debug)]
pub enum RowFault {
    /// Not a row of these columns.
    Wire(WireError),
    /// The value of the column with this number was not understood.
    Value(usize, String),
}

#[cold]
fn broken(said: &str) -> RowFault {
    RowFault::Wire(WireError::protocol(said))
}

/// Gives `each` the number and the bytes of every value, nothing for NULL, of a row whose packet is `packet`.
#[inline]
pub fn each_value<'a>(
    shapes: &[Shape],
    packet: &'a [u8],
    mut each: impl FnMut(usize, Option<&'a [u8]>) -> Result<(), String>,
) -> Result<(), RowFault> {
    let mut cursor = Cursor(packet);
    if cursor.u8() != Some(0) {
        return Err(broken("a row that does not begin as one"));
    }
    let Some(nulls) = cursor.take((shapes.len() + 9) / 8) else { return Err(broken("a row that is cut short")) };
    for (at, shape) in shapes.iter().enumerate() {
        // The first two bits belong to no column.
        let bit = at + 2;
        let value = if nulls[bit / 8] >> (bit % 8) & 1 == 1 {
            None
        } else {
            match shape.cut(&mut cursor) {
                Some(bytes) => Some(bytes),
                None => return Err(broken("a row whose values are longer than it is")),
            }
        };
        each(at, value).map_err(|said| RowFault::Value(at, said))?;
    }
    if cursor.0.is_empty() { Ok(()) } else { Err(broken("a row that is longer than its values")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: [Shape; 7] = [Shape::One, Shape::Two, Shape::Four, Shape::Eight, Shape::Sized, Shape::Dated, Shape::Null];

    /// The row that a server would send.
    fn packet(shapes: &[Shape], values: &[Option<Vec<u8>>]) -> Vec<u8> {
        let mut packet = vec![0; 1 + (shapes.len() + 9) / 8];
        for (at, (shape, value)) in shapes.iter().zip(values).enumerate() {
            let Some(value) = value else {
                packet[1 + (at + 2) / 8] |= 1 << ((at + 2) % 8);
                continue;
            };
            if *shape == Shape::Sized {
                packet.push(0xfc);
                packet.extend((value.len() as u16).to_le_bytes());
            }
            packet.extend(value);
        }
        packet
    }

    fn taken(shapes: &[Shape], packet: &[u8]) -> Result<Vec<Option<Vec<u8>>>, RowFault> {
        let mut values = Vec::new();
        each_value(shapes, packet, |_, value| {
            values.push(value.map(<[u8]>::to_vec));
            Ok(())
        })?;
        Ok(values)
    }

    #[test]
    fn types_that_nobody_knows_are_refused() {
        let of = |type_number| Shape::of(Definition { type_number });
        assert_eq!(of(0xfd).unwrap(), Shape::Sized);
        assert!([0x0e, 0x11, 0x14, 0x80, 0xf4].into_iter().all(|number| of(number).is_err()));
    }

    fn value(shape: Shape) -> BoxedStrategy<Option<Vec<u8>>> {
        let bytes = |length| prop::option::of(prop::collection::vec(any::<u8>(), length)).boxed();
        match shape {
            Shape::One => bytes(1..2),
            Shape::Two => bytes(2..3),
            Shape::Four => bytes(4..5),
            Shape::Eight => bytes(8..9),
            Shape::Sized => bytes(0..300),
            Shape::Dated => prop::option::of(prop::collection::vec(any::<u8>(), 0..13))
                .prop_map(|parts| parts.map(|parts| [vec![parts.len() as u8], parts].concat()))
                .boxed(),
            Shape::Null => Just(None).boxed(),
        }
    }

    fn rows() -> impl Strategy<Value = (Vec<Shape>, Vec<Option<Vec<u8>>>)> {
        let columns = prop::collection::vec((0..ALL.len()).prop_flat_map(|at| (Just(ALL[at]), value(ALL[at]))), 0..30);
        columns.prop_map(|columns| columns.into_iter().unzip())
    }

    proptest! {
        #[test]
        fn values_come_out_as_they_went_in((shapes, values) in rows()) {
            let packet = packet(&shapes, &values);
            prop_assert_eq!(taken(&shapes, &packet).unwrap(), values);
            for cut in 0..packet.len() {
                prop_assert!(taken(&shapes, &packet[..cut]).is_err(), "cut at {}", cut);
            }
            prop_assert!(taken(&shapes, &[&packet[..], &[0]].concat()).is_err(), "one byte more");
        }

        #[test]
        fn any_bytes_are_a_row_or_refused(which in prop::collection::vec(0..ALL.len(), 0..20), bytes in prop::collection::vec(any::<u8>(), 0..90)) {
            let shapes: Vec<Shape> = which.iter().map(|at| ALL[*at]).collect();
            let _ = taken(&shapes, &bytes);
            let _ = taken(&shapes, &[&[0; 5], &bytes[..]].concat());
        }
    }
}
