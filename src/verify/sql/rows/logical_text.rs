//! Values that one engine stores as text and another by a type of its own: decimals, dates, times, addresses.
//!
//! Each function gives nothing for a text that is not exactly of its form: then the text stays a text.

use std::net::IpAddr;

use crate::verify::sql::rows::calendar::days_from_civil;
use crate::verify::sql::rows::canon::Row;
use crate::verify::sql::rows::tag;

const DAY_MICROS: i64 = 86_400_000_000;

/// A decimal's scale and digits without trailing zeros behind its point.
pub fn stripped(scale: i32, digits: &[u8]) -> (i32, &[u8]) {
    let zeros = digits.iter().rev().take_while(|digit| **digit == b'0').count();
    let surplus = zeros.min(usize::try_from(scale).unwrap_or(0));
    let kept = &digits[..digits.len() - surplus];
    // Zero has no digits left, and then no scale either.
    if kept.iter().all(|digit| *digit == b'0') { (0, &[]) } else { (scale - surplus as i32, kept) }
}

/// `-12.50`, `1e3`, `NaN`, `Infinity`.
pub fn decimal(text: &str, row: &mut Row) -> Option<()> {
    match text {
        "NaN" => row.bare(tag::DECIMAL_NAN),
        "Infinity" => row.bare(tag::DECIMAL_PLUS_INFINITY),
        "-Infinity" => row.bare(tag::DECIMAL_MINUS_INFINITY),
        _ => {
            let (negative, exponent, digits) = number(text)?;
            // At most 4,096 zeros are written out: no engine's decimal has more places than that around its point.
            let (scale, digits) = match exponent {
                0.. if exponent <= 4_096 => (0, digits.into_iter().chain(std::iter::repeat_n(b'0', exponent as usize)).collect()),
                -65_536..0 => (-exponent as i32, digits),
                _ => return None,
            };
            let (scale, digits) = stripped(scale, &digits);
            row.decimal(negative, scale, digits);
        }
    }
    Some(())
}

/// Sign, exponent and digits of a number in decimal notation: (−1)^sign × digits × 10^exponent.
pub fn number(text: &str) -> Option<(bool, i64, Vec<u8>)> {
    let (negative, rest) = match text.as_bytes() {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let (mantissa, exponent) = match rest.iter().position(|byte| matches!(byte, b'e' | b'E')) {
        Some(at) => (&rest[..at], std::str::from_utf8(&rest[at + 1..]).ok()?.parse::<i64>().ok()?),
        None => (rest, 0),
    };
    let point = mantissa.iter().position(|byte| *byte == b'.').unwrap_or(mantissa.len());
    let fraction = mantissa.get(point + 1..).unwrap_or_default();
    let digits: Vec<u8> = mantissa[..point].iter().chain(fraction).copied().collect();
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let leading = digits.iter().take_while(|digit| **digit == b'0').count();
    Some((negative, exponent.checked_sub(i64::try_from(fraction.len()).ok()?)?, digits[leading..].to_vec()))
}

/// `2026-01-31`, `0000-00-00`, `infinity`.
pub fn date(text: &str, row: &mut Row) -> Option<()> {
    if infinite(text, tag::DATE, row) {
        return Some(());
    }
    let (year, month, day) = calendar(text)?;
    match days_from_civil(year, month, day) {
        Some(days) => row.date(days),
        None if month <= 12 && day <= 31 => row.partial_date(tag::DATE, year, month, day, 0),
        None => return None,
    }
    Some(())
}

/// `12:30`, `-838:59:59.999999`: microseconds.
pub fn time(text: &str) -> Option<i64> {
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (clock, fraction) = rest.split_once('.').unwrap_or((rest, ""));
    let mut parts = clock.split(':');
    let (hours, minutes, seconds) = (digits(parts.next()?, 2..=4)?, digits(parts.next()?, 2..=2)?, parts.next());
    let seconds = seconds.map_or(Some(0), |text| digits(text, 2..=2))?;
    if parts.next().is_some() || minutes > 59 || seconds > 59 || fraction.len() > 6 || (rest.contains('.') && fraction.is_empty()) {
        return None;
    }
    let micros = if fraction.is_empty() { 0 } else { digits(&format!("{fraction:0<6}"), 6..=6)? };
    let total = ((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + micros;
    Some(if negative { -total } else { total })
}

/// `2026-01-31 12:30:00.5`, with a zone where an instant is wanted; without one it is UTC.
pub fn datetime(text: &str, of: u8, row: &mut Row) -> Option<()> {
    if infinite(text, of, row) {
        return Some(());
    }
    let (day, clock) = text.split_once(['T', ' ']).unwrap_or((text, "00:00:00"));
    let zone = clock.find(['Z', '+', '-']).unwrap_or(clock.len());
    let (clock, zone) = clock.split_at(zone);
    let east = match zone {
        "" => 0,
        _ if of != tag::INSTANT => return None,
        "Z" => 0,
        zone => {
            let span = if zone.contains(':') { zone[1..].to_owned() } else { format!("{}:00", &zone[1..]) };
            time(&span)? * if zone.starts_with('-') { -1 } else { 1 }
        }
    };
    let micros = time(clock).filter(|micros| (0..DAY_MICROS).contains(micros))?;
    let (year, month, day) = calendar(day)?;
    match days_from_civil(year, month, day) {
        Some(days) => row.micros(of, days * DAY_MICROS + micros - east),
        None if month <= 12 && day <= 31 => row.partial_date(of, year, month, day, micros),
        None => return None,
    }
    Some(())
}

/// `10.0.0.1/8`, `::1`: family, prefix bits, 0, length, address, as PostgreSQL sends them.
pub fn inet(text: &str) -> Option<Vec<u8>> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix.parse::<u8>().ok()?)),
        None => (text, None),
    };
    let (family, bytes) = match address.parse::<IpAddr>().ok()? {
        IpAddr::V4(address) => (2u8, address.octets().to_vec()),
        IpAddr::V6(address) => (3u8, address.octets().to_vec()),
    };
    let whole = bytes.len() as u8 * 8;
    let prefix = prefix.unwrap_or(whole);
    (prefix <= whole).then(|| [&[family, prefix, 0, bytes.len() as u8][..], &bytes].concat())
}

fn infinite(text: &str, of: u8, row: &mut Row) -> bool {
    match text {
        "infinity" => row.infinity(of, true),
        "-infinity" => row.infinity(of, false),
        _ => return false,
    }
    true
}

fn calendar(text: &str) -> Option<(u16, u8, u8)> {
    let mut parts = text.split('-');
    let (year, month, day) = (digits(parts.next()?, 4..=4)?, digits(parts.next()?, 2..=2)?, digits(parts.next()?, 2..=2)?);
    let whole = parts.next().is_none();
    whole.then_some((u16::try_from(year).ok()?, u8::try_from(month).ok()?, u8::try_from(day).ok()?))
}

fn digits(text: &str, count: std::ops::RangeInclusive<usize>) -> Option<i64> {
    (count.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_times_and_addresses() {
        assert_eq!(number("-012.50e1"), Some((true, -1, b"1250".to_vec())));
        assert_eq!(stripped(3, b"1500"), (1, &b"15"[..]));
        assert_eq!((stripped(0, b"1500"), stripped(2, b"00")), ((0, &b"1500"[..]), (0, &b""[..])));
        assert_eq!((time("-00:00:00.5"), time("24:00"), time("1:00"), time("00:60:00")), (Some(-500_000), Some(DAY_MICROS), None, None));
        assert_eq!(inet("10.0.0.1/8"), Some(vec![2, 8, 0, 4, 10, 0, 0, 1]));
        assert!(inet("10.0.0.1/33").is_none() && inet("host").is_none() && number(".").is_none() && number("1e").is_none());
    }
}
