//! Canonical fields as short text for people: how findings name a row by its key.
//!
//! Not for hashing, and nothing is parsed back from it.

use crate::verify::sql::rows::canon::Row;
use crate::verify::sql::rows::tag;

/// The longest text that is shown of one value, in characters.
const LONGEST: usize = 120;
/// Stands where a text was cut.
pub const CUT: char = '…';

/// One field, as [`crate::verify::sql::rows::canon::Row::field`] gives it. Text with spaces, quotes or control characters is quoted.
pub fn field(bytes: &[u8]) -> String {
    let Some((&kind, payload)) = bytes.split_first() else { return "?".into() };
    let shown = match kind {
        tag::NULL => "NULL".to_owned(),
        tag::INTEGER => integer(payload),
        tag::DECIMAL => decimal(payload),
        tag::F32 => payload.try_into().map_or_else(|_| "?".into(), |bits| f32::from_be_bytes(bits).to_string()),
        tag::F64 => payload.try_into().map_or_else(|_| "?".into(), |bits| f64::from_be_bytes(bits).to_string()),
        tag::BOOLEAN => (payload == [1]).to_string(),
        tag::TEXT | tag::ENUM | tag::SET | tag::JSON | tag::JSONB => quoted(&String::from_utf8_lossy(sized(payload))),
        tag::UUID => uuid(payload),
        tag::DATE => micros(payload).map_or_else(|| "?".into(), |days| date(days.into())),
        tag::DATETIME => micros(payload).map_or_else(|| "?".into(), datetime),
        tag::INSTANT => micros(payload).map_or_else(|| "?".into(), |at| format!("{}Z", datetime(at))),
        tag::PARTIAL_DATE if payload.len() == 13 => {
            format!("{:04}-{:02}-{:02}", u16::from_be_bytes([payload[1], payload[2]]), payload[3], payload[4])
        }
        tag::PLUS_INFINITY => "infinity".into(),
        tag::MINUS_INFINITY => "-infinity".into(),
        tag::TEXT_INVALID | tag::BYTES | tag::GEOMETRY | tag::HARDWARE => bytes_of(sized(payload)),
        tag::BITS => bytes_of(payload.get(16..).unwrap_or_default()),
        tag::TIME => micros(payload).map_or_else(|| "?".into(), time_of_day),
        tag::NETWORK => network(sized(payload)),
        tag::OPAQUE => opaque(payload),
        _ => format!("0x{}", hex::encode(bytes)),
    };
    match shown.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}{CUT}", &shown[..at]),
        None => shown,
    }
}

/// A row's key, `COLUMN=VALUE …`: the columns' names and where their fields are in `row`.
pub fn name<'a>(row: &Row, key: impl IntoIterator<Item = (&'a str, usize)>) -> String {
    let parts = key.into_iter().map(|(name, at)| format!("{name}={}", field(row.field(at))));
    parts.collect::<Vec<_>>().join(" ")
}

/// Bytes that are no text: a key in another character set than UTF-8 is shown so, too.
fn bytes_of(bytes: &[u8]) -> String {
    format!("x'{}'", hex::encode(&bytes[..bytes.len().min(LONGEST)]))
}

/// A value of a type without a rule: the text that the server prints, where it was asked for that.
fn opaque(payload: &[u8]) -> String {
    let name_length = payload.first_chunk::<8>().and_then(|length| usize::try_from(u64::from_be_bytes(*length)).ok());
    let split = name_length.and_then(|length| payload[8..].split_at_checked(length));
    match split {
        Some((name, value)) if name.ends_with(b"::text") => quoted(&String::from_utf8_lossy(sized(value))),
        Some((_, value)) => bytes_of(sized(value)),
        None => "?".into(),
    }
}

/// PostgreSQL's form: family, bits of the prefix, 1 for a network, length, address.
fn network(bytes: &[u8]) -> String {
    let (address, most): (std::net::IpAddr, u8) = match bytes {
        [_, _, _, 4, address @ ..] if address.len() == 4 => (<[u8; 4]>::try_from(address).expect("4 bytes").into(), 32),
        [_, _, _, 16, address @ ..] if address.len() == 16 => (<[u8; 16]>::try_from(address).expect("16 bytes").into(), 128),
        _ => return bytes_of(bytes),
    };
    if bytes[1] == most && bytes[2] == 0 { address.to_string() } else { format!("{address}/{}", bytes[1]) }
}

fn time_of_day(micros: i64) -> String {
    let (sign, whole) = (if micros < 0 { "-" } else { "" }, micros.unsigned_abs());
    let (seconds, fraction) = (whole / 1_000_000, whole % 1_000_000);
    let fraction = if fraction == 0 { String::new() } else { format!(".{fraction:06}") };
    format!("{sign}{:02}:{:02}:{:02}{fraction}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

fn integer(payload: &[u8]) -> String {
    let magnitude = payload.get(1..9).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_be_bytes);
    format!("{}{magnitude}", if payload.first() == Some(&1) { "-" } else { "" })
}

fn decimal(payload: &[u8]) -> String {
    let (Some(&sign), Some(scale)) = (payload.first(), payload.get(1..5)) else { return "?".into() };
    let scale = usize::try_from(i32::from_be_bytes(scale.try_into().expect("4 bytes"))).unwrap_or(0);
    let digits = String::from_utf8_lossy(sized(&payload[5..])).into_owned();
    if scale > LONGEST {
        // Written out, such a value would be zeros beyond what is shown (and a format width holds 16 bits).
        return format!("{}{digits}E-{scale}", if sign == 1 { "-" } else { "" });
    }
    let digits = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let point = if scale == 0 { "" } else { "." };
    format!("{}{whole}{point}{fraction}", if sign == 1 { "-" } else { "" })
}

/// The 16 bytes of a UUID in its usual form.
pub fn uuid(payload: &[u8]) -> String {
    let digits = hex::encode(payload);
    match payload.len() {
        16 => [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-"),
        _ => digits,
    }
}

fn micros(payload: &[u8]) -> Option<i64> {
    payload.try_into().ok().map(i64::from_be_bytes)
}

const DAY_MICROS: i128 = 86_400_000_000;

/// Stamps from 294247 on are negative numbers, far below the earliest that any engine has (`ROWS.md`).
pub const WRAPPED_BELOW: i64 = i64::MIN / 2;

fn datetime(micros: i64) -> String {
    let micros = i128::from(micros) + if micros < WRAPPED_BELOW { 1 << 64 } else { 0 };
    let (days, within) = (micros.div_euclid(DAY_MICROS), micros.rem_euclid(DAY_MICROS) as i64);
    let clock = time_of_day(within);
    // Milliseconds where that is all there is.
    let clock = clock.strip_suffix("000").filter(|_| within % 1_000_000 != 0).unwrap_or(&clock);
    format!("{}T{clock}", date(days))
}

/// A day by its number since 1970-01-01, in the proleptic Gregorian calendar with a year 0 (Hinnant, "chrono-Compatible Low-Level Date
/// Algorithms", `civil_from_days`), of which 400 years have 146,097 days.
fn date(days: i128) -> String {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + era * 400 + i128::from(month <= 2);
    let sign = if year < 0 { "-" } else { "" };
    format!("{sign}{:04}-{month:02}-{day:02}", year.unsigned_abs())
}

fn sized(payload: &[u8]) -> &[u8] {
    payload.get(8..).unwrap_or_default()
}

fn quoted(text: &str) -> String {
    let plain = !text.is_empty() && !text.chars().any(|c| c.is_whitespace() || c.is_control() || matches!(c, '"' | '=' | '#' | '\\'));
    if plain { text.to_owned() } else { serde_json::to_string(text).unwrap_or_default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signing::hash_key::HashKey;
    use crate::verify::sql::rows::row_keys::RowKeys;

    #[test]
    fn values_read_as_people_write_them() {
        let mut row = Row::new(&RowKeys::new(&HashKey::from_bytes([1; 32])));
        row.begin(9);
        row.signed(-5);
        row.decimal(true, 4, b"12");
        row.text(b"plain");
        row.text(b"two words");
        row.date(19_000);
        row.micros(tag::INSTANT, 1_500_000);
        row.uuid(&[0xab; 16]);
        row.null();
        row.unsigned(u64::MAX);
        let shown: Vec<String> = (0..9).map(|index| field(row.field(index))).collect();
        assert_eq!(
            shown,
            [
                "-5",
                "-0.0012",
                "plain",
                "\"two words\"",
                "2022-01-08",
                "1970-01-01T00:00:01.500Z",
                "abababab-abab-abab-abab-abababababab",
                "NULL",
                "18446744073709551615"
            ]
        );
    }

    #[test]
    fn what_is_no_text_is_shown_as_the_bytes_that_it_is() {
        let mut row = Row::new(&RowKeys::new(&HashKey::from_bytes([1; 32])));
        row.begin(9);
        row.text(b"\xe9");
        row.blob(&[0, 0xff]);
        row.opaque("point", &[7]);
        row.opaque("regclass::text", b"public.t");
        row.micros(tag::TIME, -3_661_000_005);
        row.labelled(tag::NETWORK, &[2, 8, 1, 4, 10, 0, 0, 0]);
        row.labelled(tag::NETWORK, &[2, 32, 0, 4, 10, 0, 0, 1]);
        row.bits(5, &[0xa8]);
        row.labelled(tag::HARDWARE, &[8, 0]);
        let shown: Vec<String> = (0..9).map(|index| field(row.field(index))).collect();
        assert_eq!(shown, ["x'e9'", "x'00ff'", "x'07'", "public.t", "-01:01:01.000005", "10.0.0.0/8", "10.0.0.1", "x'a8'", "x'0800'"]);
    }

    #[test]
    fn days_and_instants_are_shown_whatever_their_year() {
        let shown = |of: u8, number: i64| {
            let mut row = Row::new(&RowKeys::new(&HashKey::from_bytes([1; 32])));
            row.begin(1);
            if of == tag::DATE {
                row.date(number)
            } else {
                row.micros(of, number)
            }
            field(row.field(0))
        };
        // PostgreSQL's first and last day, and days of leap years.
        for (days, day) in [
            (-2_440_588, "-4713-11-24"),
            (2_145_042_905, "5874897-12-31"),
            (11_016, "2000-02-29"),
            (-1, "1969-12-31"),
            (-719_529, "-0001-12-31"),
        ] {
            assert_eq!(shown(tag::DATE, days), day);
        }
        let last = 9_224_318_015_999_999_999_u64.cast_signed();
        for (micros, at) in [
            (last, "294276-12-31T23:59:59.999999"),
            (i64::MIN, "294247-01-10T04:00:54.775808"),
            (i64::MAX, "294247-01-10T04:00:54.775807"),
            (-210_866_803_200_000_000, "-4713-11-24T00:00:00"),
            (-1, "1969-12-31T23:59:59.999999"),
            (1_500_000, "1970-01-01T00:00:01.500"),
            (1_000_500, "1970-01-01T00:00:01.000500"),
        ] {
            assert_eq!(shown(tag::DATETIME, micros), at);
            assert_eq!(shown(tag::INSTANT, micros), format!("{at}Z"));
        }
    }

    #[test]
    fn a_scale_beyond_what_is_shown_is_written_as_an_exponent() {
        let mut row = Row::new(&RowKeys::new(&HashKey::from_bytes([1; 32])));
        row.begin(2);
        row.decimal(false, 120, b"7");
        row.decimal(true, 100_000, b"7");
        assert_eq!(field(row.field(0)), format!("0.{}…", "0".repeat(118)));
        assert_eq!(field(row.field(1)), "-7E-100000");
    }

    proptest::proptest! {
        #[test]
        fn days_are_those_of_another_calendar(days in -90_000_000i64..90_000_000) {
            let other = chrono::DateTime::from_timestamp(days * 86_400, 0).unwrap().format("%Y-%m-%d").to_string();
            proptest::prop_assert_eq!(date(days.into()), other.trim_start_matches('+'));
        }

        #[test]
        fn any_bytes_are_shown_without_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..80)) {
            field(&bytes);
        }
    }
}
