//! The tags that fields of canonical rows begin with; the table in `canon` says what follows each.

#![allow(missing_docs)]

pub const NULL: u8 = 0x00;
pub const INTEGER: u8 = 0x01;
pub const DECIMAL: u8 = 0x02;
pub const DECIMAL_NAN: u8 = 0x03;
pub const DECIMAL_PLUS_INFINITY: u8 = 0x04;
pub const DECIMAL_MINUS_INFINITY: u8 = 0x05;
pub const F32: u8 = 0x06;
pub const F64: u8 = 0x07;
pub const TEXT: u8 = 0x08;
pub const TEXT_INVALID: u8 = 0x09;
pub const DATE: u8 = 0x0a;
pub const DATETIME: u8 = 0x0b;
pub const INSTANT: u8 = 0x0c;
pub const PLUS_INFINITY: u8 = 0x0d;
pub const MINUS_INFINITY: u8 = 0x0e;
pub const PARTIAL_DATE: u8 = 0x0f;
pub const TIME: u8 = 0x10;
pub const TIME_ZONED: u8 = 0x11;
pub const INTERVAL: u8 = 0x12;
pub const JSON: u8 = 0x13;
pub const JSONB: u8 = 0x14;
pub const ENUM: u8 = 0x15;
pub const SET: u8 = 0x16;
pub const BITS: u8 = 0x17;
pub const BYTES: u8 = 0x18;
pub const UUID: u8 = 0x19;
pub const NETWORK: u8 = 0x1a;
pub const GEOMETRY: u8 = 0x1b;
pub const BOOLEAN: u8 = 0x1c;
pub const ARRAY: u8 = 0x1d;
pub const COMPOSITE: u8 = 0x1e;
pub const RANGE: u8 = 0x1f;
pub const MULTIRANGE: u8 = 0x20;
pub const HARDWARE: u8 = 0x21;
pub const LARGE: u8 = 0x22;
pub const OPAQUE: u8 = 0xff;
